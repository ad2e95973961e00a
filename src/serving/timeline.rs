//! Batch, cache and queue over time, in bounded memory whatever the length of the run.

use crate::step::point::Seconds;
use crate::units::{Bytes, Picos};
use serde::Serialize;

/// Most samples of a timeline.
pub const MAX_SAMPLES: usize = 2_000;

/// The state from one time on, until the next sample's: the largest of each quantity within the sample's window.
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

/// Samples in the making, one for each window of time in which something happened. When they get too many, windows become twice as
/// wide. What a window ends with is a sample of its own where nothing happens in the next: an idle stretch does not show its eve's peak.
#[derive(Debug)]
pub(super) struct Timeline {
    samples: Vec<Sample>,
    /// Width of a window in picoseconds.
    width: u64,
    /// The latest state.
    latest: Option<Sample>,
}

impl Timeline {
    pub(super) fn new() -> Self {
        Self { samples: Vec::new(), width: 1, latest: None }
    }

    /// Records a state.
    pub(super) fn record(&mut self, time: Picos, running: usize, cache: u128, waiting: usize) {
        let state = Sample {
            seconds: Seconds(time),
            running: running as u64,
            cache_bytes: Bytes(u64::try_from(cache).unwrap_or(u64::MAX)),
            waiting: waiting as u64,
        };
        if let Some(latest) = self.latest.replace(state) {
            let window = self.window(&latest);
            let shown = self.samples.last().copied().unwrap_or(latest);
            if self.window(&state) > window + 1 && shown != (Sample { seconds: shown.seconds, ..latest }) {
                let end = Picos((window + 1).saturating_mul(self.width));
                self.push(Sample { seconds: Seconds(end), ..latest });
            }
        }
        self.push(state);
    }

    fn window(&self, sample: &Sample) -> u64 {
        sample.seconds.0.0 / self.width
    }

    /// Takes a sample in: into its window's, or as the first of its window.
    fn push(&mut self, sample: Sample) {
        let same = self.samples.last().is_some_and(|last| self.window(last) == self.window(&sample));
        match self.samples.last_mut().filter(|_| same) {
            Some(last) => last.absorb(&sample),
            None => self.samples.push(sample),
        }
        while self.samples.len() > MAX_SAMPLES {
            self.width = self.width.saturating_mul(2);
            for sample in std::mem::take(&mut self.samples) {
                self.push(sample);
            }
        }
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

    #[test]
    fn an_idle_stretch_shows_as_idle() {
        let mut timeline = Timeline::new();
        for burst in 0..50_u64 {
            for i in 0..100 {
                timeline.record(Picos(burst * 1_000_000 + i), 9, 9, 0);
            }
            timeline.record(Picos(burst * 1_000_000 + 100), 0, 0, 0);
        }
        let samples = timeline.finish();
        assert!(samples.len() <= MAX_SAMPLES);
        // Whatever was merged, each burst is over long before the next begins.
        for burst in 0..49_u64 {
            let middle = Seconds(Picos(burst * 1_000_000 + 500_000));
            let shown = samples.iter().rev().find(|s| s.seconds <= middle).expect("the first sample is at 0");
            assert_eq!(shown.running, 0, "burst {burst}");
        }
    }
}
