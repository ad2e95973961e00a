//! What a part gives a stream of an accelerator: achieved bandwidth as a share of the peak, and why the rest is lost.
//!
//! Computed once for each class of stream and remembered. One channel stands for all: addresses are spread evenly over them, and the
//! cores of an accelerator together keep them busy.

use std::num::NonZeroU64;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use super::address_map::AddressMap;
use super::device::Device;
use super::pattern::Pattern;
use super::requester::Interleave;
use super::study::{Study, StudyError};
use crate::units::Bytes;
use rustc_hash::FxHashMap;

/// Parts of an accelerator, and how addresses reach them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attached {
    /// The part's name, or its file's path, as an accelerator names it.
    pub part: String,
    /// The part.
    pub device: Arc<Device>,
    /// How many.
    pub count: u32,
    /// Addresses within a channel.
    pub map: AddressMap,
    /// Bytes at consecutive addresses that one channel takes.
    pub interleave: Bytes,
    /// Entries of a channel's read queue.
    pub queue: u32,
    /// Whether all-bank refreshes come.
    pub refresh: bool,
}

/// What decides a service.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Question {
    device: Arc<Device>,
    map: AddressMap,
    queue: u32,
    refresh: bool,
    stream: Stream,
}

/// Services that have been computed: each is a function of its question alone, and a sweep asks the same ones again and again.
static KNOWN: LazyLock<Mutex<FxHashMap<Question, Service>>> = LazyLock::new(Mutex::default);

/// What a stream looks like to one channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Stream {
    /// Bytes at consecutive addresses of the channel; `None`: without end.
    chunk: Option<NonZeroU64>,
    /// Bytes under way; `None`: as many as the queue takes.
    window: Option<NonZeroU64>,
}

/// Parts in a whole.
const WHOLE: u64 = 1_000_000_000;
/// Bursts of a study: the sample that stands for longer ones.
const BURSTS: u64 = 1 << 20;
/// Chunks from this size on are a sequential stream: rows are read to their ends either way.
const SEQUENTIAL: u64 = 1 << 20;

/// What a stream gets, and the shares of its time at the memory that are lost, all in 10⁻⁹. What is left is data on the bus, which is more
/// than the efficiency only where a run is no whole number of bursts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Service {
    /// The achieved share of the peak bandwidth.
    pub efficiency: u64,
    /// Waiting for rows to close and open, and for turnarounds.
    pub row_miss: u64,
    /// Refreshes, with the rows that they close.
    pub refresh: u64,
    /// Waiting for data because too little is under way.
    pub latency: u64,
}

/// Time at the memory, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Split {
    /// Data on the bus.
    pub data: u64,
    /// Row misses and turnarounds.
    pub row_miss: u64,
    /// Refreshes.
    pub refresh: u64,
    /// Too little under way.
    pub latency: u64,
}

impl Service {
    /// All that a flat memory does is move data.
    pub const FLAT: Self = Self { efficiency: WHOLE, row_miss: 0, refresh: 0, latency: 0 };

    /// `amount` of this efficiency, rounded down.
    #[must_use]
    pub const fn achieved(&self, amount: u64) -> u64 {
        (amount as u128 * self.efficiency as u128 / WHOLE as u128) as u64
    }

    /// `time` at the memory, taken apart into what sums to it.
    #[must_use]
    pub fn split(&self, time: u64) -> Split {
        let share = |part: u64| (u128::from(time) * u128::from(part) / u128::from(WHOLE)) as u64;
        let (row_miss, refresh, latency) = (share(self.row_miss), share(self.refresh), share(self.latency));
        Split { data: time - row_miss - refresh - latency, row_miss, refresh, latency }
    }

    /// The service of runs of which only `useful` of `moved` bytes are wanted: bursts come whole.
    fn of_useful(self, useful: u64, moved: u64) -> Self {
        let efficiency = u128::from(self.efficiency) * u128::from(useful) / u128::from(moved.max(1));
        Self { efficiency: (efficiency as u64).max(1), ..self }
    }
}

impl Attached {
    /// `count` parts with the device's own settings; `None` where the device has no map.
    #[must_use]
    pub fn new(part: &str, device: Arc<Device>, count: u32) -> Option<Self> {
        let map = device.maps.first()?.clone();
        let queue = device.queue;
        let interleave = Bytes(256.max(u64::from(device.organisation.burst_bytes)));
        Some(Self { part: part.to_owned(), device, count, map, interleave, queue, refresh: true })
    }

