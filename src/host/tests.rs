//! The kernels against the reference, on every instruction set that this CPU has; what they refuse.

use super::kernels::phases::{Phase, Tile};
use super::kernels::probes;
use super::kernels::rotation::Rotation;
use super::kernels::{KvCache, Scheme, Shape, SlimK, SlimKRecompute, Walk, Weights, pieces};
use super::reference;
use super::simd::{Element, Isa};
use super::team::Team;

/// Numbers in (−1, 1) from a small generator, the same every time.
fn numbers(seed: u64, count: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    (0..count)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
        })
        .collect()
}

fn close(name: &str, found: &[f32], expected: &[f64]) {
    let scale = expected.iter().map(|x| x * x).sum::<f64>().sqrt();
    let off: f64 = found.iter().zip(expected).map(|(f, e)| (f64::from(*f) - e).powi(2)).sum::<f64>().sqrt();
    assert!(off <= 3e-6 * scale, "{name}: off by {:e} of {scale}", off / scale);
}

fn agree<E: Element>(shape: Shape, tile: usize, threads: usize, rotated: bool) {
    let width = shape.width();
    let narrow = |seed, count| -> Vec<E> { numbers(seed, count).into_iter().map(E::from_f32).collect() };
    let (keys, values) = (narrow(1, shape.cache()), narrow(2, shape.cache()));
    let matrix = narrow(3, width * width);
    let weights = Weights::new(width, shape.head_dim, |r, c| matrix[r * width + c].to_f32());
    let query: Vec<f32> = numbers(4, width * shape.batch).into_iter().map(|x| 3.0 * x).collect();
    let infinite = vec![f32::INFINITY; width * shape.batch];
    let rotation = rotated.then(|| Rotation::new(shape.context, shape.head_dim));
    let raw = reference::exact(&keys);
    let scored = rotation.as_ref().map_or_else(|| raw.clone(), |r| reference::rotate(&shape, r, &raw));
    let rebuilt = reference::product(&raw, &reference::exact(&matrix), width);
    let expected = reference::attention(&shape, &query, &scored, &reference::exact(&values));
    let slim = reference::attention(&shape, &query, &scored, &rebuilt);
    let team = Team::new(threads).expect("threads");
    let walk = Walk { tile };
    for isa in Isa::available() {
        let name = |scheme| {
            format!("{scheme}, {shape:?}, {}, {:?}, tile {tile}, {threads} threads", isa.name(), E::DTYPE)
        };
        let mut out = vec![0.0; width * shape.batch];
        let kernel = KvCache::new(shape, walk, [&keys, &values], rotation.as_ref(), threads);
        // A step that overflowed leaves nothing behind.
        for query in [&query, &infinite, &query] {
            kernel.run(isa, &team, query, &mut out);
            if std::ptr::eq(query, &raw const infinite) {
                continue;
            }
            close(&name("kv-cache"), &out, &expected);
        }
        let kernel = SlimK::new(shape, walk, &keys, &weights, rotation.as_ref(), threads);
        // A step that overflowed leaves nothing behind.
        for query in [&query, &infinite, &query] {
            kernel.run(isa, &team, query, &mut out);
            if std::ptr::eq(query, &raw const infinite) {
                continue;
            }
            close(&name("slim-k"), &out, &slim);
        }
        let kernel = SlimKRecompute::new(shape, walk, &keys, &weights, rotation.as_ref(), threads);
        // A step that overflowed leaves nothing behind.
        for query in [&query, &infinite, &query] {
            kernel.run(isa, &team, query, &mut out);
            if std::ptr::eq(query, &raw const infinite) {
                continue;
            }
            close(&name("slim-k-recompute"), &out, &slim);
        }
    }
}

#[test]
fn kernels_agree_with_the_reference() {
    let contexts: &[usize] = if cfg!(miri) { &[5] } else { &[1, 3, 5, 17, 64, 131] };
    for &context in contexts {
        let shape = |heads, head_dim, batch| Shape { heads, head_dim, context, batch };
        agree::<f32>(shape(2, 16, 1), 16, 1, false);
        if cfg!(miri) {
            agree::<half::bf16>(shape(1, 32, 2), 16, 2, true);
            agree::<half::f16>(shape(3, 16, 1), 16, 1, false);
            continue;
        }
        agree::<f32>(shape(4, 64, 1), 32, 1, false);
        agree::<f32>(shape(9, 32, 3), 48, 2, true);
        agree::<half::bf16>(shape(12, 64, 1), 32, 2, false);
        agree::<half::bf16>(shape(3, 96, 4), 16, 3, true);
        agree::<half::f16>(shape(5, 80, 2), 64, 1, false);
        agree::<half::f16>(shape(17, 32, 1), 16, 2, true);
    }
}

