//! Rates that kernels were measured to achieve, by the shape of their work: what one core of a machine does in a second.
//!
//! A data sheet knows one peak; what compiled code achieves depends on how many heads walk a tile together and how wide they are. Between
//! the shapes that were measured the *time* of a unit of work is interpolated, since times of parts add up and rates do not.

use super::{KernelProfile, Kind};
use crate::units::Dtype;
use serde::{Deserialize, Serialize};

/// A part of a kernel that has a rate of its own.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Queries times kept rows.
    Scores,
    /// Probabilities times kept rows.
    WeightedSums,
    /// A product with a matrix that is formed from kept rows or applied to them.
    Product,
    /// Exponentials and sums.
    Softmax,
    /// Reading from the outermost memory.
    Stream,
    /// All of a kernel's loop over rows in the outermost memory: loading, and every phase above.
    Walk,
}

impl Phase {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Scores, Self::WeightedSums, Self::Product, Self::Softmax, Self::Stream, Self::Walk];

    /// Its name in files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Scores => "scores",
            Self::WeightedSums => "weighted-sums",
            Self::Product => "product",
            Self::Softmax => "softmax",
            Self::Stream => "stream",
            Self::Walk => "walk",
        }
    }
}

/// One measured rate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MeasuredRate {
    /// What was timed.
    pub phase: Phase,
    /// The kernel that it is a part of; `None`: it is the same in all that have no rates of their own.
    pub kind: Option<Kind>,
    /// Type of the kept rows or the weights.
    pub dtype: Dtype,
    /// Query heads that share the operand.
    pub heads: u64,
    /// Width of a head.
    pub head_dim: u64,
    /// Tokens of the tile that was timed.
    pub tile: u64,
    /// Of [`Phase::Softmax`] exponentials a second, of [`Phase::Stream`] and [`Phase::Walk`] bytes of kept rows a second that one core
    /// reads, of all others multiply–accumulates a second.
    pub per_second: u64,
    /// Half the interquartile range of the samples over their median.
    pub spread: f64,
}

impl KernelProfile {
    /// The rate at which a kernel of `kind` does `phase` with that many `heads` of width `head_dim`, in the phase's units a second; `None`
    /// where no such phase was measured with rows of `dtype`. Where rates of that kind are given, they alone count; else those of no kind.
    /// Exact at the shapes that were measured; between them the time of a unit is linear in the logarithms of both sizes, and beyond the
    /// outermost it stays what it is there.
    #[must_use]
    pub fn rate(&self, phase: Phase, kind: Kind, dtype: Dtype, heads: u64, head_dim: u64) -> Option<f64> {
        let points = self.measured(phase, kind, dtype);
        over_shapes(&points, heads, head_dim, &|a, b, part| 1.0 / ((1.0 - part) / a + part / b))
    }

    /// The part of the shorter of a tile's load and compute time that a kernel of `kind` hides behind the longer, in 0 to 1; `None` where
    /// no walk was measured at a shape whose stream, scores, sums and softmax were measured too.
    ///
    /// At such a shape, a token's bytes take `L` at the stream's rate, its phases `C` one after the other, and the walk `W`:
    /// `W = max(L, C) + (1 − overlap) · min(L, C)`. Between shapes it is linear in the logarithms of both sizes, beyond the outermost it
    /// stays.
    #[must_use]
    pub fn overlap(&self, kind: Kind, dtype: Dtype, heads: u64, head_dim: u64) -> Option<f64> {
        let points: Vec<_> = self
            .measured(Phase::Walk, kind, dtype)
            .into_iter()
            .filter_map(|(heads, head_dim, walk)| {
                let at = |phase| {
                    let points = self.measured(phase, kind, dtype);
                    points.into_iter().find(|p| (p.0, p.1) == (heads, head_dim)).map(|p| p.2)
                };
                let width = (heads * head_dim) as f64;
                let bytes = width * dtype.bits() as f64 / 8.0;
                let (values, macs) = match kind {
                    Kind::SlimK => (Phase::Product, heads as f64 * width),
                    _ => (Phase::WeightedSums, width),
                };
                let load = bytes / at(Phase::Stream)?;
                let compute =
                    width / at(Phase::Scores)? + heads as f64 / at(Phase::Softmax)? + macs / at(values)?;
                let exposed = bytes / walk - load.max(compute);
                Some((heads, head_dim, 1.0 - exposed / load.min(compute)))
            })
            .collect();
        let between = over_shapes(&points, heads, head_dim, &|a, b, part| a + (b - a) * part);
        between.map(|part| part.clamp(0.0, 1.0))
    }

