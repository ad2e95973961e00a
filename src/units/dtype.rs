//! Element types of weights and caches.

use super::Bytes;
use serde::{Deserialize, Serialize};

/// The element type of a tensor.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Dtype {
    /// 32-bit floating point.
    Fp32,
    /// bfloat16.
    Bf16,
    /// IEEE half precision.
    Fp16,
    /// 8-bit floating point (either variant).
    Fp8,
    /// 8-bit integer.
    Int8,
    /// 4-bit integer, two to a byte.
    Int4,
}

impl Dtype {
    /// Every element type, widest first.
    pub const ALL: [Self; 6] = [Self::Fp32, Self::Bf16, Self::Fp16, Self::Fp8, Self::Int8, Self::Int4];

    /// Width of one element in bits.
    #[must_use]
    pub const fn bits(self) -> u64 {
        match self {
            Self::Fp32 => 32,
            Self::Bf16 | Self::Fp16 => 16,
            Self::Fp8 | Self::Int8 => 8,
            Self::Int4 => 4,
        }
    }

    /// Bytes that `elements` contiguous elements take, the last one padded to a whole byte.
    #[must_use]
    pub const fn bytes(self, elements: u64) -> Bytes {
        Bytes((elements * self.bits()).div_ceil(8))
    }

    /// The types that operands of this one can be computed in without loss of what they say, the first to be preferred: a
    /// float never in an integer, an integer in any type whose significand holds it.
    #[must_use]
    pub const fn computed_in(self) -> &'static [Self] {
        match self {
            Self::Fp32 => &[Self::Fp32],
            Self::Bf16 => &[Self::Bf16, Self::Fp16, Self::Fp32],
            Self::Fp16 => &[Self::Fp16, Self::Bf16, Self::Fp32],
            Self::Fp8 => &[Self::Fp8, Self::Bf16, Self::Fp16, Self::Fp32],
            Self::Int8 => &[Self::Int8, Self::Bf16, Self::Fp16, Self::Fp32],
            Self::Int4 => &[Self::Int4, Self::Int8, Self::Bf16, Self::Fp16, Self::Fp32],
        }
    }

    /// This type's entry in a table by type, or that of the first type it can be computed in.
    #[must_use]
    pub fn entry<T: Copy>(self, table: &[(Self, T)]) -> Option<T> {
        let listed = |dtype: &Self| table.iter().find(|(d, _)| d == dtype).map(|&(_, value)| value);
        self.computed_in().iter().find_map(listed)
    }

    /// The name that users write: `fp32`, `bf16`, `fp16`, `fp8`, `int8`, `int4`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fp32 => "fp32",
            Self::Bf16 => "bf16",
            Self::Fp16 => "fp16",
            Self::Fp8 => "fp8",
            Self::Int8 => "int8",
            Self::Int4 => "int4",
        }
    }
}

impl std::fmt::Display for Dtype {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for Dtype {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|d| d.name() == text).ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|d| d.name()).collect();
            format!("unknown element type '{text}'; expected one of {}", names.join(", "))
        })
    }
}
