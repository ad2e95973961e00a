//! The fastest way to run attention: every candidate that could win is timed, in a fixed order, and the first of equals is kept.

use super::fastest::remember;
use super::kernel::KernelTimer;
use super::passes::{Passes, pieces, time_of, together};
use crate::engine::{self, Timeline};
use crate::mapping::Causes;
use crate::mapping::attention::two_pass::TwoPass;
use crate::mapping::attention::{
    Candidate, Dealing, Plan, PlanBound, SPLITS, Shape, Spent, combine, plans, why_nothing_fits,
};
use crate::mapping::machine::Machine;
use crate::units::{Bytes, Femtos};
use crate::workload::Batch;
use rustc_hash::FxHashMap;
use std::cell::RefCell;

/// Names of plans that can be forced.
pub const PLAN_NAMES: [&str; 5] = ["split", "cluster", "head-groups", "cluster-head-groups", "two-pass"];

/// Attention as it was finally laid out.
#[derive(Debug, Clone)]
pub struct Choice {
    /// Time and causes.
    pub timeline: Timeline,
    /// Bytes and slots.
    pub spent: Spent,
    /// Partial sums and probabilities at the memory.
    pub exchange: Bytes,
    /// The plan's name.
    pub name: &'static str,
    /// The plan; of two passes the first.
    pub plan: Plan,
    /// Token split.
    pub split: u64,
    /// Tiles scored ahead.
    pub lookahead: usize,
    /// Passes.
    pub passes: u64,
    /// Times that each row is read from memory.
    pub memory_reads: u64,
    /// KV heads whose rows a tile holds.
    pub heads_in_tile: u64,
    /// Passes that run as products in blocks: the first's block, the second's.
    pub blocks: [Option<Block>; 2],
    /// The best plan of another kind, and its time, where one was close enough to be timed.
    pub runner_up: Option<(&'static str, Femtos)>,
}

/// A block of a pass's product: what one work item forms, a stretch of the reduction at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    /// Query rows.
    pub rows: u64,
    /// Tokens of scores, columns of weighted sums.
    pub columns: u64,
    /// Columns of a kept row (tokens, of weighted sums) in a tile.
    pub depth: u64,
    /// Parts of the reduction.
    pub split: u64,
}

/// Index of a plan, and a token split.
type Pair = (usize, u64);

/// Cluster, groups of heads and of query rows, fused rows and tile of a plan.
type PlanKey = (u64, u64, u64, u64, u64);

thread_local! {
    /// The plan and split that won last for each shape, whatever the machine. It speeds the search up and cannot change its result.
    static LAST_PLANS: RefCell<FxHashMap<Shape, (PlanKey, u64)>> = RefCell::default();
}

/// Plans by shape, made once for a machine, and the passes that have been timed.
#[derive(Debug, Default)]
pub struct PlanCache {
    /// The plans of a shape, and the plan and split that won last.
    plans: FxHashMap<Shape, (Vec<Plan>, Option<Pair>)>,
    /// Scores and weighted sums of two-pass plans, by the shape of the scores, whether rows stay on chip, and the
    /// tokens and sequences of a chunk.
    pub(super) passes: FxHashMap<(Shape, bool, u64, u64), Passes>,
}

impl PlanCache {
    /// The fastest one-pass plan of `shape` that `admits` lets through, in less than `limit`.
    pub(super) fn search(
        &mut self,
        machine: &Machine,
        shape: &Shape,
        batch: &Batch,
        admits: impl Fn(&Plan) -> bool,
        limit: Option<Femtos>,
    ) -> Option<Choice> {
        let key = |p: &Plan| (p.cluster, p.head_groups, p.query_groups, p.fused, p.tile);
        let (plans, hint) = self.plans.entry(*shape).or_insert_with(|| {
            let plans = plans(machine, shape);
            let last = LAST_PLANS.with_borrow(|last| last.get(shape).copied());
            let hint =
                last.and_then(|(last, split)| Some((plans.iter().position(|p| key(p) == last)?, split)));
            (plans, hint)
        });
        let before = *hint;
        let choice = one_pass(machine, shape, batch, plans, admits, limit, hint);
        if let Some((plan, split)) = hint.filter(|_| *hint != before) {
            remember(&LAST_PLANS, *shape, (key(&plans[plan]), split));
        }
        choice
    }
}

