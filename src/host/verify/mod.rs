//! The kernels held against an `f64` reference, over shapes, types and condition numbers of W_K.
//!
//! Two errors, which have nothing to do with each other:
//! - the **kernel error**, from the reference of the very operands that the kernel read, rounded as they are. It must stay below a bound that
//!   is derived from the arithmetic alone (`bound.rs`); one that does not is a bug.
//! - the **scheme error**, from attention with exact K and V. No kernel can help it: what was lost when K, V and W_KV were stored comes back
//!   magnified by W_KV = W_K⁻¹·W_V where W_K is badly conditioned.

mod bound;
mod cases;
mod layer;
mod operands;
mod random;
#[cfg(test)]
#[expect(clippy::expect_used, reason = "a test stops at the first thing that fails")]
mod tests;

pub use super::kernels::Scheme;
pub use cases::Case;

use super::kernels::rotation::Rotation;
use super::reference::{attention, rotate};
use super::simd::{Element, Isa};
use super::team::Team;
use crate::units::Dtype;
use cases::{cases, conditions};
use layer::Layer;
use operands::{Operands, distance, relative};
use serde::Serialize;

/// Scheme error above which a result is called lost.
pub const TOLERABLE: f64 = 0.05;

/// Types of the cache and of W_KV.
const DTYPES: [Dtype; 3] = [Dtype::Fp32, Dtype::Bf16, Dtype::Fp16];

/// What was found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Numerics {
    /// Seed of all numbers.
    pub seed: u64,
    /// Shapes.
    pub cases: Vec<Case>,
    /// Condition numbers of W_K.
    pub conditions: Vec<f64>,
    /// Kernel errors, by scheme, type and instruction set.
    pub kernel_errors: Vec<KernelError>,
    /// Scheme errors, by type and condition number.
    pub scheme_errors: Vec<SchemeErrors>,
    /// Where scheme errors become intolerable.
    pub limits: Vec<Limit>,
    /// Kernel errors above their bounds: bugs.
    pub exceeded: Vec<Excess>,
}

/// Errors of one kernel.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct KernelError {
    /// Scheme.
    pub scheme: Scheme,
    /// Type of cache and W_KV.
    pub dtype: Dtype,
    /// Instruction set.
    pub isa: Isa,
    /// Runs that were judged.
    pub runs: u64,
    /// Runs that were not, as W_KV exceeds the type's largest number.
    pub overflowed: u64,
    /// Largest error of an element over its bound: above 1, the kernel is wrong.
    pub error_over_bound: f64,
    /// Largest ‖error‖ / ‖result‖ of a run.
    pub relative_error: f64,
}

/// Errors against exact attention, the largest of all shapes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SchemeErrors {
    /// Type of cache and W_KV.
    pub dtype: Dtype,
    /// Condition number of W_K.
    pub condition: f64,
    /// Largest element of W_KV before it is rounded.
    pub largest_weight: f64,
    /// Layers whose W_KV exceeds the type's largest number, of all.
    pub overflowed: usize,
    /// ‖error‖ / ‖result‖ of the widest instruction set's kernels, by scheme as in [`Scheme::ALL`]; infinite (in JSON `null`) after an
    /// overflow.
    pub errors: [f64; 3],
    /// The part of the slim schemes' error that storage alone makes: the rounded operands in `f64` arithmetic.
    pub slim_storage_error: f64,
}

/// Where a scheme loses its result.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Limit {
    /// Type of cache and W_KV.
    pub dtype: Dtype,
    /// Scheme.
    pub scheme: Scheme,
    /// The smallest condition number tried whose scheme error is above [`TOLERABLE`]; `None`: none.
    pub condition: Option<f64>,
}

/// A kernel error above its bound.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Excess {
    /// Scheme.
    pub scheme: Scheme,
    /// Type of cache and W_KV.
    pub dtype: Dtype,
    /// Instruction set.
    pub isa: Isa,
    /// Shape.
    pub case: Case,
    /// Condition number of W_K.
    pub condition: f64,
    /// The element of the result that is furthest beyond its bound.
    pub element: usize,
    /// What the kernel made of it.
    pub found: f32,
    /// What it should be.
    pub expected: f64,
    /// How far off it may be.
    pub bound: f64,
}

