//! Constants as the coordinates that a search moves in: positive ones by their logarithm, parts of a whole within it.

use super::observation::Observation;
use crate::hardware::Accelerator;
use crate::hardware::kernel::{Constants, Kind};
use crate::units::{Bytes, Picos};

/// A constant that a fit may set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Constant {
    Launch,
    WorkItem,
    Combine,
    ItemRate,
    MemoryFraction,
    MacFraction,
    Overlap,
    L2Reach,
}

use Constant::{Combine, ItemRate, L2Reach, Launch, MacFraction, MemoryFraction, Overlap, WorkItem};

/// Sets of constants that are tried for a kind of kernel; none has more than six.
pub(super) const fn sets(kind: Kind) -> &'static [&'static [Constant]] {
    match kind {
        Kind::Mha | Kind::Gqa => &[
            &[Launch, WorkItem, Combine, ItemRate, MemoryFraction, L2Reach],
            &[Launch, WorkItem, Combine, MacFraction, MemoryFraction, L2Reach],
        ],
        // Tables of measured kernels have none of kind slim-k: it is laid out as latent rows are.
        Kind::Mla | Kind::SlimK => &[
            &[Launch, WorkItem, ItemRate, MemoryFraction, MacFraction, L2Reach],
            &[Launch, WorkItem, Overlap, MemoryFraction, MacFraction, L2Reach],
        ],
        Kind::Gemm => &[&[Launch, WorkItem, ItemRate, MemoryFraction, MacFraction, L2Reach]],
    }
}

impl Constant {
    /// Its name in files.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Launch => "launch",
            WorkItem => "work_item",
            Combine => "combine",
            ItemRate => "item_rate",
            MemoryFraction => "memory_fraction",
            MacFraction => "mac_fraction",
            Overlap => "overlap",
            L2Reach => "l2_reach",
        }
    }

    /// Which rows tell what it is.
    pub(super) const fn told_by(self) -> &'static str {
        match self {
            Launch => "rows with little work",
            WorkItem => "rows with many short sequences",
            Combine => "rows with few long sequences",
            ItemRate => "rows with few work items",
            MemoryFraction => "rows with more bytes than half the shared SRAM",
            MacFraction | Overlap => "rows with many query heads or rows of input",
            L2Reach => "rows with about as many bytes as the shared SRAM",
        }
    }

    /// A constant that no kernel can do without and that none of `rows` bears on.
    pub(super) fn never_seen(spec: &Accelerator, rows: &[&Observation]) -> Option<Self> {
        let shared = spec.shared_sram.as_ref().and_then(|s| s.capacity).unwrap_or(Bytes::ZERO);
        let beyond = rows.iter().any(|o| o.task.bytes().0 > shared.0 / 2);
        (!beyond && spec.hbm.is_some()).then_some(MemoryFraction)
    }

    /// Least and most that make sense, in seconds, bytes per second or as a fraction.
    const fn range(self) -> (f64, f64) {
        match self {
            Launch => (0.2e-6, 200e-6),
            WorkItem | Combine => (1e-9, 50e-6),
            ItemRate => (1e9, 4e12),
            MemoryFraction => (0.02, 1.0),
            MacFraction => (0.02, 1.0),
            Overlap => (0.01, 1.0),
            L2Reach => (0.02, 2.0),
        }
    }

    /// Where a search begins.
    pub(super) const fn guess(self, least_latency: f64) -> f64 {
        match self {
            Launch => 0.8 * least_latency,
            WorkItem => 0.6e-6,
            Combine => 2e-6,
            ItemRate => 60e9,
            MemoryFraction => 0.85,
            MacFraction => 0.6,
            Overlap => 0.8,
            L2Reach => 0.6,
        }
    }

    /// Its coordinate.
    pub(super) fn to_coordinate(self, value: f64) -> f64 {
        let (low, high) = self.range();
        value.clamp(low, high).ln()
    }

    /// What a coordinate stands for, and how far beyond the range it lies.
    pub(super) fn value(self, coordinate: f64) -> (f64, f64) {
        let (low, high) = self.range();
        let (low, high) = (low.ln(), high.ln());
        let inside = coordinate.clamp(low, high);
        (inside.exp(), (coordinate - inside).abs())
    }

    /// Writes `value` into `constants`.
    pub(super) fn set(self, constants: &mut Constants, value: f64) {
        let time = || Picos((value * 1e12).round() as u64);
        match self {
            Launch => constants.launch = time(),
            WorkItem => constants.work_item = Some(time()),
            Combine => constants.combine = Some(time()),
            ItemRate => constants.item_rate = Some(value.round() as u64),
            MemoryFraction => constants.memory_fraction = Some(value),
            MacFraction => constants.mac_fraction = Some(value),
            Overlap => constants.overlap = Some(value),
            L2Reach => constants.l2_reach = Some(value),
        }
    }
}

/// The constants of `set` at `point`, and how far the point lies outside their ranges.
pub(super) fn at(set: &[Constant], point: &[f64]) -> (Constants, f64) {
    let mut constants = Constants::default();
    let mut outside = 0.0;
    for (constant, &coordinate) in set.iter().zip(point) {
        let (value, beyond) = constant.value(coordinate);
        constant.set(&mut constants, value);
        outside += beyond;
    }
    (constants, outside)
}
