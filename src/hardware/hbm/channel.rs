//! One channel: its controller's queues, and which command goes when.
//!
//! Open page, first-ready first-come first-served: of the requests in the queue the oldest whose next command may be issued now is
//! served, one command a bus and tick. A request that opens a row leaves the queue with its ACT and goes before all others. Writes wait
//! in a queue of their own that is drained between two watermarks. An all-bank refresh stops both queues until every
//! pseudo-channel has been precharged and refreshed.
//!
//! Nothing is done in ticks in which nothing can be: [`Channel::wake`] says when to come back.

use super::counts::Counts;
use super::organisation::Organisation;
use super::state::State;
use super::timing::Distances;
use super::waiting::{Banks, CLOSED, NEVER, PC_SHIFT, PLACES, Queue, Request, bank_of, order};

/// Settings of a controller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Settings {
    /// Entries of the read queue, and of the write queue.
    pub(super) queue: usize,
    /// Whether all-bank refreshes come.
    pub(super) refresh: bool,
    /// Whether writes may come.
    pub(super) writes: bool,
}

/// Writes are drained once more than this share of their queue is full, in tenths …
const DRAIN_FROM: usize = 8;
/// … until less than this is, in tenths, or nothing else waits.
const DRAIN_TO: usize = 2;

/// A channel and its controller.
#[derive(Debug, Clone)]
pub(super) struct Channel {
    pub(super) d: Distances,
    settings: Settings,
    /// Writes above which draining begins, and below which it ends.
    drain: (usize, usize),
    pub(super) state: State,
    pub(super) reads: Queue,
    writes: Queue,
    draining: bool,
    /// Requests taken in.
    pub(super) taken: u64,
    pub(super) next_refresh: u64,
    /// Pseudo-channels that still wait for the present refresh, in order.
    to_refresh: std::ops::Range<usize>,
    /// No command before this tick.
    pub(super) wake: u64,
    pub(super) counts: Counts,
}

impl Channel {
    pub(super) fn new(organisation: &Organisation, d: Distances, settings: Settings) -> Self {
        let pcs = organisation.pseudo_channels as usize;
        let next_refresh = if settings.refresh { d.refresh_interval } else { NEVER };
        let queue = settings.queue;
        Self {
            d,
            settings,
            drain: (queue * DRAIN_FROM / 10, (queue * DRAIN_TO).div_ceil(10)),
            state: State::new(organisation),
            reads: Queue::new(pcs),
            writes: Queue::new(pcs),
            draining: settings.writes,
            taken: 0,
            next_refresh,
            to_refresh: 0..0,
            wake: next_refresh,
            counts: Counts::default(),
        }
    }

    /// Whether a request of this kind finds room.
    #[inline]
    pub(super) const fn has_room(&self, write: bool) -> bool {
        (if write { &self.writes } else { &self.reads }).len < self.settings.queue
    }

    /// Takes a request in at `now`.
    #[inline]
    pub(super) fn push(&mut self, now: u64, bank: u16, row: u32, write: bool) {
        let b = usize::from(bank);
        let request = Request { order: order(self.taken, b), arrival: now, row, counted: false, write };
        self.taken += 1;
        let pc = self.state.pc(b);
        let (open, guarded) = (pc.row[b % PLACES], pc.guarded(b));
        let (ready, bus) = if open == row {
            let data = if write { pc.write } else { pc.read };
            (pc.column_ready(b, write).max(data), self.state.column_bus)
        } else if open == CLOSED {
            (pc.act_ready(b).max(pc.act), self.state.row_bus)
        } else {
            (pc.bank_pre[b % PLACES].max(pc.pre), self.state.row_bus)
        };
        let ready = self.no_earlier(ready);
        let queue = if write { &mut self.writes } else { &mut self.reads };
        queue.push(b, open, guarded, request, ready);
        // It may be served in the tick that begins now.
        self.wake = self.wake.min(ready.max(bus).max(now + 1));
    }

    /// A tick before which to do nothing, if nothing can be done before `ready`. Which queue is drained is decided in every tick, so that
    /// none may be left out that might come upon a moment without reads while there are writes.
    #[inline]
    const fn no_earlier(&self, ready: u64) -> u64 {
        if self.settings.writes { 0 } else { ready }
    }

    /// The first tick in which anything can happen without a new request.
    #[inline]
    pub(super) const fn wake(&self) -> u64 {
        self.wake
    }

    /// Whether reads of open rows are all that there is to do, so that only column commands follow until a request for another row or
    /// a refresh comes.
    #[inline]
    pub(super) fn only_hits(&self) -> bool {
        // What is least often so comes first.
        self.reads.pcs.iter().all(|w| w.closed.mask | w.conflicts.mask == 0)
            && self.state.pcs.iter().all(|pc| pc.active.mask == 0)
            && self.writes.len == 0
            && !self.draining
            && self.to_refresh.is_empty()
    }

