//! Plans for products of activations with weights: output columns dealt to cores, the reduction streamed tile by tile, long inputs in
//! blocks of rows, narrow outputs with a split reduction.
//!
//! Weights come from the outermost memory once, whatever the plan: cores that need the same slice for different rows take it from the
//! shared SRAM at the same time, or, without one, hold it while the rows pass.

use super::machine::Machine;
use super::pass::{Forms, Pass};
use super::program::{ArrayStage, MAX_SLOTS, Program, Tile, Wave};
use super::{Cause, Causes};
use crate::hardware::mac_array::{MacArray, Product, Stationary};
use crate::units::{Bytes, Dtype, Femtos, round_up};

/// A product to be mapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shape {
    /// (m×k)·(k×n), `repeats` of them, each with weights and input of its own.
    pub product: Product,
    /// Bytes of all weights, biases and norms included.
    pub weights: Bytes,
    /// Bytes of the input; of kept rows where those are the left operand.
    pub input: Bytes,
    /// Bytes of the output.
    pub output: Bytes,
    /// Operand type.
    pub dtype: Dtype,
    /// Bytes of input that come from the outermost memory whatever fits on chip (kept rows).
    pub input_from_memory: Bytes,
    /// Whether the weights' first tiles may have been requested before the operator starts.
    pub prefetched: bool,
    /// What the product is a pass over kept rows for, which then stand where weights stand.
    pub pass: Option<Pass>,
}

/// One way to run a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// The outline that it comes from.
    pub outline: Outline,
    /// Output columns of a work item.
    pub columns: u64,
    /// Rows of a work item.
    pub rows: u64,
    /// Parts of the reduction.
    pub split: u64,
    /// Reduction length of a tile.
    pub depth: u64,
    /// Tile slots.
    pub slots: usize,
    /// Operand held by the array.
    pub held: Stationary,
    /// No run takes less.
    pub bound: Femtos,
    /// Cost of a full tile.
    full: TileCost,
}

/// What a tile of a product costs one core.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct TileCost {
    /// Vector work on kept rows before the product.
    before: Femtos,
    stage: ArrayStage,
    /// Vector work on scores behind it.
    behind: Femtos,
    sram: Femtos,
    mac_slots: u64,
    local: Bytes,
    /// Bytes that the tile loads into a core.
    loaded: Bytes,
}

/// Bytes of weights and of rows.
#[derive(Debug, Clone, Copy, Default)]
struct Moved {
    weights: Bytes,
    rows: Bytes,
}

impl Moved {
    fn total(self) -> Bytes {
        self.weights + self.rows
    }
}

/// What a plan moves, over all cores.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spent {
    /// Activation bytes at the outermost memory.
    pub activations: Bytes,
    /// Kept rows of a pass that are read there beyond once.
    pub reread: Bytes,
    /// Partial sums at the outermost memory.
    pub exchange: Bytes,
    /// Bytes at the shared SRAM.
    pub shared: Bytes,
    /// Bytes at the local SRAMs.
    pub local: Bytes,
    /// Multiply–accumulate slots.
    pub mac_slots: u64,
}

/// Columns of a work item that are tried: four sizes an octave. They do not depend on the number of cores, so that more cores
/// never leave a machine without the plan that served fewer.
fn widths(columns: u64) -> impl Iterator<Item = u64> {
    let sizes = (4..columns.max(16).ilog2() + 1)
        .flat_map(|octave| (4..8).map(move |quarter| quarter << (octave - 2)));
    sizes.filter(move |&w| w < columns).chain(std::iter::once(columns))
}

/// The same for `shape`. Of a pass over kept rows, whose sequences have any number of tokens, an item has columns of one sequence or
/// of several whole ones, so that a token more in each never serves it better.
fn columns_of_items(shape: &Shape) -> Vec<u64> {
    let n = shape.product.n;
    let whole = |w: u64| if shape.pass.is_some() && w > n { w - w % n } else { w };
    let one = shape.pass.map(|_| n).into_iter();
    let mut columns: Vec<u64> = one.chain(widths(shape.all_columns()).map(whole)).collect();
    columns.sort_unstable();
    columns.dedup();
    columns
}

/// Rows of a work item that are tried where there are more.
const ROWS: [u64; 7] = [16, 64, 128, 256, 512, 1024, 4096];
/// Splits of the reduction that are tried.
const SPLITS: [u64; 5] = [1, 2, 4, 8, 16];
/// Sizes of a tile that are tried, in bytes of weights and input: long bursts, or more of them in flight.
const TILE_BYTES: [u64; 4] = [4 << 10, 16 << 10, 64 << 10, 256 << 10];

