//! What a calibration found, for people: the machine, and each shape's phases as parts of what the machine can do.

use crate::hardware::kernel::{KernelProfile, Kind};
use crate::host::calibrate::{Calibration, Figure};
use crate::host::kernels::phases::Phase;
use crate::report::TableWriter;
use std::io::{self, Write};

/// Writes the machine's figures and a row a shape, `width` columns wide; `profile` is the calibration's.
///
/// # Errors
/// If writing fails.
pub(crate) fn write_calibration(
    calibration: &Calibration,
    profile: &KernelProfile,
    width: Option<u16>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let with_spread =
        |f: &Figure, factor: f64| format!("{:.1} ± {:.1} %", f.value * factor, 100.0 * f.spread);
    let header = ["threads", "FMA peak, GFLOP/s", "L2, GB/s", "L3, GB/s", "DRAM, GB/s"];
    let mut machine = TableWriter::new(&header, 0, width);
    for rates in &calibration.machine.by_threads {
        machine.row([
            rates.threads.to_string(),
            with_spread(&rates.macs, 2e-9),
            with_spread(&rates.l2, 1e-9),
            with_spread(&rates.l3, 1e-9),
            with_spread(&rates.dram, 1e-9),
        ]);
    }
    machine.write(out)?;
    let Some(one) = calibration.machine.by_threads.first() else { return Ok(()) };
    writeln!(
        out,
        "DRAM latency {:.0} ns; the last-level cache serves up to {} MiB\n",
        1e9 * calibration.latency,
        calibration.machine.l3_reach >> 20
    )?;
    let header = [
        "type", "heads", "head_dim", "tile", "scores", "P·K", "of peak", "kv-cache", "of DRAM", "slim-k",
        "overlap",
    ];
    let mut shapes = TableWriter::new(&header, 1, width);
    for w in &calibration.walks {
        let rate = |phase| {
            let same = calibration.phases.iter().find(|p| {
                (p.phase, p.dtype, p.heads, p.head_dim) == (phase, w.dtype, w.shape.heads, w.shape.head_dim)
            });
            same.map(|p| p.per_second.value)
        };
        let gflops = |phase| rate(phase).map_or_else(|| "–".to_owned(), |r| format!("{:.0}", 2e-9 * r));
        let part = |x: Option<f64>| x.map_or_else(|| "–".to_owned(), |x| format!("{:.0} %", 100.0 * x));
        let (heads, head_dim) = (w.shape.heads as u64, w.shape.head_dim as u64);
        shapes.row([
            w.dtype.name().to_owned(),
            heads.to_string(),
            head_dim.to_string(),
            w.tile.to_string(),
            gflops(Phase::Scores),
            gflops(Phase::Product),
            part(rate(Phase::Product).map(|r| r / one.macs.value)),
            format!("{:.1}", 1e-9 * w.baseline.value),
            part(Some(w.baseline.value / one.dram.value)),
            format!("{:.1}", 1e-9 * w.slim.value),
            part(profile.overlap(Kind::SlimK, w.dtype, heads, head_dim)),
        ]);
    }
    shapes.write(out)?;
    writeln!(
        out,
        "one thread. scores, P·K: GFLOP/s on rows in the second-level cache; kv-cache, slim-k: GB/s of kept rows from DRAM, all \
         phases included; overlap: part of the shorter of loading and computing that slim-k hides"
    )
}
