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

/// No row is open.
const CLOSED: u32 = u32::MAX;
/// Never.
const NEVER: u64 = u64::MAX;

/// A burst in a queue.
#[derive(Debug, Clone, Copy)]
struct Request {
    arrival: u64,
    row: u32,
    bank: u16,
    write: bool,
    /// Whether a command was issued for it.
    counted: bool,
}

#[derive(Debug, Clone, Copy)]
struct Bank {
    row: u32,
    /// Requests that opened the row and have not been served.
    opened_for: u32,
    act: u64,
    pre: u64,
    read: u64,
    write: u64,
}

/// Earliest ticks of a bank group, a rank and a pseudo-channel.
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
    opened_for: u32,
}

/// What a channel has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
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
    reads: Vec<Request>,
    writes: Vec<Request>,
    /// Requests whose row was opened for them.
    active: Vec<Request>,
    draining: bool,
    next_refresh: u64,
    /// Pseudo-channels that still wait for the present refresh, in order.
    to_refresh: std::ops::Range<usize>,
    /// No column command before this tick.
    next_column: u64,
    /// No row command before this tick.
    next_row: u64,
    pub(super) counts: Counts,
}

impl Channel {
    pub(super) fn new(organisation: &Organisation, d: Distances, settings: Settings) -> Self {
        let bank_bits = organisation.banks.ilog2();
        let group_bits = organisation.bank_groups.ilog2();
        let rank_bits = organisation.ranks.ilog2();
        let banks = organisation.all_banks() as usize;
        let bank = Bank { row: CLOSED, opened_for: 0, act: 0, pre: 0, read: 0, write: 0 };
        Self {
            d,
            settings,
            group_shift: bank_bits,
            rank_shift: bank_bits + group_bits,
            pc_shift: bank_bits + group_bits + rank_bits,
            banks: vec![bank; banks],
            groups: vec![Group::default(); banks >> bank_bits],
            ranks: vec![Group::default(); banks >> (bank_bits + group_bits)],
            pcs: vec![PseudoChannel::default(); organisation.pseudo_channels as usize],
            row_bus: 0,
            column_bus: 0,
            reads: Vec::with_capacity(settings.queue),
            writes: Vec::with_capacity(settings.queue),
            active: Vec::with_capacity(banks),
            draining: true,
            next_refresh: if settings.refresh { d.refresh_interval } else { NEVER },
            to_refresh: 0..0,
            next_column: NEVER,
            next_row: NEVER,
            counts: Counts::default(),
        }
    }

    /// Whether a request of this kind finds room.
    #[inline]
    pub(super) fn has_room(&self, write: bool) -> bool {
        (if write { &self.writes } else { &self.reads }).len() < self.settings.queue
    }

    /// Takes a request in at `now`.
    #[inline]
    pub(super) fn push(&mut self, now: u64, bank: u16, row: u32, write: bool) {
        let request = Request { arrival: now, row, bank, write, counted: false };
        if write { &mut self.writes } else { &mut self.reads }.push(request);
        if write || self.draining {
            self.set_draining();
        }
        // It may be served in the tick that begins now.
        if self.banks[usize::from(bank)].row == row {
            self.next_column = self.next_column.min(now + 1);
        } else {
            self.next_row = self.next_row.min(now + 1);
        }
    }

    /// The first tick in which anything can happen without a new request.
    #[inline]
    pub(super) fn wake(&self) -> u64 {
        self.next_column.min(self.next_row).min(self.next_refresh)
    }

    /// Lets `now` pass; returns how many bursts were served. Times of column commands are those of reads' data, `read_latency` earlier.
    #[inline]
    pub(super) fn tick(&mut self, now: u64) -> Option<bool> {
        if now >= self.next_refresh {
            self.next_refresh += self.d.refresh_interval;
            // A refresh that is still under way is finished first.
            self.to_refresh = 0..self.pcs.len();
            (self.next_row, self.next_column) = (now, now);
        }
        let rising = !self.d.half_cycles || now % 2 == 1;
        let mut served = None;
        if rising && now >= self.next_column {
            served = self.column(now);
        }
        if now >= self.next_row && !(self.d.shared_bus && served.is_some()) {
            self.row(now, rising);
        }
        served
    }

