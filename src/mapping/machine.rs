//! The accelerator as the mapper uses it: rates resolved to bytes per second, and the time of each kind of access.

use super::{Cause, Causes};
use crate::hardware::Accelerator;
use crate::hardware::hbm::service::Service;
use crate::hardware::kernel::{Constants, Kernel, KernelProfile, Kind, Phase};
use crate::hardware::mac_array::{ArrayWork, Product, Stationary};
use crate::mapping::attention::Shape;
use crate::mapping::program::ArrayStage;
use crate::units::{Bandwidth, Bytes, Cycles, Dtype, Femtos, Picos, VectorOps};

/// An accelerator with resolved rates.
#[derive(Debug, Clone)]
pub struct Machine {
    /// The specification.
    pub spec: Accelerator,
    /// Of what intermediate results may take on chip, the bytes that something else holds.
    reserved: Bytes,
    /// Rate that the present stream achieves at the outermost memory.
    pub(super) memory: Option<Bandwidth>,
    /// Why that is less than its peak.
    service: Service,
    /// Its latency.
    pub(super) latency: Femtos,
    /// Rate of the shared SRAM, where it is not itself the outermost memory.
    pub(super) shared: Option<Bandwidth>,
    /// Rate of one core's local SRAM.
    pub(super) local: Option<Bandwidth>,
    /// What one core can load.
    pub(super) core: Option<Bandwidth>,
    /// What one core can receive from its cluster.
    pub(super) cluster: Option<Bandwidth>,
    /// Part of the array's peak that kernels achieve.
    mac_fraction: f64,
    /// What a measured kernel achieves at the present shape, instead of what the units' specifications say.
    achieved: Option<Achieved>,
}

/// Rates of one core that were measured at a shape, in units a second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Achieved {
    /// Multiply–accumulates of scores.
    scores: f64,
    /// Multiply–accumulates of weighted sums.
    values: f64,
    /// Exponentials of the softmax, everything around them included.
    exponentials: f64,
}

impl Achieved {
    /// Time of `amount` at `rate`.
    fn time(amount: u64, rate: f64) -> Femtos {
        Femtos((amount as f64 / rate * 1e15).ceil() as u64)
    }

    /// A product of so many multiply–accumulates at `rate`: it was measured as a whole, so that nothing is left to add.
    fn stage(macs: u64, rate: f64) -> ArrayStage {
        ArrayStage { stream: Self::time(macs, rate), ..ArrayStage::default() }
    }

    /// Scores.
    pub(super) fn scores(&self, macs: u64) -> ArrayStage {
        Self::stage(macs, self.scores)
    }

    /// Weighted sums.
    pub(super) fn values(&self, macs: u64) -> ArrayStage {
        Self::stage(macs, self.values)
    }

    /// Softmax over so many scores.
    pub(super) fn softmax(&self, scores: u64) -> Femtos {
        Self::time(scores, self.exponentials)
    }
}

/// Femtoseconds of a configured overhead.
fn femtos(time: Picos) -> Femtos {
    time.to_femtos().unwrap_or(Femtos(u64::MAX / 4))
}

impl Machine {
    /// Resolves `spec`.
    #[must_use]
    pub fn new(spec: &Accelerator) -> Self {
        let clock = spec.clock;
        let resolve = |s: crate::hardware::sram::OnChipBandwidth| s.resolve(clock);
        let machine = Self {
            memory: spec.memory_bandwidth(),
            service: Service::FLAT,
            latency: spec.memory_latency(),
            shared: spec.hbm.as_ref().and(spec.shared_sram.as_ref()).and_then(|s| resolve(s.bandwidth)),
            local: resolve(spec.cores.sram.bandwidth),
            core: spec.cores.load_bandwidth.and_then(resolve),
            cluster: spec.cores.cluster.and_then(|c| resolve(c.bandwidth)),
            mac_fraction: 1.0,
            achieved: None,
            spec: spec.clone(),
            reserved: Bytes::ZERO,
        };
        machine.reading(None)
    }

