//! How many DRAM bursts a second: studies of one channel of a memory part, on one thread.
//!
//! `cargo bench --bench dram` prints one figure a pattern and length: bursts asked for over the time of the fastest run of half a
//! second, so that what else a machine does counts little. Long studies are sampled, as `slimsim dram` does without
//! `--whole`; `every burst` is without the sample. The machine it runs on decides much of it: compare figures of one machine only.

use divan::Bencher;
use divan::counter::ItemsCount;
use slimsim::config::load_memory;
use slimsim::hardware::hbm::device::Device;
use slimsim::hardware::hbm::requester::Interleave;
use slimsim::hardware::hbm::study::Study;
use std::io::Write as _;
use std::time::{Duration, Instant};

fn main() {
    figures();
    divan::main();
}

const PATTERNS: [&str; 4] = ["seq", "rand16384", "rand4096", "rand256"];
const BURSTS: [u64; 2] = [200_000, 2_000_000];

/// How long a figure is measured at least.
const MEASURED: Duration = Duration::from_millis(500);

fn device() -> Device {
    load_memory("hbm3-6400").expect("a preset")
}

fn study(device: &Device, pattern: &str, bursts: u64, whole: bool) -> Study {
    Study {
        pattern: pattern.parse().expect("a pattern"),
        map: device.maps[0].clone(),
        refresh: true,
        queue: device.queue,
        bursts,
        interleave: Interleave { channels: 1, granularity: 256, hash: false },
        window: None,
        seed: 1,
        whole,
    }
}

fn run(device: &Device, study: &Study) -> f64 {
    study.run(device).expect("the study is sound").efficiency
}

fn figures() {
    let device = device();
    let mut out = std::io::stdout().lock();
    for (whole, lengths) in [(false, &BURSTS[..]), (true, &BURSTS[..1])] {
        for &bursts in lengths {
            for pattern in PATTERNS {
                let study = study(&device, pattern, bursts, whole);
                let (started, mut fastest) = (Instant::now(), Duration::MAX);
                while started.elapsed() < MEASURED {
                    let now = Instant::now();
                    divan::black_box(run(&device, &study));
                    fastest = fastest.min(now.elapsed());
                }
                let rate = bursts as f64 / fastest.as_secs_f64();
                let how = if whole { ", every burst" } else { "" };
                let _ = writeln!(out, "{pattern}, {bursts} bursts{how}: {rate:.2e} bursts/s");
            }
        }
    }
}

#[divan::bench(args = PATTERNS, consts = BURSTS)]
fn bursts<const N: u64>(bencher: Bencher<'_, '_>, pattern: &str) {
    let device = device();
    let study = study(&device, pattern, N, false);
    bencher.counter(ItemsCount::new(N)).bench_local(|| run(&device, &study));
}

#[divan::bench(args = PATTERNS)]
fn every_burst(bencher: Bencher<'_, '_>, pattern: &str) {
    let device = device();
    let study = study(&device, pattern, BURSTS[0], true);
    bencher.counter(ItemsCount::new(BURSTS[0])).bench_local(|| run(&device, &study));
}
