//! How a scheme is used: choices that belong neither to the model nor to the machine.

use crate::units::power;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::num::NonZeroU64;

/// Which form of rotated keys is kept.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Rotation {
    /// Raw keys, rotated on every read.
    #[default]
    OnRead,
    /// Rotated keys; those of the tokens that the weighted sum uses are rotated back before it. Pays only with softmax sparsity.
    Kept,
}

/// How keys that the model normalises after their projection are kept.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum QkNorm {
    /// Before the norm, and normalised on every read.
    #[default]
    OnRead,
    /// Before the norm, with the norm's statistics of each token beside them.
    Scale,
}

/// Fraction S of a query's attention weights that are (near) zero, in billionths: tokens that its weighted sum skips.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sparsity(u32);

impl Sparsity {
    /// Every token counts.
    pub const NONE: Self = Self(0);

    /// The whole, in the unit that sparsity is counted in.
    pub const ONE: u64 = 1_000_000_000;

    /// `fraction` in [0, 1), to the nearest billionth; `None` outside.
    #[must_use]
    pub fn new(fraction: f64) -> Option<Self> {
        let billionths = (fraction * Self::ONE as f64).round();
        ((0.0..1.0).contains(&fraction) && billionths < Self::ONE as f64).then_some(Self(billionths as u32))
    }

    /// As a fraction.
    #[must_use]
    pub fn fraction(self) -> f64 {
        f64::from(self.0) / Self::ONE as f64
    }

    /// Whether every token counts.
    #[must_use]
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }

    /// Billionths of the tokens whose row at least one of `rows` query rows needs: 1 − S^rows, the rows choosing independently.
    #[must_use]
    pub fn used_by(self, rows: u64) -> u64 {
        if self.is_none() {
            return Self::ONE;
        }
        Self::ONE - (power(self.fraction(), rows) * Self::ONE as f64).round() as u64
    }

    /// `count` scaled by `billionths` of [`Self::ONE`], rounded up.
    #[must_use]
    pub const fn part(count: u64, billionths: u64) -> u64 {
        if billionths == Self::ONE {
            return count;
        }
        (count as u128 * billionths as u128).div_ceil(Self::ONE as u128) as u64
    }
}

/// How schemes are used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Options {
    /// Which form of rotated keys is kept.
    pub rotation: Rotation,
    /// How normalised keys are kept.
    pub qk_norm: QkNorm,
    /// Attention weights that count as zero.
    pub sparsity: Sparsity,
    /// Tokens of a block of a paged cache, whose rows lie one after the other; `None`: all tokens of a sequence do.
    pub block_tokens: Option<NonZeroU64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_skipped_only_where_all_its_heads_skip_it() {
        let s = Sparsity::new(0.9).expect("a fraction");
        assert_eq!(s.used_by(1), 100_000_000);
        assert_eq!(s.used_by(2), 190_000_000);
        assert!(s.used_by(1000) <= Sparsity::ONE && s.used_by(1000) > 999_999_000);
        assert_eq!(Sparsity::part(1000, s.used_by(1)), 100);
        assert_eq!(Sparsity::part(4096, s.used_by(1)), 410);
        assert_eq!(Sparsity::default().used_by(7), Sparsity::ONE);
    }

    #[test]
    fn fractions_outside_are_refused() {
        for wrong in [-0.1, 1.0, 1.5, f64::NAN, f64::INFINITY, 0.999_999_999_9] {
            assert_eq!(Sparsity::new(wrong), None, "{wrong}");
        }
        assert_eq!(Sparsity::new(0.0), Some(Sparsity::default()));
    }
}
