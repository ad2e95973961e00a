//! Raw files: every key with its type, and where it was written. What keys mean together is checked afterwards.

mod accelerator;
mod cache;
mod experiment;
mod kernels;
mod memory;
mod model;
mod paper;
mod pins;

pub(crate) use accelerator::*;
pub(crate) use cache::*;
pub use experiment::PlotKind;
pub(crate) use experiment::*;
pub(crate) use kernels::*;
pub(crate) use memory::*;
pub(crate) use model::*;
pub(crate) use paper::*;
pub(crate) use pins::*;
