//! What timing leaves behind: the earliest ticks of the commands of banks, bank groups, ranks and pseudo-channels.

use super::organisation::Organisation;
use super::timing::Distances;
use super::waiting::{Banks, CLOSED, NOBODY, PC_SHIFT, PLACES, Request};

/// A pseudo-channel: its earliest ticks, and those of its banks, groups and ranks. Room is for the most that there can be, so that
/// nothing is looked up beyond an end.
#[derive(Debug, Clone)]
pub(super) struct PseudoChannel {
    pub(super) act: u64,
    pub(super) pre: u64,
    pub(super) pre_all: u64,
    pub(super) refresh: u64,
    pub(super) read: u64,
    pub(super) write: u64,
    /// The last four ACTs, in a ring.
    acts: [u64; 4],
    next_act: usize,
    /// Open rows.
    pub(super) open: u32,
    /// Banks with a row that was opened for a request that has not been served yet.
    pub(super) active: Banks,
    /// By bank, the request that its row was opened for.
    pub(super) opened_for: [Request; PLACES],
    /// Their orders.
    pub(super) opened_order: [u64; PLACES],
    /// By bank, its open row.
    pub(super) row: [u32; PLACES],
    bank_act: [u64; PLACES],
    pub(super) bank_pre: [u64; PLACES],
    bank_read: [u64; PLACES],
    bank_write: [u64; PLACES],
    group_act: [u64; PLACES],
    group_read: [u64; PLACES],
    group_write: [u64; PLACES],
    rank_read: [u64; PLACES],
    rank_write: [u64; PLACES],
    group_shift: u32,
    rank_shift: u32,
}

/// The state of a channel.
#[derive(Debug, Clone)]
pub(super) struct State {
    /// Ranks of a pseudo-channel.
    ranks: usize,
    pub(super) pcs: Vec<PseudoChannel>,
    pub(super) row_bus: u64,
    pub(super) column_bus: u64,
}

/// `t` no earlier than `by`.
#[inline]
fn later(t: &mut u64, by: u64) {
    *t = (*t).max(by);
}

impl PseudoChannel {
    /// The first tick at which bank `b` may be read or written, as far as bank, group and rank go.
    #[inline]
    pub(super) fn column_ready(&self, b: usize, write: bool) -> u64 {
        let (group, rank) = (self.group(b), self.rank(b));
        if write {
            self.bank_write[b % PLACES].max(self.group_write[group]).max(self.rank_write[rank])
        } else {
            self.bank_read[b % PLACES].max(self.group_read[group]).max(self.rank_read[rank])
        }
    }

    /// The first tick at which a row of bank `b` may be opened, as far as bank and group go.
    #[inline]
    pub(super) fn act_ready(&self, b: usize) -> u64 {
        self.bank_act[b % PLACES].max(self.group_act[self.group(b)])
    }

    #[inline]
    const fn group(&self, b: usize) -> usize {
        (b % PLACES) >> self.group_shift
    }

    #[inline]
    const fn rank(&self, b: usize) -> usize {
        (b % PLACES) >> self.rank_shift
    }

    /// Whether the row of bank `b` waits for the request that opened it.
    #[inline]
    pub(super) const fn guarded(&self, b: usize) -> bool {
        self.active.mask >> (b % PLACES) & 1 == 1
    }
}

impl State {
    pub(super) fn new(organisation: &Organisation) -> Self {
        let group_shift = organisation.banks.ilog2();
        let pc = PseudoChannel {
            act: 0,
            pre: 0,
            pre_all: 0,
            refresh: 0,
            read: 0,
            write: 0,
            acts: [0; 4],
            next_act: 0,
            open: 0,
            active: Banks::NONE,
            opened_for: [NOBODY; PLACES],
            opened_order: [0; PLACES],
            row: [CLOSED; PLACES],
            bank_act: [0; PLACES],
            bank_pre: [0; PLACES],
            bank_read: [0; PLACES],
            bank_write: [0; PLACES],
            group_act: [0; PLACES],
            group_read: [0; PLACES],
            group_write: [0; PLACES],
            rank_read: [0; PLACES],
            rank_write: [0; PLACES],
            group_shift,
            rank_shift: group_shift + organisation.bank_groups.ilog2(),
        };
        Self {
            ranks: organisation.ranks as usize,
            pcs: vec![pc; organisation.pseudo_channels as usize],
            row_bus: 0,
            column_bus: 0,
        }
    }

    /// Pseudo-channel of bank `b`.
    #[inline]
    pub(super) fn pc(&self, b: usize) -> &PseudoChannel {
        &self.pcs[b >> PC_SHIFT]
    }

