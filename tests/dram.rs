//! The memory model against a cycle-accurate simulator, closed forms, and the laws that any memory obeys.
//!
//! `tests/data/dram/points.csv` holds points of the reference that were drawn at random and never looked at while the model was
//! written: the hold-out. The table in `docs/memory.md` is made here; `UPDATE_DOCS=1 cargo test --test dram` writes it anew.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::print_stderr, reason = "a test that is skipped says so, and errors are shown")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use slimsim::config::load_memory;
use slimsim::hardware::hbm::address_map::AddressMap;
use slimsim::hardware::hbm::device::Device;
use slimsim::hardware::hbm::pattern::Pattern;
use slimsim::hardware::hbm::requester::Interleave;
use slimsim::hardware::hbm::study::{Outcome, Study};

/// Bursts of a point: as many as the reference was given.
const BURSTS: u64 = 200_000;

/// The presets of the reference's devices.
const DEVICES: [(&str, &str); 4] =
    [("hbm2", "hbm2-2000"), ("hbm2-2400", "hbm2-2400"), ("hbm3", "hbm3-6400"), ("hbm4", "hbm4-8000")];

fn study(device: &Device, pattern: &str, map: &str, queue: u32) -> Study {
    Study {
        pattern: pattern.parse().unwrap(),
        map: device.map(map).cloned().unwrap_or_else(|| AddressMap::parse(map, map).unwrap()),
        refresh: false,
        queue,
        bursts: BURSTS,
        interleave: Interleave { channels: 1, granularity: 256, hash: false },
        window: None,
        seed: 1,
        whole: false,
    }
}

fn efficiency(device: &Device, study: &Study) -> f64 {
    run(device, study).efficiency
}

fn run(device: &Device, study: &Study) -> Outcome {
    study.run(device).unwrap_or_else(|e| panic!("{study:?}: {e}"))
}

/// One point of the reference, and what the model says of it.
struct Point {
    device: &'static str,
    map: String,
    pattern: Pattern,
    /// Relative error of the efficiency.
    error: f64,
}

impl Point {
    /// What sort of pattern it is: its name without sizes.
    fn kind(&self) -> &'static str {
        match self.pattern {
            Pattern::Sequential => "seq",
            Pattern::Random { .. } => "rand",
            Pattern::Strided { .. } => "stride",
            Pattern::Streams { .. } => "multi",
            Pattern::SequentialWrites { .. } => "seqw",
            Pattern::CacheWrites { .. } => "kvw",
        }
    }

    /// Whether it reads at least 4 KiB at a place, and nothing else.
    fn is_long(&self) -> bool {
        match self.pattern {
            Pattern::Sequential => true,
            Pattern::Random { chunk } | Pattern::Streams { chunk, .. } => chunk >= 4096,
            _ => false,
        }
    }

    fn writes(&self) -> bool {
        matches!(self.pattern, Pattern::SequentialWrites { .. } | Pattern::CacheWrites { .. })
    }
}

/// The points of a file, all but those of another scheduler.
fn points(path: &Path) -> Vec<Point> {
    let mut reader = csv::Reader::from_path(path).unwrap();
    let header = reader.headers().unwrap().clone();
    let mut points = Vec::new();
    for record in reader.records() {
        let record = record.unwrap();
        let get = |key: &str| header.iter().position(|h| h == key).and_then(|i| record.get(i));
        if get("sched").is_some_and(|s| s != "frfcfs") {
            continue;
        }
        let (_, device) = *DEVICES.iter().find(|(std, _)| Some(*std) == get("std")).unwrap();
        let part = load_memory(device).unwrap();
        let (map, pattern) = (get("map").unwrap().to_owned(), get("pattern").unwrap());
        let mut study = study(&part, pattern, &map, get("queue").unwrap().parse().unwrap());
        study.refresh = get("refresh") == Some("ab");
        let expected: f64 = get("efficiency").unwrap().parse().unwrap();
        let error = efficiency(&part, &study) / expected - 1.0;
        points.push(Point { device, map, pattern: study.pattern, error });
    }
    points
}

/// Mean and 90th percentile of the absolute errors.
fn statistics<'a>(points: impl IntoIterator<Item = &'a Point>) -> (usize, f64, f64) {
    let mut errors: Vec<f64> = points.into_iter().map(|p| p.error.abs()).collect();
    errors.sort_by(f64::total_cmp);
    let count = errors.len();
    assert!(count > 0, "no points");
    let at = (count * 9).div_ceil(10) - 1;
    (count, errors.iter().sum::<f64>() / count as f64, errors[at])
}

