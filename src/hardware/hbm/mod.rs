//! External memory. A flat bandwidth with a latency; a channel and bank model stands behind the same interface later.

pub mod address_map;
mod channel;
pub mod device;
pub mod organisation;
pub mod pattern;
pub mod requester;
pub mod timing;
mod waiting;
pub mod study;

use crate::units::{Bandwidth, Bytes, Picos};

/// The external memory of an accelerator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hbm {
    /// Peak bandwidth of all stacks together.
    pub bandwidth: Bandwidth,
    /// Capacity; `None` where unlimited.
    pub capacity: Option<Bytes>,
    /// Time from a request to its data on an idle memory.
    pub latency: Picos,
}

impl Hbm {
    /// The bandwidth that a sequential stream achieves: on a flat memory, the peak.
    #[must_use]
    pub const fn service_rate(&self) -> Bandwidth {
        self.bandwidth
    }
}
