//! What a step must compute and what must move, before any hardware is known: operators with shapes, bytes and FLOPs.
//!
//! [`decode`] builds the operators of one decode step, [`prefill`] those of one prompt. Useful FLOPs and compulsory bytes are
//! fixed here and nowhere else; mapping and engine may only add to them.

mod batch;
pub mod capacity;
mod counts;
mod decode;
mod prefill;

pub use batch::Batch;
pub use capacity::Capacity;
pub use counts::{FlopCount, Traffic, VectorWork};
pub use decode::decode;
pub use prefill::{QUERY_ROWS, prefill};

use crate::attention::{Contraction, Description, Precision};
use crate::hardware::mac_array::Product;
use crate::model::Model;
use crate::units::{Bytes, Flops, VectorOps};

/// A model with a scheme and element types: everything that decides the work.
#[derive(Debug, Clone)]
pub struct Subject {
    /// The model.
    pub model: Model,
    /// The scheme's description on it.
    pub attention: Description,
    /// Element types.
    pub precision: Precision,
}

impl Subject {
    /// Layers that hold a cache.
    #[must_use]
    pub fn cache_layers(&self) -> u64 {
        self.model.cache_layers.unwrap_or(self.model.layers)
    }

    /// Bytes kept per token in one layer.
    #[must_use]
    pub fn row_bytes(&self) -> Bytes {
        self.attention.kept.iter().map(|k| self.precision.cache.bytes(k.width)).sum()
    }

    /// Tokens that a query at `context` attends to: all, or those in the sliding window.
    #[must_use]
    pub fn attended(&self, context: u64) -> u64 {
        self.model.sliding_window.map_or(context, |w| w.min(context))
    }

    /// Bytes that one sequence of `context` tokens keeps in all layers.
    #[must_use]
    pub fn cache_bytes(&self, context: u64) -> Bytes {
        self.row_bytes() * (self.attended(context) * self.cache_layers())
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
    /// Elements of one group's row that are rotated on every read.
    pub rotated: u64,
    /// Bytes of one group's row, all tensors that one token's turn reads.
    pub row: Bytes,
    /// Of these, the bytes that the scores contract with.
    pub score_row: Bytes,
    /// Of these, the bytes that the weighted sum contracts with.
    pub value_row: Bytes,
    /// Query rows per head that share a sequence's tokens: 1 in decode.
    pub queries: u64,
    /// Tokens attended by each sequence.
    pub batch: Batch,
    /// Where rows are read from.
    pub source: RowSource,
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
    /// Kept rows, and values rebuilt from them by the operator before: chunk by chunk on chip where the matrix and a chunk fit, else the
    /// kept rows are read again and the values spilled.
    Rebuilt {
        /// Bytes of the matrix.
        matrix: Bytes,
        /// Bytes of a token's kept and rebuilt row together.
        rows: Bytes,
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
    /// Operations of norms, residual sums and activation functions.
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
            other: VectorOps(self.other),
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
            Work::Lookup(_) => {}
            Work::Product(p) => {
                let flops = Flops(2 * p.shape.macs());
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
            Work::Lookup(_) | Work::Attention(_) => Bytes::ZERO,
        }
    }
}

/// Features of a model that the simulator cannot run yet, in words; `None` where it can.
#[must_use]
pub fn unsupported(model: &Model) -> Option<String> {
    let what = if model.moe.is_some_and(|m| m.experts > 1) {
        "a mixture of experts"
    } else if model.encoder.is_some() {
        "an encoder"
    } else if model.mla.is_some() {
        "latent attention"
    } else if model.cache_layers.is_some_and(|c| c != model.layers) {
        "layers without a cache"
    } else {
        return None;
    };
    Some(format!("{} has {what}, which this version does not simulate", model.name))
}
