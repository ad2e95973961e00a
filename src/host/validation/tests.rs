#![allow(clippy::unwrap_used, reason = "tests")]
use super::*;
use crate::config::{Overrides, load_accelerator};
use crate::hardware::Accelerator;
use crate::host::kernels::Shape;
use crate::host::measure::{Summary as Times, Tier};
use crate::units::Dtype;

/// A point of these ratios, measured, predicted and by the roofline.
pub(in crate::host) fn point(
    [measured_ratio, predicted_ratio, roofline_ratio]: [f64; 3],
    time_errors: [f64; 2],
) -> Compared {
    Compared {
        heads: 1,
        head_dim: 16,
        context: 1,
        batch: 1,
        dtype: "fp32",
        threads: 1,
        tier: "dram",
        measured_seconds: serde_json::Map::new(),
        predicted_seconds: serde_json::Map::new(),
        measured_ratio,
        predicted_ratio,
        roofline_ratio,
        spread: 0.0,
        time_errors,
    }
}

#[track_caller]
fn close(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-12, "{found} is not {expected}");
}

/// Errors of the ratio 0.1, 0.2, 0.3 and 0.4; of the roofline's 0.5, 1.4, 1 and 0.2; of times 0 to 0.7. The third is undecided. Of the others
/// the prediction is wrong about the last, the roofline about the first two.
fn four() -> [Compared; 4] {
    [
        point([2.0, 2.2, 1.0], [0.1, 0.0]),
        point([0.5, 0.4, 1.2], [0.2, 0.3]),
        point([1.0, 1.3, 2.0], [0.4, 0.5]),
        point([1.25, 0.75, 1.5], [0.6, 0.7]),
    ]
}

#[test]
fn an_even_count_is_summed_up_by_hand() {
    let sums = summarise(&four(), 7).unwrap();
    close(sums.errors.ratio_median_error, 0.25);
    close(sums.errors.ratio_p90_error, 0.37);
    close(sums.errors.roofline_ratio_median_error, 0.75);
    close(sums.errors.roofline_ratio_p90_error, 1.28);
    close(sums.errors.time_median_error, 0.35);
    assert_eq!((sums.errors.decided_points, sums.rejected_samples), (3, 7));
    close(sums.errors.winner_agreement, 2.0 / 3.0);
    close(sums.errors.roofline_winner_agreement, 1.0 / 3.0);
}

#[test]
fn an_odd_count_is_summed_up_by_hand() {
    let sums = summarise(&four()[..3], 0).unwrap();
    close(sums.errors.ratio_median_error, 0.2);
    close(sums.errors.ratio_p90_error, 0.28);
    close(sums.errors.time_median_error, 0.25);
    close(sums.errors.winner_agreement, 1.0);
    assert_eq!(sums.errors.decided_points, 2);
}

#[test]
fn points_near_1_decide_nothing() {
    // All predicted wrongly.
    let undecided = [0.95, 0.96, 1.04, 1.05].map(|r| point([r, 2.0 - r, 1.0], [0.0; 2]));
    let sums = summarise(&undecided, 0).unwrap();
    assert_eq!((sums.errors.decided_points, sums.errors.winner_agreement), (0, 1.0));
    let decided = [0.949, 1.051].map(|r| point([r, 2.0 - r, 1.0], [0.0; 2]));
    let sums = summarise(&decided, 0).unwrap();
    assert_eq!((sums.errors.decided_points, sums.errors.winner_agreement), (2, 0.0));
    assert_eq!(summarise(&[], 0), None);
}

fn host() -> Accelerator {
    load_accelerator("tests/data/host/host.toml", &Overrides::default()).unwrap()
}

fn measured(dtype: Dtype) -> Measured {
    let shape = Shape { heads: 4, head_dim: 64, context: 4096, batch: 1 };
    let times = [(Scheme::KvCache, 3e-4, 0.03), (Scheme::SlimK, 2e-4, 0.04)];
    Measured {
        setting: Setting { shape, dtype, threads: 1, tier: Tier::Dram },
        times: times.map(|(scheme, median, spread)| (scheme, Times { median, spread, samples: 5 })).to_vec(),
        rejected: 2,
    }
}

#[test]
fn a_point_is_compared_scheme_by_scheme() {
    let predictor = Predictor::new(&host()).unwrap();
    let point = measured(Dtype::Fp32);
    let [found] = compare(std::slice::from_ref(&point), &predictor).0.try_into().unwrap();
    close(found.measured_ratio, 1.5);
    close(found.spread, 0.05);
    let [kv, slim] = [Scheme::KvCache, Scheme::SlimK].map(|s| predictor.seconds(&point.setting, s).unwrap());
    close(found.predicted_ratio, kv / slim);
    close(found.time_errors[0], (kv / 3e-4 - 1.0).abs());
    close(found.time_errors[1], (slim / 2e-4 - 1.0).abs());
    assert_eq!(found.predicted_seconds["slim-k"], slim);
    assert_eq!(found.measured_seconds["kv-cache"], 3e-4);
    // Twice 4 MiB against 4 MiB and the 256 KiB of W_KV: so few heads are bound by bytes.
    close(found.roofline_ratio, 8.0 / 4.25);
}

#[test]
fn what_was_not_measured_of_the_machine_is_said() {
    let predictor = Predictor::new(&host()).unwrap();
    // The file has no rates of this type.
    let (compared, refused) = compare(&[measured(Dtype::Fp16), measured(Dtype::Fp32)], &predictor);
    assert_eq!((compared.len(), refused.len()), (1, 1));
    let error = refused[0].to_string();
    assert!(error.contains("fp16"), "{error}");
    let mut point = measured(Dtype::Fp32);
    point.times.truncate(1);
    assert_eq!(compare(&[point], &predictor), (vec![], vec![]));
}
