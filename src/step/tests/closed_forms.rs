//! Useful FLOPs and compulsory bytes equal the closed forms of the schemes exactly, whatever the machine.

use super::fixtures::*;
use crate::attention::{ALL, Conditions, Options, Precision, Scheme, Sparsity};
use crate::hardware::Accelerator;
use crate::model::{Encoder, Mla, Model, Moe, Norm, Position};
use crate::step::Point;
use crate::units::{Bandwidth, Bytes, Dtype};
use crate::workload::{self, Work};
use proptest::prelude::*;

fn shapes() -> impl Strategy<Value = Model> {
    let dims = (1u64..=5, prop::sample::select(vec![16u64, 64, 96, 128]), 1u64..=4);
    let flags = (
        any::<bool>(),
        any::<bool>(),
        any::<bool>(),
        prop::sample::select(vec![Position::Rope, Position::Alibi, Position::Learned]),
    );
    (dims, flags, 1u64..=4).prop_map(
        |((log_heads, head_dim, layers), (gated, tied, ffn_bias, position), group)| {
            let heads = 1 << log_heads;
            let base = model(heads, head_dim, position);
            Model {
                layers,
                kv_heads: heads / (1 << (group - 1).min(log_heads)),
                gated_ffn: gated,
                tied_embeddings: tied,
                ffn_bias,
                norm: if gated { Norm::Rms } else { Norm::Layer },
                ..base
            }
        },
    )
}

/// Models of every kind that the tables of the interface speak of.
fn kinds() -> impl Strategy<Value = Model> {
    let width = prop::sample::select(vec![4u64, 6, 7, 8, 9, 12, 16]);
    (shapes(), width, 0u64..8).prop_map(|(m, eighths, kind)| {
        let encoder = Encoder { layers: 2, tokens: 333, d_ffn: 96, gated_ffn: false, reads_prompt: false };
        match kind {
            // W_K wider or narrower than square
            0 | 1 => Model { d_model: (m.d_model * eighths / 8).max(2), ..m },
            2 => Model { encoder: Some(encoder), norms_per_layer: 3, position: Position::RelativeBias, ..m },
            3 => Model {
                encoder: Some(encoder),
                norms_per_layer: 3,
                d_model: (m.d_model * eighths / 8).max(2),
                ..m
            },
            4 => Model { cache_layers: Some(1), ..m },
            5 => Model {
                mla: Some(Mla { latent_dim: 48, rope_dim: 16, query_latent_dim: None }),
                kv_heads: m.heads,
                ..m
            },
            _ => m,
        }
    })
}

/// Elements kept per token of the context: of self-attention. The paper's widths.
fn kept(m: &Model, scheme: &str) -> u64 {
    let (d, kv) = (m.d_model, m.kv_heads * m.head_dim);
    match (scheme, m.mla) {
        ("kv-cache", Some(l)) => m.heads * (2 * m.head_dim + l.rope_dim),
        ("mla", Some(l)) => l.latent_dim + l.rope_dim,
        ("kv-cache", None) => 2 * kv,
        ("slim-x", _) => d,
        _ => kv.max(d),
    }
}

/// (projection, attention, recompute) FLOPs per token and layer of self-attention, of the interface's table; the second number of the
/// projection is that of a layer without a cache.
fn own_flops(m: &Model, scheme: &str, n: u64) -> (u64, u64, u64) {
    let (d, e, h, dk) = (m.d_model, m.query_width(), m.heads, m.head_dim);
    let kv = m.kv_heads * dk;
    let w = kept(m, scheme);
    if let Some(l) = m.mla {
        let (latent, rope) = (l.latent_dim, l.rope_dim);
        let down = 2 * d * (h * (dk + rope) + latent + rope);
        let up = 2 * latent * 2 * h * dk;
        let attention = match scheme {
            "mla" => 2 * n * h * (2 * latent + rope),
            _ => 2 * n * h * (2 * dk + rope),
        };
        return (down + up + 2 * e * d, attention, 0);
    }
    match scheme {
        "kv-cache" => (4 * d * e + 4 * d * kv, 4 * n * e, 0),
        "slim-k-recompute" => (4 * d * e + 2 * d * w, 4 * n * e, 2 * n * w * kv),
        "slim-x" => (8 * d * e, 4 * n * h * d, 0),
        // e = h·d_k ≥ d: 6de + 2e², 2ne(h+1); grouped or narrow (row of d): 6de + 2d², 2ne + 2nhd
        _ => (4 * d * e + 2 * d * w + 2 * w * e, 2 * n * e + 2 * n * h * w, 0),
    }
}

