//! Slim attention, recompute first: `head_i = P_i·(K·W_KV,i)`, the values of all tokens rebuilt in every step.
#![expect(unsafe_code, reason = "calls kernels of an instruction set")]

use super::combine::{Partial, combine, of_sequence};
use super::kv_cache::{score, weighted_sums};
use super::pieces::{Piece, pieces};
use super::rotation::Rotation;
use super::scores::Rows;
use super::scratch::Scratch;
use super::softmax::softmax;
use super::{Shape, Walk, Weights};
use crate::host::simd::{Element, Isa, Kernel, Lanes};
use crate::host::team::{Shared, Team};

/// Attention with a cache of keys and W_KV, values rebuilt.
#[derive(Debug)]
pub struct SlimKRecompute<'a, E> {
    shape: Shape,
    walk: Walk,
    keys: &'a [E],
    weights: &'a Weights<E>,
    rotation: Option<&'a Rotation>,
    work: Vec<Vec<Piece>>,
    threads: Vec<Shared<Thread>>,
}

/// What a thread holds.
#[derive(Debug)]
struct Thread {
    scratch: Scratch,
    partials: Vec<Partial>,
    /// Keys of a tile as `f32`.
    keys: Vec<f32>,
    /// Values of a tile.
    values: Vec<f32>,
}

impl<'a, E: Element> SlimKRecompute<'a, E> {
    /// Over a cache of `batch · context · heads · head_dim` elements on `threads` threads. Weights are read once a tile, so that tiles
    /// should be long.
    #[must_use]
    pub fn new(
        shape: Shape,
        walk: Walk,
        keys: &'a [E],
        weights: &'a Weights<E>,
        rotation: Option<&'a Rotation>,
        threads: usize,
    ) -> Self {
        assert!(keys.len() == shape.cache() && weights.fit(&shape), "a cache and weights of {shape:?}");
        let work = pieces(shape.batch, shape.context, threads, walk.tile);
        let threads = work
            .iter()
            .map(|mine| {
                let tile = vec![0.0; walk.tile * shape.width()];
                Shared::new(Thread {
                    scratch: Scratch::new(&shape, walk),
                    partials: vec![Partial::new(shape.heads, shape.head_dim); mine.len()],
                    keys: tile.clone(),
                    values: tile,
                })
            })
            .collect();
        Self { shape, walk, keys, weights, rotation, work, threads }
    }

    /// One step: `query` and `out` are `batch · heads · head_dim`.
    ///
    /// # Panics
    /// If `team` has not the threads this was made for.
    pub fn run(&self, isa: Isa, team: &Team, query: &[f32], out: &mut [f32]) {
        assert!(team.threads() == self.threads.len(), "made for {} threads", self.threads.len());
        let Shape { head_dim, .. } = self.shape;
        let width = self.shape.width();
        team.run(|thread| {
            let thread_work = &self.work[thread];
            let thread = &mut *self.threads[thread].write();
            let mut partials = std::mem::take(&mut thread.partials);
            for (piece, partial) in thread_work.iter().zip(&mut partials) {
                thread.scratch.scale_query(&query[piece.sequence * width..][..width], head_dim);
                isa.run(Stream { kernel: self, piece, thread, partial });
            }
            thread.partials = partials;
        });
        let threads: Vec<_> = self.threads.iter().map(Shared::read).collect();
        for (sequence, out) in out.chunks_exact_mut(width).enumerate() {
            let parts = of_sequence(self.work.iter().zip(threads.iter().map(|t| &t.partials)), sequence);
            for (head, out) in out.chunks_exact_mut(head_dim).enumerate() {
                combine(&parts, head, out);
            }
        }
    }
}

/// One thread's walk over one piece.
struct Stream<'a, 'k, E> {
    kernel: &'a SlimKRecompute<'k, E>,
    piece: &'a Piece,
    thread: &'a mut Thread,
    partial: &'a mut Partial,
}

impl<E: Element> Kernel for Stream<'_, '_, E> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let Self { kernel, piece, thread, partial } = self;
        let Shape { heads, head_dim, context, .. } = kernel.shape;
        let width = kernel.shape.width();
        let tile = kernel.walk.tile;
        partial.clear();
        let Thread { scratch, keys: dense, values, .. } = thread;
        let mut from = piece.from;
        while from < piece.to {
            let tokens = tile.min(piece.to - from);
            let here = (piece.sequence * context + from) * width;
            let keys = &kernel.keys[here..][..tokens * width];
            let rows = Rows { rows: keys, heads, head_dim };
            // SAFETY: the caller's; `dense` has room for a tile, whose elements are a multiple of 16.
            unsafe {
                score::<L, E>(
                    kernel.rotation.map(|r| r.angles().of(from, tokens, head_dim)),
                    rows,
                    scratch,
                    tile,
                );
                softmax::<L>(&mut scratch.scores, tile, tokens, &mut partial.seen, &mut scratch.rescale);
                for at in (0..tokens * width).step_by(L::COUNT) {
                    E::load::<L>(keys.as_ptr().add(at)).store(dense.as_mut_ptr().add(at));
                }
                kernel.weights.apply::<L>(dense, tokens, 0..width, values, width, &mut scratch.panel);
                let values = Rows { rows: &values[..tokens * width], heads, head_dim };
                weighted_sums::<L, f32>(&scratch.scores, tile, &scratch.rescale, values, &mut partial.sums);
            }
            from += tokens;
        }
    }
}
