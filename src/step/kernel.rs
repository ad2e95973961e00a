//! Times single kernels under a profile: the same tile programs and engine as a step, laid out as the kernel lays them out.

use crate::engine::{self, Timeline};
use crate::hardware::Accelerator;
use crate::hardware::kernel::{Constants, KernelProfile, Kind, Policy, Residency, Tiling};
use crate::mapping::Cause;
use crate::mapping::attention::Shape as AttentionShape;
use crate::mapping::kernel::{self, Layout, ProductLayout, found_on_chip};
use crate::mapping::machine::Machine;
use crate::mapping::product::{self, Shape as ProductShape};
use crate::units::{Bytes, Dtype, Femtos};
use crate::workload::{Batch, RowSource, Subject, Work};
use std::sync::Arc;

/// One kernel on one machine.
#[derive(Debug, Clone)]
pub struct KernelTimer {
    machine: Machine,
    policy: Policy,
    /// Bytes that stay in the shared SRAM when they are read again and again.
    reach: Option<Bytes>,
    /// The profile whose rates by shape hold, and the kernel's kind in it.
    measured: Option<(Arc<KernelProfile>, Kind)>,
}

impl KernelTimer {
    /// The kernel with `policy` and `constants` on `spec`, reading bytes that lie where `residency` says.
    #[must_use]
    pub fn new(spec: &Accelerator, policy: Policy, constants: &Constants, residency: Residency) -> Self {
        let capacity = spec.hbm.as_ref().and(spec.shared_sram.as_ref()).and_then(|s| s.capacity);
        let reach = capacity
            .filter(|_| residency == Residency::Hot)
            .map(|c| Bytes((c.as_f64() * constants.l2_reach.unwrap_or(1.0)) as u64));
        Self { machine: Machine::under(spec, constants), policy, reach, measured: None }
    }

    /// The kernel with `policy` in a decode step on `machine`, which is as it sees it.
    #[must_use]
    pub const fn on(machine: Machine, policy: Policy) -> Self {
        Self { machine, policy, reach: None, measured: None }
    }

    /// The same kernel with the rates by shape that `profile` has of its kind, if any.
    #[must_use]
    pub fn measured_by(self, profile: &Arc<KernelProfile>, kind: Kind) -> Self {
        let measured = (!profile.rates.is_empty()).then(|| (Arc::clone(profile), kind));
        Self { measured, ..self }
    }

    /// The machine that the kernel sees.
    #[must_use]
    pub const fn machine(&self) -> &Machine {
        &self.machine
    }

    /// How it cuts work.
    pub(super) const fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Part of `footprint` bytes that the shared SRAM still holds from the last time.
    fn found(&self, footprint: Bytes) -> f64 {
        self.reach.map_or(0.0, |reach| found_on_chip(reach, footprint))
    }

    /// Lays attention over `batch` out; `footprint` bytes are read or written in all.
    #[must_use]
    pub fn layout(&self, shape: &AttentionShape, batch: &Batch) -> Option<Layout> {
        let rows = shape.row * (shape.groups * batch.tokens());
        let beside = 2 * shape.groups * shape.queries * (shape.scores.macs() + shape.values.macs());
        let footprint = rows + Bytes(beside * batch.sequences());
        let found = self.found(footprint);
        match &self.measured {
            Some((profile, kind)) => {
                let machine = self.machine.achieving(profile, *kind, shape);
                kernel::attention(&machine, &self.policy, shape, batch, found)
            }
            None => kernel::attention(&self.machine, &self.policy, shape, batch, found),
        }
    }

    /// Time of attention over `batch`; `None` where a block of tokens does not fit a core.
    #[must_use]
    pub fn attention(&self, shape: &AttentionShape, batch: &Batch) -> Option<Femtos> {
        let layout = self.layout(shape, batch)?;
        Some(engine::time(&layout.program) + layout.behind.0)
    }

