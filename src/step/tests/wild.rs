//! Machines and models from a seed, odd ones among them: presets with a few figures changed, and machines made up whole.

use std::num::NonZeroU64;

use super::fixtures::*;
use super::parts;
use crate::attention::{ALL, Conditions, Options, QkNorm, Rotation, Scheme, Sparsity};
use crate::config::{Overrides, PresetKind, load_accelerator, preset_names};
use crate::hardware::Accelerator;
use crate::hardware::hbm::Hbm;
use crate::hardware::interconnect::Cluster;
use crate::hardware::mac_array::{Dataflow, MacArray};
use crate::hardware::sram::{OnChipBandwidth, Sram};
use crate::hardware::vector_unit::VectorUnit;
use crate::model::{AttentionBias, Encoder, Mla, Model, Moe, Norm, NormSpan, Position};
use crate::units::{Bandwidth, Bytes, Dtype, Hertz, Picos};

/// A small generator of its own: the same cases on every platform.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Dice for what was added later: cases that were found with a seed stay as they were.
    pub(super) const fn apart(&self) -> Self {
        Self(self.0 ^ 0x5DEE_CE66_D1CE_4E5B)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// From `low` to `high`, both included.
    pub(super) fn range(&mut self, low: u64, high: u64) -> u64 {
        low + self.next() % (high - low + 1)
    }

    /// From `low` to `high`, all magnitudes alike.
    pub(super) fn log(&mut self, low: u64, high: u64) -> u64 {
        let u = (self.next() >> 11) as f64 / (1u64 << 53) as f64;
        let x = (low as f64).ln() + u * ((high as f64).ln() - (low as f64).ln());
        (x.exp().round() as u64).clamp(low, high)
    }

    pub(super) fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[(self.next() % of.len() as u64) as usize]
    }

    /// True once in `n`.
    pub(super) fn once_in(&mut self, n: u64) -> bool {
        self.next().is_multiple_of(n)
    }
}

fn array(dice: &mut Dice) -> MacArray {
    match dice.range(0, 6) {
        0 => MacArray::Ideal,
        1..=3 => {
            let (rows, columns) = (dice.pick(&[8, 16, 96, 128, 256]), dice.pick(&[16, 48, 128, 256]));
            let count = dice.range(1, 5);
            MacArray::Systolic {
                rows,
                columns,
                count,
                dataflow: dice.pick(&[Dataflow::WeightStationary, Dataflow::OutputStationary]),
                macs_per_cycle: vec![(Dtype::Bf16, rows * columns * count * dice.range(1, 2))],
            }
        }
        _ => MacArray::DotProduct {
            m: dice.pick(&[1, 16, 64, 320]),
            n: dice.pick(&[1, 8, 24]),
            k: dice.pick(&[1, 16, 32, 320]),
            latency: dice.range(0, 64),
            macs_per_cycle: vec![(Dtype::Bf16, dice.log(16, 1 << 18))],
        },
    }
}

