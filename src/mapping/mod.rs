//! Who computes which tile and what stays in which SRAM.

mod cause;

pub use cause::{Cause, Causes};
