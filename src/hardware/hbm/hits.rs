//! The common case of a channel, made short: its queue is full of reads of open rows, and more of them follow.
//!
//! Then nothing is issued but reads, and every one that is served makes room for the next. What a tick would have to ask of banks that
//! might be opened or closed is not asked, and the queue is kept by age alone; by bank it is sorted again at the end.

use super::channel::Channel;
use super::source::Source;
use super::waiting::{PLACES, Request, bank_of, order};

impl Channel {
    /// Goes from read to read, after `now` and before `end`, `most` of them at most, while [`Self::only_hits`] and the queue is full
    /// and the next burst of `source` is another read of an open row. Returns how many, and the tick of the last one.
    #[inline(never)]
    pub(super) fn convey(&mut self, source: &mut Source, most: u64, now: u64, end: u64) -> (u64, u64) {
        let fits = |channel: &Self, source: &mut Source| {
            let next = source.peek();
            let bank = usize::from(next.bank);
            let open = channel.state.pc(bank).banks[bank % PLACES].row;
            (!next.write && open == next.row).then_some(next)
        };
        if self.has_room(false) || fits(self, source).is_none() {
            return (0, now);
        }
        self.reads.forget_banks();
        let (mut sent, mut now) = (0, now);
        while sent < most
            && now < end
            && let Some(next) = fits(self, source)
            && let Some((at, slot)) = self.next_hit(now)
        {
            let (bank, write) = (usize::from(next.bank), false);
            let new = Request { order: order(self.taken, bank), arrival: at, row: next.row, counted: false, write };
            let served = self.reads.exchange(slot, new);
            self.serve(at, bank_of(served.order), &served);
            self.taken += 1;
            source.advance();
            (sent, now) = (sent + 1, at);
        }
        self.reads.sort_banks();
        if sent > 0 {
            self.wake = now + 1;
        }
        (sent, now)
    }

    /// When the next read of an open row is served, and its slot; none before the next refresh.
    #[inline]
    fn next_hit(&self, now: u64) -> Option<(u64, u32)> {
        let rising = |t: u64| if self.d.half_cycles { t | 1 } else { t };
        let first = rising(self.state.column_bus.max(now + 1));
        // Mostly the oldest request of all may be served as soon as the bus is free.
        let (slot, oldest) = self.reads.by_age().next()?;
        let found = if self.hit_ready(oldest) <= first { (first, slot) } else { self.first_ready(first)? };
        (found.0 < self.next_refresh).then_some(found)
    }

    /// The same where the oldest is not ready at `first`.
    fn first_ready(&self, first: u64) -> Option<(u64, u32)> {
        let earliest = self.reads.by_age().map(|(_, r)| self.hit_ready(r)).min()?.max(first);
        let at = if self.d.half_cycles { earliest | 1 } else { earliest };
        let (slot, _) = self.reads.by_age().find(|(_, r)| self.hit_ready(r) <= at)?;
        Some((at, slot))
    }

    #[inline]
    fn hit_ready(&self, request: &Request) -> u64 {
        let b = bank_of(request.order);
        let pc = self.state.pc(b);
        pc.column_ready(b, false).max(pc.read)
    }
}
