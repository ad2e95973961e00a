//! Machines whose answers are known.

use super::fixtures::*;

#[test]
fn show() {
    for (acc, n, b) in [
        (gpu(), 1024, 1),
        (gpu(), 16384, 1),
        (gpu(), 16384, 4),
        (gpu(), 4096, 16),
        (gpu(), 131072, 1),
        (tpu(), 16384, 1),
        (tpu(), 16384, 4),
        (tpu(), 131072, 1),
    ] {
        let mut secs = vec![];
        for s in ["kv-cache", "slim-k", "slim-k-recompute"] {
            let mut sim = simulator(&acc, &llama_7b(), s);
            let t = std::time::Instant::now();
            let p = sim.point(n, b);
            let el = t.elapsed();
            let Some(seconds) = p.seconds else {
                eprintln!("{} {n} {b} {s} {:?}", acc.name, p.infeasible_reason);
                continue;
            };
            secs.push(seconds.0.seconds());
            eprintln!(
                "{} n={n} B={b} {s}: {:.3} ms  bounds {:.3} {:.3} x{:.3} [{el:?}]\n   {:?}\n   {}",
                acc.name,
                seconds.0.seconds() * 1e3,
                p.bounds_seconds.unwrap().bandwidth.0.seconds() * 1e3,
                p.bounds_seconds.unwrap().compute.0.seconds() * 1e3,
                secs[0] / secs[secs.len() - 1],
                p.cycles_by_cause.unwrap(),
                p.mapping.as_ref().unwrap().reason
            );
        }
    }
}

#[test]
fn dbg() {
    use crate::hardware::mac_array::MacArray;
    use crate::hardware::sram::*;
    use crate::hardware::vector_unit::VectorUnit;
    use crate::units::*;
    let mut a = gpu();
    a.clock = Hertz(1410000000);
    a.cores.count = 7;
    a.cores.mac_array = MacArray::Systolic {
        rows: 16,
        columns: 16,
        count: 1,
        dataflow: crate::hardware::mac_array::Dataflow::OutputStationary,
        macs_per_cycle: vec![(Dtype::Bf16, 256)],
    };
    a.cores.accumulators = Some(Bytes(32768));
    a.cores.vector_unit = VectorUnit::Lanes { lanes: 32, exp_per_cycle: 4, rotate_ops: 6 };
    a.cores.sram =
        Sram { capacity: Some(Bytes(65536)), bandwidth: OnChipBandwidth::PerCycle(64), banks: None };
    a.cores.cluster = None;
    a.shared_sram = Some(Sram {
        capacity: Some(Bytes(20000000)),
        bandwidth: OnChipBandwidth::PerSecond(Bandwidth(105000000000)),
        banks: None,
    });
    a.hbm.as_mut().unwrap().bandwidth = Bandwidth(976000000000);
    a.hbm.as_mut().unwrap().latency = Picos(0);
    a.overheads.launch = Picos(0);
    a.overheads.work_item = Picos(0);
    a.overheads.barrier = Picos(0);
    a.overheads.overlap = 0.6;
    let m = crate::model::Model { vocab: 1000, layers: 3, ..model(2, 128, crate::model::Position::None) };
    for n in [129, 136] {
        let scheme = crate::attention::Scheme::find("slim-k-recompute").unwrap();
        let subject = crate::workload::Subject {
            attention: scheme.describe(&m).unwrap(),
            model: m.clone(),
            precision: Default::default(),
        };
        let mut timer = crate::step::OperatorTimer::new(crate::mapping::machine::Machine::new(&a), None);
        for op in crate::workload::decode(&subject, &crate::workload::Batch::uniform(n, 2)) {
            let c = timer.time(&subject, &op).unwrap();
            eprintln!(
                "{n} {} {} {:?}",
                op.name,
                c.timeline.time.0,
                c.choice.map(|c| (c.plan.tile, c.plan.slots, c.split, c.lookahead))
            );
        }
    }
}

#[test]
fn speed() {
    for acc in [gpu(), tpu(), ideal()] {
        for s in ["kv-cache", "slim-k"] {
            let mut sim = simulator(&acc, &llama_7b(), s);
            sim.point(100, 1);
            for b in [1u64, 8] {
                sim.point(50, b);
            }
            let t = std::time::Instant::now();
            let mut k = 0;
            for b in [1u64, 8] {
                for i in 0..500u64 {
                    sim.point(128 + i * 31, b);
                    k += 1;
                }
            }
            eprintln!("{} {s}: {:.1} us/point", acc.name, t.elapsed().as_secs_f64() * 1e6 / k as f64);
            let t = std::time::Instant::now();
            for i in 0..200u64 {
                sim.decode(&crate::workload::Batch::ragged(
                    &(0..16).map(|j| 500 + j * 400 + i).collect::<Vec<_>>(),
                ))
                .unwrap();
            }
            eprintln!("   ragged 16: {:.1} us/step", t.elapsed().as_secs_f64() * 1e6 / 200.0);
        }
    }
}
