//! One operator's answer: its time, and what it moved and computed.

use super::fastest::{self, REMEMBERED};
use super::kernel::{KernelTimer, kernel_of};
use super::search::{self, Choice, PlanCache};
use crate::attention::Sparsity;
use crate::engine::Timeline;
use crate::hardware::energy::EnergyTable;
use crate::hardware::kernel::Kind;
use crate::mapping::attention::{Residence, Shape as AttentionShape};
use crate::mapping::machine::Machine;
use crate::mapping::product::{self, Shape as ProductShape};
use crate::mapping::{Cause, Causes};
use crate::units::{Bytes, Dtype, Femtos};
use crate::workload::{
    AttentionWork, FlopCount, Operator, RecomputeWork, RowSource, Subject, Traffic, VectorWork,
    VectorWorkItems, WeightProduct, Work,
};
use rustc_hash::FxHashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// What one run of an operator cost.
#[derive(Debug, Clone, Default)]
pub struct OperatorCost {
    /// Time and causes.
    pub timeline: Timeline,
    /// Bytes at the outermost memory by class.
    pub traffic: Traffic,
    /// Bytes at the shared SRAM.
    pub shared: Bytes,
    /// Bytes at the local SRAMs.
    pub local: Bytes,
    /// Useful FLOPs.
    pub flops: FlopCount,
    /// Multiply–accumulate slots.
    pub mac_slots: u64,
    /// Vector work.
    pub vector: VectorWork,
    /// Joules; `None` where the table lacks a figure.
    pub joules: Option<f64>,
    /// How attention was laid out.
    pub choice: Option<Arc<Choice>>,
}

/// Timers for runs of different lengths at most: one for each kind of layer that a model has.
const MOST_RUNS: usize = 8;

/// Products that have been timed on one machine; shared by the schemes that are compared on it.
#[derive(Debug, Clone, Default)]
pub struct ProductCache(Arc<Mutex<FxHashMap<ProductShape, TimedProduct>>>);

/// Time and causes of a product, and what it moves.
type TimedProduct = (Timeline, product::Spent);

impl ProductCache {
    fn get(&self, shape: &ProductShape) -> Option<TimedProduct> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(shape).copied()
    }

    fn insert(&self, shape: &ProductShape, timed: TimedProduct) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(*shape, timed);
    }
}

/// Times operators of one subject on one machine, remembering what it has timed.
#[derive(Debug)]
pub struct OperatorTimer {
    machine: Machine,
    plans: PlanCache,
    products: ProductCache,
    attention: FxHashMap<(AttentionShape, u64, u64), Arc<Choice>>,
    forced: Option<String>,
    /// The same machine whose memory is read in runs of so many bytes.
    paged: Vec<(Bytes, OperatorTimer)>,
    /// The same machine as single kernels of a profile see it.
    profiled: Vec<((Kind, Dtype), Option<OperatorTimer>)>,
    /// The kernel whose layout is taken here, instead of the best.
    kernel: Option<KernelTimer>,
}

impl OperatorTimer {
    /// A timer on `machine`; `forced` names the only attention plan allowed.
    #[must_use]
    pub fn new(machine: Machine, forced: Option<String>) -> Self {
        Self::sharing(machine, forced, ProductCache::default())
    }

    /// The same, with products that other timers on the same machine have timed.
    #[must_use]
    pub fn sharing(machine: Machine, forced: Option<String>, products: ProductCache) -> Self {
        Self {
            machine,
            plans: PlanCache::default(),
            products,
            attention: FxHashMap::default(),
            forced,
            paged: Vec::new(),
            profiled: Vec::new(),
            kernel: None,
        }
    }

    /// A timer of the same machine with `bytes` of its on-chip memory held by something else.
    #[must_use]
    pub fn reserving(&self, bytes: Bytes) -> Self {
        Self::new(self.machine.reserving(bytes), self.forced.clone())
    }

    /// The machine.
    #[must_use]
    pub const fn machine(&self) -> &Machine {
        &self.machine
    }

    /// One run of `operator`.
    ///
    /// # Errors
    /// In words, why nothing fits.
    pub fn time(&mut self, subject: &Subject, operator: &Operator) -> Result<OperatorCost, String> {
        if let Some(timer) = self.profiled(subject, &operator.work) {
            return timer.time_here(subject, operator);
        }
        match self.run_of(subject, &operator.work) {
            Some(run) => self.paged(run).time_here(subject, operator),
            None => self.time_here(subject, operator),
        }
    }

