//! Two passes over the kept rows: first all scores, then P·rows, each dealt to the cores in its own way.
//!
//! The first pass splits tokens and keeps no accumulators; the second splits columns, so that accumulators are small and no partial
//! sums are combined. Rows are walked in chunks that stay in the shared SRAM between the passes, at two grid barriers a chunk;
//! only without a shared SRAM are they read from memory twice.
//!
//! A dense pass, where every query row meets every column, may also run as a product in blocks ([`crate::mapping::pass`]): a row need not
//! be whole in any core, and many query rows read the kept rows once a block.

use super::{Residence, Shape};
use crate::attention::{Contraction, ReadWork, Sparsity};
use crate::hardware::mac_array::Product;
use crate::mapping::machine::Machine;
use crate::mapping::pass::{Forms, Pass};
use crate::mapping::{Cause, Causes, product};
use crate::units::{Bytes, Femtos};
use crate::workload::Batch;

/// The shapes and the chunking of a two-pass plan.
#[derive(Debug, Clone)]
pub struct TwoPass {
    /// Scores of all heads; no weighted sum.
    pub scores: Shape,
    /// Weighted sums by columns: one shape for each number of column slices.
    pub values: Vec<Shape>,
    /// Tokens of a chunk, and how many such chunks: whole ones, then what remains.
    pub pieces: Vec<(u64, u64)>,
    /// Times that each row is read from memory, rounded up.
    pub memory_reads: u64,
    /// Bytes of a token's row that the second pass reads from memory again.
    reread: Bytes,
    /// Bytes of a token's row that the second pass reads.
    value_row: Bytes,
    /// How many of its tokens it reads.
    sparsity: Sparsity,
    /// Bytes of probabilities written and read between the passes, over all chunks.
    pub probabilities: Bytes,
    /// Whether rows stay in the shared SRAM between the passes.
    pub on_chip: bool,
    /// Tokens of a sequence: of a ragged batch, on average.
    sequence: u64,
}

const NOTHING: Contraction = Contraction { slices: 0, heads: 0, width: 0 };

/// What remains after whole chunks is taken to the next multiple of this, the smallest tile.
const REMAINDER_GRANULE: u64 = 16;
/// Chunk sizes that are tried, largest first.
const SIZES: usize = 3;

/// Query rows from which on the second pass is tried in blocks. With fewer, slices of columns with all query rows in each serve as well.
const FEWEST_ROWS: u64 = 64;
/// Query rows from which on rows may be read from memory twice although there is a shared SRAM.
const MANY_ROWS: u64 = 256;

/// Vector operations of `work` on `tokens` tokens.
fn operations(machine: &Machine, work: ReadWork, tokens: u64) -> u64 {
    let one = work.rotated.saturating_mul(machine.spec.cores.vector_unit.rotate_ops());
    one.saturating_add(work.ops).saturating_mul(tokens)
}

/// Tokens of the chunks that are tried where `room` tokens stay on chip of `tokens` in all. Whole chunks have round sizes, so that a
/// little more room never cuts them worse for the tiles: four an octave.
fn sizes(tokens: u64, room: u64) -> Vec<u64> {
    let mut sizes: Vec<u64> = if tokens <= room { vec![tokens] } else { Vec::new() };
    let grid = (4..=room.max(16).ilog2()).rev().flat_map(|i| [7, 6, 5, 4].map(|quarter| quarter << (i - 2)));
    sizes.extend(grid.filter(|&c| c <= room && c < tokens).take(SIZES));
    if sizes.is_empty() {
        sizes.push(room.clamp(1, tokens));
    }
    sizes
}

impl TwoPass {
    /// The ways of cutting `batch` into chunks for two passes of `shape`; none where scores and weighted sums do not share a row, so that
    /// a second pass would read nothing again, or where rows are on chip already.
    #[must_use]
    pub fn cuts(machine: &Machine, shape: &Shape, batch: &Batch) -> Vec<Self> {
        let Some(whole) = Self::new(machine, shape, batch, machine.has_shared()) else { return Vec::new() };
        let tokens = batch.tokens();
        let sizes = match machine.staging().filter(|_| machine.has_shared()) {
            Some(room) => sizes(tokens, room.0 / shape.row.0.max(1)),
            // Nothing stays between the passes, or everything does: chunks would only add barriers.
            None => vec![tokens],
        };
        // With many query rows partial sums from chunk to chunk cost more than rows that are read again.
        let again =
            (machine.has_shared() && shape.values.slices == 1 && shape.heads() * shape.queries >= MANY_ROWS)
                .then(|| Self::new(machine, shape, batch, false))
                .flatten()
                .map(|two| Self { pieces: vec![(tokens, 1)], ..two });
        sizes
            .into_iter()
            .map(|size| {
                let mut pieces = vec![(size, tokens / size)];
                if !tokens.is_multiple_of(size) {
                    // Sequences follow one another: a chunk is one stretch of tokens, of one sequence or of several.
                    pieces.push(((tokens % size).next_multiple_of(REMAINDER_GRANULE).min(size), 1));
                }
                Self { pieces, ..whole.clone() }
            })
            .chain(again)
            .collect()
    }

