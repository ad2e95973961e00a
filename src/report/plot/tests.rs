#![allow(clippy::unwrap_used, reason = "a test that fails may panic")]

mod ratios;

use super::*;
use crate::ledger::CyclesByCause;
use crate::units::Cycles;
use resvg::usvg::{Node, Rect};

/// Text, where it lies, whether it is upright.
type Laid = (String, Rect, bool);

/// Text with where it lies once laid out in the embedded font, in pixels of the SVG.
fn texts(plot: &Plot) -> Vec<Laid> {
    fn walk(group: &resvg::usvg::Group, out: &mut Vec<Laid>) {
        for node in group.children() {
            match node {
                Node::Group(group) => walk(group, out),
                Node::Text(text) => {
                    let content: String = text.chunks().iter().map(|c| c.text()).collect();
                    out.push((content, text.abs_bounding_box(), text.abs_transform().kx != 0.0));
                }
                _ => {}
            }
        }
    }
    let mut out = Vec::new();
    walk(plot.tree().unwrap().root(), &mut out);
    out
}

/// All that must hold for every plot: text inside the page, none over another, the same bytes each time, a PNG of twice
/// the size. Returns the texts. To look at the plots, name a folder in `SLIMSIM_SHOW_PLOTS`.
fn check(name: &str, make: impl Fn() -> Result<Plot, PlotError>) -> Vec<String> {
    let plot = make().unwrap_or_else(|e| panic!("{name}: {e}"));
    assert_eq!(plot.svg, make().unwrap().svg, "{name}: SVG differs from run to run");
    let png = plot.png().unwrap();
    assert_eq!(png, make().unwrap().png().unwrap(), "{name}: PNG differs from run to run");
    assert_eq!(&png[..8], b"\x89PNG\r\n\x1a\n");
    let number = |at: usize| u32::from_be_bytes(png[at..at + 4].try_into().unwrap());
    assert_eq!((number(16), number(20)), (2 * plot.width, 2 * plot.height), "{name}: size of the PNG");
    if let Some(folder) = std::env::var_os("SLIMSIM_SHOW_PLOTS") {
        let path = std::path::Path::new(&folder).join(name);
        std::fs::write(path.with_extension("png"), &png).unwrap();
        std::fs::write(path.with_extension("svg"), &plot.svg).unwrap();
    }
    let texts = texts(&plot);
    assert!(!texts.is_empty());
    for (i, (text, a, upright)) in texts.iter().enumerate() {
        assert!(
            a.left() >= 0.0
                && a.top() >= 0.0
                && a.right() <= plot.width as f32
                && a.bottom() <= plot.height as f32,
            "{name}: {text:?} is clipped: {a:?}"
        );
        for (other, b, other_upright) in &texts[..i] {
            let apart = |(a0, a1): (f32, f32), (b0, b1): (f32, f32)| a1.min(b1) - a0.max(b0) < 0.5;
            let (a, b) = (letters(a, *upright), letters(b, *other_upright));
            assert!(
                apart(a.0, b.0) || apart(a.1, b.1),
                "{name}: {text:?} at {a:?} lies over {other:?} at {b:?}"
            );
        }
    }
    texts.into_iter().map(|(text, ..)| text).collect()
}

/// The part of a text's box that its letters fill: boxes are a line high, letters the middle of it.
fn letters(area: &Rect, upright: bool) -> ((f32, f32), (f32, f32)) {
    let (dx, dy) = if upright { (area.width() * 0.22, 0.0) } else { (0.0, area.height() * 0.22) };
    ((area.left() + dx, area.right() - dx), (area.top() + dy, area.bottom() - dy))
}

fn has(texts: &[String], part: &str) -> bool {
    texts.iter().any(|t| t.contains(part))
}

const LONG: &str =
    "an-accelerator-with-a-very-long-name-that-nobody-would-choose-but-somebody-will-still-write-in-a-file";

fn curve(batch: u64, from: f64, to: f64, half: f64) -> SpeedupCurve {
    let contexts: Vec<u64> = (8..=17).map(|i| 1 << i).collect();
    let at = |n: f64| from + (to - from) * n * batch as f64 / (n * batch as f64 + half);
    let points: Vec<_> = contexts.iter().map(|&n| (n, at(n as f64))).collect();
    let bound = contexts.iter().map(|&n| (n, at(n as f64).max(1.0) * 1.05 + 0.1)).collect();
    let crossover =
        (from < 1.0 && to > 1.0).then(|| (half * (1.0 - from) / (to - 1.0) / batch as f64) as u64);
    SpeedupCurve { batch, points, bound, crossover: crossover.filter(|&c| c >= 256), infeasible: vec![] }
}

