//! Decode attention under a kernel's policy.

use super::{beyond, rounds};
use crate::attention::Contraction;
use crate::hardware::kernel::{Policy, SplitRule};
use crate::hardware::mac_array::Stationary;
use crate::mapping::attention::{Candidate, Plan, Residence, Shape, Spent, TileCost, combine};
use crate::mapping::machine::Machine;
use crate::mapping::program::{MAX_SLOTS, Program, Tile, Wave};
use crate::mapping::{Cause, Causes};
use crate::units::{Bytes, Femtos};
use crate::workload::Batch;

/// Attention of one layer, laid out.
#[derive(Debug, Clone, PartialEq)]
pub struct Layout {
    /// The plan: head groups, tile, slots.
    pub plan: Plan,
    /// Parts of each sequence (of the longest).
    pub split: u64,
    /// What one place for work items runs.
    pub program: Program,
    /// What all of them spend.
    pub spent: Spent,
    /// Adding up the parts: time, the same by cause, bytes at the memory, bytes at the shared SRAM.
    pub behind: (Femtos, Causes, Bytes, Bytes),
}

/// Lays attention over `batch` out by `policy`; of the rows, the part `found` comes from the shared SRAM. `None` where a block of tokens
/// does not fit a core.
#[must_use]
pub fn attention(
    machine: &Machine,
    policy: &Policy,
    shape: &Shape,
    batch: &Batch,
    found: f64,
) -> Option<Layout> {
    let computed = policy.padded_rows.map_or(*shape, |rows| padded(shape, rows));
    let plan = plan(machine, policy, shape, &computed)?;
    let lanes = plan.lanes;
    let streams = plan.streams(shape);
    let split = policy.parts(batch.sequences() * streams, batch.longest(), lanes);
    let (mut program, spent) = match batch.runs() {
        &[(tokens, count)] => {
            let work = match policy.split {
                SplitRule::EvenTokens => Work::shared_out(tokens, count, &plan, shape),
                _ => Work { tokens, split, items: count * streams * split },
            };
            uniform(machine, [shape, &computed], &plan, work, found)
        }
        // Unequal sequences go to the least loaded core, longest first, as everywhere.
        _ => Candidate::new(machine, shape, &plan, split).computing(&computed).program(batch),
    };
    program.lookahead = usize::from(policy.pipelined && plan.slots >= 3);
    if policy.quick_unsplit && batch.longest() <= policy.unsplit {
        program.waves.iter_mut().for_each(|wave| wave.start = Femtos::ZERO);
    }
    let mut behind = combine(machine, shape, batch, split);
    if policy.serial_combine && split > 1 {
        let waits = machine.memory_latency() * split;
        behind.0 += waits;
        behind.1 += Causes::of(Cause::Latency, waits);
    }
    Some(Layout { plan, split, program, spent, behind })
}

/// The kernel's only plan.
fn plan(machine: &Machine, policy: &Policy, shape: &Shape, computed: &Shape) -> Option<Plan> {
    let head_groups = if shape.shared_row { shape.heads().div_ceil(policy.heads.max(1)) } else { 1 };
    let lanes = machine.cores() * policy.items_per_core;
    let (tile, slots) = tile_and_slots(machine, policy, shape)?;
    let plan = Plan {
        name: "kernel",
        head_groups,
        lanes,
        slots,
        ..Plan::in_blocks(machine, tile, 1, Stationary::Right)
    };
    let mut plan = plan.oriented(machine, shape);
    if policy.padded_rows.is_some() {
        plan.scores_held = Stationary::Left;
        plan.values_held = Stationary::Left;
        plan.full = TileCost::new(machine, computed, &plan, plan.tile);
    }
    Some(plan)
}

/// The shape with as many query heads a row as are computed.
fn padded(shape: &Shape, rows: u64) -> Shape {
    let pad = |c: Contraction| Contraction { heads: c.heads.next_multiple_of(rows), ..c };
    Shape { scores: pad(shape.scores), values: pad(shape.values), ..*shape }
}

/// Fewest tokens in a tile.
const LEAST_TILE: u64 = 8;

/// Tokens in a tile and tiles in flight: blocks where at least two fit a core, else halves of them, as kernels for smaller cores have them.
/// `None` where not even two of the smallest fit.
fn tile_and_slots(machine: &Machine, policy: &Policy, shape: &Shape) -> Option<(u64, usize)> {
    let Some(capacity) = machine.spec.cores.sram.capacity else { return Some((policy.block, MAX_SLOTS)) };
    let room = capacity.0 / policy.items_per_core;
    let mut tile = policy.block;
    loop {
        let fit = usize::try_from(room / (shape.row.0 * tile).max(1)).unwrap_or(MAX_SLOTS);
        if fit >= 2 {
            return Some((tile, fit.min(MAX_SLOTS)));
        }
        if tile < 2 * LEAST_TILE {
            return None;
        }
        tile /= 2;
    }
}

