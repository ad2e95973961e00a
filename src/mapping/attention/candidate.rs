//! A plan and a token split applied to a batch: a tile program, its bytes, and a bound that no run of it can beat.

use super::tile::reads;
use super::{Plan, Residence, Shape, TILES, TileCost};
use crate::mapping::deal::{Cut, Stretch, busiest, deal, parts};
use crate::mapping::machine::Machine;
use crate::mapping::program::{Program, Tile, Wave};
use crate::mapping::{Cause, Causes};
use crate::units::{Bytes, Femtos};
use crate::workload::Batch;

/// One way to run attention of one layer: a plan, and the parts that the longest sequence is split into.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    machine: &'a Machine,
    shape: &'a Shape,
    /// What is computed: the shape, or more where a kernel pads it.
    computed: &'a Shape,
    /// The plan.
    pub plan: &'a Plan,
    /// Token split.
    pub split: u64,
}

/// What decides how a ragged batch is dealt, beside the batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dealing {
    cut: Cut,
    lanes: u64,
}

impl Dealing {
    /// How `plan` deals with `split`; plans that differ in their tiles alone deal alike.
    #[must_use]
    pub const fn of(plan: &Plan, shape: &Shape, split: u64) -> Self {
        Self {
            cut: Cut { streams: plan.streams(shape), fused: plan.fused, split, tile: TILES[0] },
            lanes: plan.lanes,
        }
    }

    /// Tokens on the busiest core.
    #[must_use]
    pub fn busiest(&self, batch: &Batch) -> u64 {
        busiest(batch, self.cut, self.lanes)
    }
}

impl<'a> Candidate<'a> {
    /// `plan` with `split` on `machine`.
    #[must_use]
    pub const fn new(machine: &'a Machine, shape: &'a Shape, plan: &'a Plan, split: u64) -> Self {
        Self { machine, shape, computed: shape, plan, split }
    }

    /// The same where tiles compute what `computed` has.
    #[must_use]
    pub const fn computing(self, computed: &'a Shape) -> Self {
        Self { computed, ..self }
    }

    /// Times that each row is read from memory.
    #[must_use]
    pub fn memory_reads(&self) -> u64 {
        reads(self.machine, self.shape, self.plan).0.max(1)
    }
}

/// Bounds of one plan over a batch under any split, without what follows a split: cheap enough to try every one.
#[derive(Debug, Clone, Copy)]
pub struct PlanBound {
    base: Femtos,
    start: Femtos,
    moved: Femtos,
    busiest: Femtos,
    tile: u64,
    lanes: u64,
    /// Work items of an unsplit sequence.
    items: u64,
    /// Streams in each.
    fused: u64,
    longest: u64,
    /// Sequences where all are equal.
    uniform: Option<u64>,
    sequences: u64,
    tokens: u64,
}

impl PlanBound {
    /// The bounds of `plan`.
    #[must_use]
    pub fn new(machine: &Machine, shape: &Shape, plan: &Plan, batch: &Batch) -> Self {
        let from_memory = shape.residence == Residence::Memory;
        let latency = if from_memory { machine.latency } else { Femtos::ZERO };
        let least_memory = Bytes(u64::from(from_memory));
        let one_tile = Bytes(shape.columns(shape.row.0, plan.cluster) * plan.tile);
        let tokens = batch.tokens();
        Self {
            base: machine.launch() + latency,
            start: machine.work_item(),
            moved: transfer(machine, shape, plan, tokens),
            // A core's own limit holds for every tile, however many cores are active.
            busiest: plan.full.busiest.max(machine.load(least_memory, Bytes::ZERO, one_tile).0),
            tile: plan.tile,
            lanes: plan.lanes,
            items: plan.streams(shape) / plan.fused,
            fused: plan.fused,
            longest: batch.longest(),
            uniform: if batch.runs().len() == 1 { Some(batch.sequences()) } else { None },
            sequences: batch.sequences(),
            tokens,
        }
    }

    /// No run of the plan with `split` takes less, what follows the split aside: loads and wave starts one after the other, or the
    /// busiest unit of the busiest core.
    #[must_use]
    pub fn with(&self, split: u64) -> Femtos {
        let tiles = match self.uniform {
            Some(_) => self.waves(split) * (self.longest / split / self.tile) * self.fused,
            None => {
                let even = (self.tokens * self.items * self.fused).div_ceil(self.lanes);
                even.max(self.longest.div_ceil(split) * self.fused) / self.tile
            }
        };
        let compute = Femtos(self.busiest.0.saturating_mul(tiles));
        self.loads_with(split).max(self.base + self.start + compute)
    }

    /// The same where the busiest core is known to have `tokens` tokens.
    #[must_use]
    pub fn with_busiest(&self, split: u64, tokens: u64) -> Femtos {
        let compute = Femtos(self.busiest.0.saturating_mul(tokens / self.tile));
        self.loads_with(split).max(self.base + self.start + compute)
    }

    /// The part of the bound that the loads make; it never falls as the split grows.
    #[must_use]
    pub fn loads_with(&self, split: u64) -> Femtos {
        self.base + self.start * self.waves(split) + self.moved
    }

    /// Waves of work items, at least.
    const fn waves(&self, split: u64) -> u64 {
        match self.uniform {
            Some(count) => (count * self.items * split).div_ceil(self.lanes),
            // Shorter sequences are split into parts in proportion.
            None => {
                let parts = (split * self.tokens).div_ceil(self.longest);
                let items = if parts > self.sequences { parts } else { self.sequences };
                (items * self.items).div_ceil(self.lanes)
            }
        }
    }
}

