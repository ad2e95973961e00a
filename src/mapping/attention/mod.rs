//! Plans for attention: token split S × cluster (column split) C × head groups G × passes, of which all known kernels are corners.
//!
//! [`plans`] enumerates what fits a machine; the set depends neither on the context nor on the batch, and grows with capacity, so
//! that more memory or more cores are never slower. [`Candidate`] lays a batch out under one plan and split.

mod candidate;
mod tile;
pub mod two_pass;

pub use candidate::{Candidate, Dealing, PlanBound, Spent, combine};
pub use tile::TileCost;

use super::machine::Machine;
use super::program::{MAX_LOOKAHEAD, MAX_SLOTS};
use crate::attention::{Contraction, ReadWork, Sparsity};
use crate::hardware::mac_array::{MacArray, Product, Stationary};
use crate::hardware::vector_unit::VectorUnit;
use crate::units::{Bytes, Dtype};
use crate::workload::{AttentionWork, RowSource};

/// Where rows come from on a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Residence {
    /// The outermost memory.
    Memory,
    /// On chip: the shared SRAM, or the local SRAMs where there is none.
    OnChip,
}

/// Attention of one layer without its batch: what plans depend on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shape {
    /// Independent kept rows per token.
    pub groups: u64,
    /// Scores of a group.
    pub scores: Contraction,
    /// Weighted sum of a group.
    pub values: Contraction,
    /// Work on a group's row before it serves the scores, a token.
    pub before_scores: ReadWork,
    /// Work on it before it serves the weighted sum, a token that this does not skip.
    pub before_values: ReadWork,
    /// Bytes of a group's row.
    pub row: Bytes,
    /// Bytes that scores contract with.
    pub score_row: Bytes,
    /// Bytes that the weighted sum contracts with.
    pub value_row: Bytes,
    /// Whether scores and weighted sum read the same elements of a row, so that it must be whole where it is used.
    pub shared_row: bool,
    /// Query rows per head.
    pub queries: u64,
    /// Most groups that these may be split into, each walking the rows for itself.
    pub most_query_groups: u64,
    /// Attention weights that count as zero.
    pub sparsity: Sparsity,
    /// Type of the kept rows.
    pub dtype: Dtype,
    /// Where rows come from.
    pub residence: Residence,
}

impl Shape {
    /// The shape of `work`.
    #[must_use]
    pub fn of(work: &AttentionWork, dtype: Dtype, residence: Residence) -> Self {
        Self {
            groups: work.groups,
            scores: work.scores,
            values: work.values,
            before_scores: work.before_scores,
            before_values: work.before_values,
            row: work.row,
            score_row: work.score_row,
            value_row: work.value_row,
            shared_row: work.shared_row,
            queries: work.queries,
            most_query_groups: if work.source == RowSource::Prompt { 1 } else { work.queries },
            sparsity: work.sparsity,
            dtype,
            residence,
        }
    }

    /// One new token per sequence over keys and values of `kv_heads` heads of `head_dim` elements, each for `heads` / `kv_heads` query heads.
    #[must_use]
    pub const fn of_heads(heads: u64, kv_heads: u64, head_dim: u64, dtype: Dtype) -> Self {
        let each = Contraction { slices: 1, heads: heads / kv_heads, width: head_dim };
        Self {
            groups: kv_heads,
            scores: each,
            values: each,
            before_scores: ReadWork { rotated: 0, ops: 0 },
            before_values: ReadWork { rotated: 0, ops: 0 },
            row: dtype.bytes(2 * head_dim),
            score_row: dtype.bytes(head_dim),
            value_row: dtype.bytes(head_dim),
            shared_row: false,
            queries: 1,
            most_query_groups: 1,
            sparsity: Sparsity::NONE,
            dtype,
            residence: Residence::Memory,
        }
    }

    /// One new token per sequence over latent rows of `latent` + `rope` elements that all `heads` share.
    #[must_use]
    pub const fn of_latent_rows(heads: u64, latent: u64, rope: u64, dtype: Dtype) -> Self {
        Self {
            groups: 1,
            scores: Contraction { slices: 1, heads, width: latent + rope },
            values: Contraction { slices: 1, heads, width: latent },
            row: dtype.bytes(latent + rope),
            score_row: dtype.bytes(latent + rope),
            value_row: dtype.bytes(latent),
            shared_row: true,
            ..Self::of_heads(heads, 1, latent, dtype)
        }
    }