    fn set_draining(&mut self) {
        let size = self.settings.queue;
        let (reads, writes) = (self.reads.len(), self.writes.len());
        let draining = if self.draining {
            writes * 10 >= size * DRAIN_TO || reads == 0
        } else {
            writes * 10 > size * DRAIN_FROM || reads == 0
        };
        if draining != self.draining {
            self.draining = draining;
            (self.next_row, self.next_column) = (0, 0);
        }
    }

    const fn place(&self, bank: u16) -> (usize, usize, usize, usize) {
        let b = bank as usize;
        (b, b >> self.group_shift, b >> self.rank_shift, b >> self.pc_shift)
    }

    /// The first tick at which a column command for `r` may be issued.
    #[inline]
    fn column_ready(&self, r: &Request) -> u64 {
        let (b, g, k, p) = self.place(r.bank);
        if r.write {
            self.banks[b].write.max(self.groups[g].write).max(self.ranks[k].write).max(self.pcs[p].write)
        } else {
            self.banks[b].read.max(self.groups[g].read).max(self.ranks[k].read).max(self.pcs[p].read)
        }
    }

    /// Issues the column command that is due, if any. Returns whether it was a read.
    fn column(&mut self, now: u64) -> Option<bool> {
        if now < self.column_bus {
            self.next_column = self.column_bus;
            return None;
        }
        let mut next = NEVER;
        for i in 0..self.active.len() {
            let ready = self.column_ready(&self.active[i]);
            if ready <= now {
                let request = self.active.remove(i);
                let (b, _, _, p) = self.place(request.bank);
                self.banks[b].opened_for -= 1;
                self.pcs[p].opened_for -= 1;
                self.next_row = self.next_row.min(now);
                return Some(self.serve(now, request));
            }
            next = next.min(ready);
        }
        if self.to_refresh.is_empty() {
            self.set_draining();
            let queue = if self.draining { &self.writes } else { &self.reads };
            for (i, r) in queue.iter().enumerate() {
                if self.banks[usize::from(r.bank)].row != r.row {
                    continue;
                }
                let ready = self.column_ready(r);
                if ready <= now {
                    let queue = if self.draining { &mut self.writes } else { &mut self.reads };
                    let request = queue.remove(i);
                    return Some(self.serve(now, request));
                }
                next = next.min(ready);
            }
        }
        self.next_column = next;
        None
    }

    /// Issues the column command of `r`. Returns whether it is a read.
    #[inline]
    fn serve(&mut self, now: u64, r: Request) -> bool {
        let (b, g, k, p) = self.place(r.bank);
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
        self.next_column = self.column_bus;
        !r.write
    }

    /// Issues the row command that is due, if any.
    fn row(&mut self, now: u64, rising: bool) {
        if now < self.row_bus {
            self.next_row = self.row_bus;
            return;
        }
        if !self.to_refresh.is_empty() {
            self.refresh(now, rising);
            return;
        }
        self.set_draining();
        let queue = if self.draining { &self.writes } else { &self.reads };
        let mut next = NEVER;
        let mut seen = 0_u128;
        for i in 0..queue.len() {
            let r = &queue[i];
            let (b, g, _, p) = self.place(r.bank);
            let bank = &self.banks[b];
            if bank.row == r.row || seen >> b & 1 == 1 {
                continue;
            }
            seen |= 1 << b;
            let pc = &self.pcs[p];
            if bank.row == CLOSED {
                let ready = bank.act.max(self.groups[g].act).max(pc.act);
                if ready <= now && rising {
                    self.activate(now, i);
                    return;
                }
                next = next.min(ready.max(now + 1));
            } else if bank.opened_for == 0 {
                let ready = bank.pre.max(pc.pre);
                if ready <= now {
                    self.precharge(now, i);
                    return;
                }
                next = next.min(ready);
            }
        }
        self.next_row = next;
    }

