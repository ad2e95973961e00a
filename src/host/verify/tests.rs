//! The bound catches wrong kernels, right ones stay far below it, and layers are conditioned as asked.
#![expect(unsafe_code, reason = "calls the kernels' exponential on an instruction set")]

use super::bound::{Bounds, EXPONENTIAL};
use super::layer::KeyWeights;
use super::operands::Expected;
use super::random::{Random, transposed};
use super::*;
use crate::host::kernels::{KvCache, Shape, SlimK, SlimKRecompute, Weights};
use crate::host::reference::{exact, product};
use crate::host::simd::{self, Kernel, Lanes};

/// One layer of a test, rounded to f32.
struct Setup {
    case: Case,
    query: Vec<f32>,
    keys: Vec<f32>,
    values: Vec<f32>,
    matrix: Vec<f32>,
}

impl Setup {
    fn new(condition: f64) -> Self {
        let case =
            Case { heads: 4, head_dim: 32, context: 150, batch: 1, rotation: false, tile: 32, threads: 1 };
        let layer = Layer::new(&case.shape(), condition, 7);
        let [keys, values, matrix] = [&layer.keys, &layer.values, &layer.matrix]
            .map(|of| of.iter().map(|&x| x as f32).collect::<Vec<f32>>());
        Self { case, query: layer.query, keys, values, matrix }
    }

    fn expected(&self, scheme: Scheme) -> Expected {
        let shape = self.case.shape();
        let [keys, values, matrix] = [&self.keys, &self.values, &self.matrix].map(|of| exact(of));
        let bounds = Bounds::new(&self.case, &self.query, &keys, None);
        let rebuilt = product(&keys, &matrix, self.case.width());
        let valued = if scheme == Scheme::KvCache { &values } else { &rebuilt };
        let bound = match scheme {
            Scheme::KvCache => bounds.kv_cache(&values),
            Scheme::SlimK => bounds.slim_k(&matrix),
            Scheme::SlimKRecompute => bounds.slim_k_recompute(&matrix, &rebuilt),
        };
        Expected { out: attention(&shape, &self.query, &keys, valued), bound }
    }

    /// What a kernel makes of these operands, which a test may have spoiled.
    fn run(&self, scheme: Scheme) -> Vec<f32> {
        let Self { case, query, keys, values, matrix } = self;
        let width = case.width();
        let (shape, walk) = (case.shape(), case.walk());
        let team = Team::new(1).expect("a thread");
        let isa = Isa::best();
        let weights = Weights::<f32>::new(width, case.head_dim, |r, c| matrix[r * width + c]);
        let mut out = vec![0.0; width];
        match scheme {
            Scheme::KvCache => {
                KvCache::new(shape, walk, [keys, values], None, 1).run(isa, &team, query, &mut out);
            }
            Scheme::SlimK => {
                SlimK::new(shape, walk, keys, &weights, None, 1).run(isa, &team, query, &mut out);
            }
            Scheme::SlimKRecompute => {
                SlimKRecompute::new(shape, walk, keys, &weights, None, 1).run(isa, &team, query, &mut out);
            }
        }
        out
    }

    /// The last token left out.
    fn without_the_last_token(mut self) -> Self {
        let width = self.case.width();
        self.case.context -= 1;
        self.keys.truncate(self.case.context * width);
        self.values.truncate(self.case.context * width);
        self
    }
}

/// How many times its bound the error is of a kernel that reads `spoil`ed operands.
fn seen(condition: f64, scheme: Scheme, spoil: impl Fn(Setup) -> Setup) -> f64 {
    let expected = Setup::new(condition).expected(scheme);
    expected.worst(&spoil(Setup::new(condition)).run(scheme)).0
}

#[test]
fn right_kernels_stay_far_below_the_bound() {
    for scheme in Scheme::ALL {
        for condition in [1.0, 1e4, 1e7] {
            let ratio = seen(condition, scheme, |setup| setup);
            assert!(ratio > 0.0 && ratio < 0.1, "{}, cond {condition:e}: {ratio}", scheme.name());
        }
    }
}

