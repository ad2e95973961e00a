//! This very machine: slim and baseline kernels run on its CPU and timed, and predicted by the same simulator.

pub mod break_even;
pub mod calibrate;
pub mod clock;
pub mod cpu;
pub mod curves;
pub mod kernels;
pub mod measure;
pub mod memory;
pub mod predict;
pub mod reference;
pub mod samples;
pub mod simd;
pub mod team;
pub mod validation;
pub mod verify;

#[cfg(test)]
#[expect(clippy::expect_used, reason = "a test stops at the first thing that fails")]
mod tests;
