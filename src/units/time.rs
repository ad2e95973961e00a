//! Time: integer femtoseconds inside an operator, integer picoseconds in results.

use super::quantity;
use serde::{Deserialize, Serialize};

quantity! {
    /// Femtoseconds: the engine's clock inside one operator.
    ///
    /// A tile's duration is rounded up once to a whole femtosecond, so that a run of a million tiles is off by at
    /// most a nanosecond from exact arithmetic, never early, and equal tiles take equal time: that makes the
    /// fast-forward of the engine exact. `u64` holds 5.1 hours.
    Femtos
}
quantity! {
    /// Picoseconds: the unit of every reported time. `u64` holds 213 days.
    Picos
}

impl Femtos {
    /// Femtoseconds in a picosecond.
    pub const PER_PICO: u64 = 1_000;
    /// Femtoseconds in a second.
    pub const PER_SECOND: u128 = 1_000_000_000_000_000;

    /// Whole picoseconds, rounded up.
    #[must_use]
    pub const fn to_picos_ceil(self) -> Picos {
        Picos(self.0.div_ceil(Self::PER_PICO))
    }

    /// Seconds as a float, for display only.
    #[must_use]
    pub const fn seconds(self) -> f64 {
        self.0 as f64 / 1e15
    }
}

impl Picos {
    /// Picoseconds in a second.
    pub const PER_SECOND: u128 = 1_000_000_000_000;

    /// Seconds as a float, for display and JSON.
    #[must_use]
    pub const fn seconds(self) -> f64 {
        self.0 as f64 / 1e12
    }

    /// The same time in femtoseconds, or `None` beyond 5.1 hours.
    #[must_use]
    pub const fn to_femtos(self) -> Option<Femtos> {
        match self.0.checked_mul(Femtos::PER_PICO) {
            Some(fs) => Some(Femtos(fs)),
            None => None,
        }
    }

    /// The nearest picosecond to `seconds`, or `None` if that is negative, not finite or beyond 213 days.
    #[must_use]
    pub fn from_seconds(seconds: f64) -> Option<Self> {
        let ps = (seconds * 1e12).round();
        (ps >= 0.0 && ps < u64::MAX as f64).then_some(Self(ps as u64))
    }
}