/// Bytes of all rows of `tokens` tokens that are loaded, once, where `choosing` query rows choose what to skip: rounded down, so that it
/// can bound.
fn all_rows(shape: &Shape, tokens: u64, choosing: u64) -> Bytes {
    let (bytes, unit) = shape.loaded(tokens * shape.groups, choosing);
    Bytes((bytes / u128::from(unit)) as u64)
}

/// Time that the memories need for all rows of `tokens` tokens.
fn transfer(machine: &Machine, shape: &Shape, plan: &Plan, tokens: u64) -> Femtos {
    let (memory_reads, shared_reads) = reads(machine, shape, plan);
    let memory = match shape.residence {
        Residence::Memory => {
            machine.memory_time(all_rows(shape, tokens, plan.choosing(machine, shape)) * memory_reads)
        }
        Residence::OnChip => Femtos::ZERO,
    };
    let here = all_rows(shape, tokens, shape.values.heads * plan.queries_here(shape));
    memory.max(machine.shared_time(here * shared_reads))
}

/// What follows a token split: every head's partial sums, maximum and denominator are written and read back, 2·S·h·(width + 2)·4 bytes
/// a query, at the shared SRAM or, beyond it, at the memory. Returns its time, the time by cause, bytes at the memory and bytes at the
/// shared SRAM.
#[must_use]
pub fn combine(
    machine: &Machine,
    shape: &Shape,
    batch: &Batch,
    split: u64,
) -> (Femtos, Causes, Bytes, Bytes) {
    if split <= 1 {
        return (Femtos::ZERO, Causes::default(), Bytes::ZERO, Bytes::ZERO);
    }
    let longest = batch.longest();
    let partials: u64 = batch
        .runs()
        .iter()
        .map(|&(n, count)| {
            let parts = parts(split, n, longest);
            if parts > 1 { parts * count } else { 0 }
        })
        .sum();
    let numbers = partials * shape.queries * (shape.result_width() + 2 * shape.groups * shape.heads());
    let one_way = Bytes(numbers * 4);
    let (memory, shared) = machine.there_and_back(one_way);
    let exchange = machine.memory_time(memory) + machine.shared_time(shared);
    let latency = if memory.0 > 0 { machine.latency * 2 } else { Femtos::ZERO };
    // Each partial number is scaled and summed.
    let vector =
        machine.vector_time_all(2 * numbers, partials * shape.queries * shape.groups * shape.heads());
    let mut causes = Causes::of(Cause::Exchange, exchange);
    causes += Causes::of(Cause::Latency, latency);
    causes += Causes::of(Cause::Overhead, machine.barrier());
    causes += Causes::of(Cause::Vector, vector);
    (causes.total(), causes, memory, shared)
}

/// Bytes and slots of a candidate, over all cores.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spent {
    /// Rows read from the outermost memory beyond once.
    pub reread: Bytes,
    /// Bytes at the shared SRAM.
    pub shared: Bytes,
    /// Bytes at the local SRAMs.
    pub local: Bytes,
    /// Multiply–accumulate slots.
    pub mac_slots: u64,
}

impl Candidate<'_> {
    /// The tile program of one lane, with `lookahead` tiles scored ahead, and what all lanes spend.
    #[must_use]
    pub fn program(&self, batch: &Batch) -> (Program, Spent) {
        let Self { machine, shape, plan, split, .. } = *self;
        let cut = Cut { streams: plan.streams(shape), fused: plan.fused, split, tile: plan.tile };
        let dealt = deal(batch, cut, plan.lanes);
        let (memory_reads, shared_reads) = reads(machine, shape, plan);
        let rows = |choosing| all_rows(shape, batch.tokens(), choosing);
        let mut spent = Spent {
            reread: if shape.residence == Residence::Memory {
                // Once is what all query rows together need.
                let all = rows(plan.choosing(machine, shape)) * memory_reads;
                all.saturating_sub(rows(shape.values.heads * shape.queries))
            } else {
                Bytes::ZERO
            },
            shared: rows(shape.values.heads * plan.queries_here(shape)) * shared_reads,
            ..Spent::default()
        };
        let mut waves = Vec::with_capacity(dealt.len());
        for wave in &dealt {
            let mut runs: Vec<(Tile, u64)> = Vec::with_capacity(wave.stretches.len());
            for s in &wave.stretches {
                let cost = self.cost(s);
                runs.push((cost.loaded(machine, shape, plan, s.tile_tokens, s.moved), s.tiles));
                // Active lanes, each with its cores: what they move over what one of them moves.
                let lanes = s.moved.tokens.div_ceil(s.moved.over * s.tile_tokens);
                let cores = lanes * plan.cluster * s.tiles * wave.repeat;
                spent.local += cost.local * cores;
                spent.mac_slots = spent.mac_slots.saturating_add(cost.mac_slots.saturating_mul(cores));
            }
            waves.push(Wave { runs, repeat: wave.repeat, start: machine.work_item() * wave.starts });
        }
        let latency = if shape.residence == Residence::Memory { machine.latency } else { Femtos::ZERO };
        let program = Program { latency, slots: plan.slots, lookahead: 0, launch: machine.launch(), waves };
        (program, spent)
    }

    fn cost(&self, stretch: &Stretch) -> TileCost {
        if stretch.tile_tokens == self.plan.tile {
            self.plan.full
        } else {
            TileCost::new(self.machine, self.computed, self.plan, stretch.tile_tokens)
        }
    }
}
