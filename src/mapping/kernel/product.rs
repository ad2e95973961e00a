//! Rows of activations times a weight matrix under a kernel's policy.

use super::{beyond, rounds};
use crate::hardware::kernel::Policy;
use crate::hardware::mac_array::{ArrayWork, Product};
use crate::mapping::machine::Machine;
use crate::mapping::product::Shape;
use crate::mapping::program::{MAX_SLOTS, Program, Tile, Wave};
use crate::units::{Bytes, Femtos};

/// What a work item computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tiling {
    /// Rows of the input.
    pub rows: u64,
    /// Columns of the output.
    pub columns: u64,
}

/// Row blocks that libraries have kernels for.
const ROWS: [u64; 3] = [64, 128, 256];
/// Column blocks.
const COLUMNS: [u64; 4] = [32, 64, 128, 256];

/// What a library would choose from for `product`: row blocks up to the first that holds all rows.
pub fn tilings(product: Product) -> impl Iterator<Item = Tiling> {
    let rows = ROWS.into_iter().take_while(move |&r| r == ROWS[0] || r / 2 < product.m);
    rows.flat_map(move |rows| {
        COLUMNS.into_iter().map(move |columns| Tiling { rows: rows.min(product.m), columns })
    })
}

/// A product, laid out.
#[derive(Debug, Clone, PartialEq)]
pub struct ProductLayout {
    /// What one place for work items runs.
    pub program: Program,
    /// Waiting for each other's partial sums, where the reduction is split.
    pub behind: Femtos,
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
    let lanes = machine.cores() * policy.items_per_core;
    let (row_blocks, column_blocks) = (m.div_ceil(tiling.rows), n.div_ceil(tiling.columns));
    let blocks = repeats * row_blocks * column_blocks;
    let split = policy.parts(blocks, k, lanes);
    let items = blocks * split;
    let depth = policy.block.min(k);
    let a_part = k.div_ceil(split);
    let columns = tiling.columns.min(n);
    // Bytes of weights and input that an item takes for its whole part.
    let elements = u128::from(repeats) * u128::from(k) * u128::from(n);
    let weights = u128::from(shape.weights.0) * u128::from(columns) * u128::from(a_part) / elements.max(1);
    let inputs = u128::from(shape.input.0) * u128::from(tiling.rows) * u128::from(a_part)
        / (u128::from(repeats) * u128::from(m) * u128::from(k)).max(1);
    let outputs = u128::from(tiling.rows) * u128::from(columns) * if split > 1 { 4 } else { 2 };
    let tile_bytes = (weights + inputs) * u128::from(depth) / u128::from(a_part.max(1));
    let slots = match machine.spec.cores.sram.capacity {
        None => MAX_SLOTS,
        Some(capacity) => {
            let fit = u128::from(capacity.0 / policy.items_per_core) / tile_bytes.max(1);
            if fit == 0 {
                return None;
            }
            usize::try_from(fit).unwrap_or(MAX_SLOTS).clamp(2, MAX_SLOTS)
        }
    };
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
            let shared =
                if machine.has_shared() { whole(of(weights) + of(inputs) + of(outputs)) } else { Bytes::ZERO };
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
        }
        waves.push(Wave { runs, repeat, start: machine.work_item() });
    }
    let latency = machine.memory_latency();
    let program = Program { latency, slots, lookahead: 0, launch: machine.launch(), waves };
    Some(ProductLayout { program, behind: if split > 1 { machine.barrier() } else { Femtos::ZERO } })
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
