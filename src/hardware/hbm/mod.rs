//! External memory: a flat bandwidth with a latency, or parts whose rows, banks, channels and refreshes decide what a stream gets of it.

pub mod address_map;
mod channel;
mod counts;
pub mod device;
mod hits;
pub mod organisation;
pub mod pattern;
pub mod requester;
pub mod service;
mod source;
mod state;
pub mod study;
pub mod timing;
mod waiting;

use crate::units::{Bandwidth, Bytes, Picos};
use service::{Attached, Service};

/// The external memory of an accelerator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hbm {
    /// Peak bandwidth of all stacks together.
    pub bandwidth: Bandwidth,
    /// Capacity; `None` where unlimited.
    pub capacity: Option<Bytes>,
    /// Time from a request to its data on an idle memory.
    pub latency: Picos,
    /// The parts that it is made of; `None`: a flat memory, which gives every stream its peak.
    pub parts: Option<Attached>,
}

impl Hbm {
    /// What a stream gets that reads `run` consecutive bytes at a time (`None`: everything in turn) with at most `in_flight` bytes under
    /// way.
    #[must_use]
    pub fn service(&self, run: Option<Bytes>, in_flight: Option<Bytes>) -> Service {
        self.parts.as_ref().map_or(Service::FLAT, |parts| {
            // Parts are studied once when they are read in.
            parts.service(run, in_flight).unwrap_or_else(|e| panic!("a part that was studied before: {e}"))
        })
    }
}
