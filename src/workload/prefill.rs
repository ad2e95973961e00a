//! The operators that process one prompt: every scheme computes K and V of the prompt and attends to them as the baseline
//! does; schemes differ in the rows that they write. The LM head runs on the last token only.
//!
//! On an encoder–decoder model, cross-attention of the prompt's tokens runs as in a decode step with that many query tokens, or over keys
//! and values that are rebuilt once from what is kept of the encoder: few tokens favour the one, many the other.

use super::block::{input_projections, per_token, product};
use super::decode::{CROSS, CrossReads, MIXER, OWN, cross_block, embedding, lm_head};
use super::feed_forward::feed_forward;
use super::{AttentionWork, Batch, FlopClass, Operator, RowSource, Subject, VectorWorkItems, Work};
use crate::attention::{Contraction, Description, Projection, ReadWork, Sparsity, Stage};
use crate::hardware::mac_array::Product;
use crate::units::{Bytes, Flops};

/// Query rows that walk the keys of a KV head together, largest first: the heads that share it times a block of the prompt's tokens.
/// A machine takes the largest whose accumulators fit.
pub const QUERY_ROWS: [u64; 4] = [128, 32, 8, 1];

/// Builds the operators of a prefill of `tokens` tokens, with about `query_rows` query rows walking a KV head's keys together.
/// `rebuild` says that cross-attention runs over rebuilt keys and values. Its sequence has `encoder_tokens`; `resident` says whether rows that all layers of cross-attention share stay on chip.
#[must_use]
pub fn prefill(
    subject: &Subject,
    tokens: u64,
    encoder_tokens: u64,
    query_rows: u64,
    resident: bool,
    rebuild: bool,
) -> Vec<Operator> {
    let mut ops = Vec::with_capacity(16);
    ops.push(embedding(subject, tokens));
    let mut first = true;
    for kind in &subject.layout.kinds {
        let own = &kind.own;
        let names = if own.attends() { OWN } else { MIXER };
        let layers = kind.layers;
        ops.push(input_projections(subject, own, &names, false, tokens, layers));
        ops.extend(per_token(subject, own, Stage::Up, names.up, tokens, layers));
        if own.attends() {
            ops.extend(keys_and_values(subject, own, "kv_projection", tokens, layers));
            ops.push(attention(subject, own, tokens, query_rows, layers));
        }
        ops.extend(per_token(subject, own, Stage::Output, names.output, tokens, layers));
        if let Some(cross) = kind.cross.as_ref().filter(|_| rebuild) {
            ops.push(input_projections(subject, cross, &CROSS, true, tokens, layers));
            ops.extend(keys_and_values(subject, cross, CROSS.per_head, encoder_tokens, layers));
            ops.push(over_encoder(subject, tokens, encoder_tokens, query_rows, layers));
            ops.extend(per_token(subject, cross, Stage::Output, CROSS.output, tokens, layers));
        } else if let Some(cross) = &kind.cross {
            let encoder = Batch::uniform(encoder_tokens, 1);
            cross_block(subject, cross, encoder, tokens, CrossReads { resident, first }, layers, &mut ops);
        }
        first = false;
    }
    ops.extend(feed_forward(subject, tokens, subject.model.layers));
    ops.push(lm_head(subject, 1));
    ops
}

/// Whether cross-attention of `subject` has keys or values to rebuild.
#[must_use]
pub fn rebuilds_cross(subject: &Subject) -> bool {
    let moved = |p: &Projection| matches!(p.stage, Stage::Query | Stage::PerHead);
    let mut crossed = subject.layout.kinds.iter().filter_map(|k| k.cross.as_ref());
    crossed.any(|c| c.recompute.is_none() && c.projections.iter().any(moved))
}

