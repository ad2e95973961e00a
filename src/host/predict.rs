//! The same points, predicted by the ordinary engine: attention of one layer, and the product with W_KV.

use super::kernels::Scheme;
use super::measure::{Setting, Tier};
use crate::attention::{self, Conditions, Precision};
use crate::hardware::Accelerator;
use crate::hardware::kernel::{KernelProfile, Kind, Phase};
use crate::model::{AttentionBias, Model, Norm, NormSpan, Position};
use crate::step::Simulator;
use crate::units::{Dtype, Picos};
use crate::workload::Batch;
use std::sync::Arc;

/// Why a point cannot be predicted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PredictError {
    /// The accelerator has no profile of its own.
    #[error("'{0}' has no [kernel_profile]: 'slimsim host calibrate' writes one")]
    NoProfile(String),
    /// The engine refuses.
    #[error("{0}")]
    Refused(String),
}

/// What the simulator says of points on one machine.
#[derive(Debug)]
pub struct Predictor {
    accelerator: Accelerator,
    profile: Arc<KernelProfile>,
}

/// Operators of a step that the kernels here stand for.
const OPERATORS: [&str; 2] = ["attention", "kv_projection"];

impl Predictor {
    /// For a machine with a profile of its own.
    ///
    /// # Errors
    /// It has none.
    pub fn new(accelerator: &Accelerator) -> Result<Self, PredictError> {
        let Some(profile) = accelerator.own_kernels.clone() else {
            return Err(PredictError::NoProfile(accelerator.name.clone()));
        };
        Ok(Self { accelerator: accelerator.clone(), profile })
    }

    /// The machine that was calibrated, in a line.
    #[must_use]
    pub fn machine(&self) -> Option<&str> {
        self.profile.machine.as_deref()
    }

    /// The part of the machine that `setting` uses.
    ///
    /// With as many threads as cores take part. Where the bytes lie in the last-level cache, that is the outermost memory, and the streams
    /// that were measured from DRAM say nothing.
    fn part(&self, setting: &Setting) -> Accelerator {
        let mut part = self.accelerator.clone();
        part.cores.count = (setting.threads as u64).min(part.cores.count).max(1);
        let mut profile = KernelProfile::clone(&self.profile);
        if setting.threads == 1 {
            // One thread is called, not woken.
            part.overheads.launch = Picos(0);
            for kernel in &mut profile.kernels {
                kernel.constants.launch = Picos(0);
                kernel.constants.mac_fraction = None;
            }
        }
        if setting.tier == Tier::Cache && part.shared_sram.is_some() {
            part.hbm = None;
            profile.rates.retain(|r| r.phase != Phase::Stream);
            // So do those of weights, and what the baseline's arithmetic hides in its own.
            for kernel in &mut profile.kernels {
                kernel.constants.item_rate = None;
                kernel.constants.overlap = Some(part.overheads.overlap);
            }
        }
        part.kernels = Some(Arc::new(profile));
        part
    }

    /// Seconds of `scheme` at `setting`.
    ///
    /// # Errors
    /// In words, why the engine refuses.
    pub fn seconds(&self, setting: &Setting, scheme: Scheme) -> Result<f64, PredictError> {
        let refused = |error: String| PredictError::Refused(error);
        // Without them the engine would map freely, on a machine that no kernel reaches.
        let measured = |kind| self.profile.kernel(kind, setting.dtype, "").is_some();
        if !measured(Kind::Mha) || !measured(Kind::Gemm) {
            let dtype = setting.dtype.name();
            return Err(refused(format!("the accelerator's profile has no kernels of {dtype}")));
        }
        let part = self.part(setting);
        let model = model(setting);
        let scheme =
            attention::Scheme::find(scheme.name()).ok_or_else(|| refused(scheme.name().to_owned()))?;
        let conditions = Conditions::from(Precision { weights: setting.dtype, cache: setting.dtype });
        let mut simulator =
            Simulator::new(&part, &model, scheme, &conditions).map_err(|e| refused(e.to_string()))?;
        let batch = Batch::uniform(setting.shape.context as u64, setting.shape.batch as u64);
        let operators = simulator.operators(&batch).map_err(refused)?;
        let ours = operators.runs.iter().filter(|(name, ..)| OPERATORS.contains(name));
        Ok(ours.map(|(_, runs, cost)| *runs as f64 * cost.timeline.time.seconds()).sum())
    }

    /// Seconds by the roofline: all bytes at the bandwidth or all arithmetic at the peak, whichever is longer.
    #[must_use]
    pub fn roofline(&self, setting: &Setting, scheme: Scheme) -> Option<f64> {
        let part = self.part(setting);
        let (kept, weights) = (setting.cache_bytes() as f64, setting.weight_bytes() as f64);
        let shape = &setting.shape;
        let (rows, width) = ((shape.context * shape.batch) as f64, shape.width() as f64);
        let (heads, batch) = (shape.heads as f64, shape.batch as f64);
        let (bytes, macs) = match scheme {
            Scheme::KvCache => (2.0 * kept, 2.0 * rows * width),
            Scheme::SlimK => (kept + weights, rows * width * (heads + 1.0) + batch * width * width),
            Scheme::SlimKRecompute => (kept + weights, rows * width * (width + 2.0)),
        };
        // Each core takes its own share at most.
        let one = match setting.tier {
            Tier::Dram => self.one_core_stream(setting.dtype),
            Tier::Cache => part.cores.load_bandwidth.and_then(|b| b.resolve(part.clock)).map(|b| b.0 as f64),
        };
        let memory = part.memory_bandwidth()?.0 as f64;
        let bandwidth = match one {
            Some(one) => memory.min(one * part.cores.count as f64),
            // What one core takes of the memory was not measured.
            None if part.cores.count == 1 => return None,
            None => memory,
        };
        let peak = part.peak_macs_per_second(setting.dtype)? as f64;
        Some((bytes / bandwidth).max(macs / peak))
    }

    /// The fastest stream of one core from DRAM that was measured.
    fn one_core_stream(&self, dtype: Dtype) -> Option<f64> {
        let streams = self.profile.rates.iter().filter(|r| r.phase == Phase::Stream && r.dtype == dtype);
        streams.map(|r| r.per_second as f64).max_by(f64::total_cmp)
    }
}

/// A decoder of one layer that has the attention of `setting`.
fn model(setting: &Setting) -> Model {
    let shape = &setting.shape;
    let width = shape.width() as u64;
    Model {
        name: "one layer".to_owned(),
        layers: 1,
        d_model: width,
        heads: shape.heads as u64,
        kv_heads: shape.heads as u64,
        head_dim: shape.head_dim as u64,
        d_ffn: 16,
        gated_ffn: false,
        ffn_bias: false,
        vocab: 16,
        tied_embeddings: true,
        max_context: shape.context as u64,
        position: Position::None,
        rotary_fraction: 1.0,
        qk_norm: false,
        qk_norm_span: NormSpan::Row,
        clip_qkv: None,
        attention_bias: AttentionBias::default(),
        norm: Norm::NonParametric,
        norms_per_layer: 2,
        cache_layers: None,
        sliding_window: None,
        decode_steps: None,
        moe: None,
        encoder: None,
        mla: None,
        source: "a point of 'slimsim host measure'".to_owned(),
        note: None,
    }
}
