//! On-chip memories: a core's local SRAM and the SRAM that all cores share.

use crate::units::{Bandwidth, Bytes, Hertz};

/// Bandwidth of an on-chip memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnChipBandwidth {
    /// Bytes per cycle of the core clock.
    PerCycle(u64),
    /// Bytes per second.
    PerSecond(Bandwidth),
    /// Unlimited.
    Ideal,
}

impl OnChipBandwidth {
    /// Bytes per second at the given core clock; `None` where unlimited.
    #[must_use]
    pub const fn resolve(self, clock: Hertz) -> Option<Bandwidth> {
        match self {
            Self::PerCycle(bytes) => Some(Bandwidth::per_cycle(bytes, clock)),
            Self::PerSecond(rate) => Some(rate),
            Self::Ideal => None,
        }
    }
}

/// One on-chip memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sram {
    /// Capacity; `None` where unlimited.
    pub capacity: Option<Bytes>,
    /// Bandwidth of all its ports together.
    pub bandwidth: OnChipBandwidth,
    /// Banks, where stated. A tile slot that is being filled and one that is being read need banks of their own, so that
    /// the slots of a program cannot outnumber the banks.
    pub banks: Option<u64>,
}

impl Sram {
    /// Whether `bytes` fit.
    #[must_use]
    pub fn holds(&self, bytes: Bytes) -> bool {
        self.capacity.is_none_or(|c| bytes <= c)
    }
}
