//! Points in time: bare, or with the path that led to them.

use crate::mapping::{Cause, Causes};
use crate::units::Femtos;

/// A point in time as the recurrence uses it. Both kinds make the same decisions; only [`Stamp`] can say what held them.
pub(super) trait Moment: Copy + Default + PartialEq {
    /// Whether equal times can still differ.
    const TRACED: bool;

    /// Femtoseconds since the program's start.
    fn at(&self) -> u64;

    /// This moment and `time` more of `cause`.
    fn then(&self, cause: Cause, time: Femtos) -> Self;

    /// What has come on top since `earlier`.
    fn since(&self, earlier: &Self) -> Self;

    /// Adds `delta` `times` over.
    fn advance(&mut self, delta: &Self, times: u64);

    /// The path, by cause.
    fn path(&self) -> Causes;

    /// The later of two; of equals the first, so that an input that arrives just as a unit falls free is what is charged.
    #[inline]
    fn latest<'a>(input: &'a Self, unit: &'a Self) -> &'a Self {
        if unit.at() > input.at() { unit } else { input }
    }
}

/// A bare point in time: enough to compare candidates.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Instant(u64);

impl Moment for Instant {
    const TRACED: bool = false;

    #[inline]
    fn at(&self) -> u64 {
        self.0
    }

    #[inline]
    fn then(&self, _: Cause, time: Femtos) -> Self {
        Self(self.0.saturating_add(time.0))
    }

    fn since(&self, earlier: &Self) -> Self {
        Self(self.0.wrapping_sub(earlier.0))
    }

    fn advance(&mut self, delta: &Self, times: u64) {
        self.0 = self.0.saturating_add(delta.0.saturating_mul(times));
    }

    fn path(&self) -> Causes {
        Causes::default()
    }
}

/// A point in time with the path that led to it: the critical path from the program's start, by cause; sums to `at`, unless that
/// has reached the largest time, which no result may hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Stamp {
    at: u64,
    path: Causes,
}

impl Moment for Stamp {
    const TRACED: bool = true;

    #[inline]
    fn at(&self) -> u64 {
        self.at
    }

    #[inline]
    fn then(&self, cause: Cause, time: Femtos) -> Self {
        let mut next = *self;
        next.at = next.at.saturating_add(time.0);
        let part = &mut next.path.0[cause as usize];
        *part = part.wrapping_add(time.0);
        next
    }

    fn since(&self, earlier: &Self) -> Self {
        let mut delta = Self { at: self.at.wrapping_sub(earlier.at), path: self.path };
        for (a, b) in delta.path.0.iter_mut().zip(earlier.path.0) {
            *a = a.wrapping_sub(b);
        }
        delta
    }

    fn advance(&mut self, delta: &Self, times: u64) {
        self.at = self.at.saturating_add(delta.at.saturating_mul(times));
        for (a, d) in self.path.0.iter_mut().zip(delta.path.0) {
            *a = a.wrapping_add(d.wrapping_mul(times));
        }
    }

    fn path(&self) -> Causes {
        self.path
    }
}