/// A machine made up whole.
pub(super) fn made_up(dice: &mut Dice) -> Accelerator {
    let mut a = gpu();
    a.clock = Hertz(dice.log(100_000_000, 4_000_000_000));
    let per_cycle = |dice: &mut Dice, low, high| OnChipBandwidth::PerCycle(dice.log(low, high));
    let c = &mut a.cores;
    c.count = if dice.once_in(6) { 1 } else { dice.log(1, 300) };
    c.mac_array = array(dice);
    c.accumulators = (!dice.once_in(3)).then(|| Bytes(dice.log(1 << 10, 1 << 22)));
    let lanes = dice.log(1, 8192);
    c.vector_unit = if dice.once_in(6) {
        VectorUnit::Ideal
    } else {
        VectorUnit::Lanes { lanes, exp_per_cycle: lanes.div_ceil(8), rotate_ops: 6 }
    };
    c.sram = Sram {
        capacity: (!dice.once_in(6)).then(|| Bytes(dice.log(1 << 14, 1 << 27))),
        bandwidth: if dice.once_in(6) { OnChipBandwidth::Ideal } else { per_cycle(dice, 16, 1 << 14) },
        banks: dice.once_in(4).then(|| dice.range(1, 32)),
    };
    c.bytes_in_flight = dice.once_in(2).then(|| Bytes(dice.log(1 << 10, 1 << 20)));
    c.cluster = dice.once_in(2).then(|| Cluster {
        max_size: dice.range(1, 20),
        bandwidth: per_cycle(dice, 4, 256),
        barrier: Picos(dice.log(1, 1_000_000)),
        multicast: dice.once_in(2),
    });
    a.shared_sram = (!dice.once_in(3)).then(|| Sram {
        capacity: Some(Bytes(dice.log(1 << 16, 1 << 28))),
        bandwidth: OnChipBandwidth::PerSecond(Bandwidth(dice.log(1 << 33, 1 << 45))),
        banks: None,
    });
    let mut apart = dice.apart();
    a.hbm = (!dice.once_in(8)).then(|| Hbm {
        bandwidth: Bandwidth(dice.log(1 << 30, 1 << 43)),
        capacity: None,
        latency: Picos(if dice.once_in(4) { 0 } else { dice.log(1_000, 2_000_000) }),
        // Half of the presets that the other machines start from have some.
        parts: apart.once_in(4).then(|| parts::drawn(&mut apart)),
    });
    if a.hbm.is_none() && a.cores.sram.capacity.is_none() && dice.once_in(2) {
        a.shared_sram = None;
    }
    let o = &mut a.overheads;
    let mut some = |high: u64| Picos(if dice.once_in(3) { 0 } else { dice.log(1_000, high) });
    (o.launch, o.work_item, o.barrier) = (some(3_000_000), some(1_000_000), some(2_000_000));
    o.prefetch_weights = dice.once_in(2);
    o.overlap = dice.pick(&[0.0, 0.6, 1.0, 1.0]);
    a.energy.mac_pj = vec![(Dtype::Fp32, 1.0), (Dtype::Bf16, 0.7)];
    a
}

/// A preset, with up to three of its figures changed by up to a factor of sixteen.
pub(super) fn preset(dice: &mut Dice) -> Accelerator {
    let names: Vec<&str> = preset_names(PresetKind::Accelerator).collect();
    let mut a = load_accelerator(dice.pick(&names), &Overrides::default()).expect("presets load");
    for _ in 0..dice.range(0, 3) {
        let factor = dice.log(1, 256);
        let scale = |x: u64| ((u128::from(x) * u128::from(factor)) / 16).clamp(1, 1 << 60) as u64;
        match dice.range(0, 8) {
            0 => a.cores.count = scale(a.cores.count),
            1 => a.cores.sram.capacity = a.cores.sram.capacity.map(|c| Bytes(scale(c.0))),
            2 => a.cores.accumulators = a.cores.accumulators.map(|c| Bytes(scale(c.0))),
            3 => a.clock = Hertz(scale(a.clock.0)),
            4 => {
                if let Some(h) = &mut a.hbm {
                    h.bandwidth = Bandwidth(scale(h.bandwidth.0));
                }
            }
            5 => {
                if let Some(h) = &mut a.hbm {
                    h.latency = Picos(scale(h.latency.0));
                }
            }
            6 => {
                if let Some(s) = &mut a.shared_sram {
                    s.capacity = s.capacity.map(|c| Bytes(scale(c.0)));
                }
            }
            7 => a.overheads.overlap = 0.7,
            _ => {
                a.overheads.launch = Picos(0);
                a.overheads.work_item = Picos(0);
                a.overheads.barrier = Picos(0);
            }
        }
    }
    a
}

/// Either.
pub(super) fn accelerator(dice: &mut Dice) -> Accelerator {
    if dice.once_in(2) { preset(dice) } else { made_up(dice) }
}

