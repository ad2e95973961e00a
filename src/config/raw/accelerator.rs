//! The keys of an accelerator file.

use super::kernels::RawOwnProfile;
use crate::config::limits::*;
use crate::config::quantities::{Energy, PerBit};
use crate::config::reader::table;
use crate::config::scalars::{ByDtype, Count, Fraction, named};
use crate::hardware::mac_array::Dataflow;
use crate::hardware::sram::OnChipBandwidth;
use crate::units::{Bandwidth, Bytes, Hertz, Picos};

/// Kind of matrix unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MacKind {
    Systolic,
    DotProduct,
    Ideal,
}
named!(MacKind {
    "systolic" => Self::Systolic,
    "dot-product" => Self::DotProduct,
    "ideal" => Self::Ideal,
});

/// Kind of vector unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum VectorKind {
    Lanes,
    Ideal,
}
named!(VectorKind { "lanes" => Self::Lanes, "ideal" => Self::Ideal });

/// Kind of local SRAM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SramKind {
    Real,
    Ideal,
}
named!(SramKind { "real" => Self::Real, "ideal" => Self::Ideal });

/// Model of the external memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HbmModel {
    Flat,
    Device,
}
named!(HbmModel { "flat" => Self::Flat, "device" => Self::Device });

/// Which refreshes come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refresh {
    None,
    AllBank,
}
named!(Refresh { "none" => Self::None, "all-bank" => Self::AllBank });

table! {
    /// An accelerator.
    RawAccelerator {
        /// Name in results; the file's name where absent.
        optional name: String,
        /// Clock of the cores.
        required clock: Hertz,
        /// Where the figures come from.
        optional source: String,
        /// What is uncertain about the figures.
        optional note: String,
        /// Whether activations, cache writes and a resident encoder output cost no traffic of the external memory (default false).
        optional free_activations: bool,
        /// The cores, all alike.
        required cores: RawCores,
        /// SRAM that all cores share: an L2 or a global buffer.
        optional shared_sram: RawSharedSram,
        /// External memory; absent on machines that keep everything in SRAM.
        optional hbm: RawHbm,
        /// Costs of starting and synchronising work.
        optional overheads: RawOverheads,
        /// Energy per access and operation.
        optional energy: RawEnergy,
        /// How kernels that were measured on this very machine use it (`--kernels own`).
        optional kernel_profile: RawOwnProfile,
    }
}

table! {
    /// The cores of an accelerator.
    RawCores {
        /// How many cores.
        required count: Count<MAX_CORES>,
        /// Bytes that one core can have requested and not yet received, where limited by more than its tile slots.
        optional bytes_in_flight: Bytes,
        /// What one core can receive from the shared SRAM and the external memory together (default: as much as its local SRAM takes).
        optional load_bandwidth: OnChipBandwidth,
        /// Matrix unit of one core.
        required mac_array: RawMacArray,
        /// Accumulator storage of one core outside its local SRAM.
        optional accumulators: RawAccumulators,
        /// Vector unit of one core.
        required vector_unit: RawVectorUnit,
        /// Local SRAM of one core.
        required sram: RawSram,
        /// Cores that exchange data directly.
        optional cluster: RawCluster,
    }
}

table! {
    /// The matrix unit of one core.
    RawMacArray {
        /// Kind of unit.
        required kind: MacKind,
        /// Rows of one systolic array.
        optional rows: Count<MAX_ARRAY>,
        /// Columns of one systolic array.
        optional columns: Count<MAX_ARRAY>,
        /// Systolic arrays in one core (default 1).
        optional count: Count<MAX_ARRAY>,
        /// Which operand a systolic array holds.
        optional dataflow: Dataflow,
        /// Rows of the left operand that a dot-product instruction takes.
        optional m: Count<MAX_ARRAY>,
        /// Columns of the right operand that a dot-product instruction takes.
        optional n: Count<MAX_ARRAY>,
        /// Reduction length of a dot-product instruction.
        optional k: Count<MAX_ARRAY>,
        /// Pipeline depth of a dot-product unit in cycles (default 0).
        optional latency: Count<MAX_CYCLES, 0>,
        /// Multiply–accumulates per cycle of the whole core, by element type.
        optional macs_per_cycle: ByDtype<Count<MAX_RATE>>,
    }
}