    /// Channels of all parts.
    #[must_use]
    pub fn channels(&self) -> u64 {
        u64::from(self.device.channels) * u64::from(self.count)
    }

    /// What a stream gets that reads `run` consecutive bytes at a time from anywhere, or everything in turn, with at most `in_flight`
    /// bytes under way over all channels.
    ///
    /// # Errors
    ///
    /// A part that cannot be studied; none once one service has been given.
    pub fn service(&self, run: Option<Bytes>, in_flight: Option<Bytes>) -> Result<Service, StudyError> {
        let service = self.of_whole_bursts(run, in_flight)?;
        let burst = u64::from(self.device.organisation.burst_bytes);
        Ok(match run {
            Some(Bytes(run)) if !run.is_multiple_of(burst) => {
                service.of_useful(run, run.div_ceil(burst).saturating_mul(burst))
            }
            _ => service,
        })
    }

    /// The service of all bytes that are moved.
    fn of_whole_bursts(&self, run: Option<Bytes>, in_flight: Option<Bytes>) -> Result<Service, StudyError> {
        let question = Question {
            device: Arc::clone(&self.device),
            map: self.map.clone(),
            queue: self.queue,
            refresh: self.refresh,
            stream: self.at_a_channel(run, in_flight),
        };
        if let Some(service) = KNOWN.lock().unwrap_or_else(PoisonError::into_inner).get(&question) {
            return Ok(*service);
        }
        let service = self.study(question.stream)?;
        KNOWN.lock().unwrap_or_else(PoisonError::into_inner).insert(question, service);
        Ok(service)
    }

    /// A run is spread over channels at the interleave; each of those that it touches gets an equal part.
    fn at_a_channel(&self, run: Option<Bytes>, in_flight: Option<Bytes>) -> Stream {
        let burst = u64::from(self.device.organisation.burst_bytes);
        let chunk = run.map(|run| {
            let touched = run.0.div_ceil(self.interleave.0.max(1)).clamp(1, self.channels().max(1));
            let most = self.device.organisation.bursts();
            (run.0 / touched / burst).clamp(1, most) * burst
        });
        // A window far beyond the queue limits nothing.
        let bursts = in_flight.map(|bytes| (bytes.0 / self.channels().max(1) / burst).max(1));
        let window = bursts.filter(|&w| w < 8 * u64::from(self.queue)).map(|w| on_grid(w) * burst);
        Stream {
            chunk: chunk.filter(|&c| c < SEQUENTIAL).and_then(NonZeroU64::new),
            window: window.and_then(NonZeroU64::new),
        }
    }

    fn study(&self, stream: Stream) -> Result<Service, StudyError> {
        let pattern = stream.chunk.map_or(Pattern::Sequential, |c| Pattern::Random { chunk: c.get() });
        let granularity = 256.max(u64::from(self.device.organisation.burst_bytes));
        let study = Study {
            pattern,
            map: self.map.clone(),
            refresh: self.refresh,
            queue: self.queue,
            bursts: BURSTS,
            interleave: Interleave { channels: 1, granularity, hash: false },
            window: stream.window.map(NonZeroU64::get),
            seed: 1,
            whole: false,
        };
        // Samples differ by chance: neither refreshes nor windows ever help.
        let rows =
            Study { refresh: false, window: None, ..study.clone() }.run(&self.device)?.efficiency.min(1.0);
        let refreshed = match self.refresh {
            true => Study { window: None, ..study.clone() }.run(&self.device)?.efficiency.min(rows),
            false => rows,
        };
        let achieved = match study.window {
            Some(_) => study.run(&self.device)?.efficiency.min(refreshed),
            None => refreshed,
        };
        // A byte takes the inverse of an efficiency: what each cause adds to that, of the time in the end.
        let parts = |share: f64| ((share * WHOLE as f64).round() as u64).min(WHOLE);
        let efficiency = parts(achieved).max(1);
        let latency = parts(1.0 - achieved / refreshed).min(WHOLE - efficiency);
        let refresh = parts(achieved / refreshed - achieved / rows).min(WHOLE - efficiency - latency);
        Ok(Service { efficiency, row_miss: WHOLE - efficiency - latency - refresh, refresh, latency })
    }
}

/// `bursts`, rounded down to four values an octave: machines of a sweep that differ a little in what is under way share a study.
const fn on_grid(bursts: u64) -> u64 {
    let octave = bursts.ilog2();
    if octave < 2 { bursts } else { bursts >> (octave - 2) << (octave - 2) }
}
