use super::fixtures::*;
use crate::attention::{Precision, Scheme};
use crate::config::{Overrides, load_accelerator, load_model};
use crate::mapping::machine::Machine;
use crate::step::OperatorTimer;
use crate::workload::{self, Batch, Subject};

fn acc(n: &str) -> crate::hardware::Accelerator {
    load_accelerator(n, &Overrides::default()).unwrap()
}

#[test]
fn explore_prefill() {
    let m = load_model("codellama-7b", &Overrides::default()).unwrap();
    for name in ["a100-sxm", "h100-sxm", "b200-sxm", "tpu-v5p", "mi300x", "trainium2", "gaudi3"] {
        let a = acc(name);
        for s in ["kv-cache", "slim-k"] {
            for n in [512u64, 2048, 4096, 8192, 16384] {
                let mut sim = simulator(&a, &m, s);
                let Ok(c) = sim.prefill(n) else {
                    eprintln!("{name} {n} fails");
                    continue;
                };
                let peak = a.peak_macs_per_second(crate::units::Dtype::Bf16).unwrap() as f64 * 2.0;
                let t = c.time.seconds();
                let f = c.flops;
                eprintln!(
                    "{name} {s} n={n}: {:.1} ms MFU {:.2} flops {:.2e} (attn {:.2e}) traffic act {:.2e} spill {:.2e}",
                    t * 1e3,
                    f.total().0 as f64 / t / peak,
                    f.total().0 as f64,
                    f.attention.0 as f64,
                    c.traffic.activations.0 as f64,
                    c.traffic.spill.0 as f64
                );
                if n == 16384 || n == 2048 {
                    let scheme = Scheme::find(s).unwrap();
                    let subject = Subject {
                        attention: scheme.describe(&m).unwrap(),
                        model: m.clone(),
                        precision: Precision::default(),
                    };
                    let mut timer = OperatorTimer::new(Machine::new(&a), None);
                    for op in workload::prefill(&subject, n, workload::QUERY_ROWS[0]) {
                        let c = timer.time(&subject, &op).unwrap();
                        eprintln!(
                            "   {:18} {:>9.1} us MFU {:.2} {:?} {:?}",
                            op.name,
                            c.timeline.time.0 as f64 / 1e9,
                            c.flops.total().0 as f64 / c.timeline.time.0 as f64 * 1e15 / peak,
                            c.timeline.causes.0.map(|x| x / 1_000_000_000),
                            c.choice.map(|c| (c.name, c.split, c.plan.tile, c.plan.slots))
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn explore_decode() {
    let m = load_model("codellama-7b", &Overrides::default()).unwrap();
    for name in ["a100-sxm", "h100-sxm", "b200-sxm", "tpu-v5p", "mi300x", "trainium2", "gaudi3", "groq-lpu"] {
        let a = acc(name);
        for (n, b) in [(4096, 1), (16384, 1), (131072, 1), (4096, 64), (1024, 16)] {
            let mut t = vec![];
            for s in ["kv-cache", "slim-k"] {
                let scheme = Scheme::find(s).unwrap();
                let subject = Subject {
                    attention: scheme.describe(&m).unwrap(),
                    model: m.clone(),
                    precision: Precision::default(),
                };
                let mut timer = OperatorTimer::new(Machine::new(&a), None);
                let (mut attn, mut all) = (0.0, 0.0);
                let mut text = String::new();
                for op in workload::decode(&subject, &Batch::uniform(n, b)) {
                    let c = timer.time(&subject, &op).unwrap();
                    all += c.timeline.time.0 as f64 * op.repeat as f64 / 1e12;
                    if op.name == "attention" {
                        attn = c.timeline.time.0 as f64 / 1e9;
                        text = format!(
                            "{:?} {:?}",
                            c.timeline.causes.0.map(|x| x / 100_000_000),
                            c.choice.map(|c| (
                                c.name,
                                c.split,
                                c.plan.cluster,
                                c.plan.head_groups,
                                c.plan.tile,
                                c.plan.slots,
                                c.lookahead,
                                c.plan.scores_held,
                                c.plan.values_held,
                                c.runner_up
                            ))
                        );
                    }
                }
                t.push((attn, all, text));
            }
            let floor = a.memory_bandwidth().map_or(0.0, |bw| (n * b * 4096 * 2) as f64 / bw.0 as f64 * 1e6);
            eprintln!(
                "{name} n{n} b{b}: attention {:.1} -> {:.1} us (x{:.2}; K stream {floor:.1}), step {:.2} -> {:.2} ms (x{:.2})\n    {}\n    {}",
                t[0].0,
                t[1].0,
                t[0].0 / t[1].0,
                t[0].1,
                t[1].1,
                t[0].1 / t[1].1,
                t[0].2,
                t[1].2
            );
        }
    }
}
