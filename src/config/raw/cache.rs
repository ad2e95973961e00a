//! The keys of how schemes are used, as overrides and axes name them after `cache.`.

use crate::attention::{Options, QkNorm, Rotation, Sparsity};
use crate::config::limits::MAX_BLOCK_TOKENS;
use crate::config::reader::table;
use crate::config::scalars::Count;
use std::num::NonZeroU64;

table! {
    /// How schemes are used.
    RawCache {
        /// Which form of rotated keys is kept: raw and rotated "on-read" (default), or "kept" rotated.
        optional rotation: Rotation,
        /// How keys that the model normalises are kept: normalised "on-read" (default), or with the "scale" of each token.
        optional qk_norm: QkNorm,
        /// Fraction of a query's attention weights that count as zero (default 0).
        optional sparsity: Sparsity,
        /// Tokens of a block of a paged cache, whose rows lie one after the other in memory (default: all tokens of a sequence do).
        optional block_tokens: Count<MAX_BLOCK_TOKENS>,
    }
}

impl RawCache {
    /// The options, absent ones at their defaults.
    pub(crate) fn options(&self) -> Options {
        Options {
            rotation: self.rotation.get().unwrap_or_default(),
            qk_norm: self.qk_norm.get().unwrap_or_default(),
            sparsity: self.sparsity.get().unwrap_or_default(),
            block_tokens: self.block_tokens.get().and_then(|c| NonZeroU64::new(c.0)),
        }
    }
}
