//! `slimsim operators`: where the time of one decode step goes, operator by operator.

use super::output;
use super::{CliError, Selectors};
use crate::mapping::Cause;
use crate::report::{TableWriter, bytes, duration, significant, thousands, write_conditions};
use crate::step::{OperatorCost, Simulator, StepOperators};
use crate::units::Bytes;
use crate::workload::Batch;

/// Show one decode step operator by operator: time, what limits it, bytes and FLOPs
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Experiment file; options replace what it says
    #[arg(value_name = "EXPERIMENT.toml")]
    experiment: Option<String>,

    #[command(flatten)]
    selectors: Selectors,
}

impl Args {
    pub(super) fn execute(self) -> Result<(), CliError> {
        let study = self.selectors.resolve(self.experiment.as_deref())?;
        study.require_contexts()?;
        for (accelerator, model) in study.combinations() {
            for &scheme in &study.schemes {
                let mut simulator = Simulator::new(accelerator, model, scheme, &study.conditions)?;
                for &context in &study.contexts {
                    for &batch in &study.batches {
                        let operators = simulator
                            .operators(&Batch::uniform(context, batch))
                            .map_err(CliError::Infeasible)?;
                        let title = format!(
                            "{} of {} on {}, context {}, batch {}",
                            scheme.name,
                            model.name,
                            accelerator.name,
                            thousands(context),
                            thousands(batch)
                        );
                        output::print(|out| {
                            writeln!(out, "{title}")?;
                            write_conditions(&study.non_default(model), output::width(), out)?;
                            if operators.shared > Bytes::ZERO {
                                writeln!(out, "{}", shared_rows(&operators))?;
                            }
                            table(&operators.runs).write(out)?;
                            writeln!(out)
                        })?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// Where the rows are that the cross-attention of all layers shares, as `run` has them too.
fn shared_rows(operators: &StepOperators) -> String {
    let place = if operators.resident {
        "stay on chip from step to step"
    } else {
        "are read from memory, again by every layer"
    };
    format!("rows that all layers share ({}) {place}", bytes(operators.shared.0))
}

/// One row an operator, and a last one for the step.
fn table(operators: &[(&'static str, u64, OperatorCost)]) -> TableWriter {
    let header = ["operator", "runs", "one run", "of the step", "mostly", "memory", "FLOP", "MAC slots used"];
    let mut table = TableWriter::new(&header, 1, output::width());
    let whole = |runs: u64, cost: &OperatorCost| runs as f64 * cost.timeline.time.seconds();
    let step: f64 = operators.iter().map(|(_, runs, cost)| whole(*runs, cost)).sum();
    for (name, runs, cost) in operators {
        let time = cost.timeline.time;
        let causes = &cost.timeline.causes;
        let mostly = causes.largest().map(|largest: Cause| {
            let share = 100.0 * causes.0[largest as usize] as f64 / time.0.max(1) as f64;
            format!("{} {share:.0} %", largest.name())
        });
        let useful = cost.flops.total().0 / 2;
        table.row([
            (*name).to_owned(),
            thousands(*runs),
            duration(time.seconds()),
            format!("{:.1} %", 100.0 * whole(*runs, cost) / step),
            mostly.unwrap_or_else(|| "–".to_owned()),
            bytes(cost.traffic.total().0),
            thousands(cost.flops.total().0),
            if cost.mac_slots == 0 {
                "–".to_owned()
            } else {
                format!("{} %", significant(100.0 * useful as f64 / cost.mac_slots as f64, 3))
            },
        ]);
    }
    table.row([
        "the step".to_owned(),
        String::new(),
        duration(step),
        "100 %".to_owned(),
        String::new(),
        bytes(operators.iter().map(|(_, runs, c)| c.traffic.total().0 * runs).sum()),
        thousands(operators.iter().map(|(_, runs, c)| c.flops.total().0 * runs).sum()),
        String::new(),
    ]);
    table
}
