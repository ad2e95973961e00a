//! A machine, a model and a scheme put together.

mod cost;
mod guard;
mod timers;

pub use cost::{Attended, StepCost, StepOperators};
pub use guard::Limits;

use super::explain;
use super::operator::{OperatorCost, OperatorTimer, ProductCache};
use super::point::{Bounds, FirstToken, MappingReport, Point, Seconds};
use crate::attention::{Conditions, Refusal, Scheme};
use crate::hardware::Accelerator;
use crate::ledger::CyclesByCause;
use crate::mapping::Cause;
use crate::mapping::machine::Machine;
use crate::model::Model;
use crate::units::{Bandwidth, Bytes, Picos};
use crate::workload::capacity::{
    Capacity, decode_capacity, largest_batch, prefill_activations, stored_weights,
};
use crate::workload::{self, Batch, Operator, Step, Subject};
use rustc_hash::FxHashMap;
use timers::Timers;

/// Why a simulator cannot be set up: bad input, not a bad point.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SetupError {
    /// The model does not admit the scheme.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The machine has no rate for a type, nor for one that it could be computed in.
    #[error("{0}")]
    Type(String),
}

/// Answers steps of one scheme on one machine. Remembers the operators that it has timed: ask one simulator many points.
#[derive(Debug)]
pub struct Simulator {
    timers: Timers,
    first_tokens: Vec<(u64, Result<FirstToken, String>)>,
    subject: Subject,
    scheme: &'static Scheme,
    weights: Bytes,
}

impl Simulator {
    /// Puts a machine, a model and a scheme together; `conditions` hold the rest.
    ///
    /// # Errors
    /// The model does not admit the scheme, or the machine lacks a type.
    pub fn new(
        accelerator: &Accelerator,
        model: &Model,
        scheme: &'static Scheme,
        conditions: &Conditions,
    ) -> Result<Self, SetupError> {
        Self::sharing(accelerator, model, scheme, conditions, ProductCache::default())
    }

