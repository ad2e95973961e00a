//! The invariants of the design over random machines, models and steps.

use super::drawn::case;
use super::fixtures::*;
use super::monotone::within;
use super::parts;
use super::wild::Dice;
use crate::attention::{ALL, Conditions, Options, Precision, Sparsity};
use crate::hardware::interconnect::Cluster;
use crate::hardware::mac_array::{Dataflow, MacArray};
use crate::hardware::sram::{OnChipBandwidth, Sram};
use crate::hardware::vector_unit::VectorUnit;
use crate::hardware::{Accelerator, hbm::Hbm};
use crate::mapping::machine::Machine;
use crate::model::{Model, Position};
use crate::step::{OperatorTimer, Simulator};
use crate::units::{Bandwidth, Bytes, Dtype, Hertz, Picos};
use crate::workload::{self, Batch, Subject, Traffic};
use proptest::prelude::*;

fn array() -> impl Strategy<Value = MacArray> {
    prop_oneof![
        Just(MacArray::Ideal),
        (4u32..8, 4u32..8, 1u64..5, any::<bool>()).prop_map(|(r, c, count, ws)| {
            let (rows, columns) = (1u64 << r, 1u64 << c);
            MacArray::Systolic {
                rows,
                columns,
                count,
                dataflow: if ws { Dataflow::WeightStationary } else { Dataflow::OutputStationary },
                macs_per_cycle: vec![(Dtype::Bf16, rows * columns * count)],
            }
        }),
        (3u32..7, 3u32..5, 8u32..13).prop_map(|(m, k, rate)| MacArray::DotProduct {
            m: 1 << m,
            n: 8,
            k: 1 << k,
            latency: 20,
            macs_per_cycle: vec![(Dtype::Bf16, 1 << rate)],
        }),
    ]
}

pub(super) fn machine() -> impl Strategy<Value = Accelerator> {
    let cores =
        (array(), 1u64..150, 16u32..24, 5u64..13, prop::option::of(15u32..20), prop::option::of(1u32..5));
    let parts =
        prop::option::weighted(0.33, any::<u64>().prop_map(|seed| parts::drawn(&mut Dice::new(seed))));
    let memory = (1u64..8_000, 0u64..1_000_000, prop::option::of(1u64..20_000), any::<bool>(), parts);
    let overheads =
        (0u64..3_000_000, 0u64..1_000_000, 0u64..2_000_000, 5u32..13, prop::sample::select(vec![0.6, 1.0]));
    (cores, memory, overheads).prop_map(
        |(
            (mac_array, count, sram, port, acc, cluster),
            (bw, latency, shared, in_flight, parts),
            (launch, item, barrier, lanes, overlap),
        )| {
            let mut a = gpu();
            a.clock = Hertz(1_410_000_000);
            a.cores.count = count;
            a.cores.mac_array = mac_array;
            a.cores.sram = Sram {
                capacity: Some(Bytes(1 << sram)),
                bandwidth: OnChipBandwidth::PerCycle(1 << port),
                banks: None,
            };
            a.cores.accumulators = acc.map(|b| Bytes(1 << b));
            a.cores.vector_unit =
                VectorUnit::Lanes { lanes: 1 << lanes, exp_per_cycle: 1 << (lanes - 3), rotate_ops: 6 };
            a.cores.load_bandwidth = in_flight.then_some(OnChipBandwidth::PerCycle(64));
            a.cores.bytes_in_flight = in_flight.then_some(Bytes(64 << 10));
            a.cores.cluster = cluster.map(|c| Cluster {
                max_size: 1 << c,
                bandwidth: OnChipBandwidth::PerCycle(32),
                barrier: Picos(200_000),
                multicast: c % 2 == 0,
            });
            a.shared_sram = shared.map(|s| Sram {
                capacity: Some(Bytes(20_000_000)),
                bandwidth: OnChipBandwidth::PerSecond(Bandwidth(s * 1_000_000_000)),
                banks: None,
            });
            a.hbm = Some(Hbm {
                bandwidth: Bandwidth(bw * 1_000_000_000),
                capacity: None,
                latency: Picos(latency),
                parts,
            });
            a.overheads.launch = Picos(launch);
            a.overheads.work_item = Picos(item);
            a.overheads.barrier = Picos(barrier);
            a.overheads.overlap = overlap;
            a
        },
    )
}

