//! `slimsim plot`: charts of a study.

use super::list::memory_name;
use super::output::{self, print};
use super::run::{document, simulate};
use super::{CliError, Selectors, Study};
use crate::analysis::Question;
use crate::attention::{self, Scheme};
use crate::hardware::Accelerator;
use crate::model::Model;
use crate::report::PointsDocument;
use crate::report::plot::{self, CauseChart, CauseUnit, Plot, PlotError, RooflineChart, SpeedupChart};
use clap::ValueEnum;
use std::path::PathBuf;

/// Draw speedup over context, cycles by cause, and the roofline, as SVG and PNG
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Experiment file; options replace what it says. Without contexts: powers of two up to the model's longest
    #[arg(value_name = "EXPERIMENT.toml")]
    experiment: Option<String>,

    #[command(flatten)]
    selectors: Selectors,

    /// Folder for the plots
    #[arg(short, long, value_name = "DIR")]
    out: PathBuf,

    /// What to draw
    #[arg(
        long,
        value_enum,
        value_name = "KIND",
        value_delimiter = ',',
        default_value = "speedup,causes,roofline"
    )]
    kind: Vec<Kind>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// Speedup over context: a line a batch, the crossover marked, the bandwidth-only bound dashed
    Speedup,
    /// Cycles by cause, the schemes side by side over context
    Causes,
    /// Operating points below the machine's roofs
    Roofline,
}

/// A plot and the name of its files.
type Named = (String, Result<Plot, PlotError>);

impl Args {
    pub(super) fn execute(self) -> Result<(), CliError> {
        let mut study = self.selectors.resolve(self.experiment.as_deref())?;
        // Speedups and their bounds are against the baseline.
        let baseline = &attention::ALL[0];
        if !study.schemes.contains(&baseline) {
            study.schemes.insert(0, baseline);
        }
        output::prepare_folder(&self.out)?;
        let results = self.selectors.on_threads(|| simulate(&study))?;
        if let Some(error) = super::run::nothing_runs(results.iter().flat_map(|r| &r.2)) {
            return Err(error);
        }
        let mut plots: Vec<Named> = Vec::new();
        for (accelerator, model, points) in &results {
            let document = document(&study, accelerator, model, points);
            let of = (results.len() > 1).then_some([document.accelerator, document.model]);
            for &kind in &self.kind {
                plots.extend(
                    draw(kind, &study, (accelerator, model), &document)
                        .into_iter()
                        .map(|(name, plot)| (output::file_name(&name, of), plot)),
                );
            }
        }
        let mut paths = Vec::new();
        for (name, plot) in plots {
            match plot {
                Ok(plot) => paths.extend(output::save_plot(&self.out, &name, &plot)?),
                Err(PlotError::Empty(why)) => output::note(&format!("warning: no plot {name}: {why}")),
                Err(error) => return Err(error.into()),
            }
        }
        if paths.is_empty() {
            return Err(CliError::Infeasible("there is nothing to draw".to_owned()));
        }
        print(|out| paths.iter().try_for_each(|path| writeln!(out, "{}", path.display())))
    }
}

/// The plots of a kind, and names that tell them apart.
fn draw(
    kind: Kind,
    study: &Study,
    (accelerator, model): (&Accelerator, &Model),
    document: &PointsDocument<'_>,
) -> Vec<Named> {
    let by_batch = |name: &str, plot: &dyn Fn(u64) -> Result<Plot, PlotError>| -> Vec<Named> {
        let many = study.batches.len() > 1;
        let name = |b: u64| if many { format!("{name}-batch-{b}") } else { name.to_owned() };
        study.batches.iter().map(|&b| (name(b), plot(b))).collect()
    };
    match kind {
        Kind::Speedup => {
            let schemes: Vec<_> = study.schemes.iter().filter(|s| s.name != attention::BASELINE).collect();
            let many = schemes.len() > 1;
            let name = |scheme: &str| if many { format!("speedup-{scheme}") } else { "speedup".to_owned() };
            let plot = |scheme: &'static Scheme| {
                let mut chart = SpeedupChart::of_points(document, scheme.name);
                exact(&mut chart, study, accelerator, model, scheme);
                plot::speedup(&chart)
            };
            schemes.iter().map(|s| (name(s.name), plot(s))).collect()
        }
        Kind::Causes => {
            let unit = cause_unit(document);
            by_batch("causes", &|b| plot::causes(&CauseChart::of_points(document, b, unit)))
        }
        Kind::Roofline => {
            let peak =
                accelerator.peak_macs_per_second(study.conditions.precision.weights).map(|p| 2.0 * p as f64);
            by_batch("roofline", &|b| {
                let bandwidth = accelerator
                    .memory_bandwidth()
                    .ok_or_else(|| PlotError::Empty("the memory's bandwidth is unlimited".to_owned()))?;
                let memory = memory_name(accelerator);
                plot::roofline(&RooflineChart::of_points(document, b, peak, bandwidth.0 as f64, memory))
            })
        }
    }
}

/// Puts the crossovers that `crossover` finds in the place of interpolated ones.
fn exact(
    chart: &mut SpeedupChart,
    study: &Study,
    accelerator: &Accelerator,
    model: &Model,
    scheme: &'static Scheme,
) {
    for curve in &mut chart.curves {
        // Only between contexts that were asked for: elsewhere the line shows none.
        let (Some(_), Some(&(first, _)), Some(&(last, _))) =
            (curve.crossover, curve.points.first(), curve.points.last())
        else {
            continue;
        };
        let question = Question {
            accelerator,
            model,
            schemes: &[scheme],
            conditions: &study.conditions,
            contexts: &[],
            head_contexts: &[],
            query_contexts: &[],
            context_batches: &[curve.batch],
            batches: &[],
            max_context: last,
            lead: 1.0,
        };
        let found = question.answer().answers.first().and_then(|a| a.wins_from);
        curve.crossover = found.filter(|n| (first..=last).contains(n)).or(curve.crossover);
    }
}

/// Bars are in time where the shortest can still be read beside the longest, else relative to the baseline.
fn cause_unit(document: &PointsDocument<'_>) -> CauseUnit {
    const LEGIBLE: f64 = 12.0;
    let times = || document.points.iter().filter_map(|p| Some(p.seconds?.0.seconds()));
    let (least, most) = (times().fold(f64::INFINITY, f64::min), times().fold(0.0, f64::max));
    if most <= LEGIBLE * least { CauseUnit::Time } else { CauseUnit::Relative }
}
