//! Whether the rows determine the constants: their standard errors, from how predictions respond to them.
//!
//! With J the derivatives of ln(predicted time) by the coordinates (logarithms of the constants) and σ the spread of ln(measured/predicted),
//! coordinate j has the standard error σ·√((JᵀJ)⁻¹)ⱼⱼ, as in any least-squares fit. A constant that no prediction responds to, or that
//! others can stand in for, has none: JᵀJ cannot be inverted.

use super::constants::{Constant, at};
use super::observation::Observation;
use crate::hardware::Accelerator;
use crate::hardware::kernel::{Policy, Residency};
use crate::step::kernel::KernelTimer;

/// Largest standard error, in the logarithm, with which a constant counts as known: a factor of two either way.
const KNOWN: f64 = std::f64::consts::LN_2;

/// Step of a derivative: a tenth, so that kinks of a maximum do not hide a response.
const STEP: f64 = 0.1;

/// The constant that the rows say least about, if it is not known and none of `kept`.
pub(super) fn least_known(
    spec: &Accelerator,
    policy: Policy,
    set: &[Constant],
    point: &[f64],
    rows: &[&Observation],
    kept: &[Constant],
) -> Option<Constant> {
    let errors = standard_errors(spec, policy, set, point, rows);
    let open = errors.iter().zip(set).filter(|(_, c)| !kept.contains(c));
    let worst = open.max_by(|a, b| a.0.total_cmp(b.0))?;
    (*worst.0 > KNOWN).then_some(*worst.1)
}

/// Standard errors of the coordinates; infinite where the rows do not say anything.
fn standard_errors(
    spec: &Accelerator,
    policy: Policy,
    set: &[Constant],
    point: &[f64],
    rows: &[&Observation],
) -> Vec<f64> {
    let logs = |point: &[f64]| -> Vec<f64> {
        let timer = KernelTimer::new(spec, policy, &at(set, point).0, Residency::Hot);
        rows.iter().map(|o| o.task.seconds(&timer).map_or(0.0, f64::ln)).collect()
    };
    let here = logs(point);
    let n = set.len();
    let responses: Vec<Vec<f64>> = (0..n)
        .map(|j| {
            let shifted = |by: f64| {
                let mut point = point.to_vec();
                point[j] += by;
                logs(&point)
            };
            let (up, down) = (shifted(STEP), shifted(-STEP));
            up.iter().zip(&down).map(|(u, d)| (u - d) / (2.0 * STEP)).collect()
        })
        .collect();
    let residual: f64 =
        rows.iter().zip(&here).map(|(o, l)| (o.seconds.ln() - l).abs()).sum::<f64>() / rows.len() as f64;
    // Of a Laplace-like spread, whose few large errors say little about the rest.
    let sigma = residual * std::f64::consts::SQRT_2;
    let gram: Vec<Vec<f64>> = (0..n)
        .map(|i| (0..n).map(|j| responses[i].iter().zip(&responses[j]).map(|(a, b)| a * b).sum()).collect())
        .collect();
    (0..n)
        .map(|j| {
            let alone = without_others(&gram, j);
            if alone > 1e-9 { sigma / alone.sqrt() } else { f64::INFINITY }
        })
        .collect()
}

/// What is left of coordinate `j`'s response when the others have explained what they can: 1 / (G⁻¹)ⱼⱼ, the Schur complement of the rest
/// in `gram`.
fn without_others(gram: &[Vec<f64>], j: usize) -> f64 {
    let n = gram.len();
    let mut g: Vec<Vec<f64>> = gram.to_vec();
    let mut open: Vec<usize> = (0..n).filter(|&i| i != j).collect();
    // Eliminates the others, the largest response first; what is nothing by then explains nothing.
    while let Some(at) = (0..open.len()).max_by(|&a, &b| g[open[a]][open[a]].total_cmp(&g[open[b]][open[b]]))
    {
        let p = open.swap_remove(at);
        let pivot = g[p][p];
        if pivot <= 1e-12 {
            continue;
        }
        let row = g[p].clone();
        for r in open.iter().copied().chain([j]) {
            let factor = g[r][p] / pivot;
            for (x, y) in g[r].iter_mut().zip(&row) {
                *x -= factor * y;
            }
        }
    }
    g[j][j]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_that_others_explain_is_none() {
        // Coordinates 0 and 1 are the same; 2 stands alone.
        let gram = vec![vec![2.0, 2.0, 0.0], vec![2.0, 2.0, 0.0], vec![0.0, 0.0, 3.0]];
        assert!(without_others(&gram, 0).abs() < 1e-12);
        assert!((without_others(&gram, 2) - 3.0).abs() < 1e-12);
        // 1 / (G⁻¹)₀₀ of [[2, 1], [1, 2]] is 3/2.
        let gram = vec![vec![2.0, 1.0], vec![1.0, 2.0]];
        assert!((without_others(&gram, 0) - 1.5).abs() < 1e-12);
    }
}
