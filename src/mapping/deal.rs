//! Dealing work items to cores by list scheduling.
//!
//! An item is a stretch of one sequence's tokens for one group of heads. Cores advance in lock step, a tile at a time, so that all
//! the engine needs is how many of them are still active at each tile of the busiest core, and how many tokens they move together.

use crate::units::round_up;
use crate::workload::Batch;

/// Tiles of the busiest core that are alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stretch {
    /// Tokens in each tile, as the array sees them.
    pub(super) tile_tokens: u64,
    /// Tokens that all active cores together move for one such tile; summed over all tiles they are the tokens of the work, exactly.
    pub(super) moved: Share,
    /// How many.
    pub(super) tiles: u64,
}

/// A rational number of tokens, numerator over denominator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Share {
    /// Numerator.
    pub(super) tokens: u64,
    /// Denominator.
    pub(super) over: u64,
}

impl Share {
    /// `tokens` / `over`, exactly where that fits 64 bits, else no less.
    fn of(tokens: u128, over: u64) -> Self {
        let shift = (u128::BITS - tokens.leading_zeros()).saturating_sub(63);
        let rounded = (tokens >> shift) + u128::from(shift > 0);
        Self { tokens: rounded as u64, over: (over >> shift).max(1) }
    }
}

/// A wave of items and how often it repeats.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DealtWave {
    /// Its tiles, in order.
    pub(super) stretches: Vec<Stretch>,
    /// Repetitions.
    pub(super) repeat: u64,
    /// Item starts that one repetition pays for on the busiest core.
    pub(super) starts: u64,
}

/// How a ragged item's length is rounded: shorter pieces would pad the array anyway.
const RAGGED_GRANULE: u64 = 16;

/// Parts that a sequence of `tokens` is split into where the longest of the batch is split into `split`.
#[must_use]
pub(super) fn parts(split: u64, tokens: u64, longest: u64) -> u64 {
    if tokens == longest {
        return split.min(tokens);
    }
    // Splits are below 2¹⁴ and contexts below 2³².
    (split * tokens).div_ceil(longest).clamp(1, tokens)
}

/// How each sequence is cut into work items.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cut {
    /// Independent streams of a sequence (kept rows of its own, or a group of heads) that items are made of.
    pub(super) streams: u64,
    /// Streams that one item walks one after the other; divides `streams`.
    pub(super) fused: u64,
    /// Parts of the longest sequence.
    pub(super) split: u64,
    /// Tokens in a tile.
    pub(super) tile: u64,
}

/// Deals the items of `batch`, each sequence cut by `cut`, to `lanes` cores.
///
/// Equal sequences run in balanced waves: dropping a wave then never costs time, so that more cores are never slower. A ragged batch
/// is dealt longest first to the least loaded core.
#[must_use]
pub(super) fn deal(batch: &Batch, cut: Cut, lanes: u64) -> Vec<DealtWave> {
    match batch.runs() {
        &[(tokens, count)] => uniform(tokens, count, cut, lanes),
        _ => ragged(batch, cut, lanes),
    }
}

fn uniform(tokens: u64, count: u64, cut: Cut, lanes: u64) -> Vec<DealtWave> {
    let Cut { fused, tile, .. } = cut;
    let streams = count * cut.streams / fused;
    let split = cut.split.min(tokens);
    let items = streams * split;
    let (short, longer) = (tokens / split, streams * (tokens % split));
    let waves = items.div_ceil(lanes);
    let (low, full_waves) = (items / waves, items % waves);
    let whole = short / tile;
    // The last tile of an item: `rest` tokens, one more on the longer items.
    let rest = short % tile;
    let tail = rest + u64::from(longer > 0);
    let tail_tokens = items * rest + longer;
    let wave = |active: u64, repeat: u64| {
        let mut stretches = Vec::with_capacity(2);
        if whole > 0 {
            let moved = Share { tokens: active * tile, over: 1 };
            stretches.push(Stretch { tile_tokens: tile, moved, tiles: whole * fused });
        }
        if tail > 0 {
            let moved = Share::of(u128::from(active) * u128::from(tail_tokens), items);
            stretches.push(Stretch { tile_tokens: tail, moved, tiles: fused });
        }
        DealtWave { stretches, repeat, starts: 1 }
    };
    let mut dealt = Vec::with_capacity(2);
    if full_waves > 0 {
        dealt.push(wave(low + 1, full_waves));
    }
    dealt.push(wave(low, waves - full_waves));
    dealt
}

