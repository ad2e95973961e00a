//! Measured and predicted ratios as a picture and as a table.

use crate::host::curves::{Curve, Curves, Predicted};
use crate::host::measure::Tier;
use crate::host::validation::Compared;
use crate::report::plot::{Plot, PlotError, RatioChart, RatioLine, RatioPanel, RatioRow, ratios};
use crate::report::{CsvWriter, context, flatten, significant, thousands};
use crate::units::Dtype;
use std::collections::BTreeSet;
use std::io;

/// Draws `curves`, measured on `machine`; `all` is the number of points that they were chosen from.
///
/// # Errors
/// Where there is nothing to draw.
pub fn ratio_plot(machine: &str, curves: &Curves, all: usize) -> Result<Plot, PlotError> {
    ratios(&RatioChart {
        title: "Attention on a CPU: time of kv-cache over time of slim-k, measured and predicted".to_owned(),
        note: note(machine, curves, all),
        y_title: "time of kv-cache / slim-k".to_owned(),
        above: "slim-k faster".to_owned(),
        below: "kv-cache faster".to_owned(),
        rows: vec![
            row(&curves.over_context, "context length (tokens, logarithmic)", true, context, |h| match h {
                1 => "1 head".to_owned(),
                heads => format!("{} heads", thousands(heads)),
            }),
            row(&curves.over_heads, "heads", false, thousands, |n| format!("{} tokens", context(n))),
        ],
    })
}

/// Where and what was measured, and how far off the lines are.
fn note(machine: &str, curves: &Curves, all: usize) -> String {
    let group = curves.group;
    let threads = if group.threads == 1 { "thread" } else { "threads" };
    let tier = if group.tier == Tier::Dram { "DRAM" } else { "the caches" };
    let of = if all > curves.points { format!(" of {}", thousands(all as u64)) } else { String::new() };
    let percent = |x: f64| format!("{} %", significant(100.0 * x, 2));
    let errors = &curves.errors;
    format!(
        "{} {threads}, from {tier}, batch {}. Error of the ratio at {}{of} points, median and 90th percentile: predicted {} and {}, \
         roofline {} and {}. {machine}",
        group.threads,
        group.batch,
        thousands(curves.points as u64),
        percent(errors.ratio_median_error),
        percent(errors.ratio_p90_error),
        percent(errors.roofline_ratio_median_error),
        percent(errors.roofline_ratio_p90_error),
    )
}

/// A panel a type and head size, a line a value of what is held.
fn row(
    curves: &[Curve],
    x_title: &str,
    logarithmic: bool,
    label: fn(u64) -> String,
    name: impl Fn(u64) -> String,
) -> RatioRow {
    let held: BTreeSet<usize> = curves.iter().map(|c| c.held).collect();
    let panels: BTreeSet<(Dtype, usize)> = curves.iter().map(|c| (c.dtype, c.head_dim)).collect();
    let x: BTreeSet<usize> = curves.iter().flat_map(|c| c.points.iter().map(|p| p.x)).collect();
    let panel = |(dtype, head_dim): (Dtype, usize)| {
        let of = |held: &usize| {
            curves.iter().find(|c| (c.dtype, c.head_dim, c.held) == (dtype, head_dim, *held)).map(line)
        };
        RatioPanel {
            title: format!("{dtype}, head size {head_dim}"),
            lines: held.iter().map(|h| of(h).unwrap_or_default()).collect(),
        }
    };
    RatioRow {
        x_title: x_title.to_owned(),
        x: x.iter().map(|&x| (x as f64, label(x as u64))).collect(),
        logarithmic,
        names: held.iter().map(|&h| name(h as u64)).collect(),
        panels: panels.into_iter().map(panel).collect(),
    }
}

fn line(curve: &Curve) -> RatioLine {
    let over = |ratio: fn(&Predicted) -> f64| curve.line.iter().map(|p| (p.x as f64, ratio(p))).collect();
    RatioLine {
        measured: curve.points.iter().map(|p| (p.x as f64, p.ratio, p.spread)).collect(),
        predicted: over(|p| p.ratio),
        roofline: over(|p| p.roofline),
    }
}

/// Writes `points`, measured on `machine`, one row a point.
///
/// # Errors
/// The writer's own.
pub fn write_compared(machine: &str, points: &[Compared], out: &mut dyn io::Write) -> io::Result<()> {
    let Some(first) = points.first() else { return Ok(()) };
    // A ratio that the first point lacks has its column all the same.
    let full = Compared { measured_ratio: 1.0, predicted_ratio: 1.0, roofline_ratio: 1.0, ..first.clone() };
    let columns: Vec<String> = flatten(&full)?.into_iter().map(|(path, _)| path).collect();
    let mut csv = CsvWriter::new(out, &["machine".to_owned()], &columns)?;
    points.iter().try_for_each(|point| csv.row(&[machine.to_owned()], point))?;
    csv.finish()
}
