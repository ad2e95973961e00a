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

/// The point near `start` where `cost` is least, and its cost. At most `iterations` steps a simplex, `restarts` new ones.
pub(super) fn minimise(
    cost: impl Fn(&[f64]) -> f64,
    start: &[f64],
    iterations: u64,
    restarts: usize,
) -> (Vec<f64>, f64) {
    let mut best = (start.to_vec(), cost(start));
    for round in 0..=restarts {
        let size = FIRST / (1u64 << round.min(8)) as f64;
        let mut simplex = vec![best.0.clone()];
        for i in 0..start.len() {
            let mut corner = best.0.clone();
            // Corners on alternating sides, so that a new simplex does not look the same way again.
            corner[i] += if (i + round) % 2 == 0 { size } else { -size };
            simplex.push(corner);
        }
        let Ok(solver) = NelderMead::new(simplex).with_sd_tolerance(1e-7) else { return best };
        let run = Executor::new(Problem(&cost), solver).configure(|s| s.max_iters(iterations)).run();
        let Ok(result) = run else { return best };
        let state = result.state();
        let Some(point) = state.get_best_param() else { return best };
        let found = state.get_best_cost();
        let gained = best.1 - found;
        if found < best.1 {
            best = (point.clone(), found);
        }
        if gained < 1e-5 && round > 0 {
            break;
        }
    }
    best
}