/// Equal stretches of tokens, each cut in equal parts.
#[derive(Clone, Copy)]
struct Work {
    /// Tokens of a stretch.
    tokens: u64,
    /// Parts of a stretch.
    split: u64,
    /// Parts of all stretches.
    items: u64,
}

impl Work {
    /// All tokens of `count` sequences of `tokens` tokens as one stretch, a part for each place, but none shorter than a tile.
    fn shared_out(tokens: u64, count: u64, plan: &Plan, shape: &Shape) -> Self {
        let parts = (tokens * count).div_ceil(plan.tile).clamp(1, plan.lanes);
        Self { tokens: tokens * count * plan.streams(shape), split: parts, items: parts }
    }
}

/// Equal work: whole rounds, then what is left.
fn uniform(
    machine: &Machine,
    [shape, computed]: [&Shape; 2],
    plan: &Plan,
    Work { tokens, split, items }: Work,
    found: f64,
) -> (Program, Spent) {
    let longest = tokens.div_ceil(split);
    let cost = Item::new(machine, shape, plan, (tokens, split), found);
    let mut spent = Spent::default();
    let mut waves = Vec::with_capacity(2);
    for (active, repeat) in rounds(items, plan.lanes) {
        if repeat == 0 {
            continue;
        }
        let mut runs = Vec::with_capacity(2);
        for (size, tiles) in [(plan.tile, longest / plan.tile), (longest % plan.tile, 1)] {
            if size == 0 || tiles == 0 {
                continue;
            }
            let block =
                if size == plan.tile { plan.full } else { TileCost::new(machine, computed, plan, size) };
            runs.push((cost.tile(&block, size, active), tiles));
            let all = tiles * active * repeat;
            spent.local += block.local * all;
            spent.mac_slots = spent.mac_slots.saturating_add(block.mac_slots.saturating_mul(all));
        }
        waves.push(Wave { runs, repeat, start: machine.work_item() });
    }
    let walked = u128::from(items) * u128::from(tokens) / u128::from(split);
    spent.shared = if machine.has_shared() {
        shape.row * u64::try_from(walked).unwrap_or(u64::MAX)
    } else {
        Bytes::ZERO
    };
    let latency = if shape.residence == Residence::Memory { machine.memory_latency() } else { Femtos::ZERO };
    let program = Program { latency, slots: plan.slots, lookahead: 0, launch: machine.launch(), waves };
    (program, spent)
}

/// What one work item moves.
struct Item<'a> {
    machine: &'a Machine,
    shape: &'a Shape,
    plan: &'a Plan,
    tokens: u64,
    split: u64,
    found: f64,
    /// Bytes of its query rows and of its results.
    beside: u64,
}

impl<'a> Item<'a> {
    fn new(
        machine: &'a Machine,
        shape: &'a Shape,
        plan: &'a Plan,
        (tokens, split): (u64, u64),
        found: f64,
    ) -> Self {
        let rows = plan.head_groups;
        let queries = shape.queries * shape.scores.macs().div_ceil(rows) * 2;
        // Parts leave fp32 sums behind.
        let results = shape.queries * shape.values.macs().div_ceil(rows) * if split > 1 { 4 } else { 2 };
        Self { machine, shape, plan, tokens, split, found, beside: queries + results }
    }

    /// A block of `size` tokens while `active` work items run side by side.
    fn tile(&self, block: &TileCost, size: u64, active: u64) -> Tile {
        let Self { machine, shape, plan, .. } = *self;
        let longest = self.tokens.div_ceil(self.split);
        let share = |bytes: u64| u128::from(active) * u128::from(bytes) * u128::from(size);
        // The parts of a sequence have its tokens between them, however the last one is cut.
        let rows = share(shape.row.0) * u128::from(self.tokens) / u128::from(self.split * longest);
        let beside = share(self.beside).div_ceil(u128::from(longest));
        let walkers = u128::from(plan.walkers());
        let at_memory = match shape.residence {
            Residence::Memory if machine.has_shared() => beyond(rows.div_ceil(walkers), self.found),
            Residence::Memory => beyond(rows, 0.0),
            Residence::OnChip => Bytes::ZERO,
        };
        let whole = |bytes: u128| Bytes(u64::try_from(bytes).unwrap_or(u64::MAX));
        let at_memory = at_memory + beyond(beside, self.found);
        let at_shared = if machine.has_shared() { whole(rows + beside) } else { Bytes::ZERO };
        let one = Bytes(shape.row.0 * size + (self.beside * size).div_ceil(longest));
        let mut tile = block.tile;
        // Work items on one core take turns at its units.
        tile.take_turns(active.div_ceil(machine.cores()));
        (tile.load, tile.load_cause) = machine.load(at_memory, at_shared, one);
        machine.expose(&mut tile);
        tile
    }
}
