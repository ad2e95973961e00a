//! Plain Rust: 8 lanes in an array, which compilers turn into whatever vectors the target has. Miri runs it.
#![expect(unsafe_code, reason = "loads and stores go through raw pointers, as on the other instruction sets")]

use super::{Element, Lanes};
use crate::host::kernels::block::{self, Block};

/// Lanes.
const COUNT: usize = 8;

/// A vector in an array.
#[derive(Clone, Copy)]
pub(super) struct Portable([f32; COUNT]);

impl Portable {
    #[inline(always)]
    fn zip(self, other: Self, f: impl Fn(f32, f32) -> f32) -> Self {
        Self(std::array::from_fn(|i| f(self.0[i], other.0[i])))
    }
}

// SAFETY of all blocks: the trait's contract.
impl Lanes for Portable {
    const COUNT: usize = COUNT;
    const BLOCK_ROWS: usize = 4;
    const BLOCK_VECTORS: usize = 2;

    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        Self([x; COUNT])
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        Self(unsafe { from.cast::<[f32; COUNT]>().read_unaligned() })
    }

    #[inline(always)]
    unsafe fn load_bf16(from: *const half::bf16) -> Self {
        let halves = unsafe { from.cast::<[half::bf16; COUNT]>().read_unaligned() };
        Self(halves.map(|h| f32::from_bits(u32::from(h.to_bits()) << 16)))
    }

    #[inline(always)]
    unsafe fn load_f16(from: *const half::f16) -> Self {
        Self(unsafe { from.cast::<[half::f16; COUNT]>().read_unaligned() }.map(half::f16::to_f32))
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        unsafe { to.cast::<[f32; COUNT]>().write_unaligned(self.0) }
    }

    #[inline(always)]
    unsafe fn mul_add(self, b: Self, c: Self) -> Self {
        // A fused product would be a library call where the target has none.
        Self(std::array::from_fn(|i| self.0[i] * b.0[i] + c.0[i]))
    }

    #[inline(always)]
    unsafe fn neg_mul_add(self, b: Self, c: Self) -> Self {
        Self(std::array::from_fn(|i| c.0[i] - self.0[i] * b.0[i]))
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        self.zip(other, |a, b| a + b)
    }

    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        self.zip(other, |a, b| a - b)
    }

    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        self.zip(other, |a, b| a * b)
    }

    #[inline(always)]
    unsafe fn max(self, other: Self) -> Self {
        self.zip(other, |a, b| if a > b { a } else { b })
    }

    #[inline(always)]
    unsafe fn round(self) -> Self {
        // Adding and taking away 1.5·2^23 leaves an integer, for |x| < 2^22.
        const SHIFT: f32 = 12_582_912.0;
        Self(self.0.map(|x| (x + SHIFT) - SHIFT))
    }

    #[inline(always)]
    unsafe fn scale_by_power(self, n: Self) -> Self {
        self.zip(n, |x, n| x * f32::from_bits(((n as i32 + 127) as u32) << 23))
    }

    #[inline(always)]
    unsafe fn sum(self) -> f32 {
        let [a, b, c, d, e, f, g, h] = self.0;
        ((a + b) + (c + d)) + ((e + f) + (g + h))
    }

    #[inline(always)]
    unsafe fn sum_of_four(four: [Self; 4]) -> [f32; 4] {
        four.map(|v| unsafe { v.sum() })
    }

    #[inline(always)]
    unsafe fn largest(self) -> f32 {
        self.0.into_iter().fold(f32::NEG_INFINITY, f32::max)
    }

    #[inline(always)]
    unsafe fn prefetch(_at: *const u8) {}

    #[inline(always)]
    unsafe fn block<E: Element, const COPY: bool>(rows: usize, vectors: usize, block: &Block<E>) {
        unsafe { block::any::<Self, E, COPY>(rows, vectors, block) }
    }
}
