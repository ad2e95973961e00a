//! The vector unit: element-wise work beside the MAC array.

use crate::units::{Cycles, VectorOps};

/// Throughput of one core's vector unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VectorUnit {
    /// Unlimited and free.
    Ideal,
    /// A real one.
    Lanes {
        /// Element operations per cycle.
        lanes: u64,
        /// Exponentials per cycle.
        exp_per_cycle: u64,
        /// Operations to rotate one element of a rotary embedding (about 6: two products and a sum, with the loads of sine and
        /// cosine and the swap of the pair).
        rotate_ops: u64,
    },
}

impl VectorUnit {
    /// Cycles for `ops` element operations and `exps` exponentials, the two pipes side by side.
    #[must_use]
    pub fn cycles(&self, ops: VectorOps, exps: VectorOps) -> Cycles {
        match *self {
            Self::Ideal => Cycles(0),
            Self::Lanes { lanes, exp_per_cycle, .. } => {
                Cycles(ops.0.div_ceil(lanes).max(exps.0.div_ceil(exp_per_cycle)))
            }
        }
    }

    /// Operations to rotate one element; 6 on an ideal unit too, so that counts do not depend on the machine's speed.
    #[must_use]
    pub const fn rotate_ops(&self) -> u64 {
        match *self {
            Self::Ideal => 6,
            Self::Lanes { rotate_ops, .. } => rotate_ops,
        }
    }
}
