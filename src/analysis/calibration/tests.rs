#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;
use crate::config::{Overrides, load_accelerator};
use crate::hardware::kernel::SplitRule;
use crate::units::Picos;

fn h100() -> Accelerator {
    load_accelerator("h100-sxm", &Overrides::default()).unwrap()
}

const TRUE: Constants = Constants {
    launch: Picos(9_000_000),
    work_item: Some(Picos(1_200_000)),
    combine: Some(Picos(4_000_000)),
    item_rate: Some(45_000_000_000),
    memory_fraction: Some(0.9),
    mac_fraction: None,
    overlap: None,
    l2_reach: Some(0.6),
};

/// Attention as a kernel of known constants takes it, each row off by up to `noise`.
fn made(contexts: &[u64], batches: &[u64], noise: f64) -> Group {
    let policy = Policy { split: SplitRule::FillUp, block: 128, ..Policy::PLAIN };
    let timer = KernelTimer::new(&h100(), policy, &TRUE, Residency::Hot);
    let mut draw = Pcg64Mcg::seed_from_u64(3);
    let mut rows = Vec::new();
    for &heads in &[4, 8, 16, 32] {
        for &batch in batches {
            for &context in contexts {
                let task = Task::of_heads(heads, heads, 128, Dtype::Bf16, context, batch);
                let off = 2.0 * (draw.next_u64() as f64 / u64::MAX as f64) - 1.0;
                let seconds = task.seconds(&timer).unwrap() * (1.0 + noise * off);
                rows.push(Observation { task, seconds });
            }
        }
    }
    Group { kind: Kind::Mha, dtype: Dtype::Bf16, name: Some("made".into()), rows }
}

const CONTEXTS: [u64; 7] = [128, 300, 1024, 3000, 8192, 20_000, 60_000];
const BATCHES: [u64; 5] = [1, 3, 8, 30, 100];

#[test]
fn known_constants_are_found_again() {
    let kernel = calibrate(&h100(), &made(&CONTEXTS, &BATCHES, 0.02), 1, &|| ()).unwrap();
    let fit = kernel.fit.unwrap();
    assert_eq!((fit.rows, fit.held_out_rows), (112, 28));
    assert!(fit.mape < 0.02 && fit.held_out_mape < 0.025, "{fit:?}");
    let c = kernel.constants;
    let near = |x: f64, y: f64, by: f64| (x / y - 1.0).abs() < by;
    assert!(near(c.memory_fraction.unwrap(), 0.9, 0.02), "{c:?}");
    assert!(near(c.launch.seconds(), 9e-6, 0.15), "{c:?}");
    assert!(c.given() <= Constants::MOST);
    assert!(fit.low < 1.0 && fit.high > 1.0 && fit.high - fit.low < 0.08, "{fit:?}");
}

#[test]
fn the_same_seed_holds_the_same_rows_out() {
    let group = made(&CONTEXTS[..4], &BATCHES[..3], 0.05);
    let times = |rows: &[&Observation]| rows.iter().map(|o| o.seconds.to_bits()).collect::<Vec<_>>();
    let (seen, out) = split(&group.rows, 5);
    assert_eq!(times(&split(&group.rows, 5).1), times(&out));
    assert_ne!(times(&split(&group.rows, 6).1), times(&out));
    assert_eq!(seen.len() + out.len(), group.rows.len());
    assert!(times(&out).iter().all(|t| !times(&seen).contains(t)), "a row is both seen and held out");
}

#[test]
fn what_rows_do_not_say_is_refused() {
    let few = made(&CONTEXTS[..3], &BATCHES[..2], 0.0);
    let refusal = calibrate(&h100(), &few, 1, &|| ()).unwrap_err();
    assert!(matches!(refusal, Refusal::TooFew { rows: 24, needed: 38 }), "{refusal}");
    // Every cache fits a fraction of the L2: what the memory achieves does not show.
    let small = made(&[128, 160, 200, 256, 300], &[1, 2, 3], 0.0);
    let refusal = calibrate(&h100(), &small, 1, &|| ()).unwrap_err();
    assert!(refusal.to_string().contains("'memory_fraction'"), "{refusal}");
}