fn speedup_chart(curves: Vec<SpeedupCurve>) -> SpeedupChart {
    SpeedupChart {
        accelerator: "h100-sxm".to_owned(),
        model: "codellama-7b".to_owned(),
        scheme: "slim-k".to_owned(),
        baseline: "kv-cache".to_owned(),
        note: "weights bf16, cache bf16".to_owned(),
        curves,
    }
}

#[test]
fn speedup_of_a_few_batches() {
    let mut curves: Vec<_> = [1, 4, 16, 64].map(|b| curve(b, 0.93, 1.74, 60_000.0)).into();
    curves[3].points.truncate(7);
    curves[3].infeasible = vec![32_768, 65_536, 131_072];
    let texts = check("speedup", || speedup(&speedup_chart(curves.clone())));
    for part in [
        "codellama-7b on h100-sxm",
        "slim-k over kv-cache",
        "batch 64",
        "1.70× at 16k",
        "128k",
        "5,675",
        "bandwidth-only bound",
    ] {
        assert!(has(&texts, part), "{part} is missing: {texts:?}");
    }
}

#[test]
fn speedup_of_many_batches_over_a_wide_range() {
    let curves: Vec<_> = (0..12).map(|i| curve(1 << i, 0.2, 2.0 + f64::from(i) * 2.7, 200_000.0)).collect();
    let texts = check("speedup-many", || speedup(&speedup_chart(curves.clone())));
    assert!(has(&texts, "batch 2,048") && has(&texts, "32×"), "{texts:?}");
    let curves: Vec<_> = (0..40).map(|i| curve(1 + i, 0.9, 1.5, 60_000.0)).collect();
    let texts = check("speedup-crowd", || speedup(&speedup_chart(curves.clone())));
    assert!(has(&texts, "more"), "what is not shown is counted: {texts:?}");
}

#[test]
fn speedup_of_one_point_with_long_names() {
    let one = SpeedupCurve {
        batch: u64::MAX,
        points: vec![(u64::MAX, 0.31)],
        bound: vec![],
        crossover: None,
        infeasible: vec![],
    };
    let mut chart = speedup_chart(vec![one]);
    (chart.accelerator, chart.model) = (LONG.to_owned(), LONG.replace("an-accelerator", "a<model>&\u{7}"));
    let texts = check("speedup-one", || speedup(&chart));
    assert!(has(&texts, "never wins"), "{texts:?}");
}

#[test]
fn values_that_cannot_be_drawn_are_left_out() {
    let mut bad = curve(1, 0.9, 1.7, 60_000.0);
    bad.points[2].1 = f64::NAN;
    bad.points[3].1 = f64::INFINITY;
    bad.points[4].1 = -1.0;
    bad.points[0].0 = 0;
    check("speedup-bad", || speedup(&speedup_chart(vec![bad.clone()])));
    bad.points.clear();
    let error = speedup(&speedup_chart(vec![bad])).unwrap_err();
    assert_eq!(error.to_string(), "nothing to draw: no feasible point of slim-k and kv-cache");
}

fn cause_chart(unit: CauseUnit, contexts: &[u64], schemes: &[&str]) -> CauseChart {
    let bar = |n: u64, s: usize| {
        let work = 12_000_000 + n * 300 / (s as u64 + 1);
        let cycles = CyclesByCause {
            compute: Cycles(400_000 + n * 60 * s as u64),
            vector: Cycles(n * 20 * s as u64),
            bandwidth: Cycles(work),
            latency: Cycles(900_000),
            sram: Cycles(n * 7),
            exchange: Cycles(n * 3 * s as u64),
            overhead: Cycles(700_000),
            refresh: Cycles(work / 12),
            row_miss: Cycles(work / 9),
        };
        CauseBar {
            context: n,
            scheme: schemes[s].to_owned(),
            step: (n < 100_000 || s > 0).then(|| (cycles.total().as_f64() / 1.755e9, cycles)),
        }
    };
    CauseChart {
        accelerator: "h100-sxm".to_owned(),
        model: "codellama-7b".to_owned(),
        note: "batch 4, weights bf16, cache bf16".to_owned(),
        unit,
        bars: contexts
            .iter()
            .flat_map(|&n| (0..schemes.len()).map(move |s| (n, s)))
            .map(|(n, s)| bar(n, s))
            .collect(),
    }
}