    #[inline]
    pub(super) fn read(&mut self, now: u64, b: usize, d: &Distances) {
        let pc = &mut self.pcs[b >> PC_SHIFT];
        let (group, rank) = (pc.group(b), pc.rank(b));
        later(&mut pc.bank_pre[b % PLACES], now + d.read_pre);
        later(&mut pc.pre_all, now + d.read_pre);
        later(&mut pc.group_read[group], now + d.column_long);
        later(&mut pc.read, now + d.data);
        later(&mut pc.write, now + d.read_write);
        later(&mut pc.rank_read[rank], now + d.column_short);
        // Their number is a power of two.
        for other in 1..self.ranks {
            later(&mut pc.rank_read[(rank ^ other) % PLACES], now + d.read_read_ranks);
        }
        self.column_command(now, d);
    }

    #[inline]
    pub(super) fn write(&mut self, now: u64, b: usize, d: &Distances) {
        let pc = &mut self.pcs[b >> PC_SHIFT];
        let (group, rank) = (pc.group(b), pc.rank(b));
        later(&mut pc.bank_pre[b % PLACES], now + d.write_pre);
        later(&mut pc.pre_all, now + d.write_pre);
        later(&mut pc.group_write[group], now + d.column_long);
        later(&mut pc.group_read[group], now + d.write_read_long);
        later(&mut pc.write, now + d.data);
        later(&mut pc.read, now + d.write_read_short);
        later(&mut pc.rank_write[rank], now + d.column_short);
        self.column_command(now, d);
    }

    #[inline]
    fn column_command(&mut self, now: u64, d: &Distances) {
        self.column_bus = now + d.column_bus;
        if d.shared_bus {
            later(&mut self.row_bus, self.column_bus);
        }
    }

    #[inline]
    fn row_command(&mut self, until: u64, d: &Distances) {
        self.row_bus = until;
        if d.shared_bus {
            later(&mut self.column_bus, until);
        }
    }

    /// Opens the row of bank `b` that `request` wants.
    #[inline]
    pub(super) fn activate(&mut self, now: u64, b: usize, request: Request, d: &Distances) {
        let pc = &mut self.pcs[b >> PC_SHIFT];
        let (group, b) = (pc.group(b), b % PLACES);
        pc.row[b] = request.row;
        later(&mut pc.bank_read[b], now + d.act_read);
        later(&mut pc.bank_write[b], now + d.act_write);
        later(&mut pc.bank_pre[b], now + d.act_pre);
        later(&mut pc.bank_act[b], now + d.act_act_bank);
        later(&mut pc.group_act[group], now + d.act_act_long);
        pc.open += 1;
        pc.acts[pc.next_act % 4] = now;
        pc.next_act = (pc.next_act + 1) % 4;
        later(&mut pc.act, now + d.act_act_short);
        // The slot that comes next holds the oldest of the last four.
        let oldest = pc.acts[pc.next_act % 4];
        if oldest > 0 {
            later(&mut pc.act, oldest + d.four_acts);
        }
        later(&mut pc.pre_all, now + d.act_pre);
        later(&mut pc.refresh, now + d.act_refresh);
        (pc.opened_for[b], pc.opened_order[b]) = (request, request.order);
        // Of no banks, `next` is never.
        pc.active.next = pc.active.next.min(pc.column_ready(b, request.write));
        pc.active.mask |= 1 << b;
        self.row_command(now + d.activate_bus, d);
    }

    #[inline]
    pub(super) fn precharge(&mut self, now: u64, b: usize, d: &Distances) {
        let pc = &mut self.pcs[b >> PC_SHIFT];
        pc.row[b % PLACES] = CLOSED;
        later(&mut pc.bank_act[b % PLACES], now + d.pre_act);
        pc.open -= 1;
        later(&mut pc.pre, now + d.pre_pre);
        later(&mut pc.pre_all, now + d.pre_pre);
        later(&mut pc.refresh, now + d.pre_refresh);
        self.row_command(now + d.row_bus, d);
    }

    /// Closes all rows of pseudo-channel `p`.
    pub(super) fn precharge_all(&mut self, now: u64, p: usize, d: &Distances) {
        let pc = &mut self.pcs[p];
        pc.open = 0;
        later(&mut pc.act, now + d.pre_act);
        later(&mut pc.pre, now + d.pre_pre);
        later(&mut pc.pre_all, now + d.pre_pre);
        later(&mut pc.refresh, now + d.pre_refresh);
        pc.row = [CLOSED; PLACES];
        self.row_command(now + d.row_bus, d);
    }

    pub(super) fn refresh(&mut self, now: u64, p: usize, d: &Distances) {
        let pc = &mut self.pcs[p];
        later(&mut pc.act, now + d.refresh_act);
        later(&mut pc.refresh, now + d.refresh_act);
        self.row_command(now + d.row_bus, d);
    }
}
