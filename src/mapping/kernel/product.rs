//! Rows of activations times a weight matrix under a kernel's policy.

use super::{beyond, rounds};
use crate::hardware::kernel::{Policy, Tiling};
use crate::hardware::mac_array::{ArrayWork, Product};
use crate::mapping::machine::Machine;
use crate::mapping::product::{Shape, Spent};
use crate::mapping::program::{MAX_SLOTS, Program, Tile, Wave};
use crate::units::{Bytes, Femtos};

/// Row blocks that libraries have kernels for.
const ROWS: [u64; 3] = [64, 128, 256];
/// Column blocks.
const COLUMNS: [u64; 12] = [16, 32, 48, 64, 80, 96, 112, 128, 160, 192, 224, 256];

/// Output blocks that a library may choose from for `product`: the policy's own, else row blocks up to the first that holds all rows.
pub fn tilings(policy: &Policy, product: Product) -> impl Iterator<Item = Tiling> {
    let m = product.m;
    let enough = move |rows: u64| rows == ROWS[0] || rows / 2 < m;
    let all = ROWS.into_iter().take_while(move |&r| enough(r));
    let all = all.flat_map(|rows| COLUMNS.into_iter().map(move |columns| Tiling { rows, columns }));
    let own = policy.tiling;
    let chosen = own.into_iter().chain(all.filter(move |_| own.is_none()));
    chosen.map(move |t| Tiling { rows: t.rows.min(m), ..t })
}

/// A product, laid out.
#[derive(Debug, Clone, PartialEq)]
pub struct ProductLayout {
    /// What one place for work items runs.
    pub program: Program,
    /// Waiting for each other's partial sums, where the reduction is split.
    pub behind: Femtos,
    /// What all places spend.
    pub spent: Spent,
}

/// What a tiling makes of a product on a machine.
struct Cut {
    /// Work items.
    items: u64,
    /// Parts of the reduction.
    split: u64,
    /// Elements of the reduction in the longest part.
    part: u64,
    /// Places for work items.
    lanes: u64,
    /// Columns of an item that exist.
    columns: u64,
}

impl Cut {
    fn new(machine: &Machine, policy: &Policy, product: Product, tiling: Tiling) -> Self {
        let Product { repeats, m, k, n } = product;
        let lanes = machine.cores() * policy.items_per_core;
        let blocks = repeats * m.div_ceil(tiling.rows) * n.div_ceil(tiling.columns);
        let split = policy.parts(blocks, k, lanes);
        Self { items: blocks * split, split, part: k.div_ceil(split), lanes, columns: tiling.columns.min(n) }
    }
}

/// No layout with `tiling` takes less: the rounds' starts, or the array's work in them.
#[must_use]
pub fn product_bound(machine: &Machine, policy: &Policy, shape: &Shape, tiling: Tiling) -> Femtos {
    let cut = Cut::new(machine, policy, shape.product, tiling);
    let rounds = cut.items.div_ceil(cut.lanes);
    let piece = Product { repeats: 1, m: tiling.rows, k: cut.part, n: cut.columns };
    let work = machine.stage(&least(machine, piece, shape), false);
    let full =
        (cut.items / cut.lanes) * policy.items_per_core + u64::from(!cut.items.is_multiple_of(cut.lanes));
    // Starts behind the first may hide behind the array's work.
    let starts = machine.work_item() * (rounds - 1);
    machine.launch() + machine.work_item() + starts.max(work.stream.max(work.preload) * full)
}

