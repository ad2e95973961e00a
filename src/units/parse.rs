//! Quantities as people write them: a decimal number and a unit, `"3.35 TB/s"`, in exact integer arithmetic.
//!
//! `"1.41 GHz"` is 1410000000 Hz, never 1409999999.99: the number is kept as digits and a power of ten until its unit
//! is known. What is not a whole number of the base unit (half a byte, half a picosecond) is refused, not rounded.

use super::{Bandwidth, Bytes, Hertz, Picos};

/// What a unit measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dimension {
    /// Bytes, base unit B.
    Bytes,
    /// Bytes per second, base unit B/s.
    Bandwidth,
    /// Frequency, base unit Hz.
    Frequency,
    /// Time, base unit ps.
    Time,
    /// Bytes per clock cycle, base unit B/cycle.
    PerCycle,
    /// Energy per bit moved, base unit pJ/bit; not necessarily whole.
    EnergyPerBit,
    /// Energy per operation, base unit pJ; not necessarily whole.
    Energy,
}

/// A unit: its symbol and its size, `factor`·10^`exponent` base units.
#[derive(Debug, Clone, Copy)]
struct Unit {
    symbol: &'static str,
    factor: u64,
    exponent: i32,
}

const fn decimal(symbol: &'static str, exponent: i32) -> Unit {
    Unit { symbol, factor: 1, exponent }
}

const fn binary(symbol: &'static str, bits: u32) -> Unit {
    Unit { symbol, factor: 1 << bits, exponent: 0 }
}

const BYTES: &[Unit] = &[
    decimal("B", 0),
    decimal("kB", 3),
    decimal("MB", 6),
    decimal("GB", 9),
    decimal("TB", 12),
    binary("KiB", 10),
    binary("MiB", 20),
    binary("GiB", 30),
    binary("TiB", 40),
];
const BANDWIDTH: &[Unit] = &[
    decimal("B/s", 0),
    decimal("kB/s", 3),
    decimal("MB/s", 6),
    decimal("GB/s", 9),
    decimal("TB/s", 12),
    decimal("PB/s", 15),
    binary("KiB/s", 10),
    binary("MiB/s", 20),
    binary("GiB/s", 30),
    binary("TiB/s", 40),
];
const FREQUENCY: &[Unit] = &[decimal("Hz", 0), decimal("kHz", 3), decimal("MHz", 6), decimal("GHz", 9)];
const TIME: &[Unit] = &[
    decimal("ps", 0),
    decimal("ns", 3),
    decimal("us", 6),
    decimal("µs", 6),
    decimal("μs", 6),
    decimal("ms", 9),
    decimal("s", 12),
];
const PER_CYCLE: &[Unit] =
    &[decimal("B/cycle", 0), decimal("kB/cycle", 3), binary("KiB/cycle", 10), binary("MiB/cycle", 20)];
const ENERGY_PER_BIT: &[Unit] = &[decimal("fJ/bit", -3), decimal("pJ/bit", 0), decimal("nJ/bit", 3)];
const ENERGY: &[Unit] = &[decimal("fJ", -3), decimal("pJ", 0), decimal("nJ", 3)];

impl Dimension {
    /// Every dimension.
    pub const ALL: [Self; 7] = [
        Self::Bytes,
        Self::Bandwidth,
        Self::Frequency,
        Self::Time,
        Self::PerCycle,
        Self::EnergyPerBit,
        Self::Energy,
    ];

