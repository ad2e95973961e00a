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
