//! Counts by class: bytes by tensor, FLOPs by kind of product, vector operations. Every total is the sum of its parts.

use crate::units::{Bytes, Flops, VectorOps};
use serde::Serialize;

/// Adds field by field, and multiplies all fields by a count.
macro_rules! additive {
    ($name:ident { $($field:ident),+ }) => {
        impl std::ops::AddAssign for $name {
            fn add_assign(&mut self, other: Self) {
                $(self.$field += other.$field;)+
            }
        }
        impl std::ops::Add for $name {
            type Output = Self;
            fn add(mut self, other: Self) -> Self {
                self += other;
                self
            }
        }
        impl std::ops::Mul<u64> for $name {
            type Output = Self;
            fn mul(self, count: u64) -> Self {
                Self { $($field: self.$field * count),+ }
            }
        }
    };
}

/// Bytes moved at one level of memory, by tensor class.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Weights, each once per step.
    pub weights: Bytes,
    /// Kept rows, each once per step: compulsory.
    pub cache_read: Bytes,
    /// Kept rows read again because they were not retained.
    pub cache_reread: Bytes,
    /// The new token's kept rows.
    pub cache_write: Bytes,
    /// Layer inputs and outputs, embedding rows, logits.
    pub activations: Bytes,
    /// Intermediate tensors that fitted no nearer memory.
    pub spill: Bytes,
    /// Partial results exchanged between cores.
    pub exchange: Bytes,
}
additive!(Traffic { weights, cache_read, cache_reread, cache_write, activations, spill, exchange });

impl Traffic {
    /// Sum of all classes.
    #[must_use]
    pub fn total(&self) -> Bytes {
        self.weights
            + self.cache_read
            + self.cache_reread
            + self.cache_write
            + self.activations
            + self.spill
            + self.exchange
    }

    /// Bytes that the closed form of a scheme cannot avoid: weights, cache reads, cache writes.
    #[must_use]
    pub fn compulsory(&self) -> Bytes {
        self.weights + self.cache_read + self.cache_write
    }
}

impl Serialize for Traffic {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct;
        let mut s = serializer.serialize_struct("Traffic", 8)?;
        s.serialize_field("weights", &self.weights)?;
        s.serialize_field("cache_read", &self.cache_read)?;
        s.serialize_field("cache_reread", &self.cache_reread)?;
        s.serialize_field("cache_write", &self.cache_write)?;
        s.serialize_field("activations", &self.activations)?;
        s.serialize_field("spill", &self.spill)?;
        s.serialize_field("exchange", &self.exchange)?;
        s.serialize_field("total", &self.total())?;
        s.end()
    }
}

/// Useful matrix work: 1 multiply–accumulate is 2 FLOP.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FlopCount {
    /// Products with W_Q, W_K, W_V, W_O and W_KV applied once per token.
    pub projection: Flops,
    /// Scores and weighted sums.
    pub attention: Flops,
    /// Kept rows times W_KV over the whole context.
    pub recompute: Flops,
    /// Feed-forward network.
    pub ffn: Flops,
    /// LM head.
    pub lm_head: Flops,
}
additive!(FlopCount { projection, attention, recompute, ffn, lm_head });

impl FlopCount {
    /// Sum of all parts.
    #[must_use]
    pub fn total(&self) -> Flops {
        self.projection + self.attention + self.recompute + self.ffn + self.lm_head
    }
}

impl Serialize for FlopCount {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct;
        let mut s = serializer.serialize_struct("FlopCount", 6)?;
        s.serialize_field("projection", &self.projection)?;
        s.serialize_field("attention", &self.attention)?;
        s.serialize_field("recompute", &self.recompute)?;
        s.serialize_field("ffn", &self.ffn)?;
        s.serialize_field("lm_head", &self.lm_head)?;
        s.serialize_field("total", &self.total())?;
        s.end()
    }
}

/// Element-wise work.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct VectorWork {
    /// Scores to probabilities, rescaling and combining of partial sums.
    pub softmax: VectorOps,
    /// Rotary embedding of queries, new keys and kept rows.
    pub rotary: VectorOps,
    /// Norms, residual sums, activation functions.
    pub other: VectorOps,
}
additive!(VectorWork { softmax, rotary, other });

impl VectorWork {
    /// Sum of all parts.
    #[must_use]
    pub fn total(&self) -> VectorOps {
        self.softmax + self.rotary + self.other
    }
}
