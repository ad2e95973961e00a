//! Vectors of `f32` on three instruction sets, behind one trait.
//!
//! The kernels are written once over [`Lanes`]; [`Isa::run`] compiles them for each instruction set and picks one at run time. An [`Isa`]
//! value exists only where the CPU has the instructions, so that running a kernel is safe.
//!
//! Unsafe code of the host module is in three places: intrinsics and raw loads here, the loops of [`super::kernels`] that address rows by
//! raw pointers, and mapped memory and cache lines in [`super::memory`].
#![expect(unsafe_code, reason = "intrinsics load and store through raw pointers")]

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod element;
mod portable;

pub use element::Element;

use super::kernels::block::Block;
use serde::Serialize;

/// An instruction set that this CPU has: those that not every CPU has hold a proof, which only asking the CPU gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Isa {
    /// 16 lanes.
    #[cfg(target_arch = "x86_64")]
    Avx512(#[serde(skip)] avx512::Proof),
    /// 8 lanes, with FMA and F16C.
    #[cfg(target_arch = "x86_64")]
    Avx2(#[serde(skip)] avx2::Proof),
    /// 8 lanes of plain Rust.
    Portable,
}

impl Isa {
    /// Those that this CPU has, the widest first.
    #[must_use]
    pub fn available() -> Vec<Self> {
        let mut sets = Vec::with_capacity(3);
        #[cfg(target_arch = "x86_64")]
        {
            sets.extend(avx512::Proof::ask().map(Self::Avx512));
            sets.extend(avx2::Proof::ask().map(Self::Avx2));
        }
        sets.push(Self::Portable);
        sets
    }

    /// The widest that this CPU has.
    #[must_use]
    pub fn best() -> Self {
        Self::available()[0]
    }

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(_) => "avx512",
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(_) => "avx2",
            Self::Portable => "portable",
        }
    }

    /// `f32` lanes of a vector.
    #[must_use]
    pub const fn lanes(self) -> usize {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(_) => 16,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(_) => 8,
            Self::Portable => 8,
        }
    }

    /// Runs `kernel` compiled for this instruction set.
    pub fn run<K: Kernel>(self, kernel: K) -> K::Output {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(proof) => avx512::run(proof, kernel),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(proof) => avx2::run(proof, kernel),
            // SAFETY: needs no instructions beyond the target's own.
            Self::Portable => unsafe { kernel.run::<portable::Portable>() },
        }
    }
}

/// Code that is compiled for each instruction set.
pub trait Kernel {
    /// What it returns.
    type Output;

    /// Runs it; must be `#[inline(always)]`, so that the instruction set of the caller reaches it.
    ///
    /// # Safety
    /// The CPU has the instructions of `L`.
    unsafe fn run<L: Lanes>(self) -> Self::Output;
}

/// A vector of `f32`.
///
/// # Safety
/// All methods need the instruction set; loads and stores need [`Self::COUNT`] elements behind the pointer, aligned or not.
#[expect(clippy::missing_safety_doc, reason = "the contract of all methods is the trait's")]
pub trait Lanes: Copy {
    /// Elements.
    const COUNT: usize;
    /// Rows of a register block of a product: with [`Self::BLOCK_VECTORS`] vectors a row, as many accumulators as registers allow.
    const BLOCK_ROWS: usize;
    /// Vectors a row of such a block.
    const BLOCK_VECTORS: usize;

    /// All lanes `x`.
    unsafe fn splat(x: f32) -> Self;
    /// Loads.
    unsafe fn load(from: *const f32) -> Self;
    /// Loads bf16.
    unsafe fn load_bf16(from: *const half::bf16) -> Self;
    /// Loads f16.
    unsafe fn load_f16(from: *const half::f16) -> Self;
    /// Stores.
    unsafe fn store(self, to: *mut f32);
    /// `self · b + c`, rounded once where the CPU can.
    unsafe fn mul_add(self, b: Self, c: Self) -> Self;
    /// `c − self · b`.
    unsafe fn neg_mul_add(self, b: Self, c: Self) -> Self;
    /// Sum.
    unsafe fn add(self, other: Self) -> Self;
    /// Difference.
    unsafe fn sub(self, other: Self) -> Self;
    /// Product.
    unsafe fn mul(self, other: Self) -> Self;
    /// The larger of each lane.
    unsafe fn max(self, other: Self) -> Self;
    /// To the nearest integer.
    unsafe fn round(self) -> Self;
    /// `self · 2^n` for integral `n` from −126 to 127.
    unsafe fn scale_by_power(self, n: Self) -> Self;
    /// Sum of the lanes.
    unsafe fn sum(self) -> f32;
    /// The sums of the lanes of four vectors.
    unsafe fn sum_of_four(four: [Self; 4]) -> [f32; 4];
    /// The largest lane.
    unsafe fn largest(self) -> f32;
    /// Asks for the cache line at `at` in the second-level cache; any address is allowed.
    unsafe fn prefetch(at: *const u8);
    /// A register block of a product, compiled once for the instruction set; see `kernels::block::any`.
    unsafe fn block<E: Element, const COPY: bool>(rows: usize, vectors: usize, block: &Block<E>);
}

/// `e^x` to 3 ulp for x ≤ 0 (clamped at −87): range reduction by ln 2 in two parts, then a polynomial of degree 6 (Taylor, on |r| ≤ ln 2 / 2).
///
/// # Safety
/// The CPU has the instructions of `L`.
#[inline(always)]
pub(super) unsafe fn exp<L: Lanes>(x: L) -> L {
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    // SAFETY: the caller's.
    unsafe {
        let x = x.max(L::splat(-87.0));
        let n = x.mul(L::splat(std::f32::consts::LOG2_E)).round();
        let r = n.neg_mul_add(L::splat(LN2_HIGH), x);
        let r = n.neg_mul_add(L::splat(LN2_LOW), r);
        let mut p = L::splat(1.0 / 720.0);
        for c in [1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
            p = p.mul_add(r, L::splat(c));
        }
        p.scale_by_power(n)
    }
}
