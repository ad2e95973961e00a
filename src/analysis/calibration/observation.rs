//! One measured kernel, ready to be timed.

use crate::hardware::kernel::Kind;
use crate::hardware::mac_array::Product;
use crate::mapping::attention::Shape as AttentionShape;
use crate::mapping::product::Shape as ProductShape;
use crate::step::kernel::KernelTimer;
use crate::units::{Bytes, Dtype};
use crate::workload::Batch;

/// What a kernel computed.
#[derive(Debug, Clone, PartialEq)]
pub enum Task {
    /// Decode attention of one layer.
    Attention {
        /// Without its batch.
        shape: AttentionShape,
        /// Its sequences.
        batch: Batch,
    },
    /// Rows times a weight matrix.
    Product(ProductShape),
}

impl Task {
    /// Decode attention of `batch` sequences that attend to `context` tokens each; `head_dim` elements a head.
    #[must_use]
    pub fn of_heads(
        heads: u64,
        kv_heads: u64,
        head_dim: u64,
        dtype: Dtype,
        context: u64,
        batch: u64,
    ) -> Self {
        let shape = AttentionShape::of_heads(heads, kv_heads, head_dim, dtype);
        Self::Attention { shape, batch: Batch::uniform(context, batch) }
    }

    /// Absorbed latent attention.
    #[must_use]
    pub fn of_latent_rows(
        heads: u64,
        latent: u64,
        rope: u64,
        dtype: Dtype,
        context: u64,
        batch: u64,
    ) -> Self {
        let shape = AttentionShape::of_latent_rows(heads, latent, rope, dtype);
        Self::Attention { shape, batch: Batch::uniform(context, batch) }
    }

    /// (m×k)·(k×n) with weights of type `dtype` and results of 16 bits.
    #[must_use]
    pub fn of_product(m: u64, n: u64, k: u64, dtype: Dtype) -> Self {
        Self::Product(ProductShape {
            product: Product { repeats: 1, m, k, n },
            weights: dtype.bytes(k * n),
            input: dtype.bytes(m * k),
            output: Dtype::Bf16.bytes(m * n),
            dtype,
            input_from_memory: Bytes::ZERO,
            prefetched: false,
            pass: None,
        })
    }

    /// What kind of kernel computes it.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Product(_) => Kind::Gemm,
            Self::Attention { shape, .. } if shape.shared_row => Kind::Mla,
            Self::Attention { shape, .. } if shape.scores.heads > 1 => Kind::Gqa,
            Self::Attention { .. } => Kind::Mha,
        }
    }

    /// Bytes of kept rows, or of weights.
    #[must_use]
    pub fn bytes(&self) -> Bytes {
        match self {
            Self::Attention { shape, batch } => shape.row * (shape.groups * batch.tokens()),
            Self::Product(shape) => shape.weights,
        }
    }

    /// Useful multiply–accumulates.
    #[must_use]
    pub fn macs(&self) -> u64 {
        match self {
            Self::Attention { shape, batch } => {
                shape.groups * (shape.scores.macs() + shape.values.macs()) * batch.tokens() * shape.queries
            }
            Self::Product(shape) => shape.product.macs(),
        }
    }

    /// Seconds that the kernel of `timer` takes; `None` where its blocks do not fit a core.
    #[must_use]
    pub fn seconds(&self, timer: &KernelTimer) -> Option<f64> {
        let time = match self {
            Self::Attention { shape, batch } => timer.attention(shape, batch),
            Self::Product(shape) => timer.product(shape),
        };
        time.map(|t| t.0 as f64 * 1e-15)
    }
}

/// A task and how long it took.
#[derive(Debug, Clone, PartialEq)]
pub struct Observation {
    /// The task.
    pub task: Task,
    /// Seconds.
    pub seconds: f64,
}
