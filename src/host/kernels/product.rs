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
    /// What will be needed next: it is asked for, from front to back, while this is computed.
    pub(super) next: Option<&'a [E]>,
    /// Room for a panel, `depth` × [`MOST_COLUMNS`].
    pub(super) panel: &'a mut [f32],
}

/// Columns of the widest panel.
pub(super) const MOST_COLUMNS: usize = 64;

impl<E: Element> Product<'_, E> {
    /// Computes it.
    ///
    /// A panel of the right operand is as wide as a register block. Where several blocks read it, the first copies it, as `f32`, to where
    /// it lies densely in the first-level cache.
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
        let vectors = columns / L::COUNT;
        let panels = vectors.div_ceil(L::BLOCK_VECTORS);
        for p in 0..panels {
            let (first, last) = (vectors * p / panels, vectors * (p + 1) / panels);
            let (column, wide) = (first * L::COUNT, (last - first) * L::COUNT);
            for g in 0..groups {
                let (row, behind) = (rows * g / groups, rows * (g + 1) / groups);
                let high = behind - row;
                let ahead = next
                    .map_or(Ahead::NONE, |next| Ahead::part(next, p * groups + g, panels * groups, depth));
                // SAFETY: the assertions above; `wide` columns from `column` on are within each row.
                unsafe {
                    let a = (a.as_ptr().add(row * a_stride), a_stride);
                    let c = (c.as_mut_ptr().add(row * c_stride + column), c_stride);
                    let scale = scale.as_ptr().add(row);
                    let copy = panel.as_mut_ptr();
                    if g > 0 {
                        let b = (panel.as_ptr(), wide);
                        L::block::<f32, false>(
                            high,
                            last - first,
                            &Block { depth, a, b, copy, c, scale, ahead },
                        );
                    } else {
                        let b = (b.as_ptr().add(column), b_stride);
                        let block = Block { depth, a, b, copy, c, scale, ahead };
                        if groups > 1 {
                            L::block::<E, true>(high, last - first, &block);
                        } else {
                            L::block::<E, false>(high, last - first, &block);
                        }
                    }
                }
            }
        }
    }
}
