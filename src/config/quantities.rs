//! Raw quantities: texts with a unit, each with the bounds that keep every later product within 64 bits.

use schemars::{Schema, SchemaGenerator, json_schema};

use super::diagnostic::Diagnostic;
use super::limits;
use super::reader::{FromNode, KeyType, Reader};
use super::tree::{Node, Value};
use crate::hardware::sram::OnChipBandwidth;
use crate::units::parse::{self, Dimension, ParseError};
use crate::units::{Bandwidth, Bytes, Hertz, Picos, format};

/// Reads text with a unit of one of `dimensions`, as the value of a `T`.
fn quantity<T: FromNode>(
    node: &Node,
    reader: &mut Reader,
    dimensions: &[Dimension],
) -> Option<parse::Quantity> {
    let Value::Text(text) = &node.value else {
        return match node.value {
            Value::Integer(_) | Value::Float(_) => reader.refuse(node, "has no unit", &T::expected()),
            _ => reader.wrong_type(node, &T::expected()),
        };
    };
    match parse::quantity(text, dimensions) {
        Ok(quantity) => Some(quantity),
        Err(error) => {
            refuse_quantity(node, reader, &error, &T::expected());
            None
        }
    }
}

fn refuse_quantity(node: &Node, reader: &mut Reader, error: &ParseError, expected: &str) {
    let message = format!("'{}': {error}", reader.key());
    let mut diagnostic = Diagnostic::new(node.origin, message, format!("expected {expected}"));
    if let ParseError::UnknownUnit { nearest: Some(near), .. } = error {
        diagnostic = diagnostic.with_help(format!("did you mean '{near}'?"));
    }
    reader.push(diagnostic);
}

fn unit_expectation(dimensions: &[Dimension], word: Option<&str>) -> String {
    let whats: Vec<_> = dimensions.iter().map(|d| d.description()).collect();
    let units: Vec<_> = dimensions.iter().map(|d| d.accepted()).collect();
    let word = word.map(|w| format!(", or \"{w}\"")).unwrap_or_default();
    format!("{}{word} (units: {})", whats.join(" or "), units.join(", "))
}

fn unit_schema(dimensions: &[Dimension], word: Option<&str>) -> Schema {
    let units: Vec<_> = dimensions.iter().flat_map(|d| d.symbols()).collect();
    let word = word.map(|w| format!("|{w}")).unwrap_or_default();
    json_schema!({ "type": "string", "pattern": format!("^([0-9.]+([eE][-+]?[0-9]+)? ?({}){word})$", units.join("|")) })
}

/// The whole number of base units that was read, from `min` to `max`.
fn whole<T: FromNode>(
    node: &Node,
    reader: &mut Reader,
    read: &parse::Quantity,
    min: u64,
    max: u64,
) -> Option<u64> {
    let Value::Text(text) = &node.value else { return None };
    match read.whole(text) {
        Ok(n) if n < min => reader.refuse(node, "is zero", &T::expected()),
        Ok(n) if n > max => {
            let what = format!("is too large: at most {}", format::exact_whole(read.dimension, max));
            reader.refuse(node, &what, &T::expected())
        }
        Ok(n) => Some(n),
        Err(error) => {
            refuse_quantity(node, reader, &error, &T::expected());
            None
        }
    }
}

/// Implements [`FromNode`] for a whole quantity of one dimension.
macro_rules! quantity {
    ($type:ident, $dimension:ident, $min:expr, $max:expr) => {
        impl FromNode for $type {
            const TYPE: KeyType = KeyType::Quantity;

            fn expected() -> String {
                unit_expectation(&[Dimension::$dimension], None)
            }

            fn read(node: &Node, reader: &mut Reader) -> Option<Self> {
                let read = quantity::<Self>(node, reader, &[Dimension::$dimension])?;
                whole::<Self>(node, reader, &read, $min, $max).map(Self)
            }

            fn schema(_: &mut SchemaGenerator) -> Schema {
                unit_schema(&[Dimension::$dimension], None)
            }
        }
    };
}
quantity!(Bytes, Bytes, 1, limits::MAX_BYTES);
quantity!(Bandwidth, Bandwidth, 1, limits::MAX_BANDWIDTH);
quantity!(Hertz, Frequency, 1, limits::MAX_CLOCK);
// No latency and no launch cost are sound figures.
quantity!(Picos, Time, 0, limits::MAX_TIME);

impl FromNode for OnChipBandwidth {
    const TYPE: KeyType = KeyType::Quantity;

    fn expected() -> String {
        unit_expectation(&[Dimension::PerCycle, Dimension::Bandwidth], Some("ideal"))
    }

    fn read(node: &Node, reader: &mut Reader) -> Option<Self> {
        if matches!(&node.value, Value::Text(text) if text == "ideal") {
            return Some(Self::Ideal);
        }
        let read = quantity::<Self>(node, reader, &[Dimension::PerCycle, Dimension::Bandwidth])?;
        if read.dimension == Dimension::PerCycle {
            whole::<Self>(node, reader, &read, 1, limits::MAX_PER_CYCLE).map(Self::PerCycle)
        } else {
            let rate = whole::<Self>(node, reader, &read, 1, limits::MAX_BANDWIDTH)?;
            Some(Self::PerSecond(Bandwidth(rate)))
        }
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        unit_schema(&[Dimension::PerCycle, Dimension::Bandwidth], Some("ideal"))
    }
}

/// Picojoules per bit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct PerBit(pub(crate) f64);

/// Picojoules per operation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Energy(pub(crate) f64);

/// Implements [`FromNode`] for an energy.
macro_rules! energy {
    ($type:ident, $dimension:ident) => {
        impl FromNode for $type {
            const TYPE: KeyType = KeyType::Quantity;

            fn expected() -> String {
                unit_expectation(&[Dimension::$dimension], None)
            }

            fn read(node: &Node, reader: &mut Reader) -> Option<Self> {
                let value = quantity::<Self>(node, reader, &[Dimension::$dimension])?.float();
                if value == 0.0 {
                    reader.refuse(node, "is zero", &Self::expected())
                } else if value > limits::MAX_PICOJOULES {
                    let what = format!("is too large: at most {} pJ", limits::MAX_PICOJOULES);
                    reader.refuse(node, &what, &Self::expected())
                } else {
                    Some(Self(value))
                }
            }

            fn schema(_: &mut SchemaGenerator) -> Schema {
                unit_schema(&[Dimension::$dimension], None)
            }
        }
    };
}
energy!(PerBit, EnergyPerBit);
energy!(Energy, Energy);
