//! The tiny case of docs/physics.md: every number there is derived by hand, and the simulator has to agree.

use slimsim::attention::{Conditions, Scheme};
use slimsim::config::{Overrides, load_accelerator, load_model};
use slimsim::step::Simulator;
use slimsim::workload::Batch;

fn simulator(scheme: &str) -> Simulator {
    let root = env!("CARGO_MANIFEST_DIR");
    let machine =
        load_accelerator(&format!("{root}/docs/tiny/machine.toml"), &Overrides::default()).expect("loads");
    let model = load_model(&format!("{root}/docs/tiny/model.toml"), &Overrides::default()).expect("loads");
    let scheme = Scheme::find(scheme).expect("known");
    Simulator::new(&machine, &model, scheme, &Conditions::default()).expect("admitted")
}

const NS: u64 = 1_000_000;

/// (operator, nanoseconds) at a context of 32.
fn operators(scheme: &str) -> Vec<(&'static str, u64)> {
    let operators = simulator(scheme).operators(&Batch::uniform(32, 1)).expect("runs");
    operators
        .runs
        .into_iter()
        .map(|(name, runs, cost)| {
            assert_eq!(runs, 1, "one layer");
            assert_eq!(cost.timeline.time.0 % NS, 0, "{name} takes whole nanoseconds");
            (name, cost.timeline.time.0 / NS)
        })
        .collect()
}

#[test]
fn kv_cache_by_hand() {
    let by_hand = [
        ("embedding", 1 + 100),
        ("qkv_projection", 12 + 100 + 3 + 1),
        ("attention", 4 * 16 + 100 + (2 + 4 + 2) + 2),
        ("output_projection", 4 + 100 + 1 + 1),
        ("ffn_up", 4 + 100 + 1 + 3),
        ("ffn_down", 4 + 100 + 1 + 1),
        ("lm_head", 8 + 100 + 2 + 1),
    ];
    assert_eq!(operators("kv-cache"), by_hand);
    let point = simulator("kv-cache").point(32, 1);
    assert_eq!(point.cycles.expect("runs").0, 822);
    let causes = point.cycles_by_cause.expect("runs");
    // 792 bytes at 8 a nanosecond, seven latencies, and what the last tiles compute.
    assert_eq!((causes.bandwidth.0, causes.latency.0), (99, 700));
    assert_eq!((causes.compute.0, causes.vector.0), (3 + (2 + 2) + 1 + 1 + 1 + 2, 1 + 4 + 1 + 3 + 1 + 1));
}

#[test]
fn slim_k_by_hand() {
    let by_hand = [
        ("embedding", 1 + 100),
        ("qkv_projection", 8 + 100 + 2 + 1),
        ("attention", 2 * 16 + 100 + (4 + 8 + 8) + 1),
        ("kv_projection", 4 + 100 + 1),
        ("output_projection", 4 + 100 + 1 + 1),
        ("ffn_up", 4 + 100 + 1 + 3),
        ("ffn_down", 4 + 100 + 1 + 1),
        ("lm_head", 8 + 100 + 2 + 1),
    ];
    assert_eq!(operators("slim-k"), by_hand);
    assert_eq!(simulator("slim-k").point(32, 1).cycles.expect("runs").0, 901);
}

/// Per token, K and V take 2 ns and K alone 1 ns; slim-k starts 111 ns behind, and wins from the next token on.
#[test]
fn the_crossover_by_hand() {
    let cycles = |scheme: &str, n| simulator(scheme).point(n, 1).cycles.expect("runs").0;
    assert!(cycles("slim-k", 111) >= cycles("kv-cache", 111));
    assert!(cycles("slim-k", 112) < cycles("kv-cache", 112));
}

/// Energy of the kv-cache step: bytes, multiply–accumulates and vector operations at the machine's prices.
#[test]
fn energy_by_hand() {
    let point = simulator("kv-cache").point(32, 1);
    let hbm = 792.0 * 8.0 * 4.0;
    let local = point.local_sram_bytes.expect("runs").as_f64() * 8.0 * 0.5;
    let macs = (64 + 256 + 32 + 32) as f64;
    let vector = (64.0 * 5.0) + (16 + 4 + 48 + 4 + 16) as f64;
    let joules = (hbm + local + macs + vector) * 1e-12;
    assert!((point.energy_joules.expect("priced") / joules - 1.0).abs() < 1e-12);
}
