//! What a part delivers under a pattern: efficiency, row hits, latency.
//!
//! Up to [`WHOLE`] bursts are simulated. Of more, a sample stands for the rest: after a warm-up, batches of whole refresh
//! intervals (or of 2,048 bursts a channel where there is no refresh) until the standard error of the mean time a burst is below
//! 0.1 %, or a sixteenth of the bursts or 2²² have been simulated. Of a pattern with long runs, three
//! periods are at least.

use super::address_map::{AddressMap, MapError};
use super::channel::Settings;
use super::counts::Counts;
use super::device::Device;
use super::pattern::{Pattern, PatternError};
use super::requester::{Interleave, Memory, Traffic};
use super::timing::Distances;
use crate::units::Picos;

/// Bursts a channel that are always simulated.
pub const WHOLE: u64 = 24_576;
/// Bursts a channel of a batch where there is no refresh.
const BATCH: u64 = 2048;
/// Fewest batches.
const FEWEST: u64 = 3;
/// Bursts of the largest sample, if it still has enough intervals: what never settles would take days else.
const LARGEST: u64 = 1 << 22;
/// Relative standard error at which a sample is large enough.
const ENOUGH: f64 = 0.001;

/// What is asked of a part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Study {
    /// The order of addresses.
    pub pattern: Pattern,
    /// The map of addresses within a channel.
    pub map: AddressMap,
    /// Whether all-bank refreshes come.
    pub refresh: bool,
    /// Entries of a channel's read queue, and of its write queue.
    pub queue: u32,
    /// Bursts that are asked for.
    pub bursts: u64,
    /// How addresses are spread over channels.
    pub interleave: Interleave,
    /// Bytes that the requester may have under way; `None`: no limit.
    pub window: Option<u64>,
    /// Seed of random patterns.
    pub seed: u64,
    /// Whether every burst is simulated, however many.
    pub whole: bool,
}

