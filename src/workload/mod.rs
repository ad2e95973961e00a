//! What a step must compute and what must move, before any hardware is known: operators with shapes, bytes and FLOPs.
//!
//! [`decode`] builds the operators of one decode step, [`prefill`] those of one prompt, [`encode`] and [`cross_phase`] what an
//! encoder–decoder model does before. Useful FLOPs and compulsory bytes are fixed here and nowhere else; mapping and engine may only add
//! to them.

mod batch;
mod block;
pub mod capacity;
mod counts;
mod decode;
mod encode;
mod feed_forward;
mod prefill;

pub use batch::Batch;
pub use capacity::Capacity;
pub use counts::{FlopCount, Traffic, VectorWork};
pub use decode::{Step, decode};
pub use encode::{cross_phase, encode};
pub use prefill::{QUERY_ROWS, prefill, rebuilds_cross};

use crate::attention::{Contraction, Keeper, Layout, Options, Precision, ReadWork, Sparsity};
use crate::hardware::mac_array::Product;
use crate::model::Model;
use crate::units::{Bytes, Flops, VectorOps};

/// A model with a scheme and element types: everything that decides the work.
#[derive(Debug, Clone)]
pub struct Subject {
    /// The model.
    pub model: Model,
    /// The scheme on it.
    pub layout: Layout,
    /// Element types.
    pub precision: Precision,
    /// How the scheme is used.
    pub options: Options,
    /// New tokens of each sequence in a step.
    pub query_tokens: u64,
}

impl Subject {
    /// Tokens that `queries` consecutive queries, the last of them at `context`, attend to together: all, or those in their sliding
    /// windows, of which each begins one token behind the one before.
    #[must_use]
    pub fn attended(&self, context: u64, queries: u64) -> u64 {
        self.model
            .sliding_window
            .map_or(context, |w| context.min(w.saturating_add(queries.saturating_sub(1))))
    }

    /// Encoder tokens of a sequence, where it does not bring its own.
    #[must_use]
    pub fn encoder_tokens(&self) -> u64 {
        self.model.encoder.map_or(0, |e| e.tokens)
    }

    /// Bytes that one sequence of `context` tokens and `encoder_tokens` keeps in all layers: of self-attention and of cross-attention. Rows
    /// that all layers share count once, wherever they are.
    #[must_use]
    pub fn cache_parts(&self, context: u64, encoder_tokens: u64) -> (Bytes, Bytes) {
        let cache = self.precision.cache;
        let kinds = &self.layout.kinds;
        let own: Bytes = kinds.iter().map(|k| k.own.kept_bytes(cache) * k.layers).sum();
        let crossed = || kinds.iter().filter_map(|k| Some((k.layers, k.cross.as_ref()?)));
        let each = crossed().filter(|c| c.1.keeper == Keeper::EachLayer);
        let each: Bytes = each.map(|(layers, c)| c.kept_bytes(cache) * layers).sum();
        (
            own * self.attended(context, self.query_tokens),
            each * encoder_tokens + self.shared_row() * encoder_tokens,
        )
    }

    /// Bytes of an encoder token that are kept once for all layers.
    #[must_use]
    pub fn shared_row(&self) -> Bytes {
        let crossed = self.layout.kinds.iter().filter_map(|k| k.cross.as_ref());
        let shared = crossed.filter(|c| c.keeper == Keeper::AllLayers);
        shared.map(|c| c.kept_bytes(self.precision.cache)).max().unwrap_or_default()
    }

    /// Bytes that one sequence of `context` tokens and the usual encoder tokens keeps in all.
    #[must_use]
    pub fn cache_bytes(&self, context: u64) -> Bytes {
        let (own, cross) = self.cache_parts(context, self.encoder_tokens());
        own + cross
    }
}

/// Which part of [`FlopCount`] a product counts in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FlopClass {
    /// Attention projections.
    Projection,
    /// Feed-forward network.
    Ffn,
    /// LM head.
    LmHead,
}

/// A product of activations with weights that are read once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct WeightProduct {
    /// Shape; m is the number of tokens.
    pub shape: Product,
    /// Bytes of the weight matrix.
    pub matrix: Bytes,
    /// Bytes of biases and of the norm that precedes.
    pub extra: Bytes,
    /// Bytes of the input activations.
    pub input: Bytes,
    /// Bytes of the output activations.
    pub output: Bytes,
    /// FLOP class.
    pub class: FlopClass,
    /// Useful multiply–accumulates.
    pub macs: u64,
    /// Bytes of weights that are stored for it, where a step does not read all of them.
    pub stored: Bytes,
}

