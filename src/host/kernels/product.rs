//! Matrix products of few rows, panel by panel.
#![expect(unsafe_code, reason = "panels and register blocks are addressed by raw pointers")]

use super::block::{Ahead, Block};
use crate::host::simd::{Element, Lanes};

/// `c = scale · c + a · b`: `rows` × `depth` times `depth` × `columns`.
pub(super) struct Product<'a, E> {
    /// Left operand, `rows` of it, `a_stride` apart.
    pub(super) a: &'a [f32],
    pub(super) a_stride: usize,
    pub(super) rows: usize,
    /// Right operand: `depth` rows, `b_stride` apart.
    pub(super) b: &'a [E],
    pub(super) b_stride: usize,
    pub(super) depth: usize,
    /// Columns of the right operand and of the sums; a multiple of 16.
    pub(super) columns: usize,
    /// Sums, rows `c_stride` apart.
    pub(super) c: &'a mut [f32],
    pub(super) c_stride: usize,
    /// What each row of sums is multiplied with first.
    pub(super) scale: &'a [f32],
    /// A right operand of the same layout that will be needed next: it is asked for while this one is computed.
    pub(super) next: Option<&'a [E]>,
    /// Room for a panel, `depth` × [`MOST_COLUMNS`].
    pub(super) panel: &'a mut [f32],
}

/// Columns of the widest panel.
pub(super) const MOST_COLUMNS: usize = 64;

impl<E: Element> Product<'_, E> {
    /// Computes it.
    ///
    /// A panel of the right operand as wide as a register block is copied to where it lies densely in the first-level cache, in `f32`,
    /// unless one block reads it only once and as it is.
    ///
    /// # Safety
    /// The CPU has the instructions of `L`.
    #[inline(always)]
    pub(super) unsafe fn run<L: Lanes>(self) {
        let Self { a, a_stride, rows, b, b_stride, depth, columns, c, c_stride, scale, next, panel } = self;
        if rows == 0 || depth == 0 {
            return;
        }
        assert!(columns.is_multiple_of(16) && scale.len() >= rows && panel.len() >= depth * MOST_COLUMNS);
        assert!(a.len() >= (rows - 1) * a_stride + depth && c.len() >= (rows - 1) * c_stride + columns);
        assert!(b.len() >= (depth - 1) * b_stride + columns);
        let groups = rows.div_ceil(L::BLOCK_ROWS);
        let direct = groups == 1 && E::DTYPE == f32::DTYPE;
        let width = L::BLOCK_VECTORS * L::COUNT;
        let mut column = 0;
        while column < columns {
            let wide = width.min(columns - column);
            // SAFETY: the assertions above; `wide` columns from `column` on are within each row.
            unsafe {
                let from = b.as_ptr().add(column);
                let (right, right_stride) = if direct {
                    (from.cast::<f32>(), b_stride)
                } else {
                    for t in 0..depth {
                        let mut at = 0;
                        while at < wide {
                            let row: L = E::load(from.add(t * b_stride + at));
                            row.store(panel.as_mut_ptr().add(t * wide + at));
                            at += L::COUNT;
                        }
                    }
                    (panel.as_ptr(), wide)
                };
                let mut row = 0;
                while row < rows {
                    let high = L::BLOCK_ROWS.min(rows - row);
                    // Each group of rows asks for its part of the next operand's rows.
                    let ahead = next.map_or(Ahead::NONE, |next| {
                        let steps = depth.min(next.len() / b_stride);
                        let (first, last) = (steps * row / rows, steps * (row + high) / rows);
                        Ahead {
                            at: next.as_ptr().wrapping_add(first * b_stride + column).cast(),
                            stride: b_stride * size_of::<E>(),
                            bytes: wide * size_of::<E>(),
                            steps: last - first,
                        }
                    });
                    let block = Block {
                        depth,
                        a: (a.as_ptr().add(row * a_stride), a_stride),
                        b: (right, right_stride),
                        c: (c.as_mut_ptr().add(row * c_stride + column), c_stride),
                        scale: scale.as_ptr().add(row),
                        ahead,
                    };
                    L::block(high, wide / L::COUNT, &block);
                    row += high;
                }
            }
            column += wide;
        }
    }
}
