//! Ranges of values for a sweep's axes: `{ from, to, steps, scale }`.

use super::diagnostic::Diagnostic;
use super::raw::{RawRange, Scale};
use super::reader::{KeyType, Reader};
use super::source::Origin;
use super::tree::{Node, Value};
use crate::units::format;
use crate::units::parse::{self, Dimension};

/// The values of a range, both ends included and exact. Its ends have been checked against the key.
pub(crate) fn expand(
    raw: &RawRange,
    at: Origin,
    key: KeyType,
    axis: &str,
    reader: &mut Reader,
) -> Option<Vec<Node>> {
    let (from, to, steps) = (&raw.from.value()?.0, &raw.to.value()?.0, raw.steps.get()?.0);
    let scale = match raw.scale.at() {
        Some(_) => raw.scale.get()?,
        None => Scale::Linear,
    };
    let mut refuse = |at: Origin, message: String, expected: &str| {
        reader.push(Diagnostic::new(at, message, expected));
    };
    let (ends, write): ([f64; 2], Box<dyn Fn(f64) -> Value>) = match (key, number(from), number(to)) {
        (KeyType::Integer, Some(a), Some(b)) => {
            ([a, b], Box::new(|x| Value::Integer(Some(x.round() as i128))))
        }
        (KeyType::Float, Some(a), Some(b)) => ([a, b], Box::new(Value::Float)),
        (KeyType::Quantity, ..) => match (quantity(from), quantity(to)) {
            (Some((one, a)), Some((other, b))) if one == other => {
                ([a, b], Box::new(move |x| Value::Text(text(one, x))))
            }
            (Some(_), Some(_)) => {
                refuse(
                    to.origin,
                    format!("the ends of axis '{axis}' differ in kind"),
                    "expected a unit as in 'from'",
                );
                return None;
            }
            _ => {
                refuse(
                    at,
                    format!("axis '{axis}' has an end that is no quantity"),
                    "expected numbers with units",
                );
                return None;
            }
        },
        _ => {
            refuse(at, format!("axis '{axis}' takes no range"), "expected a list of values");
            return None;
        }
    };
    if scale == Scale::Logarithmic && ends.iter().any(|x| *x <= 0.0) {
        refuse(at, format!("a logarithmic range of '{axis}' from or to zero"), "expected ends above zero");
        return None;
    }
    let last = steps - 1;
    let value = |i: u64| match i {
        // Whatever the arithmetic in between, the ends are as written.
        0 => from.value.clone(),
        i if i == last => to.value.clone(),
        i => write(between(ends, i as f64 / last as f64, scale)),
    };
    Some((0..steps).map(|i| Node { value: value(i), origin: at }).collect())
}

fn between([from, to]: [f64; 2], share: f64, scale: Scale) -> f64 {
    match scale {
        Scale::Linear => from + (to - from) * share,
        Scale::Logarithmic => from * (to / from).powf(share),
    }
}

fn number(node: &Node) -> Option<f64> {
    match node.value {
        Value::Integer(Some(n)) => Some(n as f64),
        Value::Float(x) => Some(x),
        _ => None,
    }
}

fn quantity(node: &Node) -> Option<(Dimension, f64)> {
    let Value::Text(text) = &node.value else { return None };
    let quantity = parse::quantity(text, &Dimension::ALL).ok()?;
    Some((quantity.dimension, quantity.float()))
}

/// The text of a value in base units, whole where the dimension is.
fn text(dimension: Dimension, value: f64) -> String {
    match dimension {
        Dimension::EnergyPerBit | Dimension::Energy => format!("{value} {}", dimension.base()),
        _ => format::exact_whole(dimension, value.round() as u64),
    }
}
