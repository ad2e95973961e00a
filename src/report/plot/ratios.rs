//! Small multiples of a ratio: measured points with bars, the line predicted for them, and the roofline's beside it.

use super::canvas::{Area, At, Canvas, Marker, Pen, draw};
use super::frame::{self, Axis, EDGE, Frame, Sign};
use super::scale::{Scale, linear_labels, range};
use super::theme::{self, GREY, INK, PAPER, Type, size};
use super::{Plot, PlotError};
use crate::report::numbers::significant;
use plotters::style::RGBColor;

/// What to draw: rows of panels, each of a ratio over one quantity. All panels have the vertical axis in common.
#[derive(Debug, Clone, PartialEq)]
pub struct RatioChart {
    /// Title.
    pub title: String,
    /// More to say below it; may be empty.
    pub note: String,
    /// Name of the vertical axis.
    pub y_title: String,
    /// Who wins above 1, in short words.
    pub above: String,
    /// Who wins below 1, in short words.
    pub below: String,
    /// The rows.
    pub rows: Vec<RatioRow>,
}

/// Panels side by side with one horizontal axis.
#[derive(Debug, Clone, PartialEq)]
pub struct RatioRow {
    /// Name of the horizontal axis.
    pub x_title: String,
    /// Its labelled values, rising.
    pub x: Vec<(f64, String)>,
    /// Whether it is logarithmic.
    pub logarithmic: bool,
    /// Names of its few lines, in their order; every panel's line `i` has name `i`.
    pub names: Vec<String>,
    /// The panels.
    pub panels: Vec<RatioPanel>,
}

/// One panel.
#[derive(Debug, Clone, PartialEq)]
pub struct RatioPanel {
    /// What it is of.
    pub title: String,
    /// A line for each of the row's names, empty where there is none.
    pub lines: Vec<RatioLine>,
}

/// One line and its points. Values that are not finite and positive are left out.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RatioLine {
    /// x, measured ratio, and the part by which it varies.
    pub measured: Vec<(f64, f64, f64)>,
    /// x and predicted ratio, x rising.
    pub predicted: Vec<(f64, f64)>,
    /// x and the roofline's ratio, x rising.
    pub roofline: Vec<(f64, f64)>,
}

/// Width of a panel, and of what is between two.
const PANEL: (f64, f64) = (270.0, 16.0);
/// Width of a page, however few its panels.
const NARROWEST: f64 = 940.0;
/// Height of a panel with its axis and the axis' title.
const HEIGHT: f64 = 318.0;
/// Height of that title.
const AXIS_TITLE: f64 = 24.0;
/// Height of a panel's title.
const HEADING: f64 = 20.0;
/// Height of a row's legend.
const LEGEND: f64 = 29.0;
/// Between two rows.
const GAP: f64 = 14.0;
/// Half the width of an error bar's ends.
const CAP: f64 = 3.0;
/// How much of the half planes' colours shines through.
const TINT: f64 = 0.07;

const SIDE: Type = Type::new(size::TICK).bold();

/// Draws measured and predicted ratios.
///
/// # Errors
/// [`PlotError::Empty`] where there is nothing measured.
pub fn ratios(chart: &RatioChart) -> Result<Plot, PlotError> {
    let lines = || chart.rows.iter().flat_map(|r| &r.panels).flat_map(|p| &p.lines);
    if !lines().flat_map(|l| &l.measured).any(|&(x, ratio, _)| drawable(&(x, ratio))) {
        return Err(PlotError::Empty("no measured ratio".to_owned()));
    }
    let y = y_axis(chart, lines());
    let most = chart.rows.iter().map(|r| r.panels.len()).max().unwrap_or(1).max(1) as f64;
    let around = 2.0 * EDGE + frame::room_left(&y) + side_width(chart) + 12.0 + (most - 1.0) * PANEL.1;
    let panel = PANEL.0.max((NARROWEST - around) / most);
    let width = (around + most * panel).ceil();
    let top = frame::header_height(width, &chart.title, &chart.note);
    let rows = chart.rows.len() as f64;
    let height = top + LEGEND + rows * (LEGEND + HEADING + HEIGHT) + (rows - 1.0) * GAP + EDGE / 2.0;
    draw((width as u32, height.ceil() as u32), &chart.title, |canvas| {
        let top = frame::header(canvas, &chart.title, &chart.note);
        let mut top = frame::legend(canvas, top, &kinds());
        for (i, row) in chart.rows.iter().enumerate() {
            top = frame::legend(canvas, top, &keys(i, row, width - 2.0 * EDGE));
            paint_row(canvas, (top, panel), chart, (i, row), &y);
            top += HEADING + HEIGHT + GAP;
        }
    })
}

