//! Rates: clock frequencies and bandwidths, and the one place where work over a rate becomes time.

use super::{Bytes, Cycles, Femtos, Picos};
use serde::{Deserialize, Serialize};

/// A clock frequency in hertz, > 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Hertz(pub u64);

/// A bandwidth in bytes per second, > 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Bandwidth(pub u64);

/// `amount` / `rate`, in units of `per_second`, rounded up once and saturating.
const fn time(amount: u64, rate: u64, per_second: u128) -> u64 {
    let t = (amount as u128 * per_second).div_ceil(rate as u128);
    if t > u64::MAX as u128 { u64::MAX } else { t as u64 }
}

impl Hertz {
    /// Time that `cycles` take: ceil(cycles · 10¹⁵ / Hz) femtoseconds, computed from the count, not from a rounded period.
    #[must_use]
    pub const fn time(self, cycles: Cycles) -> Femtos {
        Femtos(time(cycles.0, self.0, Femtos::PER_SECOND))
    }

    /// The cycles that `time` spans, rounded up.
    #[must_use]
    pub const fn cycles_ceil(self, time: Picos) -> Cycles {
        Cycles((time.0 as u128 * self.0 as u128).div_ceil(Picos::PER_SECOND) as u64)
    }
}

impl Bandwidth {
    /// Time that `bytes` take: ceil(bytes · 10¹⁵ / rate) femtoseconds.
    #[must_use]
    pub const fn time(self, bytes: Bytes) -> Femtos {
        Femtos(time(bytes.0, self.0, Femtos::PER_SECOND))
    }

    /// Time that `bytes` take in picoseconds, rounded up once: for totals and bounds.
    #[must_use]
    pub const fn picos(self, bytes: Bytes) -> Picos {
        Picos(time(bytes.0, self.0, Picos::PER_SECOND))
    }

    /// Bytes per second that `bytes` per cycle of `clock` make.
    #[must_use]
    pub const fn per_cycle(bytes: u64, clock: Hertz) -> Self {
        Self(bytes.saturating_mul(clock.0))
    }
}
