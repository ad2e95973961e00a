//! The common case of a channel, made short: its queue is full of reads of open rows, and more of them follow.
//!
//! Then nothing is issued but reads, and every one that is served makes room for the next. What a tick would have to ask of banks that
//! might be opened or closed is not asked, and the queue is kept by age alone; by bank it is sorted again at the end.

use super::channel::Channel;
use super::organisation::Organisation;
use super::source::Source;
use super::timing::Distances;
use super::waiting::{PC_SHIFT, PLACES, Request, bank_of, order};

impl Channel {
    /// Goes from read to read, after `now` and before `end`, `most` of them at most, while [`Self::only_hits`] and the queue is full
    /// and the next burst of `source` is another read of an open row. Returns how many, and the tick of the last one.
    #[inline(never)]
    pub(super) fn convey(
        &mut self,
        source: &mut Source,
        cycle: &Cycle,
        most: u64,
        now: u64,
        end: u64,
    ) -> (u64, u64) {
        let fits = |channel: &Self, source: &Source| {
            let next = source.peek();
            let bank = usize::from(next.bank);
            let open = channel.state.pc(bank).row[bank % PLACES];
            (!next.write && open == next.row).then_some(next)
        };
        if self.has_room(false) || fits(self, source).is_none() {
            return (0, now);
        }
        self.reads.forget_banks();
        let (mut sent, mut now) = (0, now);
        // As far as it is known, the queue holds something out of turn until so many have been sent.
        let mut in_turn = 0;
        while sent < most
            && now < end
            && let Some(next) = fits(self, source)
            && let Some((at, slot)) = self.next_hit(now)
        {
            if sent >= in_turn && slot == self.reads.oldest() && !cycle.banks.is_empty() {
                match self.leap(source, cycle, most - sent, at, end) {
                    Ok((leapt, last)) => {
                        (sent, now) = (sent + leapt, last);
                        continue;
                    }
                    Err(served) => in_turn = sent + served,
                }
            }
            let (bank, write) = (usize::from(next.bank), false);
            let new =
                Request { order: order(self.taken, bank), arrival: at, row: next.row, counted: false, write };
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

    /// Serves a part of a long row visit at once, the first read, which is the oldest one, at `first`; exactly as one by one. Returns
    /// how many, and the tick of the last one; else after how many others to try again.
    ///
    /// If the queue and what comes next go round the banks of `cycle` in turn, and each bank is ready for its first read when its turn
    /// comes, then so it is for all others: no read keeps another one waiting longer than until its turn. Hence reads are served
    /// in order, one every `cycle.step`, up to the next refresh or the last burst that has its row open.
    fn leap(
        &mut self,
        source: &mut Source,
        cycle: &Cycle,
        most: u64,
        first: u64,
        end: u64,
    ) -> Result<(u64, u64), u64> {
        let (ahead, low) = source.ahead();
        let round = cycle.banks.len();
        let (len, step) = (self.reads.len, cycle.step);
        // The last one is served before a refresh, and the one before it before the end.
        let until = (self.next_refresh - 1 - first) / step + 1;
        let before_end = if end > first { (end - 1 - first) / step + 2 } else { 1 };
        let leap = ahead.min(most).min(until).min(before_end);
        if leap < 2 * round as u64 {
            return Err(leap.max(1));
        }
        // The bank whose turn it is after so many others, the oldest request being the first. A round is a power of two.
        let above = source.bank_above();
        let oldest = low + round * len - len;
        let bank = |turn: usize| usize::from(cycle.banks[(oldest + turn) & (round - 1)] | above);
        let requests = self.reads.by_age().zip(0..);
        let out_of_turn = requests.filter(|&((_, r), turn)| bank_of(r.order) != bank(turn)).last();
        if let Some((_, turn)) = out_of_turn {
            return Err(turn as u64 + 1);
        }
        let row = source.peek().row;
        for turn in 0..round {
            let b = bank(turn);
            let pc = self.state.pc(b);
            let ready = pc.column_ready(b, false).max(pc.read);
            if pc.row[b % PLACES] != row || ready > first + turn as u64 * step {
                return Err(1);
            }
        }
        let at = |turn: u64| first + turn * step;
        let waited = leap.min(len as u64);
        for (turn, (_, r)) in (0..waited).zip(self.reads.by_age()) {
            self.counts.read_latency += at(turn) + self.d.read_latency - r.arrival;
            self.counts.row_hits += u64::from(!r.counted);
        }
        // Those that come and go meanwhile wait for all that is before them in the queue.
        let others = leap - waited;
        self.counts.read_latency += others * (len as u64 * step + self.d.read_latency);
        self.counts.row_hits += others;
        self.counts.reads += leap;
        self.counts.served += leap;
        for turn in leap - waited..leap {
            let bank = bank(len + turn as usize);
            let order = order(self.taken + turn, bank);
            let new = Request { order, arrival: at(turn), row, counted: false, write: false };
            self.reads.exchange(self.reads.oldest(), new);
        }
        self.taken += leap;
        // Every bank has its last turn among these.
        for turn in leap - round as u64..leap {
            self.state.read(at(turn), bank(turn as usize), &self.d);
        }
        source.skip(leap);
        Ok((leap, at(leap - 1)))
    }

    /// When the next read of an open row is served, and its slot; none before the next refresh.
    #[inline]
    fn next_hit(&self, now: u64) -> Option<(u64, u32)> {
        let rising = |t: u64| if self.d.half_cycles { t | 1 } else { t };
        let first = rising(self.state.column_bus.max(now + 1));
        // Mostly the oldest request of all may be served as soon as the bus is free; else the first one that may, of several the oldest.
        let (mut at, mut slot) = (u64::MAX, 0);
        for (this, request) in self.reads.by_age() {
            let ready = rising(self.hit_ready(request).max(first));
            if ready < at {
                (at, slot) = (ready, this);
                if at == first {
                    break;
                }
            }
        }
        (at < self.next_refresh).then_some((at, slot))
    }

    #[inline]
    fn hit_ready(&self, request: &Request) -> u64 {
        let b = bank_of(request.order);
        let pc = self.state.pc(b);
        pc.column_ready(b, false).max(pc.read)
    }
}

/// Banks that consecutive addresses go round, and how many ticks after one another they are read; no banks, if this is not regular.
#[derive(Debug, Clone)]
pub(super) struct Cycle {
    banks: Vec<u16>,
    step: u64,
}

impl Cycle {
    pub(super) fn new(source: &Source, organisation: &Organisation, d: &Distances) -> Self {
        let banks = source.cycle();
        let rank = |bank: u16| bank >> (organisation.banks.ilog2() + organisation.bank_groups.ilog2());
        let rising = |ticks: u64| if d.half_cycles { ticks.next_multiple_of(2) } else { ticks };
        let one_rank = banks.iter().all(|&bank| rank(bank) == banks.first().map_or(0, |&b| rank(b)));
        // Within a rank each read keeps every other one waiting; else the command bus decides.
        let least = if one_rank { d.data.max(d.column_short) } else { 0 };
        let step = rising(d.column_bus.max(least).max(1));
        let wait = |from: u16, to: u16| {
            let (pc, group) = (from >> PC_SHIFT == to >> PC_SHIFT, organisation.banks.ilog2());
            let long = if from >> group == to >> group { d.column_long } else { 0 };
            let rank = if rank(from) == rank(to) { d.column_short } else { d.read_read_ranks };
            if pc { d.data.max(long).max(rank) } else { 0 }
        };
        let longest = d.data.max(d.column_long).max(d.column_short).max(d.read_read_ranks);
        let in_time = |i: usize| {
            let reached = (1..=longest.div_ceil(step)).zip((0..banks.len()).cycle().skip(i + 1));
            reached.into_iter().all(|(turns, j)| wait(banks[i], banks[j]) <= turns * step)
        };
        let regular = (0..banks.len()).all(in_time);
        Self { banks: if regular { banks } else { Vec::new() }, step }
    }
}
