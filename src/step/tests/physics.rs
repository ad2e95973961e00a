//! The facts about slim attention on the presets, each computed from the machine's own figures and from what the mapper charges.

use super::fixtures::*;
use crate::attention::{Contraction, Precision, ReadWork, Scheme};
use crate::config::{Overrides, load_accelerator};
use crate::engine;
use crate::hardware::Accelerator;
use crate::hardware::interconnect::Cluster;
use crate::hardware::mac_array::{MacArray, Stationary};
use crate::hardware::sram::OnChipBandwidth;
use crate::hardware::vector_unit::VectorUnit;
use crate::mapping::attention::two_pass::TwoPass;
use crate::mapping::attention::{Candidate, Plan, Residence, SPLITS, Shape, TileCost, combine, plans};
use crate::mapping::machine::Machine;
use crate::model::Position;
use crate::units::{Bytes, Dtype, Picos};
use crate::workload::{self, Batch, Work};

fn preset(name: &str) -> Accelerator {
    // Of a flat memory: what is looked at here lies on the chip.
    let flat = Overrides::parse(&["hbm.model=flat"]).expect("an override");
    load_accelerator(name, &flat).expect("presets load")
}

/// The attention shape of 32 heads of 128 under a scheme.
fn shape(scheme: &str) -> Shape {
    let model = llama_7b();
    let subject = subject(Scheme::find(scheme).expect("known"), model, Precision::default());
    let ops = workload::decode(&subject, &Batch::uniform(1, 1));
    let work = ops.iter().find_map(|op| match &op.work {
        Work::Attention(work) => Some(work.clone()),
        _ => None,
    });
    Shape::of(&work.expect("every step has attention"), Dtype::Bf16, Residence::Memory)
}

/// The least time of `plan` over all splits and look-aheads, combining included.
fn fastest(machine: &Machine, shape: &Shape, plan: &Plan, batch: &Batch) -> u64 {
    let times = SPLITS.iter().flat_map(|&split| {
        let (mut program, _) = Candidate::new(machine, shape, plan, split).program(batch);
        let after = combine(machine, shape, batch, split).0;
        plan.lookaheads.into_iter().flatten().map(move |(ahead, slots)| {
            (program.lookahead, program.slots) = (ahead, slots);
            (engine::time(&program) + after).0
        })
    });
    times.min().expect("there are splits")
}

fn best(machine: &Machine, shape: &Shape, batch: &Batch, admits: impl Fn(&Plan) -> bool) -> u64 {
    let all = plans(machine, shape);
    all.iter().filter(|p| admits(p)).map(|p| fastest(machine, shape, p, batch)).min().expect("a plan fits")
}

/// At full K stream, rotating the raw keys takes a third of an H100's vector units and about two thirds of the others'; exponentials
/// take under one per cent of the time.
#[test]
fn rotation_takes_a_third_to_two_thirds_of_the_vector_unit_and_exponentials_nothing() {
    for (name, low, high) in [
        ("h100-sxm", 0.31, 0.35),
        ("a100-sxm", 0.60, 0.68),
        ("b200-sxm", 0.62, 0.68),
        ("tpu-v5p", 0.55, 0.68),
    ] {
        let a = preset(name);
        let VectorUnit::Lanes { lanes, exp_per_cycle, rotate_ops } = a.cores.vector_unit else {
            panic!("{name} has a real vector unit")
        };
        let per_second = (a.cores.count * a.clock.0) as f64;
        let stream = 2.0 / a.memory_bandwidth().expect("real").0 as f64;
        let rotation = rotate_ops as f64 / (lanes as f64 * per_second) / stream;
        assert!(rotation > low && rotation < high, "{name}: {rotation}");
        // one exponential for every 128 elements of K
        let exponentials = 1.0 / 128.0 / (exp_per_cycle as f64 * per_second) / stream;
        assert!(exponentials < 0.01, "{name}: {exponentials}");
        // and that is what a tile is charged
        let (machine, shape) = (Machine::new(&a), shape("slim-k"));
        for plan in plans(&machine, &shape).iter().filter(|p| p.cluster * p.head_groups == 1) {
            let tile = plan.full.tile;
            let stream = machine.memory_time(Bytes(8192 * plan.tile)).0 as f64 * a.cores.count as f64;
            assert!((tile.rotate.0 as f64 / stream / rotation - 1.0).abs() < 0.01, "{name}: {tile:?}");
        }
    }
}