/// Errors by device, map and kind of pattern, for people.
fn show(points: &[Point]) {
    let mut groups: BTreeMap<_, Vec<&Point>> = BTreeMap::new();
    for point in points {
        groups.entry((point.device, point.map.as_str(), point.kind())).or_default().push(point);
    }
    for ((device, map, kind), group) in groups {
        let (count, mean, _) = statistics(group.iter().copied());
        let worst = group.iter().map(|p| p.error).max_by(|a, b| a.abs().total_cmp(&b.abs())).unwrap();
        eprintln!(
            "{device:10} {map:32} {kind:6} {count:3} points, mean {:.2} %, worst {:+.2} %",
            100.0 * mean,
            100.0 * worst
        );
    }
}

/// The errors as a table of the documentation.
fn table(points: &[Point]) -> String {
    let mut out = "| points | how many | mean error | 90th percentile |\n|---|---|---|---|\n".to_owned();
    let mut row = |what: &str, wanted: &dyn Fn(&&Point) -> bool| {
        let chosen: Vec<&Point> = points.iter().filter(wanted).collect();
        if !chosen.is_empty() {
            let (count, mean, high) = statistics(chosen);
            writeln!(out, "| {what} | {count} | {:.2} % | {:.2} % |", 100.0 * mean, 100.0 * high).unwrap();
        }
    };
    row("all", &|_| true);
    for (_, device) in DEVICES {
        row(device, &|p| p.device == device);
    }
    row("reads only", &|p| !p.writes());
    row("reads of at least 4 KiB at a place", &|p| p.is_long());
    for kind in ["seq", "rand", "stride", "multi", "seqw", "kvw"] {
        row(&format!("`{kind}`"), &|p| p.kind() == kind);
    }
    out
}

/// Holds a table of docs/memory.md to what was computed.
fn hold(name: &str, table: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/memory.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (open, close) = (format!("<!-- {name} -->\n"), "<!-- end of errors -->");
    let from = page.find(&open).unwrap() + open.len();
    let to = from + page[from..].find(close).unwrap();
    if page[from..to] == *table {
        return;
    }
    assert!(
        std::env::var_os("UPDATE_DOCS").is_some_and(|v| v == "1"),
        "'{name}' in docs/memory.md is stale: UPDATE_DOCS=1 cargo test --test dram\n{table}"
    );
    std::fs::write(&path, format!("{}{table}{}", &page[..from], &page[to..])).unwrap();
}

/// One test, since both write the same page.
#[test]
fn the_reference_is_met() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let held_out = points(&root.join("tests/data/dram/points.csv"));
    show(&held_out);
    let (count, mean, high) = statistics(&held_out);
    assert!(count == 60 && mean <= 0.03 && high <= 0.06, "{count} points, mean {mean:.4}, P90 {high:.4}");
    hold("errors of the hold-out", &table(&held_out));

    let given = root.join("../shared/data/dram/reference_points.csv");
    if !given.exists() {
        eprintln!("skipped: no {}", given.display());
        return;
    }
    let given = points(&given);
    show(&given);
    let (count, mean, high) = statistics(&given);
    assert!(count >= 300, "only {count} points");
    assert!(mean <= 0.02 && high <= 0.05, "mean {mean:.4}, P90 {high:.4}");
    let (_, mean, _) = statistics(given.iter().filter(|p| p.is_long()));
    assert!(mean <= 0.01, "chunks of at least 4 KiB: mean {mean:.4}");
    hold("errors of the given points", &table(&given));
}

/// More points of the reference, where the environment names a file of them.
#[test]
fn other_points_are_met() {
    let Some(path) = std::env::var_os("SLIMSIM_DRAM_POINTS") else {
        eprintln!("skipped: SLIMSIM_DRAM_POINTS names no file of points");
        return;
    };
    let points = points(Path::new(&path));
    show(&points);
    eprintln!("{}", table(&points));
    let (count, mean, high) = statistics(&points);
    assert!(mean <= 0.03 && high <= 0.06, "{count} points, mean {mean:.4}, P90 {high:.4}");
}

