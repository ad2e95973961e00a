//! A layer as it is kept: rounded to a type, and what kernel and reference make of that.

use super::bound::Bounds;
use super::cases::Case;
use super::layer::Layer;
use crate::host::kernels::rotation::Rotation;
use crate::host::kernels::{KvCache, Scheme, SlimK, SlimKRecompute, Weights};
use crate::host::reference::{attention, exact, product, rotate};
use crate::host::simd::{Element, Isa};
use crate::host::team::Team;

/// K, V and W_KV of a layer, rounded.
pub(super) struct Operands<'a, E> {
    case: &'a Case,
    query: &'a [f32],
    rotation: Option<&'a Rotation>,
    keys: Vec<E>,
    values: Vec<E>,
    matrix: Vec<E>,
    weights: Weights<E>,
}

/// The reference of one scheme, and how far a kernel may be from it.
pub(super) struct Expected {
    /// Result.
    pub(super) out: Vec<f64>,
    /// Bound of each element's error.
    pub(super) bound: Vec<f64>,
}

impl<'a, E: Element> Operands<'a, E> {
    /// Rounds.
    pub(super) fn new(case: &'a Case, layer: &'a Layer, rotation: Option<&'a Rotation>) -> Self {
        let rounded = |of: &[f64]| -> Vec<E> { of.iter().map(|&x| E::from_f32(x as f32)).collect() };
        let width = case.width();
        let matrix = rounded(&layer.matrix);
        let weights = Weights::new(width, case.head_dim, |r, c| matrix[r * width + c].to_f32());
        Self {
            case,
            query: &layer.query,
            rotation,
            keys: rounded(&layer.keys),
            values: rounded(&layer.values),
            matrix,
            weights,
        }
    }

    /// Whether W_KV has elements beyond the type's largest.
    pub(super) fn overflows(&self) -> bool {
        self.matrix.iter().any(|w| !w.to_f32().is_finite())
    }

    /// References and bounds by scheme; the slim ones' only where W_KV does not overflow.
    pub(super) fn expected(&self) -> Vec<(Scheme, Expected)> {
        let (case, shape) = (self.case, self.case.shape());
        let [keys, values, matrix] = [&self.keys, &self.values, &self.matrix].map(|of| exact(of));
        let rotated = self.rotation.map(|r| rotate(&shape, r, &keys));
        let scored = rotated.as_deref().unwrap_or(&keys);
        let bounds = Bounds::new(case, self.query, &keys, self.rotation);
        let out = attention(&shape, self.query, scored, &values);
        let mut all = vec![(Scheme::KvCache, Expected { out, bound: bounds.kv_cache(&values) })];
        if !self.overflows() {
            let rebuilt = product(&keys, &matrix, case.width());
            let out = attention(&shape, self.query, scored, &rebuilt);
            let bound = bounds.slim_k(&matrix);
            all.push((Scheme::SlimK, Expected { out: out.clone(), bound }));
            let bound = bounds.slim_k_recompute(&matrix, &rebuilt);
            all.push((Scheme::SlimKRecompute, Expected { out, bound }));
        }
        all
    }

    /// Runs a scheme's kernel.
    pub(super) fn run(&self, scheme: Scheme, isa: Isa, team: &Team) -> Vec<f32> {
        let Self { case, rotation, keys, values, weights, query, .. } = self;
        let (shape, walk, threads) = (case.shape(), case.walk(), team.threads());
        let mut out = vec![0.0; case.batch * case.width()];
        match scheme {
            Scheme::KvCache => {
                KvCache::new(shape, walk, [keys, values], *rotation, threads).run(isa, team, query, &mut out);
            }
            Scheme::SlimK => {
                SlimK::new(shape, walk, keys, weights, *rotation, threads).run(isa, team, query, &mut out);
            }
            Scheme::SlimKRecompute => {
                SlimKRecompute::new(shape, walk, keys, weights, *rotation, threads)
                    .run(isa, team, query, &mut out);
            }
        }
        out
    }
}

impl Expected {
    /// The largest error over its bound, and where; anything that is no number is infinitely far off.
    pub(super) fn worst(&self, found: &[f32]) -> (f64, usize) {
        let ratios = found.iter().zip(&self.out).zip(&self.bound).map(|((&found, expected), bound)| {
            let off = (f64::from(found) - expected).abs();
            match off / bound {
                _ if off == 0.0 => 0.0,
                ratio if ratio.is_nan() => f64::INFINITY,
                ratio => ratio,
            }
        });
        ratios
            .enumerate()
            .fold((0.0, 0), |worst, (i, ratio)| if ratio > worst.0 { (ratio, i) } else { worst })
    }
}

/// ‖found − expected‖ / ‖expected‖ of a kernel's result; infinite where one is no number.
pub(super) fn relative(found: &[f32], expected: &[f64]) -> f64 {
    distance(&exact(found), expected)
}

/// ‖found − expected‖ / ‖expected‖; infinite where one is no number.
pub(super) fn distance(found: &[f64], expected: &[f64]) -> f64 {
    let norm = |of: &mut dyn Iterator<Item = f64>| of.map(|x| x * x).sum::<f64>().sqrt();
    let off = norm(&mut found.iter().zip(expected).map(|(f, e)| f - e));
    let ratio = off / norm(&mut expected.iter().copied());
    if ratio.is_nan() { f64::INFINITY } else { ratio }
}
