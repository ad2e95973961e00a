//! What a replay adds up, wide enough not to overflow on the way, narrowed once at the end.

use super::result::{ReplayResult, Summary};
use super::timeline::Timeline;
use super::{Outcome, Replay, ServingError, StepCost, StepTimer};
use crate::ledger::{Cause, CyclesByCause, Traffic};
use crate::step::point::Seconds;
use crate::units::{Bytes, Hertz, Picos};

/// Totals of a replay while it runs.
#[derive(Debug)]
pub(super) struct Tally {
    /// Now, counted from the first arrival.
    pub now: Picos,
    /// Time spent in steps.
    busy: u128,
    traffic: [u128; 7],
    causes: [u128; Cause::COUNT],
    /// Decode steps.
    pub steps: u64,
    /// Sequences summed over decode steps.
    pub sequences: u128,
    pub peak_cache: u128,
    pub preemptions: u64,
    pub completed: u64,
    pub rejected: u64,
    pub generated: u128,
    /// Time of the last completion.
    pub last_completion: Picos,
    /// Samples in seconds with weights.
    pub tpot: Vec<(f64, u64)>,
    pub ttft: Vec<(f64, u64)>,
    pub e2e: Vec<(f64, u64)>,
    pub timeline: Timeline,
    pub outcomes: Vec<Outcome>,
}

impl Tally {
    pub(super) fn new() -> Self {
        Self {
            now: Picos::ZERO,
            busy: 0,
            traffic: [0; 7],
            causes: [0; Cause::COUNT],
            steps: 0,
            sequences: 0,
            peak_cache: 0,
            preemptions: 0,
            completed: 0,
            rejected: 0,
            generated: 0,
            last_completion: Picos::ZERO,
            tpot: Vec::new(),
            ttft: Vec::new(),
            e2e: Vec::new(),
            timeline: Timeline::new(),
            outcomes: Vec::new(),
        }
    }

    /// Spends `times` steps of `cost`, one after another.
    pub(super) fn spend<E: std::fmt::Display>(
        &mut self,
        cost: &StepCost,
        times: u64,
    ) -> Result<(), ServingError<E>> {
        let time = cost.time.0.checked_mul(times).ok_or(ServingError::TimeOverflow)?;
        self.now = Picos(self.now.0.checked_add(time).ok_or(ServingError::TimeOverflow)?);
        self.busy += u128::from(time);
        let t = &cost.traffic;
        let classes =
            [t.weights, t.cache_read, t.cache_reread, t.cache_write, t.activations, t.spill, t.exchange];
        for (sum, bytes) in self.traffic.iter_mut().zip(classes) {
            *sum = sum.saturating_add(u128::from(bytes.0) * u128::from(times));
        }
        for (sum, share) in self.causes.iter_mut().zip(cost.causes) {
            *sum = sum.saturating_add(share.saturating_mul(times.into()));
        }
        Ok(())
    }

    /// Notes that `bytes` of cache are held.
    pub(super) fn hold(&mut self, bytes: u128) {
        self.peak_cache = self.peak_cache.max(bytes);
    }

    /// Notes that a request has all its tokens, now.
    pub(super) fn complete(&mut self, outcome: Outcome) {
        let e2e = outcome.finished.saturating_sub(outcome.arrival).seconds();
        let ttft = outcome.first_token.saturating_sub(outcome.arrival).seconds();
        self.ttft.push((ttft, 1));
        self.e2e.push((e2e, 1));
        if outcome.output_tokens > 1 {
            let after_first = outcome.finished.saturating_sub(outcome.first_token).seconds();
            self.tpot.push((after_first / (outcome.output_tokens - 1) as f64, 1));
        }
        self.completed += 1;
        self.generated += u128::from(outcome.output_tokens);
        self.last_completion = outcome.finished;
        self.outcomes.push(outcome);
    }

    /// The result.
    pub(super) fn finish<T: StepTimer>(
        mut self,
        timer: &T,
        scheme: &str,
        clock: Hertz,
    ) -> Result<Replay, ServingError<T::Error>> {
        if self
            .traffic
            .iter()
            .try_fold(0_u128, |a, &b| a.checked_add(b))
            .is_none_or(|sum| sum > u64::MAX.into())
        {
            return Err(ServingError::TrafficOverflow);
        }
        let narrow = |n: u128| u64::try_from(n).unwrap_or(u64::MAX);
        let [weights, cache_read, cache_reread, cache_write, activations, spill, exchange] =
            self.traffic.map(|n| Bytes(narrow(n)));
        let simulated = self.last_completion;
        let result = ReplayResult {
            scheme: scheme.into(),
            infeasible_reason: None,
            completed: self.completed,
            rejected: self.rejected,
            generated_tokens: narrow(self.generated),
            steps: self.steps,
            simulated_seconds: Seconds(simulated),
            tokens_per_second: (simulated > Picos::ZERO).then(|| self.generated as f64 / simulated.seconds()),
            mean_batch: (self.steps > 0).then(|| self.sequences as f64 / self.steps as f64),
            peak_cache_bytes: Bytes(narrow(self.peak_cache)),
            capacity_bytes: timer.cache_budget(1),
            preemptions: self.preemptions,
            tpot_seconds: Summary::of(&mut self.tpot),
            ttft_seconds: Summary::of(&mut self.ttft),
            e2e_seconds: Summary::of(&mut self.e2e),
            traffic_bytes: Traffic {
                weights,
                cache_read,
                cache_reread,
                cache_write,
                activations,
                spill,
                exchange,
            },
            cycles_by_cause: CyclesByCause::of(Picos(narrow(self.busy)), &self.causes, clock).1,
            speedup: None,
        };
        Ok(Replay { result, timeline: self.timeline.finish(), outcomes: self.outcomes })
    }
}

/// Tells about every half per cent.
pub(super) struct Progress<'a> {
    report: &'a mut dyn FnMut(u64, u64),
    total: u64,
    next: u64,
}

impl<'a> Progress<'a> {
    pub(super) fn new(report: &'a mut dyn FnMut(u64, u64), total: u64) -> Self {
        report(0, total);
        Self { report, total, next: 1 }
    }

    /// `done` of the total are done.
    pub(super) fn at(&mut self, done: u64) {
        if done >= self.next {
            (self.report)(done, self.total);
            self.next =
                if done < self.total { (done + (self.total / 200).max(1)).min(self.total) } else { u64::MAX };
        }
    }
}
