//! Whole walks over rows in DRAM: what the kernels' streams achieve, and how much of a tile's loading its arithmetic hides.

use super::machine::sample;
use super::{Figure, HEAD_DIMS, HEADS};
use crate::host::cpu::Cpu;
use crate::host::kernels::{KvCache, Shape, SlimK, Walk, Weights};
use crate::host::measure::pattern;
use crate::host::memory::{Buffer, flush};
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
    /// Bytes of weights a second, through slim-k's last product.
    pub weights: Figure,
}

/// Bytes of keys that a walk reads: long enough for start and end to disappear.
const WALK_BYTES: usize = 24 << 20;

/// Walks at every shape; `None` if the machine is too busy.
///
/// # Errors
/// If the system gives no memory.
pub fn walks<E: Element>(
    cpu: &Cpu,
    team: &Team,
    progress: &dyn Fn(),
) -> std::io::Result<Option<Vec<Walked>>> {
    let pattern = pattern::<E>();
    let elements = WALK_BYTES / size_of::<E>();
    let (all_keys, all_values) =
        (Buffer::repeating(elements, &pattern)?, Buffer::repeating(elements, &pattern)?);
    let mut walked = Vec::new();
    for heads in HEADS {
        for head_dim in HEAD_DIMS {
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
            let bytes = (shape.cache() * size_of::<E>()) as f64;
            let both = sample(
                team,
                || [keys, values].into_iter().for_each(flush),
                || baseline.run(cpu.isa, team, &query, &mut out),
            );
            let kept = sample(team, || flush(keys), || slim.walk(cpu.isa, team, &query));
            let last = sample(team, || flush(weights.elements()), || slim.project(cpu.isa, team, &mut out));
            let figures = (
                Figure::rate(2.0 * bytes, &both),
                Figure::rate(bytes, &kept),
                Figure::rate((width * width * size_of::<E>()) as f64, &last),
            );
            let (Some(baseline), Some(slim), Some(weights)) = figures else { return Ok(None) };
            walked.push(Walked { dtype: E::DTYPE, shape, tile: walk.tile, baseline, slim, weights });
            progress();
        }
    }
    Ok(Some(walked))
}
