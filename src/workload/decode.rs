//! The operators of one decode step: embedding, layers, head. Each sequence brings one new token.

use super::{
    AttentionWork, Batch, FlopClass, Operator, RecomputeWork, RowSource, Subject, VectorWorkItems,
    WeightProduct, Work,
};
use crate::attention::{Projection, Stage};
use crate::hardware::mac_array::Product;
use crate::units::{Bytes, Flops};

/// Operations per element of a norm: square or centre, accumulate, scale, multiply by the weight.
pub(super) const NORM_OPS: u64 = 4;
/// Operations per element of an activation function (a sigmoid or a tanh by its rational form, and the product).
pub(super) const ACTIVATION_OPS: u64 = 8;

/// Builds the step's operators, in the order in which they run. Operators of a layer carry the number of layers.
#[must_use]
pub fn decode(subject: &Subject, contexts: &Batch) -> Vec<Operator> {
    let tokens = contexts.sequences();
    let model = &subject.model;
    let layers = model.layers;
    let mut ops = Vec::with_capacity(9);
    ops.push(embedding(subject, tokens));
    ops.push(input_projections(subject, tokens, layers));
    let attended = contexts.map(|c| subject.attended(c));
    if let Some(recompute) = recompute(subject, &attended) {
        ops.push(recompute);
    }
    ops.push(attention(subject, attended, tokens));
    ops.extend(per_head_projection(subject, tokens, layers));
    ops.extend(feed_forward(subject, tokens, layers));
    ops.push(lm_head(subject, tokens));
    ops
}

/// Embedding rows of the new tokens, and of their positions where these are learned.
pub(super) fn embedding(subject: &Subject, tokens: u64) -> Operator {
    let model = &subject.model;
    let rows = if matches!(model.position, crate::model::Position::Learned) { 2 } else { 1 };
    Operator {
        name: "embedding",
        repeat: 1,
        work: Work::Lookup(subject.precision.weights.bytes(model.d_model) * (tokens * rows)),
        vector: VectorWorkItems { other: if rows == 2 { model.d_model * tokens } else { 0 }, rotated: 0 },
    }
}

/// A product of `tokens` rows with a weight matrix.
pub(super) fn product(
    subject: &Subject,
    class: FlopClass,
    shape: Product,
    input_width: u64,
    bias: u64,
    norms: u64,
) -> WeightProduct {
    let weights = subject.precision.weights;
    let act = subject.precision.activations();
    let norm = subject.model.norm.parameters(subject.model.d_model) * norms;
    WeightProduct {
        shape,
        matrix: weights.bytes(shape.repeats * shape.k * shape.n),
        extra: weights.bytes(bias + norm),
        input: act.bytes(input_width) * shape.m,
        output: act.bytes(shape.repeats * shape.n) * shape.m,
        class,
    }
}

/// The fused product with every matrix that is applied to the layer's input, with the norm before it.
pub(super) fn input_projections(subject: &Subject, tokens: u64, layers: u64) -> Operator {
    let model = &subject.model;
    let of_input = || subject.attention.projections.iter().filter(|p| p.stage == Stage::Input);
    let outputs: u64 = of_input().map(|p| p.outputs).sum();
    let bias: u64 = of_input().map(|p| p.bias).sum();
    // All norms of a layer beyond the one before the feed-forward network are charged here.
    let norms = if model.norms_per_layer > 1 { model.norms_per_layer - 1 } else { 1 };
    let shape = Product { repeats: 1, m: tokens, k: model.d_model, n: outputs };
    Operator {
        name: "qkv_projection",
        repeat: layers,
        work: Work::Product(product(subject, FlopClass::Projection, shape, model.d_model, bias, norms)),
        vector: VectorWorkItems {
            other: NORM_OPS * model.d_model * tokens * norms,
            rotated: subject.attention.rotated_once * tokens,
        },
    }
}

/// Rebuilding values from the kept rows, where the scheme does that.
fn recompute(subject: &Subject, attended: &Batch) -> Option<Operator> {
    let recompute = subject.attention.recompute?;
    let cache = subject.precision.cache;
    Some(Operator {
        name: "recompute",
        repeat: subject.cache_layers(),
        work: Work::Recompute(RecomputeWork {
            shape: Product { repeats: 1, m: attended.tokens(), k: recompute.inputs, n: recompute.outputs },
            matrix: subject.precision.weights.bytes(subject.attention.recompute_weights),
            row: subject.row_bytes(),
            recomputed_row: cache.bytes(recompute.outputs),
        }),
        vector: VectorWorkItems::default(),
    })
}

