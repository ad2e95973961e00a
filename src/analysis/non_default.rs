//! Conditions that results hold under and that are not the default ones: what a document says of them beside the element types
//! that it always names.

use crate::attention::{self, Conditions, QkNorm, Rotation};
use crate::config::{NormForm, OWN_KERNELS};
use crate::units::Dtype;
use serde::{Serialize, Serializer};
use std::num::NonZeroU64;

/// Conditions other than the default ones. Fields that are absent are not written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct NonDefault {
    /// Kernel profile that operators are laid out by, where one is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kernels: Option<&'static str>,
    /// New tokens of each sequence, where it is not 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query_tokens: Option<u64>,
    /// Encoder tokens, where they are not the model's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encoder_tokens: Option<u64>,
    /// Fraction of attention weights that count as zero, where it is not 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sparsity: Option<f64>,
    /// Form of rotated keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rotation: Option<Rotation>,
    /// Form of normalised keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub qk_norm: Option<QkNorm>,
    /// Tokens of a block of a paged cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub block_tokens: Option<NonZeroU64>,
    /// Form of RMSNorms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub norm: Option<NormForm>,
    /// Element types of what single schemes keep, where they are not that of all.
    #[serde(skip_serializing_if = "OwnTypes::is_empty")]
    pub cache_dtypes: OwnTypes,
}

/// Element types of single schemes, by place in [`attention::ALL`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OwnTypes([Option<Dtype>; attention::ALL.len()]);

impl OwnTypes {
    fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    fn iter(&self) -> impl Iterator<Item = (&'static str, Dtype)> {
        attention::ALL.iter().zip(self.0).filter_map(|(scheme, own)| Some((scheme.name, own?)))
    }
}

impl Serialize for OwnTypes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl NonDefault {
    /// What differs among `conditions`; the model's part is not known here.
    #[must_use]
    pub fn of(conditions: &Conditions) -> Self {
        fn other<T: PartialEq + Default>(value: T) -> Option<T> {
            (value != T::default()).then_some(value)
        }
        let own = |scheme: &attention::Scheme| {
            let cache = conditions.precision_of(scheme).cache;
            (cache != conditions.precision.cache).then_some(cache)
        };
        let mut cache_dtypes = OwnTypes::default();
        for (scheme, place) in attention::ALL.iter().zip(&mut cache_dtypes.0) {
            *place = own(scheme);
        }
        let options = conditions.options;
        Self {
            kernels: None,
            query_tokens: (conditions.query_tokens != 1).then_some(conditions.query_tokens),
            encoder_tokens: None,
            sparsity: other(options.sparsity).map(attention::Sparsity::fraction),
            rotation: other(options.rotation),
            qk_norm: other(options.qk_norm),
            block_tokens: options.block_tokens,
            norm: None,
            cache_dtypes,
        }
    }

    /// In words, joined by commas; empty where all is as by default.
    #[must_use]
    pub fn words(&self) -> String {
        let mut parts = Vec::new();
        parts.extend(self.kernels.map(|name| match name {
            OWN_KERNELS => "the machine's own kernels".to_owned(),
            name => format!("the kernels of {name}"),
        }));
        parts.extend(self.query_tokens.map(|q| format!("query tokens {q}")));
        parts.extend(self.encoder_tokens.map(|n| format!("encoder tokens {n}")));
        parts.extend(self.sparsity.map(|s| format!("sparsity {s}")));
        parts.extend(self.rotation.map(|r| match r {
            Rotation::OnRead => "rotated keys rotated on read".to_owned(),
            Rotation::Kept => "rotated keys kept rotated".to_owned(),
        }));
        parts.extend(self.qk_norm.map(|n| match n {
            QkNorm::OnRead => "normalised keys normalised on read".to_owned(),
            QkNorm::Scale => "normalised keys kept with their scale".to_owned(),
        }));
        parts.extend(self.block_tokens.map(|t| format!("cache in blocks of {t} tokens")));
        parts.extend(self.norm.map(|n| match n {
            NormForm::AsIs => "norms as they are".to_owned(),
            NormForm::Flash => "FlashNorm".to_owned(),
        }));
        parts.extend(self.cache_dtypes.iter().map(|(scheme, dtype)| format!("cache of {scheme} {dtype}")));
        parts.join(", ")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::attention::{Options, Sparsity};

    #[test]
    fn the_default_conditions_are_not_named() {
        let none = NonDefault::of(&Conditions::default());
        assert_eq!((none, none.words()), (NonDefault::default(), String::new()));
        assert_eq!(serde_json::to_string(&none).unwrap(), "{}");
        // A type of its own that is that of all is none of its own.
        let same = Conditions { cache_of: vec![("slim-k", Dtype::Bf16)], ..Conditions::default() };
        assert_eq!(NonDefault::of(&same), none);
    }

    #[test]
    fn all_others_are_named() {
        let options = Options {
            rotation: Rotation::Kept,
            qk_norm: QkNorm::Scale,
            sparsity: Sparsity::new(0.9).unwrap(),
            block_tokens: NonZeroU64::new(16),
        };
        let conditions = Conditions {
            options,
            query_tokens: 4,
            cache_of: vec![("slim-k", Dtype::Fp32)],
            ..Conditions::default()
        };
        let all = NonDefault {
            encoder_tokens: Some(1500),
            norm: Some(NormForm::Flash),
            ..NonDefault::of(&conditions)
        };
        let expected = serde_json::json!({
            "query_tokens": 4, "encoder_tokens": 1500, "sparsity": 0.9, "rotation": "kept", "qk_norm": "scale",
            "block_tokens": 16, "norm": "flash", "cache_dtypes": { "slim-k": "fp32" }
        });
        assert_eq!(serde_json::to_value(all).unwrap(), expected);
        assert_eq!(
            all.words(),
            "query tokens 4, encoder tokens 1500, sparsity 0.9, rotated keys kept rotated, normalised keys kept with their \
             scale, cache in blocks of 16 tokens, FlashNorm, cache of slim-k fp32"
        );
    }
}
