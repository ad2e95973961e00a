//! Element types as frameworks write them.

use super::super::error::near;
use crate::units::Dtype;

/// Names, in lower case and without `torch.`.
const NAMES: [(&str, Dtype); 20] = [
    ("bfloat16", Dtype::Bf16),
    ("bf16", Dtype::Bf16),
    ("float16", Dtype::Fp16),
    ("fp16", Dtype::Fp16),
    ("half", Dtype::Fp16),
    ("float32", Dtype::Fp32),
    ("fp32", Dtype::Fp32),
    ("fp8", Dtype::Fp8),
    ("float8", Dtype::Fp8),
    ("e4m3", Dtype::Fp8),
    ("e5m2", Dtype::Fp8),
    ("fp8_e4m3", Dtype::Fp8),
    ("fp8_e5m2", Dtype::Fp8),
    ("fp8_e4m3fn", Dtype::Fp8),
    ("float8_e4m3", Dtype::Fp8),
    ("float8_e4m3fn", Dtype::Fp8),
    ("float8_e5m2", Dtype::Fp8),
    ("int8", Dtype::Int8),
    ("int4", Dtype::Int4),
    ("float", Dtype::Fp32),
];

/// What an element type must be.
pub(super) const EXPECTED: &str =
    "bfloat16 (bf16), float16 (fp16), float32 (fp32), fp8 (float8, fp8_e4m3, …), int8 or int4";

/// The type of this name.
pub(super) fn parse(text: &str) -> Option<Dtype> {
    let bare = text.strip_prefix("torch.").unwrap_or(text);
    NAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(bare)).map(|&(_, dtype)| dtype)
}

/// A name like it.
pub(super) fn like(text: &str) -> Option<&'static str> {
    near(text, NAMES.iter().map(|(name, _)| *name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_frameworks() {
        for (text, dtype) in [
            ("bfloat16", Dtype::Bf16),
            ("BF16", Dtype::Bf16),
            ("torch.bfloat16", Dtype::Bf16),
            ("torch.float8_e4m3fn", Dtype::Fp8),
            ("half", Dtype::Fp16),
            ("float", Dtype::Fp32),
            ("int4", Dtype::Int4),
        ] {
            assert_eq!(parse(text), Some(dtype), "{text}");
        }
        // Types with scales or mixed operands are others.
        for text in ["fp8_block", "int4_wo", "nvfp4", "sq", "", "bfloat"] {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!(like("bfloat61"), Some("bfloat16"));
        assert_eq!(like("fp8_block"), None);
    }

    #[test]
    fn every_type_can_be_written_by_its_own_name() {
        for dtype in Dtype::ALL {
            assert_eq!(parse(dtype.name()), Some(dtype));
        }
    }
}
