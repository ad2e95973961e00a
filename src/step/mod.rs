//! One decode step: the fastest candidate of each operator, summed.

pub mod point;
