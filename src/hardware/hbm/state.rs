//! What timing leaves behind: the earliest ticks of the commands of banks, bank groups, ranks and pseudo-channels.

use super::organisation::Organisation;
use super::timing::Distances;
use super::waiting::{Banks, CLOSED};

/// A bank: its open row, and the earliest ticks of its commands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bank {
    pub(super) row: u32,
    pub(super) act: u64,
    pub(super) pre: u64,
    pub(super) read: u64,
    pub(super) write: u64,
}

/// Earliest ticks of a bank group or a rank.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Group {
    pub(super) act: u64,
    pub(super) read: u64,
    pub(super) write: u64,
}

/// Earliest ticks of a pseudo-channel.
#[derive(Debug, Clone, Copy)]
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
}

/// The state of a channel.
#[derive(Debug, Clone)]
pub(super) struct State {
    group_shift: u32,
    rank_shift: u32,
    pub(super) pc_shift: u32,
    /// Ranks of a pseudo-channel.
    ranks_each: usize,
    pub(super) banks: Vec<Bank>,
    groups: Vec<Group>,
    ranks: Vec<Group>,
    pub(super) pcs: Vec<PseudoChannel>,
    pub(super) row_bus: u64,
    pub(super) column_bus: u64,
}

/// `t` no earlier than `by`.
#[inline]
fn later(t: &mut u64, by: u64) {
    *t = (*t).max(by);
}

