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
use super::samples::{Samples, WIDEST_SPREAD};
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
    /// `work` a second, where `samples` are the times that it takes; `what` names it if they say nothing.
    ///
    /// # Errors
    /// Too few samples, or too wide a spread: the machine is busy.
    pub fn rate(
        what: impl std::fmt::Display,
        work: f64,
        samples: &Samples,
    ) -> Result<Self, CalibrationError> {
        let busy = |why: String| CalibrationError::Busy(format!("{what}: {why}"));
        let (Some(time), Some(spread)) = (samples.median(), samples.spread()) else {
            let of = samples.rejected + samples.len() as u64;
            return Err(busy(format!("a thread lost its CPU in {} of {of} samples", samples.rejected)));
        };
        if spread > WIDEST_SPREAD {
            return Err(busy(format!("times vary by {:.0} %", 100.0 * spread)));
        }
        Ok(Self { value: work / time, spread })
    }
}

/// Why there is no calibration.
#[derive(Debug, thiserror::Error)]
pub enum CalibrationError {
    /// Something else runs here, too.
    #[error("this machine is busy: {0}")]
    Busy(String),
    /// The system gives no memory or threads.
    #[error("cannot calibrate: {0}")]
    System(#[from] std::io::Error),
}

impl From<rayon::ThreadPoolBuildError> for CalibrationError {
    fn from(error: rayon::ThreadPoolBuildError) -> Self {
        Self::System(std::io::Error::other(error))
    }
}

/// Takes samples of `work`, `before` each of which something is made ready, until they agree or there are many.
fn sample(team: &Team, mut before: impl FnMut(), mut work: impl FnMut()) -> Samples {
    let mut samples = Samples::default();
    for attempt in 0..ATTEMPTS {
        if attempt > 0 {
            std::thread::sleep(PAUSE * (1 << attempt));
        }
        samples = Samples::default();
        for _ in 0..TRIES {
            if samples.len() >= SAMPLES && samples.spread().is_some_and(|s| s <= STEADY) {
                return samples;
            }
            before();
            samples.take(team, &mut work);
        }
        if samples.spread().is_some_and(|s| s <= WIDEST_SPREAD) {
            break;
        }
    }
    samples
}

/// Heads that rates are measured for; others are interpolated.
pub const HEADS: [usize; 5] = [1, 4, 8, 16, 32];
/// Elements of a head that rates are measured for.
pub const HEAD_DIMS: [usize; 2] = [64, 128];
/// Fewest samples of a figure.
const SAMPLES: usize = 7;
/// Most, and those that are left out with them.
const TRIES: usize = 40;
/// How often it is begun again where a neighbour has made all of it useless.
const ATTEMPTS: u32 = 4;
/// What is waited for it to leave, doubled before each further one.
const PAUSE: std::time::Duration = std::time::Duration::from_millis(100);
/// Spread below which the fewest do.
const STEADY: f64 = 0.02;

impl Calibration {
    /// Measures this machine with all that kernels of `f32`, `bf16` and `f16` need. `progress` is told of each of [`Self::STEPS`] steps.
    ///
    /// # Errors
    /// It is too busy, or gives no memory or threads.
    pub fn measure(cpu: &Cpu, progress: &dyn Fn()) -> Result<Self, CalibrationError> {
        let machine = MachineRates::measure(cpu)?;
        let team = Team::new(1)?;
        let latency = latency::latency(&team)?;
        let mut phases = phase_rates::<f32>(cpu, &team, progress)?;
        phases.extend(phase_rates::<half::bf16>(cpu, &team, progress)?);
        phases.extend(phase_rates::<half::f16>(cpu, &team, progress)?);
        let mut walked = walks::<f32>(cpu, &team, progress)?;
        walked.extend(walks::<half::bf16>(cpu, &team, progress)?);
        walked.extend(walks::<half::f16>(cpu, &team, progress)?);
        Ok(Self { machine, phases, walks: walked, latency })
    }

    /// Steps of [`Self::measure`].
    pub const STEPS: usize = 3 * (1 + walks::ROUNDS) * HEADS.len() * HEAD_DIMS.len();
}