    /// Lets `now` pass. Returns, if a burst was served, whether it was read.
    #[inline]
    pub(super) fn tick(&mut self, now: u64) -> Option<bool> {
        if now >= self.next_refresh {
            self.next_refresh += self.d.refresh_interval;
            // A refresh that is still under way is finished first.
            self.to_refresh = 0..self.state.pcs.len();
        }
        let rising = !self.d.half_cycles || now % 2 == 1;
        let served = if rising && now >= self.state.column_bus { self.column(now) } else { None };
        if now >= self.state.row_bus {
            self.row(now, rising);
        }
        self.wake = self.next_command(now).min(self.next_refresh);
        served
    }

    /// No command can be issued before this tick, nothing new provided.
    #[inline]
    fn next_command(&self, now: u64) -> u64 {
        let (mut column, mut either, mut rising) = (NEVER, NEVER, NEVER);
        // Queues may have changed since it was last decided which is served.
        let queue = if self.will_drain() { &self.writes } else { &self.reads };
        let pcs = &self.state.pcs;
        if self.to_refresh.is_empty() {
            for (pc, wants) in pcs.iter().zip(&queue.pcs) {
                column = column.min(pc.active.next.min(wants.hits.next).max(pc.read.min(pc.write)));
                rising = rising.min(wants.closed.next.max(pc.act));
                either = either.min(wants.conflicts.next.max(pc.pre));
            }
        } else {
            for pc in pcs {
                column = column.min(pc.active.next.max(pc.read.min(pc.write)));
            }
            let pc = &pcs[self.to_refresh.start];
            if pc.open == 0 {
                rising = pc.refresh;
            } else if pc.active.mask == 0 {
                either = pc.pre_all.max(pc.pre);
            }
        }
        let (column_bus, row_bus) = (self.state.column_bus.max(now + 1), self.state.row_bus.max(now + 1));
        let (column, rising) = (column.max(column_bus), rising.max(row_bus));
        let on_rising = column.min(rising) | u64::from(self.d.half_cycles);
        on_rising.min(either.max(row_bus))
    }

    /// Whether writes are served in the next tick, queues being as they are.
    #[inline]
    const fn will_drain(&self) -> bool {
        if !self.settings.writes {
            return false;
        }
        let (reads, writes) = (self.reads.len, self.writes.len);
        (if self.draining { writes >= self.drain.1 } else { writes > self.drain.0 }) || reads == 0
    }

    #[inline]
    const fn set_draining(&mut self) {
        self.draining = self.will_drain();
    }

    /// Issues the column command that is due, if any. Returns whether it was a read.
    #[inline]
    fn column(&mut self, now: u64) -> Option<bool> {
        // Requests whose row was opened for them go first.
        let mut due = NEVER;
        for pc in &mut self.state.pcs {
            if self.settings.writes && pc.active.next <= now {
                let ready = |b: usize| {
                    let write = pc.opened_for[b].write;
                    pc.column_ready(b, write).max(if write { pc.write } else { pc.read })
                };
                let order = |b: usize| pc.opened_order[b];
                pc.active.next = oldest_ready(pc.active, now, ready, order, &mut due);
            } else if pc.active.next.max(pc.read) <= now {
                let ready = |b: usize| pc.column_ready(b, false);
                let order = |b: usize| pc.opened_order[b];
                pc.active.next = oldest_ready(pc.active, now, ready, order, &mut due);
            }
        }
        if due < NEVER {
            let b = bank_of(due);
            let pc = &mut self.state.pcs[b >> PC_SHIFT];
            pc.active.remove(1 << (b % PLACES));
            let request = pc.opened_for[b % PLACES];
            let read = self.serve(now, b, &request);
            let pc = self.state.pc(b);
            let close = self.no_earlier(pc.bank_pre[b % PLACES]);
            self.reads.released(b, self.no_earlier(pc.column_ready(b, false)), close);
            if self.settings.writes {
                self.writes.released(b, 0, close);
            }
            return Some(read);
        }
        if !self.to_refresh.is_empty() {
            return None;
        }
        self.set_draining();
        let write = self.draining;
        let queue = if write { &mut self.writes } else { &mut self.reads };
        for (pc, wants) in self.state.pcs.iter().zip(&mut queue.pcs) {
            if wants.hits.next.max(if write { pc.write } else { pc.read }) <= now {
                let ready = |b| pc.column_ready(b, write);
                let order = |b: usize| wants.oldest_hit(b);
                wants.hits.next = oldest_ready(wants.hits, now, ready, order, &mut due);
            }
        }
        if due == NEVER {
            return None;
        }
        let b = bank_of(due);
        let request = queue.take_hit(b, self.state.pc(b).row[b % PLACES])?;
        Some(self.serve(now, b, &request))
    }

