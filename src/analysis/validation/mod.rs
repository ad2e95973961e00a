//! Predictions held against measured kernels, beside the baselines that a sceptic would use.
//!
//! A row names a GPU, a framework and a kernel. The GPU is a preset; the kernel comes from the framework's profile on that GPU, or, where
//! there is none, from its profile on the machine whose cores are most like it. The row is then timed by the ordinary engine.

mod choice;
mod errors;

pub use choice::{ByName, likeness, preset_of};
pub use errors::{Errors, Spread};

use crate::analysis::calibration::{Task, rival_seconds};
use crate::hardware::Accelerator;
use crate::hardware::kernel::{Kernel, KernelProfile, Kind, LaunchPlusBytes, Residency};
use crate::step::kernel::KernelTimer;
use crate::trace::measured::{Column, Complaint, Measured, MeasuredTable, MeasuredWork, Regime};
use crate::units::{Bytes, Dtype};
use choice::{Choice, Chooser};
use rayon::prelude::*;
use rustc_hash::FxHashMap;

/// What is to be judged, and by what.
#[derive(Debug)]
pub struct Judge {
    /// Profiles to choose from.
    pub profiles: Vec<KernelProfile>,
    /// The machine that all rows are predicted for; `None`: that of each row's GPU.
    pub accelerator: Option<Accelerator>,
    /// Whether the only profile serves rows of every framework.
    pub any_framework: bool,
    /// The only framework whose rows are judged.
    pub framework: Option<String>,
    /// Where the rows' bytes lie.
    pub residency: Residency,
}

/// A prediction and what it is held against.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Verdict {
    /// Row of the table, from 0.
    pub row: usize,
    /// Which of [`Validation::groups`].
    pub group: usize,
    /// Measured seconds.
    pub measured: f64,
    /// Predicted seconds.
    pub predicted: f64,
    /// Seconds at the data sheet's rates: bytes over bandwidth, or FLOPs over peak, whichever takes longer.
    pub roofline: f64,
    /// Seconds of a launch and all bytes at a fitted part of the bandwidth.
    pub launch_plus_bytes: Option<f64>,
    /// Bytes of cache, or of weights.
    pub bytes: Bytes,
    /// What limits it by its size.
    pub regime: Regime,
}

/// Rows that one kernel predicts on one machine.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupOf {
    /// The GPU as the table calls it.
    pub gpu: String,
    /// The framework.
    pub framework: String,
    /// What is computed.
    pub kind: Kind,
    /// Type of the cache or the weights.
    pub dtype: Dtype,
    /// The profile.
    pub profile: String,
    /// The machine that the profile was fitted on, where that is another one.
    pub extrapolated_from: Option<String>,
    /// Bytes of the machine's shared SRAM.
    pub shared: Bytes,
}

/// Every row that could be judged.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Validation {
    /// In the table's order.
    pub verdicts: Vec<Verdict>,
    /// By their first row.
    pub groups: Vec<GroupOf>,
}

/// What predicts the rows of a group.
struct Predictor {
    timer: KernelTimer,
    accelerator: Accelerator,
    rival: Option<LaunchPlusBytes>,
}

/// What tells groups apart: numbers of GPU, framework and kernel, kind, type.
type Key = (u32, u32, u32, Kind, Dtype);

impl Judge {
    /// Judges every row of `table` that can be; others are left out of it, each for a reason.
    #[must_use]
    pub fn judge(&self, table: &mut MeasuredTable) -> Validation {
        let mut chooser = Chooser::new(self);
        let mut known: FxHashMap<Key, Result<usize, usize>> = FxHashMap::default();
        let mut refusals: Vec<choice::Refusal> = Vec::new();
        let mut groups: Vec<GroupOf> = Vec::new();
        let mut predictors: Vec<Predictor> = Vec::new();
        let mut rows: Vec<(usize, Measured, usize)> = Vec::with_capacity(table.outcomes.len());
        let mut left_out: Vec<(usize, usize)> = Vec::new();
        for (row, measured) in table.measured() {
            let kind = kind_of(measured.work);
            let key = (measured.gpu, measured.framework, measured.kernel, kind, measured.dtype);
            let found = known.entry(key).or_insert_with(|| {
                let name = ByName {
                    gpu: table.names.gpu(key.0),
                    framework: table.names.framework(key.1),
                    kernel: table.names.kernel(key.2),
                };
                match chooser.choose(&name, kind, measured.dtype) {
                    Ok(choice) => {
                        groups.push(group(&name, kind, measured.dtype, &choice));
                        predictors.push(self.predictor(choice));
                        Ok(groups.len() - 1)
                    }
                    Err(refusal) => {
                        refusals.push(refusal);
                        Err(refusals.len() - 1)
                    }
                }
            });
            match *found {
                Ok(group) => rows.push((row, *measured, group)),
                Err(refusal) => left_out.push((row, refusal)),
            }
        }
        for (row, refusal) in left_out {
            let refusal = &refusals[refusal];
            table.skip(row, refusal.column, refusal.reason, || refusal.complaint.clone());
        }
        let verdicts: Vec<Option<Verdict>> = rows
            .par_iter()
            .map(|(row, measured, group)| predictors[*group].verdict(*row, measured, *group))
            .collect();
        let mut kept = Vec::with_capacity(verdicts.len());
        for (verdict, (row, ..)) in verdicts.into_iter().zip(&rows) {
            match verdict {
                Some(verdict) => kept.push(verdict),
                None => table.skip(*row, Column::Context, "does not fit a core", || Complaint {
                    message: "a block of these rows does not fit a core's local SRAM".to_owned(),
                    expected: "rows that the kernel's blocks hold".to_owned(),
                    help: None,
                }),
            }
        }
        Validation { verdicts: kept, groups }
    }

