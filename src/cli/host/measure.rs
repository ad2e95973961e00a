//! `slimsim host measure`: kernels timed over a grid of shapes.

use crate::cli::output::{self, print};
use crate::cli::{CliError, plural};
use crate::host::cpu::{Cpu, available_memory};
use crate::host::kernels::Scheme;
use crate::host::measure::{Bench, Effort, Measured, Setting, Skipped, Timed, full_grid, quick_grid, write};
use crate::host::samples::WIDEST_SPREAD;
use crate::report::{Progress, TableWriter, check_writable, duration, thousands, write_atomically};
use std::path::PathBuf;

/// Time slim and baseline attention on this CPU over a grid of shapes
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// One thread, from DRAM, one sequence, two contexts: under a minute
    #[arg(long)]
    quick: bool,

    /// Table of measured points to write
    #[arg(short, long, value_name = "M.csv")]
    out: PathBuf,
}

/// Part of the points that may be disturbed before the table is refused.
const MOST_DISTURBED: f64 = 0.1;

/// What a run over a grid gave.
pub(super) struct Points {
    pub(super) measured: Vec<Measured>,
    pub(super) disturbed: Vec<Setting>,
    pub(super) rejected: u64,
    pub(super) skipped: Skipped,
}

impl Points {
    /// Measures the grid of this CPU.
    pub(super) fn take(cpu: &Cpu, quick: bool) -> Result<Self, CliError> {
        let memory = available_memory();
        let (grid, skipped) = if quick { quick_grid(memory) } else { full_grid(cpu, memory) };
        let effort = if quick { Effort::QUICK } else { Effort::FULL };
        let progress = Progress::new(Some(grid.len() as u64), "points");
        let mut points = Self { measured: Vec::new(), disturbed: Vec::new(), rejected: 0, skipped };
        let failed = |error: std::io::Error| CliError::usage(format!("cannot measure: {error}"));
        let mut bench: Option<(usize, Bench)> = None;
        for setting in &grid {
            if bench.as_ref().is_none_or(|(threads, _)| *threads != setting.threads) {
                bench = Some((setting.threads, Bench::new(cpu, setting.threads).map_err(failed)?));
            }
            let Some((_, bench)) = &mut bench else { continue };
            match bench.point(setting, effort).map_err(failed)? {
                Timed::Done(point) => {
                    points.rejected += point.rejected;
                    points.judge(point);
                }
                Timed::Disturbed { rejected } => {
                    points.rejected += rejected;
                    points.disturbed.push(*setting);
                }
            }
            progress.add(1);
            // The rest could not mend it.
            if points.disturbed.len() as f64 > MOST_DISTURBED * grid.len() as f64 {
                break;
            }
        }
        Ok(points)
    }

    /// The points of a table.
    pub(super) fn of(table: Vec<Measured>) -> Self {
        let mut points =
            Self { measured: Vec::new(), disturbed: Vec::new(), rejected: 0, skipped: Skipped::default() };
        table.into_iter().for_each(|point| points.judge(point));
        points
    }

    /// Keeps `point` unless its times vary too much.
    fn judge(&mut self, point: Measured) {
        if point.spread().is_some_and(|s| s <= WIDEST_SPREAD) {
            self.measured.push(point);
        } else {
            self.disturbed.push(point.setting);
        }
    }

    /// Refuses what a loaded machine gave; `outcome` says what then has not been done.
    ///
    /// # Errors
    /// Too many points were disturbed, or none fits the memory.
    pub(super) fn check(&self, outcome: &str) -> Result<(), CliError> {
        let (bad, all) = (self.disturbed.len(), self.disturbed.len() + self.measured.len());
        if all == 0 {
            return Err(CliError::Infeasible(format!("too little memory for any point; {outcome}")));
        }
        if bad as f64 > MOST_DISTURBED * all as f64 || self.measured.is_empty() {
            return Err(CliError::CheckFailed(format!(
                "the machine was busy: {} of {} varied by more than {:.0} % or lost their CPU too often; {outcome}",
                thousands(bad as u64),
                plural(all as u64, "point"),
                100.0 * WIDEST_SPREAD
            )));
        }
        Ok(())
    }

