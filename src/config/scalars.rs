//! Raw scalars: counts, fractions, switches, texts and names, and lists of them.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::diagnostic::Diagnostic;
use super::reader::{FromNode, KeyType, Reader};
use super::tree::{Key, Node, Value};
use crate::attention::{QkNorm, Rotation};
use crate::hardware::mac_array::Dataflow;
use crate::model::{AttentionBias, Norm, NormSpan, Position};
use crate::units::Dtype;

/// An integer from `MIN` to `MAX`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Count<const MAX: u64, const MIN: u64 = 1>(pub(crate) u64);

impl<const MAX: u64, const MIN: u64> FromNode for Count<MAX, MIN> {
    const TYPE: KeyType = KeyType::Integer;

    fn expected() -> String {
        format!("a whole number from {MIN} to {MAX}")
    }

    fn read(node: &Node, reader: &mut Reader) -> Option<Self> {
        match node.value {
            Value::Integer(Some(n)) => match u64::try_from(n) {
                Ok(n) if (MIN..=MAX).contains(&n) => Some(Self(n)),
                _ if n < 0 => reader.refuse(node, "is negative", &Self::expected()),
                _ if n == 0 => reader.refuse(node, "is zero", &Self::expected()),
                _ if n < i128::from(MIN) => reader.refuse(node, "is too small", &Self::expected()),
                _ => reader.refuse(node, "is too large", &Self::expected()),
            },
            Value::Integer(None) => reader.refuse(node, "is too large", &Self::expected()),
            Value::Float(x) if x.is_nan() => reader.refuse(node, "is not a number", &Self::expected()),
            _ => reader.wrong_type(node, &Self::expected()),
        }
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "minimum": MIN, "maximum": MAX })
    }
}

/// A power of two from 1 to `MAX`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PowerOfTwo<const MAX: u64>(pub(crate) u64);

impl<const MAX: u64> FromNode for PowerOfTwo<MAX> {
    const TYPE: KeyType = KeyType::Integer;

    fn expected() -> String {
        format!("a power of two from 1 to {MAX}")
    }

    fn read(node: &Node, reader: &mut Reader) -> Option<Self> {
        match node.value {
            Value::Integer(Some(n)) => match u64::try_from(n) {
                Ok(n) if n.is_power_of_two() && n <= MAX => Some(Self(n)),
                _ if n < 0 => reader.refuse(node, "is negative", &Self::expected()),
                _ if n == 0 => reader.refuse(node, "is zero", &Self::expected()),
                _ if n > i128::from(MAX) => reader.refuse(node, "is too large", &Self::expected()),
                _ => reader.refuse(node, "is no power of two", &Self::expected()),
            },
            Value::Integer(None) => reader.refuse(node, "is too large", &Self::expected()),
            _ => reader.wrong_type(node, &Self::expected()),
        }
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        let powers: Vec<u64> = (0..=MAX.ilog2()).map(|bits| 1 << bits).collect();
        json_schema!({ "enum": powers })
    }
}

/// Reads a finite float; an integer is one too. What is expected is put into words only for an error: sweeps read thousands of
/// values a second.
pub(crate) fn finite<T: FromNode>(node: &Node, reader: &mut Reader) -> Option<f64> {
    let mut refuse = |what| reader.refuse(node, what, &T::expected());
    match node.value {
        Value::Float(x) if x.is_nan() => refuse("is not a number"),
        Value::Float(x) if x.is_infinite() => refuse("is not finite"),
        Value::Float(x) => Some(x),
        Value::Integer(Some(n)) => Some(n as f64),
        Value::Integer(None) => refuse("is too large"),
        _ => reader.wrong_type(node, &T::expected()),
    }
}

/// A finite number; its bounds depend on other keys.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Number(pub(crate) f64);

impl FromNode for Number {
    const TYPE: KeyType = KeyType::Float;

    fn expected() -> String {
        "a number".into()
    }

    fn read(node: &Node, reader: &mut Reader) -> Option<Self> {
        finite::<Self>(node, reader).map(Self)
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "number" })
    }
}

