//! Useful FLOPs and compulsory bytes equal the closed forms of the schemes exactly, whatever the machine.

use super::fixtures::*;
use crate::attention::Precision;
use crate::hardware::Accelerator;
use crate::model::{Model, Norm, Position};
use crate::step::Point;
use crate::units::{Bandwidth, Bytes, Dtype};
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

/// (projection, attention, recompute) per token and layer, of the interface's table.
fn closed_flops(m: &Model, scheme: &str, n: u64) -> (u64, u64, u64) {
    let (d, e, h, dk) = (m.d_model, m.query_width(), m.heads, m.head_dim);
    match scheme {
        "kv-cache" => (4 * d * e + 4 * d * m.kv_heads * dk, 4 * n * e, 0),
        "slim-k" => (6 * d * e + 2 * e * e, 2 * n * e * (h + 1), 0),
        _ => (6 * d * e, 4 * n * e, 2 * n * e * e),
    }
}

fn check(p: &Point, m: &Model, scheme: &str, n: u64, b: u64, precision: Precision, free: bool) {
    let flops = p.flops.expect("feasible");
    let (projection, attention, recompute) = closed_flops(m, scheme, n);
    let times = b * m.layers;
    assert_eq!(flops.projection.0, projection * times);
    assert_eq!(flops.attention.0, attention * times);
    assert_eq!(flops.recompute.0, recompute * times);
    let up = if m.gated_ffn { 3 } else { 2 };
    assert_eq!(flops.ffn.0, 2 * up * m.d_model * m.d_ffn * times);
    assert_eq!(flops.lm_head.0, 2 * m.d_model * m.vocab * b);
    let kept = if scheme == "kv-cache" { 2 * m.kv_heads * m.head_dim } else { m.query_width() };
    let traffic = p.traffic_bytes.expect("feasible");
    let row = precision.cache.bytes(kept).0;
    assert_eq!(traffic.cache_read.0, row * n * times);
    assert_eq!(traffic.cache_write.0, if free { 0 } else { row * times });
    let (d, e) = (m.d_model, m.query_width());
    let kv = m.kv_heads * m.head_dim;
    let attention_weights = if scheme == "kv-cache" { 2 * d * e + 2 * d * kv } else { 3 * d * e + e * e };
    let ffn_bias = if m.ffn_bias { (up - 1) * m.d_ffn + d } else { 0 };
    let norm = m.norm.parameters(d);
    let layer = attention_weights + up * d * m.d_ffn + ffn_bias + 2 * norm;
    let read = precision.weights.bytes(m.layers * layer + d * m.vocab + norm).0;
    assert_eq!(traffic.weights.0, read);
    let bandwidth = p.bounds_seconds.expect("feasible").bandwidth.0;
    assert!(p.seconds.expect("feasible").0 >= bandwidth);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn on_every_machine(m in shapes(), n in 1u64..5000, b in 1u64..9, which in 0usize..3) {
        let machines: [Accelerator; 3] = [ideal(), gpu(), tpu()];
        for scheme in ["kv-cache", "slim-k", "slim-k-recompute"] {
            if scheme != "kv-cache" && m.kv_heads != m.heads {
                continue;
            }
            let p = simulator(&machines[which], &m, scheme).point(n, b);
            check(&p, &m, scheme, n, b, Precision::default(), which == 0);
        }
    }

    /// Time on the ideal machine is weights and cache reads over bandwidth, nothing else; ratios are the paper's memory-bound ones.
    #[test]
    fn ideal_time_is_bytes_over_bandwidth(m in shapes(), n in 1u64..100_000, b in 1u64..64) {
        for scheme in ["kv-cache", "slim-k", "slim-k-recompute"] {
            if scheme != "kv-cache" && m.kv_heads != m.heads {
                continue;
            }
            let p = simulator(&ideal(), &m, scheme).point(n, b);
            let t = p.traffic_bytes.expect("feasible");
            prop_assert_eq!(t.total(), t.weights + t.cache_read);
            let exact = Bandwidth(1_000_000_000_000).picos(t.total()).0;
            let got = p.seconds.expect("feasible").0.0;
            prop_assert!(got >= exact && got <= exact + 1, "{} against {}", got, exact);
        }
    }
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
