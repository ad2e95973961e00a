//! What can hold the critical path, and time by cause.

use crate::units::Femtos;
use serde::Serialize;

/// What holds the critical path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[repr(usize)]
pub enum Cause {
    /// The MAC array, with padding, fill, drain and preload.
    Compute = 0,
    /// The vector unit.
    Vector = 1,
    /// The bandwidth of the external memory (of the SRAM that takes its place, on machines without).
    Bandwidth = 2,
    /// Memory latency that no other work hides.
    Latency = 3,
    /// Bandwidth of the shared or the local SRAM.
    Sram = 4,
    /// Exchange between cores: scores within a cluster, partial sums of a token split.
    Exchange = 5,
    /// Launches, work-item starts and barriers over all cores.
    Overhead = 6,
    /// Refreshes of the external memory, with the rows that they close.
    Refresh = 7,
    /// Rows of the external memory that close and open, and its turnarounds.
    RowMiss = 8,
}

impl Cause {
    /// How many there are.
    pub const COUNT: usize = 9;
    /// All, in the order of reports.
    pub const ALL: [Self; Self::COUNT] = [
        Self::Compute,
        Self::Vector,
        Self::Bandwidth,
        Self::Latency,
        Self::Sram,
        Self::Exchange,
        Self::Overhead,
        Self::Refresh,
        Self::RowMiss,
    ];

    /// The name in results.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Compute => "compute",
            Self::Vector => "vector",
            Self::Bandwidth => "bandwidth",
            Self::Latency => "latency",
            Self::Sram => "sram",
            Self::Exchange => "exchange",
            Self::Overhead => "overhead",
            Self::Refresh => "refresh",
            Self::RowMiss => "row_miss",
        }
    }
}

/// Femtoseconds by cause.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Causes(pub [u64; Cause::COUNT]);

impl Causes {
    /// All of `time` charged to one cause.
    #[must_use]
    pub fn of(cause: Cause, time: Femtos) -> Self {
        let mut causes = Self::default();
        causes.0[cause as usize] = time.0;
        causes
    }

    /// Sum over all causes.
    #[must_use]
    pub fn total(&self) -> Femtos {
        self.0.iter().map(|&part| Femtos(part)).sum()
    }

    /// The largest cause; the first of equals.
    #[must_use]
    pub fn largest(&self) -> Cause {
        let mut best = Cause::Compute;
        for cause in Cause::ALL {
            if self.0[cause as usize] > self.0[best as usize] {
                best = cause;
            }
        }
        best
    }
}

impl std::ops::AddAssign for Causes {
    fn add_assign(&mut self, other: Self) {
        for (a, b) in self.0.iter_mut().zip(other.0) {
            *a = a.saturating_add(b);
        }
    }
}