/// A number from 0 to 1, both included.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Fraction(pub(crate) f64);

impl FromNode for Fraction {
    const TYPE: KeyType = KeyType::Float;

    fn expected() -> String {
        "a number from 0 to 1".into()
    }

    fn read(node: &Node, reader: &mut Reader) -> Option<Self> {
        let x = finite::<Self>(node, reader)?;
        if (0.0..=1.0).contains(&x) {
            Some(Self(x))
        } else if x < 0.0 {
            reader.refuse(node, "is negative", &Self::expected())
        } else {
            reader.refuse(node, "is greater than 1", &Self::expected())
        }
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "number", "minimum": 0, "maximum": 1 })
    }
}

/// A number above 0, at most `MOST`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Share<const MOST: u32>(pub(crate) f64);

impl<const MOST: u32> FromNode for Share<MOST> {
    const TYPE: KeyType = KeyType::Float;

    fn expected() -> String {
        format!("a number above 0, at most {MOST}")
    }

    fn read(node: &Node, reader: &mut Reader) -> Option<Self> {
        let x = finite::<Self>(node, reader)?;
        if x < 0.0 {
            reader.refuse(node, "is negative", &Self::expected())
        } else if x == 0.0 {
            reader.refuse(node, "is zero", &Self::expected())
        } else if x > f64::from(MOST) {
            reader.refuse(node, &format!("is greater than {MOST}"), &Self::expected())
        } else {
            Some(Self(x))
        }
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "number", "exclusiveMinimum": 0, "maximum": MOST })
    }
}

/// A finite number that is not negative.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Amount(pub(crate) f64);

impl FromNode for Amount {
    const TYPE: KeyType = KeyType::Float;

    fn expected() -> String {
        "a number from 0".into()
    }

    fn read(node: &Node, reader: &mut Reader) -> Option<Self> {
        let x = finite::<Self>(node, reader)?;
        if x < 0.0 { reader.refuse(node, "is negative", &Self::expected()) } else { Some(Self(x)) }
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "number", "minimum": 0 })
    }
}

impl FromNode for bool {
    const TYPE: KeyType = KeyType::Other;

    fn expected() -> String {
        "true or false".into()
    }

    fn read(node: &Node, reader: &mut Reader) -> Option<Self> {
        match node.value {
            Value::Bool(yes) => Some(yes),
            _ => reader.wrong_type(node, &Self::expected()),
        }
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "boolean" })
    }
}

impl FromNode for String {
    const TYPE: KeyType = KeyType::Other;

    fn expected() -> String {
        "text".into()
    }

    fn read(node: &Node, reader: &mut Reader) -> Option<Self> {
        match &node.value {
            Value::Text(text) if text.trim().is_empty() => reader.refuse(node, "is empty", "some text"),
            Value::Text(text) => Some(text.clone()),
            _ => reader.wrong_type(node, &Self::expected()),
        }
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "minLength": 1 })
    }
}

/// A type whose values are names.
pub(crate) trait Named: Copy + 'static {
    /// Every value and its name.
    const NAMES: &'static [(&'static str, Self)];

    /// The name of a value.
    fn name(self) -> &'static str
    where
        Self: PartialEq,
    {
        Self::NAMES.iter().find(|(_, value)| *value == self).map_or("", |(name, _)| *name)
    }
}

/// Reads a name; suggests the nearest one.
pub(crate) fn read_name<T: Named>(node: &Node, reader: &mut Reader) -> Option<T> {
    let text = match &node.value {
        Value::Text(text) => text.as_str(),
        _ => return reader.wrong_type(node, &one_of::<T>()),
    };
    let found = T::NAMES.iter().find(|(name, _)| *name == text).map(|(_, value)| *value);
    if found.is_none() {
        let message = format!("'{}' is unknown: '{text}'", reader.key());
        let names = T::NAMES.iter().map(|(name, _)| *name);
        let expected = format!("expected {}", one_of::<T>());
        reader.push(Diagnostic::new(node.origin, message, expected).suggesting(text, names));
    }
    found
}