/// The same of cross-attention over p encoder tokens, whose K and V are there before the step.
fn cross_flops(m: &Model, scheme: &str, p: u64) -> (u64, u64, u64) {
    let (d, e, h) = (m.d_model, m.query_width(), m.heads);
    let kv = m.kv_heads * m.head_dim;
    let w = kv.max(d);
    let ends = 4 * d * e;
    match scheme {
        "kv-cache" => (ends, 4 * p * e, 0),
        "slim-k-recompute" => (ends, 4 * p * e, 2 * p * w * kv),
        "slim-x" | "slim-e" => (ends + 4 * d * e, 4 * p * h * d, 0),
        "slim-k1" => (ends + 4 * w * e, 4 * p * h * w, 0),
        _ => (ends + 2 * w * e, 2 * p * e + 2 * p * h * w, 0),
    }
}

fn check(p: &Point, m: &Model, scheme: &str, n: u64, b: u64, precision: Precision, free: bool) {
    let flops = p.flops.expect("feasible");
    let cached = m.cache_layers.unwrap_or(m.layers);
    let own = own_flops(m, scheme, n);
    let (mixer, ..) = own_flops(m, "kv-cache", 0);
    let tokens = m.encoder.map(|e| e.tokens);
    // Of all layers: the first of slim-k1 has a form of its own.
    let cross = tokens.map_or((0, 0, 0), |p| {
        let first = cross_flops(m, if scheme == "slim-k1" { "slim-k" } else { scheme }, p);
        let others = cross_flops(m, scheme, p);
        let rest = m.layers - 1;
        (first.0 + others.0 * rest, first.1 + others.1 * rest, first.2 + others.2 * rest)
    });
    let projection = own.0 * cached + mixer * (m.layers - cached) + cross.0;
    assert_eq!(flops.projection.0, projection * b, "{scheme} {m:?}");
    assert_eq!(flops.attention.0, (own.1 * cached + cross.1) * b, "{scheme} {m:?}");
    assert_eq!(flops.recompute.0, (own.2 * cached + cross.2) * b, "{scheme} {m:?}");
    let up = if m.gated_ffn { 3 } else { 2 };
    assert_eq!(flops.ffn.0, 2 * up * m.d_model * m.d_ffn * m.layers * b);
    assert_eq!(flops.lm_head.0, 2 * m.d_model * m.vocab * b);
    let traffic = p.traffic_bytes.expect("feasible");
    let cache = p.capacity_bytes;
    let row = precision.cache.bytes(kept(m, scheme)).0;
    let own_read = row * n * cached * b;
    let shares_e = ["slim-e", "slim-x"].contains(&scheme);
    let (cross_width, copies) = match tokens {
        None => (0, 0),
        Some(_) if shares_e => (m.d_model, 1),
        Some(_) if scheme == "slim-k1" => (kept(m, "slim-k"), 1),
        Some(_) if scheme == "kv-cache" => (2 * m.kv_heads * m.head_dim, m.layers),
        Some(_) => (kept(m, "slim-k"), m.layers),
    };
    let cross_rows = precision.cache.bytes(cross_width).0 * tokens.unwrap_or(0) * b;
    let shared = tokens.is_some() && (shares_e || scheme == "slim-k1");
    let resident = shared && traffic.cache_read.0 == own_read;
    assert!(!free || !shared || resident, "what all layers share stays on an ideal chip");
    // Not resident, it is read again by every layer but the first.
    assert!(!shared || resident || traffic.cache_reread.0 >= cross_rows * (m.layers - 1), "{scheme}");
    let cross_read = if resident { 0 } else { cross_rows * copies };
    assert_eq!(traffic.cache_read.0, own_read + cross_read, "{scheme} {m:?}");
    assert_eq!(cache.cache_self.0, own_read, "{scheme}");
    assert_eq!(cache.cache_cross.0, cross_read, "{scheme}");
    assert_eq!(cache.cache, cache.cache_self + cache.cache_cross);
    assert_eq!(traffic.cache_write.0, if free { 0 } else { row * cached * b });
    // The weights of each product are half its FLOPs for one token; grouped queries share W_K, W_V and W_KV.
    let (d, e, h) = (m.d_model, m.query_width(), m.heads);
    let kv = m.kv_heads * m.head_dim;
    let w = kept(m, scheme);
    let base = 2 * d * e + 2 * d * kv;
    let own_weights = match (scheme, m.mla) {
        (_, Some(l)) => {
            d * (h * (m.head_dim + l.rope_dim) + l.latent_dim + l.rope_dim)
                + 2 * l.latent_dim * e
                + e * d
                + m.norm.parameters(l.latent_dim)
        }
        ("kv-cache" | "slim-x", _) => base,
        _ => 2 * d * e + d * w + w * kv,
    };
    let wide = kv.max(d);
    let cross_weights = match (tokens, scheme) {
        (None, _) => 0,
        (_, "kv-cache") => m.layers * 2 * d * e,
        (_, "slim-x" | "slim-e") => m.layers * (2 * d * e + 2 * d * kv),
        (_, "slim-k1") => m.layers * (2 * d * e + wide * kv) + (m.layers - 1) * wide * kv,
        _ => m.layers * (2 * d * e + wide * kv),
    };
    let attention_weights = own_weights * cached + base * (m.layers - cached) + cross_weights;
    let ffn_bias = if m.ffn_bias { (up - 1) * m.d_ffn + d } else { 0 };
    let norm = m.norm.parameters(d);
    let norms = if m.encoder.is_some() { 3 } else { 2 };
    let layer = up * d * m.d_ffn + ffn_bias + norms * norm;
    let elements = attention_weights + m.layers * layer + d * m.vocab + norm;
    assert_eq!(traffic.weights.0, precision.weights.bytes(elements).0, "{scheme} {m:?}");
    let bandwidth = p.bounds_seconds.expect("feasible").bandwidth.0;
    assert!(p.seconds.expect("feasible").0 >= bandwidth);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn on_every_machine(m in kinds(), n in 1u64..5000, b in 1u64..9, which in 0usize..3) {
        let machines: [Accelerator; 3] = [ideal(), gpu(), tpu()];
        for scheme in ALL.iter().filter(|s| s.describe(&m, Options::default()).is_ok()) {
            let p = simulator(&machines[which], &m, scheme.name).point(n, b);
            if which == 0 || p.feasible {
                check(&p, &m, scheme.name, n, b, Precision::default(), which == 0);
            }
        }
    }

    /// Time on the ideal machine is weights and cache reads over bandwidth, nothing else; ratios are the paper's memory-bound ones.
    #[test]
    fn ideal_time_is_bytes_over_bandwidth(m in kinds(), n in 1u64..100_000, b in 1u64..64, s in 0u32..10) {
        let sparsity = Sparsity::new(f64::from(s) / 10.0).expect("a fraction");
        let options = Options { sparsity, ..Options::default() };
        for scheme in ALL.iter().filter(|s| s.describe(&m, options).is_ok()) {
            let conditions = Conditions { options, ..Conditions::default() };
            let p = simulator_under(&ideal(), &m, scheme, &conditions).point(n, b);
            let t = p.traffic_bytes.expect("feasible");
            prop_assert_eq!(t.total(), t.weights + t.cache_read);
            let exact = Bandwidth(1_000_000_000_000).picos(t.total()).0;
            let got = p.seconds.expect("feasible").0.0;
            prop_assert!(got >= exact && got <= exact + 1, "{} against {}", got, exact);
        }
    }

    /// Skipped tokens save the multiply–accumulates of the weighted sum, and, where values are rows of their own, bytes: of a row that a KV
    /// head's g queries share, S^g.
    #[test]
    fn sparsity_saves_rows_and_products(m in shapes(), n in 1u64..5000, b in 1u64..5, s in 1u32..10) {
        let s = f64::from(s) / 10.0;
        let options = Options { sparsity: Sparsity::new(s).expect("a fraction"), ..Options::default() };
        for scheme in ALL.iter().filter(|s| s.describe(&m, options).is_ok()) {
            let conditions = Conditions { options, ..Conditions::default() };
            let full = simulator(&gpu(), &m, scheme.name).point(n, b);
            let sparse = simulator_under(&gpu(), &m, scheme, &conditions).point(n, b);
            let (Some(full_flops), Some(flops)) = (full.flops, sparse.flops) else { continue };
            let (e, h) = (m.query_width(), m.heads);
            let values = match scheme.name {
                "kv-cache" | "slim-k-recompute" | "slim-v" => 2 * e * n,
                "slim-x" => 2 * h * m.d_model * n,
                _ => 2 * h * e.max(m.d_model) * n,
            };
            let times = m.layers * b;
            let skipped = (full_flops.attention.0 - flops.attention.0) as f64;
            let expected = values as f64 * s * times as f64;
            prop_assert!((skipped - expected).abs() <= times as f64 + 1.0, "{}: {skipped} {expected}", scheme.name);
            prop_assert_eq!(full_flops.total().0 - flops.total().0, full_flops.attention.0 - flops.attention.0);
            let (full, sparse) = (full.traffic_bytes.unwrap(), sparse.traffic_bytes.unwrap());
            let group = (m.heads / m.kv_heads) as i32;
            let saved = (full.cache_read.0 - sparse.cache_read.0) as f64;
            let rows = if scheme.name == "kv-cache" { (2 * m.kv_heads * m.head_dim * n) as f64 } else { 0.0 };
            let expected = rows * s.powi(group) * times as f64;
            prop_assert!((saved - expected).abs() <= times as f64 + 1.0, "{}: {saved} {expected}", scheme.name);
        }
    }

    /// q query tokens: each attends to the context; rows are read once, weights once, new rows written for each.
    #[test]
    fn query_tokens_share_rows_and_weights(m in kinds(), n in 300u64..3000, b in 1u64..4, q in 2u64..300) {
        for scheme in ALL.iter().filter(|s| s.describe(&m, Options::default()).is_ok()) {
            let one = simulator(&ideal(), &m, scheme.name).point(n, b);
            let conditions = Conditions { query_tokens: q, ..Conditions::default() };
            let many = simulator_under(&ideal(), &m, scheme, &conditions).point(n, b);
            let (a, z) = (one.flops.unwrap(), many.flops.unwrap());
            prop_assert_eq!((a.projection.0 * q, a.attention.0 * q), (z.projection.0, z.attention.0));
            prop_assert_eq!((a.ffn.0 * q, a.lm_head.0 * q, a.recompute), (z.ffn.0, z.lm_head.0, z.recompute));
            let (a, z) = (one.traffic_bytes.unwrap(), many.traffic_bytes.unwrap());
            prop_assert_eq!((a.weights, a.cache_read), (z.weights, z.cache_read));
        }
    }
}

