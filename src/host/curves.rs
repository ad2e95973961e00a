//! Predicted ratios as lines through measured points: over context length and over heads.

use super::kernels::{Scheme, Shape};
use super::measure::{Measured, Setting, Tier};
use super::predict::{PredictError, Predictor};
use super::validation::{Errors, compare, errors};
use crate::units::Dtype;
use std::collections::BTreeMap;

/// Most head counts that get a line: each has a second one of the roofline's.
const HEAD_LINES: usize = 4;
/// Most context lengths that get a line.
const CONTEXT_LINES: usize = 3;
/// Values of a line in a factor of two of context.
const PER_OCTAVE: u32 = 8;
/// Most values of a line over heads beside the measured ones.
const HEAD_VALUES: usize = 64;

/// What points of one drawing have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Group {
    /// Threads.
    pub threads: usize,
    /// Where the bytes lie.
    pub tier: Tier,
    /// Sequences.
    pub batch: usize,
}

impl Group {
    const fn of(setting: &Setting) -> Self {
        Self { threads: setting.threads, tier: setting.tier, batch: setting.shape.batch }
    }
}

/// A predicted ratio.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Predicted {
    /// Context or heads.
    pub x: usize,
    /// Time of kv-cache over that of slim-k.
    pub ratio: f64,
    /// The same by the roofline; not finite where it says nothing.
    pub roofline: f64,
}

/// A measured ratio.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// Context or heads.
    pub x: usize,
    /// Time of kv-cache over that of slim-k.
    pub ratio: f64,
    /// The part by which it varies.
    pub spread: f64,
}

/// One line and the points that it should pass through.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    /// Type of cache and weights.
    pub dtype: Dtype,
    /// Elements of a head.
    pub head_dim: usize,
    /// What is the same all along: heads of a line over contexts, the context of one over heads.
    pub held: usize,
    /// The line, x rising: finer than the points and through each of their x.
    pub line: Vec<Predicted>,
    /// The points, x rising.
    pub points: Vec<Point>,
}

/// All lines of one drawing.
#[derive(Debug, Clone, PartialEq)]
pub struct Curves {
    /// What its points have in common.
    pub group: Group,
    /// How many these are, those without a line among them.
    pub points: usize,
    /// How far off they are predicted.
    pub errors: Errors,
    /// Over context length, a line a head count.
    pub over_context: Vec<Curve>,
    /// Over heads, a line a context.
    pub over_heads: Vec<Curve>,
}

/// The lines of the group of `points` that is drawn; `None` of no points.
#[must_use]
pub fn curves(points: &[Measured], predictor: &Predictor) -> Option<Curves> {
    let group = group(points)?;
    let drawn: Vec<Measured> =
        points.iter().filter(|p| Group::of(&p.setting) == group && p.ratio().is_some()).cloned().collect();
    let errors = errors(&compare(&drawn, predictor).0)?;
    Some(Curves {
        group,
        points: drawn.len(),
        errors,
        over_context: Over::Context.curves(&drawn, predictor),
        over_heads: Over::Heads.curves(&drawn, predictor),
    })
}

/// The plainest group of those that have at least half as many points as the largest: few threads, from DRAM, few sequences.
fn group(points: &[Measured]) -> Option<Group> {
    let mut counts: BTreeMap<Group, usize> = BTreeMap::new();
    points.iter().for_each(|p| *counts.entry(Group::of(&p.setting)).or_default() += 1);
    let most = *counts.values().max()?;
    counts.into_iter().find(|(_, count)| 2 * count >= most).map(|(group, _)| group)
}

/// What a line is drawn over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Over {
    Context,
    Heads,
}

impl Over {
    /// What varies along a line, and what is held.
    const fn axes(self, shape: &Shape) -> (usize, usize) {
        match self {
            Self::Context => (shape.context, shape.heads),
            Self::Heads => (shape.heads, shape.context),
        }
    }

    /// `setting` at another `x`.
    const fn at(self, mut setting: Setting, x: usize) -> Setting {
        match self {
            Self::Context => setting.shape.context = x,
            Self::Heads => setting.shape.heads = x,
        }
        setting
    }

