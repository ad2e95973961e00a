//! Time by cause. Each interval of the critical path is charged to the resource that holds it, so that causes sum to the time.

use crate::units::{Cycles, Femtos, Hertz, Picos};
use serde::Serialize;

/// What holds the critical path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
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
}

impl Cause {
    /// How many there are.
    pub const COUNT: usize = 7;
    /// All, in the order of reports.
    pub const ALL: [Self; Self::COUNT] = [
        Self::Compute,
        Self::Vector,
        Self::Bandwidth,
        Self::Latency,
        Self::Sram,
        Self::Exchange,
        Self::Overhead,
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
        Femtos(self.0.iter().sum())
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
            *a += b;
        }
    }
}

/// Core-clock cycles by cause; they sum to the step's cycles.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct CyclesByCause {
    /// The MAC array, with padding, fill, drain and preload.
    pub compute: Cycles,
    /// The vector unit.
    pub vector: Cycles,
    /// External memory bandwidth.
    pub bandwidth: Cycles,
    /// Exposed memory latency.
    pub latency: Cycles,
    /// On-chip memory bandwidth.
    pub sram: Cycles,
    /// Exchange between cores.
    pub exchange: Cycles,
    /// Launches, work-item starts, barriers.
    pub overhead: Cycles,
}

impl CyclesByCause {
    /// Apportions `cycles` to the causes in proportion to `shares` by largest remainder (ties to the earlier cause).
    #[must_use]
    pub fn apportion(cycles: Cycles, shares: &[u128; Cause::COUNT]) -> Self {
        let total: u128 = shares.iter().sum();
        if total == 0 {
            return Self { overhead: cycles, ..Self::default() };
        }
        let mut parts = [0u64; Cause::COUNT];
        let mut remainders = [(0u128, 0usize); Cause::COUNT];
        for (i, &share) in shares.iter().enumerate() {
            // shares are at most 2⁸⁰ or so and cycles 2⁶⁴: scale down before the product could overflow.
            let shift = (share.max(total).leading_zeros() < 64).then_some(20).unwrap_or(0);
            let (share, total) = (share >> shift, (total >> shift).max(1));
            let product = u128::from(cycles.0) * share;
            parts[i] = (product / total) as u64;
            remainders[i] = (product % total, i);
        }
        let given: u64 = parts.iter().sum();
        remainders.sort_by_key(|&(r, i)| (std::cmp::Reverse(r), i));
        let mut left = cycles.0.saturating_sub(given);
        for &(_, i) in remainders.iter().cycle() {
            if left == 0 {
                break;
            }
            parts[i] += 1;
            left -= 1;
        }
        let [compute, vector, bandwidth, latency, sram, exchange, overhead] = parts.map(Cycles);
        Self { compute, vector, bandwidth, latency, sram, exchange, overhead }
    }

    /// Apportions the cycles that `time` spans on `clock`; returns them with their total.
    #[must_use]
    pub fn of(time: Picos, shares: &[u128; Cause::COUNT], clock: Hertz) -> (Cycles, Self) {
        let cycles = clock.cycles_ceil(time);
        (cycles, Self::apportion(cycles, shares))
    }

    /// Cycles of one cause.
    #[must_use]
    pub const fn get(&self, cause: Cause) -> Cycles {
        match cause {
            Cause::Compute => self.compute,
            Cause::Vector => self.vector,
            Cause::Bandwidth => self.bandwidth,
            Cause::Latency => self.latency,
            Cause::Sram => self.sram,
            Cause::Exchange => self.exchange,
            Cause::Overhead => self.overhead,
        }
    }

    /// Sum over all causes.
    #[must_use]
    pub fn total(&self) -> Cycles {
        Cause::ALL.iter().map(|&c| self.get(c)).sum()
    }
}
