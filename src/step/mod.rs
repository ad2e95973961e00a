//! One decode step: the fastest candidate of each operator, summed — and why it was chosen.
//!
//! [`Simulator`] is the library's main entry: it answers decode steps, prefills and whole [`Point`]s of one scheme, and
//! [`evaluate`] compares schemes with the baseline at the same point.

mod explain;
mod operator;
pub mod point;
pub mod search;
mod simulator;

pub use operator::{OperatorCost, OperatorTimer};
pub use point::{Bounds, MappingReport, Point, Seconds};
pub use simulator::{Limits, SetupError, Simulator, StepCost, evaluate};

#[cfg(test)]
mod tests;