    /// Bytes of `tokens` rows that the second pass reads from memory again where `rows` query rows choose what to skip.
    #[must_use]
    pub fn reread_of(&self, tokens: u64, rows: u64) -> Bytes {
        Bytes(Sparsity::part(self.reread.0 * tokens, self.sparsity.used_by(rows)))
    }

    /// Chunks.
    #[must_use]
    pub fn chunks(&self) -> u64 {
        self.pieces.iter().map(|p| p.1).sum()
    }

    /// Two passes whose rows stay `on_chip` between them, or are read from memory twice.
    fn new(machine: &Machine, shape: &Shape, batch: &Batch, on_chip: bool) -> Option<Self> {
        if !shape.shared_row || shape.groups != 1 || shape.residence == Residence::OnChip {
            return None;
        }
        let part = |work: ReadWork, of: u64| ReadWork {
            rotated: work.rotated.div_ceil(of),
            ops: work.ops.div_ceil(of),
        };
        // Block-diagonal scores read each head's own columns: the first pass is dealt by heads. It brings the whole row on chip.
        let slices = shape.scores.slices;
        let first = if on_chip { shape.row } else { shape.score_row };
        let scores = Shape {
            groups: slices,
            scores: Contraction { slices: 1, ..shape.scores },
            values: NOTHING,
            before_scores: part(shape.before_scores, slices),
            before_values: ReadWork::default(),
            row: Bytes(first.0.div_ceil(slices)),
            score_row: Bytes(shape.score_row.0.div_ceil(slices)),
            value_row: Bytes::ZERO,
            shared_row: false,
            ..*shape
        };
        let again = 2 * shape.heads() * shape.queries;
        // Without a shared SRAM, columns that the scores do not read come from memory once, skipped or not.
        let sparsity =
            if on_chip || shape.score_row == shape.row { shape.sparsity } else { Sparsity::default() };
        let second = |s: u64, values: Contraction, again: u64| Shape {
            groups: s,
            scores: NOTHING,
            values,
            before_scores: ReadWork::default(),
            before_values: part(shape.before_values, s),
            row: Bytes(shape.value_row.0.div_ceil(s) + if on_chip { again } else { 0 }),
            score_row: Bytes::ZERO,
            value_row: Bytes(shape.value_row.0.div_ceil(s)),
            shared_row: false,
            residence: if on_chip { Residence::OnChip } else { Residence::Memory },
            sparsity,
            ..*shape
        };
        let values = if shape.values.slices > 1 {
            // Block-diagonal weighted sums are dealt by heads, each with its own probabilities.
            let slices = shape.values.slices;
            vec![second(slices, Contraction { slices: 1, ..shape.values }, 0)]
        } else {
            let width = shape.values.width;
            (0..=width.ilog2())
                .map(|i| 1u64 << i)
                .take_while(|s| width / s >= 16)
                // Where probabilities come from the shared SRAM and rows do not, only blocks tell them apart.
                .take(if machine.has_shared() && !on_chip { 1 } else { usize::MAX })
                // Every slice of columns reads the probabilities of all heads for itself; once is counted between the passes.
                .map(|s| {
                    let columns = Contraction { width: width.div_ceil(s), ..shape.values };
                    second(s, columns, again * (s - 1) / s)
                })
                .collect()
        };
        let both = shape.score_row + shape.value_row;
        Some(Self {
            scores,
            values,
            pieces: Vec::new(),
            memory_reads: if on_chip { 1 } else { 2 },
            reread: if on_chip { Bytes::ZERO } else { both.saturating_sub(shape.row) },
            value_row: shape.value_row,
            sparsity,
            probabilities: Bytes(2 * 2 * shape.heads() * shape.queries * batch.tokens()),
            on_chip,
            sequence: (batch.tokens() / batch.sequences().max(1)).max(1),
        })
    }

