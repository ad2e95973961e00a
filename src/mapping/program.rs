//! A tile program: what one representative core (or cluster) streams, tile by tile, through its resources.
//!
//! Cores that run the same operator advance in lock step, tile by tile, and share the memories among those that are active;
//! so one core's program with the sharing written into each tile's load time stands for all of them. Times are femtoseconds.

use super::Cause;
use crate::units::Femtos;

/// A product on the MAC array.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ArrayStage {
    /// The streaming port is busy.
    pub stream: Femtos,
    /// The preload port is busy.
    pub preload: Femtos,
    /// Whether the preloaded operand is the stage's own late input (rotated rows for scores, probabilities for the weighted sum) and
    /// not one that is there as soon as the tile is loaded.
    pub preload_waits: bool,
    /// From the last operand to the last result; holds no port.
    pub fill: Femtos,
}

impl ArrayStage {
    /// Whether the stage does nothing.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.stream.0 == 0 && self.preload.0 == 0 && self.fill.0 == 0
    }
}

/// One tile's time at each resource, in the order in which it passes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tile {
    /// The DMA engine moves the tile, at this core's share of the memories.
    pub load: Femtos,
    /// What limits the load.
    pub load_cause: Cause,
    /// The vector unit rotates kept rows.
    pub rotate: Femtos,
    /// The array forms scores.
    pub scores: ArrayStage,
    /// Cores of a cluster exchange scores, barrier included.
    pub exchange: Femtos,
    /// The vector unit turns scores into probabilities.
    pub softmax: Femtos,
    /// The array forms weighted sums; of a weight product, the product.
    pub values: ArrayStage,
    /// The local SRAM's ports are busy on this tile's behalf.
    pub sram: Femtos,
}

impl Default for Tile {
    fn default() -> Self {
        Self {
            load: Femtos::ZERO,
            load_cause: Cause::Bandwidth,
            rotate: Femtos::ZERO,
            scores: ArrayStage::default(),
            exchange: Femtos::ZERO,
            softmax: Femtos::ZERO,
            values: ArrayStage::default(),
            sram: Femtos::ZERO,
        }
    }
}

/// A wave: work items that run side by side, one a core; `runs` of equal tiles follow one another.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wave {
    /// (tile, how many).
    pub runs: Vec<(Tile, u64)>,
    /// How many such waves follow one another.
    pub repeat: u64,
    /// Starting the wave's work items.
    pub start: Femtos,
}

/// Most tile slots of a program.
pub const MAX_SLOTS: usize = 16;

/// Most tiles scored ahead.
pub const MAX_LOOKAHEAD: usize = 3;

/// A complete program of one core or cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// Memory latency between a load's end at the memory and the tile's arrival.
    pub latency: Femtos,
    /// Tile slots in local SRAM, 1 to [`MAX_SLOTS`].
    pub slots: usize,
    /// Tiles whose scores are issued before the weighted sum of the present one: fewer than the slots, at most [`MAX_LOOKAHEAD`].
    pub lookahead: usize,
    /// Launch before the first load.
    pub launch: Femtos,
    /// The waves, in order.
    pub waves: Vec<Wave>,
}

impl Tile {
    /// What it takes where `items` work items on one core take turns at its units.
    pub fn take_turns(&mut self, items: u64) {
        for stage in [&mut self.scores, &mut self.values] {
            stage.stream = stage.stream * items;
            stage.preload = stage.preload * items;
        }
        self.rotate = self.rotate * items;
        self.softmax = self.softmax * items;
        self.sram = self.sram * items;
    }

    /// Least time from arrival to result: an operand that is there on arrival may be preloaded while earlier stages run.
    #[must_use]
    pub fn chain(&self) -> Femtos {
        let product =
            |s: &ArrayStage| s.stream.max(if s.preload_waits { s.preload } else { Femtos::ZERO }) + s.fill;
        self.rotate + product(&self.scores) + self.exchange + self.softmax + product(&self.values)
    }
}

impl Program {
    /// No run takes less, whatever is scored ahead: the DMA engine is busy with every load and start in turn, then the last tile still
    /// arrives and passes its stages; every other unit is busy with every tile after the first has arrived.
    #[must_use]
    pub fn bound(&self) -> Femtos {
        let mut loads = Femtos::ZERO;
        let mut units = [Femtos::ZERO; 5];
        let (mut first, mut last) = (None, None);
        for wave in &self.waves {
            loads += wave.start * wave.repeat;
            for (tile, count) in &wave.runs {
                let n = count * wave.repeat;
                loads += tile.load * n;
                units[0] += (tile.rotate + tile.softmax) * n;
                units[1] += (tile.scores.stream + tile.values.stream) * n;
                units[2] += (tile.scores.preload + tile.values.preload) * n;
                units[3] += tile.exchange * n;
                units[4] += tile.sram * n;
                if n > 0 {
                    first.get_or_insert((wave.start, *tile));
                    last = Some(*tile);
                }
            }
        }
        let (start, first_load) = first.map_or((Femtos::ZERO, Femtos::ZERO), |(s, t)| (s, t.load));
        let chain = last.map_or(Femtos::ZERO, |t| t.chain().max(t.sram));
        let busiest = units.into_iter().max().unwrap_or_default();
        let latency = if last.is_some() { self.latency } else { Femtos::ZERO };
        self.launch + (loads + latency + chain).max(start + first_load + latency + busiest)
    }
}
