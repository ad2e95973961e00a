//! Speedup against context length: from where on a scheme wins, at each batch, and how far below the bound.

use super::canvas::{Area, At, Canvas, Marker, Pen, draw};
use super::frame::{self, Axis, EDGE, Frame, SIGN, Sign};
use super::labels::{Placer, nearest, spread};
use super::scale::{Scale, linear_labels, range};
use super::theme::{self, GREY, INK, Type, size};
use super::{Plot, PlotError};
use crate::report::numbers::{context, significant, thousands};
use plotters::style::RGBColor;

/// What to draw: one scheme against the baseline on one machine.
#[derive(Debug, Clone, PartialEq)]
pub struct SpeedupChart {
    /// Name of the accelerator.
    pub accelerator: String,
    /// Name of the model.
    pub model: String,
    /// The scheme that the speedup is of.
    pub scheme: String,
    /// The scheme that it is over: `kv-cache`.
    pub baseline: String,
    /// More to say below the title (element types, a forced plan); may be empty.
    pub note: String,
    /// One line a batch.
    pub curves: Vec<SpeedupCurve>,
}

/// The speedup at one batch.
#[derive(Debug, Clone, PartialEq)]
pub struct SpeedupCurve {
    /// Sequences in a step.
    pub batch: u64,
    /// (context, speedup), contexts rising.
    pub points: Vec<(u64, f64)>,
    /// (context, bound): the ratio of the two schemes' bandwidth-only bounds.
    pub bound: Vec<(u64, f64)>,
    /// Smallest context where the scheme wins, if it loses before.
    pub crossover: Option<u64>,
    /// Contexts asked for where either scheme cannot run; they break the line.
    pub infeasible: Vec<u64>,
}

const SIZE: (u32, u32) = (1040, 620);

/// Draws speedup against context.
///
/// # Errors
/// [`PlotError::Empty`] where no curve has a point.
pub fn speedup(chart: &SpeedupChart) -> Result<Plot, PlotError> {
    let lines = lines(chart);
    if lines.is_empty() {
        return Err(PlotError::Empty(format!(
            "no feasible point of {} and {}",
            chart.scheme, chart.baseline
        )));
    }
    let title = format!(
        "{} on {}: speedup of {} over {}",
        chart.model, chart.accelerator, chart.scheme, chart.baseline
    );
    let mut subtitle = "one decode step; above 1, the scheme is faster".to_owned();
    if !chart.note.is_empty() {
        subtitle = format!("{}; {subtitle}", chart.note);
    }
    draw(SIZE, &title, |canvas| {
        let top = frame::header(canvas, &title, &subtitle);
        let top = frame::legend(canvas, top, &keys(&lines));
        paint(canvas, top, chart, &lines);
    })
}

/// Lines up to which each can have its bound drawn; more dashes would hide the lines themselves.
const CLEAR: usize = 12;

/// The lines whose bounds are drawn.
fn bounded<'a, 'b>(lines: &'a [Line<'b>]) -> impl Iterator<Item = &'a Line<'b>> {
    let all = lines.len() <= CLEAR;
    lines
        .iter()
        .enumerate()
        .filter(move |(i, _)| all || *i == 0 || i + 1 == lines.len())
        .map(|(_, line)| line)
}

/// A curve with what can be drawn of it and how.
struct Line<'a> {
    curve: &'a SpeedupCurve,
    points: Vec<(f64, f64)>,
    bound: Vec<(f64, f64)>,
    pen: Pen,
    marker: Marker,
}

fn lines(chart: &SpeedupChart) -> Vec<Line<'_>> {
    let drawn = |points: &[(u64, f64)]| -> Vec<(f64, f64)> {
        points
            .iter()
            .filter(|(n, s)| *n > 0 && s.is_finite() && *s > 0.0)
            .map(|&(n, s)| (n as f64, s))
            .collect()
    };
    let curves: Vec<_> =
        chart.curves.iter().map(|c| (c, drawn(&c.points))).filter(|(_, points)| !points.is_empty()).collect();
    let count = curves.len();
    curves
        .into_iter()
        .enumerate()
        .map(|(i, (curve, points))| Line {
            curve,
            points,
            bound: drawn(&curve.bound),
            pen: Pen::new(theme::line_color(i, count), 2.2),
            marker: Marker::of(i),
        })
        .collect()
}