/// Lays a product out; of the weights, the part `found` comes from the shared SRAM. `None` where a tile does not fit.
#[must_use]
pub fn product(
    machine: &Machine,
    policy: &Policy,
    shape: &Shape,
    tiling: Tiling,
    found: f64,
) -> Option<ProductLayout> {
    let Product { repeats, m, k, n } = shape.product;
    let Cut { items, split, part: a_part, lanes, columns } = Cut::new(machine, policy, shape.product, tiling);
    let depth = policy.block.min(k);
    // A multicast to the four cores of a 2×2 arrangement serves two row blocks with each weight and two column blocks with each input.
    let pairs = machine.spec.cores.cluster.is_some_and(|c| c.multicast && c.max_size >= 4);
    let reads_saved = |blocks: u64| if pairs && blocks > 1 { 2u64 } else { 1 };
    // Bytes of weights and input that an item takes for its whole part.
    let elements = u128::from(repeats) * u128::from(k) * u128::from(n);
    let weights = u128::from(shape.weights.0) * u128::from(columns) * u128::from(a_part) / elements.max(1);
    let inputs = u128::from(shape.input.0) * u128::from(tiling.rows) * u128::from(a_part)
        / (u128::from(repeats) * u128::from(m) * u128::from(k)).max(1);
    let outputs = u128::from(tiling.rows) * u128::from(columns) * if split > 1 { 4 } else { 2 };
    let (depth, slots) =
        depth_and_slots(machine, policy, depth, (weights + inputs).div_ceil(u128::from(a_part.max(1))))?;
    let mut spent = Spent { activations: shape.activations_at_memory(machine), ..Spent::default() };
    let mut waves = Vec::with_capacity(2);
    for (active, repeat) in rounds(items, lanes) {
        if repeat == 0 {
            continue;
        }
        let mut runs = Vec::with_capacity(2);
        for (size, tiles) in [(depth, a_part / depth), (a_part % depth, 1)] {
            if size == 0 || tiles == 0 {
                continue;
            }
            let of = |bytes: u128| u128::from(active) * bytes * u128::from(size) / u128::from(a_part);
            // Weights come from memory once for all blocks of rows; what is beyond the last column is not there.
            let unique = u128::from(shape.weights.0) * u128::from(active) * u128::from(size)
                / (u128::from(items) * u128::from(a_part)).max(1);
            let memory = beyond(unique + of(outputs), found);
            let shared = of(weights) / u128::from(reads_saved(m.div_ceil(tiling.rows)))
                + of(inputs) / u128::from(reads_saved(n.div_ceil(columns)))
                + of(outputs);
            let shared = if machine.has_shared() { whole(shared) } else { Bytes::ZERO };
            let one = whole((weights + inputs + outputs) * u128::from(size) / u128::from(a_part));
            let piece = Product { repeats: 1, m: tiling.rows, k: size, n: columns };
            let work = least(machine, piece, shape);
            let mut tile = Tile { values: machine.stage(&work, false), ..Tile::default() };
            let sharing = active.div_ceil(machine.cores());
            tile.values.stream = tile.values.stream * sharing;
            tile.values.preload = tile.values.preload * sharing;
            (tile.load, tile.load_cause) = machine.load(memory, shared, one);
            machine.expose(&mut tile);
            runs.push((tile, tiles));
            let all = tiles * repeat;
            spent.shared += shared * all;
            spent.local += one * (all * active);
            spent.mac_slots = spent.mac_slots.saturating_add(work.mac_slots.saturating_mul(all * active));
        }
        waves.push(Wave { runs, repeat, start: machine.work_item() });
    }
    let latency = machine.memory_latency();
    let program = Program { latency, slots, lookahead: 0, launch: machine.launch(), waves };
    Some(ProductLayout { program, behind: if split > 1 { machine.barrier() } else { Femtos::ZERO }, spent })
}

/// Least reduction length of a tile.
const LEAST_DEPTH: u64 = 8;

/// Reduction length of a tile and tiles in flight: `depth` where at least two such tiles of `bytes` an element fit a core, else halves of it.
fn depth_and_slots(machine: &Machine, policy: &Policy, depth: u64, bytes: u128) -> Option<(u64, usize)> {
    let Some(capacity) = machine.spec.cores.sram.capacity else { return Some((depth, MAX_SLOTS)) };
    let room = u128::from(capacity.0 / policy.items_per_core);
    let mut depth = depth;
    loop {
        let fit = usize::try_from(room / (bytes * u128::from(depth)).max(1)).unwrap_or(MAX_SLOTS);
        if fit >= 2 {
            return Some((depth, fit.min(MAX_SLOTS)));
        }
        if depth < 2 * LEAST_DEPTH {
            return None;
        }
        depth /= 2;
    }
}

fn whole(bytes: u128) -> Bytes {
    Bytes(u64::try_from(bytes).unwrap_or(u64::MAX))
}

/// The orientation that keeps the array least busy.
fn least(machine: &Machine, piece: Product, shape: &Shape) -> ArrayWork {
    let orientations = machine.spec.cores.mac_array.orientations();
    let all = orientations.iter().map(|&held| machine.array(piece, held, shape.dtype));
    all.min_by_key(|w| w.stream.max(w.preload)).unwrap_or_default()
}
