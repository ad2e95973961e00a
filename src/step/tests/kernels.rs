//! Kernels as a profile lays them out: their parts by hand, a closed form, and what no layout may beat.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::fixtures::subject_under;
use crate::attention::{Conditions, Scheme};
use crate::config::{Overrides, load_accelerator, load_model};
use crate::engine;
use crate::hardware::kernel::{
    Constants, Kernel, KernelProfile, Kind, MeasuredRate, Phase, Policy, SplitRule, Tiling,
};
use crate::mapping::attention::{Residence, Shape};
use crate::mapping::kernel::{attention, found_on_chip, product_bound, tilings};
use crate::mapping::machine::Machine;
use crate::mapping::product::Shape as ProductShape;
use crate::step::kernel::{KernelTimer, kernel_of};
use crate::units::{Bytes, Dtype, Femtos, Picos};
use crate::workload::{Batch, Work, decode};
use proptest::prelude::*;
use std::sync::Arc;

const fn policy(split: SplitRule, block: u64, unsplit: u64) -> Policy {
    Policy { split, block, unsplit, ..Policy::PLAIN }
}

#[test]
fn parts_by_hand() {
    let up = policy(SplitRule::FillUp, 64, 0);
    let down = policy(SplitRule::FillDown, 64, 0);
    // 16 items on 132 places: 8 each fill a round, 9 open another.
    assert_eq!((down.parts(16, 8192, 132), up.parts(16, 8192, 132)), (8, 9));
    // Exactly filled: no last part.
    assert_eq!((down.parts(4, 8192, 132), up.parts(4, 8192, 132)), (33, 33));
    // More items than places are not split.
    assert_eq!((down.parts(133, 8192, 132), up.parts(133, 8192, 132)), (1, 1));
    // No part without a block, and no split of short sequences.
    assert_eq!(up.parts(1, 640, 132), 10);
    assert_eq!(policy(SplitRule::FillUp, 64, 512).parts(1, 512, 132), 1);
    assert_eq!(policy(SplitRule::None, 64, 0).parts(1, 1 << 20, 132), 1);
    // 16 items of ⌈16384 / 112⌉ = 147 blocks, a tenth more: ⌈16·147·1.1 / 108⌉ = 24 a place, so ⌈147 / 24⌉ = 7 parts; of 8192 tokens 74
    // blocks, 13 a place, 6 parts. Both are visible in SGLang's tables of A100.
    let even = policy(SplitRule::EvenBlocks, 112, 0);
    assert_eq!((even.parts(16, 16_384, 108), even.parts(16, 8192, 108)), (7, 6));
    // 32 items on 108 places: 2 parts fill 64/108 of a round, 3 fill 96/108 = 0.89, and none fills more than 1: 3 are enough.
    assert_eq!(policy(SplitRule::FullestRounds, 128, 0).parts(32, 16_384, 108), 3);
    // Four fifths of a round are not split.
    assert_eq!(policy(SplitRule::FullestRounds, 128, 0).parts(87, 16_384, 108), 1);
}

#[test]
fn a_loop_is_found_up_to_the_reach() {
    let found = |mb: u64| found_on_chip(Bytes(40_000_000), Bytes(mb * 1_000_000));
    assert_eq!((found(1), found(40), found(60), found(400)), (1.0, 1.0, 0.0, 0.0));
    assert!((found(50) - 0.5).abs() < 1e-12);
}

fn h100() -> crate::hardware::Accelerator {
    load_accelerator("h100-sxm", &Overrides::default()).unwrap()
}

const CONSTANTS: Constants = Constants {
    launch: Picos(8_000_000),
    work_item: Some(Picos(1_000_000)),
    combine: Some(Picos(2_000_000)),
    item_rate: Some(1 << 40),
    memory_fraction: Some(0.5),
    mac_fraction: None,
    overlap: Some(1.0),
    l2_reach: None,
};