/// Queries in a row have windows that begin one token apart: a window of w tokens and q query tokens take w + q − 1 rows, a block of a
/// prompt's rows likewise.
#[test]
fn the_windows_of_several_query_tokens_reach_further_back() {
    let window = 1000;
    let m = Model { sliding_window: Some(window), ..model(8, 64, Position::None) };
    for (scheme, width) in
        [("kv-cache", 2 * m.d_model), ("slim-k", m.d_model), ("slim-k-recompute", m.d_model)]
    {
        let scheme = Scheme::find(scheme).expect("known");
        for q in [1, 2, 5, 700] {
            let conditions = Conditions { query_tokens: q, ..Conditions::default() };
            let mut s = simulator_under(&ideal(), &m, scheme, &conditions);
            for n in [700, 999, 1000, 1001, 1003, 1004, 1005, 5000] {
                let rows = n.min(window + q - 1);
                let p = s.point(n, 3);
                assert_eq!(p.traffic_bytes.unwrap().cache_read.0, 3 * m.layers * rows * width * 2, "{n} {q}");
                assert_eq!(p.capacity_bytes.cache_self.0, 3 * m.layers * rows * width * 2);
            }
        }
        let subject = subject(scheme, m.clone(), Precision::default());
        for (rows, longest) in [(1, window), (128, window + 127)] {
            let ops = workload::prefill(&subject, 5000, 0, rows, false, false);
            let attention = ops.iter().find_map(|op| match &op.work {
                Work::Attention(work) => Some(work.batch.longest()),
                _ => None,
            });
            assert_eq!(attention, Some(longest));
        }
    }
}