/// The layout that a kernel makes.
///
/// # Errors
/// In words, where a block does not fit a core.
pub(super) fn of_kernel(kernel: &KernelTimer, shape: &Shape, batch: &Batch) -> Result<Choice, String> {
    let (layout, timeline) = kernel.attention_by_cause(shape, batch).ok_or_else(|| {
        let block = shape.row * kernel.policy().block;
        format!("a block of the kernel, {} bytes of rows, fits no core's local SRAM", block.0)
    })?;
    let (_, _, exchange, shared) = layout.behind;
    Ok(Choice {
        timeline,
        spent: Spent { shared: layout.spent.shared + shared, ..layout.spent },
        exchange,
        name: layout.plan.name,
        split: layout.split,
        lookahead: layout.program.lookahead,
        passes: 1,
        memory_reads: 1,
        heads_in_tile: 1,
        blocks: [None, None],
        runner_up: None,
        plan: layout.plan,
    })
}

/// The fastest candidate, or why there is none. `forced` restricts the search to the plans of that name.
///
/// # Errors
/// In words, why nothing fits.
pub fn attention(
    machine: &Machine,
    cache: &mut PlanCache,
    shape: &Shape,
    batch: &Batch,
    forced: Option<&str>,
) -> Result<Choice, String> {
    let two_passes = forced.is_none() || forced == Some("two-pass");
    let cuts = if two_passes { TwoPass::cuts(machine, shape, batch) } else { Vec::new() };
    // In a replay most chunks have been timed before. Ragged batches only: what else was close must not depend on what came before.
    // What is known serves as a limit and cannot change the winner: it is met again below.
    let known = cuts
        .iter()
        .filter(|_| batch.runs().len() > 1)
        .filter_map(|two| Some(time_of(machine, two, &cache.known(two)?) + Femtos(1)))
        .min();
    let mut best: Option<Choice> = None;
    if forced != Some("two-pass") || !shape.shared_row {
        // Where heads read rows of their own there is one kind of plan: nothing to force.
        let admits = |p: &Plan| !shape.shared_row || forced.is_none_or(|f| p.name == f);
        best = cache.search(machine, shape, batch, admits, known);
    }
    if let Some(all) = shape.all_heads_a_tile() {
        let limit = best.as_ref().map(|b| b.timeline.time);
        if let Some(choice) = cache.search(machine, &all, batch, |_| true, limit) {
            best = Some(Choice { heads_in_tile: shape.groups, ..choice });
        }
    }
    let one = best.as_ref().map(|b| (b.name, b.timeline.time));
    for two in &cuts {
        let limit = best.as_ref().map(|b| b.timeline.time).or(known);
        if limit.is_none_or(|l| two.bound(machine, shape, batch) < l)
            && let Some(pieces) = pieces(machine, cache, two, limit)
        {
            let time = time_of(machine, two, &pieces);
            if best.as_ref().is_none_or(|b| time < b.timeline.time) {
                best = Some(Choice { runner_up: one, ..together(machine, two, &pieces) });
            }
        }
    }
    best.ok_or_else(|| match forced {
        Some(name) => format!("plan {name} does not fit this machine and scheme"),
        None => why_nothing_fits(machine, shape),
    })
}

/// A pair of plan and split that has been timed; of equal times the earlier pair is kept, whatever the order of the search.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Timed {
    time: Femtos,
    plan: usize,
    split: u64,
    lookahead: usize,
}