/// One full round from memory, the array and the vector unit far from busy: launch, start, bytes, latency, and what the last tile takes
/// behind its arrival.
#[test]
fn one_round_is_launch_start_bytes_and_latency() {
    let machine = Machine::under(&h100(), &CONSTANTS);
    let shape = Shape::of_heads(132, 132, 128, Dtype::Bf16);
    let batch = Batch::uniform(4096, 1);
    let laid = attention(&machine, &policy(SplitRule::None, 64, 0), &shape, &batch, 0.0).unwrap();
    let queries_and_results = 132 * 128 * 2 * 2;
    let bytes = 132 * 2 * 128 * 2 * 4096 + queries_and_results;
    let moved = bytes as f64 / (0.5 * 3.35e12);
    let expected = 8e-6 + 1e-6 + moved + machine.memory_latency().0 as f64 * 1e-15;
    let time = engine::time(&laid.program).0 as f64 * 1e-15;
    let tile = laid.program.waves[0].runs[0].0;
    let last = tile.chain().max(tile.sram).0 as f64 * 1e-15;
    assert!((time - expected - last).abs() < 1e-3 * expected, "{time} {expected} {last}");
    assert_eq!((laid.split, laid.behind.0), (1, Femtos::ZERO));
}

proptest! {
    #[test]
    fn no_layout_beats_the_memory_or_the_array(
        groups in 1u64..64, heads in prop::sample::select(vec![1u64, 4, 8]), context in 1u64..40_000, batch in 1u64..64,
        rule in prop::sample::select(SplitRule::ALL.to_vec()), block in prop::sample::select(vec![16u64, 64, 112, 256]),
        padded in prop::option::of(prop::sample::select(vec![64u64, 128])), items_per_core in 1u64..3, fraction in 0.2f64..1.0, mac in 0.02f64..1.0, ragged in any::<bool>(),
    ) {
        let constants = Constants { memory_fraction: Some(fraction), mac_fraction: Some(mac), ..CONSTANTS };
        let spec = h100();
        let machine = Machine::under(&spec, &constants);
        let shape = Shape::of_heads(groups * heads, groups, 128, Dtype::Bf16);
        let policy = Policy { padded_rows: padded, items_per_core, ..policy(rule, block, 0) };
        let contexts = if ragged { vec![context, context.div_ceil(3), 1] } else { vec![context; batch as usize] };
        let sequences = Batch::ragged(&contexts);
        let laid = attention(&machine, &policy, &shape, &sequences, 0.0).unwrap();
        prop_assert!(laid.split >= 1 && laid.split <= context.div_ceil(block));
        let time = engine::run(&laid.program);
        prop_assert_eq!(time.causes.total(), time.time);
        let seconds = time.time.0 as f64 * 1e-15;
        let bytes = (2 * 128 * 2 * groups * sequences.tokens()) as f64;
        prop_assert!(seconds > bytes / (fraction * 3.35e12) * 0.999, "{} of {}", seconds, bytes);
        let peak = spec.peak_macs_per_second(Dtype::Bf16).unwrap() as f64;
        prop_assert!(seconds > laid.spent.mac_slots as f64 / peak / mac * 0.98);
    }

    #[test]
    fn no_product_beats_its_bound_or_the_memory(
        m in 1u64..600, n in 1u64..20_000, k in 1u64..20_000, items_per_core in 1u64..3,
        rule in prop::sample::select(vec![SplitRule::None, SplitRule::FillDown, SplitRule::FillUp]),
    ) {
        let machine = Machine::under(&h100(), &CONSTANTS);
        let product = crate::hardware::mac_array::Product { repeats: 1, m, k, n };
        let shape = ProductShape {
            product, weights: Dtype::Bf16.bytes(k * n), input: Dtype::Bf16.bytes(m * k), output: Dtype::Bf16.bytes(m * n),
            dtype: Dtype::Bf16, input_from_memory: Bytes::ZERO, prefetched: false, pass: None,
        };
        let policy = Policy { items_per_core, ..policy(rule, 64, 0) };
        for tiling in tilings(&policy, product) {
            let Some(laid) = crate::mapping::kernel::product(&machine, &policy, &shape, tiling, 0.0) else { continue };
            let time = engine::time(&laid.program);
            let bound = product_bound(&machine, &policy, &shape, tiling);
            prop_assert!(time >= bound, "{:?}: {:?} {:?}", tiling, time, bound);
            let moved = shape.weights.as_f64() / (0.5 * 3.35e12);
            prop_assert!(time.0 as f64 * 1e-15 > 0.99 * moved, "{:?}", tiling);
        }
    }
}