    /// What was left out, for people.
    pub(super) fn remarks(&self) {
        if self.skipped.memory > 0 {
            let points = plural(self.skipped.memory as u64, "point");
            output::note(&format!("note: {points} left out: too little memory"));
        }
        if !self.disturbed.is_empty() {
            let points = plural(self.disturbed.len() as u64, "point");
            output::note(&format!("note: {points} left out: times varied too much"));
        }
    }
}

impl Args {
    pub(super) fn execute(self) -> Result<(), CliError> {
        check_writable(&self.out)?;
        let cpu = Cpu::this();
        let points = Points::take(&cpu, self.quick)?;
        points.remarks();
        points.check("nothing was written")?;
        let mut csv = Vec::new();
        write(&mut csv, &cpu.identity(), &points.measured)
            .map_err(|error| CliError::usage(format!("cannot write the table: {error}")))?;
        write_atomically(&self.out, &csv)?;
        print(|out| {
            let header = [
                "heads", "head_dim", "context", "batch", "dtype", "threads", "tier", "kv-cache", "slim-k",
                "ratio", "±",
            ];
            let mut table = TableWriter::new(&header, 0, output::width());
            for point in &points.measured {
                table.row(row(point));
            }
            table.write(out)?;
            writeln!(
                out,
                "{}: {}, {} left out as disturbed; {}",
                self.out.display(),
                plural(points.measured.len() as u64, "point"),
                plural(points.rejected, "sample"),
                cpu.identity()
            )
        })
    }
}

/// A point as a row of text.
fn row(point: &Measured) -> [String; 11] {
    let Setting { shape, dtype, threads, tier } = point.setting;
    let time = |scheme| point.of(scheme).map_or_else(|| "–".to_owned(), |t| duration(t.median));
    [
        shape.heads.to_string(),
        shape.head_dim.to_string(),
        thousands(shape.context as u64),
        shape.batch.to_string(),
        dtype.name().to_owned(),
        threads.to_string(),
        tier.name().to_owned(),
        time(Scheme::KvCache),
        time(Scheme::SlimK),
        point.ratio().map_or_else(|| "–".to_owned(), |r| format!("{r:.2}")),
        point.spread().map_or_else(|| "–".to_owned(), |s| format!("{:.1} %", 100.0 * s)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::error::exit;
    use crate::host::kernels::Shape;
    use crate::host::measure::Tier;
    use crate::units::Dtype;

    fn points(measured: usize, disturbed: usize) -> Points {
        let shape = Shape { heads: 4, head_dim: 64, context: 512, batch: 1 };
        let setting = Setting { shape, dtype: Dtype::Fp32, threads: 1, tier: Tier::Dram };
        Points {
            measured: vec![Measured { setting, times: Vec::new(), rejected: 0 }; measured],
            disturbed: vec![setting; disturbed],
            rejected: 5,
            skipped: Skipped::default(),
        }
    }

    #[test]
    fn a_busy_machine_is_a_failed_check() {
        for (measured, disturbed) in [(89, 11), (1, 1), (0, 1)] {
            let error = points(measured, disturbed).check("nothing was written").unwrap_err();
            assert_eq!(error.code(), exit::CHECK_FAILED, "{measured} {disturbed}");
            let said = error.to_string();
            assert!(said.contains("busy") && said.ends_with("; nothing was written"), "{said}");
        }
        for (measured, disturbed) in [(90, 10), (1, 0), (500, 1)] {
            assert!(points(measured, disturbed).check("").is_ok(), "{measured} {disturbed}");
        }
    }

    #[test]
    fn a_machine_without_memory_is_not_called_busy() {
        let error = points(0, 0).check("nothing was compared").unwrap_err();
        assert_eq!(error.code(), exit::INFEASIBLE);
        assert_eq!(error.to_string(), "too little memory for any point; nothing was compared");
    }
}
