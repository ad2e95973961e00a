//! Scales: from values to a fraction of an axis, with ticks at round values.

use super::super::numbers::{grouped, si};

/// A mapping of values to [0, 1]; values outside the range are held at its ends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Scale {
    /// In proportion.
    Linear { min: f64, max: f64 },
    /// In proportion to the logarithm; both ends are > 0.
    Log { min: f64, max: f64 },
}

impl Scale {
    pub(super) fn at(&self, value: f64) -> f64 {
        let t = match *self {
            Self::Linear { min, max } => (value - min) / (max - min),
            Self::Log { min, max } => (value.max(f64::MIN_POSITIVE) / min).ln() / (max / min).ln(),
        };
        if t.is_finite() { t.clamp(0.0, 1.0) } else { 0.0 }
    }

    pub(super) const fn ends(&self) -> (f64, f64) {
        match *self {
            Self::Linear { min, max } | Self::Log { min, max } => (min, max),
        }
    }

    /// Zero to a round value at or above `max`, with ticks.
    pub(super) fn from_zero(max: f64, count: usize) -> (Self, Vec<f64>) {
        let max = if max.is_finite() && max > 0.0 { max } else { 1.0 };
        let step = round_step(max / count.max(1) as f64);
        let steps = (max / step - 1e-9).ceil().max(1.0);
        (
            Self::Linear { min: 0.0, max: steps * step },
            (0..=steps as u32).map(|i| f64::from(i) * step).collect(),
        )
    }

    /// A linear scale over [min, max], widened to round ends.
    pub(super) fn linear(min: f64, max: f64, count: usize) -> (Self, Vec<f64>) {
        let span = if max > min { max - min } else { max.abs().max(1.0) * 0.5 };
        let step = round_step(span / count.max(1) as f64);
        let (low, high) = ((min / step + 1e-9).floor(), (max / step - 1e-9).ceil());
        let high = if high > low { high } else { low + 1.0 };
        let ticks = (0..=(high - low) as u32).map(|i| (low + f64::from(i)) * step).collect();
        (Self::Linear { min: low * step, max: high * step }, ticks)
    }

    /// A scale by powers of two over [min, max] (> 0), exactly these ends; ticks at powers of two.
    pub(super) fn log2(min: f64, max: f64) -> (Self, Vec<f64>) {
        let (min, max) = if max > min { (min, max) } else { (min / 2.0, min * 2.0) };
        let (low, high) = ((min.log2() - 1e-9).ceil(), (max.log2() + 1e-9).floor());
        let ticks = (low as i32..=high as i32).map(|i| f64::from(i).exp2()).collect();
        (Self::Log { min, max }, ticks)
    }

    /// [`Scale::log10`] for points from `low` to `high` (> 0): room on both sides for their markers, and at least a factor
    /// of five, which holds two ticks.
    pub(super) fn log10_around(low: f64, high: f64) -> (Self, Vec<f64>) {
        let span = high.ln() - low.ln();
        let margin = (span * 0.03).max((5f64.ln() - span) / 2.0).exp();
        Self::log10((low / margin).max(f64::MIN_POSITIVE), (high * margin).min(f64::MAX))
    }

    /// A scale by powers of ten over [min, max] (> 0), exactly these ends; ticks at powers of ten, and at 2 and 5 times
    /// these where the range is short.
    pub(super) fn log10(min: f64, max: f64) -> (Self, Vec<f64>) {
        let (min, max) = if max > min { (min, max) } else { (min / 3.0, min * 3.0) };
        let factors: &[f64] = if max / min > 2e3 { &[1.0] } else { &[1.0, 2.0, 5.0] };
        let (low, high) = (min.log10().floor() as i32, max.log10().ceil() as i32);
        let ticks = (low..=high)
            .flat_map(|i| factors.iter().map(move |f| f * 10f64.powi(i)))
            .filter(|&t| t >= min * (1.0 - 1e-9) && t <= max * (1.0 + 1e-9))
            .collect();
        (Self::Log { min, max }, ticks)
    }
}

