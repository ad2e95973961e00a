//! Slim attention, project last: `head_i = (P_i·K)·W_KV,i`, keys alone kept.
#![expect(unsafe_code, reason = "calls kernels of an instruction set")]

use super::combine::{Partial, combine, of_sequence};
use super::kv_cache::score;
use super::pieces::{Piece, pieces};
use super::product::{MOST_COLUMNS, Product};
use super::rotation::Rotation;
use super::scores::Rows;
use super::scratch::{PANEL_DEPTH, Scratch};
use super::softmax::softmax;
use super::{Shape, Walk, Weights};
use crate::host::simd::{Element, Isa, Kernel, Lanes};
use crate::host::team::{Shared, Team};

/// Attention with a cache of keys and W_KV.
#[derive(Debug)]
pub struct SlimK<'a, E> {
    shape: Shape,
    walk: Walk,
    keys: &'a [E],
    weights: &'a Weights<E>,
    rotation: Option<&'a Rotation>,
    work: Vec<Vec<Piece>>,
    threads: Vec<Shared<Thread>>,
    /// Weighted sums of keys that a thread projects: its heads of every sequence, and their outputs.
    projections: Vec<Shared<Projected>>,
}

/// What a thread holds while it walks.
#[derive(Debug)]
struct Thread {
    scratch: Scratch,
    partials: Vec<Partial>,
}

/// What a thread holds while it projects.
#[derive(Debug)]
struct Projected {
    /// First head, and behind the last.
    heads: (usize, usize),
    /// `P_i·K` of one head of every sequence.
    sums: Vec<f32>,
    /// Outputs of its heads, sequence by sequence.
    out: Vec<f32>,
    /// A panel of weights.
    panel: Vec<f32>,
}

impl<'a, E: Element> SlimK<'a, E> {
    /// Over a cache of `batch · context · heads · head_dim` elements on `threads` threads. With `rotation`, keys are rotated on every read;
    /// what `W_KV` needs is raw in either case.
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
        let width = shape.width();
        let each = work
            .iter()
            .map(|mine| {
                let partials = vec![Partial::new(shape.heads, width); mine.len()];
                Shared::new(Thread { scratch: Scratch::new(&shape, walk), partials })
            })
            .collect();
        let projections = (0..threads)
            .map(|i| {
                let heads = (shape.heads * i / threads, shape.heads * (i + 1) / threads);
                let columns = (heads.1 - heads.0) * shape.head_dim;
                let sums = vec![0.0; shape.batch * width];
                Shared::new(Projected {
                    heads,
                    sums,
                    out: vec![0.0; shape.batch * columns],
                    panel: vec![0.0; PANEL_DEPTH * MOST_COLUMNS],
                })
            })
            .collect();
        Self { shape, walk, keys, weights, rotation, work, threads: each, projections }
    }

    /// One step: `query` and `out` are `batch · heads · head_dim`.
    ///
    /// # Panics
    /// If `team` has not the threads this was made for.
    pub fn run(&self, isa: Isa, team: &Team, query: &[f32], out: &mut [f32]) {
        self.walk(isa, team, query);
        self.project(isa, team, out);
    }

    /// `P_i·K` of every head, as each thread's unfinished sums.
    ///
    /// # Panics
    /// As [`Self::run`].
    pub fn walk(&self, isa: Isa, team: &Team, query: &[f32]) {
        assert!(team.threads() == self.threads.len(), "made for {} threads", self.threads.len());
        let width = self.shape.width();
        team.run(|thread| {
            let Thread { scratch, partials } = &mut *self.threads[thread].write();
            for (piece, partial) in self.work[thread].iter().zip(partials) {
                scratch.scale_query(&query[piece.sequence * width..][..width], self.shape.head_dim);
                isa.run(Stream { kernel: self, piece, scratch, partial });
            }
        });
    }

    /// `(P_i·K)·W_KV,i`, each thread for some heads.
    ///
    /// # Panics
    /// As [`Self::run`].
    pub fn project(&self, isa: Isa, team: &Team, out: &mut [f32]) {
        assert!(team.threads() == self.threads.len(), "made for {} threads", self.threads.len());
        let width = self.shape.width();
        let head_dim = self.shape.head_dim;
        let threads: Vec<_> = self.threads.iter().map(Shared::read).collect();
        let partials = || self.work.iter().zip(threads.iter().map(|t| &t.partials));
        let parts: Vec<Vec<&Partial>> =
            (0..self.shape.batch).map(|sequence| of_sequence(partials(), sequence)).collect();
        team.run(|thread| {
            let Projected { heads, sums, out, panel } = &mut *self.projections[thread].write();
            // They are scaled by zero first, but zero times the infinity of an earlier step would not be zero.
            out.fill(0.0);
            for head in heads.0..heads.1 {
                for (parts, sums) in parts.iter().zip(sums.chunks_exact_mut(width)) {
                    combine(parts, head, sums);
                }
                let at = (head - heads.0) * head_dim;
                let columns = (heads.1 - heads.0) * head_dim;
                isa.run(Project { kernel: self, head, sums, out: &mut out[at..], columns, panel });
            }
        });
        for projection in &self.projections {
            let projection = projection.read();
            let (first, last) = projection.heads;
            let columns = (last - first) * head_dim;
            for sequence in 0..self.shape.batch {
                out[sequence * width + first * head_dim..][..columns]
                    .copy_from_slice(&projection.out[sequence * columns..][..columns]);
            }
        }
    }
}

/// One thread's walk over one piece.
struct Stream<'a, 'k, E> {
    kernel: &'a SlimK<'k, E>,
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
            let at = |token: usize| (piece.sequence * context + token) * width;
            let keys = &kernel.keys[at(from)..at(from + tokens)];
            let next = from + tokens;
            let next = &kernel.keys[at(next)..at((next + tile).min(piece.to))];
            let rows = Rows { rows: keys, heads, head_dim };
            // SAFETY: the caller's.
            unsafe {
                score::<L, E>(
                    kernel.rotation.map(|r| r.angles().of(from, tokens, head_dim)),
                    rows,
                    scratch,
                    tile,
                );
                softmax::<L>(&mut scratch.scores, tile, tokens, &mut partial.seen, &mut scratch.rescale);
                let sums = Product {
                    a: &scratch.scores,
                    a_stride: tile,
                    rows: heads,
                    b: keys,
                    b_stride: width,
                    depth: tokens,
                    columns: width,
                    c: &mut partial.sums,
                    c_stride: width,
                    scale: &scratch.rescale,
                    next: Some(next),
                    panel: &mut scratch.panel,
                };
                sums.run::<L>();
            }
            from += tokens;
        }
    }
}

/// One head's weighted sums of keys times its columns of W_KV.
struct Project<'a, 'k, E> {
    kernel: &'a SlimK<'k, E>,
    head: usize,
    /// A row of `width` a sequence.
    sums: &'a [f32],
    /// A row of `columns` a sequence, of which the first `head_dim` are this head's.
    out: &'a mut [f32],
    columns: usize,
    panel: &'a mut [f32],
}

impl<E: Element> Kernel for Project<'_, '_, E> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let Self { kernel, head, sums, out, columns, panel } = self;
        let Shape { head_dim, batch, .. } = kernel.shape;
        let columns_of_head = head * head_dim..(head + 1) * head_dim;
        // SAFETY: the caller's.
        unsafe { kernel.weights.apply::<L>(sums, batch, columns_of_head, out, columns, panel) };
    }
}
