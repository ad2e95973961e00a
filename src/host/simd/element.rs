//! Types that a cache or a weight matrix is kept in.

use super::Lanes;
use crate::units::Dtype;

/// An element of a cache or a weight matrix; arithmetic is always in `f32`.
pub trait Element: Copy + Send + Sync + Default + 'static {
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

impl Element for f32 {
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

impl Element for half::bf16 {
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

impl Element for half::f16 {
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