    /// Curves by type, head size and what is held, in this order.
    fn curves(self, points: &[Measured], predictor: &Predictor) -> Vec<Curve> {
        let axes = |p: &Measured| self.axes(&p.setting.shape);
        let most = if self == Self::Context { HEAD_LINES } else { CONTEXT_LINES };
        let held = spread_out(points.iter().map(|p| axes(p).1), most);
        // All panels of a drawing share an axis: lines run along all of it.
        let all: Vec<usize> = points.iter().map(|p| axes(p).0).collect();
        let mut lines: BTreeMap<(Dtype, usize, usize), Vec<&Measured>> = BTreeMap::new();
        for point in points.iter().filter(|p| held.contains(&axes(p).1)) {
            let key = (point.setting.dtype, point.setting.shape.head_dim, axes(point).1);
            lines.entry(key).or_default().push(point);
        }
        let curve = |((dtype, head_dim, held), mut points): ((Dtype, usize, usize), Vec<&Measured>)| {
            points.sort_by_key(|p| axes(p).0);
            let setting = points[0].setting;
            // A shape between or beyond the points that the engine refuses is a gap in the line.
            let at = |x: usize| predicted(predictor, &self.at(setting, x), x).ok();
            Curve {
                dtype,
                head_dim,
                held,
                line: self.values(&all).into_iter().filter_map(at).collect(),
                points: points
                    .iter()
                    .filter_map(|p| Some(Point { x: axes(p).0, ratio: p.ratio()?, spread: p.spread()? }))
                    .collect(),
            }
        };
        lines.into_iter().map(curve).collect()
    }

    /// Where a line is computed: at each of the `measured` values, between them, and of contexts up to a factor of two beyond.
    fn values(self, measured: &[usize]) -> Vec<usize> {
        let (Some(&low), Some(&high)) = (measured.iter().min(), measured.iter().max()) else {
            return Vec::new();
        };
        let (first, last) =
            if self == Self::Context || low == high { ((low / 2).max(1), high * 2) } else { (low, high) };
        let mut values: Vec<usize> = match self {
            Self::Context => {
                let octaves = (last as f64 / first as f64).log2();
                let steps = (octaves * f64::from(PER_OCTAVE)).ceil();
                let at = |i: u32| first as f64 * (octaves * f64::from(i) / steps).exp2();
                (0..=steps as u32).map(|i| at(i).round() as usize).collect()
            }
            Self::Heads => (first..=last).step_by((last - first).div_ceil(HEAD_VALUES).max(1)).collect(),
        };
        values.extend_from_slice(measured);
        values.sort_unstable();
        values.dedup();
        values
    }
}

fn predicted(predictor: &Predictor, setting: &Setting, x: usize) -> Result<Predicted, PredictError> {
    let roofline = |scheme| predictor.roofline(setting, scheme).unwrap_or(f64::NAN);
    Ok(Predicted {
        x,
        ratio: predictor.seconds(setting, Scheme::KvCache)? / predictor.seconds(setting, Scheme::SlimK)?,
        roofline: roofline(Scheme::KvCache) / roofline(Scheme::SlimK),
    })
}

/// At most `most` of `values`, the least and the greatest among them and the others at about equal factors between; of
/// values that come less than half as often as the commonest, none: a line through few points says little.
fn spread_out(values: impl Iterator<Item = usize>, most: usize) -> Vec<usize> {
    let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
    values.for_each(|v| *counts.entry(v).or_default() += 1);
    let commonest = counts.values().copied().max().unwrap_or(0);
    let values: Vec<usize> = counts.into_iter().filter(|(_, n)| 2 * n >= commonest).map(|(v, _)| v).collect();
    let (Some(&low), Some(&high)) = (values.first(), values.last()) else { return values };
    if values.len() <= most {
        return values;
    }
    let far = |value: usize, wanted: f64| (value as f64 / wanted).ln().abs();
    let mut chosen: Vec<usize> = (0..most)
        .filter_map(|i| {
            let wanted = low as f64 * (high as f64 / low as f64).powf(i as f64 / (most - 1) as f64);
            values.iter().copied().min_by(|a, b| far(*a, wanted).total_cmp(&far(*b, wanted)))
        })
        .collect();
    chosen.dedup();
    chosen
}

#[cfg(test)]
#[expect(clippy::expect_used, reason = "a test stops at the first thing that fails")]
mod tests;
