//! Access patterns: the order in which a requester asks for bursts.

use std::fmt;
use std::str::FromStr;

use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::Rng;

/// An access pattern. Sizes are bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Pattern {
    /// `seq`: one sequential stream of reads.
    Sequential,
    /// `rand<CHUNK>`: aligned chunks at random.
    Random {
        /// Bytes of a chunk.
        chunk: u64,
    },
    /// `stride<STRIDE>x<ACCESS>`: so many bytes at every multiple of the stride.
    Strided {
        /// From one access to the next.
        stride: u64,
        /// Bytes of an access.
        access: u64,
    },
    /// `multi<K>x<CHUNK>`: sequential streams, a chunk of each in turn.
    Streams {
        /// How many.
        streams: u64,
        /// Bytes of a chunk.
        chunk: u64,
    },
    /// `seqw<PERCENT>x<RUN>`: sequential reads, with sequential writes elsewhere in runs.
    SequentialWrites {
        /// Share of writes.
        percent: u64,
        /// Bytes of a run of writes.
        run: u64,
    },
    /// `kvw<PERCENT>x<RUN>`: reads of random 4 KiB chunks, with writes of random chunks.
    CacheWrites {
        /// Share of writes.
        percent: u64,
        /// Bytes of a run of writes.
        run: u64,
    },
}

/// Bytes that a cache pattern reads at a place.
const CACHE_CHUNK: u64 = 4096;

/// A pattern that cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// Not one of the forms.
    #[error(
        "'{0}' is no access pattern (expected seq, rand<BYTES>, stride<BYTES>x<BYTES>, multi<STREAMS>x<BYTES>, seqw<PERCENT>x<BYTES> or \
         kvw<PERCENT>x<BYTES>)"
    )]
    Form(String),
    /// A size that is no positive multiple of the burst.
    #[error("{what} of {bytes} bytes is not a positive multiple of the burst, {burst} bytes")]
    NotBursts {
        /// What has the size.
        what: &'static str,
        /// The size.
        bytes: u64,
        /// Bytes of a burst.
        burst: u64,
    },
    /// A size that a memory cannot hold.
    #[error("{what} of {bytes} bytes does not fit the {total} bytes of the memory")]
    TooLarge {
        /// What has the size.
        what: &'static str,
        /// The size.
        bytes: u64,
        /// Bytes of the memory.
        total: u128,
    },
    /// More streams than there are bursts to begin with.
    #[error("{streams} streams are more than the memory has bursts, {total}")]
    Streams {
        /// How many.
        streams: u64,
        /// Bursts of the memory.
        total: u64,
    },
    /// A share outside 1 to 99 percent.
    #[error("a share of writes of {0} % is outside 1 to 99 %")]
    Percent(u64),
    /// No streams.
    #[error("a pattern needs at least one stream")]
    NoStream,
}

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        let wrong = || PatternError::Form(text.to_owned());
        let number = |t: &str| t.parse::<u64>().map_err(|_| wrong());
        let pair = |t: &str| {
            let (a, b) = t.split_once('x').ok_or_else(wrong)?;
            Ok((number(a)?, number(b)?))
        };
        if text == "seq" {
            Ok(Self::Sequential)
        } else if let Some(rest) = text.strip_prefix("seqw") {
            pair(rest).map(|(percent, run)| Self::SequentialWrites { percent, run })
        } else if let Some(rest) = text.strip_prefix("kvw") {
            pair(rest).map(|(percent, run)| Self::CacheWrites { percent, run })
        } else if let Some(rest) = text.strip_prefix("rand") {
            Ok(Self::Random { chunk: number(rest)? })
        } else if let Some(rest) = text.strip_prefix("stride") {
            pair(rest).map(|(stride, access)| Self::Strided { stride, access })
        } else if let Some(rest) = text.strip_prefix("multi") {
            pair(rest).map(|(streams, chunk)| Self::Streams { streams, chunk })
        } else {
            Err(wrong())
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Sequential => f.write_str("seq"),
            Self::Random { chunk } => write!(f, "rand{chunk}"),
            Self::Strided { stride, access } => write!(f, "stride{stride}x{access}"),
            Self::Streams { streams, chunk } => write!(f, "multi{streams}x{chunk}"),
            Self::SequentialWrites { percent, run } => write!(f, "seqw{percent}x{run}"),
            Self::CacheWrites { percent, run } => write!(f, "kvw{percent}x{run}"),
        }
    }
}

/// A run of bursts at consecutive addresses: its first burst, how many, whether they are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// Number of the first burst.
    pub first: u64,
    /// Bursts.
    pub bursts: u64,
    /// Whether they are writes.
    pub write: bool,
}

/// The runs of a pattern on a memory of `total` bursts, without end.
#[derive(Debug, Clone)]
pub struct Runs {
    total: u64,
    kind: Kind,
    step: u64,
    random: Pcg64Mcg,
}

/// A pattern in bursts.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Sequential,
    Random { chunk: u64 },
    Strided { stride: u64, access: u64 },
    Streams { streams: u64, chunk: u64 },
    SequentialWrites { reads: u64, run: u64 },
    CacheWrites { chunk: u64, chunks: u64, run: u64 },
}

