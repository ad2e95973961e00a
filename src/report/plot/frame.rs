//! What surrounds the data: title, legend, axes, grid. Margins grow with the labels, so none is clipped.

use super::canvas::{Area, At, Canvas, Marker, Pen, text_area};
use super::scale::Scale;
use super::theme::{self, GREY, GRID, INK, Type, size};
use plotters::style::RGBColor;

/// Room at the edge of the page.
pub(super) const EDGE: f64 = 20.0;

/// Lines of title and subtitle on a page `width` wide, with how each looks.
fn header_lines(width: f64, title: &str, subtitle: &str) -> [(Vec<String>, Type); 2] {
    [(title, Type::new(size::TITLE).bold()), (subtitle, Type::new(size::SUBTITLE).color(GREY))]
        .map(|(text, style)| (theme::wrap(text, &style, width - 2.0 * EDGE, 2), style))
}

/// What [`header`] will return on a page `width` wide.
pub(super) fn header_height(width: f64, title: &str, subtitle: &str) -> f64 {
    let lines = header_lines(width, title, subtitle);
    EDGE + lines.iter().map(|(lines, style)| lines.len() as f64 * style.height() + 2.0).sum::<f64>() + 6.0
}

/// Draws title and subtitle; returns where the rest may begin.
pub(super) fn header(canvas: &mut Canvas<'_>, title: &str, subtitle: &str) -> f64 {
    let mut y = EDGE;
    for (lines, style) in header_lines(canvas.page().right, title, subtitle) {
        for line in lines {
            y += style.height() / 2.0;
            canvas.text(&line, (EDGE, y), &style);
            y += style.height() / 2.0;
        }
        y += 2.0;
    }
    y + 6.0
}

/// The sign before a legend's entry.
#[derive(Debug, Clone, Copy)]
pub(super) enum Sign {
    Line(Pen),
    LineAndMarker(Pen, Marker),
    Marker(Marker, RGBColor),
    Ring(Pen),
    Fill(RGBColor),
    /// A band with its edges.
    Band(RGBColor, Pen),
}

/// Width that signs take.
pub(super) const SIGN: f64 = 28.0;

/// Draws a sign in the [`SIGN`] pixels right of `at`.
pub(super) fn sign(canvas: &mut Canvas<'_>, (x, y): At, sign: &Sign) {
    let middle = (x + SIGN / 2.0, y);
    let line = [(x, y), (x + SIGN, y)];
    match sign {
        Sign::Line(pen) => canvas.line(&line, pen),
        Sign::LineAndMarker(pen, marker) => {
            canvas.line(&line, pen);
            canvas.marker(*marker, middle, 4.0, pen.color);
        }
        Sign::Marker(marker, color) => canvas.marker(*marker, middle, 4.0, *color),
        Sign::Ring(pen) => canvas.ring(middle, 4.5, pen),
        Sign::Fill(color) => {
            canvas.fill(Area::new(x + 8.0, y - 6.0, x + SIGN - 4.0, y + 6.0), *color);
        }
        Sign::Band(color, pen) => {
            canvas.fill(Area::new(x, y - 5.0, x + SIGN, y + 5.0), *color);
            canvas.line(&[(x, y - 5.0), (x + SIGN, y - 5.0)], pen);
            canvas.line(&[(x, y + 5.0), (x + SIGN, y + 5.0)], pen);
        }
    }
}

/// Draws legend entries in rows from `top`; returns where the rest may begin.
pub(super) fn legend(canvas: &mut Canvas<'_>, top: f64, entries: &[(Sign, String)]) -> f64 {
    const ROW: f64 = 21.0;
    let style = Type::new(size::LABEL);
    let right = canvas.page().right - EDGE;
    let (mut x, mut y) = (EDGE, top + ROW / 2.0);
    for (mark, text) in entries {
        let text = theme::shorten(text, &style, right - EDGE - SIGN - 8.0);
        let width = SIGN + 7.0 + style.width(&text);
        if x > EDGE && x + width > right {
            (x, y) = (EDGE, y + ROW);
        }
        sign(canvas, (x, y), mark);
        canvas.text(&text, (x + SIGN + 7.0, y), &style);
        x += width + 22.0;
    }
    if entries.is_empty() { top } else { y + ROW / 2.0 + 8.0 }
}

const ENTRY: Type = Type::new(size::LABEL);

/// Width of a column of legend entries, at most `most`.
pub(super) fn column_width(entries: &[(Sign, String)], most: f64) -> f64 {
    let widest = entries.iter().map(|(_, text)| ENTRY.width(text)).fold(0.0, f64::max);
    (SIGN + 7.0 + widest.ceil()).min(most)
}

/// Draws legend entries below each other within `area`: long names over two lines where there is room, and what does not
/// fit is counted.
pub(super) fn column(canvas: &mut Canvas<'_>, area: Area, entries: &[(Sign, String)]) {
    const LINE: f64 = 17.0;
    const GAP: f64 = 6.0;
    let room = area.width() - SIGN - 7.0;
    let laid = |lines: usize| -> Vec<Vec<String>> {
        entries.iter().map(|(_, text)| theme::wrap(text, &ENTRY, room, lines)).collect()
    };
    let height = |entry: &Vec<String>| entry.len().max(1) as f64 * LINE + GAP;
    let mut texts = laid(2);
    if texts.iter().map(height).sum::<f64>() > area.height() {
        texts = laid(1);
    }
    let fit = (area.height() / (LINE + GAP)).floor().max(1.0) as usize;
    let all = texts.iter().map(height).sum::<f64>() <= area.height();
    let shown = if all { texts.len() } else { fit - 1 };
    let mut y = area.top + LINE / 2.0;
    for ((mark, _), lines) in entries.iter().zip(&texts).take(shown) {
        sign(canvas, (area.left, y), mark);
        for (i, line) in lines.iter().enumerate() {
            canvas.text(line, (area.left + SIGN + 7.0, y + i as f64 * LINE), &ENTRY);
        }
        y += height(lines);
    }
    if shown < entries.len() {
        let style = Type::new(size::NOTE).color(GREY);
        canvas.text(&format!("… and {} more", entries.len() - shown), (area.left, y), &style);
    }
}

