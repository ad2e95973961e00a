//! The state of one core's resources between tiles, and the recurrence that a tile advances it by.

use super::Timeline;
use super::stamp::Moment;
use crate::mapping::Cause;
use crate::mapping::program::{ArrayStage, MAX_LOOKAHEAD, MAX_SLOTS, Program, Tile};
use crate::units::Femtos;

/// A tile whose scores are formed and whose weighted sum is still to come.
#[derive(Debug, Clone, Copy, Default)]
struct Pending<M> {
    tile: Tile,
    loaded: M,
    scored: M,
}

/// A short queue of scored tiles.
#[derive(Debug, Clone, Default)]
struct Queue<M> {
    tiles: [Pending<M>; MAX_LOOKAHEAD],
    len: usize,
}

impl<M: Moment> Queue<M> {
    fn push(&mut self, pending: Pending<M>) {
        self.tiles[self.len] = pending;
        self.len += 1;
    }

    fn pop(&mut self) -> Pending<M> {
        let first = self.tiles[0];
        self.tiles.copy_within(1..self.len, 0);
        self.len -= 1;
        first
    }

    fn as_slice(&self) -> &[Pending<M>] {
        &self.tiles[..self.len]
    }
}

/// When each resource falls free.
#[derive(Debug, Clone)]
pub(super) struct State<M> {
    latency: Femtos,
    /// Tiles that are scored ahead of the weighted sum.
    lookahead: usize,
    /// Slots in use; `slots[head]` is the one that the next tile takes.
    slot_count: usize,
    head: usize,
    slots: [M; MAX_SLOTS],
    dma: M,
    vector: M,
    stream: M,
    preload: M,
    exchange: M,
    sram: M,
    /// The last result so far.
    done: M,
    /// Scored tiles whose weighted sum is to come, oldest first.
    pending: Queue<M>,
}

/// What came on top of every stamp of a state within a period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Increment<M> {
    slots: [M; MAX_SLOTS],
    units: [M; 5],
    dma: M,
    done: M,
    pending: [[M; 2]; MAX_LOOKAHEAD],
}

impl<M: Moment> State<M> {
    pub(super) fn new(program: &Program) -> Self {
        let start = M::default().then(Cause::Overhead, program.launch);
        let idle = M::default();
        Self {
            latency: program.latency,
            lookahead: program.lookahead.min(program.slots.saturating_sub(1)).min(MAX_LOOKAHEAD),
            slot_count: program.slots.clamp(1, MAX_SLOTS),
            head: 0,
            slots: [idle; MAX_SLOTS],
            dma: start,
            vector: idle,
            stream: idle,
            preload: idle,
            exchange: idle,
            sram: idle,
            done: start,
            pending: Queue::default(),
        }
    }

    /// Starting a wave of work items holds back its first load.
    pub(super) fn start_wave(&mut self, start: Femtos) {
        self.dma = self.dma.then(Cause::Overhead, start);
    }

    /// One tile: it is loaded when the DMA engine and a slot are free, arrives a latency later, is rotated and scored; then the weighted
    /// sum of the tile before (with look-ahead) or its own follows, and frees the slot.
    ///
    /// This is where stalls are decided: every `latest` picks what the tile waits for.
    #[inline]
    pub(super) fn tile(&mut self, tile: &Tile) {
        let begin = *M::latest(&self.dma, &self.slots[self.head]);
        self.dma = begin.then(tile.load_cause, tile.load);
        let loaded = self.dma.then(Cause::Latency, self.latency);
        if tile.sram.0 > 0 {
            self.sram = M::latest(&loaded, &self.sram).then(Cause::Sram, tile.sram);
        }
        let mut scored = loaded;
        if tile.rotate.0 > 0 {
            self.vector = M::latest(&loaded, &self.vector).then(Cause::Vector, tile.rotate);
            scored = self.vector;
        }
        if !tile.scores.is_empty() {
            scored = self.product(&tile.scores, scored, &loaded);
            scored = scored.then(Cause::Compute, tile.scores.fill);
        }
        if tile.exchange.0 > 0 {
            self.exchange = M::latest(&scored, &self.exchange).then(Cause::Exchange, tile.exchange);
            scored = self.exchange;
        }
        let now = Pending { tile: *tile, loaded, scored };
        if self.lookahead == 0 {
            self.weighted_sum(&now, self.head);
        } else {
            if self.pending.len == self.lookahead {
                let before = self.pending.pop();
                self.weighted_sum(&before, self.slot_behind(self.lookahead));
            }
            self.pending.push(now);
        }
        self.head = (self.head + 1) % self.slot_count;
    }

    /// Softmax and weighted sum of a scored tile; frees its slot.
    #[inline]
    fn weighted_sum(&mut self, pending: &Pending<M>, slot: usize) {
        let Pending { tile, loaded, scored } = pending;
        let mut ready = *scored;
        if tile.softmax.0 > 0 {
            self.vector = M::latest(scored, &self.vector).then(Cause::Vector, tile.softmax);
            ready = self.vector;
        }
        if !tile.values.is_empty() {
            ready = self.product(&tile.values, ready, loaded);
        }
        self.done = ready.then(Cause::Compute, tile.values.fill);
        self.slots[slot] = if tile.sram.0 > 0 { *M::latest(&ready, &self.sram) } else { ready };
    }