/// Runs everything; `done` hears of each layer, of [`layers`].
///
/// # Errors
/// If the system gives no threads.
pub fn verify(
    seed: u64,
    quick: bool,
    done: &(dyn Fn() + Sync),
) -> Result<Numerics, rayon::ThreadPoolBuildError> {
    // On a thread of its own: a team of one pins the thread that calls it.
    std::thread::scope(|scope| {
        let found = scope.spawn(|| {
            let mut check = Check::new(seed, quick, [Team::new(1)?, Team::new(2)?]);
            for (i, condition) in conditions(quick).into_iter().enumerate() {
                for (j, case) in cases(quick).iter().enumerate() {
                    let stream = (i * 1000 + j) as u64;
                    check.layer(
                        case,
                        condition,
                        seed.wrapping_add(stream.wrapping_mul(0x9E37_79B9_7F4A_7C15)),
                    );
                    done();
                }
            }
            Ok(check.finish())
        });
        found.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// How many layers [`verify`] looks at.
#[must_use]
pub fn layers(quick: bool) -> u64 {
    (cases(quick).len() * conditions(quick).len()) as u64
}

/// A verification under way.
struct Check {
    found: Numerics,
    isas: Vec<Isa>,
    teams: [Team; 2],
}

impl Check {
    fn new(seed: u64, quick: bool, teams: [Team; 2]) -> Self {
        let isas = Isa::available();
        let kernel = |scheme, dtype, isa| KernelError {
            scheme,
            dtype,
            isa,
            runs: 0,
            overflowed: 0,
            error_over_bound: 0.0,
            relative_error: 0.0,
        };
        let kernel_errors = Scheme::ALL
            .into_iter()
            .flat_map(|scheme| DTYPES.map(|dtype| (scheme, dtype)))
            .flat_map(|(scheme, dtype)| isas.iter().map(move |&isa| kernel(scheme, dtype, isa)))
            .collect();
        let scheme = |dtype, condition| SchemeErrors {
            dtype,
            condition,
            largest_weight: 0.0,
            overflowed: 0,
            errors: [0.0; 3],
            slim_storage_error: 0.0,
        };
        let conditions = conditions(quick);
        let scheme_errors =
            DTYPES.into_iter().flat_map(|d| conditions.iter().map(move |&c| scheme(d, c))).collect();
        let found = Numerics {
            seed,
            cases: cases(quick),
            conditions,
            kernel_errors,
            scheme_errors,
            limits: Vec::new(),
            exceeded: Vec::new(),
        };
        Self { found, isas, teams }
    }

    /// One layer, in all types.
    fn layer(&mut self, case: &Case, condition: f64, seed: u64) {
        let shape = case.shape();
        let layer = Layer::new(&shape, condition, seed);
        let rotation = case.rotation.then(|| Rotation::new(case.context, case.head_dim));
        let rotated = rotation.as_ref().map(|r| rotate(&shape, r, &layer.keys));
        let scored = rotated.as_deref().unwrap_or(&layer.keys);
        let exact = attention(&shape, &layer.query, scored, &layer.values);
        let largest = layer.matrix.iter().fold(0.0, |most: f64, w| most.max(w.abs()));
        for entry in self.found.scheme_errors.iter_mut().filter(|e| e.condition == condition) {
            entry.largest_weight = entry.largest_weight.max(largest);
        }
        let rotation = rotation.as_ref();
        self.judge(case, condition, &Operands::<f32>::new(case, &layer, rotation), &exact);
        self.judge(case, condition, &Operands::<half::bf16>::new(case, &layer, rotation), &exact);
        self.judge(case, condition, &Operands::<half::f16>::new(case, &layer, rotation), &exact);
    }

    /// One layer in one type.
    fn judge<E: Element>(&mut self, case: &Case, condition: f64, operands: &Operands<E>, exact: &[f64]) {
        let expected = operands.expected();
        let overflows = operands.overflows();
        let Numerics { kernel_errors, scheme_errors, exceeded, .. } = &mut self.found;
        let entry = scheme_errors.iter_mut().find(|e| e.dtype == E::DTYPE && e.condition == condition);
        let Some(entry) = entry else { return };
        entry.overflowed += usize::from(overflows);
        for kernel in kernel_errors.iter_mut().filter(|k| k.dtype == E::DTYPE) {
            match expected.iter().find(|(scheme, _)| *scheme == kernel.scheme) {
                None => kernel.overflowed += 1,
                Some((_, expected)) => {
                    let found = operands.run(kernel.scheme, kernel.isa, &self.teams[case.threads - 1]);
                    let (ratio, element) = expected.worst(&found);
                    kernel.runs += 1;
                    kernel.error_over_bound = kernel.error_over_bound.max(ratio);
                    kernel.relative_error = kernel.relative_error.max(relative(&found, &expected.out));
                    if kernel.isa == self.isas[0] {
                        let errors = &mut entry.errors[kernel.scheme as usize];
                        *errors = errors.max(relative(&found, exact));
                    }
                    if ratio > 1.0 {
                        exceeded.push(Excess {
                            scheme: kernel.scheme,
                            dtype: E::DTYPE,
                            isa: kernel.isa,
                            case: *case,
                            condition,
                            element,
                            found: found[element],
                            expected: expected.out[element],
                            bound: expected.bound[element],
                        });
                    }
                }
            }
        }
        let slim = expected.iter().find(|(scheme, _)| *scheme == Scheme::SlimK);
        let storage = slim.map_or(f64::INFINITY, |(_, slim)| distance(&slim.out, exact));
        entry.slim_storage_error = entry.slim_storage_error.max(storage);
        if overflows {
            entry.errors[Scheme::SlimK as usize] = f64::INFINITY;
            entry.errors[Scheme::SlimKRecompute as usize] = f64::INFINITY;
        }
    }

    /// What was found.
    fn finish(self) -> Numerics {
        let mut found = self.found;
        for dtype in DTYPES {
            for scheme in Scheme::ALL {
                let lost = |e: &&SchemeErrors| e.dtype == dtype && e.errors[scheme as usize] > TOLERABLE;
                let condition = found.scheme_errors.iter().find(lost).map(|e| e.condition);
                found.limits.push(Limit { dtype, scheme, condition });
            }
        }
        found
    }
}