    /// Opens the row of the request at place `i` of the queue that is served, which leaves the queue.
    fn activate(&mut self, now: u64, i: usize) {
        let queue = if self.draining { &mut self.writes } else { &mut self.reads };
        let mut r = queue.remove(i);
        r.counted = true;
        let (b, g, _, p) = self.place(r.bank);
        let d = &self.d;
        let later = |t: &mut u64, by: u64| *t = (*t).max(now + by);
        let (bank, pc) = (&mut self.banks[b], &mut self.pcs[p]);
        bank.row = r.row;
        bank.opened_for += 1;
        later(&mut bank.read, d.act_read);
        later(&mut bank.write, d.act_write);
        later(&mut bank.pre, d.act_pre);
        later(&mut bank.act, d.act_act_bank);
        later(&mut self.groups[g].act, d.act_act_long);
        pc.open += 1;
        pc.opened_for += 1;
        pc.acts[pc.next_act] = now;
        pc.next_act = (pc.next_act + 1) % 4;
        later(&mut pc.act, d.act_act_short);
        // The slot that comes next holds the fourth ACT before.
        let fourth = pc.acts[pc.next_act];
        if fourth > 0 {
            pc.act = pc.act.max(fourth + d.four_acts);
        }
        later(&mut pc.pre_all, d.act_pre);
        later(&mut pc.refresh, d.act_refresh);
        self.row_bus = now + d.activate_bus;
        if d.shared_bus {
            self.column_bus = self.column_bus.max(self.row_bus);
        }
        self.counts.activates += 1;
        // Ready some time later; others in the queue may want the same row.
        let ready = self.column_ready(&r);
        self.active.push(r);
        self.next_column = self.next_column.min(ready);
        self.next_row = self.row_bus;
    }

    /// Closes the row that the request at place `i` of the queue that is served does not want.
    fn precharge(&mut self, now: u64, i: usize) {
        let queue = if self.draining { &mut self.writes } else { &mut self.reads };
        queue[i].counted = true;
        let bank = queue[i].bank;
        let (b, _, _, p) = self.place(bank);
        let d = &self.d;
        self.banks[b].row = CLOSED;
        self.banks[b].act = self.banks[b].act.max(now + d.pre_act);
        let pc = &mut self.pcs[p];
        pc.open -= 1;
        pc.pre = pc.pre.max(now + d.pre_pre);
        pc.pre_all = pc.pre_all.max(now + d.pre_pre);
        pc.refresh = pc.refresh.max(now + d.pre_refresh);
        self.row_bus = now + d.row_bus;
        if d.shared_bus {
            self.column_bus = self.column_bus.max(self.row_bus);
        }
        self.next_row = self.row_bus;
    }

    /// The next command of a refresh: close all banks of the first pseudo-channel that waits, or refresh it.
    fn refresh(&mut self, now: u64, rising: bool) {
        let p = self.to_refresh.start;
        let d = self.d;
        let pc = &mut self.pcs[p];
        if pc.open > 0 {
            if pc.opened_for > 0 {
                // Rows that were opened for a request are read first; that command wakes this up.
                self.next_row = NEVER;
                return;
            }
            let ready = pc.pre_all.max(pc.pre);
            if ready > now {
                self.next_row = ready;
                return;
            }
            pc.open = 0;
            pc.act = pc.act.max(now + d.pre_act);
            pc.pre = pc.pre.max(now + d.pre_pre);
            pc.pre_all = pc.pre_all.max(now + d.pre_pre);
            pc.refresh = pc.refresh.max(now + d.pre_refresh);
            let banks = self.banks.len() / self.pcs.len();
            for bank in &mut self.banks[p * banks..(p + 1) * banks] {
                bank.row = CLOSED;
            }
        } else {
            if pc.refresh > now || !rising {
                self.next_row = pc.refresh.max(now + 1);
                return;
            }
            pc.act = pc.act.max(now + d.refresh_act);
            pc.refresh = pc.refresh.max(now + d.refresh_act);
            self.counts.refreshes += 1;
            self.to_refresh.start += 1;
            if self.to_refresh.is_empty() {
                self.next_column = self.next_column.min(now + 1);
            }
        }
        self.row_bus = now + d.row_bus;
        if d.shared_bus {
            self.column_bus = self.column_bus.max(self.row_bus);
        }
        self.next_row = self.row_bus;
    }
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
