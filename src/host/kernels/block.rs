//! The innermost block of a matrix product: a few rows by a few vectors, its sums in registers over the whole depth.
#![expect(unsafe_code, reason = "the innermost loop reads through raw pointers")]

use crate::host::memory::LINE;
use crate::host::simd::{Element, Lanes};

/// `c[r][j] = scale[r] · c[r][j] + Σ_t a[r][t] · b[t][j]`, in `f32`.
pub struct Block<E> {
    /// Length of the reduction.
    pub(super) depth: usize,
    /// Left operand and the distance of its rows.
    pub(super) a: (*const f32, usize),
    /// Right operand and the distance of its rows.
    pub(super) b: (*const E, usize),
    /// Where the right operand goes as `f32`, rows one behind the other, for the blocks that read it after this one.
    pub(super) copy: *mut f32,
    /// Sums and the distance of their rows.
    pub(super) c: (*mut f32, usize),
    /// What each row's sums are multiplied with first.
    pub(super) scale: *const f32,
    /// What to ask for meanwhile.
    pub(super) ahead: Ahead,
}

/// Bytes that will be read later, from front to back.
#[derive(Clone, Copy)]
pub(super) struct Ahead {
    /// The first; any address.
    at: *const u8,
    /// Lines; zero: none.
    lines: usize,
}

/// Steps of the reduction to each line that is asked for. More often, and the requests of the product's own loads wait behind them: a core
/// holds only some twelve to sixteen first-level misses.
const PACE: usize = 2;

impl Ahead {
    /// Nothing.
    pub(super) const NONE: Self = Self { at: std::ptr::null(), lines: 0 };

    /// The `part`th of `parts` equal parts of `next`, at most one line in [`PACE`] of `depth` steps.
    pub(super) fn part<E>(next: &[E], part: usize, parts: usize, depth: usize) -> Self {
        let lines = size_of_val(next).div_ceil(LINE).min(parts * (depth / PACE));
        let (from, to) = (lines * part / parts, lines * (part + 1) / parts);
        Self { at: next.as_ptr().cast::<u8>().wrapping_add(from * LINE), lines: to - from }
    }
}

/// Runs `block` with `rows` rows, 1 to 8, of `vectors` vectors, 1 to 3; with `COPY` the right operand is copied on the way.
///
/// # Safety
/// All operands have as many elements as `rows`, `vectors` and the block's depth say; the CPU has the instructions of `L`.
#[inline(always)]
pub(in crate::host) unsafe fn any<L: Lanes, E: Element, const COPY: bool>(
    rows: usize,
    vectors: usize,
    block: &Block<E>,
) {
    macro_rules! choose {
        ($($r:literal)*) => {
            match (rows, vectors) {
                $(($r, 1) => unsafe { fixed::<L, E, COPY, $r, 1>(block) },
                ($r, 2) => unsafe { fixed::<L, E, COPY, $r, 2>(block) },
                ($r, 3) => unsafe { fixed::<L, E, COPY, $r, 3>(block) },)*
                _ => unreachable!("a block of {rows} rows by {vectors} vectors"),
            }
        };
    }
    // SAFETY: the caller's.
    choose!(1 2 3 4 5 6 7 8);
}

/// One step of the reduction. No closures that hold vectors here or below: they would not be compiled for the instruction set.
///
/// # Safety
/// As [`any`].
#[inline(always)]
unsafe fn step<L: Lanes, E: Element, const COPY: bool, const R: usize, const V: usize>(
    (a, lda): (*const f32, usize),
    b: *const E,
    copy: *mut f32,
    sums: &mut [[L; V]; R],
) {
    // SAFETY: the caller's.
    unsafe {
        let mut row = [L::splat(0.0); V];
        let mut v = 0;
        while v < V {
            row[v] = E::load(b.add(v * L::COUNT));
            if COPY {
                row[v].store(copy.add(v * L::COUNT));
            }
            v += 1;
        }
        let mut r = 0;
        while r < R {
            let factor = L::splat(*a.add(r * lda));
            let mut v = 0;
            while v < V {
                sums[r][v] = factor.mul_add(row[v], sums[r][v]);
                v += 1;
            }
            r += 1;
        }
    }
}

/// # Safety
/// As [`any`].
#[inline(always)]
unsafe fn fixed<L: Lanes, E: Element, const COPY: bool, const R: usize, const V: usize>(block: &Block<E>) {
    let Block { depth, a: (a, lda), b: (b, ldb), copy, c: (c, ldc), scale, ahead } = *block;
    // SAFETY: all indices are below what the caller promised; prefetches may name any address.
    unsafe {
        let mut sums = [[L::splat(0.0); V]; R];
        let copied = |t: usize| copy.wrapping_add(t * V * L::COUNT);
        let mut t = 0;
        let mut asked = 0;
        while asked < ahead.lines && t + PACE <= depth {
            L::prefetch(ahead.at.wrapping_add(asked * LINE));
            asked += 1;
            let mut i = 0;
            while i < PACE {
                step::<L, E, COPY, R, V>((a.add(t), lda), b.add(t * ldb), copied(t), &mut sums);
                t += 1;
                i += 1;
            }
        }
        while t < depth {
            step::<L, E, COPY, R, V>((a.add(t), lda), b.add(t * ldb), copied(t), &mut sums);
            t += 1;
        }
        let mut r = 0;
        while r < R {
            let factor = L::splat(*scale.add(r));
            let mut v = 0;
            while v < V {
                let at = c.add(r * ldc + v * L::COUNT);
                factor.mul_add(L::load(at), sums[r][v]).store(at);
                v += 1;
            }
            r += 1;
        }
    }
}