/// Kept bytes that one new token of all layers writes.
fn written(subject: &Subject) -> Bytes {
    let cache = subject.precision.cache;
    subject.layout.kinds.iter().map(|k| k.own.kept_bytes(cache) * k.layers).sum()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// 1. Cycles by cause sum to the cycles, bytes held by part to the bytes held. Every kept byte is read exactly once (fewer are, where
    /// sparsity skips rows; none, where E stays on chip), every new token's bytes are written once. Seconds are no less than both bounds.
    #[test]
    fn everything_sums(a in machine(), case in case(), n in 1u64..20_000, b in 1u64..20) {
        let p = case.simulator(&a).point(case.context(n), b);
        let Some(seconds) = p.seconds else {
            prop_assert!(p.infeasible_reason.is_some());
            return Ok(());
        };
        prop_assert_eq!(p.cycles_by_cause.unwrap().total(), p.cycles.unwrap());
        let bounds = p.bounds_seconds.unwrap();
        prop_assert!(seconds.0 >= bounds.bandwidth.0, "{:?} under {:?}", seconds, bounds);
        prop_assert!(seconds.0 >= bounds.compute.0, "{:?} under {:?}", seconds, bounds);
        let (held, moved) = (p.capacity_bytes, p.traffic_bytes.unwrap());
        prop_assert_eq!(held.cache, held.cache_self + held.cache_cross);
        prop_assert_eq!(held.total, held.weights + held.cache + held.activations);
        prop_assert_eq!(moved.cache_write, written(&case.subject()) * (b * case.conditions.query_tokens));
        if case.conditions.options.sparsity.is_none() {
            prop_assert_eq!(moved.cache_read, held.cache);
        } else {
            prop_assert!(moved.cache_read <= held.cache);
        }
        let first = p.first_token_seconds.map(|f| (f.total.0, f.encoder.0 + f.cross_phase.0 + f.decoder.0));
        prop_assert!(first.is_none_or(|(total, parts)| total == parts));
    }

    /// 2. No operator outruns a unit: bytes over bandwidth at every level, slots over peak, vector operations over rate.
    #[test]
    fn no_operator_outruns_a_unit(a in machine(), case in case(), n in 1u64..20_000, b in 1u64..20) {
        let subject = case.subject();
        let mut timer = OperatorTimer::new(Machine::new(&a), None);
        for op in workload::decode(&subject, &Batch::uniform(case.context(n), b)) {
            let Ok(cost) = timer.time(&subject, &op) else { return Ok(()) };
            let fs = cost.timeline.time.0 as f64 + 1.0;
            prop_assert_eq!(cost.timeline.causes.total(), cost.timeline.time);
            let over = |bytes: Bytes, rate: Bandwidth| bytes.as_f64() / rate.0 as f64 * 1e15;
            prop_assert!(fs >= over(cost.traffic.total(), a.hbm.as_ref().unwrap().bandwidth) * 0.999_999, "{}: memory", op.name);
            if let Some(rate) = a.shared_sram.and_then(|x| x.bandwidth.resolve(a.clock)) {
                prop_assert!(fs >= over(cost.shared, rate) * 0.999_999, "{}: shared", op.name);
            }
            let local = Bandwidth(a.cores.sram.bandwidth.resolve(a.clock).unwrap().0 * a.cores.count);
            prop_assert!(fs >= over(cost.local, local) * 0.999_999, "{}: local {} against {}", op.name, fs, over(cost.local, local));
            if let Some(peak) = a.peak_macs_per_second(Dtype::Bf16) {
                prop_assert!(fs >= cost.mac_slots as f64 / peak as f64 * 1e15 * 0.999_999, "{}: slots", op.name);
            }
            if let VectorUnit::Lanes { lanes, exp_per_cycle, .. } = a.cores.vector_unit {
                let rate = a.cores.count as f64 * a.clock.0 as f64 * lanes as f64;
                let exps = cost.vector.softmax.0 / 5;
                let ops = cost.vector.total().0 - exps;
                prop_assert!(fs >= ops as f64 / rate * 1e15 * 0.999_999, "{}: vector", op.name);
                let rate = a.cores.count as f64 * a.clock.0 as f64 * exp_per_cycle as f64;
                prop_assert!(fs >= exps as f64 / rate * 1e15 * 0.999_999, "{}: exponentials", op.name);
            }
        }
    }

    /// 3. More bandwidth, clock, SRAM, capacity or cores is never slower; more context or batch never faster.
    #[test]
    fn more_is_never_slower(a in machine(), case in case(), n in 1u64..20_000, b in 1u64..20, more in 1u64..40, what in 0usize..7) {
        let n = case.context(n);
        let before = case.picos(&a, n, b);
        let mut c = a.clone();
        let scaled = |x: u64| x + (x * more / 10).max(1);
        match what {
            0 => { let h = c.hbm.as_mut().unwrap(); h.bandwidth = Bandwidth(scaled(h.bandwidth.0)); }
            1 => c.clock = Hertz(scaled(c.clock.0)),
            2 => c.cores.sram.capacity = c.cores.sram.capacity.map(|x| Bytes(scaled(x.0))),
            3 => c.cores.count = scaled(c.cores.count),
            4 => if let Some(x) = &mut c.shared_sram { x.capacity = x.capacity.map(|y| Bytes(scaled(y.0))); },
            _ => {}
        }
        match what {
            5 => {
                let after = case.picos(&a, n + more * 7, b);
                prop_assert!(within(before, after, "context"), "{} → {}, context", before, after);
            }
            6 => prop_assert!(case.picos(&a, n, b + more) >= before, "batch"),
            _ => {
                let after = case.picos(&c, n, b);
                let what = if what == 3 { "cores" } else { "a capacity or a rate" };
                prop_assert!(within(after, before, what), "{} → {}, more of {}", before, after, what);
            }
        }
    }

    /// 5. A step of B equal sequences moves B times the cache bytes and the weights once.
    #[test]
    fn equal_sequences_multiply(a in machine(), case in case(), n in 1u64..5_000, b in 2u64..20) {
        let n = case.context(n);
        let (one, many) = (case.simulator(&a).point(n, 1), case.simulator(&a).point(n, b));
        if let (Some(x), Some(y)) = (one.traffic_bytes, many.traffic_bytes) {
            // Of an E that only one of the two steps holds on chip, the other counts and reads the bytes.
            let (each, all) = (one.capacity_bytes.cache_cross * b, many.capacity_bytes.cache_cross);
            prop_assert_eq!(x.cache_read * b + all, y.cache_read + each);
            prop_assert_eq!(x.cache_write * b, y.cache_write);
            prop_assert_eq!(x.weights, y.weights);
        }
    }

    /// The operators of a step are those of the point, rows that all layers share in the same place.
    #[test]
    fn operators_add_up_to_the_point(a in machine(), case in case(), n in 1u64..5_000, b in 1u64..20) {
        let n = case.context(n);
        let mut simulator = case.simulator(&a);
        let point = simulator.point(n, b);
        let Ok(step) = simulator.operators(&Batch::uniform(n, b)) else {
            prop_assert!(!point.feasible);
            return Ok(());
        };
        let femtos: u128 = step.runs.iter().map(|r| u128::from(r.1) * u128::from(r.2.timeline.time.0)).sum();
        prop_assert_eq!(femtos.div_ceil(1000), u128::from(point.seconds.unwrap().0.0));
        let mut moved = Traffic::default();
        step.runs.iter().for_each(|r| moved += r.2.traffic * r.1);
        prop_assert_eq!(moved, point.traffic_bytes.unwrap());
        let held = if step.resident { Bytes::ZERO } else { step.shared };
        let subject = case.subject();
        let each = subject.cache_parts(n, subject.encoder_tokens()).1 * b;
        prop_assert_eq!(point.capacity_bytes.cache_cross, each.saturating_sub(step.shared) + held);
    }

    /// 6. What a model is called does not matter: equal descriptions cost the same.
    #[test]
    fn equal_descriptions_cost_the_same(a in machine(), case in case(), contexts in prop::collection::vec(130u64..9_000, 1..12)) {
        let batch = Batch::ragged(&contexts);
        let x = case.simulator(&a).decode(&batch, None).map(|c| (c.time, c.traffic));
        let mut other = case.clone();
        other.model.name = "another".into();
        let y = other.simulator(&a).decode(&batch, None).map(|c| (c.time, c.traffic));
        prop_assert_eq!(x, y);
    }
}

