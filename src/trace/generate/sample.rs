//! Quantiles of gaps and lengths, and the shuffling of them.

use super::{Lengths, Process};
use rand_pcg::Pcg64;
use rand_pcg::rand_core::Rng;
use statrs::distribution::{ContinuousCDF, Gamma, Normal};

/// What random numbers are drawn for: each has a stream of its own, so that changing one leaves the others as they were.
#[derive(Clone, Copy)]
pub(super) enum Stream {
    /// Order of the gaps.
    Gaps = 1,
    /// Order of the prompts.
    Prompts = 2,
    /// Order of the outputs.
    Outputs = 3,
}

/// A seeded generator.
pub(super) struct Random(Pcg64);

impl Stream {
    /// The stream's generator for a seed.
    pub(super) fn rng(self, seed: u64) -> Random {
        // An odd factor spreads neighbouring seeds over the state.
        let state = (u128::from(seed) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
        Random(Pcg64::new(state, self as u128))
    }
}

impl Random {
    /// Puts `items` in random order (Fisher–Yates).
    pub(super) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            // The high half of the product: below last + 1, even to 2⁻⁴⁰ for any length that fits in memory.
            let pick = (u128::from(self.0.next_u64()) * (last as u128 + 1)) >> 64;
            items.swap(last, pick as usize);
        }
    }
}

/// `count` gaps of mean about 1, in ascending order.
pub(super) fn gaps(process: Process, count: usize) -> Vec<f64> {
    let middle = |i: usize| (i as f64 + 0.5) / count as f64;
    let all = |quantile: &dyn Fn(f64) -> f64| (0..count).map(|i| quantile(middle(i))).collect();
    let exponential = |u: f64| -(-u).ln_1p();
    match process {
        Process::Poisson => all(&exponential),
        Process::Gamma { cv } => {
            let shape = 1.0 / (cv * cv);
            match Gamma::new(shape, shape) {
                Ok(gamma) => all(&|u| gamma.inverse_cdf(u)),
                // Shape and rate are positive and finite once validated.
                Err(_) => all(&exponential),
            }
        }
        Process::Bursty { cv } => {
            let c2 = cv * cv;
            let short = (1.0 + ((c2 - 1.0) / (c2 + 1.0)).sqrt()) / 2.0;
            all(&|u| hyperexponential(short, u))
        }
    }
}

/// Quantile of a hyperexponential of mean 1, whose short phase has probability `short` (½ to 1) and half of the time.
fn hyperexponential(short: f64, u: f64) -> f64 {
    let (fast, slow) = (2.0 * short, 2.0 * (1.0 - short));
    let survival = |x: f64| short * (-fast * x).exp() + (1.0 - short) * (-slow * x).exp();
    let (mut low, mut high) = (0.0, 1.0);
    while survival(high) > 1.0 - u {
        high *= 2.0;
    }
    loop {
        let middle = low + (high - low) / 2.0;
        if middle <= low || middle >= high {
            return high;
        }
        if survival(middle) > 1.0 - u {
            low = middle;
        } else {
            high = middle;
        }
    }
}

impl Lengths {
    /// `count` lengths in ascending order. The first and the last are the shortest and the longest there can be.
    pub(super) fn strata(&self, count: usize) -> Vec<u64> {
        let at = |i: usize| match i {
            _ if count == 1 => 0.5,
            0 => 0.0,
            _ if i == count - 1 => 1.0,
            _ => (i as f64 + 0.5) / count as f64,
        };
        match self {
            Self::Lognormal { mu, sigma, min, max } => {
                let normal = Normal::standard();
                let quantile = |u: f64| match u {
                    0.0 => *min,
                    1.0 => *max,
                    _ => ((mu + sigma * normal.inverse_cdf(u)).exp().round() as u64).clamp(*min, *max),
                };
                (0..count).map(|i| quantile(at(i))).collect()
            }
            Self::Quantiles(knots) => (0..count).map(|i| interpolate(knots, at(i))).collect(),
        }
    }
}

/// The quantile at `u` on straight lines between the knots.
fn interpolate(knots: &[(f64, f64)], u: f64) -> u64 {
    let right = knots.partition_point(|k| k.0 < u).clamp(1, knots.len() - 1);
    let ((p0, v0), (p1, v1)) = (knots[right - 1], knots[right]);
    (v0 + (v1 - v0) * (u - p0) / (p1 - p0)).round() as u64
}
