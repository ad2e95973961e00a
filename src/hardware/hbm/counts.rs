//! What a channel has done.

/// What a channel has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Bursts whose column command was issued.
    pub served: u64,
    /// Of these, reads.
    pub reads: u64,
    /// ACTs.
    pub activates: u64,
    /// Bursts that found their row open when first looked at.
    pub row_hits: u64,
    /// All-bank refreshes.
    pub refreshes: u64,
    /// Ticks from arrival to the last data of all reads.
    pub read_latency: u64,
}

impl std::ops::Add for Counts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            served: self.served + other.served,
            reads: self.reads + other.reads,
            activates: self.activates + other.activates,
            row_hits: self.row_hits + other.row_hits,
            refreshes: self.refreshes + other.refreshes,
            read_latency: self.read_latency + other.read_latency,
        }
    }
}

impl std::ops::Sub for Counts {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self {
            served: self.served - other.served,
            reads: self.reads - other.reads,
            activates: self.activates - other.activates,
            row_hits: self.row_hits - other.row_hits,
            refreshes: self.refreshes - other.refreshes,
            read_latency: self.read_latency - other.read_latency,
        }
    }
}