/// Keys and values of `tokens` tokens from their kept rows, with the matrices that a decode step moves to the query's side or behind the
/// weighted sum: on a prompt the left operand is the kept row itself, the same for all heads.
fn keys_and_values(
    subject: &Subject,
    own: &Description,
    name: &'static str,
    tokens: u64,
    layers: u64,
) -> Vec<Operator> {
    let from_rows = |p: &Projection| {
        let (inputs, outputs) = match p.stage {
            Stage::Query => (p.outputs, p.inputs),
            _ => (p.inputs, p.outputs),
        };
        (inputs, p.repeats * outputs)
    };
    let moved = own.projections.iter().filter(|p| matches!(p.stage, Stage::Query | Stage::PerHead));
    let rebuilt = own.recompute.map(|r| (r.inputs, r.outputs));
    moved
        .map(from_rows)
        .chain(rebuilt)
        .map(|(k, n)| Operator {
            name,
            repeat: layers,
            work: Work::Product(product(
                subject,
                FlopClass::Projection,
                Product { repeats: 1, m: tokens, k, n },
                0,
            )),
            vector: VectorWorkItems::default(),
        })
        .collect()
}

/// Most lengths that the blocks of a prompt are told apart by.
const MOST_LENGTHS: u64 = 2048;

/// Tokens of a block whose queries walk the keys together, and how many such blocks `tokens` make.
pub(super) fn blocks_of_queries(heads: u64, tokens: u64, query_rows: u64) -> (u64, u64) {
    let block = (query_rows / heads).clamp(1, tokens);
    (block, tokens.div_ceil(block))
}

/// Causal attention of the prompt: blocks of query rows, each over the tokens up to its last row.
fn attention(subject: &Subject, own: &Description, tokens: u64, query_rows: u64, layers: u64) -> Operator {
    let model = &subject.model;
    let (block, count) = blocks_of_queries(model.gqa_group(), tokens, query_rows);
    // Neighbouring blocks of very long prompts count as equal, to the longest of them: that adds less than a thousandth.
    let alike = count.div_ceil(MOST_LENGTHS);
    let last = |b: u64| (b.next_multiple_of(alike) * block).min(tokens);
    let blocks: Vec<u64> = (1..=count).map(|b| subject.attended(last(b), block)).collect();
    let attended: u64 = match model.sliding_window {
        Some(w) if w < tokens => w * (w + 1) / 2 + (tokens - w) * w,
        _ => tokens * (tokens + 1) / 2,
    };
    let blocks = Blocks { queries: block, batch: Batch::ragged(&blocks), pairs: attended };
    let written = own.kept_bytes(subject.precision.cache) * subject.attended(tokens, subject.query_tokens);
    per_head(subject, OWN.attention, model.key_dim(), blocks, written, layers)
}

/// Attention of a prompt's tokens over rebuilt keys and values of the encoder's: every token attends to all.
fn over_encoder(
    subject: &Subject,
    tokens: u64,
    encoder_tokens: u64,
    query_rows: u64,
    layers: u64,
) -> Operator {
    let (queries, count) = blocks_of_queries(subject.model.gqa_group(), tokens, query_rows);
    let batch = Batch::uniform(encoder_tokens, count);
    let blocks = Blocks { queries, batch, pairs: tokens * encoder_tokens };
    per_head(subject, CROSS.attention, subject.model.head_dim, blocks, Bytes::ZERO, layers)
}

/// Blocks of queries, and the pairs of tokens that attend to each other.
struct Blocks {
    queries: u64,
    batch: Batch,
    pairs: u64,
}

/// Attention over keys and values that were just made, head by head.
fn per_head(
    subject: &Subject,
    name: &'static str,
    key_dim: u64,
    blocks: Blocks,
    cache_write: Bytes,
    layers: u64,
) -> Operator {
    let model = &subject.model;
    let act = subject.precision.activations();
    let scores = Contraction { slices: 1, heads: model.gqa_group(), width: key_dim };
    let values = Contraction { width: model.head_dim, ..scores };
    let (key, value) = (act.bytes(scores.width), act.bytes(values.width));
    Operator {
        name,
        repeat: layers,
        work: Work::Attention(AttentionWork {
            groups: model.kv_heads,
            scores,
            values,
            before_scores: ReadWork::default(),
            before_values: ReadWork::default(),
            row: key + value,
            score_row: key,
            value_row: value,
            shared_row: false,
            queries: blocks.queries,
            sparsity: Sparsity::default(),
            flops: Flops(2 * model.heads * (scores.width + values.width) * blocks.pairs),
            batch: blocks.batch,
            source: RowSource::Prompt,
            cache_read: Bytes::ZERO,
            cache_write,
        }),
        vector: VectorWorkItems::default(),
    }
}