/// Attention of every query over the kept rows of its sequence.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AttentionWork {
    /// Independent kept rows per token.
    pub groups: u64,
    /// Scores of one group.
    pub scores: Contraction,
    /// Weighted sum of one group.
    pub values: Contraction,
    /// Work on one group's row before it serves the scores.
    pub before_scores: ReadWork,
    /// Work on it before it serves the weighted sum, where this does not skip the token.
    pub before_values: ReadWork,
    /// Bytes of one group's row, all tensors that one token's turn reads.
    pub row: Bytes,
    /// Of these, the bytes that the scores contract with.
    pub score_row: Bytes,
    /// Of these, the bytes that the weighted sum contracts with.
    pub value_row: Bytes,
    /// Whether scores and weighted sum read the same bytes.
    pub shared_row: bool,
    /// Query rows per head that share a sequence's tokens: the new tokens of a step, or a block of a prompt.
    pub queries: u64,
    /// Attention weights that count as zero.
    pub sparsity: Sparsity,
    /// Tokens attended by each sequence.
    pub batch: Batch,
    /// Where rows are read from.
    pub source: RowSource,
    /// Bytes of kept rows that a step must read for it.
    pub cache_read: Bytes,
    /// Bytes written for the new tokens' kept rows.
    pub cache_write: Bytes,
    /// Useful FLOPs.
    pub flops: Flops,
}

/// Where attention reads its rows from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RowSource {
    /// The kept cache in the outermost memory.
    Cache,
    /// The same, after another layer has read it.
    CacheAgain,
    /// Kept rows that stay on chip from step to step.
    Resident,
    /// Kept rows, and values rebuilt from them by the operator before: chunk by chunk on chip where the matrix and a chunk fit, else the
    /// kept rows are read again and the values spilled.
    Rebuilt {
        /// Bytes of the matrix.
        matrix: Bytes,
        /// Bytes of a token's kept and rebuilt row together.
        rows: Bytes,
        /// Of these, the bytes that attention reads of the kept row.
        kept: Bytes,
    },
    /// Keys and values of the prompt that is being processed: on chip where they fit, else spilled.
    Prompt,
}

/// Kept rows of the whole context times a weight matrix: (Σ tokens × k)·(k × n).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RecomputeWork {
    /// Shape; m is the tokens of all sequences.
    pub shape: Product,
    /// Bytes of the matrix.
    pub matrix: Bytes,
    /// Bytes of a kept row, all groups.
    pub row: Bytes,
    /// Bytes of a recomputed row.
    pub recomputed_row: Bytes,
}

/// What an operator does.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Work {
    /// Gathers embedding rows.
    Lookup(Bytes),
    /// Writes kept rows.
    Store(Bytes),
    /// Activations times weights.
    Product(WeightProduct),
    /// Kept rows times weights.
    Recompute(RecomputeWork),
    /// Attention.
    Attention(AttentionWork),
}

/// One operator, and how often it runs in the step with the same shape.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Operator {
    /// Its name in reports.
    pub name: &'static str,
    /// Runs per step.
    pub repeat: u64,
    /// What it does.
    pub work: Work,
    /// Element-wise work before or after it, apart from attention's own softmax and rotation on read.
    pub vector: VectorWorkItems,
}

/// Element-wise work of an operator outside attention's inner loop, in elements: rotation is priced by the machine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct VectorWorkItems {
    /// Operations of norms that the product waits for: each needs whole rows.
    pub norm: u64,
    /// Operations of norms that run beside the product.
    pub beside: u64,
    /// Operations of residual sums and activation functions, behind the product.
    pub other: u64,
    /// Elements to rotate.
    pub rotated: u64,
}

impl VectorWorkItems {
    /// Operations, at `rotate_ops` a rotated element.
    #[must_use]
    pub const fn work(&self, rotate_ops: u64) -> VectorWork {
        VectorWork {
            softmax: VectorOps(0),
            rotary: VectorOps(self.rotated.saturating_mul(rotate_ops)),
            other: VectorOps(self.norm + self.beside + self.other),
        }
    }
}

/// Vector operations per score beside its exponential: scale and running maximum, subtraction, sum, conversion.
pub const SOFTMAX_OPS_PER_SCORE: u64 = 4;

impl Operator {
    /// Useful FLOPs of one run.
    #[must_use]
    pub fn flops(&self) -> FlopCount {
        let mut count = FlopCount::default();
        match &self.work {
            Work::Lookup(_) | Work::Store(_) => {}
            Work::Product(p) => {
                let flops = Flops(2 * p.macs);
                match p.class {
                    FlopClass::Projection => count.projection = flops,
                    FlopClass::Ffn => count.ffn = flops,
                    FlopClass::LmHead => count.lm_head = flops,
                }
            }
            Work::Recompute(r) => count.recompute = Flops(2 * r.shape.macs()),
            Work::Attention(a) => count.attention = a.flops,
        }
        count
    }

    /// Weight bytes of one run.
    #[must_use]
    pub fn weights(&self) -> Bytes {
        match &self.work {
            Work::Product(p) => p.matrix + p.extra,
            Work::Recompute(r) => r.matrix,
            Work::Lookup(_) | Work::Store(_) | Work::Attention(_) => Bytes::ZERO,
        }
    }

    /// Weight bytes stored for one run.
    #[must_use]
    pub fn stored_weights(&self) -> Bytes {
        match &self.work {
            Work::Product(p) => p.stored + p.extra,
            _ => self.weights(),
        }
    }
}