/// Why a study cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StudyError {
    /// The map.
    #[error(transparent)]
    Map(#[from] MapError),
    /// The pattern.
    #[error(transparent)]
    Pattern(#[from] PatternError),
    /// A count that must be a power of two.
    #[error("{what} must be a power of two, not {value}")]
    NotPowerOfTwo {
        /// What.
        what: &'static str,
        /// Its value.
        value: u64,
    },
    /// Interleaving finer than a burst.
    #[error("an interleave of {bytes} bytes is less than a burst, {burst} bytes")]
    Interleave {
        /// The interleave.
        bytes: u64,
        /// Bytes of a burst.
        burst: u32,
    },
    /// Interleaving coarser than what there is to interleave.
    #[error("an interleave of {bytes} bytes is more than a channel, {channel} bytes")]
    Coarse {
        /// The interleave.
        bytes: u64,
        /// Bytes of a channel.
        channel: u64,
    },
    /// A window that holds nothing.
    #[error("a window of {window} bytes is less than one burst, {burst} bytes")]
    Window {
        /// The window.
        window: u64,
        /// Bytes of a burst.
        burst: u32,
    },
    /// Nothing to do.
    #[error("{0} must be at least 1")]
    Zero(&'static str),
}

/// What came out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outcome {
    /// Bursts that were asked for.
    pub bursts: u64,
    /// Bursts that were simulated, warm-up included.
    pub simulated: u64,
    /// Share of the peak bandwidth, 0 to 1.
    pub efficiency: f64,
    /// ACTs over all bursts.
    pub activates: u64,
    /// Share of bursts that found their row open.
    pub row_hit_rate: f64,
    /// All-bank refreshes over the time of all bursts, each pseudo-channel for itself.
    pub refreshes: u64,
    /// Mean time from a read's arrival at its controller to its last data.
    pub mean_read_latency: Picos,
    /// Time of all bursts.
    pub time: Picos,
}

/// What passed between two moments.
#[derive(Debug, Clone, Copy, Default)]
struct Passed {
    ticks: u64,
    counts: Counts,
}

impl Study {
    /// Runs the pattern on `device`.
    ///
    /// # Errors
    ///
    /// What does not suit the device.
    pub fn run(&self, device: &Device) -> Result<Outcome, StudyError> {
        let o = &device.organisation;
        let burst = u64::from(o.burst_bytes);
        for (what, value) in [
            ("the number of channels", u64::from(self.interleave.channels)),
            ("the interleave", self.interleave.granularity),
        ] {
            if !value.is_power_of_two() {
                return Err(StudyError::NotPowerOfTwo { what, value });
            }
        }
        if self.interleave.granularity < burst {
            let bytes = self.interleave.granularity;
            return Err(StudyError::Interleave { bytes, burst: o.burst_bytes });
        }
        let channel = o.bursts() * burst;
        if self.interleave.channels > 1 && self.interleave.granularity > channel {
            return Err(StudyError::Coarse { bytes: self.interleave.granularity, channel });
        }
        if let Some(window) = self.window.filter(|&w| w < burst) {
            return Err(StudyError::Window { window, burst: o.burst_bytes });
        }
        if self.queue == 0 {
            return Err(StudyError::Zero("the queue"));
        }
        if self.bursts == 0 {
            return Err(StudyError::Zero("the number of bursts"));
        }
        let distances = Distances::new(&device.timing, &device.bus);
        let channels = u64::from(self.interleave.channels);
        let runs = self.pattern.runs(burst, o.bursts() * channels, self.seed)?;
        let traffic = Traffic {
            interleave: self.interleave,
            window: self.window,
            settings: Settings {
                queue: self.queue as usize,
                refresh: self.refresh,
                writes: self.pattern.writes(),
            },
        };
        let mut memory = Memory::new(o, distances, self.map.decoder(o)?, traffic, runs);
        let sample = if self.whole || self.bursts <= WHOLE * channels {
            self.all(&mut memory)
        } else {
            self.sample(&mut memory, &distances)
        };
        Ok(self.outcome(device, &distances, &sample, memory.sent()))
    }

    /// Simulates what is left of all bursts, to the end of the last.
    fn all(&self, memory: &mut Memory) -> Passed {
        memory.run(self.bursts, u64::MAX);
        Passed { ticks: memory.finish(), counts: memory.counts() }
    }

    /// Simulates batches until they are enough.
    fn sample(&self, memory: &mut Memory, distances: &Distances) -> Passed {
        let channels = u64::from(self.interleave.channels);
        let most = (WHOLE * channels).max((self.bursts / 16).min(LARGEST));
        let batch = |memory: &mut Memory, number: u64| {
            let before = Passed { ticks: memory.now(), counts: memory.counts() };
            if self.refresh {
                memory.run(self.bursts, (number + 1) * distances.refresh_interval);
            } else {
                memory.run((memory.sent() + BATCH * channels).min(self.bursts), u64::MAX);
            }
            Passed { ticks: memory.now() - before.ticks, counts: memory.counts() - before.counts }
        };
        // Queues fill and rows open; the first refresh has not come yet.
        batch(memory, 0);
        // Long runs: of each as many as the pattern has. Short batches may be alike by chance.
        let least =
            memory.sent() + FEWEST.saturating_mul(memory.period()).min(LARGEST).max(2 * BATCH * channels);
        let (mut sum, mut times) = (Passed::default(), Spread::default());
        for number in 1.. {
            let passed = batch(memory, number);
            sum = Passed { ticks: sum.ticks + passed.ticks, counts: sum.counts + passed.counts };
            times.push(passed.ticks as f64 / passed.counts.served.max(1) as f64);
            if memory.sent() >= self.bursts {
                return self.all(memory);
            }
            let enough = times.count >= FEWEST && times.relative_error() <= ENOUGH;
            if (enough || memory.sent() >= most) && sum.counts.served > 0 && memory.sent() >= least {
                break;
            }
        }
        sum
    }

    fn outcome(&self, device: &Device, d: &Distances, sample: &Passed, simulated: u64) -> Outcome {
        let served = sample.counts.served.max(1);
        let pcs = u64::from(device.organisation.pseudo_channels) * u64::from(self.interleave.channels);
        let per_burst = d.data as f64 / pcs as f64;
        let ticks_a_burst = sample.ticks as f64 / served as f64;
        let all = |count: u64| (u128::from(count) * u128::from(self.bursts) / u128::from(served)) as u64;
        let ticks = ticks_a_burst * self.bursts as f64;
        let picos =
            |ticks: f64| Picos((ticks * device.timing.tck.0 as f64 / d.per_cycle() as f64).round() as u64);
        Outcome {
            bursts: self.bursts,
            simulated,
            efficiency: per_burst / ticks_a_burst,
            // Each serves a burst; at the edges of a sample it may be the next one's.
            activates: all(sample.counts.activates).min(self.bursts),
            row_hit_rate: sample.counts.row_hits as f64 / served as f64,
            refreshes: all(sample.counts.refreshes),
            mean_read_latency: picos(sample.counts.read_latency as f64 / sample.counts.reads.max(1) as f64),
            time: picos(ticks),
        }
    }
}

/// Mean and spread of a series that is seen once.
#[derive(Debug, Clone, Copy, Default)]
struct Spread {
    count: u64,
    mean: f64,
    /// Sum of the squared distances from the mean.
    squares: f64,
}

impl Spread {
    fn push(&mut self, value: f64) {
        self.count += 1;
        let before = value - self.mean;
        self.mean += before / self.count as f64;
        self.squares += before * (value - self.mean);
    }

    /// Standard error of the mean, as a share of it.
    fn relative_error(&self) -> f64 {
        let n = self.count as f64;
        (self.squares / (n - 1.0) / n).sqrt() / self.mean
    }
}
