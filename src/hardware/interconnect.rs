//! Core-to-core exchange within a cluster (thread-block clusters with distributed shared memory, and their like).

use super::sram::OnChipBandwidth;
use crate::units::Picos;

/// Cores that exchange data directly, without going through the shared SRAM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cluster {
    /// Most cores in one cluster.
    pub max_size: u64,
    /// What one core can receive.
    pub bandwidth: OnChipBandwidth,
    /// A barrier over the cluster.
    pub barrier: Picos,
    /// Whether one read of the shared SRAM can be delivered to several cores.
    pub multicast: bool,
}
