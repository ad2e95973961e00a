//! Where a speedup passes 1 along an integer axis.
//!
//! Speedups are not monotone: tiles, waves and splits make them ripple. So the axis is sampled at eight points an octave, more
//! closely wherever the speedup is near 1 or passes it, and the last step is taken to the integer.

use std::collections::BTreeMap;

/// Ratio of neighbouring samples: the eighth root of 2.
const OCTAVE_EIGHTH: f64 = 1.090_507_732_665_257_7;
/// Speedups this near to 1 may pass it between two samples.
const NEAR: f64 = 0.03;
/// Parts that a stretch near 1 is cut into.
const PARTS: u64 = 32;
/// Integers around a crossing that are looked at one by one.
const AROUND: u64 = 32;

/// What is known at one value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Sample {
    /// Baseline time over the scheme's.
    pub(super) speedup: f64,
    /// The same of the two bandwidth bounds, where there is a bandwidth.
    pub(super) bound: Option<f64>,
}

/// Which ratio is asked about.
#[derive(Debug, Clone, Copy)]
pub(super) enum Of {
    /// Simulated times.
    Speedup,
    /// Bandwidth bounds.
    Bound,
}

/// Samples an axis from `low` to `high`, both included; remembers every value.
pub(super) struct Sampler<F> {
    low: u64,
    high: u64,
    known: BTreeMap<u64, Option<Sample>>,
    evaluate: F,
}

impl<F: FnMut(u64) -> Option<Sample>> Sampler<F> {
    /// `evaluate` is `None` where either scheme cannot run: neither won nor lost.
    pub(super) fn new(low: u64, high: u64, evaluate: F) -> Self {
        let mut this = Self { low, high, known: BTreeMap::new(), evaluate };
        let mut at = low;
        while at < high {
            this.sample(at);
            at = ((at as f64 * OCTAVE_EIGHTH).ceil() as u64).max(at + 1);
        }
        this.sample(high);
        this
    }

    pub(super) fn sample(&mut self, at: u64) -> Option<Sample> {
        *self.known.entry(at).or_insert_with(|| (self.evaluate)(at))
    }

    fn value(&mut self, at: u64, of: Of) -> Option<f64> {
        let sample = self.sample(at)?;
        match of {
            Of::Speedup => Some(sample.speedup),
            Of::Bound => sample.bound,
        }
    }

    /// Samples more closely wherever the ratio may pass 1.
    pub(super) fn refine(&mut self, of: Of) {
        let grid: Vec<u64> = self.known.keys().copied().collect();
        for pair in grid.windows(2) {
            let (a, b) = (pair[0], pair[1]);
            let (Some(left), Some(right)) = (self.value(a, of), self.value(b, of)) else { continue };
            let near = (left - 1.0).abs().min((right - 1.0).abs()) < NEAR;
            if near || (left > 1.0) != (right > 1.0) {
                let step = (b - a).div_ceil(PARTS).max(1);
                let mut at = a + step;
                while at < b {
                    self.sample(at);
                    at += step;
                }
            }
        }
    }

    /// The largest value where the ratio wins (`wins`) or does not.
    pub(super) fn last(&mut self, of: Of, wins: bool) -> Option<u64> {
        let samples: Vec<u64> = self.known.keys().rev().copied().collect();
        let mut after = None;
        let mut found = None;
        for at in samples {
            if self.is(at, of, wins) {
                found = Some(at);
                break;
            }
            after = Some(at);
        }
        let mut at = found?;
        let Some(mut other) = after else { return Some(at) };
        loop {
            while other - at > 1 {
                let middle = at + (other - at) / 2;
                if self.is(middle, of, wins) { at = middle } else { other = middle }
            }
            // A ripple just beyond would make this crossing not the last one.
            let end = other.saturating_add(AROUND).min(self.high);
            match (other + 1..=end).rev().find(|&n| self.is(n, of, wins)) {
                Some(beyond) if beyond < self.high => (at, other) = (beyond, beyond + 1),
                Some(beyond) => return Some(beyond),
                None => return Some(at),
            }
            if self.is(other, of, wins) {
                // Inside a ripple: on to the next that differs.
                let Some(next) = (other + 1..=self.high).find(|&n| !self.is(n, of, wins)) else {
                    return Some(self.high);
                };
                (at, other) = (next - 1, next);
            }
        }
    }

    /// The smallest value where the ratio wins.
    pub(super) fn first(&mut self, of: Of) -> Option<u64> {
        let samples: Vec<u64> = self.known.keys().copied().collect();
        let mut before = None;
        let mut found = None;
        for at in samples {
            if self.is(at, of, true) {
                found = Some(at);
                break;
            }
            before = Some(at);
        }
        let mut at = found?;
        let Some(mut other) = before else { return Some(at) };
        loop {
            while at - other > 1 {
                let middle = other + (at - other) / 2;
                if self.is(middle, of, true) { at = middle } else { other = middle }
            }
            let start = other.saturating_sub(AROUND).max(self.low);
            let Some(earlier) = (start..other).find(|&n| self.is(n, of, true)) else { return Some(at) };
            at = earlier;
            let Some(lost) = (self.low..at).rev().find(|&n| !self.is(n, of, true)) else {
                return Some(self.low);
            };
            other = lost;
        }
    }

