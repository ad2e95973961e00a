//! A point in time with the path that led to it.

use crate::mapping::{Cause, Causes};
use crate::units::Femtos;

/// A point in time; `path` is the critical path from the program's start to it, by cause, and sums to `at`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Stamp {
    /// Femtoseconds since the program's start.
    pub(super) at: u64,
    /// The path.
    pub(super) path: Causes,
}

impl Stamp {
    /// The later of two; of equals the first, so that an input that arrives just as a unit falls free is what is charged.
    #[inline]
    pub(super) fn latest<'a>(input: &'a Self, unit: &'a Self) -> &'a Self {
        if unit.at > input.at { unit } else { input }
    }

    /// This moment and `time` more of `cause`.
    #[inline]
    pub(super) fn then(&self, cause: Cause, time: Femtos) -> Self {
        let mut next = *self;
        next.at += time.0;
        next.path.0[cause as usize] += time.0;
        next
    }

    /// What has come on top since `earlier`.
    pub(super) fn since(&self, earlier: &Self) -> Self {
        let mut delta = Self { at: self.at.wrapping_sub(earlier.at), path: self.path };
        for (a, b) in delta.path.0.iter_mut().zip(earlier.path.0) {
            *a = a.wrapping_sub(b);
        }
        delta
    }

    /// Adds `delta` `times` over.
    pub(super) fn advance(&mut self, delta: &Self, times: u64) {
        self.at = self.at.wrapping_add(delta.at.wrapping_mul(times));
        for (a, d) in self.path.0.iter_mut().zip(delta.path.0) {
            *a = a.wrapping_add(d.wrapping_mul(times));
        }
    }
}