    /// The same attention with the rows of all KV heads in every tile: one stream whose products have a slice per head. Short tiles then
    /// still fill several arrays. `None` where one row serves all heads already.
    #[must_use]
    pub fn all_heads_a_tile(&self) -> Option<Self> {
        let all = |c: Contraction| Contraction { slices: c.slices * self.groups, ..c };
        let work = |w: ReadWork| ReadWork { rotated: w.rotated * self.groups, ops: w.ops * self.groups };
        (self.groups > 1 && !self.shared_row).then(|| Self {
            groups: 1,
            scores: all(self.scores),
            values: all(self.values),
            before_scores: work(self.before_scores),
            before_values: work(self.before_values),
            row: self.row * self.groups,
            score_row: self.score_row * self.groups,
            value_row: self.value_row * self.groups,
            ..*self
        })
    }

    /// Query heads of a group.
    #[must_use]
    pub const fn heads(&self) -> u64 {
        self.scores.slices * self.scores.heads
    }

    /// Slices that columns fall into: KV heads, where scores or weighted sums are block-diagonal.
    #[must_use]
    pub const fn slices(&self) -> u64 {
        if self.scores.slices > self.values.slices { self.scores.slices } else { self.values.slices }
    }

    /// Of `whole`, a quantity of all columns of a row, what the busiest of `parts` cores has: whole heads where either product has a slice
    /// per head, so that no head's columns are cut, else an even share of the columns.
    #[must_use]
    pub const fn columns(&self, whole: u64, parts: u64) -> u64 {
        let slices = self.slices();
        if slices > 1 {
            (whole as u128 * slices.div_ceil(parts) as u128).div_ceil(slices as u128) as u64
        } else {
            whole.div_ceil(parts)
        }
    }

    /// Groups of heads that may walk the same tokens, at most: where all heads share a row.
    #[must_use]
    pub const fn most_head_groups(&self) -> u64 {
        match (self.shared_row, self.slices()) {
            (false, _) => 1,
            (true, 0 | 1) => self.heads(),
            (true, slices) => slices,
        }
    }

    /// Bytes of a row that the weighted sum alone reads and does not need where it skips a token.
    #[must_use]
    pub fn skippable(&self) -> Bytes {
        if self.shared_row {
            return Bytes::ZERO;
        }
        self.value_row.min(self.row.saturating_sub(self.score_row))
    }

    /// Bytes of `tokens` rows of one group that are loaded where `rows` query rows choose what to skip, times [`Sparsity::ONE`] if that is
    /// anything, and the unit.
    #[must_use]
    pub fn loaded(&self, tokens: u64, rows: u64) -> (u128, u64) {
        let whole = u128::from(self.row.0) * u128::from(tokens);
        if self.sparsity.is_none() || self.shared_row {
            return (whole, 1);
        }
        let skipped = u128::from(self.skippable().0)
            * u128::from(tokens)
            * u128::from(Sparsity::ONE - self.sparsity.used_by(rows));
        (whole * u128::from(Sparsity::ONE) - skipped, Sparsity::ONE)
    }

    /// Elements of all heads' weighted sums of one query token.
    #[must_use]
    pub const fn result_width(&self) -> u64 {
        self.groups * self.values.macs()
    }
}

/// How attention is laid out, apart from the token split.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Its name: `split`, `cluster`, `head-groups`, `cluster-head-groups`.
    pub name: &'static str,
    /// Cores that share a row by columns.
    pub cluster: u64,
    /// Groups of heads that walk the same tokens.
    pub head_groups: u64,
    /// Groups of query rows that walk the same tokens, where a sequence brings several new ones.
    pub query_groups: u64,
    /// Kept rows of a sequence (KV heads) that one work item walks one after the other: 1, or all of them.
    pub fused: u64,
    /// Tokens in a tile.
    pub tile: u64,
    /// Tile slots.
    pub slots: usize,
    /// What is worth trying: (tiles scored ahead, tile slots that are left beside their scores and probabilities).
    pub lookaheads: [Option<(usize, usize)>; 3],
    /// Operand held for the scores: right is the kept row.
    pub scores_held: Stationary,
    /// Operand held for the weighted sum: right is the kept row.
    pub values_held: Stationary,
    /// Whether accumulators live in (and cost traffic at) the local SRAM.
    pub accumulators_in_sram: bool,
    /// Bytes of accumulators in a core.
    pub accumulators: Bytes,
    /// Cores or clusters.
    pub lanes: u64,
    /// What a full tile costs.
    pub full: TileCost,
}

impl Plan {
    /// Scores that one core forms of `tokens` tokens.
    #[must_use]
    pub fn scores_product(&self, shape: &Shape, tokens: u64) -> Product {
        contraction(self, shape, shape.scores, |m, width| (m, width, tokens))
    }

