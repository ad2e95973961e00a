//! A plan and a token split applied to a batch: a tile program, its bytes, and a bound that no run of it can beat.

use super::tile::reads;
use super::{Plan, Residence, Shape, TileCost};
use crate::mapping::deal::{Stretch, deal, parts};
use crate::mapping::machine::Machine;
use crate::mapping::program::{Program, Tile, Wave};
use crate::mapping::{Cause, Causes};
use crate::units::{Bytes, Femtos};
use crate::workload::Batch;

/// One way to run attention of one layer.
#[derive(Debug, Clone)]
pub struct Candidate<'a> {
    machine: &'a Machine,
    shape: &'a Shape,
    /// The plan.
    pub plan: &'a Plan,
    /// Parts that the longest sequence is split into.
    pub split: u64,
    /// No run takes less.
    pub bound: Femtos,
}

impl Plan {
    /// This plan with `split`; its bound costs no allocation.
    #[must_use]
    pub fn candidate<'a>(
        &'a self,
        machine: &'a Machine,
        shape: &'a Shape,
        batch: &Batch,
        split: u64,
    ) -> Candidate<'a> {
        Candidate { machine, shape, plan: self, split, bound: bound(machine, shape, self, batch, split) }
    }

    /// A bound on this plan under any split.
    #[must_use]
    pub fn bound(&self, machine: &Machine, shape: &Shape, batch: &Batch) -> Femtos {
        machine.launch() + transfer(machine, shape, self, batch.tokens())
    }
}

/// Time that the memories need for all rows of `tokens` tokens.
fn transfer(machine: &Machine, shape: &Shape, plan: &Plan, tokens: u64) -> Femtos {
    let (memory_reads, shared_reads) = reads(machine, shape, plan);
    let rows = Bytes(shape.row.0 * shape.groups * tokens);
    let memory = match shape.residence {
        Residence::Memory => machine.memory_time(rows * memory_reads),
        Residence::OnChip => Femtos::ZERO,
    };
    memory.max(machine.shared_time(rows * shared_reads))
}

fn bound(machine: &Machine, shape: &Shape, plan: &Plan, batch: &Batch, split: u64) -> Femtos {
    let longest = batch.longest();
    let split = split.min(longest);
    let tokens = batch.tokens();
    // Work items, and tokens on the busiest core: at least an even share, at least one whole item.
    let streams = shape.groups * plan.head_groups;
    let even = (tokens * streams).div_ceil(plan.lanes);
    let busiest = even.max(longest.div_ceil(split));
    let full_tiles = match batch.runs() {
        [(n, count)] => (count * streams * split).div_ceil(plan.lanes) * (n / split / plan.tile),
        _ => busiest / plan.tile,
    };
    let compute = Femtos(plan.full.busiest.0.saturating_mul(full_tiles));
    let moved = transfer(machine, shape, plan, tokens);
    let waves = match batch.runs() {
        [(_, count)] => (count * streams * split).div_ceil(plan.lanes),
        _ => (batch.sequences() * streams).div_ceil(plan.lanes),
    };
    let starts = if waves > 0 { machine.work_item() } else { Femtos::ZERO };
    let latency = if shape.residence == Residence::Memory { machine.latency } else { Femtos::ZERO };
    machine.launch() + starts + latency + moved.max(compute) + combine(machine, shape, batch, split).0
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
    let on_chip = machine.has_shared() && machine.stays_on_chip(one_way);
    let free = machine.spec.free_activations;
    let (memory, shared) = if free || (!machine.has_shared() && machine.spec.hbm.is_none()) {
        (Bytes::ZERO, Bytes::ZERO)
    } else if on_chip {
        (Bytes::ZERO, one_way * 2)
    } else {
        (one_way * 2, Bytes::ZERO)
    };
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
        let streams = shape.groups * plan.head_groups;
        let dealt = deal(batch, streams, split, plan.lanes, plan.tile);
        let (memory_reads, shared_reads) = reads(machine, shape, plan);
        let rows = Bytes(shape.row.0 * shape.groups * batch.tokens());
        let mut spent = Spent {
            reread: if shape.residence == Residence::Memory {
                rows * (memory_reads - 1)
            } else {
                Bytes::ZERO
            },
            shared: rows * shared_reads,
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
                spent.mac_slots += cost.mac_slots * cores;
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
            TileCost::new(self.machine, self.shape, self.plan, stretch.tile_tokens)
        }
    }
}
