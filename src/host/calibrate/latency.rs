//! How long a load from DRAM takes that nothing else waits for.

use super::{CalibrationError, Figure, sample};
use crate::host::memory::{self, Buffer, flush};
use crate::host::team::Team;

/// Bytes that the chain runs through.
const BYTES: usize = 32 << 20;
/// Elements of a cache line.
const LINE: usize = memory::LINE / size_of::<f32>();
/// Loads of one sample.
const LOADS: usize = 4096;

/// Seconds a load.
///
/// Each line holds the number of the next one, far away and in no order that a prefetcher knows.
///
/// # Errors
/// The machine is too busy, or gives no memory.
pub(super) fn latency(team: &Team) -> Result<f64, CalibrationError> {
    let lines = BYTES / 4 / LINE;
    let mut chain = Buffer::<f32>::zeros(lines * LINE)?;
    // A full period over a power of two: 5 mod 8, odd step. Numbers below 2^24 are exact.
    let mut at = 0_usize;
    for _ in 0..lines {
        let next = (at * 1_664_525 + 1_013_904_223) % lines;
        chain[at * LINE] = next as f32;
        at = next;
    }
    let mut end = 0.0;
    let samples = sample(
        team,
        || flush(&chain),
        || {
            team.run(|_| {
                let mut at = 0_usize;
                for _ in 0..LOADS {
                    at = chain[at * LINE] as usize;
                }
                at
            })
            .into_iter()
            .for_each(|at| end += at as f64);
        },
    );
    std::hint::black_box(end);
    Ok(1.0 / Figure::rate("loads from DRAM one after the other", LOADS as f64, &samples)?.value)
}