    /// What a pass that runs as a product in blocks has in common with the other plans.
    #[must_use]
    pub fn in_blocks(machine: &Machine, tile: u64, slots: usize, held: Stationary) -> Self {
        Self {
            name: "two-pass",
            cluster: 1,
            head_groups: 1,
            query_groups: 1,
            fused: 1,
            tile,
            slots,
            lookaheads: [Some((0, slots)), None, None],
            scores_held: held,
            values_held: held,
            accumulators_in_sram: machine.spec.cores.accumulators.is_none(),
            accumulators: Bytes::ZERO,
            lanes: machine.cores(),
            full: TileCost::default(),
        }
    }

    /// The same with the orientations that suit `shape` best, and what its tiles then cost.
    #[must_use]
    pub fn oriented(mut self, machine: &Machine, shape: &Shape) -> Self {
        (self.scores_held, self.values_held) = tile::orient(machine, shape, &self);
        self.full = TileCost::new(machine, shape, &self, self.tile);
        self
    }

    /// Groups that walk the same tokens, of heads and of query rows.
    #[must_use]
    pub const fn walkers(&self) -> u64 {
        self.head_groups * self.query_groups
    }

    /// Weighted sum that one core forms of `tokens` tokens.
    #[must_use]
    pub fn values_product(&self, shape: &Shape, tokens: u64) -> Product {
        // A token's row is left out of the product only where all its query rows skip it.
        contraction(self, shape, shape.values, |m, width| {
            (m, Sparsity::part(tokens, shape.sparsity.used_by(m)), width)
        })
    }

    /// Streams of a sequence: kept rows of its own, for each group of heads that walks them.
    #[must_use]
    pub const fn streams(&self, shape: &Shape) -> u64 {
        shape.groups * self.walkers()
    }

    /// Query rows per head that one core works with.
    #[must_use]
    pub const fn queries_here(&self, shape: &Shape) -> u64 {
        shape.queries.div_ceil(self.query_groups)
    }

    /// Query rows of a KV head that choose what one read of its rows from the outermost memory skips: groups that walk the same tokens
    /// share what the shared SRAM holds, without one each reads for itself.
    #[must_use]
    pub const fn choosing(&self, machine: &Machine, shape: &Shape) -> u64 {
        shape.values.heads * if machine.has_shared() { shape.queries } else { self.queries_here(shape) }
    }

    /// Query rows of all heads whose probabilities one core works with.
    #[must_use]
    pub const fn rows_here(&self, shape: &Shape) -> u64 {
        shape.heads().div_ceil(self.head_groups) * self.queries_here(shape)
    }
}

/// Deals a contraction to head groups and to the cores of a cluster: slices where it has them, else heads to the groups and columns
/// to the cores. `order` puts (rows, width) in the product's (m, k, n).
fn contraction(
    plan: &Plan,
    shape: &Shape,
    c: Contraction,
    order: impl Fn(u64, u64) -> (u64, u64, u64),
) -> Product {
    let (repeats, heads, width) = if c.slices > 1 {
        (c.slices.div_ceil(plan.head_groups * plan.cluster), c.heads, c.width)
    } else {
        (1, c.heads.div_ceil(plan.head_groups), shape.columns(c.width, plan.cluster))
    };
    let (m, k, n) = order(heads * plan.queries_here(shape), width);
    Product { repeats, m, k, n }
}

/// Tokens in a tile that are tried.
const TILES: [u64; 7] = [16, 32, 64, 128, 256, 1024, 4096];
/// On a machine whose compute is free a tile is as long as the work.
const WHOLE: [u64; 1] = [1 << 31];
/// Token splits that are tried: about eight an octave at first, four later. They do not depend on machine, context or batch.
pub const SPLITS: [u64; 45] = [
    1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224,
    256, 320, 384, 448, 512, 640, 768, 896, 1024, 1280, 1536, 1792, 2048, 2560, 3072, 3584, 4096, 8192,
];

/// Every plan of one pass that fits `machine`, in a fixed order.
#[must_use]
pub fn plans(machine: &Machine, shape: &Shape) -> Vec<Plan> {
    let mut plans = Vec::new();
    for cluster in powers_of_two(max_cluster(machine, shape)) {
        for (head_groups, query_groups) in walkers(shape) {
            if shape.slices() > 1 && cluster * head_groups > shape.slices() {
                continue;
            }
            for &tile in tiles(machine) {
                if let Some(plan) = fit(machine, shape, (cluster, head_groups, query_groups), tile) {
                    // An item may also take all KV heads of its tokens in turn, for one start.
                    let all = Plan { fused: shape.groups, ..plan.clone() };
                    plans.push(plan);
                    if shape.groups > 1 {
                        plans.push(all);
                    }
                }
            }
        }
    }
    plans
}

/// Tiles worth trying on `machine`.
fn tiles(machine: &Machine) -> &'static [u64] {
    let cores = &machine.spec.cores;
    match (&cores.mac_array, cores.vector_unit) {
        (MacArray::Ideal, VectorUnit::Ideal) if cores.sram.capacity.is_none() => &WHOLE,
        _ => &TILES,
    }
}