/// The names of a type, for a message.
pub(crate) fn one_of<T: Named>() -> String {
    let names: Vec<_> = T::NAMES.iter().map(|(name, _)| format!("\"{name}\"")).collect();
    format!("one of {}", names.join(", "))
}

/// Implements [`Named`] and [`FromNode`] for an enumeration; its schema lists the names.
macro_rules! named {
    ($type:ty { $( $name:literal => $value:expr ),+ $(,)? }) => {
        impl $crate::config::scalars::Named for $type {
            const NAMES: &'static [(&'static str, Self)] = &[$( ($name, $value) ),+];
        }

        impl $crate::config::reader::FromNode for $type {
            const TYPE: $crate::config::reader::KeyType = $crate::config::reader::KeyType::Other;

            fn expected() -> String {
                $crate::config::scalars::one_of::<Self>()
            }

            fn read(
                node: &$crate::config::tree::Node,
                reader: &mut $crate::config::reader::Reader,
            ) -> Option<Self> {
                $crate::config::scalars::read_name(node, reader)
            }

            fn schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "enum": [$( $name ),+] })
            }
        }
    };
}
pub(crate) use named;

named!(Position {
    "rope" => Self::Rope,
    "alibi" => Self::Alibi,
    "learned" => Self::Learned,
    "sinusoidal" => Self::Sinusoidal,
    "relative-bias" => Self::RelativeBias,
    "none" => Self::None,
});
named!(Norm {
    "rms" => Self::Rms,
    "layer" => Self::Layer,
    "layer-no-bias" => Self::LayerNoBias,
    "non-parametric" => Self::NonParametric,
    "flash-rms" => Self::FlashRms,
});
named!(NormSpan {
    "row" => Self::Row,
    "head" => Self::Head,
});
named!(Rotation {
    "on-read" => Self::OnRead,
    "kept" => Self::Kept,
});
named!(QkNorm {
    "on-read" => Self::OnRead,
    "scale" => Self::Scale,
});
named!(Dataflow {
    "weight-stationary" => Self::WeightStationary,
    "output-stationary" => Self::OutputStationary,
});
named!(Dtype {
    "fp32" => Self::Fp32,
    "bf16" => Self::Bf16,
    "fp16" => Self::Fp16,
    "fp8" => Self::Fp8,
    "int8" => Self::Int8,
    "int4" => Self::Int4,
});

impl FromNode for AttentionBias {
    const TYPE: KeyType = KeyType::Other;

    fn expected() -> String {
        "\"none\" or a list of \"q\", \"k\", \"v\", \"o\"".into()
    }

    fn read(node: &Node, reader: &mut Reader) -> Option<Self> {
        let mut bias = Self::default();
        match &node.value {
            Value::Text(text) if text == "none" => return Some(bias),
            Value::Array(items) => {
                let mut sound = true;
                for item in items {
                    match &item.value {
                        Value::Text(text) if text == "q" => bias.q = true,
                        Value::Text(text) if text == "k" => bias.k = true,
                        Value::Text(text) if text == "v" => bias.v = true,
                        Value::Text(text) if text == "o" => bias.o = true,
                        _ => {
                            sound = false;
                            reader.refuse::<()>(item, "has an unknown item", "\"q\", \"k\", \"v\" or \"o\"");
                        }
                    }
                }
                return sound.then_some(bias);
            }
            _ => {}
        }
        reader.refuse(node, "is not a list of projections", &Self::expected())
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        let list = <Vec<String>>::json_schema(generator);
        let mut list = list;
        list.insert("items".into(), serde_json::json!({ "enum": ["q", "k", "v", "o"] }));
        json_schema!({ "anyOf": [{ "const": "none" }, list] })
    }
}

/// A table from element types to values: `bf16 = …`. In the order of the element types, not of the file.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ByDtype<T>(pub(crate) Vec<(Dtype, T)>);

const DTYPE_KEYS: [&str; 6] = ["fp32", "bf16", "fp16", "fp8", "int8", "int4"];