    /// Consecutive bytes of the kept rows that `work` reads, where these lie in blocks and the memory cares.
    fn run_of(&self, subject: &Subject, work: &Work) -> Option<Bytes> {
        let tokens = subject.options.block_tokens?.get();
        let row = match work {
            Work::Attention(a) => match a.source {
                RowSource::Cache | RowSource::CacheAgain => a.row * a.groups,
                RowSource::Rebuilt { kept, .. } => kept,
                RowSource::Resident | RowSource::Prompt => return None,
            },
            Work::Recompute(r) => r.row,
            Work::Lookup(_) | Work::Store(_) | Work::Product(_) => return None,
        };
        self.machine.has_parts().then_some(row * tokens)
    }

    /// The timer of the same machine whose memory is read in runs of `run` bytes.
    fn paged(&mut self, run: Bytes) -> &mut Self {
        let at = match self.paged.iter().position(|(of, _)| *of == run) {
            Some(at) => at,
            None => {
                if self.paged.len() >= MOST_RUNS {
                    self.paged.remove(0);
                }
                let timer = Self::new(self.machine.reading(Some(run)), self.forced.clone());
                self.paged.push((run, timer));
                self.paged.len() - 1
            }
        };
        &mut self.paged[at].1
    }

    /// The timer of the machine as the profile's kernel for `work` sees it; `None` where there is no profile, or none that bears on it.
    fn profiled(&mut self, subject: &Subject, work: &Work) -> Option<&mut Self> {
        let profile = self.machine.spec.kernels.clone()?;
        let (kind, dtype, laid_out) = kernel_of(&profile, subject, work)?;
        let at = match self.profiled.iter().position(|(of, _)| *of == (kind, dtype)) {
            Some(at) => at,
            None => {
                let timer = self.machine.in_a_step(&profile, kind, dtype).map(|(machine, kernel)| {
                    let timer = Self::new(machine.clone(), self.forced.clone());
                    let kernel =
                        laid_out.then(|| KernelTimer::on(machine, kernel.policy).measured_by(&profile, kind));
                    Self { kernel, ..timer }
                });
                self.profiled.push(((kind, dtype), timer));
                self.profiled.len() - 1
            }
        };
        self.profiled[at].1.as_mut()
    }

    fn time_here(&mut self, subject: &Subject, operator: &Operator) -> Result<OperatorCost, String> {
        let rotate_ops = self.machine.spec.cores.vector_unit.rotate_ops();
        let weights = subject.precision.weights;
        let (mut cost, dtype) = match &operator.work {
            Work::Lookup(bytes) => (self.lookup(*bytes), weights),
            Work::Store(bytes) => (self.store(*bytes), weights),
            Work::Product(p) => (self.weight_product(p, weights)?, weights),
            Work::Recompute(r) => (self.recompute(subject, r)?, weights),
            Work::Attention(a) => (self.attend(subject, a)?, subject.precision.cache),
        };
        cost.flops = operator.flops();
        self.element_wise(&operator.vector, rotate_ops, &mut cost);
        if cost.timeline.time.0 >= u64::MAX / 4 {
            return Err(format!(
                "{} would take more than an hour: beyond what the simulator times",
                operator.name
            ));
        }
        self.machine.attribute(&mut cost.timeline.causes);
        cost.joules = self.joules(&cost, dtype);
        Ok(cost)
    }

    /// Adds what goes before, beside and behind the operator on the vector units.
    fn element_wise(&self, work: &VectorWorkItems, rotate_ops: u64, cost: &mut OperatorCost) {
        let machine = &self.machine;
        let counted = work.work(rotate_ops);
        cost.vector += counted;
        // A norm needs whole rows: either each core normalises all of them for itself, or they share the work and wait for each other.
        let norm = |ops: u64| {
            let (alone, shared) = (machine.vector_time(ops, 0), machine.vector_time_all(ops, 0));
            let barrier = machine.barrier();
            if alone <= shared + barrier { (alone, Femtos::ZERO) } else { (shared, barrier) }
        };
        if work.norm > 0 {
            let (vector, barrier) = norm(work.norm);
            cost.timeline += Timeline::of(Cause::Vector, vector);
            cost.timeline += Timeline::of(Cause::Overhead, barrier);
        }
        if work.beside > 0 {
            // What runs beside the product shows only where it takes longer.
            let (vector, barrier) = norm(work.beside);
            let hidden = cost.timeline.time;
            let shown = Femtos((vector + barrier).0.saturating_sub(hidden.0));
            cost.timeline += Timeline::of(Cause::Vector, shown);
        }
        let behind = counted.total().0 - work.norm - work.beside;
        if behind > 0 {
            cost.timeline += Timeline::of(Cause::Vector, machine.vector_time_all(behind, 0));
        }
    }

    /// Writes kept rows.
    fn store(&self, bytes: Bytes) -> OperatorCost {
        let mut cost = OperatorCost::default();
        if !self.machine.spec.free_activations {
            cost.traffic.cache_write = bytes;
            cost.timeline = Timeline::of(Cause::Bandwidth, self.machine.memory_time(bytes));
        }
        cost
    }

