//! The keys of a kernel profile.

use super::Tables;
use crate::config::limits::*;
use crate::config::reader::table;
use crate::config::scalars::{Amount, Count, Fraction, Share};
use crate::hardware::kernel::{Kind, SplitRule};
use crate::units::{Bandwidth, Dtype, Picos};

table! {
    /// A kernel profile: how one framework's kernels use one machine.
    RawKernelProfile {
        /// Name in results; the file's name where absent.
        optional name: String,
        /// Preset or accelerator file that the kernels were measured on. A path is relative to this file.
        required accelerator: String,
        /// The framework that they belong to.
        required framework: String,
        /// Where the measurements come from.
        required source: String,
        /// What is uncertain about them.
        optional note: String,
        /// The kernels. No two have the same kind, type and name.
        required kernel: Tables<RawKernel>,
    }
}

table! {
    /// One kernel with one type of cache, or of weights.
    RawKernel {
        /// What it computes: decode attention with keys and values for every query head, for groups of them, or with one latent row a token
        /// that all heads share; or a product with a weight matrix.
        required kind: Kind,
        /// Element type of the kept rows, or of the weights.
        required dtype: Dtype,
        /// Its name in measurements (default: it stands for all of its kind and type that have no entry of their own).
        optional name: String,
        /// How it cuts work: decisions of its source.
        required policy: RawPolicy,
        /// What was fitted: at most six.
        required constants: RawConstants,
        /// The simplest rival, fitted to the same rows: a launch, and all bytes at a constant part of the bandwidth.
        optional rival: RawRival,
        /// How well the constants meet the measurements; `slimsim calibrate` writes it.
        optional fit: RawFit,
    }
}

table! {
    /// How a kernel cuts a batch into work items.
    RawPolicy {
        /// How work that is too little for all cores is split: not at all, into as many parts as stay within one round of the cores, into as
        /// many as just fill it, into parts of equally many blocks, or into the fewest parts whose rounds are nearly as full as the fullest.
        required split: SplitRule,
        /// Tokens of a block, of which a part has at least one; of a product, elements of the reduction.
        required block: Count<MAX_CONTEXT>,
        /// Longest sequence, or reduction, that is never split (default 0).
        optional unsplit: Count<MAX_CONTEXT, 0>,
        /// Work items that run on a core at the same time (default 1).
        optional items_per_core: Count<MAX_PARTS>,
        /// Query heads, at most, that one work item serves (default: all); kind mla only.
        optional heads: Count<MAX_HEADS>,
        /// Query rows that a work item's products are padded to, on the wide side of the array, softmax included (default: none); attention only.
        optional padded_rows: Count<MAX_DIMENSION>,
        /// Whether sequences that are never split have a kernel of their own, whose work items cost nothing to start (default false).
        optional quick_unsplit: bool,
        /// Whether the second phase reads the parts one after the other, a memory latency each (default false); attention only.
        optional serial_combine: bool,
        /// Whether the next block's scores are formed while the present one's softmax runs (default true); attention only.
        optional pipelined: bool,
        /// Rows of the output block of a work item (default: the fastest block of those that libraries have); kind gemm only, with `columns`.
        optional rows: Count<MAX_DIMENSION>,
        /// Columns of the output block, with `rows`.
        optional columns: Count<MAX_DIMENSION>,
    }
}

table! {
    /// Fitted constants, at most six; what is absent is the machine's own.
    RawConstants {
        /// From the launch to the first load, and from the last result to the end.
        required launch: Picos,
        /// Starting a round of work items.
        optional work_item: Picos,
        /// The second phase that adds up the parts of split sequences; attention only.
        optional combine: Picos,
        /// Bytes a second that one work item takes at most.
        optional item_rate: Bandwidth,
        /// Achieved part of the outermost memory's bandwidth.
        optional memory_fraction: Share<1>,
        /// Achieved part of the matrix units' peak.
        optional mac_fraction: Share<1>,
        /// Part of the shorter of a tile's load and compute time that is hidden behind the longer.
        optional overlap: Fraction,
        /// Part of the shared SRAM's capacity up to which bytes that are read again and again stay in it.
        optional l2_reach: Share<2>,
    }
}

table! {
    /// A launch, and all bytes at a constant part of the memory's bandwidth.
    RawRival {
        /// The launch.
        required launch: Picos,
        /// Part of the memory's bandwidth.
        required memory_fraction: Share<4>,
    }
}

table! {
    /// How well a kernel's constants meet the measurements that they were fitted to.
    RawFit {
        /// Rows that the fit saw.
        required rows: Count<MAX_FITTED_ROWS>,
        /// Mean relative error over these, without sign.
        required mape: Amount,
        /// Rows that it did not see.
        required held_out_rows: Count<MAX_FITTED_ROWS, 0>,
        /// Mean relative error over these.
        required held_out_mape: Amount,
        /// Measured over predicted time, 5th percentile, of the rows beyond the shared SRAM.
        required low: Amount,
        /// The same, 95th percentile.
        required high: Amount,
    }
}
