//! Values of a row: token counts and times, checked, with what is wrong said in words.

use super::error::Fault;
use crate::units::Picos;

/// Most tokens that one request may have on either side: 2³¹.
pub const MAX_TOKENS: u64 = 1 << 31;

/// A time of a row in picoseconds from an origin of the format's own. Wider than [`Picos`]: Unix time needs it.
pub(super) type Instant = i128;

/// Picoseconds in a second.
const SECOND: Instant = Picos::PER_SECOND as Instant;

/// What a token count must be.
pub(super) const TOKENS_EXPECTED: &str = "a whole number of tokens, 1 to 2147483648";

/// Checks a token count that has been read as a number.
pub(super) fn tokens_in_range(count: u64, what: &str) -> Result<u64, Fault> {
    match count {
        0 => Err(Fault::new(format!("{what} is zero"), TOKENS_EXPECTED)),
        1..=MAX_TOKENS => Ok(count),
        _ => Err(Fault::new(format!("{what} {count} is too large"), TOKENS_EXPECTED)),
    }
}

/// A count as text: digits, also with a fraction of zeros, as spreadsheets and pandas write them.
pub(crate) fn count(text: &str, what: &str) -> Result<u64, Fault> {
    let text = text.trim();
    let whole = match text.split_once('.') {
        Some((whole, zeros)) if !whole.is_empty() && zeros.bytes().all(|b| b == b'0') => whole,
        _ => text,
    };
    let digits = whole.strip_prefix('-').unwrap_or(whole);
    if text.is_empty() {
        Err(Fault::new(format!("{what} is missing"), TOKENS_EXPECTED))
    } else if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        let kind = if text.parse::<f64>().is_ok_and(f64::is_finite) { "not whole" } else { "not a number" };
        Err(Fault::new(format!("{what} '{}' is {kind}", short(text)), TOKENS_EXPECTED))
    } else if digits.len() < whole.len() {
        Err(Fault::new(format!("{what} {} is negative", short(text)), TOKENS_EXPECTED))
    } else {
        whole.parse().map_err(|_| Fault::new(format!("{what} {} is too large", short(text)), TOKENS_EXPECTED))
    }
}

/// A token count as text, in range.
pub(super) fn tokens(text: &str, what: &str) -> Result<u64, Fault> {
    tokens_in_range(count(text, what)?, what)
}

/// A token count out of JSON.
pub(super) fn json_tokens(number: &serde_json::Number, what: &str) -> Result<u64, Fault> {
    match number.as_u64() {
        Some(count) => tokens_in_range(count, what),
        None => tokens(&number.to_string(), what),
    }
}

/// What a time in seconds must be.
pub(super) const SECONDS_EXPECTED: &str = "a time in seconds, not negative";

/// Seconds as decimal text, exactly to the picosecond; further digits are cut off.
pub(super) fn seconds(text: &str) -> Result<Instant, Fault> {
    decimal(text, SECOND, SECONDS_EXPECTED)
}

/// What a time in milliseconds must be.
pub(super) const MILLISECONDS_EXPECTED: &str = "a time in milliseconds, not negative";

/// Milliseconds as decimal text.
pub(super) fn milliseconds(text: &str) -> Result<Instant, Fault> {
    decimal(text, SECOND / 1_000, MILLISECONDS_EXPECTED)
}

/// `text` times `unit`.
fn decimal(text: &str, unit: Instant, expected: &str) -> Result<Instant, Fault> {
    let text = text.trim();
    let fault = |problem: &str| Fault::new(format!("arrival time '{}' is {problem}", short(text)), expected);
    if text.is_empty() {
        return Err(Fault::new("the arrival time is missing", expected));
    }
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || whole.len() + fraction.len() == 0 {
        // Signs and exponents are rare: through a float, good to 16 digits.
        return match text.parse::<f64>() {
            Ok(value) if !value.is_finite() => Err(fault("not finite")),
            Ok(value) if value < 0.0 => Err(fault("negative")),
            Ok(value) if value * unit as f64 > 1e27 => Err(fault("too large")),
            Ok(value) => Ok((value * unit as f64).round() as Instant),
            Err(_) => Err(fault("not a number")),
        };
    }
    let mut total: Instant = 0;
    for b in whole.bytes() {
        total = total * 10 + Instant::from(b - b'0');
        if total > 1_000_000_000_000_000 {
            return Err(fault("too large"));
        }
    }
    total *= unit;
    let mut place = unit;
    for b in fraction.bytes() {
        place /= 10;
        total += Instant::from(b - b'0') * place;
    }
    Ok(total)
}

