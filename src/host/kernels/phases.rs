//! The phases of a tile by themselves, on rows that lie in the second-level cache: what calibration measures.
#![expect(unsafe_code, reason = "calls kernels of an instruction set")]

use super::kv_cache::weighted_sums;
use super::product::Product;
use super::scores::{Rows, scores};
use super::scratch::Scratch;
use super::softmax::{Seen, softmax};
use super::{Shape, Walk};
use crate::host::simd::{Element, Isa, Kernel, Lanes};

/// A phase of a tile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Scores of all heads.
    Scores,
    /// Weighted sums of all heads, each over its own elements.
    WeightedSums,
    /// Softmax of all heads.
    Softmax,
    /// `P·K` of all heads.
    Product,
}

/// One tile of one sequence.
#[derive(Debug)]
pub struct Tile<E> {
    heads: usize,
    head_dim: usize,
    tile: usize,
    rows: Vec<E>,
    scratch: Scratch,
    seen: Vec<Seen>,
    sums: Vec<f32>,
}

impl<E: Element> Tile<E> {
    /// A tile of `walk.tile` tokens, its rows repeating `pattern`.
    #[must_use]
    pub fn new(heads: usize, head_dim: usize, walk: Walk, pattern: &[E]) -> Self {
        let shape = Shape { heads, head_dim, context: walk.tile, batch: 1 };
        let mut scratch = Scratch::new(&shape, walk);
        scratch.query.fill(0.1);
        Self {
            heads,
            head_dim,
            tile: walk.tile,
            rows: pattern.iter().copied().cycle().take(shape.cache()).collect(),
            scratch,
            seen: vec![Seen::NOTHING; heads],
            sums: vec![0.0; heads * shape.width()],
        }
    }

    /// Runs `phase` `times` times.
    pub fn run(&mut self, isa: Isa, phase: Phase, times: usize) {
        isa.run(Repeat { tile: self, phase, times });
    }
}

/// A phase, again and again.
struct Repeat<'a, E> {
    tile: &'a mut Tile<E>,
    phase: Phase,
    times: usize,
}

impl<E: Element> Kernel for Repeat<'_, E> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let Tile { heads, head_dim, tile, rows, scratch, seen, sums } = self.tile;
        let (heads, head_dim, tile) = (*heads, *head_dim, *tile);
        let width = heads * head_dim;
        for _ in 0..self.times {
            // SAFETY: the caller's.
            unsafe {
                match self.phase {
                    Phase::Scores => {
                        let rows = Rows { rows, heads, head_dim };
                        scores::<L, E>(&scratch.query, rows, &mut scratch.scores, tile);
                    }
                    Phase::WeightedSums => {
                        let rows = Rows { rows, heads, head_dim };
                        let sums = &mut sums[..width];
                        weighted_sums::<L, E>(&scratch.scores, tile, &scratch.rescale, rows, sums);
                    }
                    Phase::Softmax => {
                        softmax::<L>(&mut scratch.scores, tile, tile, seen, &mut scratch.rescale);
                    }
                    Phase::Product => {
                        let product = Product {
                            a: &scratch.scores,
                            a_stride: tile,
                            rows: heads,
                            b: rows.as_slice(),
                            b_stride: width,
                            depth: tile,
                            columns: width,
                            c: sums,
                            c_stride: width,
                            scale: &scratch.rescale,
                            next: None,
                            panel: &mut scratch.panel,
                        };
                        product.run::<L>();
                    }
                }
            }
            std::hint::black_box((&mut *sums, &mut *seen, &mut *scratch));
        }
    }
}
