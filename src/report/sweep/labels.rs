//! Values of axes as people read them.

use crate::config::AxisTarget;
use crate::report::numbers;
use crate::sweep::{Dimension, Plan};
use crate::units::parse::{self, Dimension as Kind};
use crate::units::{Bandwidth, Bytes, Hertz, Picos, format};
use std::path::Path;

/// A value: its number, if it is one, and its label.
pub(super) fn value(dimension: &Dimension, at: usize) -> (Option<f64>, String) {
    let text = dimension.values.get(at).map_or("", String::as_str);
    if matches!(dimension.target, AxisTarget::Accelerator | AxisTarget::Model) {
        let stem = Path::new(text).file_stem().and_then(|s| s.to_str());
        return (None, if crate::config::is_path(text) { stem.unwrap_or(text) } else { text }.to_owned());
    }
    if let Ok(count) = text.parse::<u64>() {
        let label = match dimension.target {
            AxisTarget::Context => numbers::context(count),
            _ => numbers::thousands(count),
        };
        return (Some(count as f64), label);
    }
    if let Ok(number) = text.parse::<f64>() {
        return (Some(number), numbers::significant(number, 4));
    }
    match parse::quantity(text, &Kind::ALL) {
        Ok(quantity) => {
            let number = quantity.float();
            (Some(number), amount(quantity.dimension, number).unwrap_or_else(|| text.to_owned()))
        }
        Err(_) => (None, text.to_owned()),
    }
}

fn amount(kind: Kind, number: f64) -> Option<String> {
    let whole = number.round() as u64;
    Some(match kind {
        Kind::Bytes if whole.is_multiple_of(1000) && !whole.is_multiple_of(1024) => {
            format::bytes(Bytes(whole))
        }
        Kind::Bytes => format::bytes_binary(Bytes(whole)),
        Kind::Bandwidth => format::bandwidth(Bandwidth(whole)),
        Kind::Frequency => format::frequency(Hertz(whole)),
        Kind::Time => format::time(Picos(whole)),
        Kind::PerCycle | Kind::EnergyPerBit | Kind::Energy => return None,
    })
}

/// Where a combination is, in words: every dimension of `which` with its value.
pub(super) fn place(plan: &Plan, at: &[usize], which: impl IntoIterator<Item = usize>) -> String {
    let dimensions = plan.dimensions();
    let words: Vec<String> = which
        .into_iter()
        .map(|i| {
            let (_, label) = value(&dimensions[i], at[i]);
            match dimensions[i].target {
                AxisTarget::Accelerator | AxisTarget::Model => label,
                _ => format!("{} {label}", dimensions[i].name),
            }
        })
        .collect();
    words.join(", ")
}

/// A part of a file's name: lower-case letters, digits and hyphens.
pub(super) fn file_part(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            c if c.is_ascii_alphanumeric() => out.push(c.to_ascii_lowercase()),
            _ if out.ends_with('-') || out.is_empty() => {}
            _ => out.push('-'),
        }
    }
    out.trim_end_matches('-').to_owned()
}