#[test]
fn a_library_chooses_among_row_blocks_that_are_not_all_padding() {
    let product = |m| crate::hardware::mac_array::Product { repeats: 1, m, k: 64, n: 64 };
    let rows = |m| tilings(&Policy::PLAIN, product(m)).map(|t| t.rows).max().unwrap();
    assert_eq!((rows(1), rows(64), rows(65), rows(1000)), (1, 64, 65, 256));
    let own = Policy { tiling: Some(Tiling { rows: 128, columns: 64 }), ..Policy::PLAIN };
    assert_eq!(tilings(&own, product(1000)).count(), 1);
}

/// Heads that score slices of a shared row are laid out by a kernel of their own where the profile has one, and else as before.
#[test]
fn slices_of_a_shared_row_have_a_kernel_where_the_profile_has_it() {
    let kernel = |kind| Kernel {
        kind,
        dtype: Dtype::Bf16,
        name: None,
        policy: Policy { heads: u64::MAX, ..Policy::PLAIN },
        constants: CONSTANTS,
        rival: None,
        fit: None,
    };
    let profile = |kinds: &[Kind]| KernelProfile {
        name: "own".into(),
        accelerator: "own".into(),
        framework: "own".into(),
        source: "made up".into(),
        note: None,
        machine: None,
        kernels: kinds.iter().copied().map(kernel).collect(),
        rates: Vec::new(),
    };
    // Without rotated keys, which slim-v does not admit.
    let set = Overrides::parse(&["model.position=alibi"]).unwrap();
    let model = load_model("codellama-7b", &set).unwrap();
    let found = |scheme: &str, query_tokens, kinds: &[Kind]| {
        let conditions = Conditions { query_tokens, ..Conditions::default() };
        let subject = subject_under(Scheme::find(scheme).unwrap(), model.clone(), &conditions);
        let operators = decode(&subject, &Batch::uniform(1024, 1));
        let attention = operators.iter().find(|o| matches!(o.work, Work::Attention(_))).unwrap();
        kernel_of(&profile(kinds), &subject, &attention.work)
    };
    let (with, without) = ([Kind::Mla, Kind::SlimK], [Kind::Mla]);
    assert_eq!(found("slim-k", 1, &with), Some((Kind::SlimK, Dtype::Bf16, true)));
    assert_eq!(found("slim-k", 4, &with), Some((Kind::SlimK, Dtype::Bf16, false)));
    assert_eq!(found("slim-k", 1, &without), Some((Kind::Mla, Dtype::Bf16, false)));
    assert_eq!(
        found("slim-v", 1, &with),
        Some((Kind::Mla, Dtype::Bf16, false)),
        "its scores take whole rows"
    );
    assert_eq!(found("kv-cache", 1, &with), Some((Kind::Mha, Dtype::Bf16, true)));
}

/// A profile with nothing but `rates`, each a phase, what it is of, and its rate with bf16 rows of 32 heads of 128.
fn rates_alone(rates: &[(Phase, Option<Kind>, u64)]) -> Arc<KernelProfile> {
    let rate = |&(phase, kind, per_second)| MeasuredRate {
        phase,
        kind,
        dtype: Dtype::Bf16,
        heads: 32,
        head_dim: 128,
        tile: 64,
        per_second,
        spread: 0.0,
    };
    Arc::new(KernelProfile {
        name: "own".into(),
        accelerator: "own".into(),
        framework: "own".into(),
        source: "made up".into(),
        note: None,
        machine: None,
        kernels: Vec::new(),
        rates: rates.iter().map(rate).collect(),
    })
}

/// Attention of slim-k over `batch`, 32 heads of 128.
fn slim_attention(batch: &Batch) -> Shape {
    let model = load_model("codellama-7b", &Overrides::parse(&["model.position=alibi"]).unwrap()).unwrap();
    let subject = subject_under(Scheme::find("slim-k").unwrap(), model, &Conditions::default());
    let attention = decode(&subject, batch).into_iter().find_map(|o| match o.work {
        Work::Attention(a) => Some(a),
        _ => None,
    });
    Shape::of(&attention.unwrap(), Dtype::Bf16, Residence::Memory)
}

const SCORES: u64 = 1_000_000_000;
const PRODUCTS: u64 = 2_000_000_000;
const EXPONENTIALS: u64 = 100_000_000;
const SLOW: [(Phase, Option<Kind>, u64); 3] =
    [(Phase::Scores, None, SCORES), (Phase::Product, None, PRODUCTS), (Phase::Softmax, None, EXPONENTIALS)];