    /// A product: streams once `input` is there, preloads once `input` or, where the held operand came with the tile, `loaded` is.
    #[inline]
    fn product(&mut self, stage: &ArrayStage, input: M, loaded: &M) -> M {
        self.stream = M::latest(&input, &self.stream).then(Cause::Compute, stage.stream);
        if stage.preload.0 == 0 {
            return self.stream;
        }
        let held = if stage.preload_waits { &input } else { loaded };
        self.preload = M::latest(held, &self.preload).then(Cause::Compute, stage.preload);
        *M::latest(&self.stream, &self.preload)
    }

    /// The end of the program: the last weighted sum, and whatever still moves.
    pub(super) fn finish(mut self) -> Timeline {
        while self.pending.len > 0 {
            let slot = self.slot_behind(self.pending.len);
            let last = self.pending.pop();
            self.weighted_sum(&last, slot);
        }
        let end = M::latest(&self.done, &self.sram);
        let end = M::latest(end, &self.dma);
        Timeline { time: Femtos(end.at()), causes: end.path() }
    }

    /// The slot of the tile that was loaded `tiles` before the next one.
    fn slot_behind(&self, tiles: usize) -> usize {
        (self.head + self.slot_count - tiles) % self.slot_count
    }

    fn units(&self) -> [&M; 5] {
        [&self.vector, &self.stream, &self.preload, &self.exchange, &self.sram]
    }

    /// The earliest moment at which anything still to come can ask for a unit: the DMA engine's clock, or the arrival of a tile that
    /// waits for its weighted sum. What falls free before it can never be waited for again, for of equals the input is charged.
    fn floor(&self) -> u64 {
        self.pending.as_slice().iter().map(|p| p.loaded.at()).fold(self.dma.at(), u64::min)
    }

    /// Slot `i` places behind the head.
    fn slot(&self, i: usize) -> &M {
        &self.slots[(self.head + i) % self.slot_count]
    }

    /// Whether the state equals `earlier` up to a shift in time, in everything that can still matter.
    pub(super) fn same_phase(&self, earlier: &Self) -> bool {
        let relative = |s: &Self, x: &M| x.at().wrapping_sub(s.dma.at());
        if relative(self, &self.done) != relative(earlier, &earlier.done) {
            return false;
        }
        let (floor, earlier_floor) = (self.floor(), earlier.floor());
        let same = |now: &M, then: &M| {
            now.at().max(floor).wrapping_sub(self.dma.at())
                == then.at().max(earlier_floor).wrapping_sub(earlier.dma.at())
        };
        if !(0..self.slot_count).all(|i| same(self.slot(i), earlier.slot(i))) {
            return false;
        }
        if !self.units().into_iter().zip(earlier.units()).all(|(now, then)| same(now, then)) {
            return false;
        }
        self.pending.len == earlier.pending.len
            && self.pending.as_slice().iter().zip(earlier.pending.as_slice()).all(|(now, then)| {
                now.tile == then.tile
                    && relative(self, &now.loaded) == relative(earlier, &then.loaded)
                    && relative(self, &now.scored) == relative(earlier, &then.scored)
            })
    }

    /// What has come on top since `earlier`, a state of the same phase; nothing for what cannot matter any more.
    pub(super) fn since(&self, earlier: &Self) -> Increment<M> {
        let floor = self.floor();
        let relevant = |now: &M, then: &M| if now.at() > floor { now.since(then) } else { M::default() };
        let mut slots = [M::default(); MAX_SLOTS];
        for (i, slot) in slots.iter_mut().enumerate().take(self.slot_count) {
            *slot = relevant(self.slot(i), earlier.slot(i));
        }
        let mut units = [M::default(); 5];
        for (unit, (now, then)) in units.iter_mut().zip(self.units().into_iter().zip(earlier.units())) {
            *unit = relevant(now, then);
        }
        let mut pending = [[M::default(); 2]; MAX_LOOKAHEAD];
        let both = self.pending.as_slice().iter().zip(earlier.pending.as_slice());
        for (delta, (now, then)) in pending.iter_mut().zip(both) {
            *delta = [now.loaded.since(&then.loaded), now.scored.since(&then.scored)];
        }
        Increment {
            slots,
            units,
            dma: self.dma.since(&earlier.dma),
            done: self.done.since(&earlier.done),
            pending,
        }
    }

    /// Jumps over `times` periods.
    pub(super) fn advance(&mut self, increment: &Increment<M>, times: u64) {
        for i in 0..self.slot_count {
            let at = (self.head + i) % self.slot_count;
            self.slots[at].advance(&increment.slots[i], times);
        }
        let units =
            [&mut self.vector, &mut self.stream, &mut self.preload, &mut self.exchange, &mut self.sram];
        for (unit, delta) in units.into_iter().zip(&increment.units) {
            unit.advance(delta, times);
        }
        self.dma.advance(&increment.dma, times);
        self.done.advance(&increment.done, times);
        for (pending, [loaded, scored]) in self.pending.tiles.iter_mut().zip(&increment.pending) {
            pending.loaded.advance(loaded, times);
            pending.scored.advance(scored, times);
        }
    }
}