impl Shape {
    /// Columns of all repeats.
    const fn all_columns(&self) -> u64 {
        self.product.repeats * self.product.n
    }

    /// Bytes of one input element, at least one.
    const fn input_element_bytes(&self) -> u64 {
        let elements = self.product.repeats * self.product.m * self.product.k;
        if elements == 0 { 1 } else { self.input.0.div_ceil(elements) }
    }

    /// Latency of the first tile, where it has not been requested before.
    fn latency(&self, machine: &Machine) -> Femtos {
        let on_chip = self.pass.is_some_and(|p| p.on_chip);
        if self.prefetched || on_chip { Femtos::ZERO } else { machine.latency }
    }

    /// Activation bytes that go through the outermost memory: all that do not stay on chip between operators.
    #[must_use]
    pub fn activations_at_memory(&self, machine: &Machine) -> Bytes {
        if machine.stays_on_chip(self.input + self.output) {
            return Bytes::ZERO;
        }
        self.input + self.output
    }
}

/// A plan without its tile size: enough for a first bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Outline {
    /// No plan with this outline takes less.
    pub bound: Femtos,
    columns: u64,
    rows: u64,
    split: u64,
    held: Stationary,
}

/// Every outline that `machine` admits and whose bound is at most `to_beat`, the lowest bound first.
#[must_use]
pub fn outlines(machine: &Machine, shape: &Shape, to_beat: Femtos) -> Vec<Outline> {
    let m = shape.product.m;
    if one_item_is_all(machine) {
        let columns = shape.all_columns();
        return vec![Outline { bound: Femtos::ZERO, columns, rows: m, split: 1, held: Stationary::Right }];
    }
    let common = Common::new(machine, shape);
    let mut outlines = Vec::with_capacity(64);
    for columns in columns_of_items(shape) {
        for rows in ROWS.into_iter().filter(|&r| r < m).chain(std::iter::once(m)) {
            for split in SPLITS {
                for &held in machine.spec.cores.mac_array.orientations() {
                    let outline = Outline { bound: Femtos::ZERO, columns, rows, split, held };
                    outlines.extend(outline.bounded(machine, shape, &common).filter(|o| o.bound <= to_beat));
                }
            }
        }
    }
    outlines.sort_unstable();
    outlines
}

/// Whether there is one core with nothing to run out of, so that a product is one work item.
fn one_item_is_all(machine: &Machine) -> bool {
    machine.cores() == 1 && machine.spec.cores.accumulators.is_none() && nothing_on_chip_costs(machine)
}

/// What the bounds of all outlines of a product have in common.
struct Common {
    /// Launch and latency.
    base: Femtos,
    /// Starting a wave.
    start: Femtos,
    /// Weights and kept rows from memory.
    moved: Femtos,
}

impl Common {
    fn new(machine: &Machine, shape: &Shape) -> Self {
        Self {
            base: machine.launch() + shape.latency(machine),
            start: machine.work_item(),
            moved: machine.memory_time(shape.weights + shape.input_from_memory),
        }
    }
}

impl Outline {
    /// This outline on `machine`, with its bound there; `None` where the machine does not admit it.
    #[must_use]
    pub fn on(self, machine: &Machine, shape: &Shape) -> Option<Self> {
        self.bounded(machine, shape, &Common::new(machine, shape))
    }

    fn bounded(self, machine: &Machine, shape: &Shape, common: &Common) -> Option<Self> {
        let Self { columns, rows, split, .. } = self;
        if machine.spec.cores.accumulators.is_some_and(|a| rows * columns * 4 > a.0) {
            return None;
        }
        let items = shape.all_columns().div_ceil(columns) * shape.product.m.div_ceil(rows);
        if split > 1 && (items * split > 2 * machine.cores() || shape.product.k / split < 64) {
            return None;
        }
        if one_item_is_all(machine) && (items > 1 || split > 1) {
            return None;
        }
        Some(Self { bound: self.lower_bound(machine, shape, common), ..self })
    }