    /// The same with its causes.
    #[must_use]
    pub fn attention_by_cause(&self, shape: &AttentionShape, batch: &Batch) -> Option<(Layout, Timeline)> {
        let layout = self.layout(shape, batch)?;
        let mut timeline = engine::run(&layout.program);
        timeline += Timeline { time: layout.behind.0, causes: layout.behind.1 };
        Some((layout, timeline))
    }

    /// Time of a product under the fastest tiling that a library would choose from; `None` where no tile fits a core.
    #[must_use]
    pub fn product(&self, shape: &ProductShape) -> Option<Femtos> {
        self.fastest(shape).map(|(_, _, time)| time)
    }

    /// The same with the tiling and its causes.
    #[must_use]
    pub fn product_by_cause(&self, shape: &ProductShape) -> Option<(Tiling, Timeline)> {
        let (tiling, laid, _) = self.fastest(shape)?;
        let mut timeline = engine::run(&laid.program);
        timeline += Timeline::of(Cause::Overhead, laid.behind);
        Some((tiling, timeline))
    }

    /// Time and causes of a product, and what it moves.
    pub(super) fn timed(&self, shape: &ProductShape) -> Option<(Timeline, product::Spent)> {
        let (_, laid, _) = self.fastest(shape)?;
        let mut timeline = engine::run(&laid.program);
        timeline += Timeline::of(Cause::Overhead, laid.behind);
        Some((timeline, laid.spent))
    }

    /// The fastest tiling, its layout and its time.
    pub(super) fn fastest(&self, shape: &ProductShape) -> Option<(Tiling, ProductLayout, Femtos)> {
        let found = self.found(shape.weights + shape.input + shape.output);
        let (machine, policy) = (&self.machine, &self.policy);
        let mut best: Option<(Tiling, ProductLayout, Femtos)> = None;
        for tiling in kernel::tilings(policy, shape.product) {
            let to_beat = best.as_ref().map_or(Femtos(u64::MAX), |b| b.2);
            if kernel::product_bound(machine, policy, shape, tiling) >= to_beat {
                continue;
            }
            if let Some(laid) = kernel::product(machine, policy, shape, tiling, found) {
                let time = engine::time(&laid.program) + laid.behind;
                if time < to_beat {
                    best = Some((tiling, laid, time));
                }
            }
        }
        best
    }
}

/// The kind and type of kernel that serves `work` in a step under `profile`, and whether it also lays it out. Heads that share a row, each
/// scoring a slice of it, have a kernel of their own in profiles of machines that were measured with it; where a profile has none, and for
/// all other ways to share a row but latent attention's, the mapper finds the layout on a machine that achieves what kernels for latent rows
/// do. `None` for what no kernel of a profile bears on.
pub(super) fn kernel_of(
    profile: &KernelProfile,
    subject: &Subject,
    work: &Work,
) -> Option<(Kind, Dtype, bool)> {
    let cache = subject.precision.cache;
    match work {
        Work::Product(_) => Some((Kind::Gemm, subject.precision.weights, true)),
        Work::Attention(a) => match a.source {
            RowSource::Prompt | RowSource::Resident | RowSource::Rebuilt { .. } => None,
            RowSource::Cache | RowSource::CacheAgain
                if a.shared_row
                    && a.scores.slices > 1
                    && profile.kernel(Kind::SlimK, cache, "").is_some() =>
            {
                Some((Kind::SlimK, cache, a.queries == 1))
            }
            RowSource::Cache | RowSource::CacheAgain if a.shared_row => {
                let latent = a.scores.slices == 1 && a.value_row < a.score_row;
                Some((Kind::Mla, cache, latent && a.queries == 1))
            }
            RowSource::Cache | RowSource::CacheAgain if a.scores.heads > 1 => {
                Some((Kind::Gqa, cache, a.queries == 1))
            }
            RowSource::Cache | RowSource::CacheAgain => Some((Kind::Mha, cache, a.queries == 1)),
        },
        Work::Recompute(_) => Some((Kind::Gemm, subject.precision.weights, false)),
        Work::Lookup(_) | Work::Store(_) => None,
    }
}
