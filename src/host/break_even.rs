//! Where slim-k and the baseline take equally long: the context length from which it wins, the heads up to which it does.
//!
//! Measured and predicted ratios are read off the same points in the same way, so that what lies between the points hurts both alike.

use super::samples::quantile;
use super::validation::Compared;
use serde::Serialize;
use std::collections::BTreeMap;

/// A break-even, measured and predicted.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BreakEven {
    /// Query heads, of a break-even context.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heads: Option<usize>,
    /// Tokens of each sequence, of break-even heads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<usize>,
    /// Elements of a head.
    pub head_dim: usize,
    /// Sequences.
    pub batch: usize,
    /// Type of cache and weights.
    pub dtype: &'static str,
    /// Threads.
    pub threads: usize,
    /// Where the bytes lie.
    pub tier: &'static str,
    /// Context or heads at which the measured ratio is 1; `None`: at none between the outermost points.
    pub measured: Option<f64>,
    /// The same of the predicted ratio.
    pub predicted: Option<f64>,
}

impl BreakEven {
    /// |predicted / measured − 1|; `None` where one is missing.
    #[must_use]
    pub fn error(&self) -> Option<f64> {
        Some((self.predicted? / self.measured? - 1.0).abs())
    }
}

/// The median error of those that have both; `None` of none.
#[must_use]
pub fn median_error(found: &[BreakEven]) -> Option<f64> {
    quantile(found.iter().filter_map(BreakEven::error).collect(), 0.5)
}

/// The break-even context length of each curve over contexts that crosses 1, measured or predicted.
#[must_use]
pub fn contexts(points: &[Compared]) -> Vec<BreakEven> {
    along(points, |p| p.context, |p| p.heads, |held, found| BreakEven { heads: Some(held), ..found })
}

/// The break-even heads of each curve over heads that crosses 1, measured or predicted.
#[must_use]
pub fn heads(points: &[Compared]) -> Vec<BreakEven> {
    along(points, |p| p.heads, |p| p.context, |held, found| BreakEven { context: Some(held), ..found })
}

/// The crossings along `x`, a curve each for what is `held` and everything else.
fn along(
    points: &[Compared],
    x: fn(&Compared) -> usize,
    held: fn(&Compared) -> usize,
    name: fn(usize, BreakEven) -> BreakEven,
) -> Vec<BreakEven> {
    let mut curves: BTreeMap<_, Vec<&Compared>> = BTreeMap::new();
    for p in points {
        curves.entry((p.threads, p.tier, p.batch, p.dtype, p.head_dim, held(p))).or_default().push(p);
    }
    let curves =
        curves.into_iter().filter_map(|((threads, tier, batch, dtype, head_dim, held), mut curve)| {
            curve.sort_by_key(|p| x(p));
            let at = |ratio: fn(&Compared) -> f64| {
                let points: Vec<_> = curve.iter().map(|p| (x(p) as f64, ratio(p))).collect();
                crossing(&points)
            };
            let (measured, predicted) = (at(|p| p.measured_ratio), at(|p| p.predicted_ratio));
            if measured.is_none() && predicted.is_none() {
                return None;
            }
            let found = BreakEven {
                heads: None,
                context: None,
                head_dim,
                batch,
                dtype,
                threads,
                tier,
                measured,
                predicted,
            };
            Some(name(held, found))
        });
    curves.collect()
}

/// Where the ratio first passes 1 on the line through `points`, x rising, straight in the logarithms of both.
fn crossing(points: &[(f64, f64)]) -> Option<f64> {
    points.windows(2).find_map(|pair| {
        let [(x, a), (y, b)] = pair else { return None };
        let (a, b) = (a.ln(), b.ln());
        (a * b <= 0.0 && a.total_cmp(&b).is_ne()).then(|| (x.ln() + (y / x).ln() * a / (a - b)).exp())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(heads: usize, context: usize, measured_ratio: f64, predicted_ratio: f64) -> Compared {
        let point = crate::host::validation::tests::point([measured_ratio, predicted_ratio, 1.5], [0.0; 2]);
        Compared { heads, context, ..point }
    }

    fn near(found: Option<f64>, expected: f64) {
        let found = found.unwrap_or(f64::NAN);
        assert!((found / expected - 1.0).abs() < 1e-12, "{found} {expected}");
    }

    #[test]
    fn a_crossing_is_in_the_middle_of_equal_factors() {
        near(crossing(&[(1000.0, 0.5), (4000.0, 2.0)]), 2000.0);
        near(crossing(&[(4.0, 1.21), (16.0, 1.0 / 1.21)]), 8.0);
        near(crossing(&[(4.0, 2.0), (8.0, 1.0), (16.0, 0.5)]), 8.0);
        near(crossing(&[(100.0, 0.25), (800.0, 2.0)]), 400.0);
        assert_eq!(crossing(&[(4.0, 2.0), (8.0, 1.5)]), None);
        assert_eq!(crossing(&[(4.0, 1.0), (8.0, 1.0)]), None, "all along is nowhere");
        assert_eq!(crossing(&[(4.0, 1.0)]), None);
        assert_eq!(crossing(&[]), None);
    }

    #[test]
    fn curves_are_told_apart() {
        // In no order; of 16 heads nothing crosses.
        let points = [
            point(8, 4000, 2.0, 2.0),
            point(4, 1000, 1.5, 1.5),
            point(8, 1000, 0.5, 0.25),
            point(4, 4000, 1.9, 1.9),
            point(16, 1000, 0.3, 0.3),
            point(16, 4000, 0.8, 0.8),
        ];
        let found = contexts(&points);
        assert_eq!(found.iter().map(|b| (b.heads, b.context)).collect::<Vec<_>>(), [(Some(8), None)]);
        near(found[0].measured, 2000.0);
        near(found[0].predicted, 1000.0 * 4_f64.powf(2.0 / 3.0));
        near(median_error(&found), 4_f64.powf(2.0 / 3.0) / 2.0 - 1.0);
        let found = heads(&points);
        assert_eq!(found.iter().map(|b| b.context).collect::<Vec<_>>(), [Some(1000), Some(4000)]);
        near(found[1].measured, 8.0 * 2_f64.powf(2_f64.ln() / (2_f64.ln() - 0.8_f64.ln())));
    }
}
