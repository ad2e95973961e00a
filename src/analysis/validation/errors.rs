//! Relative errors, summed up.

use serde::Serialize;

/// Relative errors of a set of predictions.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Errors(Vec<f64>);

/// Their figures; fractions, not percent. Zero where there is no row.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Spread {
    /// Rows.
    pub rows: usize,
    /// Mean |error|.
    pub mape: f64,
    /// Median |error|.
    pub median: f64,
    /// 90th percentile of |error|.
    pub p90: f64,
    /// Mean error, with its sign: above zero where predictions are too long.
    pub bias: f64,
}

impl Errors {
    /// Adds a prediction of something measured, in the same unit.
    pub fn add(&mut self, predicted: f64, measured: f64) {
        self.0.push(predicted / measured - 1.0);
    }

    /// Their figures.
    #[must_use]
    pub fn spread(&self) -> Spread {
        let rows = self.0.len();
        if rows == 0 {
            return Spread::default();
        }
        let mut sizes: Vec<f64> = self.0.iter().map(|e| e.abs()).collect();
        sizes.sort_unstable_by(f64::total_cmp);
        let mean = |all: &[f64]| all.iter().sum::<f64>() / rows as f64;
        let quantile = |p| crate::analysis::calibration::quantile(&sizes, p);
        Spread { rows, mape: mean(&sizes), median: quantile(0.5), p90: quantile(0.9), bias: mean(&self.0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_of_four_errors() {
        let mut errors = Errors::default();
        for predicted in [90.0, 110.0, 120.0, 100.0] {
            errors.add(predicted, 100.0);
        }
        let s = errors.spread();
        let close = |a: f64, b: f64| (a - b).abs() < 1e-12;
        assert_eq!(s.rows, 4);
        assert!(
            close(s.mape, 0.1) && close(s.median, 0.1) && close(s.p90, 0.2) && close(s.bias, 0.05),
            "{s:?}"
        );
        assert_eq!(Errors::default().spread(), Spread::default());
    }
}