    /// The array's least busy time, or the time of all bytes and wave starts and what follows the last byte: its latency, and the
    /// least that a tile takes on the array.
    fn lower_bound(&self, machine: &Machine, shape: &Shape, common: &Common) -> Femtos {
        let product = shape.product;
        let n = self.columns.min(product.n);
        let item =
            Product { repeats: self.columns.div_ceil(n), m: self.rows, k: product.k.div_ceil(self.split), n };
        let busy = machine.spec.cores.mac_array.least_cycles(item, self.held, shape.dtype);
        let waves = self.items(shape).div_ceil(machine.cores());
        let compute = if busy.0 == 0 { Femtos::ZERO } else { machine.spec.clock.time(busy) * waves };
        let least = machine.array(Product { k: 1, ..item }, self.held, shape.dtype);
        let last = machine.spec.clock.time(least.stream + least.fill);
        let moved = if shape.pass.is_some() { self.moved(machine, shape) } else { common.moved };
        common.base + (moved + common.start * waves + last).max(common.start + compute)
    }

    /// Time of all bytes at the memory or the shared SRAM.
    fn moved(&self, machine: &Machine, shape: &Shape) -> Femtos {
        machine
            .memory_time(self.memory_bytes(machine, shape).0.total())
            .max(machine.shared_time(self.shared_bytes(machine, shape).total()))
    }

    const fn items(&self, shape: &Shape) -> u64 {
        shape.all_columns().div_ceil(self.columns) * shape.product.m.div_ceil(self.rows) * self.split
    }

    /// Blocks of rows, and slices of the columns of one repeat.
    const fn blocks(&self, shape: &Shape) -> (u64, u64) {
        let n = shape.product.n;
        let columns = if self.columns < n { self.columns } else { n };
        (shape.product.m.div_ceil(self.rows), n.div_ceil(columns))
    }

    /// Bytes at the shared SRAM: of weights, of rows (input and output).
    fn shared_bytes(&self, machine: &Machine, shape: &Shape) -> Moved {
        if !machine.has_shared() {
            return Moved::default();
        }
        let (blocks, slices) = self.blocks(shape);
        // A multicast to the four cores of a 2×2 arrangement serves two row blocks with each weight and two column slices with each input.
        let pairs = machine.spec.cores.cluster.is_some_and(|c| c.multicast && c.max_size >= 4);
        let times = |parts: u64| if pairs { parts.div_ceil(2) } else { parts };
        let reads = times(slices);
        let reads = shape.pass.map_or(reads, |pass| pass.input_reads(reads));
        Moved {
            weights: shape.weights * times(blocks),
            rows: Bytes(shape.input.0.saturating_mul(reads)) + shape.output,
        }
    }

    /// Bytes at the memory: weights once; of rows the kept ones once, and activations where they do not stay on chip (again for every
    /// slice of columns on a machine without shared SRAM whose cores cannot hold them). Returns the activations too.
    fn memory_bytes(&self, machine: &Machine, shape: &Shape) -> (Moved, Bytes) {
        let (blocks, slices) = self.blocks(shape);
        if let Some(pass) = shape.pass {
            let at = pass.at_memory(machine, shape, (blocks, slices), self.items(shape));
            return (Moved { weights: at.rows, rows: at.others }, at.others);
        }
        let mut activations = shape.activations_at_memory(machine);
        if activations.0 > 0 && !machine.has_shared() && machine.spec.hbm.is_some() {
            activations = Bytes(shape.input.0.saturating_mul(slices)) + shape.output;
        }
        if shape.input_from_memory.0 > 0 {
            // The input is counted as kept rows.
            activations = Bytes::ZERO;
        }
        (Moved { weights: shape.weights, rows: shape.input_from_memory + activations }, activations)
    }

    /// The plans with this outline that fit a core, smallest tile first; tiles of equal depth once.
    pub fn plans(self, machine: &Machine, shape: &Shape) -> impl Iterator<Item = Plan> {
        let mut last = None;
        TILE_BYTES.into_iter().filter_map(move |bytes| {
            let plan = plan(machine, shape, self, bytes)?;
            (last.replace(plan.depth) != Some(plan.depth)).then_some(plan)
        })
    }
}

/// Whether a tile costs a core nothing but its load, so that there is nothing for the load to overlap with.
fn nothing_on_chip_costs(machine: &Machine) -> bool {
    let cores = &machine.spec.cores;
    cores.sram.capacity.is_none() && machine.local.is_none() && matches!(cores.mac_array, MacArray::Ideal)
}