    /// Sequences that a chunk of `tokens` tokens is taken to hold, for the queries that meet it: 1 where the first pass does not run in
    /// blocks.
    #[must_use]
    pub fn sequences(&self, tokens: u64) -> u64 {
        if self.scores.groups == 1 { tokens.div_ceil(self.sequence) } else { 1 }
    }

    /// The first pass over a chunk of `tokens` tokens as a product in blocks, one for each sequence; `None` where each head reads columns
    /// of its own, so that there is nothing that blocks could share.
    #[must_use]
    pub fn scores_in_blocks(&self, machine: &Machine, tokens: u64) -> Option<product::Shape> {
        let shape = &self.scores;
        if shape.groups != 1 {
            return None;
        }
        let repeats = self.sequences(tokens);
        let product = Product {
            repeats,
            m: shape.heads() * shape.queries,
            k: shape.scores.width,
            n: tokens.div_ceil(repeats),
        };
        Some(product::Shape {
            product,
            weights: shape.row * tokens,
            input: Bytes(2 * repeats * product.m * product.k),
            output: Bytes::ZERO,
            dtype: shape.dtype,
            input_from_memory: Bytes::ZERO,
            prefetched: false,
            pass: Some(Pass {
                forms: Forms::Probabilities,
                on_chip: false,
                before: operations(machine, shape.before_scores, tokens),
            }),
        })
    }

    /// The second pass over a chunk of `tokens` tokens as a product in blocks; `None` where each head has columns of its own, or where one
    /// core holds all query rows of a block as it is.
    ///
    /// Its blocks are more than a core keeps from chunk to chunk: the partial sums of the sequence that a chunk breaks off are written and
    /// read again.
    #[must_use]
    pub fn values_in_blocks(&self, machine: &Machine, tokens: u64) -> Option<product::Shape> {
        let shape = self.values.first().filter(|v| v.groups == 1)?;
        let rows = shape.values.heads * shape.queries;
        if rows < FEWEST_ROWS {
            return None;
        }
        let on_chip = shape.residence == Residence::OnChip;
        let used = Sparsity::part(tokens, shape.sparsity.used_by(rows));
        let product = Product { repeats: 1, m: rows, k: used, n: shape.values.width };
        Some(product::Shape {
            product,
            weights: shape.value_row * used,
            input: Bytes(2 * rows * used),
            output: Bytes(2 * 4 * rows * product.n),
            dtype: shape.dtype,
            input_from_memory: Bytes::ZERO,
            prefetched: false,
            pass: Some(Pass {
                forms: Forms::Sums,
                on_chip,
                before: operations(machine, shape.before_values, used),
            }),
        })
    }

    /// No run takes less: rows from memory, then rows from the shared SRAM, and what comes between.
    #[must_use]
    pub fn bound(&self, machine: &Machine, shape: &Shape, batch: &Batch) -> Femtos {
        let tokens = batch.tokens();
        // At least the query rows of one head decide which tokens the second pass skips.
        let least = self.sparsity.used_by(shape.values.heads);
        let used = |bytes: Bytes| Bytes(Sparsity::part(bytes.0 * tokens, least).saturating_sub(1));
        // Each pass over a chunk starts its work items, and the first waits for memory.
        let starts = (machine.work_item() * 2 + machine.memory_latency()) * self.chunks();
        // Rows that come from memory again pass through the shared SRAM meanwhile.
        let again = if self.on_chip { machine.shared_time(used(self.value_row)) } else { Femtos::ZERO };
        machine.memory_time(shape.row * tokens + used(self.reread))
            + again
            + starts
            + self.between(machine).0.total()
    }

    /// The launch, probabilities between the passes and two grid barriers a chunk, over all chunks: time by cause, and bytes at the memory and at
    /// the shared SRAM.
    #[must_use]
    pub fn between(&self, machine: &Machine) -> (Causes, Bytes, Bytes) {
        let (memory, shared) = machine.there_and_back(Bytes(self.probabilities.0 / 2));
        let mut causes =
            Causes::of(Cause::Exchange, machine.memory_time(memory) + machine.shared_time(shared));
        causes += Causes::of(Cause::Overhead, machine.launch() + machine.barrier() * (2 * self.chunks()));
        (causes, memory, shared)
    }
}