    fn lookup(&self, bytes: Bytes) -> OperatorCost {
        let mut cost = OperatorCost::default();
        if self.machine.spec.free_activations {
            return cost;
        }
        cost.traffic.activations = bytes;
        cost.timeline = Timeline::of(Cause::Overhead, self.machine.launch());
        cost.timeline += Timeline::of(Cause::Bandwidth, self.machine.memory_time(bytes));
        cost.timeline += Timeline::of(Cause::Latency, self.machine.spec.memory_latency());
        cost
    }

    /// The fastest plan of a product.
    fn product(&mut self, shape: &ProductShape) -> Result<TimedProduct, String> {
        if let Some(known) = self.products.get(shape) {
            return Ok(known);
        }
        let best = match &self.kernel {
            Some(kernel) => kernel.timed(shape),
            None => fastest::product(&self.machine, shape, Femtos(u64::MAX)).map(|b| (b.timeline, b.spent)),
        };
        let best = best.ok_or_else(|| {
            format!("no tile of a {}×{} product fits a core's local SRAM", shape.product.k, shape.product.n)
        })?;
        self.products.insert(shape, best);
        Ok(best)
    }

    fn weight_product(&mut self, p: &WeightProduct, dtype: Dtype) -> Result<OperatorCost, String> {
        let shape = ProductShape {
            product: p.shape,
            weights: p.matrix + p.extra,
            input: p.input,
            output: p.output,
            dtype,
            input_from_memory: Bytes::ZERO,
            prefetched: self.machine.spec.overheads.prefetch_weights,
            pass: None,
        };
        let (timeline, spent) = self.product(&shape)?;
        Ok(OperatorCost {
            timeline,
            traffic: Traffic {
                weights: p.matrix + p.extra,
                activations: spent.activations,
                exchange: spent.exchange,
                ..Traffic::default()
            },
            shared: spent.shared,
            local: spent.local,
            mac_slots: spent.mac_slots,
            ..OperatorCost::default()
        })
    }

    /// Whether rebuilt values can be used chunk by chunk without leaving the chip: the matrix and a chunk of both rows fit.
    fn rebuilds_on_chip(&self, matrix: Bytes, rows: Bytes) -> bool {
        const CHUNK_TOKENS: u64 = 1024;
        self.machine.stays_on_chip(matrix + rows * CHUNK_TOKENS)
    }

    fn recompute(&mut self, subject: &Subject, work: &RecomputeWork) -> Result<OperatorCost, String> {
        let rows = work.row * work.shape.m;
        let rebuilt = work.recomputed_row * work.shape.m;
        let on_chip = self.rebuilds_on_chip(work.matrix, work.row + work.recomputed_row);
        let shape = ProductShape {
            product: work.shape,
            weights: work.matrix,
            input: rows,
            output: if on_chip { Bytes::ZERO } else { rebuilt },
            dtype: subject.precision.weights,
            input_from_memory: rows,
            prefetched: self.machine.spec.overheads.prefetch_weights,
            pass: None,
        };
        let (mut timeline, spent) = self.product(&shape)?;
        let spill = if on_chip { Bytes::ZERO } else { rebuilt };
        timeline += Timeline::of(Cause::Bandwidth, self.machine.memory_time(spill));
        Ok(OperatorCost {
            timeline,
            traffic: Traffic {
                weights: work.matrix,
                cache_read: rows,
                spill,
                exchange: spent.exchange,
                ..Traffic::default()
            },
            shared: spent.shared,
            local: spent.local,
            mac_slots: spent.mac_slots,
            ..OperatorCost::default()
        })
    }

