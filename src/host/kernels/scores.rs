//! Scores of one query against kept rows, head by head, and what is done to a row on the way.
#![expect(unsafe_code, reason = "rows are addressed by raw pointers")]

use super::rotation::Angles;
use crate::host::memory::LINE;
use crate::host::simd::{Element, Lanes};

/// Kept rows of one sequence, token by token; all heads of a token lie side by side.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a, E> {
    /// The rows.
    pub(super) rows: &'a [E],
    /// Heads.
    pub(super) heads: usize,
    /// Elements of a head; a multiple of 16.
    pub(super) head_dim: usize,
}

impl<E> Rows<'_, E> {
    /// Elements of a row.
    pub(super) const fn width(&self) -> usize {
        self.heads * self.head_dim
    }

    /// Tokens.
    pub(super) const fn tokens(&self) -> usize {
        self.rows.len() / self.width()
    }
}

/// Heads whose sums are formed side by side: enough to hide the latency of a multiply–add.
const SIDE_BY_SIDE: usize = 4;

/// Bytes between what is read and what is asked for meanwhile: what a core receives from DRAM within one latency, some 20 GB/s times 100 ns.
/// Prefetchers of the hardware stop at the end of each page; this does not.
const AHEAD: usize = 2048;

/// Asks for what lies [`AHEAD`] of `elements` elements that are read now.
///
/// # Safety
/// The CPU has the instructions of `L`.
#[inline(always)]
pub(super) unsafe fn ask_ahead<L: Lanes, E>(from: *const E, elements: usize) {
    let mut at = 0;
    while at < elements * size_of::<E>() {
        // SAFETY: a prefetch may name any address.
        unsafe { L::prefetch(from.cast::<u8>().wrapping_add(AHEAD + at)) };
        at += LINE;
    }
}

/// `out[head · stride + t] = query_head · row_t,head`, the query scaled already.
///
/// Rows are read from front to back: several tokens at a time would load the query less often, but two of them in one page confuse the
/// prefetchers.
///
/// # Safety
/// The CPU has the instructions of `L`.
#[inline(always)]
pub(super) unsafe fn scores<L: Lanes, E: Element>(
    query: &[f32],
    rows: Rows<E>,
    out: &mut [f32],
    stride: usize,
) {
    let (heads, head_dim, width, tokens) = (rows.heads, rows.head_dim, rows.width(), rows.tokens());
    assert!(query.len() == width && head_dim.is_multiple_of(16) && tokens <= stride);
    assert!(out.len() >= heads * stride);
    for t in 0..tokens {
        let mut first = 0;
        while first < heads {
            let group = SIDE_BY_SIDE.min(heads - first);
            // SAFETY: `tokens` rows of `heads · head_dim` elements are there; of fewer heads than four, the last is scored again.
            unsafe {
                ask_ahead::<L, E>(rows.rows.as_ptr().add(t * width + first * head_dim), group * head_dim);
                let mut sums = [L::splat(0.0); SIDE_BY_SIDE];
                let mut i = 0;
                while i < SIDE_BY_SIDE {
                    let head = (first + i.min(group - 1)) * head_dim;
                    let q = query.as_ptr().add(head);
                    let row = rows.rows.as_ptr().add(t * width + head);
                    let mut at = 0;
                    while at < head_dim {
                        sums[i] = E::load::<L>(row.add(at)).mul_add(L::load(q.add(at)), sums[i]);
                        at += L::COUNT;
                    }
                    i += 1;
                }
                let found = L::sum_of_four(sums);
                for (i, found) in found.into_iter().take(group).enumerate() {
                    out[(first + i) * stride + t] = found;
                }
            }
            first += group;
        }
    }
}

/// The same where rows are kept raw and rotated on the way, the first half of a head against the second.
///
/// # Safety
/// The CPU has the instructions of `L`.
#[inline(always)]
pub(super) unsafe fn rotated_scores<L: Lanes, E: Element>(
    query: &[f32],
    rows: Rows<E>,
    angles: Angles,
    out: &mut [f32],
    stride: usize,
) {
    let (heads, head_dim, width, tokens) = (rows.heads, rows.head_dim, rows.width(), rows.tokens());
    let half = head_dim / 2;
    assert!(query.len() == width && half.is_multiple_of(16) && tokens <= stride);
    assert!(out.len() >= heads * stride && angles.cosines.len() >= tokens * half);
    assert!(angles.sines.len() >= tokens * half);
    for t in 0..tokens {
        for head in 0..heads {
            // SAFETY: as asserted.
            unsafe {
                let q = query.as_ptr().add(head * head_dim);
                let row = rows.rows.as_ptr().add(t * width + head * head_dim);
                let (cosines, sines) =
                    (angles.cosines.as_ptr().add(t * half), angles.sines.as_ptr().add(t * half));
                let mut sum = L::splat(0.0);
                let mut at = 0;
                while at < half {
                    let (x, y): (L, L) = (E::load(row.add(at)), E::load(row.add(half + at)));
                    let (c, s) = (L::load(cosines.add(at)), L::load(sines.add(at)));
                    let first = y.neg_mul_add(s, x.mul(c));
                    let second = x.mul_add(s, y.mul(c));
                    sum = first.mul_add(L::load(q.add(at)), sum);
                    sum = second.mul_add(L::load(q.add(half + at)), sum);
                    at += L::COUNT;
                }
                out[head * stride + t] = sum.sum();
            }
        }
    }
}