    fn predictor(&self, choice: Choice) -> Predictor {
        let Kernel { policy, constants, rival, .. } = choice.kernel;
        let timer = KernelTimer::new(&choice.accelerator, policy, &constants, self.residency);
        Predictor { timer, accelerator: choice.accelerator, rival }
    }
}

fn group(name: &ByName<'_>, kind: Kind, dtype: Dtype, choice: &Choice) -> GroupOf {
    GroupOf {
        gpu: name.gpu.to_owned(),
        framework: name.framework.to_owned(),
        kind,
        dtype,
        profile: choice.profile.clone(),
        extrapolated_from: choice.extrapolated_from.clone(),
        shared: choice.accelerator.shared_sram.as_ref().and_then(|s| s.capacity).unwrap_or(Bytes::ZERO),
    }
}

impl Predictor {
    fn verdict(&self, row: usize, measured: &Measured, group: usize) -> Option<Verdict> {
        let task = task_of(measured);
        let predicted = task.seconds(&self.timer)?;
        let bytes = task.bytes();
        let bandwidth = self.accelerator.memory_bandwidth();
        let shared = self.accelerator.shared_sram.as_ref().and_then(|s| s.capacity).unwrap_or(Bytes::ZERO);
        Some(Verdict {
            row,
            group,
            measured: measured.latency.seconds(),
            predicted,
            roofline: roofline(&self.accelerator, &task, measured.dtype),
            launch_plus_bytes: self.rival.and_then(|r| Some(rival_seconds(&r, bytes, bandwidth?))),
            bytes,
            regime: measured.regime.unwrap_or_else(|| regime_of(bytes, shared)),
        })
    }
}

/// Seconds at the data sheet's rates.
fn roofline(accelerator: &Accelerator, task: &Task, dtype: Dtype) -> f64 {
    let by_bytes = accelerator.memory_bandwidth().map_or(0.0, |b| task.bytes().as_f64() / b.0 as f64);
    let by_macs = accelerator.peak_macs_per_second(dtype).map_or(0.0, |p| task.macs() as f64 / p as f64);
    by_bytes.max(by_macs)
}

/// What limits a kernel by the bytes that it reads again and again, as the authors of the measurements divide it.
fn regime_of(bytes: Bytes, shared: Bytes) -> Regime {
    if bytes.0 < 1_000_000 {
        Regime::Launch
    } else if bytes.0 < shared.0 / 2 {
        Regime::L2
    } else if bytes.0 < shared.0 * 2 {
        Regime::Transition
    } else {
        Regime::Hbm
    }
}

/// What kind of kernel computes `work`.
#[must_use]
pub const fn kind_of(work: MeasuredWork) -> Kind {
    match work {
        MeasuredWork::Attention { heads, kv_heads, .. } if heads == kv_heads => Kind::Mha,
        MeasuredWork::Attention { .. } => Kind::Gqa,
        MeasuredWork::Latent { .. } => Kind::Mla,
        MeasuredWork::Gemm { .. } => Kind::Gemm,
    }
}

/// What was computed, ready to be timed.
#[must_use]
pub fn task_of(measured: &Measured) -> Task {
    let dtype = measured.dtype;
    match measured.work {
        MeasuredWork::Attention { batch, heads, kv_heads, head_dim, context } => {
            Task::of_heads(heads, kv_heads, head_dim, dtype, context, batch)
        }
        MeasuredWork::Latent { batch, heads, latent_dim, rope_dim, context } => {
            Task::of_latent_rows(heads, latent_dim, rope_dim, dtype, context, batch)
        }
        MeasuredWork::Gemm { m, n, k } => Task::of_product(m, n, k, dtype),
    }
}
