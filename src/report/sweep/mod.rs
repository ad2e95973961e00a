//! What becomes of a sweep: rows, a summary, plots.
//!
//! The [`Observer`] sees points on the threads that simulate them and keeps of each only what is needed; the [`Recorder`] takes
//! that in axis order. Both hold little however long the sweep is.

mod charts;
mod curves;
mod labels;
mod painter;
mod summary;

pub use charts::Drawing;

use super::RowLayout;
use crate::analysis::between;
use crate::attention::BASELINE;
use crate::ledger::CyclesByCause;
use crate::step::Point;
use crate::sweep::{Dimension, Place, Plan, SweepError};
use crate::units::Picos;
use charts::Chart;
use curves::Curves;
use std::collections::BTreeMap;

/// What is kept of a point that is drawn.
#[derive(Debug, Clone, Default, PartialEq)]
struct Sample {
    seconds: Option<Picos>,
    speedup: Option<f64>,
    bandwidth_bound: Option<Picos>,
    causes: Option<CyclesByCause>,
    flops: f64,
    bytes: f64,
    /// Values of the fields that line charts show, in the order of [`Observer::fields`].
    fields: Vec<Option<f64>>,
}

/// What is known of a point in the summary.
#[derive(Debug, Clone)]
struct Outcome {
    speedup: Option<f64>,
    /// Why it cannot run: the kind of reason, and the words.
    stopped: Option<(String, String)>,
}

/// What an [`Observer`] makes of one combination.
#[derive(Debug)]
pub struct Piece {
    rows: String,
    outcomes: Vec<Outcome>,
    samples: Option<Vec<Sample>>,
}

/// Turns points into rows; shared between threads.
#[derive(Debug)]
pub struct Observer<'p> {
    plan: &'p Plan,
    layout: RowLayout,
    /// Dimensions that have a column.
    columns: Vec<usize>,
    charts: Vec<Chart>,
    fields: Vec<String>,
}

impl<'p> Observer<'p> {
    /// Decides what to keep of a sweep.
    ///
    /// # Errors
    /// A plot asks for what cannot be drawn.
    pub fn new(file: &str, plan: &'p Plan) -> Result<Self, SweepError> {
        let charts = charts::charts(plan).map_err(|why| SweepError::Input(format!("{file}: {why}")))?;
        let mut fields: Vec<String> = Vec::new();
        for field in charts.iter().filter_map(|c| c.field.as_ref()) {
            if !fields.contains(field) {
                fields.push(field.clone());
            }
        }
        let dimensions = plan.dimensions();
        let columns: Vec<usize> = (0..dimensions.len()).filter(|&i| dimensions[i].column).collect();
        let names = columns.iter().map(|&i| dimensions[i].name.clone()).collect();
        Ok(Self { plan, layout: RowLayout::new(names), columns, charts, fields })
    }

    /// The header of the rows.
    #[must_use]
    pub fn header(&self) -> String {
        self.layout.header()
    }

    /// What to keep of one combination.
    #[must_use]
    pub fn observe(&self, place: &Place, points: &[Point]) -> Piece {
        let at = self.plan.coordinates(place.index);
        let dimensions = self.plan.dimensions();
        let mut rows = String::with_capacity(1200 * points.len());
        for point in points {
            let leading = self.columns.iter().map(|&i| dimensions[i].values[at[i]].as_str());
            self.layout.row(leading, point, &mut rows);
        }
        let drawn = self.charts.iter().any(|chart| chart.shows(self.plan, &at));
        let samples = drawn.then(|| points.iter().map(|p| self.sample(p)).collect());
        Piece { rows, outcomes: points.iter().map(outcome).collect(), samples }
    }

    fn sample(&self, point: &Point) -> Sample {
        Sample {
            seconds: point.seconds.map(|s| s.0),
            speedup: point.speedup,
            bandwidth_bound: point.bounds_seconds.map(|b| b.bandwidth.0),
            causes: point.cycles_by_cause,
            flops: point.flops.map_or(0.0, |f| f.total().as_f64()),
            bytes: point.traffic_bytes.map_or(0.0, |t| t.total().as_f64()),
            fields: if self.fields.is_empty() { Vec::new() } else { self.values(point) },
        }
    }

    fn values(&self, point: &Point) -> Vec<Option<f64>> {
        // Walking the document is slow, and the usual fields are at hand.
        let quick = |field: &String| match field.as_str() {
            "speedup" => Some(point.speedup),
            "seconds" => Some(point.seconds.map(|s| s.0.seconds())),
            "tokens_per_second" => Some(point.tokens_per_second),
            _ => None,
        };
        if let Some(values) = self.fields.iter().map(quick).collect() {
            return values;
        }
        let leaves = super::flatten(point).unwrap_or_default();
        let find = |field: &String| {
            let (_, text) = leaves.iter().find(|(path, _)| path == field)?;
            text.parse().ok()
        };
        self.fields.iter().map(find).collect()
    }
}

