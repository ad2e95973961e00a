//! A pass over kept rows as a product in blocks: what sets it apart from a product with weights.
//!
//! Scores are (query rows × width)·(width × tokens), weighted sums (query rows × tokens)·(tokens × width). Kept rows stand where weights
//! stand: blocks of query rows walk them again, from the shared SRAM or, without one, from memory. The other operand (queries or
//! probabilities) is read for every block of columns. Element-wise work on kept rows is done by each block for itself.

use super::machine::Machine;
use super::product::Shape;
use crate::units::{Bytes, Femtos};
use crate::workload::SOFTMAX_OPS_PER_SCORE;

/// Which of the two passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Forms {
    /// Scores, which become probabilities behind the product: softmax.
    Probabilities,
    /// Weighted sums.
    Sums,
}

/// A pass over kept rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Pass {
    /// What it forms.
    pub forms: Forms,
    /// Whether the kept rows are in the shared SRAM already.
    pub on_chip: bool,
    /// Vector operations on all kept rows before they serve the product.
    pub before: u64,
}

/// Bytes of a pass at the outermost memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct AtMemory {
    /// Kept rows.
    pub(super) rows: Bytes,
    /// Queries, probabilities beyond once, weighted sums.
    pub(super) others: Bytes,
}

impl Pass {
    /// Bytes at the memory where `blocks` blocks of query rows walk the kept rows and `slices` of columns read the other operand, `items`
    /// work items in all.
    ///
    /// Blocks that run at the same time share what comes from memory. Every item of weighted sums walks all tokens, so that blocks that
    /// come later read the rows again; scores are formed one stretch of tokens after the other.
    /// Probabilities are counted between the passes, written and read once.
    pub(super) fn at_memory(
        self,
        machine: &Machine,
        shape: &Shape,
        (blocks, slices): (u64, u64),
        items: u64,
    ) -> AtMemory {
        let reads = |bytes: Bytes, times: u64| Bytes(bytes.0.saturating_mul(times));
        let spilled = |bytes: Bytes| if machine.stays_on_chip(bytes) { Bytes::ZERO } else { bytes };
        let rows = match (self.forms, machine.has_shared()) {
            _ if self.on_chip => Bytes::ZERO,
            (_, false) => reads(shape.weights, blocks),
            (Forms::Probabilities, true) => shape.weights,
            (Forms::Sums, true) => reads(shape.weights, blocks.min(items.div_ceil(machine.cores()))),
        };
        let others = match (self.forms, machine.has_shared()) {
            (Forms::Probabilities, true) => spilled(shape.input),
            (Forms::Probabilities, false) => reads(spilled(shape.input), slices),
            (Forms::Sums, true) => spilled(shape.output),
            (Forms::Sums, false) if machine.spec.free_activations => Bytes::ZERO,
            (Forms::Sums, false) => reads(shape.input, slices - 1) + spilled(shape.output),
        };
        AtMemory { rows, others }
    }

    /// Times that the other operand is read from the shared SRAM where `slices` of columns read it and what lies between the passes
    /// already counts one reading of the probabilities.
    pub(super) const fn input_reads(self, slices: u64) -> u64 {
        match self.forms {
            Forms::Probabilities => slices,
            Forms::Sums => slices.saturating_sub(1),
        }
    }

    /// Bytes of probabilities that an item of `outputs` outputs writes.
    pub(super) const fn written(self, outputs: u64) -> u64 {
        match self.forms {
            Forms::Probabilities => 2 * outputs,
            Forms::Sums => 0,
        }
    }

    /// Vector time of a tile: before the product, where the tile has `part` of `of` equal parts of the kept rows, and behind it, where
    /// it stands for `scores` scores.
    pub(super) fn vector(self, machine: &Machine, (part, of): (u128, u128), scores: u64) -> (Femtos, Femtos) {
        let ops = (u128::from(self.before) * part).div_ceil(of.max(1));
        let before = machine.vector_time(u64::try_from(ops).unwrap_or(u64::MAX), 0);
        let behind = match self.forms {
            Forms::Probabilities => machine.vector_time(scores.saturating_mul(SOFTMAX_OPS_PER_SCORE), scores),
            Forms::Sums => Femtos::ZERO,
        };
        (before, behind)
    }
}