    /// Heads, width and rate of each shape at which `phase` was measured with rows of `dtype`, in order: of that kind if there is any, else
    /// of no kind.
    fn measured(&self, phase: Phase, kind: Kind, dtype: Dtype) -> Vec<(u64, u64, f64)> {
        let of = |kind: Option<Kind>| {
            let mut points: Vec<(u64, u64, f64)> = self
                .rates
                .iter()
                .filter(|r| r.phase == phase && r.dtype == dtype && r.kind == kind)
                .map(|r| (r.heads, r.head_dim, r.per_second as f64))
                .collect();
            points.sort_by_key(|p| (p.0, p.1));
            points
        };
        let own = of(Some(kind));
        if own.is_empty() { of(None) } else { own }
    }
}

/// What a figure is some part of the way from one to the next.
type Between<'a> = &'a dyn Fn(f64, f64, f64) -> f64;

/// The figure at `heads` and `head_dim`, where `points` are heads, width and figure in order; `None` of none.
fn over_shapes(points: &[(u64, u64, f64)], heads: u64, head_dim: u64, between: Between<'_>) -> Option<f64> {
    let by_heads = points.chunk_by(|a, b| a.0 == b.0).filter_map(|same| {
        let curve = same.iter().map(|&(_, width, figure)| (width, figure));
        Some((same.first()?.0, interpolate(curve, head_dim, between)?))
    });
    interpolate(by_heads, heads, between)
}