/// How many times its bound the errors are of a kernel that leaves out the last of 150 tokens, of one that turns the sign of one element of
/// the keys, and of one that turns the sign of one element of W_KV.
fn faults(condition: f64, scheme: Scheme) -> [f64; 3] {
    let key = |mut setup: Setup| {
        setup.keys[75 * 128 + 40] *= -1.0;
        setup
    };
    let weight = |mut setup: Setup| {
        setup.matrix[3 * 128 + 40] *= -1.0;
        setup
    };
    [
        seen(condition, scheme, Setup::without_the_last_token),
        seen(condition, scheme, key),
        seen(condition, scheme, weight),
    ]
}

#[test]
fn wrong_kernels_exceed_the_bound() {
    for scheme in Scheme::ALL {
        for condition in [1.0, 1e2] {
            let [token, key, weight] = faults(condition, scheme);
            assert!(token > 1.5 && key > 3.0, "{}: {token}, {key}", scheme.name());
            assert!(scheme == Scheme::KvCache || weight > 3.0, "{}: {weight}", scheme.name());
        }
        let [token, ..] = faults(1.0, scheme);
        assert!(token > 50.0, "{}: {token}", scheme.name());
    }
}

/// What rounding may do grows with W_KV, and with it the bound of the slim schemes: at 1e4 and above a token left out hides in it. That is why
/// every shape is run with well-conditioned weights, too.
#[test]
fn the_bound_sees_less_where_weights_are_badly_conditioned() {
    for scheme in [Scheme::SlimK, Scheme::SlimKRecompute] {
        let [token, key, _] = faults(1e4, scheme);
        assert!(token < 1.0 && key > 3.0, "{}: {token}, {key}", scheme.name());
    }
    assert!(faults(1e7, Scheme::KvCache)[0] > 50.0, "the baseline's bound does not know W_KV");
}

#[test]
fn results_that_are_no_numbers_exceed_any_bound() {
    let expected = Expected { out: vec![1.0, 0.0, 2.0], bound: vec![0.1, 0.0, f64::INFINITY] };
    assert_eq!(expected.worst(&[1.0, 0.0, 2.0]), (0.0, 0));
    assert_eq!(expected.worst(&[1.0, f32::NAN, 2.0]), (f64::INFINITY, 1));
    assert_eq!(expected.worst(&[1.0, 0.0, f32::INFINITY]), (f64::INFINITY, 2));
    assert_eq!(expected.worst(&[1.0, 1e-9, 2.0]), (f64::INFINITY, 1));
    assert!(relative(&[f32::NAN, 0.0], &[1.0, 1.0]).is_infinite());
}

/// The largest singular value, by power iteration on AᵀA.
fn largest_singular(matrix: &[f64], width: usize) -> f64 {
    let across = transposed(matrix, width);
    let mut vector = Random::new(5).normal(width, 1.0);
    let mut size = 0.0;
    for _ in 0..3000 {
        // A row vector times A, then times Aᵀ.
        vector = product(&product(&vector, matrix, width), &across, width);
        size = vector.iter().map(|x| x * x).sum::<f64>().sqrt();
        vector.iter_mut().for_each(|x| *x /= size);
    }
    size.sqrt()
}

#[test]
fn orthogonal_matrices_are_orthogonal() {
    for width in [16, 96] {
        let matrix = Random::new(3).orthogonal(width);
        let square = product(&matrix, &transposed(&matrix, width), width);
        for (i, x) in square.iter().enumerate() {
            let expected = if i % width == i / width { 1.0 } else { 0.0 };
            assert!((x - expected).abs() < 1e-14, "element {i}: {x}");
        }
    }
}

