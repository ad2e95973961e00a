//! An in-order requester in front of one or several channels.
//!
//! It asks for bursts in the pattern's order, two a clock cycle for each channel at most, and waits where the channel that comes next has no room
//! or so many bytes are under way that its window is full.

use std::collections::VecDeque;

use super::address_map::Decoder;
use super::channel::{Channel, Settings};
use super::counts::Counts;
use super::hits::Cycle;
use super::organisation::Organisation;
use super::pattern::Runs;
use super::source::{Burst, Source};
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
    pub(super) fn place(self, burst: u64, shift: u32) -> (usize, u64) {
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
    source: Source,
    cycle: Cycle,
    /// Bursts that may be under way.
    window: u64,
    under_way: u64,
    /// Ticks at which reads under way arrive.
    arrivals: VecDeque<u64>,
    read_latency: u64,
    /// Bursts that may be asked for in a tick.
    sends: usize,
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
        let source = Source::new(traffic.interleave, organisation, decoder, runs);
        let channel = Channel::new(organisation, distances, traffic.settings);
        Self {
            wakes: vec![channel.wake(); count],
            channels: vec![channel; count],
            cycle: Cycle::new(&source, organisation, &distances),
            source,
            window: traffic.window.map_or(u64::MAX, |w| w / burst),
            under_way: 0,
            arrivals: VecDeque::new(),
            read_latency: distances.read_latency,
            sends: count * if distances.half_cycles { 1 } else { 2 },
            sent: 0,
            now: 0,
        }
    }

    /// Lets time pass until `bursts` bursts have been asked for since the beginning, or until tick `end`.
    pub(super) fn run(&mut self, bursts: u64, end: u64) {
        if self.channels.len() == 1 && self.window == u64::MAX {
            self.run_alone(bursts, end);
        } else {
            self.run_together(bursts, end);
        }
    }

    /// One channel, and no limit to what is under way: [`Self::run_together`] without what such a requester never waits for.
    fn run_alone(&mut self, bursts: u64, end: u64) {
        let [channel] = &mut self.channels[..] else { return };
        while self.sent < bursts && self.now < end {
            if channel.only_hits() {
                let most = bursts - self.sent;
                let (sent, now) = channel.convey(&mut self.source, &self.cycle, most, self.now, end);
                (self.sent, self.now) = (self.sent + sent, now);
            }
            let mut full = None;
            for _ in 0..self.sends {
                if self.sent >= bursts {
                    return;
                }
                let Burst { bank, row, write, .. } = self.source.peek();
                if !channel.has_room(write) {
                    full = Some(write);
                    break;
                }
                channel.push(self.now, bank, row, write);
                self.source.advance();
                self.sent += 1;
            }
            if self.sent >= bursts {
                return;
            }
            // Where the queue is full, it goes on once a burst has been served.
            loop {
                self.now += 1;
                if channel.wake() <= self.now {
                    channel.tick(self.now);
                }
                if full.is_none_or(|write| channel.has_room(write)) {
                    break;
                }
                let next = channel.wake();
                if next > self.now + 1 && next < u64::MAX {
                    self.now = (next - 1).min(end.max(self.now));
                }
                if self.now >= end || channel.only_hits() {
                    break;
                }
            }
        }
    }

    /// Several channels, or a window.
    fn run_together(&mut self, bursts: u64, end: u64) {
        while self.sent < bursts && self.now < end {
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
                            self.arrivals.push_back(now + self.read_latency);
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
            let Burst { channel, bank, row, write } = self.source.peek();
            let channel = channel as usize;
            let target = &mut self.channels[channel];
            if !target.has_room(write) {
                return Blocked::ByChannel(channel, write);
            }
            target.push(self.now, bank, row, write);
            self.wakes[channel] = target.wake();
            self.source.advance();
            self.sent += 1;
            self.under_way += 1;
        }
        Blocked::Not
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
