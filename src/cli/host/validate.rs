//! `slimsim host validate`: measured points against predicted ones.

use super::calibrate::calibrated;
use super::measure::Points;
use crate::cli::output::{self, print};
use crate::cli::pin::table_or_json;
use crate::cli::{CliError, plural};
use crate::config::{Overrides, load_accelerator};
use crate::hardware::Accelerator;
use crate::host::break_even::{self, BreakEven};
use crate::host::cpu::Cpu;
use crate::host::curves::curves;
use crate::host::measure::{Table, read};
use crate::host::predict::Predictor;
use crate::host::validation::{Compared, GroupSummary, Summary, compare, groups, summarise};
use crate::report::{
    Format, TableWriter, check_writable, ratio_plot, thousands, write_atomically, write_compared, write_json,
};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Compare what attention takes on this CPU with what the simulator predicts
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Points that 'slimsim host measure' wrote [default: measure now]
    #[arg(long, value_name = "M.csv")]
    measured: Option<PathBuf>,

    /// Accelerator file that 'slimsim host calibrate' wrote [default: calibrate now]
    #[arg(short, long, value_name = "HOST.toml")]
    accelerator: Option<String>,

    /// Measure few points: under a minute with calibration
    #[arg(long, conflicts_with = "measured")]
    quick: bool,

    /// Use an accelerator file or a table of another machine
    #[arg(long)]
    force: bool,

    /// Write the result too, as .json, or a row a point as .csv
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,

    /// Draw measured and predicted ratios over context and over heads, as .svg or .png
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,

    /// Format of the result: table or json
    #[arg(long, value_name = "FORMAT", default_value_t, value_parser = table_or_json)]
    format: Format,
}

/// The result as JSON.
#[derive(Serialize)]
struct Report<'a> {
    slimsim: &'static str,
    machine: &'a str,
    accelerator: &'a str,
    points: &'a [Compared],
    break_even_context: &'a [BreakEven],
    break_even_heads: &'a [BreakEven],
    groups: &'a [GroupSummary],
    summary: &'a Summary,
}

impl Report<'_> {
    /// The bytes of a file of that kind.
    fn file(&self, kind: Format) -> std::io::Result<Vec<u8>> {
        let mut out = Vec::new();
        match kind {
            Format::Csv => write_compared(self.machine, self.points, &mut out)?,
            _ => write_json(self, &mut out)?,
        }
        Ok(out)
    }
}

