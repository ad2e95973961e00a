//! From measured kernels to a kernel profile: the policy and the at most six constants of least relative error.

mod constants;
mod minimise;
mod observation;
mod policies;

pub use observation::{Observation, Task};

use crate::hardware::Accelerator;
use crate::hardware::kernel::{Constants, Kind, Policy, Residency};
use crate::step::kernel::KernelTimer;
use constants::{Constant, at, sets};
use minimise::minimise;
use rayon::prelude::*;

/// A policy with constants, and its error.
#[derive(Debug, Clone)]
pub struct Fitted {
    /// The policy.
    pub policy: Policy,
    /// The constants.
    pub constants: Constants,
    /// Mean relative |error| on the rows that it was fitted to.
    pub mape: f64,
}

/// Rows that a first look at a policy uses at most.
const FIRST_LOOK: usize = 120;

/// Candidates that are looked at more closely.
const CLOSER: usize = 12;

/// Mean relative |error| of `constants` under `policy`.
#[must_use]
pub fn error_of(spec: &Accelerator, policy: Policy, constants: &Constants, rows: &[&Observation]) -> f64 {
    let timer = KernelTimer::new(spec, policy, constants, Residency::Hot);
    let sum: f64 = rows
        .iter()
        .map(|o| o.task.seconds(&timer).map_or(1.0, |s| (s / o.seconds - 1.0).abs()))
        .sum();
    sum / rows.len().max(1) as f64
}

struct Candidate {
    policy: Policy,
    set: &'static [Constant],
    point: Vec<f64>,
    error: f64,
}

impl Candidate {
    fn improve(
        &mut self,
        spec: &Accelerator,
        rows: &[&Observation],
        iterations: u64,
        restarts: usize,
    ) {
        let cost = |point: &[f64]| {
            let (constants, outside) = at(self.set, point);
            error_of(spec, self.policy, &constants, rows) + outside
        };
        (self.point, self.error) = minimise(cost, &self.point, iterations, restarts);
    }
}

/// Fits every policy that kernels of `kind` may have, and keeps the best.
#[must_use]
pub fn fit(spec: &Accelerator, kind: Kind, rows: &[&Observation]) -> Option<Fitted> {
    let least = rows.iter().map(|o| o.seconds).fold(f64::INFINITY, f64::min);
    let step = rows.len().div_ceil(FIRST_LOOK).max(1);
    let few: Vec<&Observation> = rows.iter().step_by(step).copied().collect();
    let mut candidates: Vec<Candidate> = policies::of(kind)
        .into_iter()
        .flat_map(|policy| sets(kind).iter().map(move |&set| (policy, set)))
        .map(|(policy, set)| Candidate {
            policy,
            set,
            point: set.iter().map(|c| c.to_coordinate(c.guess(least))).collect(),
            error: f64::INFINITY,
        })
        .collect();
    candidates.par_iter_mut().for_each(|c| c.improve(spec, &few, 160, 0));
    candidates.sort_by(|a, b| a.error.total_cmp(&b.error));
    candidates.truncate(CLOSER);
    candidates.par_iter_mut().for_each(|c| c.improve(spec, rows, 250, 4));
    candidates.sort_by(|a, b| a.error.total_cmp(&b.error));
    let best = candidates.into_iter().next()?;
    let (constants, _) = at(best.set, &best.point);
    Some(Fitted { policy: best.policy, constants, mape: best.error })
}