/// The figure at `at` on the curve through `points`, which are in the order of their sizes; `None` without any.
fn interpolate(points: impl Iterator<Item = (u64, f64)>, at: u64, between: Between<'_>) -> Option<f64> {
    let mut below: Option<(u64, f64)> = None;
    for (size, figure) in points {
        let Some((lower, lesser)) = below.filter(|_| size > at) else {
            if size >= at {
                return Some(figure);
            }
            below = Some((size, figure));
            continue;
        };
        let log = |size: u64| (size.max(1) as f64).log2();
        let part = (log(at) - log(lower)) / (log(size) - log(lower));
        // Rounding must not lead out of the measured range.
        return Some(between(lesser, figure, part).clamp(lesser.min(figure), lesser.max(figure)));
    }
    below.map(|(_, figure)| figure)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Phase::{Scores, Softmax, Stream};

    fn profile(rates: &[(Phase, Option<Kind>, u64, u64, u64)]) -> KernelProfile {
        let rate = |&(phase, kind, heads, head_dim, per_second)| MeasuredRate {
            phase,
            kind,
            dtype: Dtype::Bf16,
            heads,
            head_dim,
            tile: 64,
            per_second,
            spread: 0.01,
        };
        KernelProfile {
            name: "own".to_owned(),
            accelerator: "own".to_owned(),
            framework: "own".to_owned(),
            source: "made up".to_owned(),
            note: None,
            machine: None,
            kernels: Vec::new(),
            rates: rates.iter().map(rate).collect(),
        }
    }

    fn grid() -> KernelProfile {
        // Not in order: a file need not be.
        profile(&[
            (Scores, None, 32, 128, 90_000_000_007),
            (Scores, None, 8, 64, 30_000_000_001),
            (Scores, None, 8, 128, 50_000_000_003),
            (Scores, None, 32, 64, 110_000_000_009),
            (Scores, Some(Kind::SlimK), 1, 128, 7_000_000_000),
            (Softmax, None, 8, 64, 1_000_000_000),
        ])
    }

    fn scores(profile: &KernelProfile, heads: u64, head_dim: u64) -> f64 {
        profile.rate(Scores, Kind::Mha, Dtype::Bf16, heads, head_dim).unwrap_or(f64::NAN)
    }

    fn same(a: f64, b: f64) -> bool {
        a.to_bits() == b.to_bits()
    }

    #[test]
    fn measured_shapes_have_their_own_rates() {
        let profile = grid();
        for r in profile.rates.iter().filter(|r| r.phase == Scores && r.kind.is_none()) {
            assert!(same(scores(&profile, r.heads, r.head_dim), r.per_second as f64), "{r:?}");
        }
    }

    #[test]
    fn between_shapes_the_time_of_a_unit_is_linear_in_the_logarithm() {
        let profile = grid();
        let middle = |a: f64, b: f64| 2.0 / (1.0 / a + 1.0 / b);
        let (a, b) = (30_000_000_001.0, 110_000_000_009.0);
        assert!((scores(&profile, 16, 64) / middle(a, b) - 1.0).abs() < 1e-12);
        let all = middle(middle(a, 50_000_000_003.0), middle(b, 90_000_000_007.0));
        let width = 91; // nearly the geometric mean of 64 and 128
        assert!((scores(&profile, 16, width) / all - 1.0).abs() < 0.01);
        for heads in 8..=32 {
            for head_dim in 64..=128 {
                let rate = scores(&profile, heads, head_dim);
                assert!((a..=b).contains(&rate), "{heads}×{head_dim}: {rate}");
                assert!(scores(&profile, heads + 1, head_dim) >= rate, "more heads are no slower here");
            }
        }
        // Equal neighbours have only their own rate between them.
        let flat = profile_of_two(3_333_333_333, 3_333_333_333);
        assert!((2..64).all(|heads| same(scores(&flat, heads, 64), 3_333_333_333.0)));
    }

    fn profile_of_two(first: u64, second: u64) -> KernelProfile {
        profile(&[(Scores, None, 1, 64, first), (Scores, None, 64, 64, second)])
    }

    #[test]
    fn beyond_the_outermost_shapes_rates_stay() {
        let profile = grid();
        for (outside, edge) in
            [((1, 16), (8, 64)), ((0, 0), (8, 64)), ((99, 999), (32, 128)), ((2, 128), (8, 128))]
        {
            let (outside, edge) = (scores(&profile, outside.0, outside.1), scores(&profile, edge.0, edge.1));
            assert!(same(outside, edge));
        }
    }

    #[test]
    fn a_kinds_own_rates_count_alone() {
        let profile = grid();
        let of = |phase, kind, dtype| profile.rate(phase, kind, dtype, 8, 64);
        assert_eq!(of(Scores, Kind::SlimK, Dtype::Bf16), Some(7e9));
        assert_eq!(of(Scores, Kind::Gqa, Dtype::Bf16), Some(30_000_000_001.0));
        assert_eq!(of(Softmax, Kind::SlimK, Dtype::Bf16), Some(1e9), "it has none of its own for that");
    }

    #[test]
    fn what_was_not_measured_has_no_rate() {
        let of = |phase, dtype| grid().rate(phase, Kind::Mha, dtype, 8, 64);
        assert_eq!(of(Stream, Dtype::Bf16), None);
        assert_eq!(of(Scores, Dtype::Fp32), None);
        let mut reversed = grid();
        reversed.rates.reverse();
        for heads in 1..64 {
            assert!(same(scores(&reversed, heads, 96), scores(&grid(), heads, 96)), "no order matters");
        }
    }

    /// Of the walk whose overlap is `overlap` at 8 × 64 in `grid`-like rates: all by hand.
    #[test]
    fn overlap_is_what_a_walk_takes_beyond_the_longer_part() {
        // Rows of 512 elements, 1024 bytes: load 100 ns; scores 20 ns, softmax 10 ns, product of 4096 MACs 50 ns.
        let rates = |walk| {
            profile(&[
                (Stream, None, 8, 64, 10_240_000_000),
                (Scores, None, 8, 64, 25_600_000_000),
                (Softmax, None, 8, 64, 800_000_000),
                (Phase::Product, None, 8, 64, 81_920_000_000),
                (Phase::Walk, Some(Kind::SlimK), 8, 64, walk),
            ])
        };
        let overlap = |walk, kind| rates(walk).overlap(kind, Dtype::Bf16, 12, 96);
        let near = |walk, part: f64| {
            let found = overlap(walk, Kind::SlimK).unwrap_or(f64::NAN);
            assert!((found - part).abs() < 1e-9, "{found} {part}");
        };
        near(10_240_000_000, 1.0); // 100 ns
        near(8_000_000_000, 0.65); // 128 ns: 28 of 80 exposed
        near(5_688_888_889, 0.0); // 180 ns: one after the other
        near(1_000_000_000, 0.0);
        near(20_000_000_000, 1.0);
        assert_eq!(overlap(8_000_000_000, Kind::Mha), None, "its walk was not measured");
    }
}
