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
/// Most memory parts of an accelerator.
pub const MAX_PARTS: u64 = 1 << 12;
/// Entries of a controller's queue.
pub const MAX_QUEUE: u64 = 1 << 12;
/// Tokens of a block of a paged cache.
pub const MAX_BLOCK_TOKENS: u64 = 1 << 24;
/// Rows and columns of an array, and how many of them.
pub const MAX_ARRAY: u64 = 1 << 16;
/// Most multiply–accumulates, lanes or exponentials in a cycle of one core.
pub const MAX_RATE: u64 = 1 << 32;
/// Most multiply–accumulates or exponentials a second of one core.
pub const MAX_PER_SECOND: u64 = 1 << 60;
/// Most cycles of pipeline latency.
pub const MAX_CYCLES: u64 = 1 << 20;
/// Most banks of a memory.
pub const MAX_BANKS: u64 = 1 << 20;
/// Most channels of a memory part, or that addresses are spread over.
pub const MAX_MEMORY_CHANNELS: u64 = 1024;
/// Most pseudo-channels of a channel.
pub const MAX_PSEUDO_CHANNELS: u64 = 8;
/// Most ranks, bank groups or banks of a memory channel; of their product the model has a bound of its own.
pub const MAX_MEMORY_BANKS: u64 = 64;
/// Most rows of a bank.
pub const MAX_ROWS: u64 = 1 << 24;
/// Most bursts of a row.
pub const MAX_COLUMNS: u64 = 1 << 16;
/// Largest burst of a memory.
pub const MAX_BURST_BYTES: u64 = 1 << 12;
/// Most entries of a memory controller's queue.
pub const MAX_MEMORY_QUEUE: u64 = 1 << 16;
/// Most cycles of a memory command.
pub const MAX_COMMAND_CYCLES: u64 = 16;
/// Most measured rows that a kernel profile tells of.
pub const MAX_FITTED_ROWS: u64 = 1 << 32;
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
    let experts = model.moe.map_or(1, |m| wide(m.experts));
    // Of latent attention: the latent row from the input, keys and values from it, and the query rows with their rotated part,
    // through a latent row of their own or not.
    let latent = model.mla.map_or(0, |m| {
        let rotated = wide(model.heads) * wide(m.rope_dim);
        let queries = m.query_latent_dim.map_or(d * rotated, |q| wide(q) * (d + e + rotated));
        (wide(m.latent_dim) + wide(m.rope_dim)) * (d + 2 * e) + queries
    });
    // Four projections with W_KV (e × e) or, with groups of KV heads, W_K* (d × d): twice, for cross-attention. Norms and biases
    // are below the last term of a layer.
    let attention = 2 * (4 * d * e + e * e + d * d) + latent;
    let layer = |ffn: u128, f: u128| attention + ffn + 16 * (d + e + f);
    let decoder = wide(model.layers) * layer(3 * d * f * experts + d * experts, f);
    let encoder = model.encoder.map_or(0, |c| {
        let f = wide(c.d_ffn);
        wide(c.layers) * layer(3 * d * f, f) + wide(c.tokens) * d
    });
    decoder + encoder + 2 * wide(model.vocab) * d + wide(model.max_context) * d
}

/// Whether every count of one decode step, of any scheme, fits 64 bits with room to spare: FLOPs, of which recomputing V over
/// the whole context takes most, bytes, and vector operations.
#[must_use]
pub fn step_fits(model: &Model, context: u64, batch: u64) -> bool {
    let wide = u128::from;
    let latent = model.mla.map_or(0, |m| wide(m.latent_dim) + wide(m.rope_dim));
    let width = wide(model.d_model).max(wide(model.heads) * wide(model.key_dim())).max(latent);
    let tokens = wide(context) + model.encoder.map_or(0, |c| wide(c.tokens));
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
    use crate::model::{Encoder, Mla, Moe};

    #[test]
    fn a_usual_step_fits_and_an_absurd_one_does_not() {
        let model = load_model("codellama-7b", &Overrides::default()).expect("the preset loads");
        let bound = parameter_bound(&model);
        assert!((6_738_280_448..20_000_000_000).contains(&bound), "{bound}");
        assert!(step_fits(&model, 131_072, 1024));
        assert!(!step_fits(&model, MAX_CONTEXT, MAX_BATCH));
    }

    /// Each part that a model may have beside a plain decoder raises the bound by at least its own matrices.
    #[test]
    fn every_part_of_a_model_counts() {
        let plain = load_model("codellama-7b", &Overrides::default()).expect("the preset loads");
        let (d, layers) = (4096_u128, 32_u128);
        let unchanged = parameter_bound(&plain);
        let more = |changed: Model| parameter_bound(&changed) - unchanged;

        let moe = Model { moe: Some(Moe { experts: 9, active: 2 }), ..plain.clone() };
        assert!(more(moe) >= layers * (8 * 3 * d * 11008 + 8 * d), "eight more experts and their routers");

        let encoder =
            Encoder { layers: 5, tokens: 1500, d_ffn: 100_000, gated_ffn: true, reads_prompt: false };
        let encoder = Model { encoder: Some(encoder), ..plain.clone() };
        assert!(more(encoder) >= 5 * (4 * d * d + 3 * d * 100_000), "layers of the encoder's own width");

        let latent = Mla { latent_dim: 512, rope_dim: 64, query_latent_dim: None };
        let own = Mla { query_latent_dim: Some(100_000), ..latent };
        let (latent, own) =
            (Model { mla: Some(latent), ..plain.clone() }, Model { mla: Some(own), ..plain.clone() });
        assert!(more(latent.clone()) >= layers * (512 + 64) * d, "the latent row");
        assert!(
            more(own) - more(latent) >= layers * 100_000 * 2 * d - layers * 32 * 64 * d,
            "the queries' latent row"
        );

        // The d×d of W_K* alone, next to a head so narrow that nothing else comes near it.
        let narrow =
            Model { heads: 1, kv_heads: 1, head_dim: 64, d_ffn: 1, vocab: 1, max_context: 1, ..plain };
        assert!(parameter_bound(&narrow) >= layers * d * d, "W_K* is d×d");
    }
}