/// A small model whose heads are often no power of two.
pub(super) fn network(dice: &mut Dice) -> Model {
    let heads: u64 = dice.pick(&[1, 2, 3, 4, 5, 8, 12, 16, 20, 25, 32, 40]);
    let head_dim = dice.pick(&[16, 64, 80, 96, 128]);
    let position = dice.pick(&[Position::Rope, Position::Rope, Position::None, Position::Learned]);
    let divisors: Vec<u64> = (1..=heads).filter(|k| heads.is_multiple_of(*k)).collect();
    let kv_heads = if dice.once_in(3) { dice.pick(&divisors) } else { heads };
    let base = odd(dice, model(heads, head_dim, position));
    Model {
        layers: 3,
        kv_heads: if base.mla.is_some() { heads } else { kv_heads },
        vocab: dice.pick(&[100, 1000, 32000]),
        rotary_fraction: dice.pick(&[0.25, 1.0]),
        gated_ffn: dice.once_in(2),
        norm: dice.pick(&[Norm::Rms, Norm::Rms, Norm::Layer, Norm::FlashRms]),
        sliding_window: dice.once_in(5).then(|| dice.log(16, 8192)),
        ..base
    }
}

/// The same model, at times with a feature that not all models have.
fn odd(dice: &mut Dice, base: Model) -> Model {
    let d = base.d_model;
    match dice.range(0, 15) {
        0 => Model { d_model: (d * dice.range(4, 9) / 8).max(1), ..base },
        1 => Model { qk_norm: true, qk_norm_span: dice.pick(&[NormSpan::Row, NormSpan::Head]), ..base },
        2 => Model { attention_bias: AttentionBias { q: true, k: true, v: true, o: true }, ..base },
        3 => Model { cache_layers: Some(1), ..base },
        4 => Model { moe: Some(Moe { experts: dice.range(2, 70), active: dice.range(1, 2) }), ..base },
        5 => {
            let latent_dim = dice.pick(&[64, 512]);
            let query_latent_dim = dice.once_in(2).then_some(96);
            Model { mla: Some(Mla { latent_dim, rope_dim: dice.pick(&[16, 64]), query_latent_dim }), ..base }
        }
        6 | 7 => {
            let encoder = Encoder {
                layers: 2,
                tokens: dice.log(1, 3000),
                d_ffn: 2 * d,
                gated_ffn: false,
                reads_prompt: dice.once_in(2),
            };
            let position = dice.pick(&[Position::RelativeBias, Position::Learned, base.position]);
            Model { encoder: Some(encoder), norms_per_layer: 3, position, ..base }
        }
        _ => base,
    }
}

/// How schemes are used: as a rule plainly.
pub(super) fn conditions(dice: &mut Dice) -> Conditions {
    let mut apart = dice.apart();
    let sparsity = if dice.once_in(4) { dice.pick(&[0.25, 0.5, 0.9, 0.999]) } else { 0.0 };
    Conditions {
        options: Options {
            rotation: dice.pick(&[Rotation::OnRead, Rotation::OnRead, Rotation::Kept]),
            qk_norm: dice.pick(&[QkNorm::OnRead, QkNorm::Scale]),
            sparsity: Sparsity::new(sparsity).expect("a fraction"),
            block_tokens: apart.once_in(3).then(|| apart.log(1, 256)).and_then(NonZeroU64::new),
        },
        query_tokens: if dice.once_in(4) { dice.log(1, 200) } else { 1 },
        ..Conditions::default()
    }
}

/// A scheme that `model` admits under `conditions`; `kv-cache` now and then, `slim-k` as often as all others.
pub(super) fn scheme(dice: &mut Dice, model: &Model, conditions: &Conditions) -> &'static Scheme {
    let admitted: Vec<&'static Scheme> =
        ALL.iter().filter(|s| s.describe(model, conditions.options).is_ok()).collect();
    let slim = admitted.iter().find(|s| s.name == "slim-k");
    match slim {
        Some(slim) if dice.once_in(2) => slim,
        _ => dice.pick(&admitted),
    }
}

/// Cases to run: `usual`, or what `SLIMSIM_CASES` says.
pub(super) fn cases(usual: u64) -> u64 {
    std::env::var("SLIMSIM_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(usual)
}

/// The first seed: 0, or what `SLIMSIM_SEED` says.
pub(super) fn first_seed() -> u64 {
    std::env::var("SLIMSIM_SEED").ok().and_then(|n| n.parse().ok()).unwrap_or(0)
}