/// The fastest of `plans` under any token split; with `limit`, only what takes less.
///
/// Every pair of plan and split has a cheap bound. A good first guess leaves few pairs that could win: `hint` is the pair that won for
/// this shape last time; without one, plans are tried in the order of their least bound.
fn one_pass(
    machine: &Machine,
    shape: &Shape,
    batch: &Batch,
    plans: &[Plan],
    admits: impl Fn(&Plan) -> bool,
    limit: Option<Femtos>,
    hint: &mut Option<Pair>,
) -> Option<Choice> {
    let longest = batch.longest();
    // Beyond one token a part, splits are all the same.
    let useful = SPLITS.iter().position(|&s| s >= longest).map_or(SPLITS.len(), |i| i + 1);
    let splits = || SPLITS[..useful].iter().map(|&s| s.min(longest));
    let after_least = |split: u64| if split > 1 { machine.barrier() } else { Femtos::ZERO };
    let mut after = AfterSplits::default();
    // The longest time that is still of interest.
    let mut to_beat = match limit {
        Some(Femtos(0)) => return None,
        Some(Femtos(l)) => Femtos(l - 1),
        None => Femtos(u64::MAX),
    };
    let mut best: Option<Timed> = None;
    let ragged = batch.runs().len() > 1;
    let mut dealt: Vec<(Dealing, u64)> = Vec::new();
    let mut consider = |plan: usize, split: u64, bound: Option<&PlanBound>, to_beat: &mut Femtos| {
        let candidate = Candidate::new(machine, shape, &plans[plan], split);
        let follows = after.get(machine, shape, batch, split).0;
        if bound.is_some_and(|b| b.with(split) + follows > *to_beat) {
            return;
        }
        if let Some(bound) = bound.filter(|_| ragged) {
            // Dealing is dear: plans that differ in their tiles alone share what it says of the busiest core.
            let dealing = Dealing::of(&plans[plan], shape, split);
            let busiest = dealt.iter().find(|d| d.0 == dealing).map(|d| d.1).unwrap_or_else(|| {
                let tokens = dealing.busiest(batch);
                dealt.push((dealing, tokens));
                tokens
            });
            if bound.with_busiest(split, busiest) + follows > *to_beat {
                return;
            }
        }
        if let Some((time, lookahead)) = time(batch, &candidate, follows, *to_beat) {
            let timed = Timed { time, plan, split, lookahead };
            if best.is_none_or(|b| timed < b) {
                best = Some(timed);
                *to_beat = time;
            }
        }
    };
    let admitted = plans.iter().enumerate().filter(|(_, p)| admits(p));
    let mut order: Vec<(Femtos, usize, PlanBound)> =
        admitted.map(|(i, plan)| (Femtos::ZERO, i, PlanBound::new(machine, shape, plan, batch))).collect();
    match *hint {
        Some((plan, split)) if plan < plans.len() && admits(&plans[plan]) => {
            consider(plan, split.min(longest), None, &mut to_beat);
        }
        _ => {
            for (least, _, bound) in &mut order {
                *least = splits().map(|s| bound.with(s) + after_least(s)).min().unwrap_or_default();
            }
            order.sort_unstable_by_key(|&(least, i, _)| (least, i));
        }
    }
    for (least, i, bound) in &order {
        if *least > to_beat {
            break;
        }
        for split in splits() {
            // More parts never move less, start fewer waves or need less combining.
            if bound.loads_with(split) + after_least(split) > to_beat {
                break;
            }
            if bound.with(split) + after_least(split) <= to_beat {
                consider(*i, split, Some(bound), &mut to_beat);
            }
        }
    }
    let Timed { plan, split, lookahead, .. } = best?;
    *hint = Some((plan, split));
    let candidate = Candidate::new(machine, shape, &plans[plan], split);
    let (mut program, mut spent) = candidate.program(batch);
    let slots = candidate.plan.lookaheads.into_iter().flatten().find(|o| o.0 == lookahead).map_or(1, |o| o.1);
    (program.lookahead, program.slots) = (lookahead, slots);
    let mut timeline = engine::run(&program);
    let (time, causes, memory, shared) = after.get(machine, shape, batch, split);
    timeline += Timeline { time, causes };
    spent.shared += shared;
    Some(Choice {
        timeline,
        spent,
        exchange: memory,
        name: candidate.plan.name,
        plan: candidate.plan.clone(),
        split,
        lookahead,
        passes: 1,
        memory_reads: candidate.memory_reads(),
        heads_in_tile: 1,
        blocks: [None; 2],
        runner_up: None,
    })
}

/// What follows a token split: time, causes, bytes at the memory and at the shared SRAM.
type AfterSplit = (Femtos, Causes, Bytes, Bytes);

/// What follows each token split, computed when first asked for: it does not depend on the plan.
#[derive(Default)]
struct AfterSplits {
    known: Vec<(u64, AfterSplit)>,
}

impl AfterSplits {
    fn get(&mut self, machine: &Machine, shape: &Shape, batch: &Batch, split: u64) -> AfterSplit {
        if let Some((_, after)) = self.known.iter().find(|k| k.0 == split) {
            return *after;
        }
        let after = combine(machine, shape, batch, split);
        self.known.push((split, after));
        after
    }
}

/// The least time of a candidate over the numbers of tiles scored ahead, what `follows` the split included, and that number; `None`
/// where it exceeds `to_beat`.
fn time(
    batch: &Batch,
    candidate: &Candidate<'_>,
    follows: Femtos,
    to_beat: Femtos,
) -> Option<(Femtos, usize)> {
    let (mut program, _) = candidate.program(batch);
    let bound = program.bound();
    if bound + follows > to_beat {
        return None;
    }
    let mut best: Option<(Femtos, usize)> = None;
    for (ahead, slots) in candidate.plan.lookaheads.into_iter().flatten() {
        (program.lookahead, program.slots) = (ahead, slots);
        let time = engine::time(&program);
        if best.is_none_or(|(t, _)| time < t) {
            best = Some((time, ahead));
        }
        if time <= bound {
            break;
        }
    }
    best.map(|(time, ahead)| (time + follows, ahead)).filter(|(time, _)| *time <= to_beat)
}
