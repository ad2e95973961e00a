//! Who computes which tile and what stays in which SRAM.

pub mod attention;
mod cause;
mod deal;
pub mod kernel;
pub mod machine;
pub mod pass;
pub mod product;
pub mod program;

pub use cause::{Cause, Causes};
