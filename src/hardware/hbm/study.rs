//! scratch: one device, one pattern.
use super::address_map::AddressMap;
use super::channel::Settings;
use super::organisation::Organisation;
use super::pattern::Pattern;
use super::requester::{Interleave, Memory, Traffic};
use super::timing::{CommandBus, Distances, Timing};

/// scratch
pub fn efficiency(o: &Organisation, t: &Timing, b: &CommandBus, map: &str, pattern: &str, refresh: bool, queue: usize, bursts: u64) -> (u64, u64, f64, u64, u64, f64) {
    let d = Distances::new(t, b);
    let decoder = AddressMap::parse("m", map).unwrap().decoder(o).unwrap();
    let p: Pattern = pattern.parse().unwrap();
    let runs = p.runs(o.burst_bytes.into(), o.bursts(), 1).unwrap();
    let traffic = Traffic { interleave: Interleave { channels: 1, granularity: 256, hash: false }, window: None, settings: Settings { queue, refresh } };
    let mut m = Memory::new(o, d, decoder, traffic, runs);
    m.run_until_sent(bursts);
    let c = m.counts();
    let per_burst = d.data as f64 / o.pseudo_channels as f64;
    (c.served, m.now(), c.served as f64 * per_burst / m.now() as f64, c.activates, c.refreshes, c.read_latency as f64 / c.reads as f64)
}
