//! How far a kernel's result may be from the reference of the same rounded operands: what `f32` arithmetic can do, worst case.
//!
//! Nothing is fitted. With u = 2⁻²⁴ and γ(k) = k·u / (1 − k·u), a value that k roundings went into is off by at most a factor 1 ± γ(k), and a
//! sum of products by at most γ(k)·Σ|a·b| in whatever order it was summed (Higham, *Accuracy and Stability of Numerical Algorithms*,
//! chapter 3); a fused multiply–add only rounds less. Below, n tokens are attended to in T tiles, heads are d elements wide and rows e.
//!
//! - **Scores.** The query is scaled (a root, a reciprocal, a product), a rotated key is a difference of two products, a score is a sum of d
//!   products: δ_t = γ(d + 5)·Σ_j |q_j|·|k_tj| / √d, where a rotated |k_tj| is |x·cos| + |y·sin|.
//! - **Weights.** A weight is e^(s_t − m), m the largest score yet, brought to the final m by a factor e^(m_old − m_new) a tile. Rounded
//!   differences add up to u·(m − s_t), as every step of m goes upwards. The kernels' exponential is off by at most `EXPONENTIAL`·u, the
//!   standard library's by 2·u, once a tile and once where threads' parts meet.
//! - **Means.** Numerator and denominator are sums of n weights or products of weights, scaled and added to once a tile, then once a part:
//!   N = n + 2·T + p + 3 roundings for p threads. So each weight w_t (of sum 1) is off by at most a_t·w_t in either,
//!   a_t = e^(δ_t + u·(m − s_t + δ_t + δ_m) + u·(2·T + 2 + EXPONENTIAL) + γ(N)) − 1, and the mean of values x_t, each off by at most ξ_t, by
//!   (Σ a_t·w_t·(|x_t| + ξ_t) + |mean|·Σ a_t·w_t + Σ w_t·ξ_t) / (1 − Σ a_t·w_t).
//! - **kv-cache**: the mean of the kept values, ξ = 0.
//! - **slim-k-recompute**: the mean of the rebuilt values, ξ_tj = γ(e + e/16)·Σ_i |k_ti|·|W_ij|: sums of e products, in panels.
//! - **slim-k**: y, the mean of the keys over all e columns, off by η as above; then y·W_KV, off by Σ_i (η_i + γ(e + e/16)·(|y_i| + η_i))·|W_ij|.
//!
//! The last two hold the size of the intermediate, Σ|P·K|·|W_KV|, against u: where W_K is badly conditioned, W_KV is large, its products
//! cancel, and the bound can be above the result itself. There it still tells arithmetic that is worse than f32's, but no longer a kernel that
//! leaves out one token of many; with a well-conditioned W_K, and for the baseline always, it does (tests). Operands are taken to be far from
//! underflow.

use super::cases::Case;
use crate::host::kernels::rotation::Rotation;
use crate::host::reference::rotate;

/// Half a unit in the last place of 1.
const U: f64 = f32::EPSILON as f64 / 2.0;

/// What the kernels' exponential is off by at most, in u: its polynomial leaves |r|⁷/5040 ≤ 2.8·u·e^r at the ends of |r| ≤ ln 2 / 2, Horner's
/// scheme and the reduction of the argument up to 4·u. A test measures 4.1.
pub(super) const EXPONENTIAL: f64 = 7.0;

/// Weights below e^−87 are taken for that, by kernels that clamp there: nothing beside the largest weight, 1.
const CLAMPED: f64 = 2e-38;

/// γ(k): what k roundings amount to.
fn gamma(roundings: usize) -> f64 {
    let k = roundings as f64 * U;
    k / (1.0 - k)
}

/// What the bounds of all schemes have in common: weights and how far off they may be, of every head of every sequence.
pub(super) struct Bounds<'a> {
    case: &'a Case,
    keys: &'a [f64],
    heads: Vec<Head>,
}

/// One head of one sequence.
struct Head {
    /// w_t.
    weights: Vec<f64>,
    /// a_t·w_t.
    off: Vec<f64>,
}

impl<'a> Bounds<'a> {
    /// For keys as they are kept, not rotated.
    pub(super) fn new(case: &'a Case, query: &[f32], keys: &'a [f64], rotation: Option<&Rotation>) -> Self {
        let (width, head_dim, context) = (case.width(), case.head_dim, case.context);
        let shape = case.shape();
        let rotated = rotation.map(|r| rotate(&shape, r, keys));
        let scored = rotated.as_deref().unwrap_or(keys);
        let sizes = sizes(case, keys, rotation);
        let root = (head_dim as f64).sqrt();
        let heads = (0..case.batch * case.heads)
            .map(|i| {
                let (sequence, head) = (i / case.heads, i % case.heads);
                let query = &query[sequence * width + head * head_dim..][..head_dim];
                let row = |t| (sequence * context + t) * width + head * head_dim;
                let product = |of: &[f64], t, f: fn(f64) -> f64| -> f64 {
                    let row = &of[row(t)..][..head_dim];
                    query.iter().zip(row).map(|(&q, k)| f(f64::from(q)) * k).sum::<f64>() / root
                };
                let scores = (0..context).map(|t| product(scored, t, |q| q));
                let errors = (0..context).map(|t| gamma(head_dim + 5) * product(&sizes, t, f64::abs));
                Head::new(case, &scores.collect::<Vec<_>>(), &errors.collect::<Vec<_>>())
            })
            .collect();
        Self { case, keys, heads }
    }

