//! One decode step: the fastest candidate of each operator, summed — and why it was chosen.
//!
//! [`Simulator`] is the library's main entry: it answers decode steps, prefills and whole [`Point`]s of one scheme, and
//! [`Comparison`] holds schemes against the baseline at the same points.

mod comparison;
mod explain;
mod fastest;
pub mod kernel;
mod operator;
mod passes;
pub mod point;
pub mod search;
mod simulator;

pub use comparison::Comparison;
pub use operator::{OperatorCost, OperatorTimer, ProductCache};
pub use point::{Bounds, FirstToken, MappingReport, Point, Seconds};
pub use simulator::{Attended, Limits, SetupError, Simulator, StepCost, StepOperators};

#[cfg(test)]
mod tests;
