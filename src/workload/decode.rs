//! The operators of one decode step: embedding, layers, head. Each sequence brings one new token, or several.

use super::block::{AttentionPlace, attention, input_projections, per_token, recompute};
use super::feed_forward::feed_forward;
use super::{Batch, FlopClass, Operator, RowSource, Subject, VectorWorkItems, Work};
use crate::attention::{Description, Keeper, Stage};
use crate::hardware::mac_array::Product;
use crate::model::Norm;

/// Which sequences a decode step serves, and where their shared rows are.
#[derive(Debug, Clone)]
pub struct Step<'a> {
    /// Tokens that each sequence attends to.
    pub contexts: &'a Batch,
    /// Encoder tokens of the sequences; `None` where all have as many as the model says.
    pub encoder: Option<&'a Batch>,
    /// Whether rows that all layers share stay on chip from step to step.
    pub resident: bool,
}

impl<'a> From<&'a Batch> for Step<'a> {
    fn from(contexts: &'a Batch) -> Self {
        Self { contexts, encoder: None, resident: false }
    }
}

/// Names of the operators of an attention block.
pub(super) struct Names {
    pub(super) input: &'static str,
    pub(super) up: &'static str,
    pub(super) query: &'static str,
    pub(super) recompute: &'static str,
    pub(super) attention: &'static str,
    pub(super) per_head: &'static str,
    pub(super) output: &'static str,
}

pub(super) const OWN: Names = Names {
    input: "qkv_projection",
    up: "up_projection",
    query: "query_absorption",
    recompute: "recompute",
    attention: "attention",
    per_head: "kv_projection",
    output: "output_projection",
};
pub(super) const CROSS: Names = Names {
    input: "cross_q_projection",
    up: "cross_up_projection",
    query: "cross_query_absorption",
    recompute: "cross_recompute",
    attention: "cross_attention",
    per_head: "cross_kv_projection",
    output: "cross_output_projection",
};
/// A layer without attention.
pub(super) const MIXER: Names = Names { input: "mixer_input", output: "mixer_output", ..OWN };

/// Builds the step's operators, in the order in which they run. Operators of a layer carry the number of layers.
#[must_use]
pub fn decode<'a>(subject: &Subject, step: impl Into<Step<'a>>) -> Vec<Operator> {
    let step = step.into();
    let tokens = step.contexts.sequences() * subject.query_tokens;
    let mut ops = Vec::with_capacity(16);
    ops.push(embedding(subject, tokens));
    let mut layers_before = 0;
    for kind in &subject.layout.kinds {
        let names = if kind.own.attends() { OWN } else { MIXER };
        let own = step.contexts.map(|c| subject.attended(c, subject.query_tokens));
        let rows = Rows { attended: own, queries: subject.query_tokens, source: RowSource::Cache };
        block(subject, &kind.own, &names, rows, kind.layers, &mut ops);
        if let Some(cross) = &kind.cross {
            let usual = || Batch::uniform(subject.encoder_tokens(), step.contexts.sequences());
            let tokens = step.encoder.cloned().unwrap_or_else(usual);
            let reads = CrossReads { resident: step.resident, first: layers_before == 0 };
            cross_block(subject, cross, tokens, subject.query_tokens, reads, kind.layers, &mut ops);
        }
        layers_before += kind.layers;
    }
    ops.extend(feed_forward(subject, tokens, subject.model.layers));
    ops.push(lm_head(subject, tokens));
    ops
}

/// How cross-attention comes by rows that all layers share.
#[derive(Clone, Copy)]
pub(super) struct CrossReads {
    /// They stay on chip from step to step.
    pub(super) resident: bool,
    /// No layer before has read them in this step.
    pub(super) first: bool,
}

