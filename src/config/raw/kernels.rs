//! The keys of a kernel profile, as a file of its own and as a table of an accelerator's.

use super::Tables;
use crate::config::limits::*;
use crate::config::reader::table;
use crate::config::scalars::{Amount, Count, Fraction, Share, named};
use crate::hardware::kernel::{Kind, Phase, SplitRule};
use crate::units::{Bandwidth, Dtype, Picos};

named!(Kind {
    "mha" => Self::Mha,
    "gqa" => Self::Gqa,
    "mla" => Self::Mla,
    "gemm" => Self::Gemm,
    "slim-k" => Self::SlimK,
});
named!(Phase {
    "scores" => Self::Scores,
    "weighted-sums" => Self::WeightedSums,
    "product" => Self::Product,
    "softmax" => Self::Softmax,
    "stream" => Self::Stream,
    "walk" => Self::Walk,
});
named!(SplitRule {
    "none" => Self::None,
    "fill-down" => Self::FillDown,
    "fill-up" => Self::FillUp,
    "even-blocks" => Self::EvenBlocks,
    "fullest-rounds" => Self::FullestRounds,
    "even-tokens" => Self::EvenTokens,
});

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
    /// The kernel profile that belongs to a machine itself; its name is the accelerator's.
    RawOwnProfile {
        /// The framework, or program, whose kernels were measured.
        required framework: String,
        /// Where the measurements come from.
        required source: String,
        /// What is uncertain about them.
        optional note: String,
        /// Which machine was measured, told apart from others of its kind.
        optional machine: String,
        /// The kernels, as in a kernel profile. No two have the same kind, type and name.
        required kernel: Tables<RawKernel>,
        /// Rates by shape. No two have the same phase, kind, type, heads and width.
        optional rate: Tables<RawRate>,
    }
}

table! {
    /// What a part of a kernel was measured to achieve on one core; one of the three keys for rates, by the phase.
    RawRate {
        /// The part: queries times kept rows, probabilities times kept rows, a product with a matrix, exponentials,
        /// reading from the outermost memory, or all of the walk over rows there, from which follows how much of it overlaps.
        required phase: Phase,
        /// Kind of kernel (default: all that have no rates of their own for this phase and type).
        optional kind: Kind,
        /// Element type of the kept rows, or of the weights.
        required dtype: Dtype,
        /// Query heads that share the operand.
        required heads: Count<MAX_HEADS>,
        /// Width of a head.
        required head_dim: Count<MAX_DIMENSION>,
        /// Tokens of the tile that was timed.
        required tile: Count<MAX_CONTEXT>,
        /// Multiply–accumulates a second; phases scores, weighted-sums and product.
        optional macs_per_second: Count<MAX_PER_SECOND>,
        /// Exponentials a second; phase softmax.
        optional exp_per_second: Count<MAX_PER_SECOND>,
        /// Bytes of kept rows a second; phases stream and walk.
        optional bandwidth: Bandwidth,
        /// Half the interquartile range of the samples over their median (default 0).
        optional spread: Fraction,
    }
}

/// The key that the rate of a phase stands under: its unit is in it.
pub(crate) const fn rate_key(phase: Phase) -> &'static str {
    match phase {
        Phase::Scores | Phase::WeightedSums | Phase::Product => "macs_per_second",
        Phase::Softmax => "exp_per_second",
        Phase::Stream | Phase::Walk => "bandwidth",
    }
}

table! {
    /// One kernel with one type of cache, or of weights.
    RawKernel {
        /// What it computes: decode attention with keys and values for every query head, for groups of them, or with one latent row a token
        /// that all heads share; a product with a weight matrix; or decode attention where heads score slices of one kept row and weigh all of
        /// it.
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
