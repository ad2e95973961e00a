//! Attention of one layer, timed on this CPU over a grid of shapes: baseline and slim schemes side by side.

pub(in crate::host) mod bench;
mod grid;
mod read;
mod table;

pub(in crate::host) use bench::pattern;
pub use bench::{Bench, Effort, Timed};
pub use grid::{Skipped, full_grid, quick_grid};
pub use read::{Table, TableError, read};
pub use table::write;

use super::kernels::{Scheme, Shape};
use super::samples::Samples;
use crate::units::Dtype;
use serde::{Deserialize, Serialize};

/// Where the bytes lie that a step reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tier {
    /// In DRAM: driven out of all caches before each step, as other layers do in a decode step.
    Dram,
    /// In the caches, where the step before has left them.
    Cache,
}

impl Tier {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Dram, Self::Cache];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Dram => "dram",
            Self::Cache => "cache",
        }
    }
}

/// One point of the grid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Setting {
    /// Shape.
    pub shape: Shape,
    /// Type of cache and weights.
    pub dtype: Dtype,
    /// Threads.
    pub threads: usize,
    /// Where the bytes lie.
    pub tier: Tier,
}

impl Setting {
    /// Bytes of the cache of keys, or of values.
    #[must_use]
    pub fn cache_bytes(&self) -> usize {
        self.shape.cache() * self.dtype.bits() as usize / 8
    }

    /// Bytes of W_KV.
    #[must_use]
    pub fn weight_bytes(&self) -> usize {
        self.shape.width() * self.shape.width() * self.dtype.bits() as usize / 8
    }
}

/// What a point took.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// The point.
    pub setting: Setting,
    /// Times by scheme.
    pub times: Vec<(Scheme, Summary)>,
    /// Samples left out, all schemes together.
    pub rejected: u64,
}

impl Measured {
    /// The times of `scheme`.
    #[must_use]
    pub fn of(&self, scheme: Scheme) -> Option<&Summary> {
        self.times.iter().find(|(s, _)| *s == scheme).map(|(_, t)| t)
    }

    /// Time of kv-cache over that of slim-k.
    #[must_use]
    pub fn ratio(&self) -> Option<f64> {
        Some(self.of(Scheme::KvCache)?.median / self.of(Scheme::SlimK)?.median)
    }

    /// The part by which the ratio varies: both spreads together.
    #[must_use]
    pub fn spread(&self) -> Option<f64> {
        let (a, b) = (self.of(Scheme::KvCache)?.spread, self.of(Scheme::SlimK)?.spread);
        Some(a.hypot(b))
    }
}

/// A median and its spread.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Summary {
    /// Seconds.
    pub median: f64,
    /// Half the distance of the quartiles over the median.
    pub spread: f64,
    /// Samples that count.
    pub samples: usize,
}

impl Summary {
    /// Of `samples`; `None` of fewer than three.
    #[must_use]
    pub fn of(samples: &Samples) -> Option<Self> {
        Some(Self { median: samples.median()?, spread: samples.spread()?, samples: samples.len() })
    }
}
