//! The operators that process one prompt: every scheme computes K and V of the prompt and attends to them as the baseline
//! does; schemes differ in the rows that they write. The LM head runs on the last token only.

use super::decode::{embedding, feed_forward, input_projections, lm_head, product};
use super::{AttentionWork, Batch, FlopClass, Operator, RowSource, Subject, VectorWorkItems, Work};
use crate::attention::{Contraction, Stage};
use crate::hardware::mac_array::Product;
use crate::units::Flops;

/// Query rows that walk the keys of a KV head together, largest first: the heads that share it times a block of the prompt's tokens.
/// A machine takes the largest whose accumulators fit.
pub const QUERY_ROWS: [u64; 4] = [128, 32, 8, 1];

/// Builds the operators of a prefill of `tokens` tokens, with about `query_rows` query rows walking a KV head's keys together.
#[must_use]
pub fn prefill(subject: &Subject, tokens: u64, query_rows: u64) -> Vec<Operator> {
    let model = &subject.model;
    let layers = model.layers;
    let mut ops = Vec::with_capacity(9);
    ops.push(embedding(subject, tokens));
    ops.push(input_projections(subject, tokens, layers));
    for p in subject.attention.projections.iter().filter(|p| p.stage == Stage::PerHead) {
        // V = K·W_KV: on a prompt the left operand is K itself, the same for all heads.
        ops.push(values_from_keys(subject, tokens, p.inputs, p.repeats * p.outputs));
    }
    if let Some(r) = subject.attention.recompute {
        ops.push(values_from_keys(subject, tokens, r.inputs, r.outputs));
    }
    ops.push(attention(subject, tokens, query_rows));
    for p in subject.attention.projections.iter().filter(|p| p.stage == Stage::Output) {
        let shape = Product { repeats: 1, m: tokens, k: p.inputs, n: p.outputs };
        ops.push(Operator {
            name: "output_projection",
            repeat: layers,
            work: Work::Product(product(subject, FlopClass::Projection, shape, p.inputs, p.bias, 0)),
            vector: VectorWorkItems { other: model.d_model * tokens, rotated: 0 },
        });
    }
    ops.extend(feed_forward(subject, tokens, layers));
    ops.push(lm_head(subject, 1));
    ops
}

/// V of the prompt from its K.
fn values_from_keys(subject: &Subject, tokens: u64, inputs: u64, outputs: u64) -> Operator {
    let shape = Product { repeats: 1, m: tokens, k: inputs, n: outputs };
    Operator {
        name: "kv_projection",
        repeat: subject.model.layers,
        work: Work::Product(product(subject, FlopClass::Projection, shape, inputs, 0, 0)),
        vector: VectorWorkItems::default(),
    }
}

/// Most lengths that the blocks of a prompt are told apart by.
const MOST_LENGTHS: u64 = 2048;

/// Causal attention of the prompt: blocks of query rows, each over the tokens up to its last row.
fn attention(subject: &Subject, tokens: u64, query_rows: u64) -> Operator {
    let model = &subject.model;
    let block = (query_rows / model.gqa_group()).clamp(1, tokens);
    let act = subject.precision.activations();
    let per_head = Contraction { slices: 1, heads: model.gqa_group(), width: model.head_dim };
    // Neighbouring blocks of very long prompts count as equal, to the longest of them: that adds less than a thousandth.
    let count = tokens.div_ceil(block);
    let alike = count.div_ceil(MOST_LENGTHS);
    let blocks: Vec<u64> =
        (1..=count).map(|b| subject.attended((b.next_multiple_of(alike) * block).min(tokens))).collect();
    let row = act.bytes(model.head_dim);
    let attended: u64 = match model.sliding_window {
        Some(w) if w < tokens => w * (w + 1) / 2 + (tokens - w) * w,
        _ => tokens * (tokens + 1) / 2,
    };
    Operator {
        name: "attention",
        repeat: subject.cache_layers(),
        work: Work::Attention(AttentionWork {
            groups: model.kv_heads,
            scores: per_head,
            values: per_head,
            rotated: 0,
            row: row + row,
            score_row: row,
            value_row: row,
            queries: block,
            flops: Flops(4 * model.query_width() * attended),
            batch: Batch::ragged(&blocks),
            source: RowSource::Prompt,
            cache_write: subject.row_bytes() * subject.attended(tokens),
        }),
        vector: VectorWorkItems::default(),
    }
}
