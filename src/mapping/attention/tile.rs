//! What one tile costs at each unit of a core.

use super::{Plan, Residence, Shape};
use crate::attention::ReadWork;
use crate::hardware::mac_array::Stationary;
use crate::mapping::Cause;
use crate::mapping::deal::Share;
use crate::mapping::machine::Machine;
use crate::mapping::program::{ArrayStage, Tile};
use crate::units::{Bytes, Cycles, Femtos};
use crate::workload::SOFTMAX_OPS_PER_SCORE;

/// Time and bytes of one tile on one core, apart from its load, which depends on how many cores share the memories.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct TileCost {
    /// The tile without its load.
    pub tile: Tile,
    /// Time that the busiest unit of the core takes.
    pub busiest: Femtos,
    /// Time from arrival to result of a lone tile.
    pub chain: Femtos,
    /// Multiply–accumulate slots of one core.
    pub mac_slots: u64,
    /// Bytes at one core's local SRAM.
    pub local: Bytes,
}

impl TileCost {
    /// The cost of `tokens` tokens under `plan`.
    #[must_use]
    pub fn new(machine: &Machine, shape: &Shape, plan: &Plan, tokens: u64) -> Self {
        let scores = machine.array(plan.scores_product(shape, tokens), plan.scores_held, shape.dtype);
        let values = machine.array(plan.values_product(shape, tokens), plan.values_held, shape.dtype);
        // Rotated rows are what the scores wait for; the weighted sum holds the raw row, which is there once loaded, or the
        // probabilities, which come late.
        let scores_stage =
            machine.stage(&scores, plan.scores_held == Stationary::Right && !shape.before_scores.is_none());
        let values_stage =
            machine.stage(&values, plan.values_held == Stationary::Left || !shape.before_values.is_none());

        let here = plan.head_groups * plan.cluster;
        let rotate_ops = machine.spec.cores.vector_unit.rotate_ops();
        let ops = |work: ReadWork, tokens: u64, cores: u64| {
            let one = work.rotated.saturating_mul(rotate_ops).saturating_add(work.ops);
            one.saturating_mul(tokens).div_ceil(cores)
        };
        let rotate = machine.vector_time(ops(shape.before_scores, tokens, here), 0);
        let heads = plan.rows_here(shape);
        let score_count = (heads * tokens).div_ceil(plan.cluster);
        // Each head group turns back the whole of the rows that its weighted sum reads.
        let turn_back = if shape.before_values.is_none() {
            0
        } else {
            ops(shape.before_values, plan.values_product(shape, tokens).k, plan.cluster)
        };
        let softmax = machine.vector_time(score_count * SOFTMAX_OPS_PER_SCORE + turn_back, score_count);

        let exchange = if plan.cluster > 1 {
            // Block-diagonal scores are complete where they are formed: 2 bytes of each go to the other cores. Dense ones are partial
            // sums over the core's columns: 4 bytes are reduced first.
            let per_score = if shape.scores.slices > 1 { 2 } else { 4 + 2 };
            let received = (heads * tokens * per_score * (plan.cluster - 1)).div_ceil(plan.cluster);
            machine.cluster_time(Bytes(received)) + machine.cluster_barrier()
        } else {
            Femtos::ZERO
        };

        let local = local_bytes(shape, plan, tokens);
        let sram = machine.local_time(local);
        // Phases that were measured on rows in the local SRAM contain what they wait for there.
        let (scores_stage, softmax, values_stage, sram) = match machine.achieved() {
            Some(a) => {
                let formed = a.scores(plan.scores_product(shape, tokens).macs());
                let weighed = a.values(plan.values_product(shape, tokens).macs());
                let turned = machine.vector_time(turn_back, 0);
                (formed, a.softmax(score_count) + turned, weighed, Femtos::ZERO)
            }
            None => (scores_stage, softmax, values_stage, sram),
        };
        let busiest = (scores_stage.stream + values_stage.stream)
            .max(scores_stage.preload + values_stage.preload)
            .max(rotate + softmax)
            .max(exchange)
            .max(sram);
        let stage_time = |s: &ArrayStage| s.stream.max(s.preload) + s.fill;
        let chain = rotate + stage_time(&scores_stage) + exchange + softmax + stage_time(&values_stage);
        Self {
            tile: Tile {
                load: Femtos::ZERO,
                load_cause: Cause::Bandwidth,
                rotate,
                scores: scores_stage,
                exchange,
                softmax,
                values: values_stage,
                sram,
            },
            busiest,
            chain,
            mac_slots: scores.mac_slots.saturating_add(values.mac_slots),
            local,
        }
    }

