//! Measured against predicted, point by point and in all.

use super::kernels::Scheme;
use super::measure::{Measured, Setting};
use super::predict::{PredictError, Predictor};
use super::samples::quantile;
use serde::Serialize;
use std::collections::BTreeMap;

/// A point, measured and predicted.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Compared {
    /// Query heads.
    pub heads: usize,
    /// Elements of a head.
    pub head_dim: usize,
    /// Tokens of each sequence.
    pub context: usize,
    /// Sequences.
    pub batch: usize,
    /// Type of cache and weights.
    pub dtype: &'static str,
    /// Threads.
    pub threads: usize,
    /// Where the bytes lie.
    pub tier: &'static str,
    /// Seconds by scheme.
    pub measured_seconds: serde_json::Map<String, serde_json::Value>,
    /// The same, predicted.
    pub predicted_seconds: serde_json::Map<String, serde_json::Value>,
    /// Time of kv-cache over that of slim-k.
    pub measured_ratio: f64,
    /// The same, predicted.
    pub predicted_ratio: f64,
    /// The same by the roofline.
    pub roofline_ratio: f64,
    /// The part by which the measured ratio varies.
    pub spread: f64,
    /// Relative errors of the times of both schemes.
    #[serde(skip)]
    pub time_errors: [f64; 2],
}

/// How far off the predictions of some points are.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Errors {
    /// Median of |predicted ratio / measured ratio − 1|.
    pub ratio_median_error: f64,
    /// 90th percentile of the same.
    pub ratio_p90_error: f64,
    /// Part of the points whose measured ratio is outside 0.95 to 1.05 of which the prediction names the winner.
    pub winner_agreement: f64,
    /// Points that these are.
    pub decided_points: usize,
    /// Median of |predicted time / measured time − 1| over both schemes.
    pub time_median_error: f64,
    /// The first for the roofline.
    pub roofline_ratio_median_error: f64,
    /// The second for the roofline.
    pub roofline_ratio_p90_error: f64,
    /// The third for the roofline.
    pub roofline_winner_agreement: f64,
}

/// What all points say together.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// The errors.
    #[serde(flatten)]
    pub errors: Errors,
    /// Samples left out as disturbed.
    pub rejected_samples: u64,
}

/// Compares those of `points` that have both schemes with what `predictor` says; beside them, why others cannot be: the engine refuses, or
/// the accelerator has no roofline for them.
#[must_use]
pub fn compare(points: &[Measured], predictor: &Predictor) -> (Vec<Compared>, Vec<PredictError>) {
    let (mut compared, mut refused) = (Vec::new(), Vec::new());
    for point in points {
        match one(point, predictor) {
            Ok(found) => compared.extend(found),
            Err(error) => refused.push(error),
        }
    }
    (compared, refused)
}

fn one(point: &Measured, predictor: &Predictor) -> Result<Option<Compared>, PredictError> {
    let setting = &point.setting;
    let schemes = [Scheme::KvCache, Scheme::SlimK];
    let mut measured = serde_json::Map::new();
    let mut predicted = serde_json::Map::new();
    let mut times = [[0.0; 2]; 2];
    for (i, scheme) in schemes.into_iter().enumerate() {
        let Some(time) = point.of(scheme) else { return Ok(None) };
        let refused = |error| PredictError::Refused(format!("{}: {error}", described(setting)));
        let seconds = predictor.seconds(setting, scheme).map_err(refused)?;
        times[i] = [time.median, seconds];
        measured.insert(scheme.name().to_owned(), time.median.into());
        predicted.insert(scheme.name().to_owned(), seconds.into());
    }
    let [kv, slim] = times;
    let mut roofline = [0.0; 2];
    for (seconds, scheme) in roofline.iter_mut().zip(schemes) {
        *seconds = predictor.roofline(setting, scheme).ok_or_else(|| no_roofline(setting))?;
    }
    // A ratio that is no number would be `null` in JSON, and an error of nothing in the sums.
    if let Some(scheme) = schemes.iter().zip([kv[1], slim[1]]).find(|(_, s)| !s.is_normal()) {
        return Err(PredictError::Refused(format!(
            "no time of {} is predicted at {}",
            scheme.0.name(),
            described(setting)
        )));
    }
    let shape = &setting.shape;
    Ok(Some(Compared {
        heads: shape.heads,
        head_dim: shape.head_dim,
        context: shape.context,
        batch: shape.batch,
        dtype: setting.dtype.name(),
        threads: setting.threads,
        tier: setting.tier.name(),
        measured_seconds: measured,
        predicted_seconds: predicted,
        measured_ratio: kv[0] / slim[0],
        predicted_ratio: kv[1] / slim[1],
        roofline_ratio: roofline[0] / roofline[1],
        spread: point.spread().unwrap_or(0.0),
        time_errors: times.map(|[measured, predicted]| (predicted / measured - 1.0).abs()),
    }))
}