/// Seconds that a token's phases take at these rates, one after the other.
fn a_token() -> f64 {
    let (heads, width) = (32.0, 4096.0);
    width / SCORES as f64 + heads / EXPONENTIALS as f64 + heads * width / PRODUCTS as f64
}

/// Measured rates stand for the units' own, phase by phase: where they are slow and nothing is scored ahead, time is their sum.
#[test]
fn measured_rates_take_the_place_of_the_units() {
    let batch = Batch::uniform(4096, 1);
    let shape = slim_attention(&batch);
    // Rows of 8 KiB: sixteen tokens are what fits a core.
    let policy = Policy { pipelined: false, heads: u64::MAX, ..policy(SplitRule::None, 16, 0) };
    let timer = KernelTimer::on(Machine::under(&h100(), &CONSTANTS), policy);
    let seconds = |timer: &KernelTimer| timer.attention(&shape, &batch).unwrap().0 as f64 * 1e-15;
    let measured = seconds(&timer.clone().measured_by(&rates_alone(&SLOW), Kind::SlimK));
    // Beside the launch, the start and the first tile's load.
    let beside = measured - 4096.0 * a_token();
    assert!((8e-6..40e-6).contains(&beside), "{measured} {}", 4096.0 * a_token());
    assert!(measured > 10.0 * seconds(&timer), "the units by themselves are faster");
    // A walk at the rate of loading and computing one after the other: nothing overlaps, and all loads are added.
    let load = 8192.0 / 1e9;
    let serial = (8192.0 / (load + a_token())).round() as u64;
    let mut walked = SLOW.to_vec();
    walked.extend([(Phase::Stream, None, 1_000_000_000), (Phase::Walk, Some(Kind::SlimK), serial)]);
    let walked = seconds(&timer.clone().measured_by(&rates_alone(&walked), Kind::SlimK));
    let added = (walked - measured) / (4096.0 * load);
    assert!((0.99..1.02).contains(&added), "{added}");
    // The same work on cores that slow each other down.
    let together = Constants { mac_fraction: Some(0.5), ..CONSTANTS };
    let timer = KernelTimer::on(Machine::under(&h100(), &together), policy);
    let slowed = seconds(&timer.measured_by(&rates_alone(&SLOW), Kind::SlimK));
    assert!((slowed - measured - 4096.0 * a_token()).abs() < 1e-6 * slowed, "{slowed} {measured}");
}

/// Three sequences on two cores: in equal shares of tokens half a sequence less than where each is walked by one core.
#[test]
fn equal_shares_of_tokens_leave_no_core_idle() {
    let mut two = h100();
    two.cores.count = 2;
    let seconds = |split, sequences| {
        let batch = Batch::uniform(4096, sequences);
        let policy = Policy { pipelined: false, heads: u64::MAX, ..policy(split, 16, 0) };
        let timer = KernelTimer::on(Machine::under(&two, &CONSTANTS), policy);
        let layout = timer
            .clone()
            .measured_by(&rates_alone(&SLOW), Kind::SlimK)
            .layout(&slim_attention(&batch), &batch)
            .unwrap();
        // However they are shared out, the same rows are read.
        assert_eq!(layout.spent.shared, Bytes(8192 * 4096 * sequences));
        engine::time(&layout.program).0 as f64 * 1e-15 / (4096.0 * a_token())
    };
    let near = |found: f64, sequences: f64| assert!((found / sequences - 1.0).abs() < 0.002, "{found}");
    near(seconds(SplitRule::EvenTokens, 3), 1.5);
    near(seconds(SplitRule::FillDown, 3), 2.0);
    near(seconds(SplitRule::EvenTokens, 7), 3.5);
    near(seconds(SplitRule::EvenTokens, 4), 2.0);
    near(seconds(SplitRule::EvenTokens, 1), 0.5);
    // What is shorter than a tile is not shared out.
    let short = Batch::uniform(16, 1);
    let policy = Policy { heads: u64::MAX, ..policy(SplitRule::EvenTokens, 16, 0) };
    let timer = KernelTimer::on(Machine::under(&two, &CONSTANTS), policy);
    let one = timer.layout(&slim_attention(&short), &short).unwrap();
    assert_eq!(one.program.waves.iter().map(|w| w.repeat).sum::<u64>(), 1);
    assert_eq!(one.spent.shared, Bytes(8192 * 16));
}
