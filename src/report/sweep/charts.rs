//! The plots of a sweep: those that the file asks for, or what its axes suggest.

use super::labels::{self, file_part};
use super::painter::Painter;
use super::{Observer, Recorder, varying};
use crate::config::{AxisTarget, PlotKind};
use crate::report::numbers::thousands;
use crate::report::plot::Plot;
use crate::report::point_columns;
use crate::sweep::Plan;

/// Plots drawn of one kind where other axes vary too: one for each of their combinations, up to this many.
const FACETS: u64 = 12;
/// Points of one plot; more cannot be told apart, and would have to be held.
const CELLS: u64 = 100_000;

/// One plot of a sweep, or why there is none.
#[derive(Debug)]
pub struct Drawing {
    /// Name of its file, without extension.
    pub name: String,
    /// What it shows, in a line.
    pub caption: String,
    /// The plot, or why it is not drawn.
    pub plot: Result<Plot, String>,
}

/// What tells lines apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Series {
    None,
    Scheme,
    Dimension(usize),
}

/// A plot that has been decided on.
#[derive(Debug)]
pub(super) struct Chart {
    pub(super) kind: PlotKind,
    pub(super) title: Option<String>,
    pub(super) x: usize,
    pub(super) y: Option<usize>,
    pub(super) series: Series,
    /// What line charts show.
    pub(super) field: Option<String>,
    /// The other dimensions that vary: a plot for each combination of theirs.
    pub(super) facets: Vec<usize>,
    /// How many of those there are.
    count: u64,
    /// Whether it has too many points.
    crowded: bool,
}

impl Chart {
    fn new(plan: &Plan, kind: PlotKind, x: usize, y: Option<usize>, series: Series) -> Self {
        let size = |i: usize| plan.dimensions()[i].values.len() as u64;
        let of_series = match series {
            Series::Dimension(i) => Some(i),
            Series::None | Series::Scheme => None,
        };
        let used = [Some(x), y, of_series];
        let facets: Vec<usize> = varying(plan.dimensions()).filter(|&i| !used.contains(&Some(i))).collect();
        let cells = used.into_iter().flatten().map(size).fold(1, u64::saturating_mul);
        Self {
            kind,
            title: None,
            x,
            y,
            series,
            field: None,
            count: facets.iter().map(|&i| size(i)).fold(1, u64::saturating_mul),
            facets,
            crowded: cells > CELLS,
        }
    }

    /// Whether the combination at these coordinates is part of what is drawn.
    pub(super) fn shows(&self, plan: &Plan, at: &[usize]) -> bool {
        let facet =
            self.facets.iter().fold(0, |n, &i| n * plan.dimensions()[i].values.len() as u64 + at[i] as u64);
        !self.crowded && facet < FACETS
    }

    /// The coordinates of one plot: those of its facet, 0 elsewhere.
    fn facet(&self, plan: &Plan, mut number: u64) -> Vec<usize> {
        let mut at = vec![0; plan.dimensions().len()];
        for &i in self.facets.iter().rev() {
            let size = plan.dimensions()[i].values.len() as u64;
            at[i] = (number % size) as usize;
            number /= size;
        }
        at
    }
}

/// The plots that a sweep asks for, or else those that its axes suggest.
///
/// # Errors
/// What cannot be drawn, in words.
pub(super) fn charts(plan: &Plan) -> Result<Vec<Chart>, String> {
    let dimensions = plan.dimensions();
    let wanted = &plan.sweep().plots;
    if wanted.is_empty() {
        return Ok(suggested(plan));
    }
    let context = dimensions.iter().position(|d| d.target == AxisTarget::Context);
    let first = varying(dimensions).next().or(context).unwrap_or(0);
    let mut charts = Vec::new();
    for (number, plot) in wanted.iter().enumerate() {
        let number = number + 1;
        let axis = |name: &Option<String>, key: &str| -> Result<Option<usize>, String> {
            let Some(name) = name else { return Ok(None) };
            let found = dimensions.iter().position(|d| d.name == *name);
            found.map(Some).ok_or_else(|| {
                format!("plot {number}: '{name}' cannot be its {key}: expected an axis of this sweep (schemes can be its series)")
            })
        };
        let over_context = matches!(plot.kind, PlotKind::Speedup | PlotKind::Causes | PlotKind::Roofline);
        let preferred = context.filter(|&i| over_context && dimensions[i].values.len() > 1).unwrap_or(first);
        let x = axis(&plot.x, "x")?.unwrap_or(preferred);
        let mut series = match plot.series.as_deref() {
            Some("scheme") => Series::Scheme,
            _ => axis(&plot.series, "series")?.map_or(Series::None, Series::Dimension),
        };
        let mut chart = match plot.kind {
            PlotKind::Causes | PlotKind::Roofline => {
                if dimensions[x].target != AxisTarget::Context {
                    let kind = kind(plot.kind);
                    return Err(format!(
                        "plot {number}: {kind} plots are drawn over context, not over '{}'",
                        dimensions[x].name
                    ));
                }
                Chart::new(plan, plot.kind, x, None, Series::None)
            }
            PlotKind::Heatmap => {
                let other = varying(dimensions).find(|&i| i != x);
                let y = axis(&plot.y, "y")?.or(other).filter(|&y| y != x);
                let y = y.ok_or_else(|| format!("plot {number}: a heat map takes two axes"))?;
                Chart::new(plan, plot.kind, x, Some(y), Series::None)
            }
            PlotKind::Speedup | PlotKind::Lines => {
                let by_batch = |i: &usize| dimensions[*i].target == AxisTarget::Batch;
                if series == Series::None && plot.series.is_none() {
                    let default = varying(dimensions).find(|i| *i != x && by_batch(i));
                    series = match plot.kind {
                        PlotKind::Speedup => default.map_or(Series::None, Series::Dimension),
                        _ => Series::Scheme,
                    };
                }
                Chart::new(plan, plot.kind, x, None, series)
            }
        };
        if plot.kind == PlotKind::Lines {
            let field = plot.y.clone().unwrap_or_else(|| "speedup".to_owned());
            if !point_columns().contains(&field) {
                return Err(format!(
                    "plot {number}: no result is called '{field}': expected a column of results.csv, such as seconds or traffic_bytes.total"
                ));
            }
            chart.field = Some(field);
        }
        chart.title.clone_from(&plot.title);
        charts.push(chart);
    }
    Ok(charts)
}

