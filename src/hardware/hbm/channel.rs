//! One channel: its controller's queues and the state that timing leaves behind.
//!
//! Open page, first-ready first-come first-served: of the requests in the queue the oldest whose next command may be issued now is
//! served, one command a bus and tick. A request that opens a row leaves the queue with its ACT and goes before all others. Writes wait
//! in a queue of their own that is drained between two watermarks. An all-bank refresh stops both queues until every
//! pseudo-channel has been precharged and refreshed.
//!
//! Nothing is done in ticks in which nothing can be: [`Channel::wake`] says when to come back.

use super::organisation::Organisation;
use super::timing::Distances;
use super::waiting::{Banks, CLOSED, NEVER, Queue, Request};

#[derive(Debug, Clone, Copy)]
struct Bank {
    row: u32,
    act: u64,
    pre: u64,
    read: u64,
    write: u64,
}

/// Earliest ticks of a bank group or a rank.
#[derive(Debug, Clone, Copy, Default)]
struct Group {
    act: u64,
    read: u64,
    write: u64,
}

#[derive(Debug, Clone, Copy, Default)]
struct PseudoChannel {
    act: u64,
    pre: u64,
    pre_all: u64,
    refresh: u64,
    read: u64,
    write: u64,
    /// The last four ACTs, in a ring.
    acts: [u64; 4],
    next_act: usize,
    open: u32,
}

/// What a channel has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Bursts whose column command was issued.
    pub served: u64,
    /// Of these, reads.
    pub reads: u64,
    /// ACTs.
    pub activates: u64,
    /// Bursts that found their row open when first looked at.
    pub row_hits: u64,
    /// All-bank refreshes.
    pub refreshes: u64,
    /// Ticks from arrival to the last data of all reads.
    pub read_latency: u64,
}

/// Settings of a controller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Settings {
    /// Entries of the read queue, and of the write queue.
    pub(super) queue: usize,
    /// Whether all-bank refreshes come.
    pub(super) refresh: bool,
}

/// Writes are drained once more than this share of their queue is full, in tenths …
const DRAIN_FROM: usize = 8;
/// … until less than this is, in tenths, or nothing else waits.
const DRAIN_TO: usize = 2;

/// A channel and its controller.
#[derive(Debug, Clone)]
pub(super) struct Channel {
    d: Distances,
    settings: Settings,
    group_shift: u32,
    rank_shift: u32,
    pc_shift: u32,
    banks: Vec<Bank>,
    groups: Vec<Group>,
    ranks: Vec<Group>,
    pcs: Vec<PseudoChannel>,
    row_bus: u64,
    column_bus: u64,
    reads: Queue,
    writes: Queue,
    /// Requests whose row was opened for them, by bank, and which banks have one.
    opened_for: Vec<Request>,
    active: Vec<Banks>,
    draining: bool,
    /// Requests taken in.
    taken: u64,
    next_refresh: u64,
    /// Pseudo-channels that still wait for the present refresh, in order.
    to_refresh: std::ops::Range<usize>,
    /// No command before this tick.
    wake: u64,
    pub(super) counts: Counts,
}

impl Channel {
    pub(super) fn new(organisation: &Organisation, d: Distances, settings: Settings) -> Self {
        let bank_bits = organisation.banks.ilog2();
        let group_bits = organisation.bank_groups.ilog2();
        let rank_bits = organisation.ranks.ilog2();
        let banks = organisation.all_banks() as usize;
        let pcs = organisation.pseudo_channels as usize;
        let bank = Bank { row: CLOSED, act: 0, pre: 0, read: 0, write: 0 };
        let nobody = Request { order: 0, arrival: 0, row: CLOSED, counted: false, write: false };
        let next_refresh = if settings.refresh { d.refresh_interval } else { NEVER };
        Self {
            d,
            settings,
            group_shift: bank_bits,
            rank_shift: bank_bits + group_bits,
            pc_shift: bank_bits + group_bits + rank_bits,
            banks: vec![bank; banks],
            groups: vec![Group::default(); banks >> bank_bits],
            ranks: vec![Group::default(); banks >> (bank_bits + group_bits)],
            pcs: vec![PseudoChannel::default(); pcs],
            row_bus: 0,
            column_bus: 0,
            reads: Queue::new(banks, pcs, settings.queue),
            writes: Queue::new(banks, pcs, settings.queue),
            opened_for: vec![nobody; banks],
            active: vec![Banks::NONE; pcs],
            draining: true,
            taken: 0,
            next_refresh,
            to_refresh: 0..0,
            wake: next_refresh,
            counts: Counts::default(),
        }
    }