#[test]
fn causes_of_two_schemes() {
    let contexts = [4096, 16_384, 65_536, 131_072];
    let schemes = ["kv-cache", "slim-k"];
    let texts = check("causes", || causes(&cause_chart(CauseUnit::Time, &contexts, &schemes)));
    for part in ["time of a step (ms)", "kv-cache", "slim-k", "bandwidth", "does not run", "64k", " %"] {
        assert!(has(&texts, part), "{part} is missing: {texts:?}");
    }
    let texts = check("causes-cycles", || causes(&cause_chart(CauseUnit::Cycles, &contexts, &schemes)));
    assert!(has(&texts, "cycles of a step (millions)"), "{texts:?}");
}

#[test]
fn causes_of_many_schemes_and_contexts() {
    let contexts: Vec<u64> = (7..19).map(|i| 1 << i).collect();
    let schemes = ["kv-cache", "slim-k", "slim-k-recompute"];
    let texts = check("causes-many", || causes(&cause_chart(CauseUnit::Relative, &contexts, &schemes)));
    assert!(has(&texts, "time relative to kv-cache"), "{texts:?}");
    let contexts: Vec<u64> = (1..=60).map(|i| i * 1000).collect();
    check("causes-crowd", || causes(&cause_chart(CauseUnit::Time, &contexts, &schemes)));
    check("causes-one", || causes(&cause_chart(CauseUnit::Time, &[1], &[LONG])));
    let mut none = cause_chart(CauseUnit::Time, &[4096], &["kv-cache"]);
    none.bars[0].step = None;
    assert!(matches!(causes(&none), Err(PlotError::Empty(_))));
}

fn roofline_chart(contexts: &[u64]) -> RooflineChart {
    let point = |n: u64, slim: bool| {
        let n_ = n as f64;
        let intensity = if slim { 2.0 + 31.0 * n_ / (n_ + 30_000.0) } else { 2.0 - n_ / (n_ + 30_000.0) };
        OperatingPoint {
            scheme: if slim { "slim-k" } else { "kv-cache" }.to_owned(),
            context: n,
            intensity,
            flops_per_second: intensity * 3.35e12 * if slim { 0.81 } else { 0.92 },
        }
    };
    RooflineChart {
        accelerator: "h100-sxm".to_owned(),
        model: "codellama-7b".to_owned(),
        note: "batch 4, weights bf16, cache bf16".to_owned(),
        peak: Some(989e12),
        bandwidth: 3.35e12,
        memory: "HBM".to_owned(),
        points: [false, true].iter().flat_map(|&s| contexts.iter().map(move |&n| point(n, s))).collect(),
    }
}

#[test]
fn roofline_of_two_schemes() {
    let texts = check("roofline", || roofline(&roofline_chart(&[1024, 8192, 32_768, 131_072])));
    for part in ["slim-k 128k", "kv-cache 1k", "ridge 295 FLOP/byte", "peak 989 TFLOP/s", "HBM 3.35 TB/s"] {
        assert!(has(&texts, part), "{part} is missing: {texts:?}");
    }
    let many: Vec<u64> = (7..20).map(|i| 1 << i).collect();
    check("roofline-many", || roofline(&roofline_chart(&many)));
}

#[test]
fn roofline_at_extremes() {
    let mut chart = roofline_chart(&[1024]);
    chart.points.truncate(1);
    chart.peak = None;
    (chart.model, chart.memory) = (LONG.to_owned(), "SRAM".to_owned());
    check("roofline-one", || roofline(&chart));
    let mut chart = roofline_chart(&[1024, 4096]);
    chart.points[0].intensity = 1e-3;
    chart.points[0].flops_per_second = 1e6;
    chart.points[3].intensity = 1e5;
    chart.points[3].flops_per_second = 9e14;
    chart.points[1].intensity = f64::NAN;
    check("roofline-wide", || roofline(&chart));
    chart.points.clear();
    assert!(matches!(roofline(&chart), Err(PlotError::Empty(_))));
}

