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
    distances: Distances,
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
            distances,
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
            let next = self.channels.iter().map(Channel::wake).fold(u64::MAX, u64::min);
            self.now = next.max(self.now + 1);
            for channel in &mut self.channels {
                if channel.wake() <= self.now
                    && let Some(read) = channel.tick(self.now)
                {
                    let d = &self.distances;
                    last = last.max(self.now + if read { d.read_latency } else { d.write_latency });
                }
            }
        }
        last
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

    /// Bursts of a period of the pattern.
    pub(super) const fn period(&self) -> u64 {
        self.source.period()
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use crate::hardware::hbm::address_map::AddressMap;
    use crate::hardware::hbm::timing::{CommandBus, Timing};
    use crate::units::Picos;

    /// HBM3 at 6,400 Mb/s a pin, with refreshes five times as often, so that a short run sees several.
    const HBM3: (Organisation, Timing, CommandBus) = (
        Organisation {
            pseudo_channels: 2,
            ranks: 2,
            bank_groups: 4,
            banks: 4,
            rows: 16384,
            columns: 32,
            burst_bytes: 32,
        },
        Timing {
            tck: Picos(625),
            tbl: 2,
            tcl: 20,
            tcwl: 10,
            trcd_read: 31,
            trcd_write: 15,
            trp: 26,
            tras: 45,
            trc: 72,
            trtp: 9,
            twr: 33,
            tccd_s: 2,
            tccd_l: 4,
            tccd_r: 3,
            trrd_s: 4,
            trrd_l: 5,
            tfaw: 24,
            twtr_s: 7,
            twtr_l: 10,
            trtw: 20,
            tppd: 2,
            trfc: 560,
            trefi: 1300,
        },
        CommandBus { shared: false, activate: 3, row: 1, column: 2 },
    );

    /// Parts of different kinds: row commands on both clock edges or not, one command bus, one pseudo-channel, one rank, and groups that
    /// are no faster than the next read.
    fn parts() -> [(Organisation, Timing, CommandBus); 5] {
        let (o, t, bus) = HBM3;
        let whole = CommandBus { activate: 4, row: 2, ..bus };
        let shared = CommandBus { shared: true, activate: 4, row: 2, column: 4 };
        let half = Organisation { pseudo_channels: 1, ranks: 1, columns: 64, ..o };
        let slow = Timing { tbl: 4, tccd_s: 4, tccd_l: 6, tccd_r: 7, ..t };
        [
            HBM3,
            (Organisation { ranks: 1, ..o }, t, whole),
            (half, slow, shared),
            (o, slow, bus),
            (Organisation { bank_groups: 2, ..o }, Timing { trp: 12, trcd_read: 12, ..t }, bus),
        ]
    }

    fn memory(
        (o, t, bus): &(Organisation, Timing, CommandBus),
        map: &str,
        pattern: &str,
        settings: Settings,
    ) -> Memory {
        let interleave = Interleave { channels: 1, granularity: 256, hash: false };
        let decoder = AddressMap::parse(map, map).unwrap().decoder(o).unwrap();
        let pattern: crate::hardware::hbm::pattern::Pattern = pattern.parse().unwrap();
        let runs = pattern.runs(u64::from(o.burst_bytes), o.bursts(), 7).unwrap();
        let traffic = Traffic { interleave, window: None, settings };
        Memory::new(o, Distances::new(t, bus), decoder, traffic, runs)
    }

    /// Every tick for itself: nothing is skipped, put off or done at once.
    fn every_tick(memory: &mut Memory, bursts: u64) {
        while memory.sent < bursts {
            memory.send(bursts);
            if memory.sent < bursts {
                memory.now += 1;
                memory.channels[0].tick(memory.now);
            }
        }
    }

    #[test]
    fn what_is_skipped_changes_nothing() {
        const BURSTS: u64 = 2500;
        let maps = ["pc bg col ba sid row", "bg:1 col:2 pc bg col ba sid row", "bg col ba sid pc row"];
        let maps = [maps[0], maps[1], maps[2], "col pc sid bg ba row", "sid pc bg col:3 ba row:2 col row"];
        let patterns =
            ["seq", "rand16384", "rand4096", "rand256", "rand1056", "stride8192x512", "multi3x1024"];
        for part in parts() {
            for map in maps {
                for pattern in patterns {
                    for (queue, refresh) in
                        [(1, true), (3, false), (8, true), (32, false), (32, true), (100, true)]
                    {
                        let settings = |writes| Settings { queue, refresh, writes };
                        let mut fast = memory(&part, map, pattern, settings(false));
                        // In pieces, as batches of a sample are.
                        for end in 1.. {
                            fast.run(BURSTS, end * 1999);
                            if fast.sent() >= BURSTS {
                                break;
                            }
                        }
                        // A channel that expects writes leaves no tick out.
                        let mut slow = memory(&part, map, pattern, settings(true));
                        every_tick(&mut slow, BURSTS);
                        assert_eq!(
                            (fast.now(), fast.counts()),
                            (slow.now(), slow.counts()),
                            "{pattern}, map {map}, queue {queue}, refresh {refresh}, {part:?}"
                        );
                    }
                }
            }
        }
    }
}