/// Room for who wins, a word a line.
fn side_width(chart: &RatioChart) -> f64 {
    let words = chart.above.split(' ').chain(chart.below.split(' '));
    words.map(|word| SIDE.width(word)).fold(0.0, f64::max).min(90.0)
}

fn drawable(&(x, y): &(f64, f64)) -> bool {
    x.is_finite() && y.is_finite() && x > 0.0 && y > 0.0
}

/// The ends of a point's bar; the lower one stays above zero.
fn bar(ratio: f64, spread: f64) -> (f64, f64) {
    let spread = if spread.is_finite() { spread.max(0.0) } else { 0.0 };
    (ratio * (1.0 - spread).max(0.1), ratio * (1.0 + spread))
}

fn y_axis<'a>(chart: &RatioChart, lines: impl Iterator<Item = &'a RatioLine>) -> Axis {
    let values = lines.flat_map(|line| {
        let lines = line.predicted.iter().chain(&line.roofline).copied().filter(drawable);
        let points = line.measured.iter().filter(|p| drawable(&(p.0, p.1)));
        let bars = points.map(|&(_, ratio, spread)| bar(ratio, spread));
        lines.map(|p| (p.1, p.1)).chain(bars).flat_map(|(low, high)| [low, high])
    });
    let (low, high) = range(values.chain([0.87, 1.15])).unwrap_or((0.5, 2.0));
    let margin = (high / low).powf(0.05);
    let (low, high) = (low / margin, high * margin);
    let title = chart.y_title.clone();
    let (scale, ticks) = Scale::log10(low, high);
    if high / low > 5.0 {
        return Axis::new(title, (scale, ticks), |v| format!("{}×", short(v)));
    }
    let ticks: Vec<f64> =
        Scale::linear(low, high, 7).1.into_iter().filter(|t| (low..=high).contains(t)).collect();
    let labels = linear_labels(&ticks);
    Axis { title, scale, ticks: ticks.into_iter().zip(labels.into_iter().map(|l| l + "×")).collect() }
}

