//! Bytes that must be held while a step runs, and how many sequences fit.

use super::{Batch, Operator, Subject, Work};
use crate::config::limits::MAX_BATCH;
use crate::model::Position;
use crate::units::Bytes;
use serde::Serialize;

/// Bytes that must be held while a step runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Capacity {
    /// Everything stored of the model, a tied embedding once.
    pub weights: Bytes,
    /// Kept rows of all sequences: `cache_self` + `cache_cross`.
    pub cache: Bytes,
    /// Of self-attention.
    pub cache_self: Bytes,
    /// Of cross-attention.
    pub cache_cross: Bytes,
    /// Largest set of activations alive at once.
    pub activations: Bytes,
    /// `weights` + `cache` + `activations`.
    pub total: Bytes,
    /// What the machine has; `null` where unlimited.
    pub available: Option<Bytes>,
}

/// Everything stored of the model under the subject's scheme: layers with norms and biases, embedding (a tied one once), learned
/// positions, final norm and head.
#[must_use]
pub fn stored_weights(subject: &Subject) -> Bytes {
    let model = &subject.model;
    let weights = subject.precision.weights;
    let head = if model.tied_embeddings { 0 } else { model.vocab * model.d_model };
    let positions =
        if matches!(model.position, Position::Learned) { model.max_context * model.d_model } else { 0 };
    let outside = weights.bytes(model.vocab * model.d_model)
        + weights.bytes(head)
        + weights.bytes(positions)
        + weights.bytes(model.norm.parameters(model.d_model));
    layer_weights(subject) * model.layers + outside
}

/// Weights of one decoder layer.
fn layer_weights(subject: &Subject) -> Bytes {
    super::decode(subject, &Batch::uniform(1, 1))
        .iter()
        .filter(|op| !matches!(op.name, "lm_head" | "embedding"))
        .map(Operator::weights)
        .sum()
}

/// The largest set of activations alive at once in `operators`: an operator's input and output beside the residual stream of
/// `tokens` tokens. The feed-forward network of a long prompt is taken in blocks, so that only its smaller side is whole.
#[must_use]
pub fn activations(subject: &Subject, operators: &[Operator], tokens: u64) -> Bytes {
    let residual = subject.precision.activations().bytes(subject.model.d_model) * tokens;
    let widest = operators
        .iter()
        .map(|op| match &op.work {
            Work::Product(p) => p.input + p.output,
            Work::Lookup(bytes) => *bytes,
            Work::Recompute(_) | Work::Attention(_) => Bytes::ZERO,
        })
        .max()
        .unwrap_or_default();
    residual + widest
}

/// Rows of a prompt that pass through the feed-forward network together.
const FFN_BLOCK: u64 = 4096;

/// Activations of a prefill of `tokens` tokens: Q, K, V and the attention output whole beside the residual stream, the feed-forward
/// network in blocks of 4,096 rows.
#[must_use]
pub fn prefill_activations(subject: &Subject, tokens: u64) -> Bytes {
    let model = &subject.model;
    let act = subject.precision.activations();
    let whole = model.d_model + 2 * model.query_width() + 2 * model.kv_width();
    let up = if model.gated_ffn { 2 } else { 1 };
    act.bytes(whole) * tokens + act.bytes((up + 1) * model.d_ffn) * tokens.min(FFN_BLOCK)
}

/// What a decode step of `contexts` holds beside the stored `weights`, against `available` bytes.
#[must_use]
pub fn decode_capacity(
    subject: &Subject,
    weights: Bytes,
    contexts: &Batch,
    operators: &[Operator],
    available: Option<Bytes>,
) -> Capacity {
    let cache: Bytes = contexts.runs().iter().map(|&(n, count)| subject.cache_bytes(n) * count).sum();
    let activations = activations(subject, operators, contexts.sequences());
    Capacity {
        weights,
        cache,
        cache_self: cache,
        cache_cross: Bytes::ZERO,
        activations,
        total: weights + cache + activations,
        available,
    }
}

/// The largest number of sequences of `context` tokens that fit into `available`; 0 if not one, at most [`MAX_BATCH`].
#[must_use]
pub fn largest_batch(subject: &Subject, context: u64, available: Bytes) -> u64 {
    let weights = stored_weights(subject);
    let fits = |batch: u64| {
        let contexts = Batch::uniform(context, batch);
        let ops = super::decode(subject, &contexts);
        decode_capacity(subject, weights, &contexts, &ops, Some(available)).total <= available
    };
    let per_sequence = subject.cache_bytes(context).0.max(1);
    let (mut low, mut high) = (0, (available.0 / per_sequence).min(MAX_BATCH) + 1);
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if fits(middle) { low = middle } else { high = middle }
    }
    low
}