    const fn units(self) -> &'static [Unit] {
        match self {
            Self::Bytes => BYTES,
            Self::Bandwidth => BANDWIDTH,
            Self::Frequency => FREQUENCY,
            Self::Time => TIME,
            Self::PerCycle => PER_CYCLE,
            Self::EnergyPerBit => ENERGY_PER_BIT,
            Self::Energy => ENERGY,
        }
    }

    /// What it is, with an example: `a bandwidth such as "3.35 TB/s"`.
    #[must_use]
    pub const fn description(self) -> &'static str {
        match self {
            Self::Bytes => "a capacity such as \"80 GB\" or \"228 KiB\"",
            Self::Bandwidth => "a bandwidth such as \"3.35 TB/s\"",
            Self::Frequency => "a frequency such as \"1.41 GHz\"",
            Self::Time => "a time such as \"400 ns\"",
            Self::PerCycle => "bytes per cycle such as \"128 B/cycle\"",
            Self::EnergyPerBit => "an energy per bit such as \"3.9 pJ/bit\"",
            Self::Energy => "an energy such as \"0.7 pJ\"",
        }
    }

    /// The accepted units, comma-separated, each meaning once.
    #[must_use]
    pub fn accepted(self) -> String {
        // µ exists twice in Unicode; both are read, one is shown.
        let symbols: Vec<_> = self.units().iter().map(|u| u.symbol).filter(|s| *s != "μs").collect();
        symbols.join(", ")
    }

    /// The accepted units, for the pattern of a JSON schema.
    pub(crate) fn symbols(self) -> impl Iterator<Item = &'static str> {
        self.units().iter().map(|u| u.symbol)
    }

    /// The base unit's symbol.
    #[must_use]
    pub const fn base(self) -> &'static str {
        match self {
            Self::Bytes => "B",
            Self::Bandwidth => "B/s",
            Self::Frequency => "Hz",
            Self::Time => "ps",
            Self::PerCycle => "B/cycle",
            Self::EnergyPerBit => "pJ/bit",
            Self::Energy => "pJ",
        }
    }
}

/// Why a text is not the quantity asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// The text does not begin with a decimal number.
    #[error("'{0}' is not a number with a unit")]
    NotANumber(String),
    /// The number has no unit behind it.
    #[error("'{0}' has no unit")]
    NoUnit(String),
    /// The unit is not one of those accepted.
    #[error("unknown unit '{unit}'")]
    UnknownUnit {
        /// The unit as written.
        unit: String,
        /// The accepted unit that differs by case only, or is nearest.
        nearest: Option<&'static str>,
    },
    /// The number is negative.
    #[error("'{0}' is negative")]
    Negative(String),
    /// The quantity is not a whole number of base units.
    #[error("'{text}' is not a whole number of {base}")]
    NotWhole {
        /// The text as written.
        text: String,
        /// The base unit.
        base: &'static str,
    },
    /// The quantity does not fit 64 bits.
    #[error("'{0}' is too large")]
    TooLarge(String),
}

/// A quantity that has been read, exact: `mantissa`·10^`exponent` base units of its dimension.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quantity {
    /// What its unit measures.
    pub dimension: Dimension,
    mantissa: u128,
    exponent: i32,
}

/// Reads `text` as a quantity of one of `dimensions`.
///
/// # Errors
/// If it is not a non-negative decimal number followed by a unit of one of them.
pub fn quantity(text: &str, dimensions: &[Dimension]) -> Result<Quantity, ParseError> {
    let text = text.trim();
    if let Some(rest) = text.strip_prefix('-')
        && rest.starts_with(|c: char| c.is_ascii_digit() || c == '.')
    {
        return Err(ParseError::Negative(text.to_owned()));
    }
    let (mantissa, exponent, unit) = number(text)?;
    if unit.is_empty() {
        return Err(ParseError::NoUnit(text.to_owned()));
    }
    for &dimension in dimensions {
        if let Some(found) = dimension.units().iter().find(|u| u.symbol == unit) {
            let mantissa = mantissa
                .checked_mul(u128::from(found.factor))
                .ok_or_else(|| ParseError::TooLarge(text.to_owned()))?;
            return Ok(Quantity { dimension, mantissa, exponent: exponent.saturating_add(found.exponent) });
        }
    }
    Err(ParseError::UnknownUnit { unit: unit.to_owned(), nearest: nearest_unit(unit, dimensions) })
}

