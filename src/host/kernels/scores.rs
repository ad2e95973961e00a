//! Scores of one query against kept rows, head by head, and what is done to a row on the way.
#![expect(unsafe_code, reason = "rows are addressed by raw pointers")]

use super::rotation::Angles;
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

/// Tokens that are scored side by side: one load of the query serves them all.
const SIDE_BY_SIDE: usize = 4;

/// `out[head · stride + t] = query_head · row_t,head`, the query scaled already.
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
    let mut t = 0;
    while t < tokens {
        let group = SIDE_BY_SIDE.min(tokens - t);
        for head in 0..heads {
            // SAFETY: `t + group` tokens and `heads · head_dim` elements of each are there, as asserted.
            unsafe {
                let q = query.as_ptr().add(head * head_dim);
                let row = |i: usize| rows.rows.as_ptr().add((t + i.min(group - 1)) * width + head * head_dim);
                let from: [*const E; SIDE_BY_SIDE] = std::array::from_fn(row);
                let mut sums = [L::splat(0.0); SIDE_BY_SIDE];
                let mut at = 0;
                while at < head_dim {
                    let q = L::load(q.add(at));
                    for (sum, from) in sums.iter_mut().zip(from) {
                        *sum = E::load::<L>(from.add(at)).mul_add(q, *sum);
                    }
                    at += L::COUNT;
                }
                let found = L::sum_of_four(sums);
                out[head * stride + t..][..group].copy_from_slice(&found[..group]);
            }
        }
        t += group;
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