/// Eight channels behind one in-order requester, map `bg1`, no refresh: fractions of the peak that the reference gives.
#[test]
fn several_channels_are_as_in_the_reference() {
    let device = load_memory("hbm3-6400").unwrap();
    let cases = [
        ("rand4096", 256, 32, false, 0.46),
        ("rand4096", 1024, 32, false, 0.27),
        ("rand4096", 4096, 32, false, 0.10),
        ("rand4096", 256, 128, false, 0.88),
        ("rand4096", 1024, 128, false, 0.74),
        ("rand4096", 4096, 128, false, 0.31),
        ("stride2048x256", 256, 32, false, 0.11),
        ("stride2048x256", 256, 32, true, 0.48),
    ];
    for (pattern, granularity, queue, hash, expected) in cases {
        let interleave = Interleave { channels: 8, granularity, hash };
        let study = Study { interleave, ..study(&device, pattern, "bg1", queue) };
        let found = efficiency(&device, &study);
        eprintln!(
            "{pattern} by {granularity} B, queue {queue}, hash {hash}: {found:.3}, reference {expected}"
        );
        // The reference is given to two digits.
        assert!((found - expected).abs() <= 0.005 + 0.03 * expected, "{pattern}: {found} and {expected}");
    }
}

/// Little's law: what is under way is bandwidth times latency, and no more than the window. A window that binds is full.
#[test]
fn a_window_bounds_what_is_under_way() {
    let device = load_memory("hbm3-6400").unwrap();
    for pattern in ["seq", "rand4096", "rand256"] {
        let mut before = 0.0;
        for shift in [5, 7, 9, 11, 13, 16, 20] {
            let window = 1 << shift;
            let interleave = Interleave { channels: 4, granularity: 256, hash: false };
            let study = Study {
                window: Some(window),
                interleave,
                whole: true,
                ..study(&device, pattern, "stream", 32)
            };
            let found = run(&device, &study);
            let bandwidth = found.efficiency * device.channel_peak().0 as f64 * 4.0;
            let under_way = bandwidth * found.mean_read_latency.seconds();
            assert!(under_way <= 1.001 * window as f64, "{pattern}, {window} B: {under_way} B under way");
            if window <= 2048 {
                assert!(under_way >= 0.97 * window as f64, "{pattern}, {window} B: {under_way} B under way");
            }
            assert!(found.efficiency >= 0.995 * before, "{pattern}: a window of {window} B is slower");
            before = found.efficiency;
        }
    }
}

/// Share of the peak of aligned chunks of `chunk` bytes on map `stream`: data, row switches that the queue does not hide, conflicts
/// within a bank, and what refresh takes.
fn closed_form(device: &Device, chunk: u64, queue: u32, refresh: bool) -> f64 {
    let (o, t) = (&device.organisation, &device.timing);
    let cycles = |n: u32| f64::from(n);
    let burst = cycles(t.tbl) / f64::from(o.pseudo_channels);
    let ahead = f64::from(queue) * burst;
    let reopen = cycles(t.trp + t.trcd_read + t.trrd_s);
    let switch = (reopen - ahead).max(0.0);
    // Rows that are open together, one in each group of every pseudo-channel, and how many such sets there are.
    let set = o.row_bytes() * u64::from(o.pseudo_channels * o.bank_groups);
    let sets = f64::from(o.banks * o.ranks);
    let visits = (chunk as f64 / set as f64).max(1.0);
    let conflict = cycles(t.trtp) + reopen;
    let data = chunk as f64 / f64::from(o.burst_bytes) * burst;
    let switches = (visits - 1.0) * switch + switch * (1.0 - 1.0 / sets) + conflict / sets;
    let lost = cycles(t.trfc + t.trp + t.trtp) - sets * cycles(t.trp).min(switch);
    data / (data + switches) * if refresh { 1.0 - lost / cycles(t.trefi) } else { 1.0 }
}

#[test]
fn long_chunks_follow_the_closed_form() {
    let mut errors = Vec::new();
    for device in ["hbm2-2000", "hbm3-6400", "hbm4-8000"] {
        let device = load_memory(device).unwrap();
        for chunk in [4096, 8192, 16_384, 65_536] {
            for refresh in [false, true] {
                let study = Study { refresh, ..study(&device, &format!("rand{chunk}"), "stream", 32) };
                let (found, form) = (efficiency(&device, &study), closed_form(&device, chunk, 32, refresh));
                errors.push(found / form - 1.0);
                eprintln!(
                    "{} rand{chunk} refresh {refresh}: {found:.4}, closed form {form:.4}, {:+.2} %",
                    device.name,
                    100.0 * (found / form - 1.0)
                );
            }
        }
    }
    let worst = errors.iter().fold(0.0_f64, |w, e| w.max(e.abs()));
    let mean = errors.iter().map(|e| e.abs()).sum::<f64>() / errors.len() as f64;
    assert!(mean <= 0.015 && worst <= 0.036, "mean {mean:.4}, worst {worst:.4}");
}

