//! What is run: schemes, shapes, condition numbers.

use crate::host::kernels::{Shape, Walk};
use serde::Serialize;

/// A layer's shape and how it is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Case {
    /// Heads.
    pub heads: usize,
    /// Elements of a head.
    pub head_dim: usize,
    /// Tokens of each sequence.
    pub context: usize,
    /// Sequences.
    pub batch: usize,
    /// Whether keys are rotated on the way.
    pub rotation: bool,
    /// Tokens in a tile.
    pub tile: usize,
    /// Threads.
    pub threads: usize,
}

impl Case {
    /// Its shape.
    pub(super) const fn shape(&self) -> Shape {
        Shape { heads: self.heads, head_dim: self.head_dim, context: self.context, batch: self.batch }
    }

    /// Elements of a row.
    pub(super) const fn width(&self) -> usize {
        self.shape().width()
    }

    /// How a kernel walks.
    pub(super) const fn walk(&self) -> Walk {
        Walk { tile: self.tile }
    }
}

impl std::fmt::Display for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { heads, head_dim, context, batch, tile, threads, .. } = self;
        let rotated = if self.rotation { ", rotated" } else { "" };
        write!(
            f,
            "{heads} heads of {head_dim}, context {context}, batch {batch}{rotated}, tile {tile}, threads {threads}"
        )
    }
}

/// `(heads, head_dim, context, batch, rotation, tile, threads)`.
type Row = (usize, usize, usize, usize, bool, usize, usize);

/// Between them: one head and many, heads that fill no register block, contexts that fill no tile and one of a single token, sequences that
/// are split between threads and that are not, one panel of weights and several.
const CASES: [Row; 8] = [
    (4, 32, 131, 2, true, 16, 1),
    (8, 32, 256, 1, false, 64, 2),
    (3, 64, 100, 3, true, 32, 2),
    (1, 16, 33, 1, false, 16, 1),
    (12, 16, 77, 1, false, 16, 2),
    (3, 80, 64, 2, false, 48, 1),
    (2, 128, 200, 1, true, 128, 1),
    (5, 32, 1, 2, false, 16, 1),
];

/// How many of them are run when time is short.
const QUICK: usize = 3;

/// The cases.
pub(super) fn cases(quick: bool) -> Vec<Case> {
    let build = |&(heads, head_dim, context, batch, rotation, tile, threads): &Row| Case {
        heads,
        head_dim,
        context,
        batch,
        rotation,
        tile,
        threads,
    };
    CASES.iter().take(if quick { QUICK } else { CASES.len() }).map(build).collect()
}

/// Condition numbers of W_K, by decades or, when time is short, a few.
pub(super) fn conditions(quick: bool) -> Vec<f64> {
    let decades: &[i32] = if quick { &[0, 3, 6] } else { &[0, 1, 2, 3, 4, 5, 6, 7] };
    decades.iter().map(|&d| 10f64.powi(d)).collect()
}