/// 2·S·h·(w + 2)·4 bytes; at n = 32k a split over all 132 SMs moves half as much as the K cache.
#[test]
fn combining_a_token_split_moves_partial_sums_there_and_back() {
    let machine = Machine::new(&preset("h100-sxm"));
    let batch = Batch::uniform(32_768, 1);
    for (scheme, width) in [("slim-k", 4096), ("kv-cache", 128)] {
        for split in [2, 16, 132] {
            let (_, _, memory, shared) = combine(&machine, &shape(scheme), &batch, split);
            assert_eq!(shared, Bytes(2 * split * 32 * (width + 2) * 4));
            let fits = shared.0 / 2 <= 25_000_000;
            assert_eq!(memory, if fits { Bytes(0) } else { shared }, "{scheme} {split}");
        }
    }
    let (.., shared) = combine(&machine, &shape("slim-k"), &batch, 132);
    let cache = 32_768.0 * 8192.0;
    assert!((shared.as_f64() / cache - 0.5).abs() < 0.02, "{}", shared.as_f64() / cache);
    assert_eq!(combine(&machine, &shape("slim-k"), &batch, 1).3, Bytes(0));
}

/// (C−1)·h·n·2 bytes and a barrier a tile where scores are block-diagonal, (C−1)·h·n·(4+2) where they are dense.
#[test]
fn clusters_exchange_scores() {
    let mut a = preset("h100-sxm");
    // a byte a nanosecond, so that times are bytes
    a.cores.cluster = Some(Cluster {
        max_size: 16,
        bandwidth: OnChipBandwidth::PerSecond(crate::units::Bandwidth(1_000_000_000)),
        barrier: Picos(300_000),
        multicast: true,
    });
    let machine = Machine::new(&a);
    let block_diagonal = shape("slim-k");
    let dense = Shape {
        scores: Contraction { slices: 1, heads: 32, width: 4096 },
        before_scores: ReadWork::default(),
        ..block_diagonal
    };
    for (shape, bytes) in [(block_diagonal, 2), (dense, 6)] {
        let clustered = plans(&machine, &shape);
        let mut seen = 0;
        for plan in clustered.iter().filter(|p| p.cluster > 1 && p.head_groups == 1) {
            let exchanged = (plan.full.tile.exchange.0 - 300_000_000) / 1_000_000 * plan.cluster;
            assert_eq!(exchanged, (plan.cluster - 1) * 32 * plan.tile * bytes, "{plan:?}");
            seen += 1;
        }
        assert!(seen > 0);
    }
}

/// Head groups read the rows G times from the shared SRAM and once from memory; without a shared SRAM, G times from memory.
#[test]
fn head_groups_walk_the_same_rows() {
    let mut a = preset("a100-sxm");
    let (shape, batch) = (shape("slim-k"), Batch::uniform(4096, 3));
    let rows = 3 * 4096 * 8192;
    for shared in [true, false] {
        if !shared {
            a.shared_sram = None;
        }
        let machine = Machine::new(&a);
        let grouped = plans(&machine, &shape);
        assert!(grouped.iter().any(|p| p.head_groups > 4));
        for plan in &grouped {
            let (_, spent) = Candidate::new(&machine, &shape, plan, 4).program(&batch);
            let times = plan.head_groups;
            let (from_shared, again) = if shared { (times * rows, 0) } else { (0, (times - 1) * rows) };
            assert_eq!((spent.shared, spent.reread), (Bytes(from_shared), Bytes(again)), "{plan:?}");
        }
    }
}

/// Two passes: rows once from memory, twice from the shared SRAM; 2·h·n·2 bytes of probabilities; two grid barriers a chunk.
#[test]
fn two_passes_find_their_rows_on_chip_again() {
    let machine = Machine::new(&preset("a100-sxm"));
    let (shape, batch) = (shape("slim-k"), Batch::uniform(32_768, 2));
    let cuts = TwoPass::cuts(&machine, &shape, &batch);
    // 20 MiB are 2,560 rows of 8 KiB: chunks of that size and below fit, four sizes an octave.
    let sizes: Vec<u64> = cuts.iter().map(|c| c.pieces[0].0).collect();
    assert_eq!(sizes, [2560, 2048, 1792]);
    assert_eq!(cuts[0].pieces, [(2560, 25), (1536, 1)]);
    let two = &cuts[0];
    assert_eq!(two.memory_reads, 1);
    let rows: u64 = 2 * 32_768 * 8192;
    assert_eq!(two.chunks(), 26);
    let (causes, memory, shared) = two.between(&machine);
    assert_eq!((memory, shared), (Bytes(0), Bytes(2 * 65_536 * 2 * 32)), "4 MiB of them stay on chip");
    let overhead = causes.0[crate::mapping::Cause::Overhead as usize];
    assert_eq!(overhead, 2_000_000_000 + 1_000_000_000 * 2 * two.chunks(), "a launch and the barriers");
    let choice = simulator_choice(&preset("a100-sxm"), "two-pass", 32_768, 2);
    let padded = 65_536 * 8192;
    assert_eq!(choice.spent.reread, Bytes(0));
    assert!(choice.spent.shared >= shared + Bytes(2 * rows), "{:?}", choice.spent);
    let combined = choice.spent.shared.saturating_sub(shared + Bytes(2 * padded));
    // Every slice of columns reads the probabilities again: 64 bytes a token for 32 heads.
    let slices = 64 * 65_536 * 255;
    assert!(combined.0 < slices + padded / 8, "{combined:?} beside the rows and the probabilities");
}