/// Attention of the new tokens.
fn attention(subject: &Subject, attended: Batch, tokens: u64) -> Operator {
    let a = &subject.attention;
    let cache = subject.precision.cache;
    let recomputed = a.recompute.map_or(Bytes::ZERO, |r| cache.bytes(r.outputs / a.groups));
    let macs = a.groups * (a.scores.macs() + a.values.macs());
    Operator {
        name: "attention",
        repeat: subject.cache_layers(),
        work: Work::Attention(AttentionWork {
            groups: a.groups,
            scores: a.scores,
            values: a.values,
            rotated: a.rotated_on_read,
            row: cache.bytes(a.row_width()) + recomputed,
            score_row: cache.bytes(a.scores.row_width()),
            value_row: cache.bytes(a.values.row_width()),
            queries: 1,
            flops: Flops(2 * macs * attended.tokens()),
            batch: attended,
            source: a.recompute.map_or(RowSource::Cache, |r| RowSource::Rebuilt {
                matrix: subject.precision.weights.bytes(a.recompute_weights),
                rows: subject.row_bytes() + cache.bytes(r.outputs),
            }),
            cache_write: subject.row_bytes() * tokens,
        }),
        vector: VectorWorkItems::default(),
    }
}

/// W_KV on the weighted sums, for all sequences as one product, and the output projection.
fn per_head_projection(subject: &Subject, tokens: u64, layers: u64) -> impl Iterator<Item = Operator> {
    let d = subject.model.d_model;
    subject.attention.projections.iter().filter(|p| p.stage != Stage::Input).map(move |p| {
        let Projection { repeats, inputs, outputs, bias, .. } = *p;
        let shape = Product { repeats, m: tokens, k: inputs, n: outputs };
        let residual = if p.stage == Stage::Output { d * tokens } else { 0 };
        Operator {
            name: if p.stage == Stage::Output { "output_projection" } else { "kv_projection" },
            repeat: layers,
            work: Work::Product(product(subject, FlopClass::Projection, shape, repeats * inputs, bias, 0)),
            vector: VectorWorkItems { other: residual, rotated: 0 },
        }
    })
}

/// The feed-forward network: up (and gate) projection, then down projection.
pub(super) fn feed_forward(subject: &Subject, tokens: u64, layers: u64) -> [Operator; 2] {
    let model = &subject.model;
    let up = if model.gated_ffn { 2 } else { 1 };
    let biased = |width| if model.ffn_bias { width } else { 0 };
    let norms = u64::from(model.norms_per_layer > 1);
    let up_shape = Product { repeats: 1, m: tokens, k: model.d_model, n: up * model.d_ffn };
    let down_shape = Product { repeats: 1, m: tokens, k: model.d_ffn, n: model.d_model };
    let activation = ACTIVATION_OPS * model.d_ffn * tokens;
    [
        Operator {
            name: "ffn_up",
            repeat: layers,
            work: Work::Product(product(
                subject,
                FlopClass::Ffn,
                up_shape,
                model.d_model,
                biased(up * model.d_ffn),
                norms,
            )),
            vector: VectorWorkItems {
                other: activation + norms * NORM_OPS * model.d_model * tokens,
                rotated: 0,
            },
        },
        Operator {
            name: "ffn_down",
            repeat: layers,
            work: Work::Product(product(
                subject,
                FlopClass::Ffn,
                down_shape,
                model.d_ffn,
                biased(model.d_model),
                0,
            )),
            vector: VectorWorkItems { other: model.d_model * tokens, rotated: 0 },
        },
    ]
}

/// The final norm and the LM head.
pub(super) fn lm_head(subject: &Subject, tokens: u64) -> Operator {
    let model = &subject.model;
    let shape = Product { repeats: 1, m: tokens, k: model.d_model, n: model.vocab };
    Operator {
        name: "lm_head",
        repeat: 1,
        work: Work::Product(product(subject, FlopClass::LmHead, shape, model.d_model, 0, 1)),
        vector: VectorWorkItems { other: NORM_OPS * model.d_model * tokens, rotated: 0 },
    }
}
