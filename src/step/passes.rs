//! Two passes over the kept rows: each pass over a chunk is laid out for itself, by token splits or as a product in blocks.

use super::fastest;
use super::search::{Block, Choice, PlanCache};
use crate::engine::Timeline;
use crate::mapping::attention::two_pass::TwoPass;
use crate::mapping::attention::{Plan, Spent};
use crate::mapping::machine::Machine;
use crate::mapping::{Cause, product};
use crate::units::Femtos;
use crate::workload::Batch;
use std::sync::Arc;

/// Scores and weighted sums of one chunk.
pub(super) type Passes = Arc<(Choice, Choice)>;
/// The passes over the pieces that a batch is cut into.
pub(super) type Pieces = Vec<Passes>;

/// Passes that are remembered at most.
const MOST_PASSES: usize = 1 << 13;

impl PlanCache {
    /// The passes over every piece of `two`, where all have been timed.
    pub(super) fn known(&self, two: &TwoPass) -> Option<Pieces> {
        let of = |tokens| (two.scores, two.on_chip, tokens, two.sequences(tokens));
        two.pieces.iter().map(|&(tokens, _)| self.passes.get(&of(tokens)).cloned()).collect()
    }
}

/// The passes over every piece of `two`. With `limit` on the whole, gives up once it cannot win.
pub(super) fn pieces(
    machine: &Machine,
    cache: &mut PlanCache,
    two: &TwoPass,
    limit: Option<Femtos>,
) -> Option<Pieces> {
    let mut left = match limit {
        Some(l) => Some(l.0.checked_sub(two.between(machine).0.total().0)?),
        None => None,
    };
    let mut all = Vec::with_capacity(two.pieces.len());
    for &(tokens, count) in &two.pieces {
        let one = passes(machine, cache, two, tokens, left.map(|l| Femtos(l.div_ceil(count))))?;
        let time = one.0.timeline.time + one.1.timeline.time;
        left = match left {
            Some(l) => Some(l.checked_sub((time * count).0)?),
            None => None,
        };
        all.push(one);
    }
    Some(all)
}

/// The passes over a chunk of `tokens`, each chosen for itself. With `limit` on both together, gives up once it cannot win.
fn passes(
    machine: &Machine,
    cache: &mut PlanCache,
    two: &TwoPass,
    tokens: u64,
    limit: Option<Femtos>,
) -> Option<Passes> {
    let key = (two.scores, two.on_chip, tokens, two.sequences(tokens));
    if let Some(known) = cache.passes.get(&key) {
        return Some(known.clone());
    }
    let chunk = Batch::uniform(tokens, 1);
    let left = |taken: Femtos| match limit {
        Some(l) => l.0.checked_sub(taken.0).map(|left| Some(Femtos(left))),
        None => Some(None),
    };
    // One launch covers all chunks and both passes (it is part of what comes between); each pass is timed with one of its own.
    let launch = machine.launch();
    let with_launch = |l: Option<Femtos>| l.map(|l| l + launch);
    let mut scores = cache.search(machine, &two.scores, &chunk, |_| true, with_launch(limit));
    if let Some(shape) = two.scores_in_blocks(machine, tokens) {
        let limit = scores.as_ref().map(|s| s.timeline.time).or(with_launch(limit));
        scores = in_blocks(machine, &shape, limit).map(|c| Choice { blocks: [c.1, None], ..c.0 }).or(scores);
    }
    let mut scores = scores?;
    scores.timeline.shorten(Cause::Overhead, launch);
    let second_limit = with_launch(left(scores.timeline.time)?);
    let mut values: Option<Choice> = None;
    for shape in &two.values {
        let limit = values.as_ref().map(|v| v.timeline.time).or(second_limit);
        if let Some(better) = cache.search(machine, shape, &chunk, |_| true, limit) {
            values = Some(better);
        }
    }
    if let Some(shape) = two.values_in_blocks(machine, tokens) {
        let limit = values.as_ref().map(|v| v.timeline.time).or(second_limit);
        values = in_blocks(machine, &shape, limit).map(|c| Choice { blocks: [None, c.1], ..c.0 }).or(values);
    }
    let mut values = values?;
    values.timeline.shorten(Cause::Overhead, launch);
    let passes = Arc::new((scores, values));
    if cache.passes.len() >= MOST_PASSES {
        cache.passes.clear();
    }
    cache.passes.insert(key, passes.clone());
    Some(passes)
}

