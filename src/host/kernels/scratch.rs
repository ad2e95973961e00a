//! What a thread needs beside the cache: allocated once, reused by every run.

use super::product::MOST_COLUMNS;
use super::{Shape, Walk};

/// Working memory of one thread.
#[derive(Debug, Clone)]
pub(super) struct Scratch {
    /// Query of one sequence, scaled by `1/√head_dim`.
    pub(super) query: Vec<f32>,
    /// Scores and probabilities of a tile, a row a head.
    pub(super) scores: Vec<f32>,
    /// What each head's earlier sums are multiplied with.
    pub(super) rescale: Vec<f32>,
    /// A panel of a product's right operand.
    pub(super) panel: Vec<f32>,
}

/// Longest reduction whose right operand is copied as one panel: in `f32` and 64 columns wide it takes 32 KiB.
pub(super) const PANEL_DEPTH: usize = 128;

impl Scratch {
    /// For tiles of `walk` and queries of `shape`.
    pub(super) fn new(shape: &Shape, walk: Walk) -> Self {
        Self {
            query: vec![0.0; shape.width()],
            scores: vec![0.0; shape.heads * walk.tile],
            rescale: vec![1.0; shape.heads.max(walk.tile).max(shape.batch)],
            panel: vec![0.0; walk.tile.max(PANEL_DEPTH) * MOST_COLUMNS],
        }
    }

    /// Takes the query of one sequence over.
    pub(super) fn scale_query(&mut self, query: &[f32], head_dim: usize) {
        let factor = 1.0 / (head_dim as f32).sqrt();
        self.query.iter_mut().zip(query).for_each(|(q, x)| *q = factor * x);
    }
}
