//! Quantities for people to read, and the exact texts that [`super::parse`] reads back.
//!
//! Two kinds of text: rounded to four significant digits for tables and sentences ([`bytes`], [`time`], …), and exact
//! for files ([`exact_bytes`], [`exact_time`], …), where reading the text back gives the same integer.

use super::parse::Dimension;
use super::{Bandwidth, Bytes, Flops, Hertz, Picos};

/// Decimal prefixes from one on, each 1000 times the one before.
const DECIMAL: [&str; 7] = ["", "k", "M", "G", "T", "P", "E"];
/// Binary prefixes from one on, each 1024 times the one before.
const BINARY: [&str; 7] = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];

/// `value` with the prefix that leaves one to four digits before the point, four significant digits at most, without
/// trailing zeros.
fn rounded(value: u128, base: u128, prefixes: &[&str], unit: &str) -> String {
    let mut scale = 1_u128;
    let mut chosen = 0;
    // Rounding can carry into the next prefix: 999.96 k is 1 M.
    while chosen + 1 < prefixes.len() && four_digits(value, scale).0 >= base * 1000 {
        scale *= base;
        chosen += 1;
    }
    let (thousandths, _) = four_digits(value, scale);
    let (whole, fraction) = (thousandths / 1000, thousandths % 1000);
    let fraction = format!("{fraction:03}");
    let fraction = fraction.trim_end_matches('0');
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{whole}{point}{fraction} {}{unit}", prefixes[chosen])
}

/// `value / scale` in thousandths, rounded half up to four significant digits, and the rounding step.
fn four_digits(value: u128, scale: u128) -> (u128, u128) {
    let step = match value / scale {
        0..10 => 1,
        10..100 => 10,
        100..1000 => 100,
        _ => 1000,
    };
    (((value * 1000 / step + scale / 2) / scale) * step, step)
}

/// Bytes with decimal prefixes: `80 GB`, `6.738 GB`.
#[must_use]
pub fn bytes(value: Bytes) -> String {
    rounded(value.0.into(), 1000, &DECIMAL, "B")
}

/// Bytes with binary prefixes: `228 KiB`.
#[must_use]
pub fn bytes_binary(value: Bytes) -> String {
    rounded(value.0.into(), 1024, &BINARY, "B")
}

/// A bandwidth with decimal prefixes: `3.35 TB/s`.
#[must_use]
pub fn bandwidth(value: Bandwidth) -> String {
    rounded(value.0.into(), 1000, &DECIMAL, "B/s")
}

/// A frequency: `1.41 GHz`.
#[must_use]
pub fn frequency(value: Hertz) -> String {
    rounded(value.0.into(), 1000, &DECIMAL, "Hz")
}

/// Floating-point operations: `13.48 GFLOP`.
#[must_use]
pub fn flops(value: Flops) -> String {
    rounded(value.0.into(), 1000, &DECIMAL, "FLOP")
}

/// A time in the largest of s, ms, µs, ns, ps that leaves at least one before the point: `1.234 ms`.
#[must_use]
pub fn time(value: Picos) -> String {
    rounded(value.0.into(), 1000, &["ps", "ns", "µs", "ms", "s"], "")
}

/// A count with thousands separators: `1,234,567`.
#[must_use]
pub fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A ratio with two decimals: `1.85×`.
#[must_use]
pub fn ratio(value: f64) -> String {
    format!("{value:.2}×")
}

/// `value` in the largest unit that it reaches, with as many decimals as it takes: `units` go down by powers of ten to one.
fn exact(value: u64, units: &[(&str, u64)]) -> String {
    let Some(&(unit, size)) = units.iter().find(|&&(_, size)| value >= size).or(units.last()) else {
        return value.to_string();
    };
    let digits = size.ilog10() as usize;
    let fraction = if digits == 0 { String::new() } else { format!("{:0digits$}", value % size) };
    let fraction = fraction.trim_end_matches('0');
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{}{point}{fraction} {unit}", value / size)
}

