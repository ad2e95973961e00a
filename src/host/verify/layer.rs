//! A layer whose W_K has the condition number that was asked for, in `f64`.

use super::random::{Random, scaled_rows, transposed};
use crate::host::kernels::Shape;
use crate::host::reference::product;

/// Spread of the queries: with keys of standard deviation 1, that of the scores.
const QUERY: f64 = 1.5;

/// W_K = U·diag(s)·R with orthogonal U and R: what its inverse does is known without solving for it, so that nothing is lost.
pub(super) struct KeyWeights {
    left: Vec<f64>,
    right: Vec<f64>,
    singular: Vec<f64>,
}

impl KeyWeights {
    /// Singular values are evenly spaced on a logarithmic scale, the largest `condition` times the smallest, of mean square 1: elements of
    /// X·W_K are then as large as those of X.
    pub(super) fn new(width: usize, condition: f64, random: &mut Random) -> Self {
        let [left, right] = [(); 2].map(|()| random.orthogonal(width));
        let power = |i: usize| 1.0 - i as f64 / (width - 1) as f64;
        let singular: Vec<f64> = (0..width).map(|i| condition.powf(power(i))).collect();
        let scale = (width as f64 / singular.iter().map(|s| s * s).sum::<f64>()).sqrt();
        Self { left, right, singular: singular.iter().map(|s| s * scale).collect() }
    }

    /// W_K.
    pub(super) fn matrix(&self) -> Vec<f64> {
        product(&self.left, &scaled_rows(&self.right, &self.singular), self.singular.len())
    }

    /// W_K⁻¹·`other` = Rᵀ·diag(1/s)·Uᵀ·`other`.
    pub(super) fn inverse_times(&self, other: &[f64]) -> Vec<f64> {
        let width = self.singular.len();
        let reciprocals: Vec<f64> = self.singular.iter().map(|s| 1.0 / s).collect();
        let turned = product(&transposed(&self.left, width), other, width);
        product(&transposed(&self.right, width), &scaled_rows(&turned, &reciprocals), width)
    }
}

/// What a layer's weights make of random inputs X, a row a token.
pub(super) struct Layer {
    /// W_KV = W_K⁻¹·W_V.
    pub(super) matrix: Vec<f64>,
    /// K = X·W_K.
    pub(super) keys: Vec<f64>,
    /// V = X·W_V.
    pub(super) values: Vec<f64>,
    /// One query a sequence.
    pub(super) query: Vec<f32>,
}

impl Layer {
    /// With a W_K of `condition`.
    pub(super) fn new(shape: &Shape, condition: f64, seed: u64) -> Self {
        let width = shape.width();
        let mut random = Random::new(seed);
        let key_weights = KeyWeights::new(width, condition, &mut random);
        let value_weights = random.normal(width * width, 1.0 / (width as f64).sqrt());
        let inputs = random.normal(shape.cache(), 1.0);
        Self {
            keys: product(&inputs, &key_weights.matrix(), width),
            values: product(&inputs, &value_weights, width),
            matrix: key_weights.inverse_times(&value_weights),
            query: random.normal(shape.batch * width, QUERY).into_iter().map(|x| x as f32).collect(),
        }
    }
}