fn outcome(point: &Point) -> Outcome {
    let stopped = (!point.feasible).then(|| {
        let why = point.infeasible_reason.clone().unwrap_or_default();
        let held = point.capacity_bytes;
        // Shortfalls differ from point to point by their numbers only.
        let kind = if held.available.is_some_and(|available| held.total > available) {
            "weights, cache and activations exceed the memory".to_owned()
        } else {
            why.clone()
        };
        (kind, why)
    });
    Outcome { speedup: point.speedup, stopped }
}

/// Kinds of reasons that are told apart.
const REASONS: usize = 12;

/// What is known of one scheme.
#[derive(Debug, Default)]
struct Tally {
    feasible: u64,
    infeasible: u64,
    /// By kind: how many, the first in axis order, and its words.
    reasons: BTreeMap<String, (u64, u64, String)>,
    /// Smallest and largest speedup with their places.
    worst: Option<(f64, u64)>,
    best: Option<(f64, u64)>,
    wins: u64,
    compared: u64,
}

impl Tally {
    fn add(&mut self, index: u64, outcome: Outcome) {
        match outcome.stopped {
            None => self.feasible += 1,
            Some((kind, why)) => {
                self.infeasible += 1;
                let known = self.reasons.len() < REASONS || self.reasons.contains_key(&kind);
                let kind = if known { kind } else { "other reasons".to_owned() };
                self.reasons.entry(kind).or_insert((0, index, why)).0 += 1;
            }
        }
        let Some(speedup) = outcome.speedup else { return };
        self.compared += 1;
        self.wins += u64::from(speedup > 1.0);
        if self.best.is_none_or(|(best, _)| speedup > best) {
            self.best = Some((speedup, index));
        }
        if self.worst.is_none_or(|(worst, _)| speedup < worst) {
            self.worst = Some((speedup, index));
        }
    }
}

/// Takes what observers kept, in axis order.
#[derive(Debug)]
pub struct Recorder<'p> {
    plan: &'p Plan,
    tallies: Vec<Tally>,
    curves: Curves,
    samples: BTreeMap<u64, Vec<Sample>>,
}

impl<'p> Recorder<'p> {
    /// Nothing yet.
    #[must_use]
    pub fn new(plan: &'p Plan) -> Self {
        Self {
            plan,
            tallies: plan.schemes().iter().map(|_| Tally::default()).collect(),
            curves: Curves::new(plan),
            samples: BTreeMap::new(),
        }
    }

    /// Takes the next combination; returns its rows.
    pub fn take(&mut self, place: &Place, piece: Piece) -> String {
        for (i, (tally, outcome)) in self.tallies.iter_mut().zip(piece.outcomes).enumerate() {
            if self.plan.schemes()[i].name != BASELINE {
                self.curves.add(self.plan, place, i, outcome.speedup);
            }
            tally.add(place.index, outcome);
        }
        if let Some(samples) = piece.samples {
            self.samples.insert(place.index, samples);
        }
        piece.rows
    }

    /// How many points can run.
    #[must_use]
    pub fn feasible(&self) -> u64 {
        self.tallies.iter().map(|t| t.feasible).sum()
    }

    /// Why the first point that cannot run does not.
    #[must_use]
    pub fn first_reason(&self) -> Option<&str> {
        let reasons = self.tallies.iter().flat_map(|t| t.reasons.values());
        reasons.min_by_key(|(_, index, _)| *index).map(|(_, _, why)| why.as_str())
    }
}

/// Of a curve along the context, the last sample that loses and the next one, which wins, if it wins at the end.
fn bracket(points: &[(u64, f64)]) -> Option<(u64, u64)> {
    let lost = points.iter().rposition(|p| p.1 <= 1.0)?;
    Some((points[lost].0, points.get(lost + 1)?.0))
}

/// The context between these two from which on a scheme wins: simulated, not interpolated.
fn crossing(plan: &Plan, place: &Place, scheme: usize, (lost, won): (u64, u64)) -> u64 {
    let Ok(mut comparison) = plan.comparison(&place.setting) else { return won };
    let mut speedup = |context| comparison.points(context, place.batch).get(scheme)?.speedup;
    between(lost, won, |context| speedup(context).is_some_and(|s| s > 1.0))
}

/// Numbers of the dimensions that have more than one value.
fn varying(dimensions: &[Dimension]) -> impl Iterator<Item = usize> + '_ {
    (0..dimensions.len()).filter(|&i| dimensions[i].values.len() > 1)
}
