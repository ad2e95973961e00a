//! What a step costs: the sum of its operators.

use super::super::operator::{OperatorCost, add_causes};
use super::super::search::Choice;
use crate::engine::Timeline;
use crate::mapping::Cause;
use crate::units::{Bytes, Femtos, Picos};
use crate::workload::{FlopCount, Operator, Traffic, VectorWork};
use std::sync::Arc;

/// What one step cost.
#[derive(Debug, Clone, Default)]
pub struct StepCost {
    /// Duration, rounded up once.
    pub time: Picos,
    /// Femtoseconds by cause.
    pub causes: [u128; Cause::COUNT],
    /// Bytes at the outermost memory.
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
    /// Joules.
    pub joules: Option<f64>,
    /// How the attention that takes most of the step was laid out.
    pub attention: Option<Attended>,
}

impl StepCost {
    /// The sum of operators that run one after the other, each costing what `time` says.
    pub(super) fn of(
        ops: &[Operator],
        mut time: impl FnMut(&Operator) -> Result<OperatorCost, String>,
    ) -> Result<Self, String> {
        let mut step = Self { joules: Some(0.0), ..Self::default() };
        let mut femtos: u128 = 0;
        for op in ops {
            let cost = time(op)?;
            femtos += u128::from(cost.timeline.time.0) * u128::from(op.repeat);
            add_causes(&mut step.causes, &cost.timeline.causes, op.repeat);
            step.traffic += cost.traffic * op.repeat;
            step.shared += cost.shared * op.repeat;
            step.local += cost.local * op.repeat;
            step.flops += cost.flops * op.repeat;
            step.mac_slots = step.mac_slots.saturating_add(cost.mac_slots.saturating_mul(op.repeat));
            step.vector += cost.vector * op.repeat;
            step.joules = step.joules.zip(cost.joules).map(|(sum, j)| sum + j * op.repeat as f64);
            if let Some(choice) = cost.choice {
                let one = Attended { operator: op.name, repeat: op.repeat, choice, timeline: cost.timeline };
                if step.attention.as_ref().is_none_or(|most| one.time() > most.time()) {
                    step.attention = Some(one);
                }
            }
        }
        let counts = [
            step.traffic.total().0,
            step.shared.0,
            step.local.0,
            step.flops.total().0,
            step.mac_slots,
            step.vector.total().0,
        ];
        if counts.contains(&u64::MAX) {
            return Err("the step counts more than 2^64 bytes or operations".to_owned());
        }
        let picos = femtos.div_ceil(u128::from(Femtos::PER_PICO));
        step.time = Picos(u64::try_from(picos).map_err(|_| "the step takes more than 213 days".to_owned())?);
        Ok(step)
    }

    /// The cause that holds most of the step, the first of equals.
    pub(super) fn largest_cause(&self) -> Cause {
        let mut best = Cause::ALL[0];
        for cause in Cause::ALL {
            if self.causes[cause as usize] > self.causes[best as usize] {
                best = cause;
            }
        }
        best
    }
}

/// An attention operator as it was laid out.
#[derive(Debug, Clone)]
pub struct Attended {
    /// Name of the operator.
    pub operator: &'static str,
    /// Runs in the step.
    pub repeat: u64,
    /// Layout.
    pub choice: Arc<Choice>,
    /// What one run took.
    pub timeline: Timeline,
}

impl Attended {
    pub(super) fn time(&self) -> u128 {
        u128::from(self.timeline.time.0) * u128::from(self.repeat)
    }
}

/// One decode step, operator by operator.
#[derive(Debug, Clone)]
pub struct StepOperators {
    /// Each operator in the order in which they run: its name, how often it runs, and what one run costs.
    pub runs: Vec<(&'static str, u64, OperatorCost)>,
    /// Bytes of rows that the cross-attention of all layers shares; 0 where each keeps its own.
    pub shared: Bytes,
    /// Whether these stay on chip from step to step.
    pub resident: bool,
}
