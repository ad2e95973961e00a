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

/// Shares of a stream's time at the memory, in 10⁻⁹; together they are the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Service {
    /// Data on the bus: the achieved share of the peak bandwidth.
    pub efficiency: u64,
    /// Waiting for rows to close and open, for turnarounds, for too little under way.
    pub row_miss: u64,
    /// Refreshes, with the rows that they close.
    pub refresh: u64,
}

impl Service {
    /// All that a flat memory does is move data.
    pub const FLAT: Self = Self { efficiency: WHOLE, row_miss: 0, refresh: 0 };

    /// `amount` of this efficiency, rounded down.
    #[must_use]
    pub const fn achieved(&self, amount: u64) -> u64 {
        (amount as u128 * self.efficiency as u128 / WHOLE as u128) as u64
    }

    /// `time` at the memory, taken apart: data, row misses, refreshes. They sum to it.
    #[must_use]
    pub fn split(&self, time: u64) -> (u64, u64, u64) {
        let share = |part: u64| (u128::from(time) * u128::from(part) / u128::from(WHOLE)) as u64;
        let (row_miss, refresh) = (share(self.row_miss), share(self.refresh));
        (time - row_miss - refresh, row_miss, refresh)
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
            refresh: false,
            queue: self.queue,
            bursts: BURSTS,
            interleave: Interleave { channels: 1, granularity, hash: false },
            window: stream.window.map(NonZeroU64::get),
            seed: 1,
            whole: false,
        };
        let without = study.run(&self.device)?.efficiency;
        let with = if self.refresh {
            // Samples differ by chance; refreshes never help.
            Study { refresh: true, ..study }.run(&self.device)?.efficiency.min(without)
        } else {
            without
        };
        let parts = |share: f64| ((share * WHOLE as f64).round() as u64).min(WHOLE);
        let efficiency = parts(with).max(1);
        let refresh = parts(1.0 - with / without).min(WHOLE - efficiency);
        Ok(Service { efficiency, row_miss: WHOLE - efficiency - refresh, refresh })
    }
}

/// `bursts`, rounded down to four values an octave: machines of a sweep that differ a little in what is under way share a study.
const fn on_grid(bursts: u64) -> u64 {
    let octave = bursts.ilog2();
    if octave < 2 { bursts } else { bursts >> (octave - 2) << (octave - 2) }
}