#[test]
fn pieces_cover_every_token_once() {
    for (batch, context, threads, tile) in
        [(1, 100, 2, 16), (4, 513, 3, 64), (1, 5, 8, 16), (3, 64, 3, 16), (2, 1000, 5, 128)]
    {
        let shared = pieces(batch, context, threads, tile);
        assert_eq!(shared.len(), threads);
        let mut at = 0;
        for piece in shared.iter().flatten() {
            assert_eq!(piece.sequence * context + piece.from, at);
            assert!(piece.from < piece.to && piece.to <= context);
            at += piece.to - piece.from;
        }
        assert_eq!(at, batch * context);
        let tokens = |mine: &Vec<super::kernels::Piece>| mine.iter().map(|p| p.to - p.from).sum::<usize>();
        let most = shared.iter().map(tokens).max().expect("threads");
        assert!(most <= (batch * context).div_ceil(threads) + tile, "a thread has {most}");
    }
}

#[test]
fn instruction_sets_are_written_by_name() {
    for isa in Isa::available() {
        assert_eq!(serde_json::to_string(&isa).expect("JSON"), format!("\"{}\"", isa.name()));
    }
    assert_eq!(Isa::available().last(), Some(&Isa::Portable));
}

/// What probes and phases compute is nothing to look at; that they stay within their memory, sanitizers see.
#[test]
fn probes_and_phases_run_on_every_instruction_set() {
    for isa in Isa::available() {
        assert_eq!(probes::multiply_adds(isa, 3), (3 * 12 * isa.lanes()) as u64);
        for len in [0, 1, 64, 128, 300] {
            probes::read(isa, &vec![1.0_f32; len]);
            probes::read(isa, &vec![half::f16::ONE; len]);
        }
        let mut tile = Tile::<half::bf16>::new(3, 16, Walk { tile: 16 }, &[half::bf16::ONE]);
        for phase in [Phase::Scores, Phase::Softmax, Phase::WeightedSums, Phase::Product] {
            tile.run(isa, phase, 2);
        }
    }
}

/// What `work` says when it panics.
fn refusal(work: impl FnOnce() + std::panic::UnwindSafe) -> String {
    let panic = std::panic::catch_unwind(work).expect_err("this should have been refused");
    panic.downcast_ref::<String>().cloned().expect("a formatted message")
}

#[test]
fn kernels_refuse_other_teams_and_other_weights() {
    let shape = Shape { heads: 4, head_dim: 16, context: 2, batch: 1 };
    let (walk, cache) = (Walk { tile: 16 }, vec![0.5_f32; shape.cache()]);
    let weights = |width, head_dim| Weights::new(width, head_dim, |_, _| 1.0);
    let right = weights(64, 16);
    let query = [1.0; 64];
    let run = |scheme, weights: &Weights<f32>| {
        refusal(|| {
            let (team, mut out) = (Team::new(1).expect("a thread"), [0.0; 64]);
            let (isa, team, out) = (Isa::Portable, &team, &mut out);
            match scheme {
                Scheme::KvCache => {
                    KvCache::new(shape, walk, [&cache, &cache], None, 2).run(isa, team, &query, out);
                }
                Scheme::SlimK => {
                    SlimK::new(shape, walk, &cache, weights, None, 2).run(isa, team, &query, out)
                }
                Scheme::SlimKRecompute => {
                    SlimKRecompute::new(shape, walk, &cache, weights, None, 2).run(isa, team, &query, out);
                }
            }
        })
    };
    for scheme in Scheme::ALL {
        assert_eq!(run(scheme, &right), "made for 2 threads");
    }
    for (width, head_dim) in [(64, 32), (48, 16), (80, 16)] {
        let wrong = weights(width, head_dim);
        for scheme in [Scheme::SlimK, Scheme::SlimKRecompute] {
            let found = run(scheme, &wrong);
            assert!(found.starts_with("a cache and weights of Shape"), "{found}");
        }
    }
    assert_eq!(refusal(|| drop(weights(64, 24))), "heads of 24 in a width of 64");
    assert_eq!(refusal(|| drop(weights(80, 32))), "heads of 32 in a width of 80");
}
