//! Softmax over tokens that come tile by tile: a running maximum and sum a head.
#![expect(unsafe_code, reason = "scores are addressed by raw pointers")]

use crate::host::simd::{self, Lanes};

/// What a head has seen so far.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    /// Largest score.
    pub(super) largest: f32,
    /// Sum of `e^(score − largest)`.
    pub(super) sum: f32,
}

impl Seen {
    /// Nothing.
    pub(super) const NOTHING: Self = Self { largest: f32::NEG_INFINITY, sum: 0.0 };
}

/// Turns the scores of `tokens` tokens, rows `stride` apart, one row a head, into `e^(score − largest so far)`; `rescale` receives what each
/// head's earlier sums have to be multiplied with. `stride` is a multiple of 16: what lies behind the last token, to the end of its
/// vector, becomes e^−87, which no sum of a normal size sees.
///
/// # Safety
/// The CPU has the instructions of `L`.
#[inline(always)]
pub(super) unsafe fn softmax<L: Lanes>(
    scores: &mut [f32],
    stride: usize,
    tokens: usize,
    seen: &mut [Seen],
    rescale: &mut [f32],
) {
    assert!(stride.is_multiple_of(16) && tokens <= stride && scores.len() >= seen.len() * stride);
    let padded = tokens.next_multiple_of(L::COUNT);
    for (head, (seen, rescale)) in seen.iter_mut().zip(rescale).enumerate() {
        let row = &mut scores[head * stride..][..stride];
        row[tokens..padded].fill(f32::NEG_INFINITY);
        // SAFETY: `padded` elements are there.
        unsafe {
            let at = row.as_mut_ptr();
            let mut largest = L::splat(seen.largest);
            let mut t = 0;
            while t < padded {
                largest = largest.max(L::load(at.add(t)));
                t += L::COUNT;
            }
            let now = largest.largest();
            let mut sum = L::splat(0.0);
            let mut t = 0;
            while t < padded {
                let p = simd::exp(L::load(at.add(t)).sub(L::splat(now)));
                sum = sum.add(p);
                p.store(at.add(t));
                t += L::COUNT;
            }
            *rescale = (seen.largest - now).exp();
            // What lies behind the last token added e^−87 each: the largest score adds 1.
            *seen = Seen { largest: now, sum: seen.sum * *rescale + sum.sum() };
        }
    }
}