    /// `spec` as a kernel with `constants` sees it: what it achieves of the data sheet's rates, and its own overheads. The achieved part of
    /// the bandwidth stands for what a memory part would lose.
    #[must_use]
    pub fn under(spec: &Accelerator, constants: &Constants) -> Self {
        let mut spec = Accelerator { kernels: None, ..spec.clone() };
        let own = &mut spec.overheads;
        own.launch = constants.launch;
        own.work_item = constants.work_item.unwrap_or(own.work_item);
        own.barrier = constants.combine.unwrap_or(own.barrier);
        own.overlap = constants.overlap.unwrap_or(own.overlap);
        if let (Some(hbm), Some(fraction)) = (&mut spec.hbm, constants.memory_fraction) {
            hbm.parts = None;
            hbm.bandwidth = Bandwidth((hbm.bandwidth.0 as f64 * fraction).round().max(1.0) as u64);
        }
        let machine = Self::new(&spec);
        Self {
            core: constants.item_rate.map(|r| Bandwidth(r.max(1))).or(machine.core),
            mac_fraction: constants.mac_fraction.unwrap_or(1.0),
            ..machine
        }
    }

    /// The machine as the kernel of `profile` for that kind and type sees it within a decode step, and the kernel; `None` where the profile
    /// has none.
    #[must_use]
    pub fn in_a_step<'a>(
        &self,
        profile: &'a KernelProfile,
        kind: Kind,
        dtype: Dtype,
    ) -> Option<(Self, &'a Kernel)> {
        let kernel = profile.kernel(kind, dtype, "")?;
        let graph = profile.graph_launch(self.spec.overheads.launch);
        let launch = kernel.constants.launch.saturating_sub(graph);
        let machine = Self::under(&self.spec, &Constants { launch, ..kernel.constants });
        Some((Self { reserved: self.reserved, ..machine }, kernel))
    }

    /// The same machine as the kernel of `kind` in `profile` was measured to use it at `shape`: each phase at its rate, one core's stream from
    /// the outermost memory at its own, and as much of them at once as its walks showed. Phases that were not measured stay as the units' specifications have them: all three, or none.
    #[must_use]
    pub fn achieving(&self, profile: &KernelProfile, kind: Kind, shape: &Shape) -> Self {
        // Kernels take all heads of a token at once, however many rows these are kept in.
        let (heads, width) = (shape.groups * shape.heads(), shape.scores.width);
        let rate = |phase| profile.rate(phase, kind, shape.dtype, heads, width);
        let values = if kind == Kind::SlimK { Phase::Product } else { Phase::WeightedSums };
        let achieved = match (rate(Phase::Scores), rate(values), rate(Phase::Softmax)) {
            (Some(scores), Some(values), Some(exponentials)) => {
                // What all cores at work leave of what one alone achieves.
                let together = self.mac_fraction;
                Some(Achieved {
                    scores: scores * together,
                    values: values * together,
                    exponentials: exponentials * together,
                })
            }
            _ => None,
        };
        let stream = rate(Phase::Stream).map(|bytes| Bandwidth(bytes.max(1.0) as u64));
        let mut machine = Self { achieved, core: stream.or(self.core), ..self.clone() };
        if let Some(overlap) = profile.overlap(kind, shape.dtype, heads, width) {
            machine.spec.overheads.overlap = overlap;
        }
        machine
    }

    /// What a measured kernel achieves, where there is one.
    pub(super) const fn achieved(&self) -> Option<Achieved> {
        self.achieved
    }

    /// The same machine where the outermost memory is read `run` consecutive bytes at a time, from anywhere; `None`: all in turn.
    #[must_use]
    pub fn reading(&self, run: Option<Bytes>) -> Self {
        let Some(hbm) = &self.spec.hbm else { return self.clone() };
        let cores = &self.spec.cores;
        let in_flight = cores.bytes_in_flight.map(|b| Bytes(b.0.saturating_mul(cores.count)));
        let service = hbm.service(run, in_flight);
        let rate = Bandwidth(service.achieved(hbm.bandwidth.0).max(1));
        Self { memory: Some(rate), service, ..self.clone() }
    }

    /// Whether runs matter to the outermost memory: whether it is made of parts.
    #[must_use]
    pub fn has_parts(&self) -> bool {
        self.spec.hbm.as_ref().is_some_and(|h| h.parts.is_some())
    }

    /// Takes what waits for the outermost memory apart: its data bus, its row misses, its refreshes, too
    /// little under way.
    pub fn attribute(&self, causes: &mut Causes) {
        let all = causes.0[Cause::Bandwidth as usize];
        let split = self.service.split(all);
        causes.0[Cause::Bandwidth as usize] = split.data;
        causes.0[Cause::RowMiss as usize] += split.row_miss;
        causes.0[Cause::Refresh as usize] += split.refresh;
        causes.0[Cause::Latency as usize] += split.latency;
    }

    /// The same machine with `bytes` of what intermediate results may take on chip held by something else.
    #[must_use]
    pub fn reserving(&self, bytes: Bytes) -> Self {
        Self { reserved: bytes, ..self.clone() }
    }

    /// Cores.
    #[must_use]
    pub const fn cores(&self) -> u64 {
        self.spec.cores.count
    }

    /// Launch of an operator.
    #[must_use]
    pub fn launch(&self) -> Femtos {
        femtos(self.spec.overheads.launch)
    }

    /// A barrier over all cores.
    #[must_use]
    pub fn barrier(&self) -> Femtos {
        femtos(self.spec.overheads.barrier)
    }

    /// A barrier over a cluster.
    #[must_use]
    pub fn cluster_barrier(&self) -> Femtos {
        self.spec.cores.cluster.map_or(Femtos::ZERO, |c| femtos(c.barrier))
    }

    /// Latency of the outermost memory.
    #[must_use]
    pub const fn memory_latency(&self) -> Femtos {
        self.latency
    }

    /// Starting a wave of work items.
    #[must_use]
    pub fn work_item(&self) -> Femtos {
        femtos(self.spec.overheads.work_item)
    }

    /// Whether a shared SRAM stands between the memory and the cores.
    #[must_use]
    pub const fn has_shared(&self) -> bool {
        self.spec.hbm.is_some() && self.spec.shared_sram.is_some()
    }

    /// Bytes that intermediate results may take on chip, in the shared SRAM or, without one, in all local SRAMs together: half of
    /// it, the other half being the tiles in flight. `None` where unlimited.
    #[must_use]
    pub fn staging(&self) -> Option<Bytes> {
        let half = match &self.spec.shared_sram {
            Some(shared) => shared.capacity.map(|c| Bytes(c.0 / 2)),
            None => self.spec.cores.sram.capacity.map(|c| Bytes(c.0.saturating_mul(self.cores()) / 2)),
        };
        half.map(|h| h.saturating_sub(self.reserved))
    }

    /// Whether `bytes` of intermediate results stay on chip.
    #[must_use]
    pub fn stays_on_chip(&self, bytes: Bytes) -> bool {
        self.spec.free_activations || self.staging().is_none_or(|s| bytes <= s)
    }

    /// Bytes at the memory and at the shared SRAM when `one_way` bytes are written by some cores and read by others. What does not stay
    /// on chip passes through the shared SRAM all the same.
    #[must_use]
    pub fn there_and_back(&self, one_way: Bytes) -> (Bytes, Bytes) {
        if self.spec.free_activations || (self.spec.hbm.is_none() && self.cores() == 1) {
            return (Bytes::ZERO, Bytes::ZERO);
        }
        let both = one_way * 2;
        let shared = if self.has_shared() { both } else { Bytes::ZERO };
        let memory = if self.has_shared() && self.stays_on_chip(one_way) { Bytes::ZERO } else { both };
        (memory, shared)
    }

    /// Time of `bytes` at the outermost memory.
    #[must_use]
    pub fn memory_time(&self, bytes: Bytes) -> Femtos {
        self.memory.map_or(Femtos::ZERO, |r| r.time(bytes))
    }

    /// Time of `bytes` at the shared SRAM.
    #[must_use]
    pub fn shared_time(&self, bytes: Bytes) -> Femtos {
        self.shared.map_or(Femtos::ZERO, |r| r.time(bytes))
    }

    /// Time of `bytes` at one core's local SRAM.
    #[must_use]
    pub fn local_time(&self, bytes: Bytes) -> Femtos {
        self.local.map_or(Femtos::ZERO, |r| r.time(bytes))
    }

    /// Time of `bytes` received by one core from its cluster.
    #[must_use]
    pub fn cluster_time(&self, bytes: Bytes) -> Femtos {
        self.cluster.map_or(Femtos::ZERO, |r| r.time(bytes))
    }

    /// A load that takes `memory` bytes of all active cores together from the outermost memory and `shared` bytes from the shared
    /// SRAM, `one_core` bytes of them to each core: its time and what limits it.
    #[must_use]
    pub fn load(&self, memory: Bytes, shared: Bytes, one_core: Bytes) -> (Femtos, Cause) {
        let mut limit = (self.memory_time(memory), Cause::Bandwidth);
        let at_shared = self.shared_time(shared);
        if at_shared > limit.0 {
            limit = (at_shared, Cause::Sram);
        }
        let at_core = self.core.map_or(Femtos::ZERO, |r| r.time(one_core));
        if at_core > limit.0 {
            limit = (at_core, Cause::Sram);
        }
        if let Some(in_flight) = self.spec.cores.bytes_in_flight
            && memory.0 > 0
        {
            // Little's law: a core receives at most its bytes in flight per latency.
            let fs = (u128::from(one_core.0) * u128::from(self.latency.0))
                .div_ceil(u128::from(in_flight.0.max(1)));
            let capped = Femtos(u64::try_from(fs).unwrap_or(u64::MAX / 4));
            if capped > limit.0 {
                limit = (capped, Cause::Latency);
            }
        }
        limit
    }

    /// Time of vector work on one core.
    #[must_use]
    pub fn vector_time(&self, ops: u64, exps: u64) -> Femtos {
        self.spec.clock.time(self.spec.cores.vector_unit.cycles(VectorOps(ops), VectorOps(exps)))
    }

    /// Time of vector work dealt evenly to all cores.
    #[must_use]
    pub fn vector_time_all(&self, ops: u64, exps: u64) -> Femtos {
        self.vector_time(ops.div_ceil(self.cores()), exps.div_ceil(self.cores()))
    }

    /// Array cycles of a product on one core.
    #[must_use]
    pub fn array(&self, product: Product, held: Stationary, dtype: Dtype) -> ArrayWork {
        self.spec.cores.mac_array.work(product, held, dtype)
    }

    /// The same as a stage of a tile program.
    #[must_use]
    pub fn stage(&self, work: &ArrayWork, preload_waits: bool) -> ArrayStage {
        let time = |cycles: Cycles| if cycles.0 == 0 { Femtos::ZERO } else { self.spec.clock.time(cycles) };
        let achieved = |time: Femtos| {
            if self.mac_fraction >= 1.0 {
                time
            } else {
                Femtos((time.0 as f64 / self.mac_fraction).ceil() as u64)
            }
        };
        ArrayStage {
            stream: achieved(time(work.stream)),
            preload: achieved(time(work.preload)),
            preload_waits,
            fill: time(work.fill),
        }
    }

    /// Adds what imperfect overlap leaves exposed of the shorter of a tile's load and compute time to both.
    pub(super) fn expose(&self, tile: &mut super::program::Tile) {
        let overlap = self.spec.overheads.overlap;
        if overlap >= 1.0 {
            return;
        }
        let compute = tile.scores.stream.max(tile.scores.preload)
            + tile.values.stream.max(tile.values.preload)
            + tile.rotate
            + tile.softmax;
        let exposed = Femtos(((1.0 - overlap) * tile.load.min(compute).as_f64()).ceil() as u64);
        tile.load += exposed;
        tile.values.stream += exposed;
    }
}