/// A ragged batch on its cores.
struct Loads {
    /// (tokens, cores), fewest tokens first.
    cores: Vec<(u64, u64)>,
    /// Work items.
    items: u64,
    /// Tokens of all items, rounded up.
    padded: u64,
}

fn loads(batch: &Batch, cut: Cut, lanes: u64) -> Loads {
    let Cut { streams, fused, split, tile } = cut;
    let longest = batch.longest();
    let mut loads = Loads { cores: vec![(0, lanes)], items: 0, padded: 0 };
    for &(tokens, count) in batch.runs() {
        let parts = parts(split, tokens, longest);
        let length = fused * round_up(tokens.div_ceil(parts), RAGGED_GRANULE.min(tile));
        let n = count * (streams / fused) * parts;
        loads.items += n;
        loads.padded += n * length;
        assign(&mut loads.cores, length, n);
    }
    loads
}

/// Tokens on the busiest core of a ragged batch; the same for every tile size of [`RAGGED_GRANULE`] tokens or more.
#[must_use]
pub(super) fn busiest(batch: &Batch, cut: Cut, lanes: u64) -> u64 {
    loads(batch, cut, lanes).cores.last().map_or(0, |l| l.0)
}

fn ragged(batch: &Batch, cut: Cut, lanes: u64) -> Vec<DealtWave> {
    let Cut { streams, tile, .. } = cut;
    let Loads { cores: loads, items, padded } = loads(batch, cut, lanes);
    let real = batch.tokens() * streams;
    // loads ascend; cores with a load ≤ t are idle at token t of the busiest core.
    let mut stretches = Vec::new();
    let (mut from, mut active, mut next) = (0u64, lanes, 0usize);
    let end = loads.last().map_or(0, |l| l.0);
    while from < end {
        while next < loads.len() && loads[next].0 <= from {
            active -= loads[next].1;
            next += 1;
        }
        let until = loads[next].0;
        let whole = (until - from) / tile;
        let moved = |tokens: u64| Share { tokens: proportion(tokens, real, padded), over: PRECISION };
        if whole > 0 {
            stretches.push(Stretch { tile_tokens: tile, moved: moved(active * tile), tiles: whole });
            from += whole * tile;
            continue;
        }
        // A tile during which cores fall idle: the tokens under the curve.
        let tokens = tile.min(end - from);
        let (mut area, mut at, mut still, mut i) = (0, from, active, next);
        while at < from + tokens {
            let to = loads[i].0.min(from + tokens);
            area += still * (to - at);
            at = to;
            if loads[i].0 <= at {
                still -= loads[i].1;
                i += 1;
            }
        }
        stretches.push(Stretch { tile_tokens: tokens, moved: moved(area), tiles: 1 });
        from += tokens;
    }
    vec![DealtWave { stretches, repeat: 1, starts: items.div_ceil(lanes) }]
}

/// Fixed-point precision of the ragged share.
const PRECISION: u64 = 1 << 16;

/// `tokens`·`real`/`padded` in units of 1/[`PRECISION`], rounded up.
const fn proportion(tokens: u64, real: u64, padded: u64) -> u64 {
    (tokens as u128 * real as u128 * PRECISION as u128).div_ceil(padded as u128) as u64
}