/// A mixture of experts reads those that its tokens choose, stores all, and computes with k of them.
#[test]
fn experts_are_read_as_they_are_hit() {
    let dense = model(16, 128, Position::None);
    let m = Model { d_ffn: 1024, moe: Some(Moe { experts: 64, active: 8 }), ..dense };
    let expert = 2 * 3 * m.d_model * m.d_ffn;
    let mut s = simulator(&ideal(), &m, "kv-cache");
    let (one, two, many) = (s.point(10, 1), s.point(10, 2), s.point(10, 4096));
    let weights = |p: &Point| p.traffic_bytes.unwrap().weights.0;
    assert_eq!(weights(&two) - weights(&one), m.layers * 7 * expert, "15 experts after 8");
    assert_eq!(weights(&many) - weights(&one), m.layers * 56 * expert);
    let rest = s.stored_weights().0 - weights(&many);
    assert_eq!(rest, 2 * m.vocab * m.d_model, "all but the embedding is read");
    let flops = 2 * (8 * 3 * m.d_model * m.d_ffn + m.d_model * 64) * m.layers;
    assert_eq!((one.flops.unwrap().ffn.0, two.flops.unwrap().ffn.0), (flops, 2 * flops));
}

/// GPT-2 XL has 1,557,611,200 parameters with norms, biases and positions, its tied embedding counted once.
#[test]
fn stored_weights_of_gpt_2_xl() {
    let bias = crate::model::AttentionBias { q: true, k: true, v: true, o: true };
    let m = Model {
        layers: 48,
        d_ffn: 6400,
        gated_ffn: false,
        ffn_bias: true,
        vocab: 50257,
        tied_embeddings: true,
        max_context: 1024,
        attention_bias: bias,
        norm: Norm::Layer,
        ..model(25, 64, Position::Learned)
    };
    assert_eq!(simulator(&ideal(), &m, "kv-cache").stored_weights(), Bytes(2 * 1_557_611_200));
}

/// Llama-2-7B has 6,738,415,616 parameters.
#[test]
fn stored_weights_of_llama_2_7b() {
    let m = Model { vocab: 32000, ..llama_7b() };
    assert_eq!(simulator(&ideal(), &m, "kv-cache").stored_weights(), Dtype::Bf16.bytes(6_738_415_616));
    assert_eq!(simulator(&ideal(), &m, "slim-k").stored_weights(), Dtype::Bf16.bytes(6_738_415_616));
}