table! {
    /// Accumulators of one core.
    RawAccumulators {
        /// Capacity.
        required capacity: Bytes,
    }
}

table! {
    /// The vector unit of one core.
    RawVectorUnit {
        /// Kind of unit (default "lanes").
        optional kind: VectorKind,
        /// Element operations per cycle.
        optional lanes: Count<MAX_RATE>,
        /// Exponentials per cycle.
        optional exp_per_cycle: Count<MAX_RATE>,
        /// Operations to rotate one element of a rotary embedding (default 6).
        optional rotate_ops: Count<1024>,
    }
}

table! {
    /// The local SRAM of one core.
    RawSram {
        /// Kind of memory (default "real"); "ideal" is unlimited in capacity and bandwidth.
        optional kind: SramKind,
        /// Capacity.
        optional capacity: Bytes,
        /// Bandwidth of all ports together.
        optional bandwidth: OnChipBandwidth,
        /// Banks.
        optional banks: Count<MAX_BANKS>,
    }
}

table! {
    /// A cluster of cores.
    RawCluster {
        /// Most cores in one cluster.
        required max_size: Count<MAX_CORES, 2>,
        /// What one core can receive.
        required bandwidth: OnChipBandwidth,
        /// A barrier over the cluster (default none).
        optional barrier: Picos,
        /// Whether one read of the shared SRAM can be delivered to several cores (default false).
        optional multicast: bool,
    }
}

table! {
    /// SRAM that all cores share.
    RawSharedSram {
        /// Capacity.
        required capacity: Bytes,
        /// Bandwidth of all ports together.
        required bandwidth: OnChipBandwidth,
        /// Banks.
        optional banks: Count<MAX_BANKS>,
    }
}

table! {
    /// The external memory.
    RawHbm {
        /// Peak bandwidth of all stacks together.
        required bandwidth: Bandwidth,
        /// Capacity; unlimited where absent.
        optional capacity: Bytes,
        /// Time from a request to its data on an idle memory (default none).
        optional latency: Picos,
        /// The memory part that it is made of: a preset's name or a file.
        optional part: String,
        /// How many parts (default: as many as reach the bandwidth).
        optional count: Count<MAX_PARTS>,
        /// How the memory is modelled: "flat", a bandwidth and a latency; or "device" (default where a part is named), its part's rows, banks
        /// and refreshes, which decide what share of the bandwidth a stream achieves.
        optional model: HbmModel,
        /// Address map of a channel, by its name in the part (default: the part's first).
        optional map: String,
        /// Bytes at consecutive addresses that one channel takes (default 256 B).
        optional interleave: Bytes,
        /// Entries of the read queue of a channel's controller (default: the part's).
        optional queue: Count<MAX_QUEUE>,
        /// Whether refreshes come: "all-bank" (default) or "none".
        optional refresh: Refresh,
    }
}

table! {
    /// Costs of starting and synchronising work.
    RawOverheads {
        /// Launching one operator (default none).
        optional launch: Picos,
        /// Starting one work item on a core, paid once a wave (default none).
        optional work_item: Picos,
        /// A barrier over all cores (default none).
        optional barrier: Picos,
        /// Whether the next operator's weights may be requested before the present one ends (default false).
        optional prefetch_weights: bool,
        /// Share of the smaller of load and compute time that is hidden behind the larger (default 1).
        optional overlap: Fraction,
    }
}

table! {
    /// Energy per access and operation. A figure that is absent makes the result's energy unknown, not zero.
    RawEnergy {
        /// External memory, per bit.
        optional hbm: PerBit,
        /// Shared SRAM, per bit.
        optional shared_sram: PerBit,
        /// Local SRAM, per bit.
        optional local_sram: PerBit,
        /// One vector operation.
        optional vector_op: Energy,
        /// One multiply–accumulate, by element type.
        optional mac: ByDtype<Energy>,
    }
}
