//! From measured kernels to a kernel profile: the policy and the at most six constants of least relative error.
//!
//! Nothing is predicted here by a formula: every error comes from tile programs that the engine has timed, with the constants in the place
//! of the machine's own figures. A part of the rows is held out by a seeded draw; the fit never sees it.

mod constants;
mod identify;
mod minimise;
mod observation;
mod policies;
mod rival;

pub use observation::{Observation, Task};
pub use rival::rival_seconds;

use crate::hardware::Accelerator;
use crate::hardware::kernel::{Constants, FitQuality, Kernel, Kind, Policy, Residency};
use crate::step::kernel::KernelTimer;
use crate::units::{Bytes, Dtype};
use constants::{Constant, at, sets};
use identify::least_known;
use minimise::minimise;
use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::{Rng, SeedableRng};
use rayon::prelude::*;

/// Measurements of one kernel with one type of cache or weights.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// What it computes.
    pub kind: Kind,
    /// Type of the kept rows or the weights.
    pub dtype: Dtype,
    /// Its name in the measurements; `None` where several names stand for one kernel.
    pub name: Option<String>,
    /// The measurements.
    pub rows: Vec<Observation>,
}

/// Why there is no fit.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Fewer rows than constants need.
    #[error("{rows} rows are too few for a fit: at least {needed} are needed")]
    TooFew {
        /// Rows there are.
        rows: usize,
        /// Rows that a fit needs.
        needed: usize,
    },
    /// The rows leave a constant open that no kernel can do without.
    #[error("the rows do not say what '{constant}' is: {what} would")]
    NotIdentifiable {
        /// The constant.
        constant: &'static str,
        /// Which rows would tell.
        what: &'static str,
    },
}

/// Rows that a fit needs for each constant.
const ROWS_A_CONSTANT: usize = 5;

/// One row in so many is held out.
const HELD_OUT: usize = 5;

/// How candidates are narrowed down: how many are looked at, over how many rows at most, for how many steps of a simplex, and how often
/// that starts anew.
const LOOKS: [(usize, usize, u64, usize); 3] =
    [(usize::MAX, 64, 90, 0), (36, 150, 120, 1), (8, usize::MAX, 250, 6)];

/// By how much a set of constants must be better that may carry less well to another machine.
const EARNED: f64 = 1.03;

/// A constant is worth having if predictions are worse without it by this part of their error.
const WORSE: f64 = 0.005;

impl Refusal {
    const fn of(constant: Constant) -> Self {
        Self::NotIdentifiable { constant: constant.name(), what: constant.told_by() }
    }
}

/// A policy, a set of constants, and where in it a search stands.
#[derive(Debug, Clone)]
struct Candidate {
    policy: Policy,
    set: Vec<Constant>,
    point: Vec<f64>,
    error: f64,
}

impl Candidate {
    fn constants(&self) -> Constants {
        at(&self.set, &self.point).0
    }

    fn improve(&mut self, spec: &Accelerator, rows: &[&Observation], iterations: u64, restarts: usize) {
        let cost = |point: &[f64]| {
            let (constants, outside) = at(&self.set, point);
            error_of(spec, self.policy, &constants, rows) + outside
        };
        (self.point, self.error) = minimise(cost, &self.point, iterations, restarts);
    }

    /// Its error; a part of the MAC peak must earn its place where heads have rows of their own. It then stands for instructions of all kinds,
    /// which a machine with fewer matrix units does not have fewer of.
    fn standing(&self, kind: Kind) -> f64 {
        let own_rows = matches!(kind, Kind::Mha | Kind::Gqa);
        if own_rows && self.set.contains(&Constant::MacFraction) { self.error * EARNED } else { self.error }
    }

    /// The same without a constant, which the machine's own figure then stands for.
    fn without(&self, constant: Constant) -> Self {
        let kept = || self.set.iter().zip(&self.point).filter(|(c, _)| **c != constant);
        Self {
            policy: self.policy,
            set: kept().map(|(c, _)| *c).collect(),
            point: kept().map(|(_, p)| *p).collect(),
            error: f64::INFINITY,
        }
    }
}

/// Mean relative |error| of `constants` under `policy`; a row that does not fit a core counts as wholly wrong.
fn error_of(spec: &Accelerator, policy: Policy, constants: &Constants, rows: &[&Observation]) -> f64 {
    let timer = KernelTimer::new(spec, policy, constants, Residency::Hot);
    let error = |o: &&Observation| o.task.seconds(&timer).map_or(1.0, |s| (s / o.seconds - 1.0).abs());
    rows.iter().map(error).sum::<f64>() / rows.len().max(1) as f64
}