/// Bursts that a sequential stream is handed over in at a time.
const SEQUENTIAL_RUN: u64 = 256;
/// Bursts that the region of writes lies beyond the middle of the memory.
const WRITES_BEYOND: u64 = 1024 * 3;
/// Chunks by which each of several streams is shifted against the one before, so that they do not meet in one bank.
const STREAM_SHIFT: u64 = 977;

impl Pattern {
    /// What the names of patterns begin with, before the numbers.
    pub const NAMES: [&str; 6] = ["seq", "rand", "stride", "multi", "seqw", "kvw"];

    /// Whether there are writes in it.
    #[must_use]
    pub const fn writes(&self) -> bool {
        matches!(self, Self::SequentialWrites { .. } | Self::CacheWrites { .. })
    }

    /// The runs of this pattern, in bursts of `burst` bytes, on a memory of `total` bursts; random ones from `seed`.
    ///
    /// # Errors
    ///
    /// Sizes that are no multiples of the burst or do not fit.
    pub fn runs(&self, burst: u64, total: u64, seed: u64) -> Result<Runs, PatternError> {
        let bursts = |what: &'static str, bytes: u64| {
            if bytes == 0 || !bytes.is_multiple_of(burst) {
                Err(PatternError::NotBursts { what, bytes, burst })
            } else if bytes / burst > total {
                Err(PatternError::TooLarge { what, bytes, total: u128::from(total) * u128::from(burst) })
            } else {
                Ok(bytes / burst)
            }
        };
        let share = |percent: u64| {
            if (1..100).contains(&percent) { Ok(percent) } else { Err(PatternError::Percent(percent)) }
        };
        let kind = match *self {
            Self::Sequential => Kind::Sequential,
            Self::Random { chunk } => Kind::Random { chunk: bursts("a chunk", chunk)? },
            Self::Strided { stride, access } => {
                Kind::Strided { stride: bursts("a stride", stride)?, access: bursts("an access", access)? }
            }
            Self::Streams { streams: 0, .. } => return Err(PatternError::NoStream),
            Self::Streams { streams, .. } if streams > total => {
                return Err(PatternError::Streams { streams, total });
            }
            Self::Streams { streams, chunk } => Kind::Streams { streams, chunk: bursts("a chunk", chunk)? },
            Self::SequentialWrites { percent, run } => {
                let (percent, run) = (share(percent)?, bursts("a run of writes", run)?);
                // Half up, as shares are rounded.
                let all = (200 * run + percent) / (2 * percent);
                Kind::SequentialWrites { reads: all - run, run }
            }
            Self::CacheWrites { percent, run } => {
                let (percent, run) = (share(percent)?, bursts("a run of writes", run)?);
                let chunk = bursts("a chunk", CACHE_CHUNK)?;
                let chunks = (2 * run * (100 - percent) + percent * chunk) / (2 * percent * chunk);
                Kind::CacheWrites { chunk, chunks, run }
            }
        };
        let random = Pcg64Mcg::new(u128::from(seed) << 64 | 0x5157_1e8a_93c4_d02b);
        Ok(Runs { total, kind, step: 0, random })
    }
}

impl Runs {
    /// An aligned chunk of `bursts` at random.
    fn chunk(&mut self, bursts: u64) -> u64 {
        let chunks = self.total / bursts;
        // The bias of this is below 2⁻³².
        let random = (u128::from(self.random.next_u64()) * u128::from(chunks)) >> 64;
        random as u64 * bursts
    }

    /// Bursts after which reads and writes, or all streams, have come in the same proportion again.
    pub(super) const fn period(&self) -> u64 {
        match self.kind {
            Kind::SequentialWrites { reads, run } => reads + run,
            Kind::CacheWrites { chunk, chunks, run } => chunk * chunks + run,
            Kind::Streams { streams, chunk } => streams.saturating_mul(chunk),
            Kind::Sequential | Kind::Random { .. } | Kind::Strided { .. } => 1,
        }
    }

    /// The next run.
    pub fn next_run(&mut self) -> Run {
        let step = self.step;
        self.step += 1;
        let read = |first: u64, bursts: u64| Run { first, bursts, write: false };
        match self.kind {
            Kind::Sequential => read(step * SEQUENTIAL_RUN, SEQUENTIAL_RUN),
            Kind::Random { chunk } => {
                let first = self.chunk(chunk);
                read(first, chunk)
            }
            Kind::Strided { stride, access } => read(step.wrapping_mul(stride), access),
            Kind::Streams { streams, chunk } => {
                let (stream, turn) = (step % streams, step / streams);
                // Addresses wrap at the memory's bursts, a power of two, so that these may wrap as well.
                let shift = stream.wrapping_mul(STREAM_SHIFT.wrapping_mul(chunk));
                read((stream * (self.total / streams)).wrapping_add(shift).wrapping_add(turn * chunk), chunk)
            }
            Kind::SequentialWrites { reads, run } => {
                let (turn, writes) = (step / 2, step % 2 == 1);
                if writes {
                    let first = self.total / 2 + WRITES_BEYOND + turn * run;
                    Run { first, bursts: run, write: true }
                } else {
                    read(turn * reads, reads)
                }
            }
            Kind::CacheWrites { chunk, chunks, run } => {
                if step % (chunks + 1) == chunks {
                    Run { first: self.chunk(run), bursts: run, write: true }
                } else {
                    let first = self.chunk(chunk);
                    read(first, chunk)
                }
            }
        }
    }
}
