//! Bounds on what a file may say. Generous for every machine and model imaginable, and tight enough that sizes of one
//! layer stay far from 64 bits.

use crate::model::Model;

/// Largest dimension of a model.
pub const MAX_DIMENSION: u64 = 1 << 24;
/// Most layers.
pub const MAX_LAYERS: u64 = 4096;
/// Most attention heads.
pub const MAX_HEADS: u64 = 1 << 16;
/// Longest context, in tokens.
pub const MAX_CONTEXT: u64 = 1 << 31;
/// Largest batch, in sequences.
pub const MAX_BATCH: u64 = 1 << 20;
/// Most parameters of a model: a thousand times the largest known.
pub const MAX_PARAMETERS: u64 = 1 << 50;
/// Most cores.
pub const MAX_CORES: u64 = 1 << 20;
/// Largest side of an array, granularity, and number of arrays in a core.
pub const MAX_ARRAY: u64 = 1 << 16;
/// Most multiply–accumulates, lanes or exponentials in a cycle of one core.
pub const MAX_RATE: u64 = 1 << 32;
/// Most cycles of pipeline latency.
pub const MAX_CYCLES: u64 = 1 << 20;
/// Most banks of a memory.
pub const MAX_BANKS: u64 = 1 << 20;
/// Largest capacity: an exbibyte.
pub const MAX_BYTES: u64 = 1 << 60;
/// Highest bandwidth: an exabyte a second.
pub const MAX_BANDWIDTH: u64 = 1_000_000_000_000_000_000;
/// Most bytes per cycle.
pub const MAX_PER_CYCLE: u64 = 1 << 30;
/// Highest clock: a terahertz.
pub const MAX_CLOCK: u64 = 1_000_000_000_000;
/// Longest single latency or overhead: a second, in picoseconds.
pub const MAX_TIME: u64 = 1_000_000_000_000;
/// Highest energy of one access or operation, in picojoules: a microjoule.
pub const MAX_PICOJOULES: f64 = 1e6;

/// Parameters of a model to the leading order, and those of the inverted projections of the slim schemes, in wide integers:
/// an upper bound that cannot overflow itself.
#[must_use]
pub fn parameter_bound(model: &Model) -> u128 {
    let wide = u128::from;
    let (d, e, f) = (wide(model.d_model), wide(model.heads) * wide(model.head_dim), wide(model.d_ffn));
    let latent = model.mla.map_or(0, |m| (wide(m.latent_dim) + wide(m.rope_dim)) * (d + 2 * e));
    let experts = model.moe.map_or(1, |m| wide(m.experts));
    // Four projections and W_KV, twice where there is cross-attention; norms and biases are below the last term.
    let attention = 2 * (4 * d * e + e * e + d * d) + latent;
    let layer = attention + 3 * d * f * experts + d * experts + 16 * (d + e + f);
    let layers = wide(model.layers) + model.encoder.map_or(0, |c| wide(c.layers));
    layers * layer + 2 * wide(model.vocab) * d + wide(model.max_context) * d
}

/// Whether every count of one decode step, of any scheme, fits 64 bits with room to spare: FLOPs, of which recomputing V over
/// the whole context takes most, bytes, and vector operations.
#[must_use]
pub fn step_fits(model: &Model, context: u64, batch: u64) -> bool {
    let wide = u128::from;
    let width = wide(model.d_model).max(wide(model.heads) * wide(model.head_dim));
    let tokens = wide(context).max(model.encoder.map_or(0, |c| wide(c.tokens)));
    let per_token = 4 * width * (width + wide(model.heads));
    let attention = wide(model.layers) * wide(batch) * tokens;
    let total = attention
        .checked_mul(per_token)
        .and_then(|a| a.checked_add(2 * parameter_bound(model) * wide(batch)));
    total.is_some_and(|t| t < 1 << 62)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Overrides, load_model};

    #[test]
    fn a_usual_step_fits_and_an_absurd_one_does_not() {
        let model = load_model("codellama-7b", &Overrides::default()).expect("the preset loads");
        let bound = parameter_bound(&model);
        assert!((6_738_280_448..20_000_000_000).contains(&bound), "{bound}");
        assert!(step_fits(&model, 131_072, 1024));
        assert!(!step_fits(&model, MAX_CONTEXT, MAX_BATCH));
    }
}