/// The step 1, 2 or 5 times a power of ten at or above `raw`.
pub(super) fn round_step(raw: f64) -> f64 {
    if !(raw.is_finite() && raw > 0.0) {
        return 1.0;
    }
    let power = 10f64.powf(raw.log10().floor());
    let factor = [1.0, 2.0, 5.0, 10.0].into_iter().find(|f| f * power >= raw * (1.0 - 1e-9)).unwrap_or(10.0);
    factor * power
}

/// Labels of linear ticks with as many decimals as their step needs.
pub(super) fn linear_labels(ticks: &[f64]) -> Vec<String> {
    let step = if ticks.len() > 1 { ticks[1] - ticks[0] } else { 1.0 };
    let decimals =
        usize::try_from((-(step.abs().max(1e-12) * 1.000_001).log10().floor()) as i64).unwrap_or(0);
    ticks.iter().map(|&tick| grouped(tick, decimals)).collect()
}

/// Label of a round value with its prefix: `500 µs`, `10 GB`. Figures after its point say nothing.
pub(super) fn si_label(value: f64, unit: &str) -> String {
    si(value, unit).replace(".00", "").replace(".0 ", " ")
}

/// The least and the greatest of finite values; `None` if there are none.
pub(super) fn range(values: impl IntoIterator<Item = f64>) -> Option<(f64, f64)> {
    values.into_iter().filter(|v| v.is_finite()).fold(None, |ends, v| {
        ends.map_or(Some((v, v)), |(low, high): (f64, f64)| Some((low.min(v), high.max(v))))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_cover_the_values() {
        let (scale, ticks) = Scale::from_zero(1.93, 6);
        assert_eq!(scale.ends(), (0.0, 2.0));
        assert_eq!(linear_labels(&ticks), ["0.0", "0.5", "1.0", "1.5", "2.0"]);
        let (scale, ticks) = Scale::linear(0.93, 1.74, 5);
        assert!(scale.ends().0 <= 0.93 && scale.ends().1 >= 1.74, "{scale:?}");
        assert!(ticks.windows(2).all(|w| w[1] > w[0]));
        let (_, ticks) = Scale::log2(1000.0, 140_000.0);
        assert_eq!(ticks, [1024.0, 2048.0, 4096.0, 8192.0, 16384.0, 32768.0, 65536.0, 131_072.0]);
        let (_, ticks) = Scale::log10(0.9, 30.0);
        assert_eq!(ticks, [1.0, 2.0, 5.0, 10.0, 20.0]);
        for low in [1.0, 1.9, 2.1, 4.9, 5.1, 9.9] {
            let (scale, ticks) = Scale::log10_around(low, low);
            assert!(ticks.len() >= 2 && (scale.at(low) - 0.5).abs() < 1e-9, "{low}: {ticks:?}");
        }
        let ends = Scale::log10_around(1.0, 1e6).0.ends();
        assert!((0.5..1.0).contains(&ends.0) && (1e6..2e6).contains(&ends.1), "{ends:?}");
        let (_, ticks) = Scale::from_zero(4.2e6, 5);
        assert_eq!(linear_labels(&ticks)[1], "1,000,000");
        assert_eq!(si_label(2e13, "FLOP/s"), "20 TFLOP/s");
        assert_eq!([1e-6, 5e-4, 100.0].map(|v| si_label(v, "s")), ["1 µs", "500 µs", "100 s"]);
    }

    #[test]
    fn odd_ranges_still_give_a_scale() {
        for (low, high) in [(0.0, 0.0), (1.0, 1.0), (5.0, 5.0), (1e-9, 1e-9), (1e18, 1e18)] {
            let (scale, ticks) = Scale::linear(low, high, 5);
            assert!(scale.ends().1 > scale.ends().0 && !ticks.is_empty(), "{low} {high}");
            assert!((0.0..=1.0).contains(&scale.at(low)));
        }
        let (scale, _) = Scale::from_zero(f64::NAN, 5);
        assert_eq!(scale.ends(), (0.0, 1.0));
        let (scale, ticks) = Scale::log2(4096.0, 4096.0);
        assert_eq!(ticks, [2048.0, 4096.0, 8192.0]);
        assert_eq!(scale.at(4096.0), 0.5);
        assert_eq!(scale.at(-1.0), 0.0);
        assert_eq!(range([f64::NAN, 2.0, f64::INFINITY, -1.0]), Some((-1.0, 2.0)));
        assert_eq!(range([f64::NAN]), None);
    }
}
