//! Models and ways to use a scheme, drawn for the property tests: decoders and encoder–decoders, whatever a user can choose.

use super::fixtures::{model, simulator_under, subject_under};
use crate::attention::{ALL, Conditions, Options, Precision, QkNorm, Rotation, Scheme, Sparsity};
use crate::hardware::Accelerator;
use crate::model::{AttentionBias, Encoder, Model, Norm, NormSpan, Position};
use crate::step::Simulator;
use crate::units::Dtype;
use crate::workload::Subject;
use proptest::prelude::*;
use std::num::NonZeroU64;

/// A scheme on a model that admits it, and the conditions that both stand under.
#[derive(Debug, Clone)]
pub(super) struct Case {
    pub(super) model: Model,
    pub(super) conditions: Conditions,
    pub(super) scheme: &'static Scheme,
}

impl Case {
    pub(super) fn simulator(&self, accelerator: &Accelerator) -> Simulator {
        simulator_under(accelerator, &self.model, self.scheme, &self.conditions)
    }

    pub(super) fn subject(&self) -> Subject {
        subject_under(self.scheme, self.model.clone(), &self.conditions)
    }

    /// A context of at least the query tokens, which it counts.
    pub(super) fn context(&self, n: u64) -> u64 {
        n.max(self.conditions.query_tokens)
    }

    /// Picoseconds of a step, or the longest time where it is infeasible.
    pub(super) fn picos(&self, accelerator: &Accelerator, n: u64, b: u64) -> u64 {
        self.simulator(accelerator).point(self.context(n), b).seconds.map_or(u64::MAX, |s| s.0.0)
    }
}

fn encoder() -> impl Strategy<Value = Encoder> {
    (1u64..3_000, any::<bool>()).prop_map(|(tokens, gated_ffn)| Encoder {
        layers: 2,
        tokens,
        d_ffn: 256,
        gated_ffn,
        reads_prompt: false,
    })
}

/// A small model: a decoder, or one time in three an encoder–decoder.
fn small_model() -> impl Strategy<Value = Model> {
    let shape = (1u32..6, prop::sample::select(vec![32u64, 64, 128]), 0u32..2);
    let position =
        prop::sample::select(vec![Position::Rope, Position::Rope, Position::None, Position::RelativeBias]);
    let norms = (
        prop::sample::select(vec![Norm::Rms, Norm::FlashRms, Norm::Layer, Norm::NonParametric]),
        prop::option::weighted(0.25, prop::sample::select(vec![NormSpan::Row, NormSpan::Head])),
    );
    let window = prop::option::weighted(0.2, 16u64..8_000);
    let rare = (prop::option::weighted(0.33, encoder()), window, prop::bool::weighted(0.25), any::<bool>());
    (shape, position, norms, rare).prop_map(
        |((h, dk, grouped), position, (norm, qk_norm), (encoder, sliding_window, bias, whole))| {
            let heads = 1 << h;
            let base = model(heads, dk, position);
            Model {
                vocab: 1000,
                layers: 3,
                kv_heads: if whole { heads } else { heads >> grouped },
                rotary_fraction: if whole { 1.0 } else { 0.5 },
                norm,
                norms_per_layer: if encoder.is_some() { 3 } else { 2 },
                qk_norm: qk_norm.is_some(),
                qk_norm_span: qk_norm.unwrap_or(base.qk_norm_span),
                attention_bias: AttentionBias { q: bias, k: bias, v: bias, o: bias },
                sliding_window,
                encoder,
                ..base
            }
        },
    )
}

/// Conditions of all schemes together, with a cache type of its own for some of them.
fn conditions() -> impl Strategy<Value = Conditions> {
    let cache = || prop::sample::select(vec![Dtype::Bf16, Dtype::Fp8, Dtype::Int8, Dtype::Int4]);
    let options = (
        prop::sample::select(vec![Rotation::OnRead, Rotation::Kept]),
        prop::sample::select(vec![QkNorm::OnRead, QkNorm::Scale]),
        prop::sample::select(vec![0.0, 0.0, 0.25, 0.9, 0.999]),
        prop::option::weighted(0.33, (1u64..256).prop_map(|t| NonZeroU64::new(t).expect("at least one"))),
    );
    let queries = prop_oneof![2 => Just(1u64), 1 => 2u64..9, 1 => 9u64..130];
    let own = prop::collection::vec((0..ALL.len(), cache()), 0..3);
    (options, queries, prop::option::weighted(0.25, cache()), own).prop_map(
        |((rotation, qk_norm, sparsity, block_tokens), query_tokens, shared, own)| Conditions {
            precision: Precision { cache: shared.unwrap_or(Dtype::Bf16), ..Precision::default() },
            cache_of: own.into_iter().map(|(scheme, dtype)| (ALL[scheme].name, dtype)).collect(),
            options: Options {
                rotation,
                qk_norm,
                sparsity: Sparsity::new(sparsity).expect("a fraction below one"),
                block_tokens,
            },
            query_tokens,
            plan: None,
        },
    )
}

/// Any scheme that the model admits under the conditions, all of them alike.
pub(super) fn case() -> impl Strategy<Value = Case> {
    (small_model(), conditions(), any::<prop::sample::Index>()).prop_map(|(model, conditions, which)| {
        let admitted: Vec<&'static Scheme> =
            ALL.iter().filter(|s| s.describe(&model, conditions.options).is_ok()).collect();
        let scheme = *which.get(&admitted);
        Case { scheme, model, conditions }
    })
}

/// The strategy reaches what it is there for: every scheme but latent attention's own, on both kinds of model, and every choice.
#[test]
fn every_choice_is_drawn() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let drawn: Vec<Case> =
        (0..1000).map(|_| case().new_tree(&mut runner).expect("no filter").current()).collect();
    let some = |what: &dyn Fn(&Case) -> bool| drawn.iter().filter(|c| what(c)).count();
    for scheme in ALL.iter().filter(|s| s.name != "mla") {
        for (kind, with) in [("decoder", false), ("encoder–decoder", true)] {
            let of_encoder = ["slim-e", "slim-k1"].contains(&scheme.name);
            if with || !of_encoder {
                let found = some(&|c| c.scheme == scheme && c.model.encoder.is_some() == with);
                assert!(found > 5, "{} on a {kind}: {found}", scheme.name);
            }
        }
    }
    assert!(some(&|c| !c.conditions.options.sparsity.is_none() && c.conditions.query_tokens > 1) > 50);
    assert!(some(&|c| c.conditions.precision_of(c.scheme).cache != Dtype::Bf16) > 50);
    assert!(some(&|c| c.conditions.options.rotation == Rotation::Kept && c.scheme.name == "slim-k") > 10);
    assert!(
        some(&|c| c.model.qk_norm
            && c.conditions.options.qk_norm == QkNorm::Scale
            && c.scheme.name != "kv-cache")
            > 10
    );
    for norm in [Norm::Rms, Norm::FlashRms, Norm::Layer, Norm::NonParametric] {
        assert!(some(&|c| c.model.norm == norm) > 50, "{norm:?}");
    }
}