/// The plan with this outline and tiles of about `tile_bytes`, if a tile fits a core.
fn plan(machine: &Machine, shape: &Shape, outline: Outline, tile_bytes: u64) -> Option<Plan> {
    let Outline { columns, rows, split, held, .. } = outline;
    let product = shape.product;
    let rows = rows.clamp(1, product.m);
    let reduction = product.k.div_ceil(split);
    let repeats = columns.div_ceil(product.n).max(1);
    let bytes_per_step = shape.dtype.bytes(columns).0 + shape.input_element_bytes() * rows * repeats;
    // A whole number of the array's reduction steps.
    let step = machine.spec.cores.mac_array.reduction_step();
    let wanted = tile_bytes.div_ceil(shape.dtype.bytes(columns).0.max(1));
    let wanted =
        if shape.pass.is_some() { (wanted - wanted % step).max(step) } else { round_up(wanted, step) };
    let wanted = wanted.min(reduction);
    let (depth, slots) = match machine.spec.cores.sram.capacity {
        None if machine.latency.0 == 0 && nothing_on_chip_costs(machine) => (reduction, MAX_SLOTS),
        None => (wanted, MAX_SLOTS),
        Some(capacity) => {
            let accumulators = if machine.spec.cores.accumulators.is_none() { 4 * rows * columns } else { 0 };
            // Rotated rows of a tile live beside the raw ones.
            let rotated = if shape.pass.is_some_and(|p| p.before > 0) {
                shape.dtype.bytes(columns * wanted).0
            } else {
                0
            };
            let room = capacity.0.saturating_sub(accumulators + rotated);
            let slots = (room / (wanted * bytes_per_step)).min(MAX_SLOTS as u64);
            let slots = machine.spec.cores.sram.banks.map_or(slots, |b| slots.min(b));
            if slots == 0 {
                return None;
            }
            (wanted, slots as usize)
        }
    };
    let mut plan = Plan {
        outline,
        columns,
        rows,
        split,
        depth,
        slots,
        held,
        bound: Femtos::ZERO,
        full: TileCost::default(),
    };
    plan.full = plan.tile_cost(machine, shape, depth);
    plan.bound = plan.lower_bound(machine, shape);
    Some(plan)
}

impl Plan {
    fn items(&self, shape: &Shape) -> u64 {
        self.outline.items(shape)
    }

    fn reduction(&self, shape: &Shape) -> u64 {
        shape.product.k.div_ceil(self.split)
    }

    /// The cost of a tile of `depth`.
    fn tile_cost(&self, machine: &Machine, shape: &Shape, depth: u64) -> TileCost {
        // An item that spans several repeats (heads) runs them one after the other.
        let n = self.columns.min(shape.product.n);
        let repeats = self.columns.div_ceil(n);
        let work = machine.array(Product { repeats, m: self.rows, k: depth, n }, self.held, shape.dtype);
        let loaded = shape.dtype.bytes(self.columns * depth).0
            + shape.input_element_bytes() * self.rows * depth * repeats;
        let accumulators =
            if machine.spec.cores.accumulators.is_none() { 2 * 4 * self.rows * self.columns } else { 0 };
        let local = 2 * loaded + accumulators;
        let mut cost = TileCost {
            stage: machine.stage(&work, false),
            mac_slots: work.mac_slots,
            loaded: Bytes(loaded),
            ..TileCost::default()
        };
        let local = match shape.pass {
            Some(pass) => self.pass_over(pass, machine, shape, depth, &mut cost, local),
            None => local,
        };
        cost.local = Bytes(local);
        cost.sram = machine.local_time(cost.local);
        cost
    }

    /// Adds to the cost of a tile of `depth` what a pass over kept rows does beside the product; returns its bytes at the local SRAM, `local`
    /// of them the product's. An item's softmax is spread evenly over its tiles.
    fn pass_over(
        &self,
        pass: Pass,
        machine: &Machine,
        shape: &Shape,
        depth: u64,
        cost: &mut TileCost,
        local: u64,
    ) -> u64 {
        let part = u128::from(self.columns) * u128::from(depth);
        let of = u128::from(shape.all_columns()) * u128::from(shape.product.k);
        let outputs = u128::from(self.rows * self.columns) * u128::from(depth);
        let outputs = outputs.div_ceil(u128::from(shape.product.k)) as u64;
        (cost.before, cost.behind) = pass.vector(machine, (part, of), outputs);
        cost.stage.preload_waits = pass.before > 0 && self.held == Stationary::Right;
        // Rows are written and read again where they are rotated; probabilities are written and leave.
        let rotated = if pass.before > 0 { 2 * shape.dtype.bytes(self.columns * depth).0 } else { 0 };
        local + rotated + 2 * pass.written(outputs)
    }

