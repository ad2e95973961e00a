//! Time by cause. Each interval of the critical path is charged to the resource that holds it, so that causes sum to the time.

use crate::mapping::Cause;
use crate::units::{Cycles, Hertz, Picos};
use serde::Serialize;

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
    /// Refreshes of the external memory, with the rows that they close; 0 where it is flat.
    pub refresh: Cycles,
    /// Row misses and turnarounds of the external memory; 0 where it is flat.
    pub row_miss: Cycles,
}

impl CyclesByCause {
    /// Apportions `cycles` to the causes in proportion to `shares` by largest remainder (ties to the earlier cause).
    #[must_use]
    pub fn apportion(cycles: Cycles, shares: &[u128; Cause::COUNT]) -> Self {
        let total: u128 = shares.iter().sum();
        if total == 0 {
            return Self { overhead: cycles, ..Self::default() };
        }
        // Keep `cycles` · share within 128 bits.
        let shift = (u128::BITS - total.leading_zeros()).saturating_sub(63);
        let shares = shares.map(|s| s >> shift);
        let total: u128 = shares.iter().sum::<u128>().max(1);
        let mut parts = [0u64; Cause::COUNT];
        let mut remainders = [(0u128, 0usize); Cause::COUNT];
        for (i, share) in shares.into_iter().enumerate() {
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
        let [compute, vector, bandwidth, latency, sram, exchange, overhead, refresh, row_miss] =
            parts.map(Cycles);
        Self { compute, vector, bandwidth, latency, sram, exchange, overhead, refresh, row_miss }
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
            Cause::Refresh => self.refresh,
            Cause::RowMiss => self.row_miss,
        }
    }

    /// Sum over all causes.
    #[must_use]
    pub fn total(&self) -> Cycles {
        Cause::ALL.iter().map(|&c| self.get(c)).sum()
    }
}
