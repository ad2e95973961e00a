//! The innermost block of a matrix product: a few rows by a few vectors, its sums in registers over the whole depth.
#![expect(unsafe_code, reason = "the innermost loop reads through raw pointers")]

use crate::host::simd::Lanes;

/// `c[r][j] = scale[r] · c[r][j] + Σ_t a[r][t] · b[t][j]`, all `f32`.
pub struct Block {
    /// Length of the reduction.
    pub(super) depth: usize,
    /// Left operand and the distance of its rows.
    pub(super) a: (*const f32, usize),
    /// Right operand and the distance of its rows.
    pub(super) b: (*const f32, usize),
    /// Sums and the distance of their rows.
    pub(super) c: (*mut f32, usize),
    /// What each row's sums are multiplied with first.
    pub(super) scale: *const f32,
    /// What to ask for meanwhile.
    pub(super) ahead: Ahead,
}

/// Bytes that a later block will read: as many a step of the reduction.
#[derive(Clone, Copy)]
pub(super) struct Ahead {
    /// The first; any address.
    pub(super) at: *const u8,
    /// From one step's to the next's.
    pub(super) stride: usize,
    /// A step's.
    pub(super) bytes: usize,
    /// Steps that ask, from the first; zero: none.
    pub(super) steps: usize,
}

impl Ahead {
    /// Nothing.
    pub(super) const NONE: Self = Self { at: std::ptr::null(), stride: 0, bytes: 0, steps: 0 };
}

/// Bytes of a cache line.
const LINE: usize = 64;

/// Runs `block` with `rows` rows, 1 to 8, of `vectors` vectors, 1 to 4.
///
/// # Safety
/// All operands have as many elements as `rows`, `vectors` and the block's depth say; the CPU has the instructions of `L`.
#[inline(always)]
pub(in crate::host) unsafe fn any<L: Lanes>(rows: usize, vectors: usize, block: &Block) {
    macro_rules! choose {
        ($($r:literal)*) => {
            match (rows, vectors) {
                $(($r, 1) => unsafe { fixed::<L, $r, 1>(block) },
                ($r, 2) => unsafe { fixed::<L, $r, 2>(block) },
                ($r, 3) => unsafe { fixed::<L, $r, 3>(block) },
                ($r, 4) => unsafe { fixed::<L, $r, 4>(block) },)*
                _ => unreachable!("a block of {rows} rows by {vectors} vectors"),
            }
        };
    }
    // SAFETY: the caller's.
    choose!(1 2 3 4 5 6 7 8);
}

/// # Safety
/// As [`any`].
#[inline(always)]
unsafe fn fixed<L: Lanes, const R: usize, const V: usize>(block: &Block) {
    let Block { depth, a: (a, lda), b: (b, ldb), c: (c, ldc), scale, ahead } = *block;
    // SAFETY: all indices are below what the caller promised; prefetches may name any address.
    unsafe {
        let mut sums = [[L::splat(0.0); V]; R];
        let step = |t: usize, sums: &mut [[L; V]; R]| {
            let row: [L; V] = std::array::from_fn(|v| L::load(b.add(t * ldb + v * L::COUNT)));
            for (r, sums) in sums.iter_mut().enumerate() {
                let factor = L::splat(*a.add(r * lda + t));
                for (sum, b) in sums.iter_mut().zip(row) {
                    *sum = factor.mul_add(b, *sum);
                }
            }
        };
        let asking = ahead.steps.min(depth);
        for t in 0..asking {
            let mut at = 0;
            while at < ahead.bytes {
                L::prefetch(ahead.at.wrapping_add(t * ahead.stride + at));
                at += LINE;
            }
            step(t, &mut sums);
        }
        for t in asking..depth {
            step(t, &mut sums);
        }
        for (r, sums) in sums.into_iter().enumerate() {
            let factor = L::splat(*scale.add(r));
            for (v, sum) in sums.into_iter().enumerate() {
                let at = c.add(r * ldc + v * L::COUNT);
                factor.mul_add(L::load(at), sum).store(at);
            }
        }
    }
}