impl<T: FromNode> FromNode for ByDtype<T> {
    const TYPE: KeyType = KeyType::Table;

    fn expected() -> String {
        format!("a table with at least one of {}", DTYPE_KEYS.join(", "))
    }

    fn read(node: &Node, reader: &mut Reader) -> Option<Self> {
        let table = reader.table(node)?;
        if table.entries.is_empty() {
            return reader.refuse(node, "is empty", &Self::expected());
        }
        for (key, _) in &table.entries {
            if !DTYPE_KEYS.contains(&&*key.name) {
                reader.unknown_key(key, &DTYPE_KEYS);
            }
        }
        let mut values = Vec::new();
        for (name, dtype) in Dtype::NAMES {
            if let Some(value) = table.get(name) {
                values.extend(reader.within(name, |r| T::read(value, r)).map(|v| (*dtype, v)));
            }
        }
        Some(Self(values))
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        let one = T::schema(generator);
        let properties: serde_json::Map<_, _> =
            DTYPE_KEYS.iter().map(|key| ((*key).to_owned(), one.clone().into())).collect();
        json_schema!({
            "type": "object", "properties": properties, "additionalProperties": false, "minProperties": 1
        })
    }

    fn follow(path: &[Key], value: Option<&Node>, reader: &mut Reader) -> Option<KeyType> {
        let Some((key, rest)) = path.split_first() else {
            if let Some(node) = value {
                Self::read(node, reader)?;
            }
            return Some(KeyType::Table);
        };
        match Dtype::NAMES.iter().find(|(name, _)| *name == &*key.name) {
            Some((name, _)) => reader.within(name, |r| T::follow(rest, value, r)),
            None => {
                reader.unknown_key(key, &DTYPE_KEYS);
                None
            }
        }
    }
}

/// One value or a list of them.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct OneOrMany<T>(pub(crate) Vec<super::reader::Located<T>>);

impl<T: FromNode> FromNode for OneOrMany<T> {
    const TYPE: KeyType = T::TYPE;

    fn expected() -> String {
        format!("{}, or a list of them", T::expected())
    }

    fn read(node: &Node, reader: &mut Reader) -> Option<Self> {
        let Value::Array(items) = &node.value else {
            return FromNode::read(node, reader).map(|one| Self(vec![one]));
        };
        if items.is_empty() {
            return reader.refuse(node, "is an empty list", &Self::expected());
        }
        let read: Vec<_> = items.iter().filter_map(|item| FromNode::read(item, reader)).collect();
        (read.len() == items.len()).then_some(Self(read))
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        let one = T::schema(generator);
        json_schema!({ "anyOf": [one, { "type": "array", "items": one, "minItems": 1 }] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hardware::kernel::{Kind, Phase, SplitRule};

    /// The names read here are those that results are written with.
    #[test]
    fn names_agree_with_serde() {
        fn check<T: Named + serde::Serialize>() {
            for (name, value) in T::NAMES {
                assert_eq!(serde_json::to_value(value).ok(), Some((*name).into()));
            }
        }
        check::<Position>();
        check::<Norm>();
        check::<NormSpan>();
        check::<Rotation>();
        check::<QkNorm>();
        check::<Dtype>();
        check::<Dataflow>();
        check::<Kind>();
        check::<Phase>();
        check::<SplitRule>();
        assert_eq!(
            SplitRule::ALL.map(SplitRule::name).to_vec(),
            SplitRule::NAMES.iter().map(|n| n.0).collect::<Vec<_>>()
        );
        assert_eq!(Kind::ALL.map(Kind::name).to_vec(), Kind::NAMES.iter().map(|n| n.0).collect::<Vec<_>>());
        assert_eq!(
            Phase::ALL.map(Phase::name).to_vec(),
            Phase::NAMES.iter().map(|n| n.0).collect::<Vec<_>>()
        );
        assert_eq!(DTYPE_KEYS.to_vec(), Dtype::ALL.map(Dtype::name).to_vec());
    }
}
