//! Types that a cache or a weight matrix is kept in.
#![expect(
    unsafe_code,
    reason = "memory of zeros is taken for elements, and vectors are loaded through raw pointers"
)]

use super::Lanes;
use crate::units::Dtype;

/// An element of a cache or a weight matrix; arithmetic is always in `f32`.
///
/// # Safety
/// Bytes that are all zero are an element, and [`Element::load`] reads no more than [`Lanes::COUNT`] elements.
pub unsafe trait Element: Copy + Send + Sync + Default + 'static {
    /// Its type's name in configurations.
    const DTYPE: Dtype;

    /// Rounded to nearest.
    fn from_f32(x: f32) -> Self;

    /// Exactly.
    fn to_f32(self) -> f32;

    /// Loads [`Lanes::COUNT`] elements.
    ///
    /// # Safety
    /// As many elements lie behind `from`; the CPU has the instructions of `L`.
    unsafe fn load<L: Lanes>(from: *const Self) -> L;
}

// SAFETY: zero bits are zero; it loads what the vector does.
unsafe impl Element for f32 {
    const DTYPE: Dtype = Dtype::Fp32;

    fn from_f32(x: f32) -> Self {
        x
    }

    fn to_f32(self) -> f32 {
        self
    }

    #[inline(always)]
    unsafe fn load<L: Lanes>(from: *const Self) -> L {
        // SAFETY: the caller's.
        unsafe { L::load(from) }
    }
}

// SAFETY: as above.
unsafe impl Element for half::bf16 {
    const DTYPE: Dtype = Dtype::Bf16;

    fn from_f32(x: f32) -> Self {
        Self::from_f32(x)
    }

    fn to_f32(self) -> f32 {
        self.to_f32()
    }

    #[inline(always)]
    unsafe fn load<L: Lanes>(from: *const Self) -> L {
        // SAFETY: the caller's.
        unsafe { L::load_bf16(from) }
    }
}

// SAFETY: as above.
unsafe impl Element for half::f16 {
    const DTYPE: Dtype = Dtype::Fp16;

    fn from_f32(x: f32) -> Self {
        Self::from_f32(x)
    }

    fn to_f32(self) -> f32 {
        self.to_f32()
    }

    #[inline(always)]
    unsafe fn load<L: Lanes>(from: *const Self) -> L {
        // SAFETY: the caller's.
        unsafe { L::load_f16(from) }
    }
}