/// What a calendar time must be.
pub(super) const CALENDAR_EXPECTED: &str = "a time like 2023-11-16 18:17:03.9799600";

/// `YYYY-MM-DD HH:MM:SS`, with or without a fraction of seconds and an offset from UTC (`Z`, `+01:00`), in the Gregorian calendar.
pub(super) fn calendar(text: &str) -> Result<Instant, Fault> {
    let text = text.trim();
    let not_a_time = || Fault::new(format!("'{}' is not a time", short(text)), CALENDAR_EXPECTED);
    let no_such = |what: &str| Fault::new(format!("'{}' has no such {what}", short(text)), CALENDAR_EXPECTED);
    if text.is_empty() {
        return Err(Fault::new("the arrival time is missing", CALENDAR_EXPECTED));
    }
    let bytes = text.as_bytes();
    let (Some(head), Some(tail)) = (bytes.get(..19), text.get(19..)) else { return Err(not_a_time()) };
    let shaped = head.iter().enumerate().all(|(i, &b)| match i {
        4 | 7 => b == b'-',
        10 => b == b' ' || b == b'T',
        13 | 16 => b == b':',
        _ => b.is_ascii_digit(),
    });
    if !shaped {
        return Err(not_a_time());
    }
    let field =
        |from: usize, to: usize| head[from..to].iter().fold(0, |n, &b| n * 10 + Instant::from(b - b'0'));
    let (year, month, day) = (field(0, 4), field(5, 7), field(8, 10));
    let (hour, minute, second) = (field(11, 13), field(14, 16), field(17, 19));
    if !(1..=12).contains(&month) {
        return Err(no_such("month"));
    }
    if !(1..=days_in_month(year, month)).contains(&day) {
        return Err(no_such("day"));
    }
    if hour > 23 || minute > 59 || second > 59 {
        return Err(no_such("time of day"));
    }
    let zone_at = tail.find(['Z', '+', '-']).unwrap_or(tail.len());
    let (fraction, zone) = tail.split_at(zone_at);
    let mut picos = 0;
    if let Some(digits) = fraction.strip_prefix('.') {
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(not_a_time());
        }
        let mut place = SECOND;
        for b in digits.bytes() {
            place /= 10;
            picos += Instant::from(b - b'0') * place;
        }
    } else if !fraction.is_empty() {
        return Err(not_a_time());
    }
    let offset = utc_offset_minutes(zone).ok_or_else(not_a_time)?;
    let minutes = (days_from_epoch(year, month, day) * 24 + hour) * 60 + minute - offset;
    Ok((minutes * 60 + second) * SECOND + picos)
}

/// Minutes east of Greenwich of `""`, `Z` or `±HH:MM`.
fn utc_offset_minutes(zone: &str) -> Option<Instant> {
    if zone.is_empty() || zone == "Z" {
        return Some(0);
    }
    let sign = if zone.starts_with('-') { -1 } else { 1 };
    let (hours, minutes) = zone.get(1..)?.split_once(':')?;
    let two =
        |s: &str| (s.len() == 2 && s.bytes().all(|b| b.is_ascii_digit())).then(|| s.parse::<i128>().ok())?;
    Some(sign * (two(hours).filter(|&h| h < 24)? * 60 + two(minutes).filter(|&m| m < 60)?))
}