impl State {
    pub(super) fn new(organisation: &Organisation) -> Self {
        let bank_bits = organisation.banks.ilog2();
        let group_bits = organisation.bank_groups.ilog2();
        let rank_bits = organisation.ranks.ilog2();
        let banks = organisation.all_banks() as usize;
        let bank = Bank { row: CLOSED, act: 0, pre: 0, read: 0, write: 0 };
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
        };
        Self {
            group_shift: bank_bits,
            rank_shift: bank_bits + group_bits,
            pc_shift: bank_bits + group_bits + rank_bits,
            ranks_each: organisation.ranks as usize,
            banks: vec![bank; banks],
            groups: vec![Group::default(); banks >> bank_bits],
            ranks: vec![Group::default(); banks >> (bank_bits + group_bits)],
            pcs: vec![pc; organisation.pseudo_channels as usize],
            row_bus: 0,
            column_bus: 0,
        }
    }

    /// Pseudo-channel of bank `b`, and the bank's bit in it.
    #[inline]
    pub(super) const fn pc_and_bit(&self, b: usize) -> (usize, u64) {
        (b >> self.pc_shift, 1 << (b & ((1 << self.pc_shift) - 1)))
    }

    /// Whether the row of bank `b` waits for the request that opened it.
    #[inline]
    pub(super) fn guarded(&self, b: usize) -> bool {
        let (p, bit) = self.pc_and_bit(b);
        self.pcs[p].active.mask & bit != 0
    }

    /// The first tick at which bank `b` may be read or written, as far as bank, group and rank go.
    #[inline]
    pub(super) fn column_ready(&self, b: usize, write: bool) -> u64 {
        let (bank, group) = (&self.banks[b], &self.groups[b >> self.group_shift]);
        let rank = &self.ranks[b >> self.rank_shift];
        if write {
            bank.write.max(group.write).max(rank.write)
        } else {
            bank.read.max(group.read).max(rank.read)
        }
    }

    /// The first tick at which a row of bank `b` may be opened, as far as bank and group go.
    #[inline]
    pub(super) fn act_ready(&self, b: usize) -> u64 {
        self.banks[b].act.max(self.groups[b >> self.group_shift].act)
    }

    #[inline]
    pub(super) fn read(&mut self, now: u64, b: usize, d: &Distances) {
        let (k, p) = (b >> self.rank_shift, b >> self.pc_shift);
        let pc = &mut self.pcs[p];
        later(&mut self.banks[b].pre, now + d.read_pre);
        later(&mut pc.pre_all, now + d.read_pre);
        later(&mut self.groups[b >> self.group_shift].read, now + d.column_long);
        later(&mut pc.read, now + d.data);
        later(&mut pc.write, now + d.read_write);
        later(&mut self.ranks[k].read, now + d.column_short);
        if self.ranks_each > 1 {
            for other in p * self.ranks_each..(p + 1) * self.ranks_each {
                if other != k {
                    later(&mut self.ranks[other].read, now + d.read_read_ranks);
                }
            }
        }
        self.column_command(now, d);
    }

    #[inline]
    pub(super) fn write(&mut self, now: u64, b: usize, d: &Distances) {
        let (bank, group) = (&mut self.banks[b], &mut self.groups[b >> self.group_shift]);
        let pc = &mut self.pcs[b >> self.pc_shift];
        later(&mut bank.pre, now + d.write_pre);
        later(&mut pc.pre_all, now + d.write_pre);
        later(&mut group.write, now + d.column_long);
        later(&mut group.read, now + d.write_read_long);
        later(&mut pc.write, now + d.data);
        later(&mut pc.read, now + d.write_read_short);
        later(&mut self.ranks[b >> self.rank_shift].write, now + d.column_short);
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

    /// Opens `row` of bank `b` for a request, a write or a read.
    #[inline]
    pub(super) fn activate(&mut self, now: u64, b: usize, row: u32, write: bool, d: &Distances) {
        let (p, bit) = self.pc_and_bit(b);
        let (bank, pc) = (&mut self.banks[b], &mut self.pcs[p]);
        bank.row = row;
        later(&mut bank.read, now + d.act_read);
        later(&mut bank.write, now + d.act_write);
        later(&mut bank.pre, now + d.act_pre);
        later(&mut bank.act, now + d.act_act_bank);
        later(&mut self.groups[b >> self.group_shift].act, now + d.act_act_long);
        pc.open += 1;
        pc.acts[pc.next_act & 3] = now;
        pc.next_act = (pc.next_act + 1) & 3;
        later(&mut pc.act, now + d.act_act_short);
        // The slot that comes next holds the oldest of the last four.
        let oldest = pc.acts[pc.next_act & 3];
        if oldest > 0 {
            later(&mut pc.act, oldest + d.four_acts);
        }
        later(&mut pc.pre_all, now + d.act_pre);
        later(&mut pc.refresh, now + d.act_refresh);
        self.row_command(now + d.activate_bus, d);
        let ready = self.column_ready(b, write);
        let active = &mut self.pcs[p].active;
        // Of no banks, `next` is never.
        active.next = active.next.min(ready);
        active.mask |= bit;
    }

    #[inline]
    pub(super) fn precharge(&mut self, now: u64, b: usize, d: &Distances) {
        let (bank, pc) = (&mut self.banks[b], &mut self.pcs[b >> self.pc_shift]);
        bank.row = CLOSED;
        later(&mut bank.act, now + d.pre_act);
        pc.open -= 1;
        later(&mut pc.pre, now + d.pre_pre);
        later(&mut pc.pre_all, now + d.pre_pre);
        later(&mut pc.refresh, now + d.pre_refresh);
        self.row_command(now + d.row_bus, d);
    }

    /// Closes all rows of pseudo-channel `p`, whose banks it returns.
    pub(super) fn precharge_all(&mut self, now: u64, p: usize, d: &Distances) -> std::ops::Range<usize> {
        let pc = &mut self.pcs[p];
        pc.open = 0;
        later(&mut pc.act, now + d.pre_act);
        later(&mut pc.pre, now + d.pre_pre);
        later(&mut pc.pre_all, now + d.pre_pre);
        later(&mut pc.refresh, now + d.pre_refresh);
        let banks = p << self.pc_shift..(p + 1) << self.pc_shift;
        for bank in &mut self.banks[banks.clone()] {
            bank.row = CLOSED;
        }
        self.row_command(now + d.row_bus, d);
        banks
    }

    pub(super) fn refresh(&mut self, now: u64, p: usize, d: &Distances) {
        let pc = &mut self.pcs[p];
        later(&mut pc.act, now + d.refresh_act);
        later(&mut pc.refresh, now + d.refresh_act);
        self.row_command(now + d.row_bus, d);
    }
}