/// One axis: its title, its scale, and its ticks with labels (`None`: a grid line without one).
#[derive(Debug, Clone)]
pub(super) struct Axis {
    pub(super) title: String,
    pub(super) scale: Scale,
    pub(super) ticks: Vec<(f64, String)>,
}

impl Axis {
    pub(super) fn new(
        title: impl Into<String>,
        (scale, ticks): (Scale, Vec<f64>),
        label: impl Fn(f64) -> String,
    ) -> Self {
        Self { title: title.into(), scale, ticks: ticks.into_iter().map(|t| (t, label(t))).collect() }
    }
}

/// The area of the data with its scales.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame {
    pub(super) area: Area,
    pub(super) x: Scale,
    pub(super) y: Scale,
}

impl Frame {
    pub(super) fn x(&self, value: f64) -> f64 {
        self.area.left + self.x.at(value) * self.area.width()
    }

    pub(super) fn y(&self, value: f64) -> f64 {
        self.area.bottom - self.y.at(value) * self.area.height()
    }

    pub(super) fn at(&self, x: f64, y: f64) -> At {
        (self.x(x), self.y(y))
    }
}

const TICK: Type = Type::new(size::TICK);

/// Room that a vertical axis takes on its left.
pub(super) fn room_left(y: &Axis) -> f64 {
    let widest = y.ticks.iter().map(|(_, label)| TICK.width(label)).fold(0.0, f64::max);
    widest + 8.0 + if y.title.is_empty() { 0.0 } else { 24.0 }
}

/// Room that a horizontal axis takes below.
pub(super) fn room_below(x: &Axis) -> f64 {
    let labels = if x.ticks.is_empty() { 4.0 } else { 24.0 };
    labels + if x.title.is_empty() { 0.0 } else { 24.0 }
}

/// How far the last label of a horizontal axis reaches over the axis' end, beyond the room at the page's edge.
pub(super) fn overhang(x: &Axis) -> f64 {
    let half = x.ticks.iter().map(|(_, label)| TICK.width(label) / 2.0).fold(0.0, f64::max);
    (half - EDGE / 2.0).max(0.0)
}

/// Where [`frame`] puts the data within `outer`.
pub(super) fn inner(outer: Area, left: f64, x: &Axis) -> Area {
    Area::new(outer.left + left, outer.top + 6.0, outer.right - overhang(x), outer.bottom - room_below(x))
}

/// Draws axes and grid within `outer`, which holds the labels too; `left` is the room kept for the vertical axis (at
/// least [`room_left`], equal for panels above each other).
pub(super) fn frame(canvas: &mut Canvas<'_>, outer: Area, left: f64, x: &Axis, y: &Axis) -> Frame {
    let area = inner(outer, left, x);
    let frame = Frame { area, x: x.scale, y: y.scale };
    let grid = Pen::new(GRID, 1.0);
    for (tick, _) in &x.ticks {
        canvas.line(&[(frame.x(*tick), area.top), (frame.x(*tick), area.bottom)], &grid);
    }
    for (tick, _) in &y.ticks {
        canvas.line(&[(area.left, frame.y(*tick)), (area.right, frame.y(*tick))], &grid);
    }
    let axis = Pen::new(GREY, 1.2);
    canvas.line(&[(area.left, area.bottom), (area.right, area.bottom)], &axis);
    for (tick, label) in spaced(&x.ticks, |(tick, label)| {
        let style = TICK.center();
        let place = text_area(label, (frame.x(*tick), 0.0), &style);
        (place.left - 5.0, place.right + 5.0)
    }) {
        canvas.line(&[(frame.x(*tick), area.bottom), (frame.x(*tick), area.bottom + 4.0)], &axis);
        canvas.text(label, (frame.x(*tick), area.bottom + 15.0), &TICK.center());
    }
    for (tick, label) in spaced(&y.ticks, |(tick, _)| (frame.y(*tick) - 8.0, frame.y(*tick) + 8.0)) {
        canvas.text(label, (area.left - 8.0, frame.y(*tick)), &TICK.right());
    }
    let title = Type::new(size::LABEL).color(INK);
    let (middle_x, middle_y) = area.center();
    let text = theme::shorten(&x.title, &title, area.width());
    canvas.text(&text, (middle_x, outer.bottom - 11.0), &title.center());
    let text = theme::shorten(&y.title, &title, area.height() + 20.0);
    canvas.text(&text, (outer.left + 8.0, middle_y), &title.center().upright());
    frame
}

/// Every tick, or every second, third … so that labels do not touch; `extent` is where a label would lie.
pub(super) fn spaced<T>(ticks: &[T], extent: impl Fn(&T) -> (f64, f64)) -> impl Iterator<Item = &T> {
    let clear = |stride: usize| {
        let extents: Vec<_> = ticks.iter().step_by(stride).map(&extent).collect();
        extents.windows(2).all(|w| w[0].1 <= w[1].0 || w[1].1 <= w[0].0)
    };
    let stride = (1..=ticks.len().max(1)).find(|&stride| clear(stride)).unwrap_or(1);
    ticks.iter().step_by(stride)
}
