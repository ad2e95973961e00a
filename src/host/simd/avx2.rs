//! AVX2 with FMA and F16C: 8 lanes, 16 registers.
#![expect(unsafe_code, reason = "intrinsics load and store through raw pointers")]

use super::{Element, Kernel, Lanes};
use crate::host::kernels::block::{self, Block};
use std::arch::x86_64::*;

/// That the CPU has AVX2, FMA and F16C.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Proof(());

impl Proof {
    /// Asks the CPU.
    pub(super) fn ask() -> Option<Self> {
        // Miri knows few of the intrinsics.
        let found = !cfg!(miri)
            && is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma")
            && is_x86_feature_detected!("f16c");
        found.then_some(Self(()))
    }
}

/// Runs `kernel` with these instructions.
pub(super) fn run<K: Kernel>(_: Proof, kernel: K) -> K::Output {
    #[target_feature(enable = "avx2,fma,f16c")]
    fn compiled<K: Kernel>(kernel: K) -> K::Output {
        // SAFETY: this function's instructions are those of the vector.
        unsafe { kernel.run::<__m256>() }
    }
    // SAFETY: the proof.
    unsafe { compiled(kernel) }
}

/// # Safety
/// As [`Lanes::block`].
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn compiled_block<E: Element, const COPY: bool>(rows: usize, vectors: usize, block: &Block<E>) {
    // SAFETY: the caller's.
    unsafe { block::any::<__m256, E, COPY>(rows, vectors, block) }
}

/// The sums of the lanes of four vectors.
///
/// # Safety
/// The CPU has AVX2.
#[inline(always)]
pub(super) unsafe fn sums([a, b, c, d]: [__m256; 4]) -> [f32; 4] {
    // SAFETY: the caller's; the array has room for four floats.
    unsafe {
        let pairs = _mm256_hadd_ps(_mm256_hadd_ps(a, b), _mm256_hadd_ps(c, d));
        let four = _mm_add_ps(_mm256_castps256_ps128(pairs), _mm256_extractf128_ps::<1>(pairs));
        let mut out = [0.0; 4];
        _mm_storeu_ps(out.as_mut_ptr(), four);
        out
    }
}

// SAFETY of all blocks: the trait's contract.
impl Lanes for __m256 {
    const COUNT: usize = 8;
    const BLOCK_ROWS: usize = 4;
    const BLOCK_VECTORS: usize = 3;

    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        unsafe { _mm256_set1_ps(x) }
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        unsafe { _mm256_loadu_ps(from) }
    }

    #[inline(always)]
    unsafe fn load_bf16(from: *const half::bf16) -> Self {
        unsafe {
            let halves = _mm_loadu_si128(from.cast());
            _mm256_castsi256_ps(_mm256_slli_epi32::<16>(_mm256_cvtepu16_epi32(halves)))
        }
    }

    #[inline(always)]
    unsafe fn load_f16(from: *const half::f16) -> Self {
        unsafe { _mm256_cvtph_ps(_mm_loadu_si128(from.cast())) }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        unsafe { _mm256_storeu_ps(to, self) }
    }

    #[inline(always)]
    unsafe fn mul_add(self, b: Self, c: Self) -> Self {
        unsafe { _mm256_fmadd_ps(self, b, c) }
    }

    #[inline(always)]
    unsafe fn neg_mul_add(self, b: Self, c: Self) -> Self {
        unsafe { _mm256_fnmadd_ps(self, b, c) }
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        unsafe { _mm256_add_ps(self, other) }
    }

    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        unsafe { _mm256_sub_ps(self, other) }
    }

    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        unsafe { _mm256_mul_ps(self, other) }
    }

    #[inline(always)]
    unsafe fn max(self, other: Self) -> Self {
        unsafe { _mm256_max_ps(self, other) }
    }

    #[inline(always)]
    unsafe fn round(self) -> Self {
        unsafe { _mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(self) }
    }

    #[inline(always)]
    unsafe fn scale_by_power(self, n: Self) -> Self {
        unsafe {
            // 2^n by its exponent bits.
            let exponent = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
            _mm256_mul_ps(self, _mm256_castsi256_ps(_mm256_slli_epi32::<23>(exponent)))
        }
    }

    #[inline(always)]
    unsafe fn sum(self) -> f32 {
        unsafe { sums([self; 4])[0] }
    }

    #[inline(always)]
    unsafe fn sum_of_four(four: [Self; 4]) -> [f32; 4] {
        unsafe { sums(four) }
    }

    #[inline(always)]
    unsafe fn largest(self) -> f32 {
        unsafe {
            let four = _mm_max_ps(_mm256_castps256_ps128(self), _mm256_extractf128_ps::<1>(self));
            let two = _mm_max_ps(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32(_mm_max_ss(two, _mm_shuffle_ps::<1>(two, two)))
        }
    }

    #[inline(always)]
    unsafe fn prefetch(at: *const u8) {
        unsafe { _mm_prefetch::<_MM_HINT_T1>(at.cast()) }
    }

    #[inline(always)]
    unsafe fn block<E: Element, const COPY: bool>(rows: usize, vectors: usize, block: &Block<E>) {
        unsafe { compiled_block::<E, COPY>(rows, vectors, block) }
    }
}
