//! Times from a shared machine: many samples, the disturbed ones left out and counted, a median and a spread.

use super::team::Team;
use std::time::Instant;

/// Times of one thing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Samples {
    seconds: Vec<f64>,
    /// Samples that were left out because a thread was kept from running.
    pub rejected: u64,
}

/// Part of a sample's time that a thread may be kept from running.
const LOST_PART: f64 = 0.01;
/// And nanoseconds beside: what reading the clocks takes.
const LOST_NANOS: f64 = 5_000.0;

/// Spread beyond which times say nothing: something else ran, too.
pub const WIDEST_SPREAD: f64 = 0.15;

impl Samples {
    /// Times `work` on `team` once.
    pub fn take(&mut self, team: &Team, work: impl FnOnce()) {
        // Workers that slept meanwhile are awake before the clock starts.
        team.run(|_| ());
        team.take_lost();
        let start = Instant::now();
        work();
        let seconds = start.elapsed().as_secs_f64();
        if team.take_lost() as f64 > LOST_PART * seconds * 1e9 + LOST_NANOS {
            self.rejected += 1;
        } else {
            self.seconds.push(seconds);
        }
    }

    /// Adds another round's.
    pub fn extend(&mut self, other: Self) {
        self.seconds.extend(other.seconds);
        self.rejected += other.rejected;
    }

    /// How many count.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.seconds.len()
    }

    /// Whether none does.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.seconds.is_empty()
    }

    /// The value below which a part `q` of them lies, interpolated; `None` of none.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Option<f64> {
        quantile(self.seconds.clone(), q)
    }

    /// The median, in seconds; `None` of none.
    #[must_use]
    pub fn median(&self) -> Option<f64> {
        self.quantile(0.5)
    }

    /// Half the distance of the quartiles over the median: the part by which a time varies; `None` of fewer than three.
    #[must_use]
    pub fn spread(&self) -> Option<f64> {
        if self.len() < 3 {
            return None;
        }
        Some((self.quantile(0.75)? - self.quantile(0.25)?) / (2.0 * self.median()?))
    }
}

/// The value below which a part `q` of `values` lies, interpolated; `None` of none.
pub(super) fn quantile(mut values: Vec<f64>, q: f64) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let at = q * values.len().checked_sub(1)? as f64;
    let (low, high) = (at.floor() as usize, at.ceil() as usize);
    Some(values[low] + (values[high] - values[low]) * (at - at.floor()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(seconds: &[f64]) -> Samples {
        Samples { seconds: seconds.to_vec(), rejected: 0 }
    }

    #[test]
    fn quantiles_of_odd_and_even_counts() {
        assert_eq!(quantile(vec![], 0.5), None);
        assert_eq!(quantile(vec![7.0], 0.9), Some(7.0));
        let odd = vec![5.0, 1.0, 3.0];
        let even = vec![8.0, 2.0, 4.0, 6.0];
        for (values, q, expected) in [
            (&odd, 0.0, 1.0),
            (&odd, 0.5, 3.0),
            (&odd, 0.75, 4.0),
            (&odd, 1.0, 5.0),
            (&even, 0.0, 2.0),
            (&even, 0.5, 5.0),
            (&even, 0.25, 3.5),
            (&even, 1.0, 8.0),
        ] {
            assert_eq!(quantile(values.clone(), q), Some(expected), "{q} of {values:?}");
        }
    }

    #[test]
    fn a_spread_is_half_the_distance_of_the_quartiles() {
        // Quartiles 2 and 4 of 1 to 5 about a median of 3.
        assert_eq!(of(&[1.0, 2.0, 3.0, 4.0, 5.0]).spread(), Some(1.0 / 3.0));
        assert_eq!(of(&[2.0, 2.0, 2.0]).spread(), Some(0.0));
        assert_eq!(of(&[1.0, 2.0]).spread(), None);
        assert_eq!(of(&[1.0, 2.0]).median(), Some(1.5));
    }
}