fn short(value: f64) -> String {
    let text = significant(value, 2);
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// Room beside the outermost values, that markers and bars are whole.
fn x_scale(row: &RatioRow) -> Scale {
    let lines = || row.panels.iter().flat_map(|p| &p.lines);
    let xs = lines().flat_map(|l| {
        let measured = l.measured.iter().map(|p| p.0);
        measured.chain(l.predicted.iter().chain(&l.roofline).map(|p| p.0))
    });
    let (low, high) = range(xs.filter(|x| *x > 0.0)).unwrap_or((1.0, 2.0));
    if row.logarithmic {
        let margin = if high > low { (high / low).powf(0.03) } else { 2.0 };
        Scale::Log { min: low / margin, max: high * margin }
    } else {
        let margin = if high > low { 0.05 * (high - low) } else { 0.5 * high };
        Scale::Linear { min: low - margin, max: high + margin }
    }
}

fn predicted_pen(color: RGBColor) -> Pen {
    Pen::new(color, 2.0)
}

fn roofline_pen(color: RGBColor) -> Pen {
    Pen::new(theme::mix(color, PAPER, 0.35), 1.3).dash(Pen::DASHED)
}

/// What is drawn how, for all panels.
fn kinds() -> [(Sign, String); 3] {
    [
        (Sign::Marker(Marker::Circle, GREY), "measured ± half the distance of the quartiles".to_owned()),
        (Sign::Line(predicted_pen(GREY)), "predicted".to_owned()),
        (Sign::Line(roofline_pen(GREY)), "roofline".to_owned()),
    ]
}

/// The names of a row's lines, in `room` for all of them.
fn keys(index: usize, row: &RatioRow, room: f64) -> Vec<(Sign, String)> {
    let count = row.names.len();
    let sign = |i| Sign::LineAndMarker(predicted_pen(theme::ordered_color(index, i, count)), Marker::of(i));
    // A legend leaves 7 pixels behind a sign and 22 behind a name.
    let most = room / count.max(1) as f64 - frame::SIGN - 29.0;
    let name = |name: &String| theme::shorten(name, &Type::new(size::LABEL), most);
    row.names.iter().enumerate().map(|(i, text)| (sign(i), name(text))).collect()
}

/// Draws a row from `top`, its panels `width` wide.
fn paint_row(
    canvas: &mut Canvas<'_>,
    (top, width): (f64, f64),
    chart: &RatioChart,
    (index, row): (usize, &RatioRow),
    y: &Axis,
) {
    let x = Axis { title: String::new(), scale: x_scale(row), ticks: row.x.clone() };
    // Only the first panel has labels on its left.
    let bare = y.ticks.iter().map(|(value, _)| (*value, String::new())).collect();
    let bare = Axis { title: String::new(), scale: y.scale, ticks: bare };
    let bottom = top + HEADING + HEIGHT;
    let room = frame::room_left(y);
    let mut last = None;
    for (i, panel) in row.panels.iter().enumerate() {
        let left = EDGE + room + i as f64 * (width + PANEL.1);
        let (y, room) = if i == 0 { (y, room) } else { (&bare, 0.0) };
        // No label reaches over the edge: the panels of all rows are equally wide.
        let right = left + width + frame::overhang(&x);
        let outer = Area::new(left - room, top + HEADING, right, bottom - AXIS_TITLE);
        last = Some(paint(canvas, outer, room, (index, row, panel), (&x, y)));
    }
    let Some(frame) = last else { return };
    sides(canvas, &frame, chart);
    let middle = f64::midpoint(EDGE + room, frame.area.right);
    canvas.text(&row.x_title, (middle, bottom - AXIS_TITLE / 2.0), &Type::new(size::LABEL).center());
}

/// Draws a panel within `outer`.
fn paint(
    canvas: &mut Canvas<'_>,
    outer: Area,
    left: f64,
    (index, row, panel): (usize, &RatioRow, &RatioPanel),
    (x, y): (&Axis, &Axis),
) -> Frame {
    let area = frame::inner(outer, left, x);
    let tinted = Frame { area, x: x.scale, y: y.scale };
    let one = tinted.y(1.0);
    canvas.fill_through(Area::new(area.left, area.top, area.right, one), theme::diverging(1.0), TINT);
    canvas.fill_through(Area::new(area.left, one, area.right, area.bottom), theme::diverging(-1.0), TINT);
    let frame = frame::frame(canvas, outer, left, x, y);
    let title = Type::new(size::LABEL).bold();
    let text = theme::shorten(&panel.title, &title, area.width());
    canvas.text(&text, (area.left, outer.top - HEADING / 2.0 + 4.0), &title);
    canvas.line(&[(area.left, one), (area.right, one)], &Pen::new(INK, 1.4));
    let color = |i| theme::ordered_color(index, i, row.names.len());
    let curve = |points: &[(f64, f64)]| -> Vec<Vec<At>> {
        let pieces = points.split(|p| !drawable(p));
        pieces.map(|piece| piece.iter().map(|&(x, y)| frame.at(x, y)).collect()).collect()
    };
    for (i, line) in panel.lines.iter().enumerate() {
        curve(&line.roofline).iter().for_each(|piece| canvas.line(piece, &roofline_pen(color(i))));
    }
    for (i, line) in panel.lines.iter().enumerate() {
        curve(&line.predicted).iter().for_each(|piece| canvas.line(piece, &predicted_pen(color(i))));
    }
    for (i, line) in panel.lines.iter().enumerate() {
        for &(x, ratio, spread) in line.measured.iter().filter(|p| drawable(&(p.0, p.1))) {
            point(canvas, &frame, (x, ratio), bar(ratio, spread), (Marker::of(i), color(i)));
        }
    }
    frame
}

/// A measured point with its bar, set off from the lines by white.
fn point(
    canvas: &mut Canvas<'_>,
    frame: &Frame,
    (x, ratio): (f64, f64),
    (low, high): (f64, f64),
    (marker, color): (Marker, RGBColor),
) {
    let (at, low, high) = (frame.at(x, ratio), frame.y(low), frame.y(high));
    for pen in [Pen::new(PAPER, 3.2), Pen::new(color, 1.3)] {
        canvas.line(&[(at.0, low), (at.0, high)], &pen);
        for end in [low, high] {
            canvas.line(&[(at.0 - CAP, end), (at.0 + CAP, end)], &pen);
        }
    }
    canvas.marker(marker, at, 3.6, color);
}

/// Right of the last panel, who wins above and below 1.
fn sides(canvas: &mut Canvas<'_>, frame: &Frame, chart: &RatioChart) {
    const LINE: f64 = 15.0;
    let (x, one) = (frame.area.right + 8.0, frame.y(1.0));
    let room = side_width(chart);
    for (text, from, color) in [
        (&chart.above, 0.25 - chart.above.split(' ').count() as f64, theme::diverging(1.0)),
        (&chart.below, 0.75, theme::diverging(-1.0)),
    ] {
        let style = SIDE.color(color);
        for (i, word) in text.split(' ').enumerate() {
            let word = theme::shorten(word, &style, room);
            canvas.text(&word, (x, one + LINE * (from + i as f64)), &style);
        }
    }
}
