//! Seeded numbers and matrices.

use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::{Rng, SeedableRng};

/// A seeded generator of normal numbers.
pub(super) struct Random(Pcg64Mcg);

impl Random {
    /// The generator of a seed.
    pub(super) fn new(seed: u64) -> Self {
        Self(Pcg64Mcg::seed_from_u64(seed))
    }

    /// In (0, 1].
    fn uniform(&mut self) -> f64 {
        ((self.0.next_u64() >> 11) + 1) as f64 / (1u64 << 53) as f64
    }

    /// `count` numbers of mean 0 and standard deviation `deviation` (Box–Muller).
    pub(super) fn normal(&mut self, count: usize, deviation: f64) -> Vec<f64> {
        (0..count)
            .map(|_| {
                let radius = (-2.0 * self.uniform().ln()).sqrt();
                deviation * radius * (std::f64::consts::TAU * self.uniform()).cos()
            })
            .collect()
    }

    /// An orthogonal matrix, `width` × `width` row by row, no direction preferred: normal rows, made orthogonal by Gram–Schmidt. One pass
    /// leaves what rounding left of nearly parallel rows; a second takes that away.
    pub(super) fn orthogonal(&mut self, width: usize) -> Vec<f64> {
        let mut matrix = self.normal(width * width, 1.0);
        for i in 0..width {
            let (before, rest) = matrix.split_at_mut(i * width);
            let row = &mut rest[..width];
            for _ in 0..2 {
                for other in before.chunks_exact(width) {
                    let along: f64 = other.iter().zip(&*row).map(|(a, b)| a * b).sum();
                    row.iter_mut().zip(other).for_each(|(r, o)| *r -= along * o);
                }
                let length = row.iter().map(|x| x * x).sum::<f64>().sqrt();
                row.iter_mut().for_each(|r| *r /= length);
            }
        }
        matrix
    }
}

/// `matrix`, `width` × `width`, with rows and columns exchanged.
pub(super) fn transposed(matrix: &[f64], width: usize) -> Vec<f64> {
    (0..width * width).map(|i| matrix[i % width * width + i / width]).collect()
}

/// Row i of `matrix` times `factors[i]`.
pub(super) fn scaled_rows(matrix: &[f64], factors: &[f64]) -> Vec<f64> {
    let width = factors.len();
    matrix
        .chunks_exact(width)
        .zip(factors)
        .flat_map(|(row, factor)| row.iter().map(move |x| x * factor))
        .collect()
}
