//! The accelerator as immutable specification: what the silicon can do per cycle and per second.
//!
//! Nothing here knows attention or a model. State that changes with time lives in [`crate::engine`]; which program
//! runs on the hardware is decided in [`crate::mapping`].

pub mod energy;
pub mod hbm;
pub mod interconnect;
pub mod kernel;
pub mod mac_array;
pub mod sram;
pub mod vector_unit;

use crate::units::{Bandwidth, Bytes, Dtype, Femtos, Hertz, Picos};
use energy::EnergyTable;
use hbm::Hbm;
use interconnect::Cluster;
use kernel::KernelProfile;
use mac_array::MacArray;
use sram::{OnChipBandwidth, Sram};
use std::sync::Arc;
use vector_unit::VectorUnit;

/// Costs of starting and synchronising work.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Overheads {
    /// Launching one operator.
    pub launch: Picos,
    /// Starting one work item on a core, paid once a wave.
    pub work_item: Picos,
    /// A barrier over all cores.
    pub barrier: Picos,
    /// Whether the next operator's weights may be requested before the present one ends.
    pub prefetch_weights: bool,
    /// Share of the smaller of load and compute time that is hidden behind the larger, 0 to 1: DMA engines 1, CPU cores 0.6–0.7.
    pub overlap: f64,
}

impl Default for Overheads {
    fn default() -> Self {
        Self {
            launch: Picos(0),
            work_item: Picos(0),
            barrier: Picos(0),
            prefetch_weights: false,
            overlap: 1.0,
        }
    }
}

/// The cores of an accelerator; all are alike.
#[derive(Debug, Clone, PartialEq)]
pub struct Cores {
    /// How many.
    pub count: u64,
    /// Matrix unit of one core.
    pub mac_array: MacArray,
    /// Bytes of accumulator storage in one core outside its local SRAM; `None`: accumulators live in local SRAM.
    pub accumulators: Option<Bytes>,
    /// Vector unit of one core.
    pub vector_unit: VectorUnit,
    /// Local SRAM of one core.
    pub sram: Sram,
    /// Bytes that one core can have requested and not yet received, where that is limited by more than its tile slots.
    pub bytes_in_flight: Option<Bytes>,
    /// What one core can receive from the shared SRAM and the external memory together, where that is less than its local SRAM takes.
    pub load_bandwidth: Option<OnChipBandwidth>,
    /// Cores that exchange data directly.
    pub cluster: Option<Cluster>,
}

/// A complete accelerator.
#[derive(Debug, Clone, PartialEq)]
pub struct Accelerator {
    /// Preset name or the file's name.
    pub name: String,
    /// Core clock.
    pub clock: Hertz,
    /// The cores.
    pub cores: Cores,
    /// SRAM that all cores share (an L2 or a global buffer).
    pub shared_sram: Option<Sram>,
    /// External memory; `None` for machines that keep everything in SRAM.
    pub hbm: Option<Hbm>,
    /// Start and synchronisation costs.
    pub overheads: Overheads,
    /// Energy per access.
    pub energy: EnergyTable,
    /// Whether activations, cache writes and a resident E are free of HBM traffic (`ideal-memory-bound`).
    pub free_activations: bool,
    /// How one framework's kernels use it, where that is asked for; `None`: every scheme is mapped freely.
    pub kernels: Option<Arc<KernelProfile>>,
    /// The profile that belongs to the machine itself, where it was measured. It is used only where it is also asked for: `kernels`.
    pub own_kernels: Option<Arc<KernelProfile>>,
    /// Where the figures come from.
    pub source: String,
    /// What is uncertain about them, if anything.
    pub note: Option<String>,
}

impl Accelerator {
    /// Multiply–accumulates per second of the whole machine for operands of type `dtype`; `None` where unlimited.
    #[must_use]
    pub fn peak_macs_per_second(&self, dtype: Dtype) -> Option<u64> {
        let per_core = self.cores.mac_array.macs_per_cycle(dtype)?;
        Some(per_core.saturating_mul(self.cores.count).saturating_mul(self.clock.0))
    }

    /// Peak FLOP per second over peak bytes per second of the outermost memory: the ridge point of the roofline.
    #[must_use]
    pub fn ridge_flop_per_byte(&self, dtype: Dtype) -> Option<f64> {
        Some(2.0 * self.peak_macs_per_second(dtype)? as f64 / self.memory_bandwidth()?.0 as f64)
    }

    /// Bandwidth of the memory that holds weights and cache: HBM, else shared SRAM, else all local SRAMs together.
    #[must_use]
    pub fn memory_bandwidth(&self) -> Option<Bandwidth> {
        if let Some(hbm) = &self.hbm {
            return Some(hbm.bandwidth);
        }
        match &self.shared_sram {
            Some(shared) => shared.bandwidth.resolve(self.clock),
            None => {
                let one = self.cores.sram.bandwidth.resolve(self.clock)?;
                Some(Bandwidth(one.0.saturating_mul(self.cores.count)))
            }
        }
    }

    /// Capacity of the memory that holds weights and cache.
    #[must_use]
    pub fn memory_capacity(&self) -> Option<Bytes> {
        if let Some(hbm) = &self.hbm {
            return hbm.capacity;
        }
        match &self.shared_sram {
            Some(shared) => shared.capacity,
            None => self.cores.sram.capacity.map(|c| Bytes(c.0.saturating_mul(self.cores.count))),
        }
    }

    /// Latency of the memory that holds weights and cache.
    #[must_use]
    pub fn memory_latency(&self) -> Femtos {
        self.hbm.as_ref().and_then(|h| h.latency.to_femtos()).unwrap_or(Femtos::ZERO)
    }
}

#[cfg(test)]
mod tests;
