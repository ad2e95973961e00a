//! What a step cost, conserved to the last byte and cycle: the vocabulary of results.
//!
//! Field names are those users see in JSON and CSV. Every total is the sum of its parts; tests hold that for random machines.

pub mod causes;

pub use crate::mapping::{Cause, Causes};
pub use crate::workload::{Capacity, FlopCount, Traffic, VectorWork};
pub use causes::CyclesByCause;

#[cfg(test)]
mod tests;
