//! What this CPU and its kernels achieve, measured phase by phase and shape by shape.
//!
//! Nothing here is fitted: each figure is the median of a phase that was run by itself, with its spread. Attention as a whole is run
//! for one figure alone, the part of a tile's loading that its arithmetic hides.

mod accelerator;
mod latency;
mod machine;
mod phases;
mod walks;

pub use accelerator::Calibration;
pub use machine::{MachineRates, ThreadRates};
pub use phases::{PhaseRate, phase_rates};
pub use walks::{Walked, walks};

use super::cpu::Cpu;
use super::samples::Samples;
use super::team::Team;

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

impl Calibration {
    /// Measures this machine with all that kernels of `f32` and `bf16` need; `None` if it is too busy. `progress` is told of each of
    /// [`Self::STEPS`] steps.
    ///
    /// # Errors
    /// If the system gives no memory or threads.
    pub fn measure(cpu: &Cpu, progress: &dyn Fn()) -> std::io::Result<Option<Self>> {
        let Some(machine) = MachineRates::measure(cpu)? else { return Ok(None) };
        let team = Team::new(1).map_err(std::io::Error::other)?;
        let Some(latency) = latency::latency(&team)? else { return Ok(None) };
        let (wide, narrow) =
            (phase_rates::<f32>(cpu, &team, progress), phase_rates::<half::bf16>(cpu, &team, progress));
        let (Some(mut phases), Some(more)) = (wide, narrow) else { return Ok(None) };
        phases.extend(more);
        let wide = walks::<f32>(cpu, &team, progress)?;
        let narrow = walks::<half::bf16>(cpu, &team, progress)?;
        let (Some(mut walks), Some(more)) = (wide, narrow) else { return Ok(None) };
        walks.extend(more);
        Ok(Some(Self { machine, phases, walks, latency }))
    }

    /// Steps of [`Self::measure`].
    pub const STEPS: usize = 4 * HEADS.len() * HEAD_DIMS.len();
}
