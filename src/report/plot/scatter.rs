//! Measured against predicted: a point for each measurement, the diagonal where both agree.

use super::canvas::{Area, At, Canvas, Pen, draw};
use super::cloud;
use super::frame::{self, Axis, EDGE, Frame, Sign};
use super::scale::{Scale, range, si_label};
use super::theme::{self, INK, PAPER};
use super::{Plot, PlotError};
use crate::report::numbers::significant;

/// What to draw.
#[derive(Debug, Clone, PartialEq)]
pub struct ScatterChart {
    /// Title.
    pub title: String,
    /// More to say below it; may be empty.
    pub note: String,
    /// Name of the horizontal axis: what was measured.
    pub x_title: String,
    /// Name of the vertical axis: what was predicted.
    pub y_title: String,
    /// Unit of both axes, with a prefix where that helps: `s`. Empty for bare numbers.
    pub unit: String,
    /// The points, in groups that differ by colour and marker.
    pub groups: Vec<ScatterGroup>,
    /// Half the width of a band around the diagonal as a share of the measured value: 0.1 is ±10 %.
    pub band: Option<f64>,
}

/// Points that belong together.
#[derive(Debug, Clone, PartialEq)]
pub struct ScatterGroup {
    /// What the legend says of it: `h100 · sglang, 3.4 %`.
    pub name: String,
    /// Measured and predicted, in [`ScatterChart::unit`]. What is not positive and finite is left out.
    pub points: Vec<(f64, f64)>,
}

const SIZE: (u32, u32) = (980, 720);
/// Most room for the legend.
const COLUMN: f64 = 250.0;
const BAND: f64 = 0.11;

/// Draws measured against predicted on logarithmic axes with the same decades, equally long.
///
/// # Errors
/// [`PlotError::Empty`] where no point has two positive, finite values.
pub fn scatter(chart: &ScatterChart) -> Result<Plot, PlotError> {
    let positive = |v: f64| v.is_finite() && v > 0.0;
    let groups: Vec<Vec<(f64, f64)>> = chart
        .groups
        .iter()
        .map(|g| g.points.iter().copied().filter(|&(x, y)| positive(x) && positive(y)).collect())
        .collect();
    let Some((low, high)) = range(groups.iter().flatten().flat_map(|&(x, y)| [x, y])) else {
        return Err(PlotError::Empty("no measurement with its prediction".to_owned()));
    };
    let band = chart.band.filter(|&b| positive(b));
    draw(SIZE, &chart.title, |canvas| {
        let top = frame::header(canvas, &chart.title, &chart.note);
        let (x, y) = axes(chart, low, high);
        let keys = keys(chart, band);
        let (outer, column) = places(canvas.page(), top, &x, &y, &keys);
        let frame = frame::frame(canvas, outer, frame::room_left(&y), &x, &y);
        paint(canvas, &frame, &groups, band);
        frame::column(canvas, column, &keys);
    })
}

/// The same scale and ticks for both.
fn axes(chart: &ScatterChart, low: f64, high: f64) -> (Axis, Axis) {
    let label = |v: f64| {
        if chart.unit.is_empty() { significant(v, 1) } else { si_label(v, &chart.unit) }
    };
    let x = Axis::new(chart.x_title.clone(), Scale::log10_around(low, high), label);
    let y = Axis { title: chart.y_title.clone(), ..x.clone() };
    (x, y)
}

fn band_pen() -> Pen {
    Pen::new(INK, 0.9).dash(&[4.0, 3.0])
}

fn keys(chart: &ScatterChart, band: Option<f64>) -> Vec<(Sign, String)> {
    let mut keys = vec![(Sign::Line(Pen::new(INK, 1.3)), "predicted = measured".to_owned())];
    if let Some(band) = band {
        let text = format!("within ±{} %", significant(band * 100.0, 2));
        keys.push((Sign::Band(theme::mix(PAPER, INK, BAND), band_pen()), text));
    }
    keys.extend(chart.groups.iter().enumerate().map(|(i, g)| (cloud::sign(i), g.name.clone())));
    keys
}

/// The square of the data with its labels, and the legend's column beside it.
fn places(page: Area, top: f64, x: &Axis, y: &Axis, keys: &[(Sign, String)]) -> (Area, Area) {
    const GAP: f64 = 18.0;
    let column = frame::column_width(keys, COLUMN);
    let outer = Area::new(EDGE, top, page.right - EDGE - column - GAP, page.bottom - 12.0);
    let inner = frame::inner(outer, frame::room_left(y), x);
    let (over, down) = (inner.width() - inner.height(), inner.height() - inner.width());
    let outer = Area::new(outer.left, outer.top, outer.right - over.max(0.0), outer.bottom - down.max(0.0));
    let left = outer.right + GAP;
    (outer, Area::new(left, inner.top, page.right - EDGE, page.bottom - EDGE))
}

fn paint(canvas: &mut Canvas<'_>, frame: &Frame, groups: &[Vec<(f64, f64)>], band: Option<f64>) {
    let (low, high) = frame.x.ends();
    let edges = band.map(|b| [1.0 + b, 1.0 - b].map(|factor| along(frame, factor)));
    if let Some([above, below]) = &edges {
        let corner = [frame.at(high, high), frame.at(low, low)];
        let mut outline = above.clone();
        outline.push(corner[0]);
        outline.extend(below.iter().rev());
        outline.push(corner[1]);
        canvas.polygon_through(&outline, INK, BAND);
    }
    let points: Vec<Vec<At>> =
        groups.iter().map(|g| g.iter().map(|&(x, y)| frame.at(x, y)).collect()).collect();
    cloud::cloud(canvas, &points);
    // Above the points, that the reader sees on which side of them most lie.
    for edge in edges.iter().flatten() {
        canvas.line(edge, &band_pen());
    }
    let diagonal = along(frame, 1.0);
    canvas.line(&diagonal, &Pen::new(PAPER, 2.4));
    canvas.line(&diagonal, &Pen::new(INK, 1.3));
}

/// Where y = `factor` · x runs within the frame; nothing where it does not.
fn along(frame: &Frame, factor: f64) -> Vec<At> {
    let (low, high) = frame.x.ends();
    let (from, to) = (low.max(low / factor), high.min(high / factor));
    if from < to { vec![frame.at(from, from * factor), frame.at(to, to * factor)] } else { Vec::new() }
}
