//! Speedup along the context, everything else equal: where each scheme begins to win.

use super::{bracket, labels};
use crate::config::AxisTarget;
use crate::report::numbers::{context, significant, thousands};
use crate::sweep::{Place, Plan};
use std::collections::BTreeMap;

/// Samples that are kept over all curves; what is beyond is told.
const MOST: usize = 1 << 20;

/// A context, and the speedup there where both run.
type Sample = (u64, Option<f64>);

/// The curves of a sweep.
#[derive(Debug)]
pub(super) struct Curves {
    /// The dimension of the context, where it varies.
    context: Option<usize>,
    /// By the combination of all else, and scheme: (context, speedup), in axis order.
    curves: BTreeMap<(u64, usize), Vec<Sample>>,
    kept: usize,
    /// Samples that were not kept.
    pub(super) dropped: u64,
}

impl Curves {
    pub(super) fn new(plan: &Plan) -> Self {
        let varies = |d: &crate::sweep::Dimension| d.target == AxisTarget::Context && d.values.len() > 1;
        Self {
            context: plan.dimensions().iter().position(varies),
            curves: BTreeMap::new(),
            kept: 0,
            dropped: 0,
        }
    }

    pub(super) fn add(&mut self, plan: &Plan, place: &Place, scheme: usize, speedup: Option<f64>) {
        let Some(context) = self.context else { return };
        if self.kept >= MOST {
            self.dropped += 1;
            return;
        }
        self.kept += 1;
        let mut at = plan.coordinates(place.index);
        at[context] = 0;
        self.curves.entry((plan.index(&at), scheme)).or_default().push((place.context, speedup));
    }

    /// Whether there are any.
    pub(super) fn is_empty(&self) -> bool {
        self.curves.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.curves.len()
    }

    /// Each curve: where it is, its scheme, and what it says.
    pub(super) fn rows<'a>(&'a self, plan: &'a Plan) -> impl Iterator<Item = [String; 3]> + 'a {
        self.curves.iter().map(move |(&(index, scheme), samples)| {
            let others = super::varying(plan.dimensions()).filter(|&i| Some(i) != self.context);
            let at = plan.coordinates(index);
            let place = labels::place(plan, &at, others);
            let place = if place.is_empty() { "everywhere".to_owned() } else { place };
            let exact = |ends| super::crossing(plan, &plan.place(index), scheme, ends);
            [place, plan.schemes()[scheme].name.to_owned(), verdict(samples, exact)]
        })
    }
}

/// What a curve says; `exact` finds the crossing between two samples.
fn verdict(samples: &[Sample], exact: impl FnOnce((u64, u64)) -> u64) -> String {
    let mut points: Vec<(u64, f64)> = samples.iter().filter_map(|&(n, s)| Some((n, s?))).collect();
    points.sort_by_key(|p| p.0);
    points.dedup();
    let (Some(&first), Some(&last)) = (points.first(), points.last()) else {
        return "no point where both run".to_owned();
    };
    let say = |(n, s): (u64, f64)| format!("{}× at {}", significant(s, 3), context(n));
    let longest = samples.iter().map(|s| s.0).max().unwrap_or(last.0);
    let beyond = if longest > last.0 {
        format!("; beyond {} one of the two does not run", context(last.0))
    } else {
        String::new()
    };
    let best = points.iter().copied().fold(first, |a, b| if b.1 > a.1 { b } else { a });
    let won = |p: &(u64, f64)| p.1 > 1.0;
    let text = match bracket(&points) {
        _ if points.iter().all(won) => format!("wins throughout, {}", say(best)),
        _ if !points.iter().any(won) => format!("never wins: at best {}", say(best)),
        None => format!("wins in part, not at the longest: {}", say(best)),
        Some(ends) => {
            let earlier = points.iter().take_while(|p| p.0 < ends.0).any(won);
            let from = thousands(exact(ends));
            format!("wins from {from} on, {}{}", say(best), if earlier { "; wins in part below" } else { "" })
        }
    };
    text + &beyond
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_are_words() {
        let of = |speedups: &[f64]| {
            let samples: Vec<_> = speedups.iter().enumerate().map(|(i, &s)| (1024 << i, Some(s))).collect();
            verdict(&samples, |(_, won)| won - 1)
        };
        assert_eq!(of(&[1.1, 1.3]), "wins throughout, 1.30× at 2k");
        assert_eq!(of(&[0.8, 0.9]), "never wins: at best 0.900× at 2k");
        assert_eq!(of(&[0.8, 1.0, 1.2, 1.5]), "wins from 4,095 on, 1.50× at 8k");
        assert_eq!(of(&[1.2, 0.9]), "wins in part, not at the longest: 1.20× at 1k");
        assert_eq!(of(&[1.1, 0.9, 1.2]), "wins from 4,095 on, 1.20× at 4k; wins in part below");
        assert_eq!(verdict(&[(9, None)], |_| 0), "no point where both run");
        let ends = [(1024, Some(1.2)), (2048, None)];
        assert_eq!(
            verdict(&ends, |_| 0),
            "wins throughout, 1.20× at 1k; beyond 1k one of the two does not run"
        );
    }
}
