//! An in-order requester in front of one or several channels.
//!
//! It asks for bursts in the pattern's order, two a clock cycle for each channel at most, and waits where the channel that comes next has no room
//! or so many bytes are under way that its window is full.

use std::collections::VecDeque;

use super::address_map::Decoder;
use super::channel::{Channel, Counts, Settings};
use super::organisation::Organisation;
use super::pattern::{Run, Runs};
use super::timing::Distances;

/// How addresses are spread over channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Interleave {
    /// Channels, a power of two.
    pub channels: u32,
    /// Bytes at consecutive addresses that one channel takes, a power of two.
    pub granularity: u64,
    /// Whether all higher address bits are folded into the channel number by exclusive or, so that no stride falls on one channel.
    pub hash: bool,
}

impl Interleave {
    /// Channel, and burst within it, of the burst numbered `burst`.
    #[inline]
    fn place(self, burst: u64, shift: u32) -> (usize, u64) {
        let bits = self.channels.ilog2();
        if bits == 0 {
            return (0, burst);
        }
        let mask = u64::from(self.channels) - 1;
        let block = burst >> shift;
        let mut channel = block & mask;
        let above = block >> bits;
        if self.hash {
            let mut rest = above;
            while rest > 0 {
                channel ^= rest & mask;
                rest >>= bits;
            }
        }
        (channel as usize, above << shift | (burst & ((1 << shift) - 1)))
    }
}

/// Everything that decides what a requester gets, apart from the pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Traffic {
    pub(super) interleave: Interleave,
    /// Bytes that may be asked for and not yet have arrived; `None`: no limit.
    pub(super) window: Option<u64>,
    pub(super) settings: Settings,
}

/// Channels and the requester before them.
#[derive(Debug)]
pub(super) struct Memory {
    channels: Vec<Channel>,
    wakes: Vec<u64>,
    decoder: Decoder,
    traffic: Traffic,
    shift: u32,
    mask: u64,
    /// Bursts that may be under way.
    window: u64,
    under_way: u64,
    /// Ticks at which reads under way arrive.
    arrivals: VecDeque<u64>,
    distances: Distances,
    /// Bursts that may be asked for in a tick.
    sends: usize,
    runs: Runs,
    run: Run,
    waiting: Option<(usize, u16, u32, bool)>,
    sent: u64,
    now: u64,
}

impl Memory {
    pub(super) fn new(
        organisation: &Organisation,
        distances: Distances,
        decoder: Decoder,
        traffic: Traffic,
        runs: Runs,
    ) -> Self {
        let count = traffic.interleave.channels as usize;
        let burst = u64::from(organisation.burst_bytes);
        let channel = Channel::new(organisation, distances, traffic.settings);
        Self {
            wakes: vec![channel.wake(); count],
            channels: vec![channel; count],
            shift: (traffic.interleave.granularity / burst).max(1).ilog2(),
            mask: decoder.bursts() * count as u64 - 1,
            decoder,
            traffic,
            window: traffic.window.map_or(u64::MAX, |w| w / burst),
            under_way: 0,
            arrivals: VecDeque::new(),
            distances,
            sends: count * if distances.half_cycles { 1 } else { 2 },
            runs,
            run: Run { first: 0, bursts: 0, write: false },
            waiting: None,
            sent: 0,
            now: 0,
        }
    }

    /// Lets time pass until `bursts` bursts have been asked for since the beginning, or until tick `end`.
    pub(super) fn run(&mut self, bursts: u64, end: u64) {
        let alone = self.channels.len() == 1 && self.window == u64::MAX;
        while self.sent < bursts && self.now < end {
            if alone && self.channels[0].only_hits() {
                self.convey(bursts, end);
            }
            let blocked = self.send(bursts);
            if self.sent >= bursts {
                break;
            }
            let mut next = u64::MAX;
            self.now += 1;
            let now = self.now;
            for (channel, wake) in self.channels.iter_mut().zip(&mut self.wakes) {
                if *wake <= now {
                    if let Some(read) = channel.tick(now) {
                        if read && self.window < u64::MAX {
                            self.arrivals.push_back(now + self.distances.read_latency);
                        } else {
                            self.under_way -= 1;
                        }
                    }
                    *wake = channel.wake();
                }
                next = next.min(*wake);
            }
            // A requester that waits for a full channel goes on once that has served a burst; one that waits for data, once they arrive.
            let still = match blocked {
                Blocked::Not => false,
                Blocked::ByWindow => true,
                Blocked::ByChannel(channel, write) => !self.channels[channel].has_room(write),
            };
            if still {
                if matches!(blocked, Blocked::ByWindow) {
                    next = next.min(self.arrivals.front().copied().unwrap_or(u64::MAX));
                }
                if next > self.now + 1 && next < u64::MAX {
                    self.now = (next - 1).min(end.max(self.now));
                }
            }
        }
    }

