//! The three schemes in `f64`, one token after the other: what the kernels are held against.

use super::kernels::Shape;
use super::kernels::rotation::Rotation;
use super::simd::Element;

/// Dot product.
fn dot(a: impl Iterator<Item = f64>, b: impl Iterator<Item = f64>) -> f64 {
    a.zip(b).map(|(a, b)| a * b).sum()
}

/// Elements as they are.
pub fn exact<E: Element>(elements: &[E]) -> Vec<f64> {
    elements.iter().map(|e| f64::from(e.to_f32())).collect()
}

/// Rows rotated by the angles that the kernels use, each head's first half against its second.
#[must_use]
pub fn rotate(shape: &Shape, rotation: &Rotation, rows: &[f64]) -> Vec<f64> {
    let half = shape.head_dim / 2;
    let mut out = rows.to_vec();
    for (i, head) in out.chunks_exact_mut(shape.head_dim).enumerate() {
        let token = i / shape.heads % shape.context;
        let angles = rotation.angles().of(token, 1, shape.head_dim);
        for j in 0..half {
            let (c, s) = (f64::from(angles.cosines[j]), f64::from(angles.sines[j]));
            let (x, y) = (head[j], head[half + j]);
            (head[j], head[half + j]) = (x * c - y * s, x * s + y * c);
        }
    }
    out
}

/// Softmax attention of `query` (`batch · heads · head_dim`) over `scored` rows, weighing `valued` rows.
#[must_use]
pub fn attention(shape: &Shape, query: &[f32], scored: &[f64], valued: &[f64]) -> Vec<f64> {
    let Shape { heads, head_dim, context, batch } = *shape;
    let width = shape.width();
    let mut out = Vec::with_capacity(batch * width);
    for sequence in 0..batch {
        for head in 0..heads {
            let at = |token: usize| (sequence * context + token) * width + head * head_dim;
            let q = &query[sequence * width + head * head_dim..][..head_dim];
            let score = |t| {
                let row = scored[at(t)..].iter().copied();
                dot(q.iter().map(|&x| f64::from(x)), row) / (head_dim as f64).sqrt()
            };
            let scores: Vec<f64> = (0..context).map(score).collect();
            let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let weights: Vec<f64> = scores.iter().map(|s| (s - largest).exp()).collect();
            let total: f64 = weights.iter().sum();
            out.extend(
                (0..head_dim)
                    .map(|j| dot(weights.iter().copied(), (0..context).map(|t| valued[at(t) + j])) / total),
            );
        }
    }
    out
}

/// `rows · matrix`, rows of `width`, the matrix `width` × `width` row by row.
#[must_use]
pub fn product(rows: &[f64], matrix: &[f64], width: usize) -> Vec<f64> {
    let mut out = vec![0.0; rows.len()];
    for (row, out) in rows.chunks_exact(width).zip(out.chunks_exact_mut(width)) {
        for (x, matrix) in row.iter().zip(matrix.chunks_exact(width)) {
            out.iter_mut().zip(matrix).for_each(|(o, m)| *o += x * m);
        }
    }
    out
}