/// The exact text of a capacity, whole binary units where they fit and decimal ones otherwise: `228 KiB`, `80 GB`.
#[must_use]
pub fn exact_bytes(value: Bytes) -> String {
    const WHOLE_BINARY: [(&str, u64); 4] =
        [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    if value.0 > 0
        && !value.0.is_multiple_of(1000)
        && let Some((unit, size)) = WHOLE_BINARY.iter().find(|(_, size)| value.0.is_multiple_of(*size))
    {
        return format!("{} {unit}", value.0 / size);
    }
    exact(
        value.0,
        &[("TB", 1_000_000_000_000), ("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1000), ("B", 1)],
    )
}

/// The exact text of a bandwidth: `3.35 TB/s`.
#[must_use]
pub fn exact_bandwidth(value: Bandwidth) -> String {
    exact(
        value.0,
        &[
            ("TB/s", 1_000_000_000_000),
            ("GB/s", 1_000_000_000),
            ("MB/s", 1_000_000),
            ("kB/s", 1000),
            ("B/s", 1),
        ],
    )
}

/// The exact text of a frequency: `1.41 GHz`.
#[must_use]
pub fn exact_frequency(value: Hertz) -> String {
    exact(value.0, &[("GHz", 1_000_000_000), ("MHz", 1_000_000), ("kHz", 1000), ("Hz", 1)])
}

/// The exact text of a whole number of base units of a dimension.
#[must_use]
pub fn exact_whole(dimension: Dimension, value: u64) -> String {
    match dimension {
        Dimension::Bytes => exact_bytes(Bytes(value)),
        Dimension::Bandwidth => exact_bandwidth(Bandwidth(value)),
        Dimension::Frequency => exact_frequency(Hertz(value)),
        Dimension::Time => exact_time(Picos(value)),
        Dimension::PerCycle | Dimension::EnergyPerBit | Dimension::Energy => {
            format!("{value} {}", dimension.base())
        }
    }
}

/// The exact text of a time: `400 ns`.
#[must_use]
pub fn exact_time(value: Picos) -> String {
    let units = [("s", 1_000_000_000_000), ("ms", 1_000_000_000), ("us", 1_000_000), ("ns", 1000), ("ps", 1)];
    exact(value.0, &units)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::parse;
    use proptest::prelude::*;

    #[test]
    fn people_read_four_digits() {
        assert_eq!(bytes(Bytes(0)), "0 B");
        assert_eq!(bytes(Bytes(999)), "999 B");
        assert_eq!(bytes(Bytes(999_960)), "1 MB");
        assert_eq!(bytes(Bytes(80_000_000_000)), "80 GB");
        assert_eq!(bytes(Bytes(6_738_280_448)), "6.738 GB");
        assert_eq!(bytes(Bytes(13_476_560_896)), "13.48 GB");
        assert_eq!(bytes(Bytes(u64::MAX)), "18.45 EB");
        assert_eq!(bytes_binary(Bytes(228 << 10)), "228 KiB");
        assert_eq!(bytes_binary(Bytes(1023)), "1023 B");
        assert_eq!(bytes_binary(Bytes(6_738_280_448)), "6.276 GiB");
        assert_eq!(bandwidth(Bandwidth(3_350_000_000_000)), "3.35 TB/s");
        assert_eq!(frequency(Hertz(1_410_000_000)), "1.41 GHz");
        assert_eq!(flops(Flops(13_476_560_896)), "13.48 GFLOP");
        assert_eq!(time(Picos(1_234_567_890)), "1.235 ms");
        assert_eq!(time(Picos(400_000)), "400 ns");
        assert_eq!(time(Picos(2_500_000)), "2.5 µs");
        assert_eq!(time(Picos(7_200_000_000_000_000)), "7200 s");
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(ratio(1.849), "1.85×");
    }

    #[test]
    fn files_get_the_natural_unit() {
        assert_eq!(exact_bytes(Bytes(228 << 10)), "228 KiB");
        assert_eq!(exact_bytes(Bytes(80_000_000_000)), "80 GB");
        assert_eq!(exact_bytes(Bytes(50_000_000)), "50 MB");
        assert_eq!(exact_bytes(Bytes(1_234_567)), "1.234567 MB");
        assert_eq!(exact_bandwidth(Bandwidth(3_350_000_000_000)), "3.35 TB/s");
        assert_eq!(exact_frequency(Hertz(1_755_000_000)), "1.755 GHz");
        assert_eq!(exact_time(Picos(400_000)), "400 ns");
        assert_eq!(exact_time(Picos(0)), "0 ps");
    }

    proptest! {
        #[test]
        fn exact_texts_read_back(value in any::<u64>(), zeros in 0_u32..20) {
            let value = value / 10_u64.pow(zeros) * 10_u64.pow(zeros);
            prop_assert_eq!(parse::bytes(&exact_bytes(Bytes(value))), Ok(Bytes(value)));
            prop_assert_eq!(parse::bandwidth(&exact_bandwidth(Bandwidth(value))), Ok(Bandwidth(value)));
            prop_assert_eq!(parse::frequency(&exact_frequency(Hertz(value))), Ok(Hertz(value)));
            prop_assert_eq!(parse::time(&exact_time(Picos(value))), Ok(Picos(value)));
        }

        #[test]
        fn binary_capacities_read_back(value in 0_u64..1 << 20, shift in 0_u32..40) {
            let value = Bytes(value << shift);
            prop_assert_eq!(parse::bytes(&exact_bytes(value)), Ok(value));
        }
    }
}
