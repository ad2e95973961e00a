//! Work laid out as one kernel lays it out: its own split, whole rounds of work items and a last one that fills the cores in part.
//!
//! The free mapper of [`super::attention`] and [`super::product`] looks for the best layout; here there is one, the kernel's, good or bad.
//! What it achieves of the machine's rates is in the [`Machine`](super::machine::Machine) already, see `Machine::under`.

mod attention;
mod product;

pub use attention::{Layout, attention};
pub use product::{ProductLayout, product, product_bound, tilings};

use crate::hardware::kernel::{Policy, SplitRule};
use crate::units::Bytes;

impl Policy {
    /// Parts that each of `items` equal pieces of work, `length` tokens (elements of the reduction) long, is split into on `lanes` places
    /// for work items.
    #[must_use]
    pub fn parts(&self, items: u64, length: u64, lanes: u64) -> u64 {
        if length <= self.unsplit {
            return 1;
        }
        let blocks = length.div_ceil(self.block);
        let parts = match self.split {
            SplitRule::None => 1,
            SplitRule::FillDown => lanes / items,
            SplitRule::FillUp | SplitRule::EvenTokens => lanes.div_ceil(items),
            SplitRule::EvenBlocks => {
                // A tenth more work than there is, so that parts of unequal sequences still fit a round.
                let a_lane = (items * blocks * 11).div_ceil(lanes * 10);
                blocks.div_ceil(a_lane)
            }
            SplitRule::FullestRounds => fullest_rounds(items, blocks, lanes),
        };
        if parts < 1 {
            1
        } else if parts > blocks {
            blocks
        } else {
            parts
        }
    }
}

/// Most parts that [`SplitRule::FullestRounds`] makes.
const MOST_PARTS: u64 = 128;

/// The rule of FlashAttention-2 and -3, `num_splits_heuristic` in Dao-AILab/flash-attention `csrc/flash_attn/flash_api.cpp`.
fn fullest_rounds(items: u64, blocks: u64, lanes: u64) -> u64 {
    if 10 * items >= 8 * lanes {
        return 1;
    }
    // A number of parts that leaves the longest part as it was is not worth considering.
    let shortens = |parts: u64| parts == 1 || blocks.div_ceil(parts) != blocks.div_ceil(parts - 1);
    let fill = |parts: u64| {
        let rounds = (items * parts) as f64 / lanes as f64;
        rounds / rounds.ceil()
    };
    let worth = || (1..=MOST_PARTS.min(lanes).min(blocks)).filter(|&p| shortens(p));
    let best = worth().map(fill).fold(0.0, f64::max);
    worth().find(|&p| fill(p) >= 0.85 * best).unwrap_or(1)
}

/// Footprint, as a multiple of the reach, at which nothing is found any more.
///
/// Bytes that are read in turn, again and again, drive each other out of a cache that replaces the least recently used: beyond its capacity
/// nothing would be found. Hashed sets and a replacement that is not quite that soften the edge.
const NOTHING_LEFT: f64 = 1.5;

/// Part of `footprint` bytes, read in turn again and again, that is found in a shared SRAM that reaches as far as `reach`.
#[must_use]
pub fn found_on_chip(reach: Bytes, footprint: Bytes) -> f64 {
    let (reach, footprint) = (reach.as_f64(), footprint.as_f64());
    ((NOTHING_LEFT * reach - footprint) / ((NOTHING_LEFT - 1.0) * reach).max(1.0)).clamp(0.0, 1.0)
}

/// Rounds of work items: how many with every lane busy, and the lanes that are busy in a last one.
const fn rounds(items: u64, lanes: u64) -> [(u64, u64); 2] {
    [(lanes, items / lanes), (items % lanes, !items.is_multiple_of(lanes) as u64)]
}

/// `bytes` without the part that is found on chip.
fn beyond(bytes: u128, found: f64) -> Bytes {
    let all = u64::try_from(bytes).unwrap_or(u64::MAX);
    if found <= 0.0 { Bytes(all) } else { Bytes((all as f64 * (1.0 - found)).ceil() as u64) }
}