fn powers_of_two(most: u64) -> impl Iterator<Item = u64> {
    (0..=most.max(1).ilog2()).map(|i| 1 << i)
}

/// Largest cluster worth trying: clusters only help where heads share a row.
fn max_cluster(machine: &Machine, shape: &Shape) -> u64 {
    if !shape.shared_row || shape.heads() == 1 {
        return 1;
    }
    machine.spec.cores.cluster.map_or(1, |c| c.max_size.min(machine.cores()))
}

/// Groups of heads, and, where heads cannot be split further, groups of query rows.
fn walkers(shape: &Shape) -> impl Iterator<Item = (u64, u64)> {
    let by_heads = powers_of_two(shape.most_head_groups());
    let most = 1 << shape.most_head_groups().max(1).ilog2();
    by_heads.map(|g| (g, 1)).chain(powers_of_two(shape.most_query_groups).skip(1).map(move |q| (most, q)))
}

/// The plan with these splits and this tile, if its accumulators and at least one tile fit a core.
fn fit(
    machine: &Machine,
    shape: &Shape,
    (cluster, head_groups, query_groups): (u64, u64, u64),
    tile: u64,
) -> Option<Plan> {
    let cores = &machine.spec.cores;
    let mut plan = Plan {
        name: match (cluster, head_groups * query_groups) {
            (1, 1) => "split",
            (_, 1) => "cluster",
            (1, _) => "head-groups",
            _ => "cluster-head-groups",
        },
        cluster,
        head_groups,
        query_groups,
        fused: 1,
        tile,
        slots: 1,
        lookaheads: [Some((0, 1)), None, None],
        scores_held: Stationary::Right,
        values_held: Stationary::Right,
        accumulators_in_sram: false,
        accumulators: Bytes::ZERO,
        lanes: (machine.cores() / cluster).max(1),
        full: TileCost::default(),
    };
    let values = plan.values_product(shape, tile);
    plan.accumulators = Bytes(values.repeats * values.m * values.n * 4);
    plan.accumulators_in_sram = cores.accumulators.is_none_or(|a| plan.accumulators > a);
    // Slots beside the scores and probabilities of `ahead` tiles more than the one in work; 0 where not one fits.
    let slots_beside = |ahead: usize| {
        let Some(capacity) = cores.sram.capacity else { return MAX_SLOTS };
        let accumulators = if plan.accumulators_in_sram { plan.accumulators.0 } else { 0 };
        let heads = plan.rows_here(shape);
        let row = shape.columns(shape.row.0, cluster);
        // A head group rotates the columns of its own heads for the scores, and all that its weighted sum reads for that.
        let rotated = if shape.before_scores.is_none() {
            0
        } else {
            shape.columns(shape.score_row.0, cluster * head_groups)
        };
        let turned_back =
            if shape.before_values.is_none() { 0 } else { shape.columns(shape.value_row.0, cluster) };
        let rotated = rotated + turned_back;
        // Raw and rotated rows of a tile live together; scores are fp32 and probabilities 16 bits wide.
        let scores = heads * tile * 6 * (ahead as u64 + 1);
        let room = capacity.0.saturating_sub(accumulators + scores + rotated * tile);
        let slots = room / (row * tile);
        let slots = cores.sram.banks.map_or(slots, |banks| slots.min(banks));
        usize::try_from(slots).map_or(MAX_SLOTS, |s| s.min(MAX_SLOTS))
    };
    // Scoring ahead takes slots of its own: with few it only hurts.
    let offered = |ahead: usize, least: usize| Some((ahead, slots_beside(ahead))).filter(|o| o.1 >= least);
    let lookaheads = [offered(0, 1), offered(1, 3), offered(MAX_LOOKAHEAD, 8)];
    (_, plan.slots) = lookaheads[0]?;
    plan.lookaheads = lookaheads;
    Some(plan.oriented(machine, shape))
}

/// Why nothing fits, in words: the smallest needs against what a core has.
#[must_use]
pub fn why_nothing_fits(machine: &Machine, shape: &Shape) -> String {
    let tile = TILES[0];
    let cluster = max_cluster(machine, shape);
    let groups = shape.most_head_groups();
    let row = shape.columns(shape.row.0, cluster) * tile;
    let capacity = machine.spec.cores.sram.capacity.map_or(0, |c| c.0);
    let blocks = if shape.shared_row { "; nor does one of two passes in blocks" } else { "" };
    format!(
        "no attention plan fits a core: a tile of {tile} tokens takes {row} bytes even with {cluster} cores a row and {groups} head \
         groups, beside scores and accumulators, and the local SRAM holds {capacity}{blocks}"
    )
}
