//! What published measurements say of precision: whether K, V or X can be kept in a type and the rest be rebuilt from it.
//!
//! An inverse that exists can still be useless: W_K of whisper-small's cross-attention has condition numbers of 10⁴ to 10⁷, and
//! entries of W_KV up to 3.9·10⁵, beyond fp16. Source: public threads of OpenMachine-ai/transformer-tricks, the paper's repository, 2026:
//! cross-attention layers whose output on real speech deviates by less than 5 %.

use super::{Options, Scheme, Tensor};
use crate::model::Model;
use crate::units::Dtype;

/// Where the figures are from.
const SOURCE: &str = "github.com/OpenMachine-ai/transformer-tricks, public threads, 2026";

/// Layers that survive in one model, keeping one tensor.
struct Measured {
    model: &'static str,
    kept: Tensor,
    layers: u64,
    fp32: u64,
    fp16: u64,
    bf16: u64,
}

/// One line of [`MEASURED`].
#[rustfmt::skip]
const fn measured(model: &'static str, kept: Tensor, layers: u64, [fp32, fp16, bf16]: [u64; 3]) -> Measured {
    Measured { model, kept, layers, fp32, fp16, bf16 }
}

const MEASURED: [Measured; 9] = [
    measured("whisper-tiny", Tensor::K, 4, [4, 0, 0]),
    measured("whisper-tiny", Tensor::V, 4, [4, 4, 1]),
    measured("whisper-tiny", Tensor::X, 4, [4, 4, 4]),
    measured("whisper-small", Tensor::K, 12, [11, 0, 0]),
    measured("whisper-small", Tensor::V, 12, [12, 10, 1]),
    measured("whisper-small", Tensor::X, 12, [12, 12, 12]),
    measured("whisper-large-v3", Tensor::K, 32, [26, 0, 0]),
    measured("whisper-large-v3", Tensor::V, 32, [32, 15, 0]),
    measured("whisper-large-v3", Tensor::X, 32, [32, 32, 32]),
];

impl Measured {
    /// Layers that survive in `dtype`; of types narrower than 16 bits, which were not measured, at most those of bf16.
    const fn survive(&self, dtype: Dtype) -> u64 {
        match dtype {
            Dtype::Fp32 => self.fp32,
            Dtype::Fp16 => self.fp16,
            Dtype::Bf16 | Dtype::Fp8 | Dtype::Int8 | Dtype::Int4 => self.bf16,
        }
    }
}

/// A warning where measurements on the model, or on one of its kind, say that `scheme` does not survive a cache of type `dtype`.
/// `None` where it does, and where nothing is published: of decoder-only models nothing is.
#[must_use]
pub fn warning(model: &Model, scheme: &Scheme, options: Options, dtype: Dtype) -> Option<String> {
    model.encoder?;
    let layout = scheme.describe(model, options).ok()?;
    let rows = layout.kinds.iter().filter_map(|k| k.cross.as_ref()).flat_map(|c| &c.kept);
    let kept: Vec<Tensor> = rows.map(|k| k.tensor).collect();
    // Both K and V, and nothing is rebuilt; else the first is what all is rebuilt from.
    let &[tensor, ..] = kept.as_slice() else { return None };
    if kept.contains(&Tensor::K) && kept.contains(&Tensor::V) {
        return None;
    }
    let of = |m: &&Measured| m.kept == tensor;
    let same = MEASURED.iter().filter(of).find(|m| m.model == model.name);
    let most = same.or_else(|| MEASURED.iter().filter(of).find(|m| m.model == "whisper-small"))?;
    let survive = most.survive(dtype);
    if survive == most.layers {
        return None;
    }
    let bits = if dtype.bits() < 16 { " (measured in bf16; nothing narrower was)" } else { "" };
    let ways = match tensor {
        Tensor::K => format!(
            "; in fp32 {} survive, and K in fp32 takes as many bytes as K and V in 16 bits; keeping the encoder's output (slim-e) survives bf16",
            most.fp32
        ),
        Tensor::V => {
            format!("; in fp32 {} survive; keeping the encoder's output (slim-e) survives bf16", most.fp32)
        }
        _ => String::new(),
    };
    Some(format!(
        "{} keeping {tensor:?} of cross-attention in {dtype}{bits}: on {}, {survive} of {} layers keep their output within 5 %{ways} ({SOURCE})",
        scheme.name, most.model, most.layers
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attention::tests::mha;
    use crate::model::{Encoder, Position};

    #[test]
    fn what_was_measured_is_said_and_nothing_else() {
        let encoder = Encoder { layers: 2, tokens: 10, d_ffn: 128, gated_ffn: false, reads_prompt: false };
        let model = Model {
            name: "whisper-large-v3".into(),
            encoder: Some(encoder),
            position: Position::Learned,
            ..mha()
        };
        let said = |scheme: &str, dtype| {
            warning(&model, Scheme::find(scheme).expect("known"), Options::default(), dtype)
        };
        assert!(
            said("slim-k", Dtype::Bf16).is_some_and(|w| w.contains("0 of 32") && w.contains("26 survive"))
        );
        assert!(said("slim-k", Dtype::Fp32).is_some_and(|w| w.contains("26 of 32")));
        assert!(said("slim-v", Dtype::Fp16).is_some_and(|w| w.contains("15 of 32")));
        assert!(said("slim-v", Dtype::Fp32).is_none());
        assert!(said("slim-k1", Dtype::Fp16).is_some());
        for scheme in ["slim-e", "slim-x", "kv-cache"] {
            assert_eq!(said(scheme, Dtype::Bf16), None, "{scheme}");
        }
        assert!(said("slim-k", Dtype::Int8).is_some_and(|w| w.contains("nothing narrower")));
        let slim = Scheme::find("slim-k").expect("known");
        assert_eq!(warning(&mha(), slim, Options::default(), Dtype::Bf16), None);
    }
}