/// Days in `month` (1 to 12) of `year`.
const fn days_in_month(year: Instant, month: Instant) -> Instant {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Days from 0000-03-01 to the date. Years are counted from March, so that a leap day is a year's last.
const fn days_from_epoch(year: Instant, month: Instant, day: Instant) -> Instant {
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    // From March on, months have 31, 30, 31, 30, 31 days over and over: 153 in five.
    y * 365 + y.div_euclid(4) - y.div_euclid(100) + y.div_euclid(400) + (153 * m + 2) / 5 + day - 1
}

/// At most 40 characters of `text`, for a message.
pub(crate) fn short(text: &str) -> String {
    let shown: String = text.chars().take(40).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if shown.len() < text.len() && text.chars().count() > 40 { shown + "…" } else { shown }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn gap(a: &str, b: &str) -> f64 {
        (calendar(b).unwrap() - calendar(a).unwrap()) as f64 / 1e12
    }

    #[test]
    fn token_counts() {
        assert_eq!(tokens("4808", "n"), Ok(4808));
        assert_eq!(tokens(" 7.0 ", "n"), Ok(7));
        assert_eq!(tokens("2147483648", "n"), Ok(MAX_TOKENS));
        let message = |text| tokens(text, "n").unwrap_err().message;
        assert_eq!(message("2147483649"), "n 2147483649 is too large");
        assert_eq!(message("99999999999999999999999"), "n 99999999999999999999999 is too large");
        assert_eq!(message("-3"), "n -3 is negative");
        assert_eq!(message("-3.0"), "n -3.0 is negative");
        assert_eq!(message("0"), "n is zero");
        assert_eq!(message(""), "n is missing");
        assert_eq!(message("1.5"), "n '1.5' is not whole");
        assert_eq!(message("-"), "n '-' is not a number");
        assert_eq!(message("NaN"), "n 'NaN' is not a number");
        assert_eq!(message("1e999"), "n '1e999' is not a number");
    }

    #[test]
    fn seconds_are_exact() {
        assert_eq!(seconds("1700000000.123456"), Ok(1_700_000_000_123_456_000_000));
        assert_eq!(seconds("0.1"), Ok(100_000_000_000));
        assert_eq!(seconds(".5"), Ok(500_000_000_000));
        assert_eq!(seconds("5"), Ok(5 * SECOND));
        assert_eq!(seconds("1e-3"), Ok(1_000_000_000));
        assert_eq!(seconds("0.0000000000019"), Ok(1));
        assert_eq!(milliseconds("277"), Ok(277_000_000_000));
        for (text, problem) in [
            ("-1", "negative"),
            ("nan", "not finite"),
            ("inf", "not finite"),
            ("12:00", "not a number"),
            ("1e300", "too large"),
            ("99999999999999999999", "too large"),
            (".", "not a number"),
        ] {
            assert!(seconds(text).unwrap_err().message.ends_with(problem), "{text}");
        }
    }

    #[test]
    fn calendar_crosses_midnight_months_and_leap_days() {
        assert!((gap("2023-11-16 23:59:59.9999999", "2023-11-17 00:00:00.0000001") - 2e-7).abs() < 1e-12);
        assert_eq!(gap("2023-11-30 23:59:59", "2023-12-01 00:00:00"), 1.0);
        assert_eq!(gap("2023-12-31 23:59:59", "2024-01-01 00:00:00"), 1.0);
        assert_eq!(gap("2024-02-28 00:00:00", "2024-03-01 00:00:00"), 2.0 * 86_400.0);
        assert_eq!(gap("2023-02-28 00:00:00", "2023-03-01 00:00:00"), 86_400.0);
        assert_eq!(gap("1900-02-28 00:00:00", "1900-03-01 00:00:00"), 86_400.0);
        assert_eq!(gap("2000-02-28 00:00:00", "2000-03-01 00:00:00"), 2.0 * 86_400.0);
        assert_eq!(gap("1970-01-01 00:00:00", "2023-11-16 18:17:03"), 1_700_158_623.0);
    }

    #[test]
    fn calendar_with_zone_or_without_fraction() {
        assert_eq!(gap("2024-05-10 00:00:00", "2024-05-10T00:00:00.5"), 0.5);
        assert_eq!(gap("2024-05-10 00:00:00Z", "2024-05-10 02:00:00+01:00"), 3600.0);
        assert_eq!(gap("2024-05-10 00:00:00.25+00:00", "2024-05-09 23:00:00.25-01:00"), 0.0);
    }

    #[test]
    fn times_that_do_not_exist() {
        for (text, message) in [
            ("2023-02-29 00:00:00", "has no such day"),
            ("2023-13-01 00:00:00", "has no such month"),
            ("2023-00-01 00:00:00", "has no such month"),
            ("2023-04-31 00:00:00", "has no such day"),
            ("2023-04-00 00:00:00", "has no such day"),
            ("2023-04-01 24:00:00", "has no such time of day"),
            ("2023-04-01 23:60:00", "has no such time of day"),
            ("2023-04-01", "is not a time"),
            ("2023-04-01 23:10:00.", "is not a time"),
            ("2023-04-01 23:10:00.1x", "is not a time"),
            ("2023-04-01 23:10:00+1", "is not a time"),
            ("2023-04-01 23:10:00 é", "is not a time"),
            ("ééééééééééééééééé", "is not a time"),
            ("", "is missing"),
        ] {
            assert!(calendar(text).unwrap_err().message.ends_with(message), "{text}");
        }
    }
}
