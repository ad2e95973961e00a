//! The phases of a tile by shape, on rows in the second-level cache.

use super::{CalibrationError, Figure, HEAD_DIMS, HEADS, sample};
use crate::host::cpu::Cpu;
use crate::host::kernels::Walk;
use crate::host::kernels::phases::{Phase, Tile};
use crate::host::measure::pattern;
use crate::host::simd::Element;
use crate::host::team::Team;
use crate::units::Dtype;

/// What a phase achieves at a shape.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PhaseRate {
    /// The phase.
    pub phase: Phase,
    /// Type of the rows.
    pub dtype: Dtype,
    /// Heads.
    pub heads: usize,
    /// Elements of a head.
    pub head_dim: usize,
    /// Tokens of the tile.
    pub tile: usize,
    /// Multiply–accumulates a second; of softmax, exponentials.
    pub per_second: Figure,
}

/// Seconds that a sample should take at least: clocks and interrupts disappear in it.
const LEAST_SECONDS: f64 = 200e-6;

/// Rates of every phase at every shape.
///
/// # Errors
/// The machine is too busy.
pub fn phase_rates<E: Element>(
    cpu: &Cpu,
    team: &Team,
    progress: &dyn Fn(),
) -> Result<Vec<PhaseRate>, CalibrationError> {
    let pattern = pattern::<E>();
    let mut rates = Vec::new();
    for heads in HEADS {
        for head_dim in HEAD_DIMS {
            let width = heads * head_dim;
            let walk = Walk::fitting(width * size_of::<E>(), cpu.l2);
            let mut tile = Tile::new(heads, head_dim, walk, &pattern);
            for phase in [Phase::Scores, Phase::Softmax, Phase::WeightedSums, Phase::Product] {
                let work = match phase {
                    Phase::Scores | Phase::WeightedSums => width * walk.tile,
                    Phase::Product => heads * width * walk.tile,
                    Phase::Softmax => heads * walk.tile,
                };
                let start = std::time::Instant::now();
                tile.run(cpu.isa, phase, 4);
                let one = start.elapsed().as_secs_f64() / 4.0;
                let times = (LEAST_SECONDS / one).ceil() as usize;
                let tile = std::cell::RefCell::new(&mut tile);
                let samples = sample(
                    team,
                    || {},
                    || {
                        tile.borrow_mut().run(cpu.isa, phase, times);
                    },
                );
                let per_second = Figure::rate(
                    format_args!("{phase:?} of {heads} heads of {head_dim}, {}", E::DTYPE),
                    (work * times) as f64,
                    &samples,
                )?;
                rates.push(PhaseRate {
                    phase,
                    dtype: E::DTYPE,
                    heads,
                    head_dim,
                    tile: walk.tile,
                    per_second,
                });
            }
            progress();
        }
    }
    Ok(rates)
}
