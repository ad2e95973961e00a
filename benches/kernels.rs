//! How many measured kernels a second `validate` predicts on one core, reading aside. `cargo bench --bench kernels`.

#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark stops at the first thing it cannot do")]

use divan::Bencher;
use divan::counter::ItemsCount;
use slimsim::analysis::calibration::Task;
use slimsim::config::{Overrides, load_accelerator, load_kernels};
use slimsim::hardware::kernel::{Kind, Residency};
use slimsim::step::kernel::KernelTimer;
use slimsim::units::Dtype;

fn main() {
    divan::main();
}

fn timer(kind: Kind) -> KernelTimer {
    let accelerator = load_accelerator("h100-sxm", &Overrides::default()).unwrap();
    let profile = load_kernels("h100-sxm-sglang").unwrap();
    let kernel = profile.kernel(kind, Dtype::Bf16, "").unwrap();
    KernelTimer::new(&accelerator, kernel.policy, &kernel.constants, Residency::Hot)
}

/// Predicts `tasks`, each a row.
fn rows(bencher: Bencher<'_, '_>, kind: Kind, tasks: &[Task]) {
    let timer = timer(kind);
    bencher
        .counter(ItemsCount::new(tasks.len()))
        .bench(|| tasks.iter().map(|t| t.seconds(&timer).unwrap()).sum::<f64>());
}

#[divan::bench]
fn attention(bencher: Bencher<'_, '_>) {
    let tasks: Vec<Task> = (0..5_000)
        .map(|i| Task::of_heads(32, 32, 128, Dtype::Bf16, 128 + 37 * (i % 800), 1 << (i % 9)))
        .collect();
    rows(bencher, Kind::Mha, &tasks);
}

#[divan::bench]
fn latent_attention(bencher: Bencher<'_, '_>) {
    let tasks: Vec<Task> = (0..5_000)
        .map(|i| Task::of_latent_rows(1 << (i % 8), 512, 64, Dtype::Bf16, 128 + 37 * (i % 800), 1 << (i % 9)))
        .collect();
    rows(bencher, Kind::Mla, &tasks);
}

#[divan::bench]
fn products(bencher: Bencher<'_, '_>) {
    let tasks: Vec<Task> = (0..1_000)
        .map(|i| Task::of_product(1 << (i % 9), 1024 + 64 * (i % 200), 2048 + 512 * (i % 24), Dtype::Bf16))
        .collect();
    rows(bencher, Kind::Gemm, &tasks);
}
