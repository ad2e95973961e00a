//! Numbers for people: thousands separated, three figures, units chosen to fit. Never parsed back.

/// An integer with commas: `131,072`.
#[must_use]
pub fn thousands(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A token count: `32k` and `1M` for multiples of 1024 and 1024² (as context lengths are called), else with commas.
#[must_use]
pub fn context(tokens: u64) -> String {
    const K: u64 = 1024;
    match tokens {
        t if t >= K * K && t.is_multiple_of(K * K) => format!("{}M", thousands(t / (K * K))),
        t if t >= K && t.is_multiple_of(K) => format!("{}k", thousands(t / K)),
        t => thousands(t),
    }
}

/// `value` with about `figures` significant figures, never in exponent form below 10¹⁵.
#[must_use]
pub fn significant(value: f64, figures: usize) -> String {
    if !value.is_finite() {
        return if value.is_nan() {
            "–".to_owned()
        } else if value > 0.0 {
            "∞".to_owned()
        } else {
            "−∞".to_owned()
        };
    }
    if value == 0.0 {
        return "0".to_owned();
    }
    let exponential = format!("{value:.*e}", figures.saturating_sub(1));
    // The magnitude after rounding: 9.996 to three figures is 10.0, not 10.00.
    let magnitude: i64 = exponential.rsplit('e').next().and_then(|e| e.parse().ok()).unwrap_or(0);
    if !(-6..15).contains(&magnitude) {
        return exponential;
    }
    let decimals = usize::try_from(figures as i64 - 1 - magnitude).unwrap_or(0);
    grouped(value, decimals)
}

/// `value` with `decimals` decimals, thousands separated.
pub(super) fn grouped(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let (sign, whole) = whole.strip_prefix('-').map_or(("", whole), |w| ("−", w));
    let whole = whole.parse().map_or_else(|_| whole.to_owned(), thousands);
    if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

/// Three figures and a decimal prefix: `si(1.5e13, "FLOP/s")` is `15.0 TFLOP/s`.
#[must_use]
pub fn si(value: f64, unit: &str) -> String {
    const PREFIXES: [(f64, &str); 11] = [
        (1e18, "E"),
        (1e15, "P"),
        (1e12, "T"),
        (1e9, "G"),
        (1e6, "M"),
        (1e3, "k"),
        (1.0, ""),
        (1e-3, "m"),
        (1e-6, "µ"),
        (1e-9, "n"),
        (1e-12, "p"),
    ];
    if value == 0.0 || !value.is_finite() {
        return format!("{} {unit}", significant(value, 3));
    }
    // 999.9 rounds to four figures: take the next prefix from where three figures would read 1000.
    let (scale, prefix) =
        PREFIXES.into_iter().find(|(scale, _)| value.abs() / scale >= 0.9995).unwrap_or((1e-12, "p"));
    format!("{} {prefix}{unit}", significant(value / scale, 3))
}

/// Bytes, decimal: `12.3 GB`.
#[must_use]
pub fn bytes(count: u64) -> String {
    if count < 1000 { format!("{count} B") } else { si(count as f64, "B") }
}

/// A time in seconds: `1.23 ms`, `45.6 s`, `2 h 5 min`.
#[must_use]
pub fn duration(seconds: f64) -> String {
    if (600.0..1e9).contains(&seconds) {
        let minutes = (seconds / 60.0).round() as u64;
        return match (minutes / 60, minutes % 60) {
            (0, m) => format!("{m} min"),
            (h, 0) => format!("{} h", thousands(h)),
            (h, m) => format!("{} h {m} min", thousands(h)),
        };
    }
    si(seconds, "s")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_grouped() {
        let cases = [(0, "0"), (999, "999"), (1000, "1,000"), (131_072, "131,072")];
        for (value, text) in cases {
            assert_eq!(thousands(value), text);
        }
        assert_eq!(thousands(u64::MAX), "18,446,744,073,709,551,615");
    }

    #[test]
    fn contexts_read_as_people_call_them() {
        let cases =
            [(1, "1"), (512, "512"), (1024, "1k"), (1500, "1,500"), (131_072, "128k"), (1 << 20, "1M")];
        for (tokens, text) in cases {
            assert_eq!(context(tokens), text);
        }
    }

    #[test]
    fn figures_and_units_fit() {
        assert_eq!(significant(1.734_9, 3), "1.73");
        assert_eq!(significant(0.012_345, 3), "0.0123");
        assert_eq!(significant(-12_345.6, 3), "−12,346");
        assert_eq!(significant(f64::NAN, 3), "–");
        assert_eq!(significant(1e-9, 3), "1.00e-9");
        assert_eq!(si(1.5e13, "FLOP/s"), "15.0 TFLOP/s");
        assert_eq!(si(999.96e9, "B"), "1.00 TB");
        assert_eq!(si(0.0, "s"), "0 s");
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(13_476_839_424), "13.5 GB");
        assert_eq!(bytes(u64::MAX), "18.4 EB");
        assert_eq!(duration(0.001_234), "1.23 ms");
        assert_eq!(duration(2.5e-6), "2.50 µs");
        assert_eq!(duration(59.94), "59.9 s");
        assert_eq!(duration(3600.0), "1 h");
        assert_eq!(duration(7500.0), "2 h 5 min");
    }
}