    /// Of each element of the baseline's result.
    pub(super) fn kv_cache(&self, values: &[f64]) -> Vec<f64> {
        self.means_of_heads(values, None)
    }

    /// Of each element, where values are rebuilt from the keys and `matrix`.
    pub(super) fn slim_k_recompute(&self, matrix: &[f64], rebuilt: &[f64]) -> Vec<f64> {
        let width = self.case.width();
        let [keys, matrix] = [self.keys, matrix].map(|m| m.iter().map(|x| x.abs()).collect::<Vec<_>>());
        let mut off = crate::host::reference::product(&keys, &matrix, width);
        off.iter_mut().for_each(|x| *x *= gamma(width + width / 16));
        self.means_of_heads(rebuilt, Some(&off))
    }

    /// Of each element, where the mean of the keys is projected by `matrix`.
    pub(super) fn slim_k(&self, matrix: &[f64]) -> Vec<f64> {
        let (width, head_dim) = (self.case.width(), self.case.head_dim);
        let projecting = gamma(width + width / 16);
        let mut out = vec![0.0; self.case.batch * width];
        for (i, head) in self.heads.iter().enumerate() {
            let (sequence, column) = (i / self.case.heads, i % self.case.heads * head_dim);
            let at = |t| (sequence * self.case.context + t) * width;
            let out = &mut out[sequence * width + column..][..head_dim];
            for (mean, matrix) in
                head.means(width, at, self.keys, None).iter().zip(matrix.chunks_exact(width))
            {
                let off = mean.off + projecting * (mean.value.abs() + mean.off);
                out.iter_mut().zip(&matrix[column..]).for_each(|(o, w)| *o += off * w.abs());
            }
        }
        out
    }

    /// Means of each head's own columns of `values`, which are off by up to `off`.
    fn means_of_heads(&self, values: &[f64], off: Option<&[f64]>) -> Vec<f64> {
        let (width, head_dim) = (self.case.width(), self.case.head_dim);
        let of_head = |(i, head): (usize, &Head)| {
            let (sequence, column) = (i / self.case.heads, i % self.case.heads * head_dim);
            let at = |t| (sequence * self.case.context + t) * width + column;
            let means = head.means(head_dim, at, values, off);
            means.into_iter().map(|mean| mean.off)
        };
        self.heads.iter().enumerate().flat_map(of_head).collect()
    }
}

/// A mean and how far off it may be.
struct Mean {
    value: f64,
    off: f64,
}

impl Head {
    /// From exact scores and how far off each may be.
    fn new(case: &Case, scores: &[f64], errors: &[f64]) -> Self {
        let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let worst = errors.iter().copied().fold(0.0, f64::max);
        let tiles = case.context.div_ceil(case.tile) + case.threads;
        let summed = gamma(case.context + 2 * tiles + case.threads + 3);
        let exponentials = U * (2.0 * tiles as f64 + 2.0 + EXPONENTIAL);
        let weights: Vec<f64> = scores.iter().map(|s| (s - largest).exp()).collect();
        let total: f64 = weights.iter().sum();
        let weights: Vec<f64> = weights.iter().map(|w| w / total).collect();
        let off = scores.iter().zip(errors).zip(&weights).map(|((s, error), weight)| {
            let exponent = error + U * (largest - s + error + worst);
            weight * (exponent + exponentials + summed).exp_m1() + CLAMPED
        });
        Self { off: off.collect(), weights }
    }

    /// Means of `count` columns of `rows`, of which token t's begin `at(t)`; each element is off by up to its own of `off`.
    fn means(
        &self,
        count: usize,
        at: impl Fn(usize) -> usize,
        rows: &[f64],
        off: Option<&[f64]>,
    ) -> Vec<Mean> {
        let mut means: Vec<Mean> = (0..count).map(|_| Mean { value: 0.0, off: 0.0 }).collect();
        for (t, (&weight, &loose)) in self.weights.iter().zip(&self.off).enumerate() {
            for (mean, x) in means.iter_mut().zip(&rows[at(t)..]) {
                mean.value += weight * x;
                mean.off += loose * x.abs();
            }
            if let Some(off) = off {
                means.iter_mut().zip(&off[at(t)..]).for_each(|(mean, x)| mean.off += (weight + loose) * x);
            }
        }
        let loose: f64 = self.off.iter().sum();
        if loose >= 1.0 {
            means.iter_mut().for_each(|mean| mean.off = f64::INFINITY);
        } else {
            means.iter_mut().for_each(|m| m.off = (m.off + m.value.abs() * loose) / (1.0 - loose));
        }
        means
    }
}

/// |k_tj| of kept keys; of rotated ones what the two products amount to that each is made of.
fn sizes(case: &Case, keys: &[f64], rotation: Option<&Rotation>) -> Vec<f64> {
    let mut sizes: Vec<f64> = keys.iter().map(|x| x.abs()).collect();
    let Some(rotation) = rotation else { return sizes };
    let half = case.head_dim / 2;
    for (i, head) in sizes.chunks_exact_mut(case.head_dim).enumerate() {
        let angles = rotation.angles().of(i / case.heads % case.context, 1, case.head_dim);
        for j in 0..half {
            let [c, s] = [angles.cosines[j], angles.sines[j]].map(|x| f64::from(x).abs());
            let (x, y) = (head[j], head[half + j]);
            (head[j], head[half + j]) = (x * c + y * s, x * s + y * c);
        }
    }
    sizes
}