    /// Whether a request of this kind finds room.
    #[inline]
    pub(super) fn has_room(&self, write: bool) -> bool {
        (if write { &self.writes } else { &self.reads }).len < self.settings.queue
    }

    /// Takes a request in at `now`.
    #[inline]
    pub(super) fn push(&mut self, now: u64, bank: u16, row: u32, write: bool) {
        let b = usize::from(bank);
        let request = Request { order: self.taken, arrival: now, row, counted: false, write };
        self.taken += 1;
        let queue = if write { &mut self.writes } else { &mut self.reads };
        queue.push(b, self.banks[b].row, request);
        if self.guarded(b) {
            // Its row waits for the request that opened it.
            let (p, bit) = self.pc_and_bit(b);
            let queue = if write { &mut self.writes } else { &mut self.reads };
            queue.conflicts[p].mask &= !bit;
        }
        // It may be served in the tick that begins now.
        let bus = if self.banks[b].row == row { self.column_bus } else { self.row_bus };
        self.wake = self.wake.min(bus.max(now + 1));
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
        let nothing = |banks: &[Banks]| banks.iter().all(|b| b.mask == 0);
        self.writes.len == 0
            && !self.draining
            && self.to_refresh.is_empty()
            && nothing(&self.active)
            && nothing(&self.reads.closed)
            && nothing(&self.reads.conflicts)
    }

    /// The row that is open in `bank`.
    #[inline]
    pub(super) fn is_open(&self, bank: u16, row: u32) -> bool {
        self.banks[usize::from(bank)].row == row
    }

    /// Serves the next read of an open row after `now`, where [`Self::only_hits`] and before the next refresh; returns when.
    #[inline]
    pub(super) fn serve_hit(&mut self, now: u64) -> Option<u64> {
        let rising = |t: u64| if self.d.half_cycles { t | 1 } else { t };
        let first = rising(self.column_bus.max(now + 1));
        // Mostly the oldest request of all may be served as soon as the bus is free.
        let (mut oldest, mut bank) = (NEVER, 0);
        for p in 0..self.pcs.len() {
            for b in self.reads.hits[p].iter().map(|i| i | p << self.pc_shift) {
                let order = self.reads.oldest_hit(b);
                if order < oldest {
                    (oldest, bank) = (order, b);
                }
            }
        }
        let ready = |b: usize| self.column_ready(b, false).max(self.pcs[b >> self.pc_shift].read);
        let mut at = first;
        if ready(bank) > first {
            let shift = self.pc_shift;
            let all = || {
                let hits = self.reads.hits.iter().enumerate();
                hits.flat_map(move |(p, banks)| banks.iter().map(move |i| i | p << shift))
            };
            at = rising(all().map(ready).min()?.max(first));
            bank = all().filter(|&b| ready(b) <= at).min_by_key(|&b| self.reads.oldest_hit(b))?;
        }
        if at >= self.next_refresh {
            return None;
        }
        let request = self.reads.take_hit(bank, self.banks[bank].row)?;
        self.serve(at, bank, request);
        self.wake = at + 1;
        Some(at)
    }

