//! Batch, cache and queue over time, in bounded memory whatever the length of the run.

use crate::step::point::Seconds;
use crate::units::{Bytes, Picos};
use serde::Serialize;

/// Most samples of a timeline.
pub const MAX_SAMPLES: usize = 2_000;

/// The state from one time on, until the next sample's: the largest of each quantity in between.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Sample {
    /// When the interval begins, counted from the first arrival.
    pub seconds: Seconds,
    /// Sequences in a step.
    pub running: u64,
    /// Cache held.
    pub cache_bytes: Bytes,
    /// Requests that have come and wait.
    pub waiting: u64,
}

impl Sample {
    /// Takes in the state of a later sample.
    fn absorb(&mut self, later: &Self) {
        self.running = self.running.max(later.running);
        self.cache_bytes = self.cache_bytes.max(later.cache_bytes);
        self.waiting = self.waiting.max(later.waiting);
    }
}

/// Samples in the making. When they get too many, neighbours are merged two by two, and from then on each sample
/// stands for twice as many states. Which states are merged depends on their number only.
#[derive(Debug)]
pub(super) struct Timeline {
    samples: Vec<Sample>,
    /// States that each sample stands for.
    stride: u64,
    /// States in the last sample.
    filled: u64,
}

impl Timeline {
    pub(super) fn new() -> Self {
        Self { samples: Vec::new(), stride: 1, filled: 1 }
    }

    /// Records a state.
    pub(super) fn record(&mut self, time: Picos, running: usize, cache: u128, waiting: usize) {
        let state = Sample {
            seconds: Seconds(time),
            running: running as u64,
            cache_bytes: Bytes(u64::try_from(cache).unwrap_or(u64::MAX)),
            waiting: waiting as u64,
        };
        match self.samples.last_mut() {
            Some(last) if self.filled < self.stride => {
                last.absorb(&state);
                self.filled += 1;
                return;
            }
            _ => {}
        }
        if self.samples.len() == MAX_SAMPLES {
            self.halve();
        }
        self.samples.push(state);
        self.filled = 1;
    }

    /// Merges neighbours. The number of samples is even, and the last one full.
    fn halve(&mut self) {
        for i in 0..self.samples.len() / 2 {
            let mut merged = self.samples[2 * i];
            merged.absorb(&self.samples[2 * i + 1]);
            self.samples[i] = merged;
        }
        self.samples.truncate(self.samples.len() / 2);
        self.stride = self.stride.saturating_mul(2);
    }

    /// The samples.
    pub(super) fn finish(self) -> Vec<Sample> {
        self.samples
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_runs_stay_bounded_and_keep_their_peaks() {
        for count in [1_u64, 1_999, 2_000, 2_001, 54_321, 1_000_000] {
            let mut timeline = Timeline::new();
            let peak = count * 2 / 3;
            for i in 0..count {
                let (running, cache) = if i == peak { (77, 5) } else { (i as usize % 7, 1) };
                timeline.record(Picos(i), running, cache, usize::from(i == count - 1) * 9);
            }
            let samples = timeline.finish();
            assert!(samples.len() <= MAX_SAMPLES && samples.len() as u64 >= count.min(1_000), "{count}");
            assert!(samples.windows(2).all(|w| w[0].seconds < w[1].seconds));
            assert_eq!(samples.iter().filter(|s| s.running == 77 && s.cache_bytes == Bytes(5)).count(), 1);
            assert_eq!(samples.last().map(|s| s.waiting), Some(9));
            assert_eq!(samples[0].seconds, Seconds(Picos(0)));
        }
    }
}
