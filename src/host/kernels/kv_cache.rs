//! The baseline: keys and values both kept.
#![expect(unsafe_code, reason = "rows are addressed by raw pointers")]

use super::combine::{Partial, combine, of_sequence};
use super::pieces::{Piece, pieces};
use super::rotation::{Angles, Rotation};
use super::scores::{Rows, ask_ahead, rotated_scores, scores};
use super::scratch::Scratch;
use super::softmax::softmax;
use super::{Shape, Walk};
use crate::host::simd::{Element, Isa, Kernel, Lanes};
use crate::host::team::{Shared, Team};

/// Attention with a cache of keys and one of values.
#[derive(Debug)]
pub struct KvCache<'a, E> {
    shape: Shape,
    walk: Walk,
    keys: &'a [E],
    values: &'a [E],
    rotation: Option<&'a Rotation>,
    work: Vec<Vec<Piece>>,
    threads: Vec<Shared<(Scratch, Vec<Partial>)>>,
}

impl<'a, E: Element> KvCache<'a, E> {
    /// Over caches of `batch · context · heads · head_dim` elements each, on `threads` threads. With `rotation`, keys are kept raw and
    /// rotated on every read.
    #[must_use]
    pub fn new(
        shape: Shape,
        walk: Walk,
        [keys, values]: [&'a [E]; 2],
        rotation: Option<&'a Rotation>,
        threads: usize,
    ) -> Self {
        assert!(keys.len() == shape.cache() && values.len() == shape.cache(), "caches of {shape:?}");
        let work = pieces(shape.batch, shape.context, threads, walk.tile);
        let threads = work
            .iter()
            .map(|mine| {
                let partials = vec![Partial::new(shape.heads, shape.head_dim); mine.len()];
                Shared::new((Scratch::new(&shape, walk), partials))
            })
            .collect();
        Self { shape, walk, keys, values, rotation, work, threads }
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
            let (scratch, partials) = &mut *self.threads[thread].write();
            for (piece, partial) in self.work[thread].iter().zip(partials) {
                scratch.scale_query(&query[piece.sequence * width..][..width], head_dim);
                isa.run(Stream { kernel: self, piece, scratch, partial });
            }
        });
        // The parts are small: one thread adds them up.
        let threads: Vec<_> = self.threads.iter().map(Shared::read).collect();
        for (sequence, out) in out.chunks_exact_mut(width).enumerate() {
            let parts = of_sequence(self.work.iter().zip(threads.iter().map(|t| &t.1)), sequence);
            for (head, out) in out.chunks_exact_mut(head_dim).enumerate() {
                combine(&parts, head, out);
            }
        }
    }
}

/// One thread's walk over one piece.
struct Stream<'a, 'k, E> {
    kernel: &'a KvCache<'k, E>,
    piece: &'a Piece,
    scratch: &'a mut Scratch,
    partial: &'a mut Partial,
}

impl<E: Element> Kernel for Stream<'_, '_, E> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let Self { kernel, piece, scratch, partial } = self;
        let Shape { heads, head_dim, context, .. } = kernel.shape;
        let width = kernel.shape.width();
        let tile = kernel.walk.tile;
        partial.clear();
        let mut from = piece.from;
        while from < piece.to {
            let tokens = tile.min(piece.to - from);
            let here = (piece.sequence * context + from) * width;
            let rows =
                |cache| Rows { rows: &<[E]>::as_ref(cache)[here..][..tokens * width], heads, head_dim };
            let (keys, values) = (rows(kernel.keys), rows(kernel.values));
            // SAFETY: the caller's.
            unsafe {
                score::<L, E>(
                    kernel.rotation.map(|r| r.angles().of(from, tokens, head_dim)),
                    keys,
                    scratch,
                    tile,
                );
                softmax::<L>(&mut scratch.scores, tile, tokens, &mut partial.seen, &mut scratch.rescale);
                weighted_sums::<L, E>(&scratch.scores, tile, &scratch.rescale, values, &mut partial.sums);
            }
            from += tokens;
        }
    }
}

/// Scores of a tile, rotated on the way or not.
///
/// # Safety
/// The CPU has the instructions of `L`.
#[inline(always)]
pub(super) unsafe fn score<L: Lanes, E: Element>(
    angles: Option<Angles>,
    keys: Rows<E>,
    scratch: &mut Scratch,
    stride: usize,
) {
    // SAFETY: the caller's.
    unsafe {
        match angles {
            Some(angles) => rotated_scores::<L, E>(&scratch.query, keys, angles, &mut scratch.scores, stride),
            None => scores::<L, E>(&scratch.query, keys, &mut scratch.scores, stride),
        }
    }
}

/// `sums_head = rescale_head · sums_head + Σ_t probability[head][t] · values_t,head`.
///
/// Row by row: two rows at a time would load and store the sums half as often, but cost up to a seventh of the bandwidth where rows straddle
/// pages.
///
/// # Safety
/// The CPU has the instructions of `L`.
#[inline(always)]
pub(super) unsafe fn weighted_sums<L: Lanes, E: Element>(
    probabilities: &[f32],
    stride: usize,
    rescale: &[f32],
    values: Rows<E>,
    sums: &mut [f32],
) {
    let (heads, head_dim, width, tokens) = (values.heads, values.head_dim, values.width(), values.tokens());
    assert!(sums.len() == width && rescale.len() >= heads && head_dim.is_multiple_of(16));
    assert!(probabilities.len() >= heads * stride && tokens <= stride);
    for (sums, &factor) in sums.chunks_exact_mut(head_dim).zip(rescale) {
        if factor != 1.0 {
            sums.iter_mut().for_each(|s| *s *= factor);
        }
    }
    for t in 0..tokens {
        for head in 0..heads {
            // SAFETY: as asserted.
            unsafe {
                let weight = L::splat(probabilities[head * stride + t]);
                let row = values.rows.as_ptr().add(t * width + head * head_dim);
                let to = sums.as_mut_ptr().add(head * head_dim);
                ask_ahead::<L, E>(row, head_dim);
                let mut at = 0;
                while at < head_dim {
                    weight.mul_add(E::load::<L>(row.add(at)), L::load(to.add(at))).store(to.add(at));
                    at += L::COUNT;
                }
            }
        }
    }
}