impl Args {
    pub(super) fn execute(self) -> Result<(), CliError> {
        // Before minutes are spent on measuring.
        let render = self.plot.as_deref().map(output::plot_file).transpose()?;
        let kind = self.out.as_deref().map(result_file).transpose()?;
        for path in self.out.iter().chain(&self.plot) {
            check_writable(path)?;
        }
        let cpu = Cpu::this();
        // What files say is checked before anything is measured.
        let load = |path: &String| {
            let accelerator = load_accelerator(path, &Overrides::default())?;
            predictor(&accelerator).map(|predictor| (accelerator, predictor))
        };
        let given = self.accelerator.as_ref().map(load).transpose()?;
        let read = |path: &PathBuf| read(path).map_err(|e| CliError::usage(e.to_string()));
        let measured = self.measured.as_ref().map(read).transpose()?;
        self.same_machine(&cpu, measured.as_ref(), given.as_ref().map(|(_, predictor)| predictor))?;
        let (accelerator, predictor) = match given {
            Some(given) => given,
            None => {
                let accelerator = calibrated(&cpu, NOTHING_COMPARED)?;
                let predictor = predictor(&accelerator)?;
                (accelerator, predictor)
            }
        };
        let (machine, points, rejected) = match measured {
            Some(table) => {
                table
                    .at_most_threads(accelerator.cores.count, &accelerator.name)
                    .map_err(|e| CliError::usage(e.to_string()))?;
                let rejected = table.points.iter().map(|p| p.rejected).sum();
                let points = Points::of(table.points);
                points.remarks();
                points.check(NOTHING_COMPARED)?;
                (table.machine, points.measured, rejected)
            }
            None => {
                let cores = accelerator.cores.count;
                if !self.quick && cpu.cpus as u64 > cores {
                    return Err(CliError::usage(format!(
                        "this machine would be measured with {} threads, more than the cores of '{}', {cores}",
                        cpu.cpus, accelerator.name
                    ))
                    .with_help("--quick measures with one thread"));
                }
                let points = Points::take(&cpu, self.quick)?;
                points.remarks();
                points.check(NOTHING_COMPARED)?;
                (cpu.identity(), points.measured, points.rejected)
            }
        };
        let (compared, refused) = compare(&points, &predictor);
        let Some(summary) = summarise(&compared, rejected) else {
            return Err(match refused.first() {
                Some(why) => CliError::Infeasible(why.to_string()),
                None => CliError::usage("no points to compare"),
            });
        };
        if let Some(why) = refused.first() {
            let left_out = plural(refused.len() as u64, "point");
            output::note(&format!("note: {left_out} left out that cannot be predicted: {why}"));
        }
        let groups = groups(&compared);
        let (contexts, heads) = (break_even::contexts(&compared), break_even::heads(&compared));
        let report = Report {
            slimsim: env!("CARGO_PKG_VERSION"),
            machine: &machine,
            accelerator: &accelerator.name,
            points: &compared,
            break_even_context: &contexts,
            break_even_heads: &heads,
            groups: &groups,
            summary: &summary,
        };
        if let (Some(path), Some(kind)) = (&self.out, kind) {
            write_atomically(path, &report.file(kind).map_err(|e| CliError::Internal(e.to_string()))?)?;
        }
        if let (Some(path), Some(render)) = (&self.plot, render) {
            let curves = curves(&points, &predictor).ok_or_else(|| CliError::usage("no points to draw"))?;
            write_atomically(path, &render(&ratio_plot(&machine, &curves, compared.len())?)?)?;
        }
        match self.format {
            Format::Json => print(|out| write_json(&report, out)),
            _ => print(|out| {
                table(&compared).write(out)?;
                break_evens(&contexts, "heads", "context", out)?;
                break_evens(&heads, "context", "heads", out)?;
                if groups.len() > 1 {
                    group_table(&groups).write(out)?;
                }
                sums(&summary, compared.len(), out)
            }),
        }
    }

    /// Refuses figures of two machines: what is not given in a file is of this one, `cpu`.
    fn same_machine(
        &self,
        cpu: &Cpu,
        table: Option<&Table>,
        predictor: Option<&Predictor>,
    ) -> Result<(), CliError> {
        let here = cpu.identity();
        let measured = table.map_or(here.as_str(), |table| &table.machine);
        let calibrated = match predictor.map(Predictor::machine) {
            None => here.as_str(),
            Some(Some(machine)) => machine,
            Some(None) => {
                output::note("note: the accelerator file does not say which machine it was calibrated on");
                return Ok(());
            }
        };
        if self.force || calibrated == measured {
            return Ok(());
        }
        let named =
            |path: Option<String>| path.map_or_else(|| "this machine".to_owned(), |p| format!("'{p}'"));
        let table = named(self.measured.as_ref().map(|path| path.display().to_string()));
        let accelerator = named(self.accelerator.clone());
        Err(CliError::usage(format!(
            "points and accelerator are of two machines:\n  points of {table}: {measured}\n  accelerator of {accelerator}: {calibrated}"
        ))
        .with_help("measure and calibrate on the same machine, or compare all the same with --force"))
    }
}

/// What is said to be left undone where this command gives up.
const NOTHING_COMPARED: &str = "nothing was compared";

/// What predicts for `accelerator`; refuses one without a profile of its own.
fn predictor(accelerator: &Accelerator) -> Result<Predictor, CliError> {
    Predictor::new(accelerator).map_err(|e| CliError::usage(e.to_string()))
}

/// The format of a result's file of that name, by its extension.
///
/// # Errors
/// The extension is neither `.json` nor `.csv`.
fn result_file(path: &Path) -> Result<Format, CliError> {
    match path.extension().and_then(|e| e.to_str()) {
        Some("json") => Ok(Format::Json),
        Some("csv") => Ok(Format::Csv),
        _ => {
            let message = format!("cannot write '{}': unknown kind of file", path.display());
            Err(CliError::usage(message).with_help("results are .json or .csv"))
        }
    }
}

/// A part in per cent.
fn percent(part: f64) -> String {
    format!("{:.1} %", 100.0 * part)
}