/// A pass as a product in blocks, and its block; with `limit`, only what takes less.
fn in_blocks(
    machine: &Machine,
    shape: &product::Shape,
    limit: Option<Femtos>,
) -> Option<(Choice, Option<Block>)> {
    let to_beat = limit.map_or(Some(u64::MAX), |l| l.0.checked_sub(1))?;
    let fastest::Timed { timeline, spent, plan } = fastest::product(machine, shape, Femtos(to_beat))?;
    let block = Block { rows: plan.rows, columns: plan.columns, depth: plan.depth, split: plan.split };
    let choice = Choice {
        timeline,
        spent: Spent {
            reread: spent.reread,
            shared: spent.shared,
            local: spent.local,
            mac_slots: spent.mac_slots,
        },
        exchange: spent.activations + spent.exchange,
        name: "two-pass",
        plan: Plan::in_blocks(machine, block.columns, plan.slots, plan.held),
        split: 1,
        lookahead: 0,
        passes: 1,
        memory_reads: 1 + spent.reread.0.div_ceil(shape.weights.0.max(1)),
        heads_in_tile: 1,
        blocks: [None; 2],
        runner_up: None,
    };
    Some((choice, Some(block)))
}

/// What a two-pass plan takes.
pub(super) fn time_of(machine: &Machine, two: &TwoPass, pieces: &[Passes]) -> Femtos {
    let passes = pieces.iter().zip(&two.pieces);
    let inside = passes.map(|(p, &(_, n))| (p.0.timeline.time + p.1.timeline.time) * n);
    inside.fold(two.between(machine).0.total(), |sum, piece| sum + piece)
}

/// A two-pass plan from the passes over its pieces; what it reports of the layout is that of the whole chunks' scores.
pub(super) fn together(machine: &Machine, two: &TwoPass, pieces: &[Passes]) -> Choice {
    let (between, memory, shared) = two.between(machine);
    let mut timeline = Timeline::default();
    let mut spent = Spent { shared, ..Spent::default() };
    let mut exchange = memory;
    for (piece, &(tokens, count)) in pieces.iter().zip(&two.pieces) {
        for pass in [&piece.0, &piece.1] {
            timeline.time += pass.timeline.time * count;
            for (sum, part) in timeline.causes.0.iter_mut().zip(pass.timeline.causes.0) {
                *sum = sum.saturating_add(part.saturating_mul(count));
            }
            spent.reread += pass.spent.reread * count;
            spent.shared += pass.spent.shared * count;
            spent.local += pass.spent.local * count;
            spent.mac_slots = spent.mac_slots.saturating_add(pass.spent.mac_slots.saturating_mul(count));
            exchange += pass.exchange * count;
        }
        let second = &two.values[0];
        let rows = second.values.heads * piece.1.plan.queries_here(second);
        spent.reread += two.reread_of(tokens, rows) * count;
    }
    timeline += Timeline { time: between.total(), causes: between };
    let (scores, values) = (&pieces[0].0, &pieces[0].1);
    // Blocks beyond the first read again where there is no shared SRAM.
    let again = |c: &Choice| if c.blocks == [None; 2] { 0 } else { c.memory_reads - 1 };
    Choice {
        timeline,
        spent,
        exchange,
        name: "two-pass",
        passes: 2,
        memory_reads: two.memory_reads + again(scores) + again(values),
        blocks: [scores.blocks[0], values.blocks[1]],
        runner_up: None,
        ..scores.clone()
    }
}