/// A ragged batch lies between uniform batches of its shortest and its longest context.
#[test]
fn ragged_batches_lie_between_uniform_ones() {
    for scheme in ["kv-cache", "slim-k"] {
        let mut sim: Simulator = simulator(&gpu(), &llama_7b(), scheme);
        let contexts: Vec<u64> = (0..24).map(|i| 1000 + 500 * i).collect();
        let time = |sim: &mut Simulator, b: &Batch| sim.decode(b, None).unwrap().time.0;
        let ragged = time(&mut sim, &Batch::ragged(&contexts));
        let shortest = time(&mut sim, &Batch::uniform(1000, 24));
        let longest = time(&mut sim, &Batch::uniform(1000 + 500 * 23, 24));
        let mean = time(&mut sim, &Batch::uniform(1000 + 250 * 23, 24));
        assert!(shortest < ragged && ragged < longest, "{shortest} {ragged} {longest}");
        assert!((ragged as f64 / mean as f64 - 1.0).abs() < 0.1, "{ragged} against {mean}");
    }
}

/// Whatever is skipped, and by however many query tokens: no step is faster than its compulsory bytes, nor than all its bytes. Rows of
/// odd width in 4 bits count the same where they are moved and where they are reported.
#[test]
fn no_condition_beats_the_bytes() {
    let conditions = |query_tokens, sparsity, cache| Conditions {
        precision: Precision { cache, ..Precision::default() },
        options: Options { sparsity: Sparsity::new(sparsity).expect("a fraction"), ..Options::default() },
        query_tokens,
        ..Conditions::default()
    };
    let mut tried = 0;
    for (heads, head_dim) in [(32, 128), (33, 65), (3, 3), (7, 1)] {
        for machine in [gpu(), tpu(), ideal()] {
            for (q, sparsity, cache) in
                [(1, 0.0, Dtype::Int4), (4, 0.5, Dtype::Bf16), (4, 0.9, Dtype::Bf16), (16, 0.9, Dtype::Int4)]
            {
                let m = Model { layers: 1, ..model(heads, head_dim, Position::None) };
                let schemes = ALL.iter().filter(|s| s.describe(&m, Options::default()).is_ok());
                for scheme in schemes {
                    let point = simulator_under(&machine, &m, scheme, &conditions(q, sparsity, cache))
                        .point(4096, 64);
                    let (Some(seconds), Some(traffic)) = (point.seconds, point.traffic_bytes) else {
                        continue;
                    };
                    let bounds = point.bounds_seconds.expect("it ran");
                    let what = format!("{} {heads}×{head_dim} q {q} S {sparsity} {cache}", scheme.name);
                    assert!(seconds.0 >= bounds.bandwidth.0, "{what}: {seconds:?} {bounds:?}");
                    let rate = machine.memory_bandwidth().expect("it has memory");
                    // Bytes that are reported round up once an operator.
                    let all = rate.picos(Bytes(traffic.total().0 - traffic.total().0 / 1_000_000));
                    assert!(seconds.0 >= all, "{what}: {seconds:?} for {traffic:?}");
                    tried += 1;
                }
            }
        }
    }
    assert!(tried > 100, "{tried}");
}