/// What the points with as many threads and bytes in the same place say.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GroupSummary {
    /// Threads.
    pub threads: usize,
    /// Where the bytes lie.
    pub tier: &'static str,
    /// Points.
    pub points: usize,
    /// Their errors.
    #[serde(flatten)]
    pub errors: Errors,
}

/// One group for each number of threads and tier among `points`.
#[must_use]
pub fn groups(points: &[Compared]) -> Vec<GroupSummary> {
    let mut groups: BTreeMap<_, Vec<Compared>> = BTreeMap::new();
    for p in points {
        // From DRAM first.
        groups.entry((p.threads, std::cmp::Reverse(p.tier))).or_default().push(p.clone());
    }
    let summary = |((threads, tier), points): ((usize, std::cmp::Reverse<&'static str>), Vec<Compared>)| {
        let errors = errors(&points)?;
        Some(GroupSummary { threads, tier: tier.0, points: points.len(), errors })
    };
    groups.into_iter().filter_map(summary).collect()
}

/// Why the roofline says nothing of `setting`.
fn no_roofline(setting: &Setting) -> PredictError {
    PredictError::Refused(format!(
        "the roofline of {} cannot be computed: the accelerator has no bandwidth of its memory, no peak of {dtype} or, for one thread from \
         DRAM, no rate of phase stream for {dtype}",
        described(setting),
        dtype = setting.dtype.name()
    ))
}

/// A point in words.
fn described(setting: &Setting) -> String {
    let Setting { shape, dtype, threads, tier } = setting;
    format!(
        "heads {}, head_dim {}, context {}, batch {}, {}, threads {threads}, {}",
        shape.heads,
        shape.head_dim,
        shape.context,
        shape.batch,
        dtype.name(),
        tier.name()
    )
}

/// Ratios so close to 1 that a winner means nothing.
const UNDECIDED: std::ops::RangeInclusive<f64> = 0.95..=1.05;

/// Sums `points` up; `None` of none.
#[must_use]
pub fn summarise(points: &[Compared], rejected_samples: u64) -> Option<Summary> {
    Some(Summary { errors: errors(points)?, rejected_samples })
}

/// The errors of `points`; `None` of none.
#[must_use]
pub fn errors(points: &[Compared]) -> Option<Errors> {
    let off = |ratio: fn(&Compared) -> f64| -> Vec<f64> {
        points.iter().map(|p| (ratio(p) / p.measured_ratio - 1.0).abs()).collect()
    };
    let decided: Vec<&Compared> = points.iter().filter(|p| !UNDECIDED.contains(&p.measured_ratio)).collect();
    let agreement = |ratio: fn(&Compared) -> f64| {
        let right = decided.iter().filter(|p| (ratio(p) > 1.0) == (p.measured_ratio > 1.0)).count();
        if decided.is_empty() { 1.0 } else { right as f64 / decided.len() as f64 }
    };
    let (ours, roofline) = (off(|p| p.predicted_ratio), off(|p| p.roofline_ratio));
    Some(Errors {
        ratio_median_error: quantile(ours.clone(), 0.5)?,
        ratio_p90_error: quantile(ours, 0.9)?,
        winner_agreement: agreement(|p| p.predicted_ratio),
        decided_points: decided.len(),
        time_median_error: quantile(points.iter().flat_map(|p| p.time_errors).collect(), 0.5)?,
        roofline_ratio_median_error: quantile(roofline.clone(), 0.5)?,
        roofline_ratio_p90_error: quantile(roofline, 0.9)?,
        roofline_winner_agreement: agreement(|p| p.roofline_ratio),
    })
}

#[cfg(test)]
pub(super) mod tests;