    /// The same, with products that other simulators of the same machine have timed.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn sharing(
        accelerator: &Accelerator,
        model: &Model,
        scheme: &'static Scheme,
        conditions: &Conditions,
        products: ProductCache,
    ) -> Result<Self, SetupError> {
        let precision = conditions.precision_of(scheme);
        for dtype in [precision.weights, precision.cache] {
            if !accelerator.cores.mac_array.supports(dtype) {
                return Err(SetupError::Type(format!(
                    "{} multiplies no operands of type {dtype}: its macs_per_cycle lists neither that nor a type that it could be computed in",
                    accelerator.name
                )));
            }
        }
        let options = conditions.options;
        let layout = scheme.describe(model, options)?;
        let query_tokens = conditions.query_tokens.max(1);
        let subject = Subject { model: model.clone(), layout, precision, options, query_tokens };
        let weights = stored_weights(&subject);
        let timer = OperatorTimer::sharing(Machine::new(accelerator), conditions.plan.clone(), products);
        let timers = Timers { plain: timer, reserving: Vec::new() };
        Ok(Self { timers, first_tokens: Vec::new(), subject, scheme, weights })
    }

    /// Bytes that `tokens` encoder tokens hold on chip from step to step: rows that all layers share, where they fit what intermediate
    /// results may take beside an external memory. 0 where nothing is held.
    fn resident(&self, tokens: u64) -> Bytes {
        let rows = self.subject.shared_row() * tokens;
        let machine = self.timers.plain.machine();
        if machine.spec.hbm.is_some() && machine.stays_on_chip(rows) { rows } else { Bytes::ZERO }
    }

    /// The scheme.
    #[must_use]
    pub const fn scheme(&self) -> &'static Scheme {
        self.scheme
    }

    /// Model, description and types.
    #[must_use]
    pub const fn subject(&self) -> &Subject {
        &self.subject
    }

    /// The accelerator.
    #[must_use]
    pub const fn accelerator(&self) -> &Accelerator {
        &self.timers.plain.machine().spec
    }

    /// Everything stored of the model.
    #[must_use]
    pub const fn stored_weights(&self) -> Bytes {
        self.weights
    }

    /// Bytes left for caches beside weights and the activations of `batch` decoding sequences or of a prefill of `prompt` tokens
    /// behind `encoder_tokens`, whichever is larger; `None` where memory is unlimited.
    #[must_use]
    pub fn cache_budget(&self, batch: u64, prompt: u64, encoder_tokens: u64) -> Option<Bytes> {
        let available = self.accelerator().memory_capacity()?;
        let contexts = Batch::uniform(1, batch);
        let ops = workload::decode(&self.subject, &contexts);
        let decode = workload::capacity::activations(&self.subject, &ops, batch * self.subject.query_tokens);
        let activations = decode.max(prefill_activations(&self.subject, prompt, encoder_tokens));
        Some(available.saturating_sub(self.weights + activations))
    }

    /// One decode step of sequences with the given contexts, capacity aside. `encoder` has their encoder tokens, where these differ from
    /// what the model says.
    ///
    /// # Errors
    /// In words, why it cannot run.
    pub fn decode(&mut self, contexts: &Batch, encoder: Option<&Batch>) -> Result<StepCost, String> {
        self.guard(contexts)?;
        Ok(self.faster(contexts, encoder, false)?.1)
    }

    /// A decode step with the rows that all layers share where it is faster, and the bytes of them that it holds on chip: where the shared
    /// SRAM is slow or small, they may be better off in memory. With `fitting`, only where they fit there beside all else.
    fn faster(
        &mut self,
        contexts: &Batch,
        encoder: Option<&Batch>,
        fitting: bool,
    ) -> Result<(Bytes, StepCost), String> {
        let usual = self.subject.encoder_tokens() * contexts.sequences();
        let resident = self.resident(encoder.map_or(usual, Batch::tokens));
        let with = |s: &mut Self, held: Bytes| {
            let step = Step { contexts, encoder, resident: held.0 > 0 };
            let ops = workload::decode(&s.subject, step);
            s.run(&ops, held).map(|cost| (held, cost))
        };
        let first = with(self, resident);
        if resident == Bytes::ZERO || (fitting && !self.fits_beside(contexts)) {
            return first;
        }
        match (first, with(self, Bytes::ZERO)) {
            (Ok(held), Ok(read)) => Ok(if read.1.time < held.1.time { read } else { held }),
            (held, read) => held.or(read),
        }
    }

    /// What a step of `contexts` holds in memory, with or without the rows that all layers share.
    fn capacity(&self, contexts: &Batch, resident: bool) -> Capacity {
        let ops = workload::decode(&self.subject, Step { contexts, encoder: None, resident });
        let available = self.accelerator().memory_capacity();
        decode_capacity(&self.subject, self.weights, contexts, &ops, available, resident)
    }

    /// Whether a step of `contexts` fits in memory together with the rows that all layers share.
    fn fits_beside(&self, contexts: &Batch) -> bool {
        let capacity = self.capacity(contexts, false);
        capacity.available.is_none_or(|available| capacity.total <= available)
    }

    /// The prefill of one prompt, capacity aside; on an encoder–decoder model behind the encoder's pass over `encoder_tokens` and the cross
    /// phase.
    ///
    /// # Errors
    /// In words, why it cannot run.
    pub fn prefill(&mut self, tokens: u64, encoder_tokens: u64) -> Result<StepCost, String> {
        self.guard_prompt(tokens, encoder_tokens)?;
        let mut why = String::new();
        let resident = self.resident(encoder_tokens);
        let held = resident.0 > 0;
        let ways = if workload::rebuilds_cross(&self.subject) { &[false, true][..] } else { &[false] };
        // Both ways differ in cross-attention alone: what they have in common, the encoder's pass first of all, is timed once.
        let (subject, timer) = (&self.subject, self.timers.holding(resident));
        let mut timed = FxHashMap::default();
        let mut time = |op: &Operator| match timed.get(op) {
            Some(known) => Ok(OperatorCost::clone(known)),
            None => timer.time(subject, op).inspect(|cost| drop(timed.insert(op.clone(), cost.clone()))),
        };
        for rows in workload::QUERY_ROWS {
            let mut best: Option<StepCost> = None;
            for &rebuild in ways {
                let mut ops = workload::encode(subject, encoder_tokens, 1, rows);
                ops.extend(workload::cross_phase(subject, encoder_tokens, held));
                ops.extend(workload::prefill(subject, tokens, encoder_tokens, rows, held, rebuild));
                match StepCost::of(&ops, &mut time) {
                    Ok(cost) if best.as_ref().is_none_or(|b| cost.time < b.time) => best = Some(cost),
                    Ok(_) => {}
                    Err(reason) => why = reason,
                }
            }
            if let Some(cost) = best {
                return Ok(cost);
            }
        }
        Err(why)
    }

    /// What passes before the first tokens of `sequences` sequences of an encoder–decoder model: encoder, cross phase, and the decode step
    /// at context 1. `None` without an encoder.
    fn first_token(&mut self, sequences: u64) -> Option<Result<FirstToken, String>> {
        self.subject.model.encoder?;
        if let Some((_, known)) = self.first_tokens.iter().find(|(batch, _)| *batch == sequences) {
            return Some(known.clone());
        }
        let first = self.time_first_token(sequences);
        self.first_tokens.push((sequences, first.clone()));
        Some(first)
    }

    fn time_first_token(&mut self, sequences: u64) -> Result<FirstToken, String> {
        let each = self.subject.encoder_tokens();
        self.guard_encoder(each, sequences)?;
        let resident = self.resident(each * sequences);
        let mut encoder = Err(String::new());
        for rows in workload::QUERY_ROWS {
            encoder = self.run(&workload::encode(&self.subject, each, sequences, rows), resident);
            if encoder.is_ok() {
                break;
            }
        }
        let encoder = encoder?.time;
        let cross_phase = workload::cross_phase(&self.subject, each * sequences, resident.0 > 0);
        let cross_phase = self.run(&cross_phase, resident)?.time;
        let start = Batch::uniform(self.subject.query_tokens, sequences);
        let ops = workload::decode(
            &self.subject,
            Step { contexts: &start, encoder: None, resident: resident.0 > 0 },
        );
        let decoder = self.run(&ops, resident)?.time;
        Ok(FirstToken {
            encoder: Seconds(encoder),
            cross_phase: Seconds(cross_phase),
            decoder: Seconds(decoder),
            total: Seconds(encoder + cross_phase + decoder),
        })
    }

    /// The operators of one decode step, the one that [`Self::point`] answers with, in the order in which they run.
    ///
    /// # Errors
    /// In words, why it cannot run.
    pub fn operators(&mut self, contexts: &Batch) -> Result<StepOperators, String> {
        self.guard(contexts)?;
        let (resident, _) = self.faster(contexts, None, true)?;
        let step = Step { contexts, encoder: None, resident: resident.0 > 0 };
        let ops = workload::decode(&self.subject, step);
        let timer = self.timers.holding(resident);
        let runs = ops.iter().map(|op| Ok((op.name, op.repeat, timer.time(&self.subject, op)?)));
        let runs = runs.collect::<Result<_, String>>()?;
        let shared = self.subject.shared_row() * (self.subject.encoder_tokens() * contexts.sequences());
        Ok(StepOperators { runs, shared, resident: resident.0 > 0 })
    }

    /// Runs operators one after the other, with `held` bytes of on-chip memory taken.
    fn run(&mut self, ops: &[Operator], held: Bytes) -> Result<StepCost, String> {
        let timer = self.timers.holding(held);
        StepCost::of(ops, |op| timer.time(&self.subject, op))
    }

    /// The answer at one point; `speedup` is left open.
    #[must_use]
    pub fn point(&mut self, context: u64, batch: u64) -> Point {
        let contexts = Batch::uniform(context, batch);
        let mut point = Point::open(context, batch, self.scheme.name);
        let queries = self.subject.query_tokens;
        if queries > context {
            point.infeasible_reason = Some(format!(
                "{queries} query tokens are more than the {context} tokens attended, which count them"
            ));
            return point;
        }
        if let Err(why) = self.guard(&contexts) {
            point.infeasible_reason = Some(why);
            return point;
        }
        let each = self.subject.encoder_tokens();
        let resident = self.resident(each * batch);
        let capacity = self.capacity(&contexts, resident.0 > 0);
        point.capacity_bytes = capacity;
        if let Some(available) = capacity.available.filter(|&a| capacity.total > a) {
            let counts = |b| self.guard(&Batch::uniform(context, b)).is_ok();
            let resident = |b| self.resident(each * b).0 > 0;
            point.largest_batch = Some(largest_batch(&self.subject, context, available, counts, resident));
            point.infeasible_reason =
                Some(explain::shortfall(self.accelerator(), &capacity, available, point.largest_batch));
            return point;
        }
        match self.faster(&contexts, None, true) {
            Ok((held, step)) => {
                if held != resident {
                    point.capacity_bytes = self.capacity(&contexts, held.0 > 0);
                }
                self.fill(&mut point, &step);
                point.first_token_seconds = self.first_token(batch).and_then(Result::ok);
            }
            Err(why) => point.infeasible_reason = Some(why),
        }
        point
    }

    fn fill(&self, point: &mut Point, step: &StepCost) {
        let spec = self.accelerator();
        let (cycles, by_cause) = CyclesByCause::of(step.time, &step.causes, spec.clock);
        point.feasible = true;
        point.seconds = Some(Seconds(step.time));
        point.cycles = Some(cycles);
        let tokens = point.batch * self.subject.query_tokens;
        point.tokens_per_second = Some(tokens as f64 / step.time.seconds());
        point.traffic_bytes = Some(step.traffic);
        point.shared_sram_bytes = Some(step.shared);
        point.local_sram_bytes = Some(step.local);
        point.flops = Some(step.flops);
        point.mac_slots = Some(step.mac_slots);
        point.vector_ops = Some(step.vector);
        point.cycles_by_cause = Some(by_cause);
        point.bounds_seconds = Some(self.bounds(step));
        point.energy_joules = step.joules;
        point.mapping = step.attention.as_ref().map(|attended| self.mapping(attended, step.largest_cause()));
    }

    /// Compulsory bytes over peak bandwidth, and useful FLOPs over the peaks of the types that they are computed in.
    fn bounds(&self, step: &StepCost) -> Bounds {
        let spec = self.accelerator();
        let bandwidth = spec.memory_bandwidth().map_or(Picos(0), |b| b.picos(step.traffic.compulsory()));
        let time = |flops: u64, dtype| {
            spec.peak_macs_per_second(dtype)
                .map_or(Picos(0), |peak| Bandwidth(peak.saturating_mul(2)).picos(Bytes(flops)))
        };
        let in_cache_type = step.flops.attention.0;
        let in_weight_type = step.flops.total().0 - in_cache_type;
        let precision = self.subject.precision;
        let compute = time(in_cache_type, precision.cache) + time(in_weight_type, precision.weights);
        Bounds { bandwidth: Seconds(bandwidth), compute: Seconds(Picos(compute.0.saturating_sub(1))) }
    }

    /// `of_step` is the cause that holds most of the step: where attention takes no time of its own, it is what limits.
    fn mapping(&self, attended: &Attended, of_step: Cause) -> MappingReport {
        let Attended { operator, choice, timeline, .. } = attended;
        let layout = &self.subject.layout;
        let block = match layout.kinds.iter().find_map(|k| k.cross.as_ref()) {
            Some(cross) if operator.starts_with("cross") => cross,
            _ => layout.own(),
        };
        let held = |h, other: &str| match h {
            crate::hardware::mac_array::Stationary::Right => "kept".to_owned(),
            crate::hardware::mac_array::Stationary::Left => other.to_owned(),
        };
        MappingReport {
            plan: choice.name.to_owned(),
            token_split: choice.split,
            cluster: choice.plan.cluster,
            head_groups: choice.plan.head_groups,
            query_groups: choice.plan.query_groups,
            passes: choice.passes,
            tile_tokens: choice.plan.tile,
            slots: choice.plan.slots as u64,
            memory_reads: choice.memory_reads,
            scores_held: held(choice.plan.scores_held, "query"),
            values_held: held(choice.plan.values_held, "probabilities"),
            limited_by: timeline.causes.largest().unwrap_or(of_step).name().to_owned(),
            reason: explain::reason(
                self.timers.plain.machine(),
                block,
                operator,
                self.scheme,
                choice,
                timeline,
                of_step,
            ),
        }
    }
}
