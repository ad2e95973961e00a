//! The bursts of a pattern in order, each with the place that it falls on.

use super::address_map::Decoder;
use super::organisation::Organisation;
use super::pattern::{Run, Runs};
use super::requester::Interleave;
use super::waiting::PC_SHIFT;

/// A burst and where it goes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Burst {
    pub(super) channel: u32,
    pub(super) row: u32,
    /// Numbered as in a [`super::waiting::Queue`].
    pub(super) bank: u16,
    pub(super) write: bool,
}

/// Address bits that are looked up together.
const LOW: u32 = 8;
/// They alone.
const LOW_MASK: u64 = (1 << LOW) - 1;

/// The bursts of a pattern.
#[derive(Debug)]
pub(super) struct Source {
    runs: Runs,
    run: Run,
    interleave: Interleave,
    shift: u32,
    mask: u64,
    decoder: Decoder,
    /// Bank and row of what the lowest bits of an address say, and of what the bits above it say, last looked up for `high`: a map
    /// sends every bit somewhere for itself.
    low: Vec<(u16, u32)>,
    high: (u64, u16, u32),
    /// Address bits of the banks of a pseudo-channel.
    banks: u32,
    next: Burst,
}

impl Source {
    pub(super) fn new(
        interleave: Interleave,
        organisation: &Organisation,
        decoder: Decoder,
        runs: Runs,
    ) -> Self {
        let burst_bytes = u64::from(organisation.burst_bytes);
        let banks = organisation.all_banks() / organisation.pseudo_channels;
        Self {
            runs,
            run: Run { first: 0, bursts: 0, write: false },
            interleave,
            shift: (interleave.granularity / burst_bytes).max(1).ilog2(),
            mask: decoder.bursts() * u64::from(interleave.channels) - 1,
            low: Vec::new(),
            high: (0, 0, 0),
            banks: banks.ilog2(),
            decoder,
            next: Burst { channel: 0, row: 0, bank: 0, write: false },
        }
        .started()
    }

    fn started(mut self) -> Self {
        self.low = (0..1 << LOW).map(|low| self.place(low)).collect();
        self.high = (0, self.low[0].0, self.low[0].1);
        self.next = self.make();
        self
    }

    /// Bank and row of a burst of a channel.
    fn place(&self, burst: u64) -> (u16, u32) {
        let (bank, row) = self.decoder.bank_and_row(burst);
        let (pc, within) = (bank >> self.banks, bank & ((1 << self.banks) - 1));
        (pc << PC_SHIFT | within, row)
    }

    /// Bursts of a period of the pattern.
    pub(super) const fn period(&self) -> u64 {
        self.runs.period()
    }

    /// The next burst.
    #[inline]
    pub(super) const fn peek(&self) -> Burst {
        self.next
    }

    /// Goes on to the one after it.
    #[inline]
    pub(super) fn advance(&mut self) {
        self.skip(1);
    }

    /// Leaves out `bursts`, all of them of [`Self::ahead`].
    #[inline]
    pub(super) fn skip(&mut self, bursts: u64) {
        self.run.first += bursts;
        self.run.bursts -= bursts;
        self.next = self.make();
    }

    #[inline]
    fn make(&mut self) -> Burst {
        while self.run.bursts == 0 {
            self.run = self.runs.next_run();
        }
        let burst = self.run.first & self.mask;
        let (channel, within) = self.interleave.place(burst, self.shift);
        let high = within >> LOW;
        if self.high.0 != high {
            let (bank, row) = self.place(high << LOW);
            self.high = (high, bank, row);
        }
        let (bank, row) = self.low[(within & LOW_MASK) as usize];
        Burst {
            channel: channel as u32,
            row: row | self.high.2,
            bank: bank | self.high.1,
            write: self.run.write,
        }
    }

    /// Of one channel: how many bursts follow at consecutive addresses, the next one among them, that differ from it in their lowest
    /// address bits alone; and these bits of the next one.
    #[inline]
    pub(super) fn ahead(&self) -> (u64, usize) {
        let low = self.run.first & LOW_MASK;
        (self.run.bursts.min((1 << LOW) - low), low as usize)
    }

    /// The banks that consecutive addresses fall on, over and over, while no bit changes above the lowest: in the order of the lowest
    /// bits, and without what the bits above add to all of them. Empty where the lowest bits have a part in the row.
    pub(super) fn cycle(&self) -> Vec<u16> {
        let length = (0..LOW).map(|bits| 1 << bits).find(|&length: &usize| {
            self.low.iter().enumerate().all(|(i, &(bank, row))| bank == self.low[i % length].0 && row == 0)
        });
        length.map_or_else(Vec::new, |length| self.low[..length].iter().map(|&(bank, _)| bank).collect())
    }

    /// What the address bits above the lowest add to the bank of the next burst.
    #[inline]
    pub(super) const fn bank_above(&self) -> u16 {
        self.high.1
    }
}
