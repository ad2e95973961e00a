use slimsim::hardware::hbm::{organisation::Organisation, study::efficiency, timing::*};
use slimsim::units::Picos;
fn main() {
    let file = std::env::args().nth(1).unwrap();
    let only = std::env::args().nth(2);
    let hbm3 = (
        Organisation { pseudo_channels: 2, ranks: 2, bank_groups: 4, banks: 4, rows: 1 << 14, columns: 32, burst_bytes: 32 },
        Timing { tck: Picos(625), tbl: 2, tcl: 20, tcwl: 10, trcd_read: 31, trcd_write: 15, trp: 26, tras: 45, trc: 72, trtp: 9, twr: 33, tccd_s: 2, tccd_l: 4, tccd_r: 3, trrd_s: 4, trrd_l: 5, tfaw: 24, twtr_s: 7, twtr_l: 10, trtw: 20, tppd: 2, trfc: 560, trefi: 6240 },
        CommandBus { shared: false, activate: 3, row: 1, column: 2 },
    );
    let hbm4 = (
        Organisation { pseudo_channels: 2, ranks: 2, bank_groups: 2, banks: 8, rows: 1 << 14, columns: 32, burst_bytes: 32 },
        Timing { tck: Picos(500), tbl: 2, tcl: 20, tcwl: 10, trcd_read: 39, trcd_write: 19, trp: 33, tras: 57, trc: 90, trtp: 12, twr: 42, tccd_s: 2, tccd_l: 4, tccd_r: 2, trrd_s: 5, trrd_l: 7, tfaw: 30, twtr_s: 9, twtr_l: 13, trtw: 25, tppd: 2, trfc: 900, trefi: 7800 },
        CommandBus { shared: false, activate: 3, row: 1, column: 2 },
    );
    let hbm2 = (
        Organisation { pseudo_channels: 2, ranks: 1, bank_groups: 4, banks: 4, rows: 1 << 16, columns: 32, burst_bytes: 32 },
        Timing { tck: Picos(1000), tbl: 2, tcl: 14, tcwl: 5, trcd_read: 14, trcd_write: 12, trp: 14, tras: 34, trc: 48, trtp: 5, twr: 16, tccd_s: 2, tccd_l: 4, tccd_r: 2, trrd_s: 4, trrd_l: 4, tfaw: 15, twtr_s: 6, twtr_l: 8, trtw: 13, tppd: 1, trfc: 350, trefi: 3900 },
        CommandBus { shared: false, activate: 4, row: 2, column: 2 },
    );
    let hbm2b = (
        hbm2.0,
        Timing { tck: Picos(833), tbl: 2, tcl: 17, tcwl: 6, trcd_read: 17, trcd_write: 14, trp: 17, tras: 40, trc: 57, trtp: 6, twr: 19, tccd_s: 2, tccd_l: 4, tccd_r: 2, trrd_s: 5, trrd_l: 5, tfaw: 19, twtr_s: 8, twtr_l: 10, trtw: 15, tppd: 1, trfc: 421, trefi: 4682 },
        hbm2.2,
    );
    let mut errors = vec![];
    for line in std::fs::read_to_string(file).unwrap().lines().skip(1) {
        let f: Vec<&str> = line.split(',').collect();
        if f[4] == "rowhit" || only.as_ref().is_some_and(|o| !line.contains(o.as_str())) { continue; }
        let dev = match f[0] { "hbm3" => &hbm3, "hbm2" => &hbm2, "hbm4" => &hbm4, "hbm2-2400" => &hbm2b, _ => continue };
        let map = match f[1] {
            "stream" => "pc bg col ba sid row",
            "robaracoch" => "col pc sid bg ba row",
            "mop4" => "col:2 pc sid bg ba col row",
            "bg1" => "bg:1 col:2 pc bg col ba sid row",
            "pcrow" => "bg col ba sid pc row",
            other => panic!("{other}"),
        };
        let start = std::time::Instant::now();
        let (served, ticks, eff, acts, refs, lat) = efficiency(&dev.0, &dev.1, &dev.2, map, f[2], f[3] == "ab", f[5].parse().unwrap(), 200_000);
        let ns = start.elapsed().as_nanos() as f64 / 200_000.0;
        let want: f64 = f[8].parse().unwrap();
        let err = eff / want - 1.0;
        errors.push((err.abs(), format!("{line}  -> {served} {ticks} {eff:.5} acts {acts} refs {refs} lat {lat:.1} err {:+.2}% {ns:.0} ns", err * 100.0)));
    }
    errors.sort_by(|a, b| b.0.total_cmp(&a.0));
    let n = errors.len();
    for e in errors.iter().take(40) { println!("{}", e.1); }
    println!("n {n} mean {:.3}% p90 {:.3}% median {:.3}%", errors.iter().map(|e| e.0).sum::<f64>() / n as f64 * 100.0, errors[n / 10].0 * 100.0, errors[n/2].0 * 100.0);
}
