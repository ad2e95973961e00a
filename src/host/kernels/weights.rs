//! W_KV as a parameter file holds it for these kernels.

use crate::host::simd::Element;

/// A `width` × `width` matrix, head after head of its columns, each in panels whose rows lie one behind the other: a kernel that forms one
/// head's values reads it from front to back.
#[derive(Debug, Clone)]
pub struct Weights<E> {
    elements: Vec<E>,
    width: usize,
    panel: usize,
}

impl<E: Element> Weights<E> {
    /// From `element(row, column)`; heads have `head_dim` columns, a multiple of 16.
    pub fn new(width: usize, head_dim: usize, element: impl Fn(usize, usize) -> f32) -> Self {
        let panel = panel(head_dim);
        let mut elements = Vec::with_capacity(width * width);
        for first in (0..width).step_by(panel) {
            for row in 0..width {
                elements.extend((first..first + panel).map(|column| E::from_f32(element(row, column))));
            }
        }
        Self { elements, width, panel }
    }

    /// From elements that are laid out already.
    ///
    /// # Panics
    /// If there are not `width²` of them.
    #[must_use]
    pub fn laid_out(elements: Vec<E>, width: usize, head_dim: usize) -> Self {
        assert_eq!(elements.len(), width * width, "a matrix of {width} by {width}");
        Self { elements, width, panel: panel(head_dim) }
    }

    /// Columns of a panel.
    #[must_use]
    pub const fn panel(&self) -> usize {
        self.panel
    }

    /// The panel that begins at `column`: `width` rows of [`Self::panel`] elements.
    #[must_use]
    pub fn panel_at(&self, column: usize) -> &[E] {
        &self.elements[column * self.width..][..self.panel * self.width]
    }

    /// All elements, as laid out.
    #[must_use]
    pub fn elements(&self) -> &[E] {
        &self.elements
    }
}

/// The widest panel, of 64 columns at most, that divides a head.
fn panel(head_dim: usize) -> usize {
    [64, 48, 32, 16].into_iter().find(|p| head_dim.is_multiple_of(*p)).unwrap_or(16)
}