    fn is(&mut self, at: u64, of: Of, wins: bool) -> bool {
        self.value(at, of).is_some_and(|ratio| (ratio > 1.0) == wins)
    }

    /// The largest speedup and where it is; the smallest value of equals.
    pub(super) fn best(&self) -> Option<(u64, f64)> {
        let samples = self.known.iter().filter_map(|(&at, s)| s.map(|s| (at, s.speedup)));
        samples.fold(None, |best: Option<(u64, f64)>, (at, s)| match best {
            Some((_, most)) if s <= most => best,
            _ => Some((at, s)),
        })
    }
}

/// The largest value from `low` to `high` at which `fits`; it fits everywhere below. `None` if not even at `low`.
pub(super) fn fits_to(low: u64, high: u64, mut fits: impl FnMut(u64) -> bool) -> Option<u64> {
    if !fits(low) {
        return None;
    }
    if fits(high) {
        return Some(high);
    }
    let (mut good, mut bad) = (low, high);
    while bad - good > 1 {
        let middle = good + (bad - good) / 2;
        if fits(middle) { good = middle } else { bad = middle }
    }
    Some(good)
}

/// Between a value that loses and a larger one that wins, a value that wins just behind one that loses.
pub fn between(mut lost: u64, mut won: u64, mut wins: impl FnMut(u64) -> bool) -> u64 {
    while won - lost > 1 {
        let middle = lost + (won - lost) / 2;
        if wins(middle) { won = middle } else { lost = middle }
    }
    won
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sampler(high: u64, speedup: impl Fn(u64) -> f64) -> Sampler<impl FnMut(u64) -> Option<Sample>> {
        let mut sampler = Sampler::new(1, high, move |n| Some(Sample { speedup: speedup(n), bound: None }));
        sampler.refine(Of::Speedup);
        sampler
    }

    #[test]
    fn one_crossing_is_found_to_the_integer() {
        for crossing in [1, 2, 3, 17, 100, 999, 12_345, 99_999] {
            let mut s = sampler(100_000, |n| if n >= crossing { 1.5 } else { 0.5 });
            assert_eq!(s.first(Of::Speedup), Some(crossing));
            assert_eq!(s.last(Of::Speedup, false), (crossing > 1).then_some(crossing - 1));
            assert_eq!(s.last(Of::Speedup, true), Some(100_000));
        }
    }

    #[test]
    fn ripples_near_one_are_seen() {
        // Rises slowly through 1 and drops by half a percent every 16 tokens, as a tile that has just begun costs.
        let speedup = |n: u64| 0.98 + n as f64 * 2e-5 + if n % 16 == 1 { -0.004 } else { 0.0 };
        let mut s = sampler(4000, speedup);
        let lost = (1..=4000).rev().find(|&n| speedup(n) <= 1.0);
        assert_eq!(s.last(Of::Speedup, false), lost);
        assert_eq!(s.first(Of::Speedup), (1..=4000).find(|&n| speedup(n) > 1.0));
    }

    #[test]
    fn nothing_won_nothing_found() {
        let mut s = sampler(1000, |_| 1.0);
        assert_eq!(s.first(Of::Speedup), None);
        assert_eq!(s.last(Of::Speedup, true), None);
        assert_eq!(s.last(Of::Speedup, false), Some(1000), "equal is not won");
        assert_eq!(s.best(), Some((1, 1.0)));
        assert_eq!(s.last(Of::Bound, true), None);
    }

    #[test]
    fn samples_are_at_least_eight_an_octave() {
        let s = sampler(1 << 17, |_| 2.0);
        let grid: Vec<u64> = s.known.keys().copied().collect();
        for pair in grid.windows(2) {
            assert!(pair[1] == pair[0] + 1 || pair[1] as f64 <= pair[0] as f64 * OCTAVE_EIGHTH + 1.0);
        }
        for octave in 4..17 {
            let (from, to) = (1u64 << octave, 1u64 << (octave + 1));
            assert!(grid.iter().filter(|n| (from..to).contains(*n)).count() >= 7, "octave {octave}");
        }
    }

    #[test]
    fn what_fits_is_found_to_the_integer() {
        for most in [1, 2, 77, 1000] {
            assert_eq!(fits_to(1, 1000, |n| n <= most), Some(most));
        }
        assert_eq!(fits_to(1, 1000, |_| false), None);
        assert_eq!(fits_to(5, 5, |_| true), Some(5));
    }
}