    fn lower_bound(&self, machine: &Machine, shape: &Shape) -> Femtos {
        let waves = self.items(shape).div_ceil(machine.cores());
        let tiles = waves * (self.reduction(shape) / self.depth);
        let TileCost { stage, sram, before, behind, .. } = self.full;
        let busiest = stage.stream.max(stage.preload).max(sram).max(before + behind);
        let moved = self.outline.moved(machine, shape);
        machine.launch()
            + shape.latency(machine)
            + machine.work_item()
            + moved.max(Femtos(busiest.0.saturating_mul(tiles)))
    }

    /// The tile program of one core and what follows it (partial sums of a split reduction), with what all cores spend.
    #[must_use]
    pub fn program(&self, machine: &Machine, shape: &Shape) -> (Program, Causes, Spent) {
        let items = self.items(shape);
        let waves = items.div_ceil(machine.cores());
        let (low, full) = (items / waves, items % waves);
        let reduction = self.reduction(shape);
        let (whole, rest) = (reduction / self.depth, reduction % self.depth);
        let (memory, activations) = self.outline.memory_bytes(machine, shape);
        let shared = self.outline.shared_bytes(machine, shape);
        // Items share the weights evenly. Of rows, an item moves those of a full block, also where the last block has fewer: more rows
        // never make an item lighter.
        let slices = u128::from(shape.all_columns().div_ceil(self.columns) * self.split);
        let share = |moved: Moved, active: u64, depth: u64| {
            let part = u128::from(active) * u128::from(depth);
            let weights =
                (u128::from(moved.weights.0) * part).div_ceil(u128::from(items) * u128::from(reduction));
            let rows = (u128::from(moved.rows.0) * part * u128::from(self.rows))
                .div_ceil(slices * u128::from(reduction) * u128::from(shape.product.m));
            Bytes((weights + rows) as u64)
        };
        let tile = |active: u64, depth: u64, cost: &TileCost| {
            let (load, load_cause) =
                machine.load(share(memory, active, depth), share(shared, active, depth), cost.loaded);
            let TileCost { before, stage, behind, sram, .. } = *cost;
            let mut tile =
                Tile { load, load_cause, rotate: before, softmax: behind, sram, ..Tile::default() };
            match shape.pass.map(|p| p.forms) {
                Some(Forms::Probabilities) => tile.scores = stage,
                Some(Forms::Sums) | None => tile.values = stage,
            }
            machine.expose(&mut tile);
            tile
        };
        let tail = (rest > 0).then(|| self.tile_cost(machine, shape, rest));
        let wave = |active: u64, repeat: u64| {
            let mut runs = Vec::with_capacity(2);
            if whole > 0 {
                runs.push((tile(active, self.depth, &self.full), whole));
            }
            if let Some(t) = &tail {
                runs.push((tile(active, rest, t), 1));
            }
            Wave { runs, repeat, start: machine.work_item() }
        };
        let mut program_waves = Vec::with_capacity(2);
        if full > 0 {
            program_waves.push(wave(low + 1, full));
        }
        program_waves.push(wave(low, waves - full));
        let tail = tail.unwrap_or_default();
        let (after, exchange_memory, exchange_shared) = self.after(machine, shape);
        let spent = Spent {
            activations,
            reread: if shape.pass.is_some() {
                memory.weights.saturating_sub(shape.weights)
            } else {
                Bytes::ZERO
            },
            exchange: exchange_memory,
            shared: shared.total() + exchange_shared,
            local: (self.full.local * whole + tail.local) * items,
            mac_slots: self
                .full
                .mac_slots
                .saturating_mul(whole)
                .saturating_add(tail.mac_slots)
                .saturating_mul(items),
        };
        let program = Program {
            latency: shape.latency(machine),
            slots: self.slots,
            lookahead: 0,
            launch: machine.launch(),
            waves: program_waves,
        };
        (program, after, spent)
    }

    /// Summing the partial results of a split reduction.
    fn after(&self, machine: &Machine, shape: &Shape) -> (Causes, Bytes, Bytes) {
        if self.split == 1 {
            return (Causes::default(), Bytes::ZERO, Bytes::ZERO);
        }
        let numbers = shape.product.repeats * shape.product.m * shape.product.n * self.split;
        let (memory, shared) = machine.there_and_back(Bytes(4 * numbers));
        let mut causes =
            Causes::of(Cause::Exchange, machine.memory_time(memory) + machine.shared_time(shared));
        causes += Causes::of(Cause::Overhead, machine.barrier());
        causes += Causes::of(Cause::Vector, machine.vector_time_all(numbers, 0));
        if memory.0 > 0 {
            causes += Causes::of(Cause::Latency, machine.latency * 2);
        }
        (causes, memory, shared)
    }
}