fn replay_chart(steps: u32, end: f64, capacity: u64) -> ReplayChart {
    let line = |scheme: &str, factor: f64| {
        let samples = (0..steps).map(|i| {
            let t = f64::from(i) / f64::from(steps);
            let load = (t * 9.0).sin().abs() * (1.0 + 0.3 * (t * 411.0).sin()).min(1.2);
            let held = (load * factor).min(1.0);
            ReplaySample {
                seconds: t * end,
                cache_bytes: (held * capacity as f64) as u64,
                batch: (held / factor * 96.0) as u64,
            }
        });
        ReplayLine { scheme: scheme.to_owned(), capacity_bytes: Some(capacity), samples: samples.collect() }
    };
    ReplayChart {
        accelerator: "a100-sxm".to_owned(),
        model: "codellama-7b".to_owned(),
        trace: "AzureLLMInferenceTrace_code.csv".to_owned(),
        note: "8,819 requests; cache bf16".to_owned(),
        lines: vec![line("kv-cache", 1.3), line("slim-k", 0.7)],
    }
}

#[test]
fn replay_over_an_hour() {
    let texts = check("replay", || replay(&replay_chart(40_000, 3400.0, 66_000_000_000)));
    for part in
        ["cache held (GB)", "running sequences", "capacity: 66.0 GB", "simulated time (minutes)", "slim-k"]
    {
        assert!(has(&texts, part), "{part} is missing: {texts:?}");
    }
    let svg = replay(&replay_chart(40_000, 3400.0, 66_000_000_000)).unwrap().svg;
    assert!(svg.len() < 400_000, "{} bytes: long traces are thinned", svg.len());
}

#[test]
fn replay_at_extremes() {
    let mut chart = replay_chart(3, 1e-4, 900);
    chart.lines[1].capacity_bytes = Some(800);
    (chart.trace, chart.model) = (LONG.to_owned(), LONG.to_owned());
    check("replay-tiny", || replay(&chart));
    let mut chart = replay_chart(1, 0.0, 1);
    chart.lines.truncate(1);
    chart.lines[0].capacity_bytes = None;
    check("replay-one", || replay(&chart));
    check("replay-long", || replay(&replay_chart(5000, 2e6, u64::MAX / 2)));
    chart.lines[0].samples.clear();
    assert!(matches!(replay(&chart), Err(PlotError::Empty(_))));
}

fn heat(columns: usize, rows: usize, low: f64, high: f64) -> HeatMap {
    let contexts: Vec<f64> = (0..columns).map(|i| 2f64.powi(i as i32 + 8)).collect();
    let heads: Vec<f64> = (0..rows).map(|i| 8.0 * (i + 1) as f64).collect();
    let value = |i: usize, j: usize| {
        let t = (i as f64 / columns as f64 + 1.0 - j as f64 / rows as f64) / 2.0;
        (!(i + 2 > columns && j + 3 > rows)).then_some(low + (high - low) * t * t)
    };
    HeatMap {
        title: "codellama-7b on h100-sxm: speedup of slim-k over kv-cache".to_owned(),
        note: "batch 1, weights bf16, cache bf16".to_owned(),
        value: "speedup over kv-cache".to_owned(),
        x_title: "context (tokens attended)".to_owned(),
        x: HeatMap::labels(&contexts),
        y_title: "model.heads".to_owned(),
        y: HeatMap::labels(&heads),
        values: (0..rows).flat_map(|j| (0..columns).map(move |i| (i, j))).map(|(i, j)| value(i, j)).collect(),
    }
}

#[test]
fn heat_map_with_its_contour() {
    let texts = check("heat", || heat_map(&heat(10, 8, 0.7, 1.8)));
    for part in ["speedup = 1", "does not run", "128k", "64", "1×", "speedup over kv-cache"] {
        assert!(has(&texts, part), "{part} is missing: {texts:?}");
    }
    assert!(!has(&texts, "nothing"));
}

#[test]
fn heat_map_at_extremes() {
    check("heat-many", || heat_map(&heat(48, 64, 0.05, 32.0)));
    let texts = check("heat-one", || heat_map(&heat(1, 3, 1.0, 1.0)));
    assert!(!has(&texts, "speedup = 1"), "no contour where nothing crosses 1: {texts:?}");
    let mut map = heat(4, 4, 0.9, 1.05);
    (map.title, map.x_title, map.y_title) = (LONG.repeat(3), LONG.repeat(2), LONG.to_owned());
    map.x = vec![LONG.to_owned(); 4];
    map.y = vec![LONG.to_owned(); 4];
    check("heat-names", || heat_map(&map));
    map.values.pop();
    assert!(matches!(heat_map(&map), Err(PlotError::Draw(_))));
    map.values = vec![None; 16];
    assert!(matches!(heat_map(&map), Err(PlotError::Empty(_))));
}

