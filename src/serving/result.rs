//! The result of a replay of one scheme, as users read it.

use crate::ledger::{CyclesByCause, Traffic};
use crate::step::point::Seconds;
use crate::units::{Bytes, Picos};
use serde::Serialize;

/// Mean and percentiles of a sample, in seconds; all `null` where there is no sample.
///
/// Percentiles are nearest-rank: the p-th is the smallest value that at least p % of the sample do not exceed, a value
/// that did occur.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Summary {
    /// Arithmetic mean.
    pub mean: Option<f64>,
    /// Median.
    pub p50: Option<f64>,
    /// 95th percentile.
    pub p95: Option<f64>,
    /// 99th percentile.
    pub p99: Option<f64>,
}

impl Summary {
    /// Of values in seconds, each counted as often as its weight says. Sorts the sample.
    pub(super) fn of(sample: &mut [(f64, u64)]) -> Self {
        let count: u128 = sample.iter().map(|&(_, weight)| u128::from(weight)).sum();
        if count == 0 {
            return Self::default();
        }
        sample.sort_by(|a, b| a.0.total_cmp(&b.0));
        let sum: f64 = sample.iter().map(|&(value, weight)| value * weight as f64).sum();
        let percentile = |p: u128| {
            let rank = (count * p).div_ceil(100);
            let mut below = 0;
            sample.iter().find(|&&(_, weight)| {
                below += u128::from(weight);
                below >= rank
            })
        };
        let percentile = |p| percentile(p).map(|&(value, _)| value);
        Self { mean: Some(sum / count as f64), p50: percentile(50), p95: percentile(95), p99: percentile(99) }
    }
}

/// One scheme's entry in the result of `replay`. In a trace of steps, a "request" is a step.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ReplayResult {
    /// Scheme.
    pub scheme: String,
    /// Why nothing at all can run; `null` where anything can.
    pub infeasible_reason: Option<String>,
    /// Requests that got all their tokens.
    pub completed: u64,
    /// Requests that can never run: longer than the model's context, or alone larger than the cache may be.
    pub rejected: u64,
    /// Output tokens of the completed requests.
    pub generated_tokens: u64,
    /// Decode steps.
    pub steps: u64,
    /// From the first arrival to the last completion.
    pub simulated_seconds: Seconds,
    /// `generated_tokens` / `simulated_seconds`; `null` if nothing ran.
    pub tokens_per_second: Option<f64>,
    /// Sequences per decode step; `null` without decode steps.
    pub mean_batch: Option<f64>,
    /// Most cache held at once.
    pub peak_cache_bytes: Bytes,
    /// What the cache may use, at batch 1; `null` where unlimited.
    pub capacity_bytes: Option<Bytes>,
    /// Times that a running request lost its cache to another and had to be recomputed.
    pub preemptions: u64,
    /// Time per output token after the first: (E2E − TTFT) / (output − 1), of requests with output > 1.
    pub tpot_seconds: Summary,
    /// Time to first token, from arrival.
    pub ttft_seconds: Summary,
    /// From arrival to the last token.
    pub e2e_seconds: Summary,
    /// Bytes at the outermost memory, of all prefills and decode steps.
    pub traffic_bytes: Traffic,
    /// Core-clock cycles of all prefills and decode steps (idle time apart) by cause.
    pub cycles_by_cause: CyclesByCause,
    /// kv-cache mean E2E / this scheme's; `null` where either is missing, and until [`Self::compare_with`].
    pub speedup: Option<f64>,
}

impl ReplayResult {
    /// The result where nothing can run: all of the `requests` are rejected, for `reason`.
    #[must_use]
    pub fn infeasible(scheme: &str, requests: u64, reason: String) -> Self {
        Self {
            scheme: scheme.to_owned(),
            infeasible_reason: Some(reason),
            completed: 0,
            rejected: requests,
            generated_tokens: 0,
            steps: 0,
            simulated_seconds: Seconds(Picos::ZERO),
            tokens_per_second: None,
            mean_batch: None,
            peak_cache_bytes: Bytes::ZERO,
            capacity_bytes: Some(Bytes::ZERO),
            preemptions: 0,
            tpot_seconds: Summary::default(),
            ttft_seconds: Summary::default(),
            e2e_seconds: Summary::default(),
            traffic_bytes: Traffic::default(),
            cycles_by_cause: CyclesByCause::default(),
            speedup: None,
        }
    }

    /// Sets `speedup` against the result of the baseline.
    pub fn compare_with(&mut self, baseline: &Self) {
        self.speedup = match (baseline.e2e_seconds.mean, self.e2e_seconds.mean) {
            (Some(theirs), Some(ours)) if ours > 0.0 => Some(theirs / ours),
            _ => None,
        };
    }
}