fn keys(lines: &[Line<'_>]) -> Vec<(Sign, String)> {
    let mut keys = vec![(Sign::LineAndMarker(Pen::new(GREY, 2.2), Marker::Circle), "simulated".to_owned())];
    if lines.iter().any(|l| !l.bound.is_empty()) {
        let pen = Pen::new(GREY, 1.3).dash(Pen::DASHED);
        let which = if lines.len() > CLEAR { " (of the first and the last)" } else { "" };
        keys.push((Sign::Line(pen), format!("bandwidth-only bound{which}")));
    }
    if lines.iter().any(|l| l.curve.crossover.is_some()) {
        keys.push((Sign::Ring(Pen::new(GREY, 2.2)), "crossover: wins from this context on".to_owned()));
    }
    if lines.iter().any(|l| !l.curve.infeasible.is_empty()) {
        keys.push((Sign::Marker(Marker::Cross, GREY), "beyond, one of the two does not run".to_owned()));
    }
    keys
}

fn paint(canvas: &mut Canvas<'_>, top: f64, chart: &SpeedupChart, lines: &[Line<'_>]) {
    let page = canvas.page();
    let column = Column::new(lines);
    let outer = Area::new(EDGE, top, page.right - EDGE - column.width - 20.0, page.bottom - 12.0);
    let (x, y) = axes(chart, lines);
    let frame = frame::frame(canvas, outer, frame::room_left(&y), &x, &y);
    let one = Pen::new(INK, 1.4);
    canvas.line(&[frame.at(x.scale.ends().0, 1.0), frame.at(x.scale.ends().1, 1.0)], &one);
    let mut placer = Placer::new(frame.area);
    for line in bounded(lines) {
        let bound: Vec<At> = line.bound.iter().map(|&(n, s)| frame.at(n, s)).collect();
        placer.avoid(&bound);
        canvas.line(&bound, &Pen::new(theme::mix(line.pen.color, theme::PAPER, 0.25), 1.3).dash(Pen::DASHED));
    }
    for line in lines {
        for piece in pieces(line) {
            let piece: Vec<At> = piece.iter().map(|&(n, s)| frame.at(n, s)).collect();
            canvas.line(&piece, &line.pen);
            placer.avoid(&piece);
        }
    }
    placer.avoid(&[frame.at(x.scale.ends().0, 1.0), frame.at(x.scale.ends().1, 1.0)]);
    for line in lines {
        // Many samples need no marker each; the ends and some between tell the lines apart.
        let stride = line.points.len().div_ceil(12).max(1);
        for (i, &(n, s)) in line.points.iter().enumerate() {
            if i % stride == 0 || i + 1 == line.points.len() {
                canvas.marker(line.marker, frame.at(n, s), 3.6, line.pen.color);
            }
        }
        if ends_early(line)
            && let Some(&(n, s)) = line.points.last()
        {
            canvas.marker(Marker::Cross, frame.at(n, s), 5.0, line.pen.color);
        }
    }
    crossovers(canvas, &frame, placer, lines);
    column.paint(canvas, &frame, page.right - EDGE, lines);
}

fn axes(chart: &SpeedupChart, lines: &[Line<'_>]) -> (Axis, Axis) {
    let contexts = chart
        .curves
        .iter()
        .flat_map(|c| c.points.iter().map(|p| p.0).chain(c.infeasible.iter().copied()).filter(|&n| n > 0));
    let (first, last) = range(contexts.map(|n| n as f64)).unwrap_or((1.0, 2.0));
    let (scale, ticks) = Scale::log2(first, last);
    // Less than two powers of two in the range tell nothing: show the ends.
    let ticks = if ticks.len() < 2 { vec![scale.ends().0, scale.ends().1] } else { ticks };
    let x = Axis::new("context (tokens attended)", (scale, ticks), |n| context(n.round() as u64));
    let values = lines.iter().flat_map(|l| l.points.iter().chain(&l.bound)).map(|p| p.1).chain([1.0]);
    let (low, high) = range(values).unwrap_or((0.5, 2.0));
    let title = format!("speedup over {}", chart.baseline);
    let y = if high / low > 6.0 {
        let floor = low.log2().mul_add(2.0, -0.2).floor() / 2.0;
        let ceiling = high.log2().mul_add(2.0, 0.2).ceil() / 2.0;
        Axis::new(title, Scale::log2(floor.exp2(), ceiling.exp2()), |s| {
            format!("{}×", significant(s, 3).trim_end_matches('0').trim_end_matches('.'))
        })
    } else {
        let (scale, ticks) = Scale::linear(low - 0.03 * (high - low), high + 0.03 * (high - low), 7);
        let labels = linear_labels(&ticks);
        Axis { title, scale, ticks: ticks.into_iter().zip(labels.into_iter().map(|l| l + "×")).collect() }
    };
    (x, y)
}

/// The line's stretches between contexts that do not run; where a crossover lies between two samples that lose and win,
/// the line passes through it.
fn pieces(line: &Line<'_>) -> Vec<Vec<(f64, f64)>> {
    let mut pieces: Vec<Vec<(f64, f64)>> = vec![Vec::new()];
    for &(n, s) in &line.points {
        let piece = pieces.last().and_then(|p| p.last().copied());
        if let Some((before, value)) = piece {
            if line.curve.infeasible.iter().any(|&gap| before < gap as f64 && (gap as f64) < n) {
                pieces.push(Vec::new());
            } else if let Some(at) = line.curve.crossover.map(|c| c as f64)
                && before < at
                && at < n
                && (value < 1.0) != (s < 1.0)
                && let Some(piece) = pieces.last_mut()
            {
                piece.push((at, 1.0));
            }
        }
        if let Some(piece) = pieces.last_mut() {
            piece.push((n, s));
        }
    }
    pieces
}

fn ends_early(line: &Line<'_>) -> bool {
    line.points.last().is_some_and(|&(last, _)| line.curve.infeasible.iter().any(|&n| n as f64 > last))
}

/// Rings where each line begins to win, labelled with the context.
fn crossovers(canvas: &mut Canvas<'_>, frame: &Frame, mut placer: Placer, lines: &[Line<'_>]) {
    let ends = frame.x.ends();
    let rings: Vec<(u64, At, RGBColor)> = lines
        .iter()
        .filter_map(|l| Some((l.curve.crossover?, l.pen.color)))
        .filter(|&(n, _)| (ends.0..=ends.1).contains(&(n as f64)))
        .map(|(n, color)| (n, frame.at(n as f64, 1.0), color))
        .collect();
    for &(_, at, color) in &rings {
        canvas.ring(at, 5.0, &Pen::new(color, 2.2));
        placer.block(Area::new(at.0, at.1, at.0, at.1).grow(6.5));
    }
    let style = Type::new(size::TICK).bold();
    // A crowd of labels would hide what they label: some then stand for all.
    let stride = rings.len().div_ceil(CLEAR).max(1);
    for (n, at, color) in rings.into_iter().step_by(stride) {
        let text = thousands(n);
        let Some(place) = placer.place(at, style.width(&text) + 4.0, style.height(), 50.0) else { continue };
        let (x, y) = nearest(&place, at);
        let distance = (x - at.0).hypot(y - at.1);
        if distance > 14.0 {
            let from = (at.0 + (x - at.0) * 6.0 / distance, at.1 + (y - at.1) * 6.0 / distance);
            canvas.line(&[from, (x, y)], &Pen::new(color, 0.9));
        }
        canvas.text_over(&text, place.center(), &style.color(color).center());
    }
}