/// A seeded stream of standard normal values.
fn normals(seed: u64) -> impl Iterator<Item = f64> {
    use rand_pcg::rand_core::{Rng, SeedableRng};
    let mut random = rand_pcg::Pcg64Mcg::seed_from_u64(seed);
    // The sum of twelve uniform values has variance 1.
    std::iter::repeat_with(move || {
        (0..12).map(|_| f64::from(random.next_u32()) / f64::from(u32::MAX)).sum::<f64>() - 6.0
    })
}

/// Bytes, measured and predicted seconds: a launch and a bandwidth each, with noise, and a bump at the size of an L2.
fn measured(group: u32, count: usize) -> Vec<(f64, f64, f64)> {
    let mut noise = normals(u64::from(group) + 1);
    let launch = 8e-6 * f64::from(group + 1).sqrt();
    let bandwidth = 1.5e12 * f64::from(group + 1);
    (0..count)
        .map(|i| {
            let bytes = 65_536.0 * (i as f64 / count as f64 * 17.0).exp2();
            let predicted = launch + bytes / bandwidth;
            let bump = 0.25 * (-((bytes / 4e7).ln() / 0.6).powi(2)).exp();
            let spread = if i % 40 == 0 { 0.4 } else { 0.06 + 0.01 * f64::from(group) };
            (bytes, predicted * (noise.next().unwrap() * spread - bump).exp(), predicted)
        })
        .collect()
}

const NAMES: [&str; 4] =
    ["h100 · sglang, 3.4 %", "h100 · tensorrt-llm, 6.1 %", "a100 · vllm, 5.0 %", "b200 · sglang, 4.2 %"];

fn scatter_chart(groups: u32, count: usize) -> ScatterChart {
    let group = |i: u32| ScatterGroup {
        name: NAMES[i as usize % NAMES.len()].to_owned(),
        points: measured(i, count).into_iter().map(|(_, m, p)| (m, p)).collect(),
    };
    ScatterChart {
        title: "decode attention, MHA: predicted against measured".to_owned(),
        note: "12,000 rows held out; bf16 and fp8 caches; each framework against its own profile".to_owned(),
        x_title: "measured latency".to_owned(),
        y_title: "predicted latency".to_owned(),
        unit: "s".to_owned(),
        groups: (0..groups).map(group).collect(),
        band: Some(0.1),
    }
}

#[test]
fn scatter_of_thousands() {
    let chart = scatter_chart(4, 3_000);
    let texts = check("scatter", || scatter(&chart));
    for part in
        ["within ±10 %", "predicted = measured", "10 µs", "1 ms", "a100 · vllm, 5.0 %", "measured latency"]
    {
        assert!(has(&texts, part), "{part} is missing: {texts:?}");
    }
    let svg = scatter(&scatter_chart(4, 40_000)).unwrap().svg;
    assert!(svg.len() < 900_000, "{} bytes: points of one pixel are drawn once", svg.len());
}

#[test]
fn scatter_has_the_same_decades_on_both_axes() {
    let at = |texts: &[Laid], label: &str| -> Vec<(f32, f32)> {
        let of = texts.iter().filter(|(t, ..)| t == label);
        of.map(|(_, r, _)| (f32::midpoint(r.left(), r.right()), f32::midpoint(r.top(), r.bottom()))).collect()
    };
    for (points, labels) in [(vec![(1e-5, 1e-3)], ["20 µs", "500 µs"]), (vec![(1e-9, 2.0)], ["10 ns", "1 s"])]
    {
        let mut chart = scatter_chart(1, 1);
        chart.groups[0].points = points;
        let texts = texts(&scatter(&chart).unwrap());
        let [low, high] = labels.map(|l| at(&texts, l));
        assert_eq!((low.len(), high.len()), (2, 2), "both axes have the label: {texts:?}");
        // The vertical axis is drawn second.
        let (along, up) = (high[0].0 - low[0].0, low[1].1 - high[1].1);
        assert!((along - up).abs() < 1.0 && along > 300.0, "{along} is not {up}");
    }
}

