use super::*;
use crate::config::{Overrides, load_accelerator, load_kernels};
use crate::hardware::Accelerator;
use crate::host::measure;

fn predictor() -> Predictor {
    let machine = load_accelerator("h100-sxm", &Overrides::default()).expect("a preset");
    let own = Some(load_kernels("h100-sxm-sglang").expect("a preset").into());
    Predictor::new(&Accelerator { own_kernels: own, ..machine }).expect("a profile")
}

/// A point that took a ratio of 1.25, give or take 5 %.
fn point(group: Group, heads: usize, context: usize) -> Measured {
    let shape = Shape { heads, head_dim: 64, context, batch: group.batch };
    let setting = Setting { shape, dtype: Dtype::Bf16, threads: group.threads, tier: group.tier };
    let time = |median, spread| measure::Summary { median, spread, samples: 9 };
    let times = vec![(Scheme::KvCache, time(5e-3, 0.03)), (Scheme::SlimK, time(4e-3, 0.04))];
    Measured { setting, times, rejected: 0 }
}

fn grid(group: Group, heads: &[usize], contexts: &[usize]) -> Vec<Measured> {
    heads.iter().flat_map(|&h| contexts.iter().map(move |&n| point(group, h, n))).collect()
}

const FOUR: Group = Group { threads: 4, tier: Tier::Dram, batch: 1 };
const HEADS: [usize; 6] = [4, 8, 12, 16, 24, 32];
const CONTEXTS: [usize; 5] = [512, 2048, 8192, 32_768, 131_072];

#[test]
fn a_line_has_the_predictors_values_at_the_measured_points() {
    let predictor = predictor();
    let points = grid(FOUR, &HEADS, &CONTEXTS);
    let curves = curves(&points, &predictor).expect("points");
    assert_eq!((curves.group, curves.points), (FOUR, 30));
    let held = |curves: &[Curve]| curves.iter().map(|c| c.held).collect::<Vec<_>>();
    assert_eq!(held(&curves.over_context), [4, 8, 16, 32]);
    assert_eq!(held(&curves.over_heads), [512, 8192, 131_072]);
    let all = [(Over::Context, &curves.over_context), (Over::Heads, &curves.over_heads)];
    for (over, curve) in all.into_iter().flat_map(|(over, all)| all.iter().map(move |c| (over, c))) {
        assert!(curve.line.windows(2).all(|w| w[0].x < w[1].x), "{curve:?}");
        assert!(curve.line.len() > 4 * curve.points.len(), "{} values", curve.line.len());
        let x = if over == Over::Context { CONTEXTS.to_vec() } else { HEADS.to_vec() };
        assert_eq!(curve.points.iter().map(|p| p.x).collect::<Vec<_>>(), x);
        for found in &curve.points {
            assert!((found.ratio - 1.25).abs() < 1e-12 && (found.spread - 0.05).abs() < 1e-12, "{found:?}");
            let (heads, context) =
                if over == Over::Context { (curve.held, found.x) } else { (found.x, curve.held) };
            let setting = point(FOUR, heads, context).setting;
            let seconds = |scheme| predictor.seconds(&setting, scheme).expect("feasible");
            let roofline = |scheme| predictor.roofline(&setting, scheme).expect("a bandwidth");
            let at = curve.line.iter().find(|p| p.x == found.x).expect("the line passes every point");
            assert_eq!(at.ratio, seconds(Scheme::KvCache) / seconds(Scheme::SlimK));
            assert_eq!(at.roofline, roofline(Scheme::KvCache) / roofline(Scheme::SlimK));
        }
    }
}

#[test]
fn lines_go_a_factor_of_two_beyond_the_contexts_and_not_beyond_the_heads() {
    let ends = |values: Vec<usize>| (values[0], values[values.len() - 1]);
    assert_eq!(ends(Over::Context.values(&[2048, 16_384])), (1024, 32_768));
    assert_eq!(ends(Over::Heads.values(&[32, 4, 8])), (4, 32));
    assert_eq!(ends(Over::Heads.values(&[8])), (4, 16), "a line needs two values");
    assert_eq!(ends(Over::Context.values(&[1])), (1, 2));
    assert!(Over::Heads.values(&[1, 100_000]).len() <= HEAD_VALUES + 2);
}

#[test]
fn a_few_values_stand_for_all() {
    let of = |values: &[usize], most| spread_out(values.iter().copied(), most);
    assert_eq!(of(&HEADS, 4), [4, 8, 16, 32]);
    assert_eq!(of(&CONTEXTS, 3), [512, 8192, 131_072]);
    assert_eq!(of(&[8, 4, 8, 4], 4), [4, 8], "few enough: all");
    assert_eq!(of(&[4, 4, 4, 8, 8, 16], 4), [4, 8], "16 comes too seldom");
    assert_eq!(of(&[100, 101, 102, 103, 10_000], 3), [100, 103, 10_000]);
    assert!(of(&[], 3).is_empty());
}

#[test]
fn the_plainest_of_the_large_groups_is_drawn() {
    let group = |threads, tier, batch| Group { threads, tier, batch };
    let one = group(1, Tier::Dram, 1);
    let points = |groups: &[(Group, usize)]| -> Vec<Measured> {
        groups.iter().flat_map(|(g, count)| grid(*g, &HEADS[..1], &CONTEXTS[..*count])).collect()
    };
    let many =
        [(group(2, Tier::Dram, 1), 5), (group(1, Tier::Cache, 1), 4), (one, 4), (group(1, Tier::Dram, 4), 5)];
    assert_eq!(super::group(&points(&many)), Some(one));
    let few = [(one, 2), (group(2, Tier::Dram, 4), 5), (group(2, Tier::Cache, 1), 5)];
    assert_eq!(super::group(&points(&few)), Some(group(2, Tier::Dram, 4)), "two points are too few of five");
    assert_eq!(super::group(&[]), None);
    assert_eq!(curves(&[], &predictor()), None);
}
