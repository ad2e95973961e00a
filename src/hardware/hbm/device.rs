//! A memory part as data: organisation, timing, command bus, address maps.

use super::address_map::{AddressMap, MapError};
use super::organisation::Organisation;
use super::timing::{CommandBus, Timing};
use crate::units::Bandwidth;

/// A memory part: a stack of HBM, or a module or device of another standard.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Device {
    /// Preset name or the file's name.
    pub name: String,
    /// The standard, such as `HBM3`.
    pub standard: String,
    /// Channels of one part.
    pub channels: u32,
    /// One channel.
    pub organisation: Organisation,
    /// Its timing.
    pub timing: Timing,
    /// How commands reach it.
    pub bus: CommandBus,
    /// Address maps; the first is used where none is asked for.
    pub maps: Vec<AddressMap>,
    /// Entries of the read queue of a channel's controller.
    pub queue: u32,
    /// Where the figures come from.
    pub source: Option<String>,
    /// What to know about them.
    pub note: Option<String>,
}

/// Most banks of a pseudo-channel.
pub const MOST_BANKS: u32 = 64;

/// Why a part cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// A count that is not a power of two, zero included.
    #[error("{what} must be a power of two, not {count}")]
    NotPowerOfTwo {
        /// What is counted.
        what: &'static str,
        /// The count.
        count: u32,
    },
    /// Too many banks.
    #[error("a pseudo-channel has {0} banks, more than {MOST_BANKS}")]
    Banks(u32),
    /// A refresh that leaves no time for anything else.
    #[error("a refresh takes {trfc} cycles, not less than the {trefi} between refreshes")]
    Refresh {
        /// Cycles of a refresh.
        trfc: u32,
        /// Cycles between refreshes.
        trefi: u32,
    },
    /// A map that does not suit the organisation.
    #[error("map '{name}': {error}")]
    Map {
        /// The map.
        name: String,
        /// What is wrong.
        error: MapError,
    },
}

impl Device {
    /// Peak bandwidth of one channel: a burst every burst time on every pseudo-channel, in bytes a second, rounded down.
    #[must_use]
    pub fn channel_peak(&self) -> Bandwidth {
        let bytes = u128::from(self.organisation.burst_bytes) * u128::from(self.organisation.pseudo_channels);
        let picos = u128::from(self.timing.tbl) * u128::from(self.timing.tck.0);
        Bandwidth((bytes * 1_000_000_000_000 / picos.max(1)) as u64)
    }

    /// Peak bandwidth of the part.
    #[must_use]
    pub fn peak(&self) -> Bandwidth {
        Bandwidth(self.channel_peak().0 * u64::from(self.channels))
    }

    /// The map of this name.
    #[must_use]
    pub fn map(&self, name: &str) -> Option<&AddressMap> {
        self.maps.iter().find(|m| m.name == name)
    }
}
