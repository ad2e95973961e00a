//! Results about this machine's CPU.

mod calibrate;
mod ratios;
mod verify;

pub(crate) use calibrate::write_calibration;
pub use ratios::{ratio_plot, write_compared};
pub use verify::write_numerics;