    fn attend(&mut self, subject: &Subject, work: &AttentionWork) -> Result<OperatorCost, String> {
        let rows = work.row * (work.groups * work.batch.tokens());
        let written = if self.machine.spec.free_activations { Bytes::ZERO } else { work.cache_write };
        let mut traffic = Traffic { cache_write: written, ..Traffic::default() };
        // What goes through the memory beside the rows that the plan itself reads.
        let mut beside = written;
        let residence = match work.source {
            RowSource::Cache => {
                traffic.cache_read = work.cache_read;
                Residence::Memory
            }
            RowSource::CacheAgain => {
                traffic.cache_reread = work.cache_read;
                Residence::Memory
            }
            RowSource::Resident => Residence::OnChip,
            RowSource::Rebuilt { matrix, rows: per_token, .. }
                if self.rebuilds_on_chip(matrix, per_token) =>
            {
                Residence::OnChip
            }
            RowSource::Rebuilt { kept, .. } => {
                let kept = kept * work.batch.tokens();
                traffic.cache_reread = kept;
                // Rebuilt rows that all query rows skip stay where they are.
                let used = work.sparsity.used_by(work.values.heads * work.queries);
                traffic.spill = Bytes(Sparsity::part((rows - kept).0, used));
                Residence::Memory
            }
            RowSource::Prompt => {
                let prompt = work.row * (work.groups * work.batch.longest());
                if self.machine.stays_on_chip(prompt) {
                    Residence::OnChip
                } else if self.machine.stays_on_chip(work.row * work.batch.longest()) {
                    // Written, and read back head by head: blocks of queries share a head's rows on chip.
                    traffic.spill = prompt * 2;
                    beside += traffic.spill;
                    Residence::OnChip
                } else {
                    traffic.spill = rows;
                    Residence::Memory
                }
            }
        };
        let dtype = match work.source {
            RowSource::Prompt => subject.precision.activations(),
            _ => subject.precision.cache,
        };
        let shape = AttentionShape::of(work, dtype, residence);
        let choice = self.choose(&shape, work)?;
        let mut timeline = choice.timeline;
        timeline += Timeline::of(Cause::Bandwidth, self.machine.memory_time(beside));
        traffic.exchange = choice.exchange;
        traffic.cache_reread += choice.spent.reread;
        let tokens = work.batch.tokens();
        let scores = work.groups * work.scores.slices * work.scores.heads * tokens * work.queries;
        let rotate_ops = self.machine.spec.cores.vector_unit.rotate_ops();
        // Rows that are turned back for the weighted sum: those that any head uses.
        let rows_of_product = work.values.slices * work.values.heads * work.queries;
        let used = Sparsity::part(tokens, work.sparsity.used_by(rows_of_product));
        let rotated = work.before_scores.rotated * tokens + work.before_values.rotated * used;
        let touched = work.before_scores.ops * tokens + work.before_values.ops * used;
        Ok(OperatorCost {
            timeline,
            traffic,
            shared: choice.spent.shared,
            local: choice.spent.local,
            mac_slots: choice.spent.mac_slots,
            vector: VectorWork {
                softmax: crate::units::VectorOps(scores * (crate::workload::SOFTMAX_OPS_PER_SCORE + 1)),
                rotary: crate::units::VectorOps((work.groups * rotated).saturating_mul(rotate_ops)),
                other: crate::units::VectorOps(work.groups * touched),
            },
            choice: Some(choice),
            ..OperatorCost::default()
        })
    }

    /// The fastest layout of attention. Uniform batches are remembered.
    fn choose(&mut self, shape: &AttentionShape, work: &AttentionWork) -> Result<Arc<Choice>, String> {
        let key = match work.batch.runs() {
            &[(n, count)] => Some((*shape, n, count)),
            _ => None,
        };
        if let Some(known) = key.and_then(|k| self.attention.get(&k)) {
            return Ok(known.clone());
        }
        let choice = match &self.kernel {
            Some(kernel) => search::of_kernel(kernel, shape, &work.batch)?,
            None => {
                let forced = self.forced.as_deref();
                search::attention(&self.machine, &mut self.plans, shape, &work.batch, forced)?
            }
        };
        let choice = Arc::new(choice);
        if let Some(key) = key {
            // Long sweeps ask for millions of points: forget all rather than grow.
            if self.attention.len() >= REMEMBERED {
                self.attention.clear();
            }
            self.attention.insert(key, choice.clone());
        }
        Ok(choice)
    }

    /// Energy of an operator: bytes at each level, useful multiply–accumulates (idle slots are gated), vector operations.
    fn joules(&self, cost: &OperatorCost, dtype: Dtype) -> Option<f64> {
        let spec = &self.machine.spec;
        let table = &spec.energy;
        let price = |bytes: Bytes, pj: Option<f64>| match (bytes.0, pj) {
            (0, _) => Some(0.0),
            (_, pj) => pj.map(|pj| EnergyTable::joules(bytes, pj)),
        };
        let outermost = match (&spec.hbm, &spec.shared_sram) {
            (Some(_), _) => table.hbm_pj_per_bit,
            (None, Some(_)) => table.shared_sram_pj_per_bit,
            (None, None) => table.local_sram_pj_per_bit,
        };
        let macs = cost.flops.total().as_f64() / 2.0;
        let vector = cost.vector.total().as_f64();
        Some(
            price(cost.traffic.total(), outermost)?
                + price(cost.shared, table.shared_sram_pj_per_bit)?
                + price(cost.local, table.local_sram_pj_per_bit)?
                + if macs > 0.0 { macs * table.mac(dtype)? * 1e-12 } else { 0.0 }
                + if vector > 0.0 { vector * table.vector_op_pj? * 1e-12 } else { 0.0 },
        )
    }
}

/// Causes multiplied by a count, in 128 bits.
pub(super) fn add_causes(sum: &mut [u128; Cause::COUNT], causes: &Causes, times: u64) {
    for (s, c) in sum.iter_mut().zip(causes.0) {
        *s += u128::from(c) * u128::from(times);
    }
}
