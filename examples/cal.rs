#![allow(warnings, clippy::all)]
use slimsim::host::{calibrate::*, cpu::*, kernels::phases::Phase, team::*};
fn main() {
    let cpu = Cpu::this();
    let t = std::time::Instant::now();
    let m = MachineRates::measure(&cpu).unwrap();
    println!("{m:#?} {:?}", t.elapsed());
    let team = Team::new(1).unwrap();
    let mut p = phase_rates::<f32>(&cpu, &team, &|| ()).unwrap();
    p.extend(phase_rates::<half::bf16>(&cpu, &team, &|| ()).unwrap());
    println!("{:?}", t.elapsed());
    let mut w = walks::<f32>(&cpu, &team, &|| ()).unwrap().unwrap();
    w.extend(walks::<half::bf16>(&cpu, &team, &|| ()).unwrap().unwrap());
    println!("{:?}", t.elapsed());
    println!("dtype,h,dk,tile,scores,wsums,softmax,product,kv,slim,weights");
    for w in &w {
        let f = |ph: Phase| {
            p.iter()
                .find(|r| {
                    r.phase == ph
                        && r.dtype == w.dtype
                        && r.heads == w.shape.heads
                        && r.head_dim == w.shape.head_dim
                })
                .unwrap()
                .per_second
                .value
        };
        println!(
            "{},{},{},{},{:.4e},{:.4e},{:.4e},{:.4e},{:.4e},{:.4e},{:.4e}",
            w.dtype.name(),
            w.shape.heads,
            w.shape.head_dim,
            w.tile,
            f(Phase::Scores),
            f(Phase::WeightedSums),
            f(Phase::Softmax),
            f(Phase::Product),
            w.baseline.value,
            w.slim.value,
            w.weights.value
        );
    }
}
