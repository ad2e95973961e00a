//! Kernel profiles: what belongs to software, not to silicon.
//!
//! A profile says how one framework's kernels use one machine: what a launch, a round of work items and a second phase cost, which part
//! of the data sheet's rates a kernel achieves, and how it cuts a batch into work items. [`crate::mapping::kernel`] lays work out by it and
//! the ordinary engine times that. Constants are fitted to measurements; the policy is read off a kernel's source or chosen by the fit.
//! A machine that was itself measured has [rates](MeasuredRate) beside them, by the shape of the work.

mod rates;

pub use rates::{MeasuredRate, Phase};

use crate::units::{Dtype, Picos};
use serde::{Deserialize, Serialize};

/// What a kernel computes.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Decode attention where every query head has keys and values of its own.
    Mha,
    /// Decode attention where groups of query heads share keys and values.
    Gqa,
    /// Decode attention over one latent row a token that all heads share.
    Mla,
    /// Rows of activations times a weight matrix.
    Gemm,
    /// Decode attention that scores each head on its slice of the kept row and weighs the whole row for every head.
    SlimK,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Mha, Self::Gqa, Self::Mla, Self::Gemm, Self::SlimK];

    /// Its name in files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mha => "mha",
            Self::Gqa => "gqa",
            Self::Mla => "mla",
            Self::Gemm => "gemm",
            Self::SlimK => "slim-k",
        }
    }
}

/// How a kernel cuts work that is too little for all cores: the tokens of a sequence, or the reduction of a product.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum SplitRule {
    /// Not at all.
    None,
    /// Into as many parts as keep the work items of all sequences within one round of the cores.
    FillDown,
    /// Into as many as just fill a round, the last ones opening another.
    FillUp,
    /// Into parts of equally many blocks: the blocks of all sequences, and a tenth more, shared out evenly over the cores.
    EvenBlocks,
    /// Into the fewest parts, of 128 at most, whose rounds are at least 0.85 times as full as the fullest; not at all where the work items
    /// fill four fifths of a round.
    FullestRounds,
    /// The tokens of all sequences, laid end to end, into equal shares, one for each place for work items; sequences of unequal lengths as
    /// with [`Self::FillUp`].
    EvenTokens,
}

impl SplitRule {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::None, Self::FillDown, Self::FillUp, Self::EvenBlocks, Self::FullestRounds, Self::EvenTokens];
}

/// How a kernel cuts a batch into work items: decisions of its source, not fitted numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Policy {
    /// How work is split.
    pub split: SplitRule,
    /// Tokens in a block, of which a part of a split has at least one; also the tile that a work item streams. Of a product, elements of
    /// the reduction.
    pub block: u64,
    /// Sequences of at most so many tokens are never split.
    pub unsplit: u64,
    /// Work items that run on a core at the same time.
    pub items_per_core: u64,
    /// Query heads, at most, that one work item serves where all share a row: more walk the same tokens in another one.
    pub heads: u64,
    /// Query rows that a work item's products are padded to, on the wide side of a dot-product unit, softmax included; `None`: the array
    /// decides, and what is not there is not computed.
    pub padded_rows: Option<u64>,
    /// Whether sequences that are never split are served by a kernel of their own, whose work items cost nothing to start.
    pub quick_unsplit: bool,
    /// Whether the second phase reads the parts one after the other, a memory latency each.
    pub serial_combine: bool,
    /// Whether the next block's scores are formed while the present one's softmax runs.
    pub pipelined: bool,
    /// Output block of a product's work item; `None`: the fastest of those that libraries have.
    pub tiling: Option<Tiling>,
}

impl Policy {
    /// Nothing split, nothing padded, one work item a core.
    pub const PLAIN: Self = Self {
        split: SplitRule::None,
        block: 64,
        unsplit: 0,
        items_per_core: 1,
        heads: 1,
        padded_rows: None,
        quick_unsplit: false,
        serial_combine: false,
        pipelined: true,
        tiling: None,
    };
}

/// Output block of a work item of a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tiling {
    /// Rows of the input.
    pub rows: u64,
    /// Columns of the output.
    pub columns: u64,
}

