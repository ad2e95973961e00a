//! AVX-512: 16 lanes, 32 registers.
#![expect(unsafe_code, reason = "intrinsics load and store through raw pointers")]

use super::{Element, Kernel, Lanes};
use crate::host::kernels::block::{self, Block};
use std::arch::x86_64::*;

/// That the CPU has AVX-512 and what AVX2 kernels need.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Proof(super::avx2::Proof);

impl Proof {
    /// Asks the CPU.
    pub(super) fn ask() -> Option<Self> {
        super::avx2::Proof::ask().filter(|_| is_x86_feature_detected!("avx512f")).map(Self)
    }
}

/// Runs `kernel` with these instructions.
pub(super) fn run<K: Kernel>(_: Proof, kernel: K) -> K::Output {
    #[target_feature(enable = "avx512f,avx2,fma,f16c")]
    fn compiled<K: Kernel>(kernel: K) -> K::Output {
        // SAFETY: this function's instructions are those of the vector.
        unsafe { kernel.run::<__m512>() }
    }
    // SAFETY: the proof.
    unsafe { compiled(kernel) }
}

/// # Safety
/// As [`Lanes::block`].
#[target_feature(enable = "avx512f,avx2,fma,f16c")]
unsafe fn compiled_block<E: Element, const COPY: bool>(rows: usize, vectors: usize, block: &Block<E>) {
    // SAFETY: the caller's.
    unsafe { block::any::<__m512, E, COPY>(rows, vectors, block) }
}

/// The upper half of a vector added to the lower.
///
/// # Safety
/// The CPU has AVX-512.
#[inline(always)]
unsafe fn halve(v: __m512) -> __m256 {
    // SAFETY: the caller's.
    unsafe { _mm512_castps512_ps256(_mm512_add_ps(v, _mm512_shuffle_f32x4::<0b01_00_11_10>(v, v))) }
}

// SAFETY of all blocks: the trait's contract.
impl Lanes for __m512 {
    const COUNT: usize = 16;
    const BLOCK_ROWS: usize = 8;
    const BLOCK_VECTORS: usize = 3;

    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        unsafe { _mm512_set1_ps(x) }
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        unsafe { _mm512_loadu_ps(from) }
    }

    #[inline(always)]
    unsafe fn load_bf16(from: *const half::bf16) -> Self {
        unsafe {
            let halves = _mm256_loadu_si256(from.cast());
            _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(halves)))
        }
    }

    #[inline(always)]
    unsafe fn load_f16(from: *const half::f16) -> Self {
        unsafe { _mm512_cvtph_ps(_mm256_loadu_si256(from.cast())) }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        unsafe { _mm512_storeu_ps(to, self) }
    }

    #[inline(always)]
    unsafe fn mul_add(self, b: Self, c: Self) -> Self {
        unsafe { _mm512_fmadd_ps(self, b, c) }
    }

    #[inline(always)]
    unsafe fn neg_mul_add(self, b: Self, c: Self) -> Self {
        unsafe { _mm512_fnmadd_ps(self, b, c) }
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        unsafe { _mm512_add_ps(self, other) }
    }

    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        unsafe { _mm512_sub_ps(self, other) }
    }

    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        unsafe { _mm512_mul_ps(self, other) }
    }

    #[inline(always)]
    unsafe fn max(self, other: Self) -> Self {
        unsafe { _mm512_max_ps(self, other) }
    }

    #[inline(always)]
    unsafe fn round(self) -> Self {
        unsafe { _mm512_roundscale_ps::<0x08>(self) }
    }

    #[inline(always)]
    unsafe fn scale_by_power(self, n: Self) -> Self {
        unsafe { _mm512_scalef_ps(self, n) }
    }

    #[inline(always)]
    unsafe fn sum(self) -> f32 {
        unsafe { _mm512_reduce_add_ps(self) }
    }

    #[inline(always)]
    unsafe fn sum_of_four(four: [Self; 4]) -> [f32; 4] {
        unsafe {
            let [a, b, c, d] = four;
            let halved = [halve(a), halve(b), halve(c), halve(d)];
            super::avx2::sums(halved)
        }
    }

    #[inline(always)]
    unsafe fn largest(self) -> f32 {
        unsafe { _mm512_reduce_max_ps(self) }
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
