//! Results about this machine's CPU.

mod ratios;
mod verify;

pub use ratios::{ratio_plot, write_compared};
pub use verify::write_numerics;