    /// Issues the column command of `r`. Returns whether it is a read.
    #[inline]
    pub(super) fn serve(&mut self, now: u64, b: usize, r: &Request) -> bool {
        if r.write {
            self.state.write(now, b, &self.d);
        } else {
            self.state.read(now, b, &self.d);
            self.counts.reads += 1;
            self.counts.read_latency += now + self.d.read_latency - r.arrival;
        }
        self.counts.served += 1;
        self.counts.row_hits += u64::from(!r.counted);
        !r.write
    }

    /// Issues the row command that is due, if any.
    #[inline]
    fn row(&mut self, now: u64, rising: bool) {
        if !self.to_refresh.is_empty() {
            self.refresh(now, rising);
            return;
        }
        self.set_draining();
        let mut due = NEVER;
        let queue = if self.draining { &mut self.writes } else { &mut self.reads };
        for (pc, wants) in self.state.pcs.iter().zip(&mut queue.pcs) {
            if rising && wants.closed.next.max(pc.act) <= now {
                let ready = |b: usize| pc.act_ready(b);
                let order = |b: usize| wants.oldest_miss(b);
                wants.closed.next = oldest_ready(wants.closed, now, ready, order, &mut due);
            }
            if wants.conflicts.next.max(pc.pre) <= now {
                let ready = |b: usize| pc.bank_pre[b];
                let order = |b: usize| wants.oldest_miss(b);
                wants.conflicts.next = oldest_ready(wants.conflicts, now, ready, order, &mut due);
            }
        }
        if due < NEVER {
            let b = bank_of(due);
            let open = self.state.pc(b).row[b % PLACES];
            if open == CLOSED {
                self.activate(now, b);
            } else {
                self.precharge(now, b, open);
            }
        }
    }

    /// Opens the row of the oldest request for bank `b`, which leaves the queue.
    #[inline]
    fn activate(&mut self, now: u64, b: usize) {
        let queue = if self.draining { &mut self.writes } else { &mut self.reads };
        let Some(request) = queue.take_first(b) else { return };
        self.state.activate(now, b, Request { counted: true, ..request }, &self.d);
        self.counts.activates += 1;
        let pc = self.state.pc(b);
        self.reads.opened(b, request.row, self.no_earlier(pc.column_ready(b, false)));
        if self.settings.writes {
            self.writes.opened(b, request.row, 0);
        }
    }

    /// Closes the row `open` of bank `b`, which the oldest request for another row does not want.
    #[inline]
    fn precharge(&mut self, now: u64, b: usize, open: u32) {
        let queue = if self.draining { &mut self.writes } else { &mut self.reads };
        queue.note_row_command(b, open);
        self.state.precharge(now, b, &self.d);
        self.closed(b);
    }

    /// Tells the queues that bank `b` has been closed.
    #[inline]
    fn closed(&mut self, b: usize) {
        let ready = self.no_earlier(self.state.pc(b).act_ready(b));
        self.reads.closed(b, ready);
        if self.settings.writes {
            self.writes.closed(b, ready);
        }
    }

    /// The next command of a refresh, if it is due: close all banks of the first pseudo-channel that waits, or refresh it.
    fn refresh(&mut self, now: u64, rising: bool) {
        let p = self.to_refresh.start;
        let pc = &self.state.pcs[p];
        if pc.open > 0 {
            // Rows that were opened for a request are read first.
            if pc.active.mask == 0 && pc.pre_all.max(pc.pre) <= now {
                self.state.precharge_all(now, p, &self.d);
                for b in p << PC_SHIFT..(p + 1) << PC_SHIFT {
                    self.closed(b);
                }
            }
        } else if pc.refresh <= now && rising {
            self.state.refresh(now, p, &self.d);
            self.counts.refreshes += 1;
            self.to_refresh.start += 1;
        }
    }
}

/// First come, first served among the banks whose command is ready: `due` becomes the order of the oldest of them, if that is older.
/// Returns when the first of all `banks` is ready.
#[inline]
fn oldest_ready(
    banks: Banks,
    now: u64,
    ready: impl Fn(usize) -> u64,
    order: impl Fn(usize) -> u64,
    due: &mut u64,
) -> u64 {
    let (mut first, mut mask) = (NEVER, banks.mask);
    while mask != 0 {
        let b = mask.trailing_zeros() as usize % PLACES;
        mask &= mask - 1;
        let at = ready(b);
        first = first.min(at);
        // Without a branch, since nobody could predict it.
        let order = order(b);
        *due = (*due).min(if at <= now { order } else { NEVER });
    }
    first
}