    /// The tile with its load, where all active lanes together move `share` tokens of one group's row in the time of this tile.
    #[must_use]
    pub(super) fn loaded(
        &self,
        machine: &Machine,
        shape: &Shape,
        plan: &Plan,
        tokens: u64,
        share: Share,
    ) -> Tile {
        let total = |times: u64, rows: u64| {
            let (bytes, unit) = shape.loaded(share.tokens, rows);
            let over = u128::from(share.over) * u128::from(plan.walkers()) * u128::from(unit);
            Bytes((bytes * u128::from(times)).div_ceil(over) as u64)
        };
        let (memory_reads, shared_reads) = reads(machine, shape, plan);
        let memory = match shape.residence {
            Residence::Memory => total(memory_reads, plan.choosing(machine, shape)),
            Residence::OnChip => Bytes::ZERO,
        };
        let shared = total(shared_reads, shape.values.heads * plan.queries_here(shape));
        let one_core = Bytes(shape.columns(shape.row.0, plan.cluster) * tokens);
        let mut tile = self.tile;
        if plan.lanes > machine.cores() {
            let active = share.tokens.div_ceil(share.over * tokens);
            tile.take_turns(active.div_ceil(machine.cores()));
        }
        (tile.load, tile.load_cause) = machine.load(memory, shared, one_core);
        machine.expose(&mut tile);
        tile
    }
}

/// How often each row is read from the outermost memory and from the shared SRAM, over all head groups.
///
/// Groups of heads or query rows that walk the same tokens together find them in the shared SRAM; a multicast within a cluster serves
/// several at one read. Groups beyond the number of cores or clusters come later and read again. Without a shared SRAM each group reads
/// from memory.
pub(super) fn reads(machine: &Machine, shape: &Shape, plan: &Plan) -> (u64, u64) {
    if machine.has_shared() {
        let multicast = machine
            .spec
            .cores
            .cluster
            .is_some_and(|c| c.multicast && plan.cluster * plan.walkers() <= c.max_size);
        (plan.walkers().div_ceil(plan.lanes), if multicast { 1 } else { plan.walkers() })
    } else {
        (if shape.residence == Residence::Memory { plan.walkers() } else { 0 }, 0)
    }
}

/// Bytes through the ports of one core's local SRAM for a tile: written by the load, read by scores and weighted sum, written and
/// read again where rotated; probabilities there and back; accumulators too, where they live there.
fn local_bytes(shape: &Shape, plan: &Plan, tokens: u64) -> Bytes {
    let here = |row: Bytes| shape.columns(row.0, plan.cluster) * tokens;
    let grouped = |row: Bytes| shape.columns(row.0, plan.cluster * plan.head_groups) * tokens;
    let score_row = if shape.scores.slices > 1 { grouped(shape.score_row) } else { here(shape.score_row) };
    let value_row = if shape.values.slices > 1 { grouped(shape.value_row) } else { here(shape.value_row) };
    let rotation = if shape.before_scores.is_none() { 0 } else { 2 * score_row };
    let turned_back = if shape.before_values.is_none() { 0 } else { 2 * value_row };
    let probabilities = 2 * 2 * plan.rows_here(shape) * tokens;
    let accumulators = if plan.accumulators_in_sram { 2 * plan.accumulators.0 } else { 0 };
    Bytes(here(shape.row) + score_row + rotation + value_row + turned_back + probabilities + accumulators)
}

/// The orientations of both products that keep the array's busier port least busy, over a full tile.
pub(super) fn orient(machine: &Machine, shape: &Shape, plan: &Plan) -> (Stationary, Stationary) {
    let orientations = machine.spec.cores.mac_array.orientations();
    let work = |product, held| machine.array(product, held, shape.dtype);
    let mut best: Option<((Cycles, Cycles), Stationary, Stationary)> = None;
    for &s in orientations {
        let scores = work(plan.scores_product(shape, plan.tile), s);
        for &v in orientations {
            let values = work(plan.values_product(shape, plan.tile), v);
            let stream = scores.stream + values.stream;
            let preload = scores.preload + values.preload;
            let key = (stream.max(preload), stream + preload);
            if best.is_none_or(|(b, ..)| key < b) {
                best = Some((key, s, v));
            }
        }
    }
    best.map_or((Stationary::Right, Stationary::Right), |(_, s, v)| (s, v))
}
