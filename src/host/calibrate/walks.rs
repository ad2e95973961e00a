//! Whole walks over rows in DRAM: what the kernels' streams achieve, and how much of a tile's loading its arithmetic hides.

use super::{CalibrationError, Figure, HEAD_DIMS, HEADS, sample};
use crate::host::cpu::Cpu;
use crate::host::kernels::{KvCache, Shape, SlimK, Walk, Weights};
use crate::host::measure::pattern;
use crate::host::memory::{Buffer, flush};
use crate::host::samples::Samples;
use crate::host::simd::Element;
use crate::host::team::Team;
use crate::units::Dtype;

/// Times of the kernels' parts at a shape, from DRAM.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Walked {
    /// Type of the rows and weights.
    pub dtype: Dtype,
    /// Shape; one sequence.
    pub shape: Shape,
    /// Tokens of a tile.
    pub tile: usize,
    /// Bytes of keys and values a second, through the baseline.
    pub baseline: Figure,
    /// Bytes of keys a second, through slim-k without its last product.
    pub slim: Figure,
    /// Bytes of weights a second, through slim-k's last product; `None` where that is too short to time, or was disturbed.
    pub weights: Option<Figure>,
}

/// Fewest bytes of weights that are worth timing: some 16 µs.
const LEAST_WEIGHTS: usize = 256 << 10;
/// Bytes of keys that a walk reads: long enough for start and end to disappear.
const WALK_BYTES: usize = 24 << 20;

/// Rounds over all shapes: neighbours of a shared machine come and go, and a shape that was measured in one go would bear their mark.
pub(super) const ROUNDS: usize = 3;

/// Walks at every shape.
///
/// # Errors
/// The machine is too busy, or gives no memory.
pub fn walks<E: Element>(
    cpu: &Cpu,
    team: &Team,
    progress: &dyn Fn(),
) -> Result<Vec<Walked>, CalibrationError> {
    let pattern = pattern::<E>();
    let elements = WALK_BYTES / size_of::<E>();
    let (all_keys, all_values) =
        (Buffer::repeating(elements, &pattern)?, Buffer::repeating(elements, &pattern)?);
    let shapes = || HEADS.into_iter().flat_map(|heads| HEAD_DIMS.map(|head_dim| (heads, head_dim)));
    let mut samples: Vec<[Samples; 3]> = shapes().map(|_| Default::default()).collect();
    let mut walked = Vec::new();
    for round in 1..=ROUNDS {
        for ((heads, head_dim), [both, kept, last]) in shapes().zip(&mut samples) {
            let width = heads * head_dim;
            let shape = Shape { heads, head_dim, context: elements / width / 128 * 128, batch: 1 };
            let (keys, values) = (&all_keys[..shape.cache()], &all_values[..shape.cache()]);
            let walk = Walk::fitting(width * size_of::<E>(), cpu.l2);
            let matrix = pattern.iter().copied().cycle().take(width * width).collect();
            let weights = Weights::laid_out(matrix, width, head_dim);
            let query = vec![0.1; width];
            let mut out = vec![0.0; width];
            let baseline = KvCache::new(shape, walk, [keys, values], None, team.threads());
            let slim = SlimK::new(shape, walk, keys, &weights, None, team.threads());
            both.extend(sample(
                team,
                || [keys, values].into_iter().for_each(flush),
                || baseline.run(cpu.isa, team, &query, &mut out),
            ));
            kept.extend(sample(team, || flush(keys), || slim.walk(cpu.isa, team, &query)));
            let matrix = width * width * size_of::<E>();
            if matrix >= LEAST_WEIGHTS {
                last.extend(sample(
                    team,
                    || flush(weights.elements()),
                    || slim.project(cpu.isa, team, &mut out),
                ));
            }
            progress();
            if round < ROUNDS {
                continue;
            }
            let bytes = (shape.cache() * size_of::<E>()) as f64;
            let what = |part| format!("{part}, {heads} heads of {head_dim}, {}", E::DTYPE);
            let baseline = Figure::rate(what("kv-cache"), 2.0 * bytes, both)?;
            let slim = Figure::rate(what("slim-k"), bytes, kept)?;
            // Short, and one of many of which the median counts: a disturbed one is left out.
            let weights = Figure::rate(what("the product with W_KV"), matrix as f64, last).ok();
            walked.push(Walked { dtype: E::DTYPE, shape, tile: walk.tile, baseline, slim, weights });
        }
    }
    if walked.iter().all(|w| w.weights.is_none()) {
        return Err(CalibrationError::Busy("the product with W_KV varies at every shape".to_owned()));
    }
    Ok(walked)
}