/// The cross-attention of `layers` layers, `queries` query rows of each sequence over the encoder's `tokens`. Of layers that read the same
/// rows from memory, only the first reads them for the first time.
pub(super) fn cross_block(
    subject: &Subject,
    cross: &Description,
    tokens: Batch,
    queries: u64,
    reads: CrossReads,
    layers: u64,
    ops: &mut Vec<Operator>,
) {
    let source = match cross.keeper {
        Keeper::EachLayer => RowSource::Cache,
        Keeper::AllLayers if reads.resident => RowSource::Resident,
        Keeper::AllLayers => RowSource::CacheAgain,
    };
    let start = ops.len();
    block(subject, cross, &CROSS, Rows { attended: tokens, queries, source }, layers, ops);
    if source != RowSource::CacheAgain || !reads.first {
        return;
    }
    let Some(at) = ops[start..].iter().position(|op| matches!(op.work, Work::Attention(_))) else { return };
    let mut first = ops[start + at].clone();
    first.repeat = 1;
    if let Work::Attention(work) = &mut first.work {
        work.source = RowSource::Cache;
    }
    ops[start + at].repeat -= 1;
    ops.insert(start + at, first);
    ops.retain(|op| op.repeat > 0);
}

/// The rows that a block attends to.
pub(super) struct Rows {
    /// Tokens of each sequence.
    pub(super) attended: Batch,
    /// Query rows of each sequence.
    pub(super) queries: u64,
    /// Where rows are read from.
    pub(super) source: RowSource,
}

/// The operators of one attention block of `layers` layers.
pub(super) fn block(
    subject: &Subject,
    block: &Description,
    names: &Names,
    rows: Rows,
    layers: u64,
    ops: &mut Vec<Operator>,
) {
    let Rows { attended, queries, source } = rows;
    let tokens = attended.sequences() * queries;
    let cross = names.input == CROSS.input;
    ops.push(input_projections(subject, block, names, cross, tokens, layers));
    for stage in [Stage::Up, Stage::Query] {
        let name = if stage == Stage::Up { names.up } else { names.query };
        ops.extend(per_token(subject, block, stage, name, tokens, layers));
    }
    if block.attends() {
        ops.extend(recompute(subject, block, names.recompute, &attended, layers));
        // The encoder's tokens bring no new rows.
        let new_rows = if cross { 0 } else { tokens };
        let place = AttentionPlace { queries, source, new_rows };
        ops.push(attention(subject, block, names.attention, attended, &place, layers));
    }
    ops.extend(per_token(subject, block, Stage::PerHead, names.per_head, tokens, layers));
    ops.extend(per_token(subject, block, Stage::Output, names.output, tokens, layers));
}

/// Embedding rows of the new tokens, and of their positions where these are learned.
pub(super) fn embedding(subject: &Subject, tokens: u64) -> Operator {
    let model = &subject.model;
    let rows = if matches!(model.position, crate::model::Position::Learned) { 2 } else { 1 };
    Operator {
        name: "embedding",
        repeat: 1,
        work: Work::Lookup(subject.precision.weights.bytes(model.d_model) * (tokens * rows)),
        vector: VectorWorkItems {
            other: if rows == 2 { model.d_model * tokens } else { 0 },
            ..VectorWorkItems::default()
        },
    }
}

/// The final norm and the LM head.
pub(super) fn lm_head(subject: &Subject, tokens: u64) -> Operator {
    let model = &subject.model;
    let shape = Product { repeats: 1, m: tokens, k: model.d_model, n: model.vocab };
    let norm = model.norm.parameters(model.d_model);
    Operator {
        name: "lm_head",
        repeat: 1,
        work: Work::Product(super::block::product(subject, FlopClass::LmHead, shape, norm)),
        vector: super::block::norms(model.norm, 1, model.d_model, model.vocab, tokens),
    }
}

/// Norms of a decoder layer: before attention (with post-norms, around it), before cross-attention, before the feed-forward network.
pub(super) struct LayerNorms {
    pub(super) own: u64,
    pub(super) cross: u64,
    pub(super) feed_forward: u64,
}

impl LayerNorms {
    pub(super) fn of(subject: &Subject) -> Self {
        let all = subject.model.norms_per_layer;
        let feed_forward = u64::from(all > 1);
        let cross = u64::from(subject.model.encoder.is_some() && all > 2);
        Self { own: all - feed_forward - cross, cross, feed_forward }
    }
}

/// Whether a norm is folded into the product behind it.
pub(super) const fn folded(norm: Norm) -> bool {
    matches!(norm, Norm::FlashRms)
}