    /// Lets `now` pass. Returns, if a burst was served, whether it was read.
    #[inline]
    pub(super) fn tick(&mut self, now: u64) -> Option<bool> {
        if now >= self.next_refresh {
            self.next_refresh += self.d.refresh_interval;
            // A refresh that is still under way is finished first.
            self.to_refresh = 0..self.pcs.len();
        }
        let rising = !self.d.half_cycles || now % 2 == 1;
        let served = if rising && now >= self.column_bus { self.column(now) } else { None };
        if now >= self.row_bus {
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
        let refreshing = !self.to_refresh.is_empty();
        let at = |banks: &Banks, bus: u64| if banks.mask == 0 { NEVER } else { banks.next.max(bus) };
        for (p, pc) in self.pcs.iter().enumerate() {
            let data = pc.read.min(pc.write);
            column = column.min(at(&self.active[p], data));
            if !refreshing {
                column = column.min(at(&queue.hits[p], data));
                rising = rising.min(at(&queue.closed[p], pc.act));
                either = either.min(at(&queue.conflicts[p], pc.pre));
            }
        }
        if refreshing {
            let p = self.to_refresh.start;
            let pc = &self.pcs[p];
            if pc.open == 0 {
                rising = pc.refresh;
            } else if self.active[p].mask == 0 {
                either = pc.pre_all.max(pc.pre);
            }
        }
        let next = |t: u64, bus: u64, rising: bool| {
            let t = t.max(bus).max(now + 1);
            if rising && self.d.half_cycles { t | 1 } else { t }
        };
        let column = next(column, self.column_bus, true);
        column.min(next(rising, self.row_bus, true)).min(next(either, self.row_bus, false))
    }

    /// Whether writes are served in the next tick, queues being as they are.
    const fn will_drain(&self) -> bool {
        let size = self.settings.queue;
        let (reads, writes) = (self.reads.len, self.writes.len);
        if self.draining {
            writes * 10 >= size * DRAIN_TO || reads == 0
        } else {
            writes * 10 > size * DRAIN_FROM || reads == 0
        }
    }

    const fn set_draining(&mut self) {
        self.draining = self.will_drain();
    }

    const fn pc_and_bit(&self, b: usize) -> (usize, u64) {
        (b >> self.pc_shift, 1 << (b & ((1 << self.pc_shift) - 1)))
    }

    const fn guarded(&self, b: usize) -> bool {
        let (p, bit) = self.pc_and_bit(b);
        self.active.as_slice()[p].mask & bit != 0
    }

    /// The first tick at which the bank's own column command may be issued, as far as bank, group and rank go.
    #[inline]
    fn column_ready(&self, b: usize, write: bool) -> u64 {
        let (bank, group) = (&self.banks[b], &self.groups[b >> self.group_shift]);
        let rank = &self.ranks[b >> self.rank_shift];
        if write {
            bank.write.max(group.write).max(rank.write)
        } else {
            bank.read.max(group.read).max(rank.read)
        }
    }

    /// Issues the column command that is due, if any. Returns whether it was a read.
    fn column(&mut self, now: u64) -> Option<bool> {
        // Requests whose row was opened for them go first.
        let mut due: Option<(u64, usize)> = None;
        for p in 0..self.pcs.len() {
            let banks = self.active[p];
            if banks.mask == 0 || banks.next > now {
                continue;
            }
            let ready = |b: usize| {
                let write = self.opened_for[b].write;
                let pc = if write { self.pcs[p].write } else { self.pcs[p].read };
                self.column_ready(b, write).max(pc)
            };
            let all = banks.iter().map(|i| i | p << self.pc_shift);
            self.active[p].next = oldest_ready(all, now, ready, |b| self.opened_for[b].order, &mut due);
        }
        if let Some((_, b)) = due {
            let (p, bit) = self.pc_and_bit(b);
            self.active[p].mask &= !bit;
            let open = self.banks[b].row;
            self.reads.sort(b, open, false);
            self.writes.sort(b, open, false);
            let request = self.opened_for[b];
            return Some(self.serve(now, b, request));
        }
        if !self.to_refresh.is_empty() {
            return None;
        }
        self.set_draining();
        let write = self.draining;
        for p in 0..self.pcs.len() {
            let queue = if write { &self.writes } else { &self.reads };
            let banks = queue.hits[p];
            let pc = if write { self.pcs[p].write } else { self.pcs[p].read };
            if banks.mask == 0 || banks.next.max(pc) > now {
                continue;
            }
            let all = banks.iter().map(|i| i | p << self.pc_shift);
            let ready = |b| self.column_ready(b, write);
            let next = oldest_ready(all, now, ready, |b| queue.oldest_hit(b), &mut due);
            let queue = if write { &mut self.writes } else { &mut self.reads };
            queue.hits[p].next = next;
        }
        let (_, b) = due?;
        let open = self.banks[b].row;
        let queue = if write { &mut self.writes } else { &mut self.reads };
        let request = queue.take_hit(b, open)?;
        Some(self.serve(now, b, request))
    }

    /// Issues the column command of `r`. Returns whether it is a read.
    #[inline]
    fn serve(&mut self, now: u64, b: usize, r: Request) -> bool {
        let (g, k, p) = (b >> self.group_shift, b >> self.rank_shift, b >> self.pc_shift);
        let d = &self.d;
        let later = |t: &mut u64, by: u64| *t = (*t).max(now + by);
        let (bank, group, pc) = (&mut self.banks[b], &mut self.groups[g], &mut self.pcs[p]);
        if r.write {
            later(&mut bank.pre, d.write_pre);
            later(&mut pc.pre_all, d.write_pre);
            later(&mut group.write, d.column_long);
            later(&mut group.read, d.write_read_long);
            later(&mut pc.write, d.data);
            later(&mut pc.read, d.write_read_short);
            later(&mut self.ranks[k].write, d.column_short);
        } else {
            later(&mut bank.pre, d.read_pre);
            later(&mut pc.pre_all, d.read_pre);
            later(&mut group.read, d.column_long);
            later(&mut pc.read, d.data);
            later(&mut pc.write, d.read_write);
            later(&mut self.ranks[k].read, d.column_short);
            if self.ranks.len() > self.pcs.len() {
                let ranks = self.ranks.len() / self.pcs.len();
                for other in p * ranks..(p + 1) * ranks {
                    if other != k {
                        later(&mut self.ranks[other].read, d.read_read_ranks);
                    }
                }
            }
            self.counts.reads += 1;
            self.counts.read_latency += now + d.read_latency - r.arrival;
        }
        self.column_bus = now + d.column_bus;
        if d.shared_bus {
            self.row_bus = self.row_bus.max(self.column_bus);
        }
        self.counts.served += 1;
        self.counts.row_hits += u64::from(!r.counted);
        !r.write
    }

    /// Issues the row command that is due, if any.
    fn row(&mut self, now: u64, rising: bool) {
        if !self.to_refresh.is_empty() {
            self.refresh(now, rising);
            return;
        }
        self.set_draining();
        let mut due: Option<(u64, usize)> = None;
        for p in 0..self.pcs.len() {
            let queue = if self.draining { &self.writes } else { &self.reads };
            let (closed, conflicts) = (queue.closed[p], queue.conflicts[p]);
            if rising && closed.mask != 0 && closed.next.max(self.pcs[p].act) <= now {
                let all = closed.iter().map(|i| i | p << self.pc_shift);
                let ready = |b: usize| self.banks[b].act.max(self.groups[b >> self.group_shift].act);
                let next = oldest_ready(all, now, ready, |b| queue.oldest_miss(b), &mut due);
                let queue = if self.draining { &mut self.writes } else { &mut self.reads };
                queue.closed[p].next = next;
            }
            if conflicts.mask != 0 && conflicts.next.max(self.pcs[p].pre) <= now {
                let queue = if self.draining { &self.writes } else { &self.reads };
                let all = conflicts.iter().map(|i| i | p << self.pc_shift);
                let ready = |b: usize| self.banks[b].pre;
                let next = oldest_ready(all, now, ready, |b| queue.oldest_miss(b), &mut due);
                let queue = if self.draining { &mut self.writes } else { &mut self.reads };
                queue.conflicts[p].next = next;
            }
        }
        if let Some((_, b)) = due {
            if self.banks[b].row == CLOSED {
                self.activate(now, b);
            } else {
                self.precharge(now, b);
            }
        }
    }

    /// Opens the row of the oldest request for bank `b`, which leaves the queue.
    fn activate(&mut self, now: u64, b: usize) {
        let queue = if self.draining { &mut self.writes } else { &mut self.reads };
        let Some(mut r) = queue.take_first(b) else { return };
        r.counted = true;
        let (g, p) = (b >> self.group_shift, b >> self.pc_shift);
        let d = &self.d;
        let later = |t: &mut u64, by: u64| *t = (*t).max(now + by);
        let (bank, pc) = (&mut self.banks[b], &mut self.pcs[p]);
        bank.row = r.row;
        later(&mut bank.read, d.act_read);
        later(&mut bank.write, d.act_write);
        later(&mut bank.pre, d.act_pre);
        later(&mut bank.act, d.act_act_bank);
        later(&mut self.groups[g].act, d.act_act_long);
        pc.open += 1;
        pc.acts[pc.next_act] = now;
        pc.next_act = (pc.next_act + 1) % 4;
        later(&mut pc.act, d.act_act_short);
        // The slot that comes next holds the oldest of the last four.
        let oldest = pc.acts[pc.next_act];
        if oldest > 0 {
            pc.act = pc.act.max(oldest + d.four_acts);
        }
        later(&mut pc.pre_all, d.act_pre);
        later(&mut pc.refresh, d.act_refresh);
        self.row_bus = now + d.activate_bus;
        if d.shared_bus {
            self.column_bus = self.column_bus.max(self.row_bus);
        }
        self.counts.activates += 1;
        let (_, bit) = self.pc_and_bit(b);
        self.opened_for[b] = r;
        let ready = self.column_ready(b, r.write);
        let active = &mut self.active[p];
        active.next = if active.mask == 0 { ready } else { active.next.min(ready) };
        active.mask |= bit;
        self.reads.sort(b, r.row, true);
        self.writes.sort(b, r.row, true);
    }

    /// Closes the row of bank `b`, which the oldest request for another row does not want.
    fn precharge(&mut self, now: u64, b: usize) {
        let open = self.banks[b].row;
        let queue = if self.draining { &mut self.writes } else { &mut self.reads };
        queue.note_row_command(b, open);
        let d = &self.d;
        let bank = &mut self.banks[b];
        bank.row = CLOSED;
        bank.act = bank.act.max(now + d.pre_act);
        let pc = &mut self.pcs[b >> self.pc_shift];
        pc.open -= 1;
        pc.pre = pc.pre.max(now + d.pre_pre);
        pc.pre_all = pc.pre_all.max(now + d.pre_pre);
        pc.refresh = pc.refresh.max(now + d.pre_refresh);
        self.row_bus = now + d.row_bus;
        if d.shared_bus {
            self.column_bus = self.column_bus.max(self.row_bus);
        }
        self.reads.sort(b, CLOSED, false);
        self.writes.sort(b, CLOSED, false);
    }

    /// The next command of a refresh, if it is due: close all banks of the first pseudo-channel that waits, or refresh it.
    fn refresh(&mut self, now: u64, rising: bool) {
        let p = self.to_refresh.start;
        let d = self.d;
        let pc = &mut self.pcs[p];
        if pc.open > 0 {
            // Rows that were opened for a request are read first.
            if self.active[p].mask != 0 || pc.pre_all.max(pc.pre) > now {
                return;
            }
            pc.open = 0;
            pc.act = pc.act.max(now + d.pre_act);
            pc.pre = pc.pre.max(now + d.pre_pre);
            pc.pre_all = pc.pre_all.max(now + d.pre_pre);
            pc.refresh = pc.refresh.max(now + d.pre_refresh);
            let banks = self.banks.len() / self.pcs.len();
            for b in p * banks..(p + 1) * banks {
                self.banks[b].row = CLOSED;
                self.reads.sort(b, CLOSED, false);
                self.writes.sort(b, CLOSED, false);
            }
        } else {
            if pc.refresh > now || !rising {
                return;
            }
            pc.act = pc.act.max(now + d.refresh_act);
            pc.refresh = pc.refresh.max(now + d.refresh_act);
            self.counts.refreshes += 1;
            self.to_refresh.start += 1;
        }
        self.row_bus = now + d.row_bus;
        if d.shared_bus {
            self.column_bus = self.column_bus.max(self.row_bus);
        }
    }
}

/// First come, first served among the banks whose command is ready: puts the oldest of them, if older, in `due` as (order, bank).
/// Returns when the first of all `banks` is ready.
#[inline]
fn oldest_ready(
    banks: impl Iterator<Item = usize>,
    now: u64,
    ready: impl Fn(usize) -> u64,
    order: impl Fn(usize) -> u64,
    due: &mut Option<(u64, usize)>,
) -> u64 {
    let mut first = NEVER;
    for b in banks {
        let at = ready(b);
        first = first.min(at);
        if at <= now && due.is_none_or(|(oldest, _)| order(b) < oldest) {
            *due = Some((order(b), b));
        }
    }
    first
}

impl std::ops::Add for Counts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            served: self.served + other.served,
            reads: self.reads + other.reads,
            activates: self.activates + other.activates,
            row_hits: self.row_hits + other.row_hits,
            refreshes: self.refreshes + other.refreshes,
            read_latency: self.read_latency + other.read_latency,
        }
    }
}

impl std::ops::Sub for Counts {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self {
            served: self.served - other.served,
            reads: self.reads - other.reads,
            activates: self.activates - other.activates,
            row_hits: self.row_hits - other.row_hits,
            refreshes: self.refreshes - other.refreshes,
            read_latency: self.read_latency - other.read_latency,
        }
    }
}
