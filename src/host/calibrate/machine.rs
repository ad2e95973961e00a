//! The machine without attention: arithmetic, and reading from each level of memory.

use super::{CalibrationError, Figure, sample};
use crate::host::cpu::Cpu;
use crate::host::kernels::probes;
use crate::host::memory::{Buffer, flush};
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
    /// Seconds from one phase of all threads to the next; some microseconds at most, which vary.
    pub dispatch: f64,
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

impl MachineRates {
    /// Measures this machine.
    ///
    /// # Errors
    /// It is too busy, or gives no memory or threads.
    pub fn measure(cpu: &Cpu) -> Result<Self, CalibrationError> {
        let buffer = Buffer::repeating(FOOTPRINTS[7].max(DRAM_BYTES) / 4, &[0.25_f32; 1024])?;
        let mut by_threads = Vec::new();
        let mut counts = vec![1];
        counts.extend((cpu.cpus > 1).then_some(cpu.cpus));
        for threads in counts {
            by_threads.push(one(cpu, &Team::new(threads)?, &buffer)?);
        }
        let l3_reach = reach(cpu, &Team::new(1)?, &buffer, by_threads[0].dram.value);
        Ok(Self { by_threads, l3_reach })
    }
}

/// The part of `buffer` that thread `i` of `threads` reads.
fn share(buffer: &[f32], i: usize, threads: usize, bytes: usize) -> &[f32] {
    let each = (bytes / 4).min(buffer.len() / threads);
    &buffer[i * each..][..each]
}

fn one(cpu: &Cpu, team: &Team, buffer: &[f32]) -> Result<ThreadRates, CalibrationError> {
    const STEPS: usize = 200_000;
    let (isa, threads) = (cpu.isa, team.threads());
    let mut macs = 0;
    let arithmetic =
        sample(team, || {}, || macs = team.run(|_| probes::multiply_adds(isa, STEPS)).iter().sum());
    let what = |what: &str| format!("{what} with {threads} threads");
    let reading = |name: &str, bytes: usize, cold: bool| {
        let times = if cold { 1 } else { ((64 << 20) / bytes).max(1) };
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
        let read = size_of_val(share(buffer, 0, threads, bytes)) * times * threads;
        Figure::rate(what(name), read as f64, &samples)
    };
    let nothing = sample(
        team,
        || {},
        || {
            team.run(|_| ());
        },
    );
    // A single thread's phase costs less than a clock's reading.
    let dispatch = nothing.median().ok_or_else(|| CalibrationError::Busy(what("waking")))?;
    Ok(ThreadRates {
        threads,
        macs: Figure::rate(what("multiply-adds"), macs as f64, &arithmetic)?,
        l2: reading("reading the second-level cache", cpu.l2 / 2, false)?,
        l3: reading("reading the last-level cache", 4 * cpu.l2, false)?,
        dram: reading("reading DRAM", DRAM_BYTES / threads, true)?,
        dispatch,
    })
}

/// Gain over DRAM from which reading again and again is served by the last-level cache.
const SERVED: f64 = 1.15;

/// Bytes up to which reading again and again is faster than from DRAM.
fn reach(cpu: &Cpu, team: &Team, buffer: &[f32], dram: f64) -> usize {
    let served = |bytes: &usize| {
        let part = &buffer[..bytes / 4];
        let samples = sample(team, || {}, || probes_read(team, cpu, part));
        samples.median().is_some_and(|seconds| *bytes as f64 / seconds > SERVED * dram)
    };
    FOOTPRINTS.into_iter().take_while(served).last().unwrap_or(FOOTPRINTS[0])
}

/// One thread's reading.
fn probes_read(team: &Team, cpu: &Cpu, part: &[f32]) {
    team.run(|_| probes::read(cpu.isa, part));
}
