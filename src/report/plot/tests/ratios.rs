use super::*;

/// A ratio that saturates with context and falls with heads, as the schemes' do.
fn ratio(context: f64, heads: f64, width: f64) -> f64 {
    let long = context / (context + 8.0 * heads * width);
    2.0 * long / (1.0 + heads / 40.0 * width / 64.0) + 0.02
}

fn line(x: &[f64], fine: &[f64], at: impl Fn(f64) -> f64) -> RatioLine {
    RatioLine {
        measured: x.iter().enumerate().map(|(i, &x)| (x, at(x) * 1.05, 0.02 * (i % 4) as f64)).collect(),
        predicted: fine.iter().map(|&x| (x, at(x))).collect(),
        roofline: fine.iter().map(|&x| (x, at(x).mul_add(0.5, 1.0).min(2.0))).collect(),
    }
}

fn chart(contexts: &[f64], heads: &[f64], panels: &[(&str, f64)]) -> RatioChart {
    let label = |v: &f64| (*v, crate::report::context(*v as u64));
    let fine: Vec<f64> = (0..60)
        .map(|i| {
            contexts[0] / 2.0 * (4.0 * contexts[contexts.len() - 1] / contexts[0]).powf(f64::from(i) / 59.0)
        })
        .collect();
    let all: Vec<f64> = (heads[0] as u32..=heads[heads.len() - 1] as u32).map(f64::from).collect();
    let panels = |lines: &dyn Fn(f64) -> Vec<RatioLine>| -> Vec<RatioPanel> {
        panels
            .iter()
            .map(|(title, width)| RatioPanel { title: (*title).to_owned(), lines: lines(*width) })
            .collect()
    };
    RatioChart {
        title: "Attention on a CPU: time of kv-cache over time of slim-k, measured and predicted".to_owned(),
        note: "1 thread, from DRAM, batch 1. Error of the ratio at 120 of 662 points, median and 90th percentile: predicted 6.5 % and \
               16 %, roofline 53 % and 100 %. A processor with a name, 2 CPUs, avx512, L2 2048 KiB, L3 32768 KiB"
            .to_owned(),
        y_title: "time of kv-cache / slim-k".to_owned(),
        above: "slim-k faster".to_owned(),
        below: "kv-cache faster".to_owned(),
        rows: vec![
            RatioRow {
                x_title: "context length (tokens, logarithmic)".to_owned(),
                x: contexts.iter().map(label).collect(),
                logarithmic: true,
                names: heads.iter().map(|h| format!("{h} heads")).collect(),
                panels: panels(&|w| heads.iter().map(|h| line(contexts, &fine, |n| ratio(n, *h, w))).collect()),
            },
            RatioRow {
                x_title: "heads".to_owned(),
                x: heads.iter().map(label).collect(),
                logarithmic: false,
                names: contexts.iter().map(|n| format!("{} tokens", crate::report::context(*n as u64))).collect(),
                panels: panels(&|w| contexts.iter().map(|n| line(heads, &all, |h| ratio(*n, h, w))).collect()),
            },
        ],
    }
}

const CONTEXTS: [f64; 5] = [512.0, 2048.0, 8192.0, 32_768.0, 131_072.0];
const PANELS: [(&str, f64); 4] = [
    ("fp32, head size 64", 64.0),
    ("fp32, head size 128", 128.0),
    ("bf16, head size 64", 90.0),
    ("bf16, head size 128", 180.0),
];

#[test]
fn ratios_over_context_and_heads() {
    let texts = check("ratios", || ratios(&chart(&CONTEXTS, &[4.0, 8.0, 16.0, 32.0], &PANELS)));
    for part in [
        "measured and predicted",
        "predicted",
        "roofline",
        "4 heads",
        "128k tokens",
        "bf16, head size 128",
        "slim-k",
        "faster",
        "1×",
        "context length",
        "32k",
    ] {
        assert!(has(&texts, part), "{part} is missing: {texts:?}");
    }
    let label = |text: &str| texts.iter().filter(|t| *t == text).count();
    assert_eq!(label("1×"), 2, "the vertical axis has its labels at the first panel of each row");
    assert_eq!(label("fp32, head size 64"), 2);
    // The whole note: nothing of it was cut.
    assert!(has(&texts, "32768 KiB") && !texts.iter().any(|t| t.contains('…')), "{texts:?}");
    check("ratios-quick", || ratios(&chart(&CONTEXTS[1..3], &[4.0, 8.0, 16.0, 32.0], &PANELS)));
}

#[test]
fn ratios_at_extremes() {
    let texts = check("ratios-one", || ratios(&chart(&CONTEXTS[..1], &[4.0], &PANELS[..1])));
    assert!(!texts.iter().any(|t| t.contains('…')), "one panel is wide enough for title and note: {texts:?}");
    let mut many = chart(&CONTEXTS, &[4.0, 8.0, 16.0, 32.0], &[PANELS, PANELS].concat());
    (many.title, many.note, many.above) = (LONG.repeat(8), LONG.repeat(20), LONG.to_owned());
    many.rows[0].names = vec![LONG.repeat(3); 4];
    many.rows[1].x_title = LONG.to_owned();
    many.rows[1].panels[3].title = LONG.to_owned();
    many.rows[0].panels[2].lines[1].measured[0] = (512.0, 900.0, 2.0);
    check("ratios-many", || ratios(&many));
}

#[test]
fn ratios_that_cannot_be_drawn_are_left_out() {
    let good = chart(&CONTEXTS, &[4.0, 8.0], &PANELS[..2]);
    let mut bad = good.clone();
    for (x, ratio) in [(0.0, 1.0), (512.0, -1.0), (512.0, f64::NAN), (f64::INFINITY, 1.0)] {
        bad.rows[0].panels[0].lines[0].measured.push((x, ratio, 0.1));
    }
    bad.rows[0].panels[0].lines[0].roofline.push((1e6, f64::NAN));
    assert_eq!(
        ratios(&bad).unwrap().svg.matches("<polygon").count(),
        ratios(&good).unwrap().svg.matches("<polygon").count()
    );
    for panel in bad.rows.iter_mut().flat_map(|r| &mut r.panels) {
        panel.lines.iter_mut().for_each(|l| l.measured.clear());
    }
    assert!(matches!(ratios(&bad), Err(PlotError::Empty(_))));
}
