//! This very machine: slim and baseline kernels run on its CPU and timed, and predicted by the same simulator.

pub mod kernels;
pub mod memory;
pub mod reference;
pub mod simd;
pub mod team;
pub mod verify;

#[cfg(test)]
#[expect(clippy::expect_used, reason = "a test stops at the first thing that fails")]
mod tests;
