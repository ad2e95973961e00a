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
fn speed() {
    for acc in [gpu(), tpu(), ideal()] {
        for s in ["kv-cache", "slim-k"] {
            let mut sim = simulator(&acc, &llama_7b(), s);
            let _ = sim.point(100, 1);
            for b in [1u64, 8] {
                let _ = sim.point(50, b);
            }
            let t = std::time::Instant::now();
            let mut k = 0;
            for b in [1u64, 8] {
                for i in 0..500u64 {
                    let _ = sim.point(128 + i * 31, b);
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
