//! The simulator as serving's timer.

use super::{StepCost, StepTimer};
use crate::step::{self, Simulator};
use crate::trace::{Trace, TraceKind};
use crate::units::Bytes;
use crate::workload::Batch;
use rustc_hash::FxHashMap;

impl From<&step::StepCost> for StepCost {
    fn from(cost: &step::StepCost) -> Self {
        Self { time: cost.time, traffic: cost.traffic, causes: cost.causes }
    }
}

/// Times the steps of a trace on a [`Simulator`].
#[derive(Debug)]
pub struct SimulatedSteps {
    simulator: Simulator,
    /// The longest prefill that can come, whose activations must always find room beside the cache.
    longest_prefill: u64,
    /// What the cache may use beside a single sequence: asked for with every request.
    alone: Option<Bytes>,
    prefills: FxHashMap<u64, StepCost>,
}

impl SimulatedSteps {
    /// A timer for `trace`. Memory is set aside for the activations of the longest prefill that can come: a prompt and, after a
    /// preemption, the tokens that were generated of it; requests beyond the model's context never run and do not count.
    #[must_use]
    pub fn new(simulator: Simulator, trace: &Trace) -> Self {
        let most = simulator.subject().model.max_context;
        let longest_prefill = match &trace.kind {
            TraceKind::Requests(requests) => {
                let totals = requests.iter().map(|r| r.prompt_tokens.saturating_add(r.output_tokens));
                totals.filter(|&total| total <= most).map(|total| total.saturating_sub(1)).max()
            }
            TraceKind::Steps(_) => None,
        };
        let longest_prefill = longest_prefill.unwrap_or(0);
        let alone = simulator.cache_budget(1, longest_prefill);
        Self { simulator, longest_prefill, alone, prefills: FxHashMap::default() }
    }

    /// The simulator.
    #[must_use]
    pub const fn simulator(&self) -> &Simulator {
        &self.simulator
    }

    /// The simulator, to ask it for points.
    pub const fn simulator_mut(&mut self) -> &mut Simulator {
        &mut self.simulator
    }
}

impl StepTimer for SimulatedSteps {
    type Error = String;

    fn cache_bytes(&self, tokens: u64) -> Bytes {
        self.simulator.subject().cache_bytes(tokens)
    }

    fn cache_budget(&self, batch: u64) -> Option<Bytes> {
        if batch == 1 { self.alone } else { self.simulator.cache_budget(batch, self.longest_prefill) }
    }

    fn max_context(&self) -> u64 {
        self.simulator.subject().model.max_context
    }

    fn decode(&mut self, contexts: &[u64]) -> Result<StepCost, String> {
        self.simulator.decode(&Batch::ragged(contexts)).map(|cost| StepCost::from(&cost))
    }

    fn prefill(&mut self, tokens: u64) -> Result<StepCost, String> {
        if let Some(&known) = self.prefills.get(&tokens) {
            return Ok(known);
        }
        let cost = StepCost::from(&self.simulator.prefill(tokens)?);
        self.prefills.insert(tokens, cost);
        Ok(cost)
    }
}