/// Gives `count` items of `length` to the least loaded lanes; `loads` holds (load, lanes) in ascending order. Takes as many steps as
/// there are different loads, however many the items.
fn assign(loads: &mut Vec<(u64, u64)>, length: u64, mut count: u64) {
    let all: u64 = loads.iter().map(|l| l.1).sum();
    while count > 0 {
        let (load, lanes) = loads[0];
        let spread = loads.last().map_or(0, |l| l.0 - load);
        if count >= all && spread <= length {
            // Every lane takes one before any takes two.
            let rounds = count / all;
            loads.iter_mut().for_each(|l| l.0 += rounds * length);
            count %= all;
            continue;
        }
        // The least loaded lanes stay so until they reach the next.
        let gap = loads.get(1).map_or(length, |next| next.0 - load);
        let rounds = gap.div_ceil(length).min(count / lanes).max(1);
        let taken = lanes.min(count);
        count -= taken * rounds;
        if taken == lanes {
            loads.remove(0);
        } else {
            loads[0].1 -= taken;
        }
        let load = load + length * rounds;
        match loads.binary_search_by_key(&load, |l| l.0) {
            Ok(i) => loads[i].1 += taken,
            Err(i) => loads.insert(i, (load, taken)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn moved(waves: &[DealtWave]) -> f64 {
        waves
            .iter()
            .flat_map(|w| {
                w.stretches
                    .iter()
                    .map(move |s| (w.repeat * s.tiles) as f64 * s.moved.tokens as f64 / s.moved.over as f64)
            })
            .sum()
    }

    proptest! {
        #[test]
        fn every_token_is_moved_once(
            contexts in prop::collection::vec(1u64..5000, 1..20),
            per_sequence in 1u64..40,
            fused in 1u64..5,
            split in 1u64..200,
            lanes in 1u64..150,
            tile in prop::sample::select(vec![16u64, 64, 128, 1024]),
        ) {
            let batch = Batch::ragged(&contexts);
            let waves = deal(&batch, Cut { streams: per_sequence * fused, fused, split, tile }, lanes);
            let real = (batch.tokens() * per_sequence * fused) as f64;
            let got = moved(&waves);
            prop_assert!(got >= real * (1.0 - 1e-12) && got <= real * 1.0001 + 1.0, "{got} of {real}");
            for wave in &waves {
                for s in &wave.stretches {
                    prop_assert!(s.tile_tokens <= tile && s.tiles > 0);
                    prop_assert!(s.moved.tokens <= lanes * s.tile_tokens * s.moved.over);
                }
            }
        }

        #[test]
        fn the_ragged_way_deals_equal_sequences_as_evenly(n in 1u64..5000, count in 1u64..20, lanes in 1u64..150) {
            let batch = Batch::uniform(n, count);
            let cut = Cut { streams: 1, fused: 1, split: 1, tile: 64 };
            let tiles = |waves: &[DealtWave]| -> u64 {
                waves.iter().map(|w| w.repeat * w.stretches.iter().map(|s| s.tiles).sum::<u64>()).sum()
            };
            let (even, uneven) = (deal(&batch, cut, lanes), ragged(&batch, cut, lanes));
            let waves = count.div_ceil(lanes);
            prop_assert!(tiles(&uneven) >= (waves * n).div_ceil(64));
            prop_assert!(tiles(&uneven) <= tiles(&even) + 1, "{:?} against {:?}", uneven, even);
        }
    }

    /// One item after the other to the least loaded lane.
    fn one_by_one(lanes: &mut [u64], length: u64, count: u64) {
        for _ in 0..count {
            lanes.sort_unstable();
            lanes[0] += length;
        }
        lanes.sort_unstable();
    }

    proptest! {
        #[test]
        fn many_items_at_once_are_dealt_as_one_by_one(
            runs in prop::collection::vec((1u64..200, 1u64..60), 1..8),
            lanes in 1u64..20,
        ) {
            let mut runs = runs;
            runs.sort_unstable_by(|a, b| b.cmp(a));
            let (mut loads, mut slow) = (vec![(0, lanes)], vec![0; lanes as usize]);
            for &(length, count) in &runs {
                assign(&mut loads, length, count);
                one_by_one(&mut slow, length, count);
                let flat: Vec<u64> = loads.iter().flat_map(|&(l, n)| std::iter::repeat_n(l, n as usize)).collect();
                prop_assert_eq!(&flat, &slow);
            }
        }
    }

    #[test]
    fn four_items_on_three_cores_run_in_two_waves_of_two() {
        let waves = deal(&Batch::uniform(100, 4), Cut { streams: 1, fused: 1, split: 1, tile: 64 }, 3);
        assert_eq!(waves.len(), 1);
        assert_eq!(waves[0].repeat, 2);
        assert_eq!(waves[0].stretches[0].moved, Share { tokens: 2 * 64, over: 1 });
        assert_eq!(waves[0].stretches[1].tile_tokens, 36);
    }
}