/// What a fit may set, six of them at most in any one kernel; what is absent is the machine's own.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Constants {
    /// From the launch to the first load, and from the last result to the end.
    pub launch: Picos,
    /// Starting a round of work items.
    pub work_item: Option<Picos>,
    /// The second phase that adds up the parts of split sequences.
    pub combine: Option<Picos>,
    /// Bytes a second that one work item takes at most.
    pub item_rate: Option<u64>,
    /// Achieved part of the outermost memory's bandwidth.
    pub memory_fraction: Option<f64>,
    /// Achieved part of the matrix units' peak.
    pub mac_fraction: Option<f64>,
    /// Part of the shorter of a tile's load and compute time that is hidden behind the longer.
    pub overlap: Option<f64>,
    /// Part of the shared SRAM's capacity up to which bytes that are read again and again stay in it.
    pub l2_reach: Option<f64>,
}

impl Constants {
    /// Most constants that a kernel may have.
    pub const MOST: usize = 6;

    /// How many are given.
    #[must_use]
    pub fn given(&self) -> usize {
        let given = [
            self.work_item.is_some(),
            self.combine.is_some(),
            self.item_rate.is_some(),
            self.memory_fraction.is_some(),
            self.mac_fraction.is_some(),
            self.overlap.is_some(),
            self.l2_reach.is_some(),
        ];
        1 + given.into_iter().filter(|g| *g).count()
    }
}

/// The simplest rival, fitted on the same rows: a launch, and all bytes at a constant part of the memory's bandwidth.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LaunchPlusBytes {
    /// The launch.
    pub launch: Picos,
    /// Part of the memory's bandwidth.
    pub memory_fraction: f64,
}

/// How well a kernel's constants meet the measurements that they were fitted to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FitQuality {
    /// Rows that the fit saw.
    pub rows: u64,
    /// Mean relative |error| over these.
    pub mape: f64,
    /// Rows that it did not see.
    pub held_out_rows: u64,
    /// Mean relative |error| over these.
    pub held_out_mape: f64,
    /// Measured over predicted time, 5th percentile, of the rows beyond the shared SRAM.
    pub low: f64,
    /// The same, 95th percentile.
    pub high: f64,
}

/// One kernel with one type of cache (of weights, for products).
#[derive(Debug, Clone, PartialEq)]
pub struct Kernel {
    /// What it computes.
    pub kind: Kind,
    /// Type of the kept rows or the weights.
    pub dtype: Dtype,
    /// Its name in measurements; `None` stands for all of its kind that have no entry of their own.
    pub name: Option<String>,
    /// How it cuts work.
    pub policy: Policy,
    /// What was fitted.
    pub constants: Constants,
    /// The rival on the same rows.
    pub rival: Option<LaunchPlusBytes>,
    /// How well it fits.
    pub fit: Option<FitQuality>,
}

/// The kernels of one framework on one machine.
#[derive(Debug, Clone, PartialEq)]
pub struct KernelProfile {
    /// Preset name or the file's name.
    pub name: String,
    /// The accelerator's preset.
    pub accelerator: String,
    /// The framework.
    pub framework: String,
    /// Where the measurements come from.
    pub source: String,
    /// What is uncertain about them, if anything.
    pub note: Option<String>,
    /// Which machine was measured, told apart from others of its kind; `None` where the accelerator says enough.
    pub machine: Option<String>,
    /// The kernels.
    pub kernels: Vec<Kernel>,
    /// What parts of them achieve, by shape; empty where that was not measured.
    pub rates: Vec<MeasuredRate>,
}

impl KernelProfile {
    /// The kernel for work of `kind` with kept rows of `dtype`: the one of that name, else the one for all others, else the first of its
    /// kind.
    #[must_use]
    pub fn kernel(&self, kind: Kind, dtype: Dtype, name: &str) -> Option<&Kernel> {
        let same = || self.kernels.iter().filter(|k| k.kind == kind && k.dtype == dtype);
        same()
            .find(|k| k.name.as_deref() == Some(name))
            .or_else(|| same().find(|k| k.name.is_none()))
            .or_else(|| same().next())
    }
}

impl KernelProfile {
    /// What the measurements hold beside a kernel, where each call is a graph of its own: the shortest launch of the profile is hardly more
    /// than that of a graph. What a machine pays from one kernel to the next, `between`, stays.
    #[must_use]
    pub fn graph_launch(&self, between: Picos) -> Picos {
        let least = self.kernels.iter().map(|k| k.constants.launch).min().unwrap_or(between);
        Picos(least.0.saturating_sub(between.0))
    }
}

/// Where bytes lie that a kernel reads again and again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Residency {
    /// A benchmark's loop over the same buffers: what fits the shared SRAM is read from there.
    Hot,
    /// A decode step, which passes through all other layers in between: everything comes from the outermost memory.
    #[default]
    Cold,
}
