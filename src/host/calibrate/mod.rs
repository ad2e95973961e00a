//! What this CPU and its kernels achieve, measured phase by phase and shape by shape.
//!
//! Nothing here is fitted: each figure is the median of a phase that was run by itself, with its spread. Attention as a whole is run
//! for one figure alone, the part of a tile's loading that its arithmetic hides.

mod machine;
mod phases;
mod walks;

pub use machine::{MachineRates, ThreadRates};
pub use phases::{PhaseRate, phase_rates};
pub use walks::{Walked, walks};

use super::samples::Samples;

/// A figure and how far it varies.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Figure {
    /// The median.
    pub value: f64,
    /// Half the distance of the quartiles over the median.
    pub spread: f64,
}

impl Figure {
    /// `work` a second, where `samples` are the times that it takes; `None` of fewer than three.
    #[must_use]
    pub fn rate(work: f64, samples: &Samples) -> Option<Self> {
        Some(Self { value: work / samples.median()?, spread: samples.spread()? })
    }
}

/// Heads that rates are measured for; others are interpolated.
pub const HEADS: [usize; 4] = [4, 8, 16, 32];
/// Elements of a head that rates are measured for.
pub const HEAD_DIMS: [usize; 2] = [64, 128];
/// Samples of a figure.
const SAMPLES: usize = 7;
/// Most tries for them.
const TRIES: usize = 40;
