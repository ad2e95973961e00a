//! The invariants of the design over random machines, models and steps.

use super::fixtures::*;
use crate::attention::{ALL, Conditions, Options, Precision, Scheme, Sparsity};
use crate::hardware::interconnect::Cluster;
use crate::hardware::mac_array::{Dataflow, MacArray};
use crate::hardware::sram::{OnChipBandwidth, Sram};
use crate::hardware::vector_unit::VectorUnit;
use crate::hardware::{Accelerator, hbm::Hbm};
use crate::mapping::machine::Machine;
use crate::model::{Model, Position};
use crate::step::{OperatorTimer, Simulator};
use crate::units::{Bandwidth, Bytes, Dtype, Hertz, Picos};
use crate::workload::{self, Batch};
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
    let memory = (1u64..8_000, 0u64..1_000_000, prop::option::of(1u64..20_000), any::<bool>());
    let overheads =
        (0u64..3_000_000, 0u64..1_000_000, 0u64..2_000_000, 5u32..13, prop::sample::select(vec![0.6, 1.0]));
    (cores, memory, overheads).prop_map(
        |(
            (mac_array, count, sram, port, acc, cluster),
            (bw, latency, shared, in_flight),
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
                parts: None,
            });
            a.overheads.launch = Picos(launch);
            a.overheads.work_item = Picos(item);
            a.overheads.barrier = Picos(barrier);
            a.overheads.overlap = overlap;
            a
        },
    )
}

fn small_model() -> impl Strategy<Value = Model> {
    (1u32..6, prop::sample::select(vec![32u64, 64, 128]), any::<bool>()).prop_map(|(h, dk, rope)| Model {
        vocab: 1000,
        layers: 3,
        ..model(1 << h, dk, if rope { Position::Rope } else { Position::None })
    })
}

/// One of the schemes that `m` admits.
fn admitted(m: &Model, which: usize) -> &'static str {
    let all: Vec<&str> =
        ALL.iter().filter(|s| s.describe(m, Options::default()).is_ok()).map(|s| s.name).collect();
    all[which % all.len()]
}

/// Seconds of a point, or infinity where it is infeasible.
fn picos(a: &Accelerator, m: &Model, scheme: &str, n: u64, b: u64) -> u64 {
    simulator(a, m, scheme).point(n, b).seconds.map_or(u64::MAX, |s| s.0.0)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// 1. Cycles by cause sum to the cycles, bytes by class to the bytes; seconds are no less than both bounds.
    #[test]
    fn everything_sums(a in machine(), m in small_model(), n in 1u64..20_000, b in 1u64..20, s in 0usize..60) {
        let p = simulator(&a, &m, admitted(&m, s)).point(n, b);
        if let Some(seconds) = p.seconds {
            prop_assert_eq!(p.cycles_by_cause.unwrap().total(), p.cycles.unwrap());
            let bounds = p.bounds_seconds.unwrap();
            prop_assert!(seconds.0 >= bounds.bandwidth.0, "{:?} under {:?}", seconds, bounds);
            prop_assert!(seconds.0 >= bounds.compute.0, "{:?} under {:?}", seconds, bounds);
        } else {
            prop_assert!(p.infeasible_reason.is_some());
        }
    }

    /// 2. No operator outruns a unit: bytes over bandwidth at every level, slots over peak, vector operations over rate.
    #[test]
    fn no_operator_outruns_a_unit(a in machine(), m in small_model(), n in 1u64..20_000, b in 1u64..20, s in 0usize..60) {
        let scheme = Scheme::find(admitted(&m, s)).unwrap();
        let subject = subject(scheme, m, Precision::default());
        let mut timer = OperatorTimer::new(Machine::new(&a), None);
        for op in workload::decode(&subject, &Batch::uniform(n, b)) {
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
    fn more_is_never_slower(a in machine(), m in small_model(), n in 1u64..20_000, b in 1u64..20, s in 0usize..60, more in 1u64..40, what in 0usize..7) {
        let before = picos(&a, &m, admitted(&m, s), n, b);
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
            5 => prop_assert!(picos(&a, &m, admitted(&m, s), n + more * 7, b) >= before, "context"),
            6 => prop_assert!(picos(&a, &m, admitted(&m, s), n, b + more) >= before, "batch"),
            _ => {
                let after = picos(&c, &m, admitted(&m, s), n, b);
                prop_assert!(after <= before, "{} → {}, change {}", before, after, what);
            }
        }
    }

    /// 5. A step of B equal sequences moves B times the cache bytes and the weights once.
    #[test]
    fn equal_sequences_multiply(a in machine(), m in small_model(), n in 1u64..5_000, b in 2u64..20, s in 0usize..60) {
        let (one, many) = (simulator(&a, &m, admitted(&m, s)).point(n, 1), simulator(&a, &m, admitted(&m, s)).point(n, b));
        if let (Some(x), Some(y)) = (one.traffic_bytes, many.traffic_bytes) {
            prop_assert_eq!(x.cache_read * b, y.cache_read);
            prop_assert_eq!(x.cache_write * b, y.cache_write);
            prop_assert_eq!(x.weights, y.weights);
        }
    }

    /// 6. What a scheme is called does not matter: equal descriptions cost the same.
    #[test]
    fn equal_descriptions_cost_the_same(a in machine(), m in small_model(), contexts in prop::collection::vec(1u64..9_000, 1..12)) {
        // A model whose heads are all KV heads, and the same written as GQA with groups of one.
        let batch = Batch::ragged(&contexts);
        let x = simulator(&a, &m, "kv-cache").decode(&batch, None).map(|c| (c.time, c.traffic));
        let mut other = m.clone();
        other.name = "another".into();
        let y = simulator(&a, &other, "kv-cache").decode(&batch, None).map(|c| (c.time, c.traffic));
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