/// Splits digits, fraction and exponent from the unit behind them.
fn number(text: &str) -> Result<(u128, i32, &str), ParseError> {
    let bad = || ParseError::NotANumber(text.to_owned());
    let too_large = || ParseError::TooLarge(text.to_owned());
    let bytes = text.as_bytes();
    let (mut mantissa, mut exponent, mut digits, mut at) = (0_u128, 0_i32, 0, 0);
    let mut point = false;
    while let Some(&b) = bytes.get(at) {
        match b {
            b'0'..=b'9' => {
                mantissa = mantissa
                    .checked_mul(10)
                    .and_then(|m| m.checked_add(u128::from(b - b'0')))
                    .ok_or_else(too_large)?;
                digits += 1;
                exponent -= i32::from(point);
            }
            b'.' if !point => point = true,
            _ => break,
        }
        at += 1;
    }
    if digits == 0 {
        return Err(bad());
    }
    // An exponent only if digits follow, so that a unit may begin with an e.
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-')));
        let start = at + 1 + sign;
        let length = bytes[start.min(bytes.len())..].iter().take_while(|b| b.is_ascii_digit()).count();
        if length > 0 {
            let written: i32 = text[at + 1..start + length].parse().map_err(|_| too_large())?;
            exponent = exponent.saturating_add(written);
            at = start + length;
        }
    }
    Ok((mantissa, exponent, text[at..].trim_start()))
}

fn nearest_unit(unit: &str, dimensions: &[Dimension]) -> Option<&'static str> {
    let mut symbols = dimensions.iter().flat_map(|d| d.units()).map(|u| u.symbol);
    symbols.clone().find(|s| s.eq_ignore_ascii_case(unit)).or_else(|| {
        let close = |s: &&str| unit.len() > 1 && strsim::damerau_levenshtein(s, unit) == 1;
        symbols.find(close)
    })
}

impl Quantity {
    /// The whole number of base units.
    ///
    /// # Errors
    /// If it is not whole, or beyond `u64`.
    pub fn whole(&self, text: &str) -> Result<u64, ParseError> {
        if self.mantissa == 0 {
            return Ok(0);
        }
        let too_large = || ParseError::TooLarge(text.to_owned());
        let not_whole = || ParseError::NotWhole { text: text.to_owned(), base: self.dimension.base() };
        let power = |e: i32| u32::try_from(e).ok().and_then(|e| 10_u128.checked_pow(e));
        let value = if self.exponent >= 0 {
            power(self.exponent).and_then(|p| self.mantissa.checked_mul(p)).ok_or_else(too_large)?
        } else {
            // A power beyond u128 exceeds every mantissa: the quotient would be a fraction.
            let divisor = power(self.exponent.saturating_neg()).ok_or_else(not_whole)?;
            if !self.mantissa.is_multiple_of(divisor) {
                return Err(not_whole());
            }
            self.mantissa / divisor
        };
        u64::try_from(value).map_err(|_| too_large())
    }

    /// The nearest float, in base units; infinite beyond the range of floats.
    #[must_use]
    pub fn float(&self) -> f64 {
        // Both factors are exact: one operation, one rounding.
        if self.mantissa < 1 << 53 && self.exponent.unsigned_abs() <= 15 {
            let power = 10_u64.pow(self.exponent.unsigned_abs()) as f64;
            let mantissa = self.mantissa as f64;
            return if self.exponent < 0 { mantissa / power } else { mantissa * power };
        }
        // Through text otherwise: the parser of floats rounds once, too.
        format!("{}e{}", self.mantissa, self.exponent).parse().unwrap_or(f64::INFINITY)
    }
}

fn whole(text: &str, dimension: Dimension) -> Result<u64, ParseError> {
    quantity(text, &[dimension])?.whole(text.trim())
}

/// Reads a capacity: `"80 GB"`, `"228 KiB"`.
///
/// # Errors
/// If it is not a whole, non-negative number of bytes with a unit of bytes.
pub fn bytes(text: &str) -> Result<Bytes, ParseError> {
    whole(text, Dimension::Bytes).map(Bytes)
}

/// Reads a bandwidth: `"3.35 TB/s"`. Zero is read as zero; refusing it is the caller's business.
///
/// # Errors
/// As [`bytes`], in bytes per second.
pub fn bandwidth(text: &str) -> Result<Bandwidth, ParseError> {
    whole(text, Dimension::Bandwidth).map(Bandwidth)
}