/// The names of the lines beside the data, each as near to its line's end as room allows.
struct Column {
    width: f64,
    entries: Vec<(String, String)>,
    pitch: f64,
    detail: bool,
}

const NAME: Type = Type::new(size::LABEL).bold();
const DETAIL: Type = Type::new(size::NOTE).color(GREY);

impl Column {
    fn new(lines: &[Line<'_>]) -> Self {
        let room = f64::from(SIZE.1) - 190.0;
        let detail = lines.len() as f64 * 36.0 <= room;
        let pitch = if detail { 36.0 } else { (room / lines.len() as f64).clamp(12.5, 20.0) };
        let entries: Vec<_> =
            lines.iter().map(|l| (format!("batch {}", thousands(l.curve.batch)), say(l))).collect();
        let name = entries.iter().map(|(name, _)| NAME.width(name)).fold(0.0, f64::max);
        let notes = entries.iter().map(|(_, note)| if detail { DETAIL.width(note) } else { 0.0 });
        let width = SIGN + 7.0 + name.max(notes.fold(0.0, f64::max)).min(190.0);
        Self { width, entries, pitch, detail }
    }

    fn paint(&self, canvas: &mut Canvas<'_>, frame: &Frame, right: f64, lines: &[Line<'_>]) {
        let left = right - self.width;
        // More lines than fit are counted; a plot of that many is unreadable anyway.
        let bottom = canvas.page().bottom - EDGE;
        let fit = ((bottom - frame.area.top) / self.pitch).floor() as usize;
        let shown = if lines.len() > fit { fit - 1 } else { lines.len() };
        let wanted: Vec<f64> = lines[..shown]
            .iter()
            .filter_map(|l| l.points.last())
            // Ends that are about as high come in the order of the batches.
            .map(|&(_, s)| (frame.y(s) / 12.0).round() * 12.0)
            .chain((shown < lines.len()).then_some(bottom))
            .collect();
        let places = spread(&wanted, self.pitch, frame.area.top - 6.0, bottom);
        let room = self.width - SIGN - 7.0;
        for ((line, (name, note)), &y) in lines[..shown].iter().zip(&self.entries).zip(&places) {
            let upper = if self.detail { y - 7.5 } else { y };
            frame::sign(canvas, (left, upper), &Sign::LineAndMarker(line.pen, line.marker));
            let size = NAME.size.min(self.pitch);
            let style = Type { size, ..NAME }.color(line.pen.color);
            canvas.text(&theme::shorten(name, &style, room), (left + SIGN + 7.0, upper), &style);
            if self.detail {
                let note = theme::shorten(note, &DETAIL, room);
                canvas.text(&note, (left + SIGN + 7.0, y + 8.5), &DETAIL);
            }
        }
        if shown < lines.len()
            && let Some(&y) = places.last()
        {
            canvas.text(&format!("… and {} more", lines.len() - shown), (left, y), &DETAIL);
        }
    }
}

/// A line's message in words.
fn say(line: &Line<'_>) -> String {
    let verdict = match line.curve.crossover {
        Some(n) => format!("wins from {}", thousands(n)),
        None if line.points.iter().all(|&(_, s)| s >= 1.0) => "wins throughout".to_owned(),
        None if line.points.iter().all(|&(_, s)| s < 1.0) => "never wins".to_owned(),
        None => "wins in part".to_owned(),
    };
    match line.points.last() {
        Some(&(n, s)) => format!("{verdict}, {}× at {}", significant(s, 3), context(n as u64)),
        None => verdict,
    }
}
