//! The machine without attention: arithmetic, and reading from each level of memory.

use super::{Figure, SAMPLES, TRIES};
use crate::host::cpu::Cpu;
use crate::host::kernels::probes;
use crate::host::memory::{Buffer, flush};
use crate::host::samples::Samples;
use crate::host::team::Team;

/// Rates with some number of threads, all of them together.
#[derive(Debug, Clone, PartialEq)]
pub struct ThreadRates {
    /// Threads.
    pub threads: usize,
    /// Multiply–accumulates a second.
    pub macs: Figure,
    /// Bytes a second from the second-level cache.
    pub l2: Figure,
    /// Bytes a second from the last-level cache.
    pub l3: Figure,
    /// Bytes a second from DRAM.
    pub dram: Figure,
    /// Seconds from one phase of all threads to the next.
    pub dispatch: Figure,
}

/// All of it.
#[derive(Debug, Clone, PartialEq)]
pub struct MachineRates {
    /// By threads: one, and all.
    pub by_threads: Vec<ThreadRates>,
    /// Bytes that the last-level cache really keeps for this machine: it may be shared with others.
    pub l3_reach: usize,
}

/// Bytes read from DRAM for one sample.
const DRAM_BYTES: usize = 64 << 20;
/// Footprints in which the last-level cache's reach is looked for.
const FOOTPRINTS: [usize; 8] =
    [4 << 20, 8 << 20, 16 << 20, 32 << 20, 64 << 20, 128 << 20, 256 << 20, 512 << 20];

/// Takes samples of `work` until enough count.
pub(super) fn sample(team: &Team, mut before: impl FnMut(), mut work: impl FnMut()) -> Samples {
    let mut samples = Samples::default();
    for _ in 0..TRIES {
        if samples.len() >= SAMPLES {
            break;
        }
        before();
        samples.take(team, &mut work);
    }
    samples
}

impl MachineRates {
    /// Measures this machine; `None` if it is too busy.
    ///
    /// # Errors
    /// If the system gives no memory or threads.
    pub fn measure(cpu: &Cpu) -> std::io::Result<Option<Self>> {
        let buffer = Buffer::repeating(FOOTPRINTS[7].max(DRAM_BYTES) / 4, &[0.25_f32; 1024])?;
        let mut by_threads = Vec::new();
        let mut counts = vec![1];
        counts.extend((cpu.cpus > 1).then_some(cpu.cpus));
        for threads in counts {
            let team = Team::new(threads).map_err(std::io::Error::other)?;
            let Some(rates) = one(cpu, &team, &buffer) else { return Ok(None) };
            by_threads.push(rates);
        }
        let team = Team::new(1).map_err(std::io::Error::other)?;
        let l3_reach = reach(cpu, &team, &buffer, by_threads[0].dram.value);
        Ok(Some(Self { by_threads, l3_reach }))
    }
}

/// The part of `buffer` that thread `i` of `threads` reads.
fn share(buffer: &[f32], i: usize, threads: usize, bytes: usize) -> &[f32] {
    let each = (bytes / 4).min(buffer.len() / threads);
    &buffer[i * each..][..each]
}

fn one(cpu: &Cpu, team: &Team, buffer: &[f32]) -> Option<ThreadRates> {
    const STEPS: usize = 200_000;
    let (isa, threads) = (cpu.isa, team.threads());
    let mut macs = 0;
    let arithmetic =
        sample(team, || {}, || macs = team.run(|_| probes::multiply_adds(isa, STEPS)).iter().sum());
    let reading = |bytes: usize, cold: bool| {
        let times = if cold { 1 } else { ((8 << 20) / bytes).max(1) };
        let before = || {
            if cold {
                flush(&buffer[..(bytes / 4 * threads).min(buffer.len())]);
            } else {
                team.run(|i| probes::read(isa, share(buffer, i, threads, bytes)));
            }
        };
        let work = || {
            team.run(|i| {
                for _ in 0..times {
                    probes::read(isa, share(buffer, i, threads, bytes));
                }
            });
        };
        let samples = sample(team, before, work);
        Figure::rate((bytes * times * threads) as f64, &samples)
    };
    let nothing = sample(
        team,
        || {},
        || {
            team.run(|_| ());
        },
    );
    // A single thread's phase costs less than a clock's reading.
    let dispatch = Figure { value: nothing.median()?, spread: nothing.spread()? };
    Some(ThreadRates {
        threads,
        macs: Figure::rate(macs as f64, &arithmetic)?,
        l2: reading(cpu.l2 / 2, false)?,
        l3: reading(4 * cpu.l2, false)?,
        dram: reading(DRAM_BYTES / threads, true)?,
        dispatch,
    })
}

/// Bytes up to which reading again and again is faster than from DRAM by half of what it gains at most.
fn reach(cpu: &Cpu, team: &Team, buffer: &[f32], dram: f64) -> usize {
    let rate = |bytes: usize| {
        let part = &buffer[..bytes / 4];
        let samples = sample(team, || {}, || probes_read(team, cpu, part));
        Figure::rate(bytes as f64, &samples).map_or(0.0, |f| f.value)
    };
    let rates: Vec<(usize, f64)> = FOOTPRINTS.into_iter().map(|bytes| (bytes, rate(bytes))).collect();
    let best = rates.iter().map(|(_, r)| *r).fold(dram, f64::max);
    let middle = (best + dram) / 2.0;
    rates.iter().rev().find(|(_, r)| *r >= middle).map_or(FOOTPRINTS[0], |(bytes, _)| *bytes)
}

/// One thread's reading.
fn probes_read(team: &Team, cpu: &Cpu, part: &[f32]) {
    team.run(|_| probes::read(cpu.isa, part));
}