#[test]
fn weights_are_conditioned_as_asked() {
    let width = 48;
    let mut identity = vec![0.0; width * width];
    (0..width).for_each(|i| identity[i * width + i] = 1.0);
    for condition in [1.0, 1e3, 1e7] {
        let weights = KeyWeights::new(width, condition, &mut Random::new(11));
        let (matrix, inverse) = (weights.matrix(), weights.inverse_times(&identity));
        let found = largest_singular(&matrix, width) * largest_singular(&inverse, width);
        assert!((found / condition - 1.0).abs() < 1e-6, "{found:e} for {condition:e}");
        for (i, (x, one)) in product(&matrix, &inverse, width).iter().zip(&identity).enumerate() {
            assert!((x - one).abs() < 1e-14 * condition, "element {i}: {x}");
        }
        let mean_square = matrix.iter().map(|x| x * x).sum::<f64>() / width as f64;
        assert!((mean_square - 1.0).abs() < 1e-12);
    }
}

#[test]
fn a_layer_can_rebuild_its_values() {
    let shape = Shape { heads: 2, head_dim: 16, context: 20, batch: 1 };
    let layer = Layer::new(&shape, 1e5, 3);
    let rebuilt = product(&layer.keys, &layer.matrix, 32);
    let off = distance(&rebuilt, &layer.values);
    assert!(off < 1e-10, "{off:e}");
}

/// Exponentials on an instruction set.
struct Exponentials<'a>(&'a mut [f32]);

impl Kernel for Exponentials<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        for chunk in self.0.chunks_exact_mut(L::COUNT) {
            // SAFETY: a chunk has as many elements; the instruction set is the caller's.
            unsafe { simd::exp(L::load(chunk.as_ptr())).store(chunk.as_mut_ptr()) }
        }
    }
}

#[test]
fn the_exponential_is_as_exact_as_the_bound_takes_it_to_be() {
    let count: u32 = if cfg!(miri) { 1 << 8 } else { 1 << 20 };
    let arguments: Vec<f32> = (0..count).map(|i| -86.9 * i as f32 / count as f32).collect();
    for isa in Isa::available() {
        let mut found = arguments.clone();
        isa.run(Exponentials(&mut found));
        let off = arguments.iter().zip(&found).map(|(x, found)| {
            let expected = f64::from(*x).exp();
            (f64::from(*found) / expected - 1.0).abs() / (f64::from(f32::EPSILON) / 2.0)
        });
        let worst = off.fold(0.0, f64::max);
        assert!(worst < EXPONENTIAL, "{}: {worst} u", isa.name());
    }
}

#[test]
fn a_quick_check_finds_what_the_long_one_is_for() {
    if cfg!(miri) {
        return;
    }
    let found = verify(1, true, &|| ()).expect("threads");
    assert_eq!(found.exceeded, []);
    assert_eq!(found, verify(1, true, &|| ()).expect("threads"), "the same seed gives other results");
    let isas = Isa::available().len();
    assert_eq!(found.kernel_errors.len(), 9 * isas);
    for kernel in &found.kernel_errors {
        assert_eq!(kernel.runs + kernel.overflowed, layers(true));
        assert!(kernel.error_over_bound > 0.0 && kernel.error_over_bound < 0.1, "{kernel:?}");
    }
    for same_type in found.scheme_errors.chunks_exact(3) {
        let [easy, middle, hard] = same_type else { unreachable!("three at a time") };
        // The baseline does not know how W_K is conditioned.
        assert!(easy.errors[0] < 0.005 && hard.errors[0] < 2.0 * easy.errors[0], "{hard:?}");
        for slim in 1..3 {
            assert!(middle.errors[slim] > 20.0 * easy.errors[slim], "{middle:?}");
            assert!(hard.errors[slim] > 100.0 * middle.errors[slim], "{hard:?}");
        }
    }
    let limit = |dtype, scheme| {
        found.limits.iter().find(|l| l.dtype == dtype && l.scheme == scheme).and_then(|l| l.condition)
    };
    assert_eq!(limit(Dtype::Bf16, Scheme::KvCache), None);
    assert_eq!(limit(Dtype::Fp32, Scheme::SlimK), None);
    assert_eq!(limit(Dtype::Bf16, Scheme::SlimK), Some(1e3));
    assert_eq!(limit(Dtype::Fp16, Scheme::SlimK), Some(1e6));
}
