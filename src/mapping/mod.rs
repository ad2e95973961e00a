//! Who computes which tile and what stays in which SRAM.

mod cause;
pub mod program;

pub use cause::{Cause, Causes};
