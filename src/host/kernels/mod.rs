//! Decode attention of one layer on a CPU: the baseline and two slim schemes, as they would be written for speed.
//!
//! All keep a row of `heads · head_dim` elements a token, read it once and in order, and stream it in tiles that fit the second-level cache.
//! Weights W_KV = W_K⁻¹·W_V are laid out head by head, in panels, as a parameter file would hold them.

pub mod block;
mod combine;
mod kv_cache;
pub mod phases;
mod pieces;
pub mod probes;
mod product;
pub mod rotation;
mod scores;
mod scratch;
mod slim_k;
mod slim_k_recompute;
mod softmax;
mod weights;

pub use kv_cache::KvCache;
pub use pieces::{Piece, pieces};
pub use slim_k::SlimK;
pub use slim_k_recompute::SlimKRecompute;
pub use weights::Weights;

use serde::{Deserialize, Serialize};

/// What one decode step of one layer attends to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Shape {
    /// Query heads, each with keys and values of its own.
    pub heads: usize,
    /// Elements of a head; a multiple of 16 (of 32 with rotation).
    pub head_dim: usize,
    /// Tokens in the cache of each sequence.
    pub context: usize,
    /// Sequences.
    pub batch: usize,
}

impl Shape {
    /// Elements of a kept row: `heads · head_dim`.
    #[must_use]
    pub const fn width(&self) -> usize {
        self.heads * self.head_dim
    }

    /// Elements of a cache of keys, or of values, all sequences together.
    #[must_use]
    pub const fn cache(&self) -> usize {
        self.width() * self.context * self.batch
    }
}

/// A scheme that has a kernel here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scheme {
    /// The baseline: keys and values kept.
    KvCache,
    /// Keys kept, projected last.
    SlimK,
    /// Keys kept, values rebuilt first.
    SlimKRecompute,
}

impl Scheme {
    /// All, the baseline first.
    pub const ALL: [Self; 3] = [Self::KvCache, Self::SlimK, Self::SlimKRecompute];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::KvCache => "kv-cache",
            Self::SlimK => "slim-k",
            Self::SlimKRecompute => "slim-k-recompute",
        }
    }
}

/// How a kernel walks the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Walk {
    /// Tokens in a tile; a multiple of 16.
    pub tile: usize,
}

impl Walk {
    /// Tiles of rows of `row_bytes` bytes that take a quarter of a second-level cache of `l2_bytes`, so that the next tile, the sums and
    /// the queries fit beside it: 16 to 128 tokens.
    #[must_use]
    pub const fn fitting(row_bytes: usize, l2_bytes: usize) -> Self {
        let tokens = l2_bytes / 4 / row_bytes / 16 * 16;
        Self {
            tile: if tokens < 16 {
                16
            } else if tokens > 128 {
                128
            } else {
                tokens
            },
        }
    }
}