/// A row a point.
fn table(points: &[Compared]) -> TableWriter {
    let header = [
        "heads",
        "head_dim",
        "context",
        "batch",
        "dtype",
        "threads",
        "tier",
        "measured",
        "±",
        "predicted",
        "roofline",
    ];
    let mut table = TableWriter::new(&header, 0, output::width());
    for p in points {
        table.row([
            p.heads.to_string(),
            p.head_dim.to_string(),
            thousands(p.context as u64),
            p.batch.to_string(),
            p.dtype.to_owned(),
            p.threads.to_string(),
            p.tier.to_owned(),
            format!("{:.2}", p.measured_ratio),
            percent(p.spread),
            format!("{:.2}", p.predicted_ratio),
            format!("{:.2}", p.roofline_ratio),
        ]);
    }
    table
}

/// A row a group.
fn group_table(groups: &[GroupSummary]) -> TableWriter {
    let header = [
        "threads",
        "tier",
        "points",
        "ratio, median",
        "90th",
        "winner right",
        "times, median",
        "roofline, median",
        "90th",
        "winner right",
    ];
    let mut table = TableWriter::new(&header, 0, output::width());
    for g in groups {
        table.row([
            g.threads.to_string(),
            g.tier.to_owned(),
            g.points.to_string(),
            percent(g.errors.ratio_median_error),
            percent(g.errors.ratio_p90_error),
            percent(g.errors.winner_agreement),
            percent(g.errors.time_median_error),
            percent(g.errors.roofline_ratio_median_error),
            percent(g.errors.roofline_ratio_p90_error),
            percent(g.errors.roofline_winner_agreement),
        ]);
    }
    table
}

/// A row a break-even of `what`, for each `held`.
fn break_evens(
    found: &[BreakEven],
    held: &str,
    what: &str,
    out: &mut dyn std::io::Write,
) -> std::io::Result<()> {
    if found.is_empty() {
        return Ok(());
    }
    let (measured, predicted) = (format!("{what}, measured"), format!("{what}, predicted"));
    let header = [held, "head_dim", "batch", "dtype", "threads", "tier", &measured, &predicted];
    let mut table = TableWriter::new(&header, 0, output::width());
    let at = |x: Option<f64>| match x {
        Some(x) if x >= 100.0 => thousands(x.round() as u64),
        Some(x) => format!("{x:.1}"),
        None => "none".to_owned(),
    };
    for b in found {
        table.row([
            thousands(b.heads.or(b.context).unwrap_or(0) as u64),
            b.head_dim.to_string(),
            b.batch.to_string(),
            b.dtype.to_owned(),
            b.threads.to_string(),
            b.tier.to_owned(),
            at(b.measured),
            at(b.predicted),
        ]);
    }
    writeln!(
        out,
        "break-even {what}: where both schemes take equally long; none: nowhere between the points measured"
    )?;
    table.write(out)?;
    let both = found.iter().filter(|b| b.error().is_some()).count();
    match break_even::median_error(found) {
        Some(error) => writeln!(out, "median error of {both} that have both: {}\n", percent(error)),
        None => writeln!(out),
    }
}

/// The sums under it.
fn sums(summary: &Summary, points: usize, out: &mut dyn std::io::Write) -> std::io::Result<()> {
    let s = &summary.errors;
    writeln!(out, "ratio: time of kv-cache / time of slim-k; above 1 slim-k is faster")?;
    writeln!(
        out,
        "error of the predicted ratio: median {}, 90th percentile {}; of the roofline's: {} and {}",
        percent(s.ratio_median_error),
        percent(s.ratio_p90_error),
        percent(s.roofline_ratio_median_error),
        percent(s.roofline_ratio_p90_error)
    )?;
    writeln!(
        out,
        "winner right on {} of {} outside 0.95 to 1.05; the roofline's on {}",
        percent(s.winner_agreement),
        plural(s.decided_points as u64, "point"),
        percent(s.roofline_winner_agreement)
    )?;
    writeln!(
        out,
        "error of predicted times: median {}; {}, {} left out as disturbed",
        percent(s.time_median_error),
        plural(points as u64, "point"),
        plural(summary.rejected_samples, "sample")
    )
}