fn simulator_choice(a: &Accelerator, plan: &str, n: u64, b: u64) -> crate::step::search::Choice {
    let (machine, shape) = (Machine::new(a), shape("slim-k"));
    let mut cache = crate::step::search::PlanCache::default();
    crate::step::search::attention(&machine, &mut cache, &shape, &Batch::uniform(n, b), Some(plan))
        .expect("fits")
}

/// 512 KiB of accumulators for 32 heads on a row of 4096 where only tokens are split: more than an SM has, nothing for a TPU core.
#[test]
fn accumulators_of_a_token_split() {
    for (name, fits) in [("h100-sxm", false), ("tpu-v5p", true)] {
        let machine = Machine::new(&preset(name));
        let all = plans(&machine, &shape("slim-k"));
        for plan in &all {
            assert_eq!(plan.accumulators, Bytes(512 * 1024 / (plan.cluster * plan.head_groups)), "{name}");
        }
        assert_eq!(all.iter().any(|p| p.cluster * p.head_groups == 1), fits, "{name}");
    }
}

/// Eight 128×128 arrays take 3.58 TB/s on each port, HBM gives 2.765. K held for both products is preloaded twice: 1.29×. K streaming
/// past q and held for P·K uses both ports: about 1.9×.
#[test]
fn orientation_decides_on_a_tpu() {
    let machine = Machine::new(&preset("tpu-v5p"));
    let batch = Batch::uniform(131_072, 1);
    let base = best(&machine, &shape("kv-cache"), &batch, |_| true) as f64;
    let shape = shape("slim-k");
    let forced = |scores, values| {
        let oriented = plans(&machine, &shape).into_iter().map(|mut plan| {
            (plan.scores_held, plan.values_held) = (scores, values);
            plan.full = TileCost::new(&machine, &shape, &plan, plan.tile);
            fastest(&machine, &shape, &plan, &batch)
        });
        base / oriented.min().expect("a plan fits") as f64
    };
    let held_twice = forced(Stationary::Right, Stationary::Right);
    assert!((held_twice - 1.29).abs() < 0.02, "{held_twice}");
    let streamed_and_held = forced(Stationary::Left, Stationary::Right);
    assert!((1.85..2.0).contains(&streamed_and_held), "{streamed_and_held}");
    let free = base / best(&machine, &shape, &batch, |_| true) as f64;
    assert!(free >= streamed_and_held && free <= 2.0, "{free}");
}

