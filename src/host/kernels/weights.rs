//! W_KV as a parameter file holds it for these kernels.
#![expect(unsafe_code, reason = "calls kernels of an instruction set")]

use super::Shape;
use super::product::Product;
use super::scratch::PANEL_DEPTH;
use crate::host::simd::{Element, Lanes};
use std::ops::Range;

/// A `width` × `width` matrix, head after head of its columns, each in panels whose rows lie one behind the other: a kernel that forms one
/// head's values reads it from front to back.
#[derive(Debug, Clone)]
pub struct Weights<E> {
    elements: Vec<E>,
    width: usize,
    head_dim: usize,
    panel: usize,
}

impl<E: Element> Weights<E> {
    /// From `element(row, column)`; heads have `head_dim` columns, a multiple of 16.
    ///
    /// # Panics
    /// If heads have not, or do not fill the width.
    pub fn new(width: usize, head_dim: usize, element: impl Fn(usize, usize) -> f32) -> Self {
        let panel = panel(width, head_dim);
        let mut elements = Vec::with_capacity(width * width);
        for first in (0..width).step_by(panel) {
            for row in 0..width {
                elements.extend((first..first + panel).map(|column| E::from_f32(element(row, column))));
            }
        }
        Self { elements, width, head_dim, panel }
    }

    /// From elements that are laid out already.
    ///
    /// # Panics
    /// If there are not `width²` of them, or as [`Self::new`].
    #[must_use]
    pub fn laid_out(elements: Vec<E>, width: usize, head_dim: usize) -> Self {
        assert_eq!(elements.len(), width * width, "a matrix of {width} by {width}");
        Self { elements, width, head_dim, panel: panel(width, head_dim) }
    }

    /// `rows` rows of `a`, one behind the other, times the given columns: results in `out`, rows `stride` apart, the first column at its
    /// front, where finite numbers are before. `scratch` has room for a panel of [`PANEL_DEPTH`] rows.
    ///
    /// # Safety
    /// The CPU has the instructions of `L`.
    #[inline(always)]
    pub(super) unsafe fn apply<L: Lanes>(
        &self,
        a: &[f32],
        rows: usize,
        columns: Range<usize>,
        out: &mut [f32],
        stride: usize,
        scratch: &mut [f32],
    ) {
        let (width, panel) = (self.width, self.panel);
        let [nothing, everything] = [0.0, 1.0].map(|x| vec![x; rows]);
        for first in columns.clone().step_by(panel) {
            let weights = &self.elements[first * width..][..panel * width];
            for from in (0..width).step_by(PANEL_DEPTH) {
                let depth = PANEL_DEPTH.min(width - from);
                let product = Product {
                    a: &a[from..],
                    a_stride: width,
                    rows,
                    b: &weights[from * panel..][..depth * panel],
                    b_stride: panel,
                    depth,
                    columns: panel,
                    c: &mut out[first - columns.start..],
                    c_stride: stride,
                    scale: if from == 0 { &nothing } else { &everything },
                    next: None,
                    panel: scratch,
                };
                // SAFETY: the caller's.
                unsafe { product.run::<L>() };
            }
        }
    }

    /// Whether they are those of such a shape.
    pub(super) const fn fit(&self, shape: &Shape) -> bool {
        self.width == shape.width() && self.head_dim == shape.head_dim
    }

    /// All elements, as laid out.
    #[must_use]
    pub fn elements(&self) -> &[E] {
        &self.elements
    }
}

/// The widest panel, of 64 columns at most, that divides a head.
fn panel(width: usize, head_dim: usize) -> usize {
    assert!(
        head_dim.is_multiple_of(16) && width.is_multiple_of(head_dim),
        "heads of {head_dim} in a width of {width}"
    );
    [64, 48, 32, 16].into_iter().find(|p| head_dim.is_multiple_of(*p)).unwrap_or(16)
}