#[test]
fn scatter_at_extremes() {
    let mut chart = scatter_chart(1, 1);
    check("scatter-one", || scatter(&chart));
    (chart.unit, chart.band) = (String::new(), Some(3.0));
    chart.groups[0].points = vec![(1e-8, 1e6), (2.0, 3.0)];
    check("scatter-wide", || scatter(&chart));
    let mut chart = scatter_chart(60, 20);
    chart.groups.iter_mut().step_by(2).for_each(|g| g.name = LONG.to_owned());
    (chart.title, chart.x_title, chart.y_title) = (LONG.repeat(3), LONG.repeat(2), LONG.repeat(2));
    let texts = check("scatter-crowd", || scatter(&chart));
    assert!(has(&texts, "more"), "what is not shown is counted: {texts:?}");
    let with = |points: &[(f64, f64)]| {
        let mut chart = scatter_chart(1, 1);
        chart.groups[0].points = points.to_vec();
        scatter(&chart)
    };
    let bad = [(f64::NAN, 1.0), (1.0, f64::INFINITY), (0.0, 1.0), (1.0, -1.0)];
    let good = [(1e-3, 2e-3), (3e-3, 2e-3)];
    assert_eq!(with(&[&bad[..], &good].concat()).unwrap(), with(&good).unwrap());
    assert!(matches!(with(&bad), Err(PlotError::Empty(_))));
    chart.groups.clear();
    assert!(matches!(scatter(&chart), Err(PlotError::Empty(_))));
}

fn error_chart(groups: u32, count: usize) -> ErrorChart {
    let group = |i: u32| ErrorGroup {
        name: NAMES[i as usize % NAMES.len()].to_owned(),
        points: measured(i, count).into_iter().map(|(b, m, p)| (b, p / m - 1.0)).collect(),
    };
    ErrorChart {
        title: "decode attention, MHA: error against cache bytes".to_owned(),
        note: "12,000 rows held out; bf16 and fp8 caches; each framework against its own profile".to_owned(),
        x_title: "cache read".to_owned(),
        y_title: "error of the prediction".to_owned(),
        groups: (0..groups).map(group).collect(),
        marks: [(40e6, "A100 L2"), (50e6, "H100 L2"), (126e6, "B200 L2")]
            .map(|(b, n)| (b, n.to_owned()))
            .to_vec(),
    }
}

#[test]
fn errors_of_thousands() {
    let chart = error_chart(4, 3_000);
    let texts = check("errors", || errors(&chart));
    for part in ["+50 %", "−50 %", "0 %", "100 kB", "10 GB", "H100 L2", "median of all", "beyond ±50 %: "]
    {
        assert!(has(&texts, part), "{part} is missing: {texts:?}");
    }
    let svg = errors(&error_chart(4, 40_000)).unwrap().svg;
    assert!(svg.len() < 900_000, "{} bytes: points of one pixel are drawn once", svg.len());
}

#[test]
fn errors_at_extremes() {
    let texts = check("errors-one", || errors(&error_chart(1, 1)));
    assert!(!has(&texts, "median") && !has(&texts, "L2"), "no line for one point: {texts:?}");
    let mut chart = error_chart(60, 20);
    chart.groups.iter_mut().step_by(2).for_each(|g| g.name = LONG.to_owned());
    (chart.title, chart.x_title, chart.y_title) = (LONG.repeat(3), LONG.repeat(2), LONG.repeat(2));
    chart.marks = (0..12).map(|i| (4e7 * 1.3f64.powi(i), format!("a GPU's L2 {i}"))).collect();
    chart.marks.push((7e9, LONG.to_owned()));
    let texts = check("errors-crowd", || errors(&chart));
    assert!(has(&texts, "more") && has(&texts, "without room for a name"), "{texts:?}");
    let with = |points: &[(f64, f64)]| {
        let mut chart = error_chart(1, 1);
        chart.groups[0].points = points.to_vec();
        errors(&chart)
    };
    let bad = [(f64::NAN, 0.1), (1.0, f64::INFINITY), (0.0, 0.1), (-5.0, 0.1)];
    let good = [(1e6, 0.01), (1e7, -0.9), (1e8, 40.0)];
    assert_eq!(with(&[&bad[..], &good].concat()).unwrap(), with(&good).unwrap());
    let texts: Vec<String> = texts_of(&with(&good).unwrap());
    assert!(has(&texts, "beyond ±50 %: 2"), "{texts:?}");
    assert!(matches!(with(&bad), Err(PlotError::Empty(_))));
}

fn texts_of(plot: &Plot) -> Vec<String> {
    texts(plot).into_iter().map(|(text, ..)| text).collect()
}

#[test]
fn svg_is_well_formed_whatever_the_names() {
    let mut chart = speedup_chart(vec![curve(1, 0.9, 1.7, 60_000.0)]);
    chart.model = "</title><script>&\u{0}\u{1b}\"'\u{fffe}".to_owned();
    let plot = speedup(&chart).unwrap();
    assert!(!plot.svg.contains("<script"));
    plot.png().unwrap();
}