/// Without latency, launches and limits on chip: 2·max(1, ρ_b)/max(1, ρ_s) overlapped and 2·(1+ρ_b)/(1+ρ_s) one after the other, with
/// ρ = padded time of the array over the time of the bytes.
#[test]
fn the_limit_of_long_contexts() {
    for rate in [2048, 256, 96, 32, 8] {
        for (overlap, serial) in [(1.0, false), (0.0, true)] {
            let mut a = gpu();
            a.cores.mac_array = MacArray::DotProduct {
                m: 64,
                n: 8,
                k: 16,
                latency: 0,
                macs_per_cycle: vec![(Dtype::Bf16, rate)],
            };
            a.cores.vector_unit = VectorUnit::Ideal;
            a.cores.sram.bandwidth = OnChipBandwidth::Ideal;
            a.cores.sram.capacity = Some(Bytes(1 << 28));
            a.cores.accumulators = Some(Bytes(1 << 20));
            a.cores.cluster = None;
            a.cores.count = 64;
            a.shared_sram = None;
            let hbm = a.hbm.as_mut().expect("it has one");
            hbm.latency = Picos(0);
            a.overheads = crate::hardware::Overheads { overlap, ..crate::hardware::Overheads::default() };
            // No rotation, so that the array and the bytes are all there is.
            let no_rope = |scheme| Shape { before_scores: ReadWork::default(), ..shape(scheme) };
            let machine = Machine::new(&a);
            let batch = Batch::uniform(1 << 20, 64);
            let time = |scheme| best(&machine, &no_rope(scheme), &batch, |p| p.head_groups == 1) as f64;
            let speedup = time("kv-cache") / time("slim-k");
            // slots a token: m = 1 pads to 8 in scores and weighted sums; slim's weighted sum has m = 32
            let ratio = |slots: f64, bytes: f64| {
                let peak = (64 * rate) as f64 * a.clock.0 as f64;
                (slots / peak) / (bytes / machine_bandwidth(&a))
            };
            let (base, slim) = (ratio(16.0 * 4096.0, 16_384.0), ratio(40.0 * 4096.0, 8192.0));
            let limit =
                if serial { 2.0 * (1.0 + base) / (1.0 + slim) } else { 2.0 * base.max(1.0) / slim.max(1.0) };
            assert!(
                (speedup / limit - 1.0).abs() < 0.01,
                "rate {rate}, overlap {overlap}: {speedup} against {limit}"
            );
        }
    }
}

fn machine_bandwidth(a: &Accelerator) -> f64 {
    a.memory_bandwidth().expect("real").0 as f64
}

/// No preset's attention gains more than the bytes saved and the array's padding explain: the baseline has the mapper's freedom too.
#[test]
fn slim_gains_no_more_than_its_bytes() {
    for name in ["h100-sxm", "a100-sxm", "l40s", "tpu-v5p", "tpu-v5e", "trainium2", "gaudi3", "mi300x"] {
        let machine = Machine::new(&preset(name));
        for (n, b) in [(1024, 16), (4096, 64), (4096, 1), (131_072, 1)] {
            let batch = Batch::uniform(n, b);
            let time = |scheme| {
                let mut cache = crate::step::search::PlanCache::default();
                let choice =
                    crate::step::search::attention(&machine, &mut cache, &shape(scheme), &batch, None);
                choice.expect("fits").timeline.time.as_f64()
            };
            let speedup = time("kv-cache") / time("slim-k");
            assert!(speedup < 2.05, "{name} n = {n}, batch {b}: {speedup}");
        }
    }
}

/// A model without position encoding is spared the rotation; one with half-rotated heads pays half.
#[test]
fn partial_rotation_costs_its_fraction() {
    let ops = |position, fraction| {
        let model = crate::model::Model { rotary_fraction: fraction, ..model(32, 128, position) };
        let mut s = simulator(&preset("h100-sxm"), &model, "slim-k");
        s.point(4096, 1).vector_ops.expect("feasible").rotary.0
    };
    let (full, half, none) = (ops(Position::Rope, 1.0), ops(Position::Rope, 0.5), ops(Position::None, 1.0));
    // n kept rows, and the query, in 4 layers, at 6 operations an element
    assert_eq!(full, (4096 + 1) * 4096 * 6 * 4);
    assert_eq!((half * 2, none), (full, 0));
}

/// Where all memory is in the cores, their SRAM's price is that of weights and cache.
#[test]
fn energy_of_a_machine_whose_memory_is_in_its_cores() {
    let mut a = gpu();
    a.hbm = None;
    a.shared_sram = None;
    a.cores.sram.capacity = Some(Bytes(1 << 32));
    a.energy.hbm_pj_per_bit = None;
    a.energy.shared_sram_pj_per_bit = None;
    let point = simulator(&a, &llama_7b(), "kv-cache").point(1024, 1);
    assert!(point.feasible && point.energy_joules.is_some_and(|j| j > 0.0), "{:?}", point.energy_joules);
}

/// Keys and values of a head are two tensors, whatever the bytes of a row are rounded to.
#[test]
fn keys_and_values_of_odd_width_do_not_share_a_row() {
    let model = crate::model::Model { kv_heads: 1, ..model(4, 5, Position::None) };
    let precision = Precision { weights: Dtype::Bf16, cache: Dtype::Int4 };
    let subject = subject(Scheme::find("kv-cache").expect("known"), model, precision);
    for op in workload::decode(&subject, &Batch::uniform(100, 1)) {
        if let Work::Attention(work) = &op.work {
            assert!(!Shape::of(work, Dtype::Int4, Residence::Memory).shared_row);
        }
    }
}
