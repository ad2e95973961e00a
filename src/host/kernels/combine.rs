//! What a thread leaves behind, and how the parts of a sequence come together.

use super::pieces::Piece;
use super::softmax::Seen;

/// One piece's unfinished sums: for each head a running maximum, a sum of exponentials, and `width` weighted sums.
#[derive(Debug, Clone)]
pub(super) struct Partial {
    pub(super) seen: Vec<Seen>,
    pub(super) sums: Vec<f32>,
}

impl Partial {
    /// Nothing seen yet.
    pub(super) fn new(heads: usize, width: usize) -> Self {
        Self { seen: vec![Seen::NOTHING; heads], sums: vec![0.0; heads * width] }
    }

    /// Forgets what was seen. The first tile's scale is zero, but zero times the infinity of an earlier step would not be.
    pub(super) fn clear(&mut self) {
        self.seen.fill(Seen::NOTHING);
        self.sums.fill(0.0);
    }
}

/// The unfinished sums of `sequence`, where `threads` gives each thread's pieces and what it made of them.
pub(super) fn of_sequence<'a>(
    threads: impl Iterator<Item = (&'a Vec<Piece>, &'a Vec<Partial>)>,
    sequence: usize,
) -> Vec<&'a Partial> {
    threads
        .flat_map(|(pieces, partials)| pieces.iter().zip(partials))
        .filter(|(piece, _)| piece.sequence == sequence)
        .map(|(_, partial)| partial)
        .collect()
}

/// Adds `parts`' sums of `head` up into `out`, divided by the sum of exponentials.
pub(super) fn combine(parts: &[&Partial], head: usize, out: &mut [f32]) {
    let width = out.len();
    let largest = parts.iter().map(|p| p.seen[head].largest).fold(f32::NEG_INFINITY, f32::max);
    let weight = |p: &Partial| (p.seen[head].largest - largest).exp();
    let total: f32 = parts.iter().map(|p| weight(p) * p.seen[head].sum).sum();
    let mut first = true;
    for part in parts {
        let factor = weight(part) / total;
        let sums = &part.sums[head * width..][..width];
        if first {
            out.iter_mut().zip(sums).for_each(|(o, s)| *o = factor * s);
        } else {
            out.iter_mut().zip(sums).for_each(|(o, s)| *o += factor * s);
        }
        first = false;
    }
}
