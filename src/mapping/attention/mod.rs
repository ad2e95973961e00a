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
use crate::attention::Contraction;
use crate::hardware::mac_array::{MacArray, Product, Stationary};
use crate::hardware::vector_unit::VectorUnit;
use crate::units::{Bytes, Dtype};
use crate::workload::AttentionWork;

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
    /// Elements of a group's row rotated on read.
    pub rotated: u64,
    /// Bytes of a group's row.
    pub row: Bytes,
    /// Bytes that scores contract with.
    pub score_row: Bytes,
    /// Bytes that the weighted sum contracts with.
    pub value_row: Bytes,
    /// Query rows per head.
    pub queries: u64,
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
            rotated: work.rotated,
            row: work.row,
            score_row: work.score_row,
            value_row: work.value_row,
            queries: work.queries,
            dtype,
            residence,
        }
    }

    /// The same attention with the rows of all KV heads in every tile: one stream whose products have a slice per head. Short tiles then
    /// still fill several arrays. `None` where one row serves all heads already.
    #[must_use]
    pub fn all_heads_a_tile(&self) -> Option<Self> {
        let all = |c: Contraction| Contraction { slices: c.slices * self.groups, ..c };
        (self.groups > 1 && !self.shares_row()).then(|| Self {
            groups: 1,
            scores: all(self.scores),
            values: all(self.values),
            rotated: self.rotated * self.groups,
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

    /// Of `whole`, a quantity of all columns of a row, what the busiest of `parts` cores has: whole heads where scores have a slice per
    /// head, so that no head's columns are cut, else an even share of the columns.
    #[must_use]
    pub const fn columns(&self, whole: u64, parts: u64) -> u64 {
        let slices = self.scores.slices;
        if slices > 1 {
            (whole as u128 * slices.div_ceil(parts) as u128).div_ceil(slices as u128) as u64
        } else {
            whole.div_ceil(parts)
        }
    }

    /// Whether scores and weighted sum read the same elements, so that a row must be whole where it is used.
    #[must_use]
    pub fn shares_row(&self) -> bool {
        self.score_row.0 + self.value_row.0 > self.row.0
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

    /// Weighted sum that one core forms of `tokens` tokens.
    #[must_use]
    pub fn values_product(&self, shape: &Shape, tokens: u64) -> Product {
        contraction(self, shape, shape.values, |m, width| (m, tokens, width))
    }

    /// Streams of a sequence: kept rows of its own, for each group of heads that walks them.
    #[must_use]
    pub const fn streams(&self, shape: &Shape) -> u64 {
        shape.groups * self.head_groups
    }

    /// Heads whose probabilities one core works with.
    #[must_use]
    pub fn heads_here(&self, shape: &Shape) -> u64 {
        shape.heads().div_ceil(self.head_groups)
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
    let (m, k, n) = order(heads * shape.queries, width);
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
        for head_groups in powers_of_two(max_head_groups(shape)) {
            if shape.scores.slices > 1 && cluster * head_groups > shape.scores.slices {
                continue;
            }
            for &tile in tiles(machine) {
                if let Some(plan) = fit(machine, shape, cluster, head_groups, tile) {
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
    if !shape.shares_row() || shape.heads() == 1 {
        return 1;
    }
    machine.spec.cores.cluster.map_or(1, |c| c.max_size.min(machine.cores()))
}

fn max_head_groups(shape: &Shape) -> u64 {
    if shape.shares_row() { shape.heads() } else { 1 }
}

/// The plan with these splits and this tile, if its accumulators and at least one tile fit a core.
fn fit(machine: &Machine, shape: &Shape, cluster: u64, head_groups: u64, tile: u64) -> Option<Plan> {
    let cores = &machine.spec.cores;
    let mut plan = Plan {
        name: match (cluster, head_groups) {
            (1, 1) => "split",
            (_, 1) => "cluster",
            (1, _) => "head-groups",
            _ => "cluster-head-groups",
        },
        cluster,
        head_groups,
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
        let heads = plan.heads_here(shape) * shape.queries;
        let row = shape.columns(shape.row.0, cluster);
        // A head group rotates the columns of its own heads.
        let rotated =
            if shape.rotated > 0 { shape.columns(shape.score_row.0, cluster * head_groups) } else { 0 };
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
    let (scores_held, values_held) = tile::orient(machine, shape, &plan);
    plan.scores_held = scores_held;
    plan.values_held = values_held;
    plan.full = TileCost::new(machine, shape, &plan, tile);
    Some(plan)
}

/// Why nothing fits, in words: the smallest needs against what a core has.
#[must_use]
pub fn why_nothing_fits(machine: &Machine, shape: &Shape) -> String {
    let tile = TILES[0];
    let cluster = max_cluster(machine, shape);
    let groups = max_head_groups(shape);
    let row = shape.columns(shape.row.0, cluster) * tile;
    let capacity = machine.spec.cores.sram.capacity.map_or(0, |c| c.0);
    format!(
        "no attention plan fits a core: a tile of {tile} tokens takes {row} bytes even with {cluster} cores a row and {groups} head \
         groups, beside scores and accumulators, and the local SRAM holds {capacity}"
    )
}