/// What the axes suggest: speedup and causes over the context, a heat map of two axes, else lines.
fn suggested(plan: &Plan) -> Vec<Chart> {
    let dimensions = plan.dimensions();
    let all: Vec<usize> = varying(dimensions).collect();
    let find = |target| all.iter().copied().find(|&i| dimensions[i].target == target);
    if let Some(context) = find(AxisTarget::Context) {
        let other = find(AxisTarget::Batch).or_else(|| all.iter().copied().find(|&i| i != context));
        let series = other.map_or(Series::None, Series::Dimension);
        return vec![
            Chart::new(plan, PlotKind::Speedup, context, None, series),
            Chart::new(plan, PlotKind::Causes, context, None, Series::None),
        ];
    }
    match all[..] {
        [] => Vec::new(),
        [x] => {
            let chart = Chart::new(plan, PlotKind::Lines, x, None, Series::Scheme);
            vec![Chart { field: Some("speedup".to_owned()), ..chart }]
        }
        [y, x, ..] => vec![Chart::new(plan, PlotKind::Heatmap, x, Some(y), Series::None)],
    }
}

impl Recorder<'_> {
    /// Draws every plot.
    #[must_use]
    pub fn draw(&self, observer: &Observer<'_>) -> Vec<Drawing> {
        let mut all: Vec<Drawing> = Vec::new();
        for (i, chart) in observer.charts.iter().enumerate() {
            let number = i + 1;
            if chart.crowded {
                all.push(Drawing {
                    name: format!("{number:02}-{}", kind(chart.kind)),
                    caption: format!("plot {number}, {}", kind(chart.kind)),
                    plot: Err(format!("it would have more than {} points", thousands(CELLS))),
                });
                continue;
            }
            for facet in 0..chart.count.min(FACETS) {
                let painter = Painter { recorder: self, observer, chart, at: chart.facet(self.plan, facet) };
                for (scheme, caption, plot) in painter.draw() {
                    let mut name = format!("{number:02}-{}", kind(chart.kind));
                    let where_ = labels::place(self.plan, &painter.at, chart.facets.iter().copied());
                    for part in [scheme.as_deref().unwrap_or_default(), &where_] {
                        let part = file_part(part);
                        if !part.is_empty() {
                            name = format!("{name}-{part}");
                        }
                    }
                    name.truncate(100);
                    while all.iter().any(|d| d.name == name) {
                        name.push_str("-x");
                    }
                    all.push(Drawing { name, caption, plot: plot.map_err(|e| e.to_string()) });
                }
            }
            if let Some(more) = chart.count.checked_sub(FACETS).filter(|&n| n > 0) {
                all.push(Drawing {
                    name: format!("{number:02}-{}-more", kind(chart.kind)),
                    caption: format!(
                        "plot {number}, {} more combinations of the other axes",
                        thousands(more)
                    ),
                    plot: Err(format!("a plot is drawn for the first {FACETS} only")),
                });
            }
        }
        all
    }
}

const fn kind(kind: PlotKind) -> &'static str {
    match kind {
        PlotKind::Speedup => "speedup",
        PlotKind::Causes => "causes",
        PlotKind::Roofline => "roofline",
        PlotKind::Heatmap => "heatmap",
        PlotKind::Lines => "lines",
    }
}