/// Where one constraint decides alone, the model is that constraint.
#[test]
fn single_limits_are_exact() {
    let hbm3 = load_memory("hbm3-6400").unwrap();
    let hbm2 = load_memory("hbm2-2000").unwrap();
    let of = |device: &Device, pattern: &str, map: &str, queue| {
        let found = efficiency(device, &study(device, pattern, map, queue));
        eprintln!("{} {pattern} {map} queue {queue}: {found:.4}", device.name);
        found
    };
    // Two bursts, one on each pseudo-channel, every tRC: the rows of one bank.
    let one_bank = of(&hbm3, "stride65536x64", "stream", 32);
    assert!((one_bank / (2.0 / 72.0) - 1.0).abs() < 0.01, "{one_bank}");
    // A row of one pseudo-channel at a time: half the peak.
    let half = of(&hbm3, "seq", "bg col ba sid pc row", 32);
    assert!((0.48..=0.505).contains(&half), "{half}");
    // One burst a row: four ACTs a tFAW on each pseudo-channel of HBM3, a bound that a deep queue comes near to.
    let bound = f64::from(hbm3.timing.tbl) / (f64::from(hbm3.timing.tfaw) / 4.0);
    let found = of(&hbm3, "rand32", "stream", 128);
    assert!(found <= bound && found >= 0.95 * bound, "{found} and {bound}");
    // On HBM2 the row bus is shared by both pseudo-channels: ACT and PRE take three cycles a burst, which lasts one.
    let found = of(&hbm2, "rand32", "stream", 128);
    assert!((0.95 / 3.0..=1.0 / 3.0).contains(&found), "{found}");
}

/// What is served at once is as if served burst by burst: a window that never binds makes the model go from command to command.
#[test]
fn row_visits_at_once_change_nothing() {
    for name in slimsim::config::preset_names(slimsim::config::PresetKind::Memory) {
        let device = load_memory(name).unwrap();
        for map in &device.maps {
            for pattern in ["seq", "rand16384", "rand4096", "rand256", "kvw10x256"] {
                let all = study(&device, pattern, &map.name, 32);
                // More than are simulated: batches of a sample begin and end at the same moments, too.
                let all = Study { refresh: true, bursts: 40_000, ..all };
                let each = Study { window: Some(1 << 40), ..all.clone() };
                assert_eq!(run(&device, &all), run(&device, &each), "{name} {pattern} {}", map.name);
            }
        }
    }
}

/// A sample stands for the whole.
#[test]
fn samples_agree_with_the_whole() {
    for device in ["hbm2-2000", "hbm3-6400", "gddr6-18000", "ddr5-6400"] {
        let device = load_memory(device).unwrap();
        for pattern in ["seq", "rand16384", "rand4096", "rand256", "multi8x4096", "seqw10x1024", "kvw10x256"]
        {
            for refresh in [false, true] {
                let sampled = Study { refresh, ..study(&device, pattern, "stream", 32) };
                let whole = Study { whole: true, ..sampled.clone() };
                let (a, b) = (run(&device, &sampled), run(&device, &whole));
                assert!(b.simulated == BURSTS && a.simulated < BURSTS / 4, "{}", a.simulated);
                let error = a.efficiency / b.efficiency - 1.0;
                assert!(error.abs() <= 0.015, "{} {pattern} refresh {refresh}: {error:+.4}", device.name);
            }
        }
    }
}

/// No memory gives more than its peak. On map `stream` refresh never helps; on others it can, where it puts banks out of step.
#[test]
fn no_memory_gives_more_than_its_peak() {
    for name in slimsim::config::preset_names(slimsim::config::PresetKind::Memory) {
        let device = load_memory(name).unwrap();
        for map in &device.maps {
            for pattern in ["seq", "rand64", "rand1024", "stride4096x64", "kvw10x256"] {
                let study = Study { bursts: 20_000, ..study(&device, pattern, &map.name, 32) };
                let found = run(&device, &study);
                assert!(found.efficiency > 0.0 && found.efficiency <= 1.0, "{name} {pattern} {}", map.name);
                assert!(found.activates > 0 && (0.0..=1.0).contains(&found.row_hit_rate), "{name} {pattern}");
                assert_eq!(found.refreshes, 0);
                let refreshed = run(&device, &Study { refresh: true, ..study.clone() });
                assert!(
                    refreshed.efficiency <= 1.0 && refreshed.refreshes > 0,
                    "{name} {pattern} {}",
                    map.name
                );
                if map.name == "stream" {
                    assert!(refreshed.efficiency <= 1.005 * found.efficiency, "{name} {pattern}");
                }
            }
        }
    }
}