/// Fits the kernel of `group` on `spec`, holding rows out by `seed`. Calls `done` now and then, [`STEPS`] times in all.
///
/// # Errors
/// Where the rows do not determine what a kernel needs.
pub fn calibrate(
    spec: &Accelerator,
    group: &Group,
    seed: u64,
    done: &(dyn Fn() + Sync),
) -> Result<Kernel, Refusal> {
    let (seen, held_out) = split(&group.rows, seed);
    let most = sets(group.kind).iter().map(|s| s.len()).max().unwrap_or(1);
    let needed = (most * ROWS_A_CONSTANT * HELD_OUT).div_ceil(HELD_OUT - 1);
    if group.rows.len() < needed {
        return Err(Refusal::TooFew { rows: group.rows.len(), needed });
    }
    let mut candidates = candidates(group.kind, &seen);
    for (most, of_rows, iterations, restarts) in LOOKS {
        candidates.truncate(most);
        let step = seen.len().div_ceil(of_rows).max(1);
        let some: Vec<&Observation> = seen.iter().step_by(step).copied().collect();
        candidates.par_iter_mut().for_each(|c| c.improve(spec, &some, iterations, restarts));
        candidates.sort_by(|a, b| a.error.total_cmp(&b.error));
        done();
    }
    candidates.sort_by(|a, b| a.standing(group.kind).total_cmp(&b.standing(group.kind)));
    let Some(mut best) = candidates.into_iter().next() else {
        return Err(Refusal::TooFew { rows: 0, needed });
    };
    if let Some(constant) = Constant::never_seen(spec, &seen) {
        return Err(Refusal::of(constant));
    }
    // What the rows leave open is not theirs to say: it goes, unless predictions are worse for it.
    let mut kept: Vec<Constant> = Vec::new();
    while let Some(open) = least_known(spec, best.policy, &best.set, &best.point, &seen, &kept) {
        // A launch and the start of a round are both paid by every row: of the two the launch stays.
        let open = match open {
            Constant::Launch if kept.contains(&Constant::WorkItem) => {
                kept.push(open);
                continue;
            }
            Constant::Launch if best.set.contains(&Constant::WorkItem) => Constant::WorkItem,
            Constant::Launch => return Err(Refusal::of(open)),
            other => other,
        };
        let mut without = best.without(open);
        without.improve(spec, &seen, 250, 4);
        if without.error > best.error * (1.0 + WORSE) {
            kept.push(open);
        } else {
            best = without;
        }
    }
    let constants = rounded(best.constants());
    let quality = quality(spec, best.policy, &constants, &seen, &held_out);
    let rival = rival::fit(spec, &seen);
    done();
    Ok(Kernel {
        kind: group.kind,
        dtype: group.dtype,
        name: group.name.clone(),
        policy: best.policy,
        constants,
        rival,
        fit: Some(quality),
    })
}

/// How often a fit reports that it has come further.
pub const STEPS: u64 = LOOKS.len() as u64 + 1;

fn candidates(kind: Kind, rows: &[&Observation]) -> Vec<Candidate> {
    let least = rows.iter().map(|o| o.seconds).fold(f64::INFINITY, f64::min);
    let policies = policies::of(kind).into_iter();
    let pairs = policies.flat_map(|policy| sets(kind).iter().map(move |set| (policy, set.to_vec())));
    pairs
        .map(|(policy, set)| {
            let point = set.iter().map(|c| c.to_coordinate(c.guess(least))).collect();
            Candidate { policy, set, point, error: f64::INFINITY }
        })
        .collect()
}

/// Rows that a fit sees, and those that are held out, in an order of their own.
fn split(rows: &[Observation], seed: u64) -> (Vec<&Observation>, Vec<&Observation>) {
    let mut order: Vec<&Observation> = rows.iter().collect();
    let mut draw = Pcg64Mcg::seed_from_u64(seed);
    for i in (1..order.len()).rev() {
        order.swap(i, (draw.next_u64() % (i as u64 + 1)) as usize);
    }
    let held_out = order.split_off(order.len() - order.len() / HELD_OUT);
    (order, held_out)
}

/// Constants as files have them: whole nanoseconds, tenths of GB/s, fractions of four digits.
fn rounded(constants: Constants) -> Constants {
    let time = |t: crate::units::Picos| crate::units::Picos((t.0 + 500) / 1000 * 1000);
    let fraction = |f: f64| (f * 1e4).round() / 1e4;
    Constants {
        launch: time(constants.launch),
        work_item: constants.work_item.map(time),
        combine: constants.combine.map(time),
        item_rate: constants.item_rate.map(|r| (r + 50_000_000) / 100_000_000 * 100_000_000),
        memory_fraction: constants.memory_fraction.map(fraction),
        mac_fraction: constants.mac_fraction.map(fraction),
        overlap: constants.overlap.map(fraction),
        l2_reach: constants.l2_reach.map(fraction),
    }
}

/// Rows beyond the shared SRAM that an interval needs; with fewer, all rows make it.
const ENOUGH: usize = 20;

fn quality(
    spec: &Accelerator,
    policy: Policy,
    constants: &Constants,
    seen: &[&Observation],
    held_out: &[&Observation],
) -> FitQuality {
    let timer = KernelTimer::new(spec, policy, constants, Residency::Hot);
    let cache = spec.shared_sram.as_ref().and_then(|s| s.capacity).unwrap_or(Bytes::ZERO);
    let all = || seen.iter().chain(held_out);
    let beyond = |o: &&&Observation| o.task.bytes() >= cache * 2;
    let enough = all().filter(beyond).count() >= ENOUGH;
    let mut ratios: Vec<f64> = all()
        .filter(|o| !enough || beyond(o))
        .filter_map(|o| Some(o.seconds / o.task.seconds(&timer)?))
        .collect();
    ratios.sort_by(f64::total_cmp);
    let digits = |x: f64| (x * 1e4).round() / 1e4;
    FitQuality {
        rows: seen.len() as u64,
        mape: digits(error_of(spec, policy, constants, seen)),
        held_out_rows: held_out.len() as u64,
        held_out_mape: digits(error_of(spec, policy, constants, held_out)),
        low: digits(quantile(&ratios, 0.05)),
        high: digits(quantile(&ratios, 0.95)),
    }
}

/// The value below which a part `p` of the ascending `sorted` lies, by the nearest rank; 1 where there is none.
#[must_use]
pub(crate) fn quantile(sorted: &[f64], p: f64) -> f64 {
    let rank = (p * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1).min(sorted.len().saturating_sub(1))).copied().unwrap_or(1.0)
}

#[cfg(test)]
mod tests;