/// Reads a frequency: `"1.41 GHz"`. Zero is read as zero; refusing it is the caller's business.
///
/// # Errors
/// As [`bytes`], in hertz.
pub fn frequency(text: &str) -> Result<Hertz, ParseError> {
    whole(text, Dimension::Frequency).map(Hertz)
}

/// Reads a time: `"400 ns"`.
///
/// # Errors
/// As [`bytes`], in picoseconds.
pub fn time(text: &str) -> Result<Picos, ParseError> {
    whole(text, Dimension::Time).map(Picos)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_exact() {
        assert_eq!(frequency("1.41 GHz"), Ok(Hertz(1_410_000_000)));
        assert_eq!(frequency("1.755GHz"), Ok(Hertz(1_755_000_000)));
        assert_eq!(bandwidth("3.35 TB/s"), Ok(Bandwidth(3_350_000_000_000)));
        assert_eq!(bandwidth("23.1e0 TB/s"), Ok(Bandwidth(23_100_000_000_000)));
        assert_eq!(bandwidth("1 TiB/s"), Ok(Bandwidth(1 << 40)));
        assert_eq!(bytes("80 GB"), Ok(Bytes(80_000_000_000)));
        assert_eq!(bytes("0.5 KiB"), Ok(Bytes(512)));
        assert_eq!(bytes("1e-3 kB"), Ok(Bytes(1)));
        assert_eq!(time("2 us"), Ok(Picos(2_000_000)));
        assert_eq!(time("2 µs"), time("2 μs"));
        assert_eq!(time("0 ns"), Ok(Picos(0)));
        assert_eq!(bytes("18446744073709551615 B"), Ok(Bytes(u64::MAX)));
    }

    #[test]
    fn energies_are_floats_rounded_once() {
        let read = |text| quantity(text, &[Dimension::EnergyPerBit]).unwrap().float();
        assert_eq!(read("3.9 pJ/bit").to_bits(), 3.9_f64.to_bits());
        assert_eq!(read("11.9 fJ/bit").to_bits(), 0.0119_f64.to_bits());
    }

    #[test]
    fn a_unit_chooses_among_dimensions() {
        let dimensions = [Dimension::PerCycle, Dimension::Bandwidth];
        assert_eq!(quantity("128 B/cycle", &dimensions).unwrap().dimension, Dimension::PerCycle);
        assert_eq!(quantity("19 TB/s", &dimensions).unwrap().dimension, Dimension::Bandwidth);
    }

    #[test]
    fn errors_say_what_is_wrong() {
        let text = |r: Result<Bytes, ParseError>| r.unwrap_err().to_string();
        assert_eq!(text(bytes("80")), "'80' has no unit");
        assert_eq!(text(bytes("-1 GB")), "'-1 GB' is negative");
        assert_eq!(text(bytes("0.3 B")), "'0.3 B' is not a whole number of B");
        assert_eq!(text(bytes("20000000 TB")), "'20000000 TB' is too large");
        assert_eq!(text(bytes("1e99999999999 B")), "'1e99999999999 B' is too large");
        assert_eq!(text(bytes("1e2147483647 TB")), "'1e2147483647 TB' is too large");
        assert_eq!(text(bytes("1e-2147483647 B")), "'1e-2147483647 B' is not a whole number of B");
        assert_eq!(text(bytes("nan GB")), "'nan GB' is not a number with a unit");
        assert_eq!(text(bytes("")), "'' is not a number with a unit");
        assert_eq!(text(bytes("1 e")), "unknown unit 'e'");
        assert_eq!(text(bytes("1e")), "unknown unit 'e'");
        let unit = |text| match bytes(text) {
            Err(ParseError::UnknownUnit { nearest, .. }) => nearest,
            other => panic!("{other:?}"),
        };
        assert_eq!(unit("1 gb"), Some("GB"));
        assert_eq!(unit("1 Kib"), Some("KiB"));
        assert_eq!(unit("1 GBs"), Some("GB"));
        assert_eq!(unit("1 parsec"), None);
        assert_eq!(Dimension::Bytes.accepted(), "B, kB, MB, GB, TB, KiB, MiB, GiB, TiB");
    }
}