    /// Lets what has been asked for be served. Returns the tick at which the last of it has passed the data bus.
    pub(super) fn finish(&mut self) -> u64 {
        let mut last = self.now;
        while self.counts().served < self.sent {
            self.now = self.wakes.iter().copied().fold(u64::MAX, u64::min).max(self.now + 1);
            for (channel, wake) in self.channels.iter_mut().zip(&mut self.wakes) {
                if *wake <= self.now {
                    if let Some(read) = channel.tick(self.now) {
                        let d = &self.distances;
                        last = last.max(self.now + if read { d.read_latency } else { d.write_latency });
                    }
                    *wake = channel.wake();
                }
            }
        }
        last
    }

    /// Goes from read to read while the queue of the only channel is full of reads of open rows and more of them follow.
    fn convey(&mut self, until: u64, end: u64) {
        while self.sent < until && self.now < end {
            let (channel, bank, row, write) = match self.waiting {
                Some(w) => w,
                None => self.next_burst(),
            };
            self.waiting = Some((channel, bank, row, write));
            let target = &mut self.channels[0];
            if write || target.has_room(false) || !target.is_open(bank, row) {
                return;
            }
            let Some(at) = target.serve_hit(self.now) else { return };
            self.now = at;
            target.push(at, bank, row, false);
            self.wakes[0] = target.wake();
            self.waiting = None;
            self.sent += 1;
        }
    }

    /// Sends what can be sent in this tick, at most up to burst `until`.
    fn send(&mut self, until: u64) -> Blocked {
        if self.window < u64::MAX {
            while self.arrivals.front().is_some_and(|&t| t <= self.now) {
                self.arrivals.pop_front();
                self.under_way -= 1;
            }
        }
        for _ in 0..self.sends {
            if self.sent >= until {
                return Blocked::Not;
            }
            if self.under_way >= self.window {
                return Blocked::ByWindow;
            }
            let (channel, bank, row, write) = match self.waiting {
                Some(w) => w,
                None => self.next_burst(),
            };
            let target = &mut self.channels[channel];
            if !target.has_room(write) {
                self.waiting = Some((channel, bank, row, write));
                return Blocked::ByChannel(channel, write);
            }
            target.push(self.now, bank, row, write);
            self.wakes[channel] = target.wake();
            self.waiting = None;
            self.sent += 1;
            self.under_way += 1;
        }
        Blocked::Not
    }

    #[inline]
    fn next_burst(&mut self) -> (usize, u16, u32, bool) {
        while self.run.bursts == 0 {
            self.run = self.runs.next_run();
        }
        let burst = self.run.first & self.mask;
        self.run.first += 1;
        self.run.bursts -= 1;
        let (channel, within) = self.traffic.interleave.place(burst, self.shift);
        let (bank, row) = self.decoder.bank_and_row(within);
        (channel, bank, row, self.run.write)
    }

    /// Bursts of a period of the pattern.
    pub(super) const fn period(&self) -> u64 {
        self.runs.period()
    }

    pub(super) const fn sent(&self) -> u64 {
        self.sent
    }

    pub(super) const fn now(&self) -> u64 {
        self.now
    }

    pub(super) fn counts(&self) -> Counts {
        self.channels.iter().fold(Counts::default(), |sum, c| sum + c.counts)
    }
}

/// Why a requester sent less than it could.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Blocked {
    Not,
    ByWindow,
    ByChannel(usize, bool),
}
