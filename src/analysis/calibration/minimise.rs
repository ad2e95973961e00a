//! The search for the constants of least error: a simplex, started anew until it stays where it is.

use argmin::core::{CostFunction, Error, Executor, State};
use argmin::solver::neldermead::NelderMead;

struct Problem<F>(F);

impl<F: Fn(&[f64]) -> f64> CostFunction for Problem<F> {
    type Param = Vec<f64>;
    type Output = f64;

    fn cost(&self, point: &Self::Param) -> Result<f64, Error> {
        Ok((self.0)(point))
    }
}

/// Size of a first simplex, in coordinates.
const FIRST: f64 = 0.4;

/// How far a coordinate is moved to see whether there is less beyond a ridge.
const PROBES: [f64; 8] = [0.05, -0.05, 0.15, -0.15, 0.5, -0.5, 1.2, -1.2];

/// The point near `start` where `cost` is least, and its cost. At most `iterations` steps a simplex, and `restarts` new ones, each after a
/// look along every coordinate: a maximum of several terms has ridges on which a simplex collapses.
pub(super) fn minimise(
    cost: impl Fn(&[f64]) -> f64,
    start: &[f64],
    iterations: u64,
    restarts: usize,
) -> (Vec<f64>, f64) {
    let mut best = (start.to_vec(), cost(start));
    for round in 0..=restarts {
        let before = best.1;
        let size = FIRST / (1u64 << round.min(3)) as f64;
        let mut simplex = vec![best.0.clone()];
        for i in 0..start.len() {
            let mut corner = best.0.clone();
            // Corners on alternating sides, so that a new simplex does not look the same way again.
            corner[i] += if (i + round).is_multiple_of(2) { size } else { -size };
            simplex.push(corner);
        }
        let Ok(solver) = NelderMead::new(simplex).with_sd_tolerance(1e-6) else { return best };
        let run = Executor::new(Problem(&cost), solver).configure(|s| s.max_iters(iterations)).run();
        let Ok(result) = run else { return best };
        let state = result.state();
        if let Some(point) = state.get_best_param().filter(|_| state.get_best_cost() < best.1) {
            best = (point.clone(), state.get_best_cost());
        }
        if round < restarts {
            probe(&cost, &mut best);
        }
        if before - best.1 < 2e-5 && round > 0 {
            break;
        }
    }
    best
}

/// Moves one coordinate at a time where that helps.
fn probe(cost: &impl Fn(&[f64]) -> f64, best: &mut (Vec<f64>, f64)) {
    for i in 0..best.0.len() {
        for by in PROBES {
            let mut point = best.0.clone();
            point[i] += by;
            let found = cost(&point);
            if found < best.1 {
                *best = (point, found);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_bottom_of_a_valley_with_ridges() {
        let cost = |p: &[f64]| (p[0] - 1.0).abs().max((p[1] + 2.0).abs()) + 0.1 * (p[0] + p[1] + 1.0).abs();
        let (point, least) = minimise(cost, &[4.0, 3.0], 200, 6);
        assert!(least < 1e-3, "{point:?} {least}");
    }
}
