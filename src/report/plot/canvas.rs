//! Drawing in fractional pixels on plotters' SVG backend.
//!
//! The backend takes whole units only; the canvas gives it ten to a pixel and states the true size in the head, so that
//! curves stay smooth. It keeps the first error and reports it at the end.

use super::theme::{self, Align, PAPER, Type};
use super::{Plot, PlotError};
use plotters::backend::{DrawingBackend, SVGBackend};
use plotters::style::{Color, RGBColor, ShapeStyle};

/// Units of the backend in a pixel.
const SCALE: f64 = 10.0;

/// A position in pixels, from the upper left.
pub(super) type At = (f64, f64);

/// A rectangle in pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Area {
    pub(super) left: f64,
    pub(super) top: f64,
    pub(super) right: f64,
    pub(super) bottom: f64,
}

impl Area {
    pub(super) const fn new(left: f64, top: f64, right: f64, bottom: f64) -> Self {
        Self { left, top, right, bottom }
    }

    pub(super) fn width(&self) -> f64 {
        self.right - self.left
    }

    pub(super) fn height(&self) -> f64 {
        self.bottom - self.top
    }

    pub(super) fn center(&self) -> At {
        (f64::midpoint(self.left, self.right), f64::midpoint(self.top, self.bottom))
    }

    pub(super) fn grow(&self, by: f64) -> Self {
        Self::new(self.left - by, self.top - by, self.right + by, self.bottom + by)
    }

    pub(super) fn contains(&self, other: &Self) -> bool {
        self.left <= other.left
            && self.top <= other.top
            && self.right >= other.right
            && self.bottom >= other.bottom
    }

    pub(super) fn overlaps(&self, other: &Self) -> bool {
        self.left < other.right
            && other.left < self.right
            && self.top < other.bottom
            && other.top < self.bottom
    }
}

/// A pen.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pen {
    pub(super) color: RGBColor,
    pub(super) width: f64,
    /// Drawn and skipped lengths in turn; empty for a solid line.
    pub(super) dash: &'static [f64],
}

impl Pen {
    pub(super) const DASHED: &'static [f64] = &[6.0, 5.0];
    pub(super) const DOTTED: &'static [f64] = &[1.5, 3.5];

    pub(super) const fn new(color: RGBColor, width: f64) -> Self {
        Self { color, width, dash: &[] }
    }

    pub(super) const fn dash(mut self, dash: &'static [f64]) -> Self {
        self.dash = dash;
        self
    }
}

/// Shapes that mark points, so that lines differ by more than colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Marker {
    Circle,
    Square,
    Triangle,
    Diamond,
    TriangleDown,
    Cross,
}

impl Marker {
    /// The marker of line `index`.
    pub(super) const fn of(index: usize) -> Self {
        [Self::Circle, Self::Square, Self::Triangle, Self::Diamond, Self::TriangleDown][index % 5]
    }
}

/// A page being drawn.
pub(super) struct Canvas<'a> {
    backend: SVGBackend<'a>,
    width: u32,
    height: u32,
    error: Option<String>,
}

/// Draws a page of `width` × `height` pixels; `title` is for screen readers.
pub(super) fn draw(
    (width, height): (u32, u32),
    title: &str,
    paint: impl FnOnce(&mut Canvas<'_>),
) -> Result<Plot, PlotError> {
    if !theme::font_is_ready() {
        return Err(PlotError::Draw("the embedded font is broken".to_owned()));
    }
    let mut body = String::new();
    let units = |pixels: u32| pixels * SCALE as u32;
    let error = {
        let backend = SVGBackend::with_string(&mut body, (units(width), units(height)));
        let mut canvas = Canvas { backend, width, height, error: None };
        canvas.fill(canvas.page(), PAPER);
        paint(&mut canvas);
        let presented = canvas.backend.present();
        canvas.note(presented);
        canvas.error.take()
    };
    if let Some(error) = error {
        return Err(PlotError::Draw(error));
    }
    // The backend writes its own size into the first line; the true size and round joints belong there.
    let Some((_, shapes)) = body.split_once('\n') else {
        return Err(PlotError::Draw("the SVG has no head".to_owned()));
    };
    let svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {} {}\" stroke-linejoin=\"round\" stroke-linecap=\"butt\">\n<title>{}</title>\n{shapes}",
        units(width),
        units(height),
        escape(title),
    );
    Ok(Plot { svg, width, height })
}

/// Text for XML; what XML cannot hold becomes the replacement character.
fn escape(text: &str) -> String {
    clean(text).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn clean(text: &str) -> String {
    let allowed = |c: char| !c.is_control() && !matches!(c, '\u{fffe}' | '\u{ffff}');
    text.chars().map(|c| if allowed(c) { c } else { '\u{fffd}' }).collect()
}

fn units((x, y): At) -> (i32, i32) {
    // Far outside the page a coordinate has no use; keep it within what the backend can hold.
    let unit = |v: f64| (v * SCALE).round().clamp(-1e7, 1e7) as i32;
    (unit(x), unit(y))
}

impl Canvas<'_> {
    /// The whole page.
    pub(super) fn page(&self) -> Area {
        Area::new(0.0, 0.0, f64::from(self.width), f64::from(self.height))
    }

    fn note(&mut self, result: Result<(), impl std::fmt::Display>) {
        if let Err(error) = result {
            self.error.get_or_insert_with(|| error.to_string());
        }
    }

    /// A line through all points.
    pub(super) fn line(&mut self, points: &[At], pen: &Pen) {
        if points.len() < 2 {
            return;
        }
        let style = ShapeStyle {
            color: pen.color.to_rgba(),
            filled: false,
            stroke_width: (pen.width * SCALE).round() as u32,
        };
        let pieces = if pen.dash.is_empty() { vec![points.to_vec()] } else { dashes(points, pen.dash) };
        for piece in pieces {
            let result = self.backend.draw_path(piece.into_iter().map(units), &style);
            self.note(result);
        }
    }

    /// A polygon that lets what is below shine through.
    pub(super) fn polygon_through(&mut self, points: &[At], color: RGBColor, opacity: f64) {
        let result = self.backend.fill_polygon(points.iter().copied().map(units), &color.mix(opacity));
        self.note(result);
    }

    /// A filled rectangle.
    pub(super) fn fill(&mut self, area: Area, color: RGBColor) {
        self.fill_through(area, color, 1.0);
    }

    /// A rectangle that lets what is below shine through.
    pub(super) fn fill_through(&mut self, area: Area, color: RGBColor, opacity: f64) {
        let (from, to) = (units((area.left, area.top)), units((area.right, area.bottom)));
        let result = self.backend.draw_rect(from, to, &color.mix(opacity), true);
        self.note(result);
    }

    /// The border of a rectangle.
    pub(super) fn outline(&mut self, area: Area, pen: &Pen) {
        let Area { left, top, right, bottom } = area;
        self.line(&[(left, top), (right, top), (right, bottom), (left, bottom), (left, top)], pen);
    }

    /// A filled circle.
    pub(super) fn disc(&mut self, center: At, radius: f64, color: RGBColor) {
        self.disc_through(center, radius, color, 1.0);
    }

    fn disc_through(&mut self, center: At, radius: f64, color: RGBColor, opacity: f64) {
        let radius = (radius * SCALE).round() as u32;
        let result = self.backend.draw_circle(units(center), radius, &color.mix(opacity), true);
        self.note(result);
    }

    /// A circle with a white inside.
    pub(super) fn ring(&mut self, center: At, radius: f64, pen: &Pen) {
        self.disc(center, radius, PAPER);
        let style = ShapeStyle {
            color: pen.color.to_rgba(),
            filled: false,
            stroke_width: (pen.width * SCALE).round() as u32,
        };
        let result = self.backend.draw_circle(units(center), (radius * SCALE).round() as u32, &style, false);
        self.note(result);
    }

    /// A marker about `2 · radius` wide, set off from lines below it by a white rim.
    pub(super) fn marker(&mut self, marker: Marker, center: At, radius: f64, color: RGBColor) {
        if marker == Marker::Cross {
            for (width, color) in [(radius + 2.0, PAPER), (radius * 0.55, color)] {
                let pen = Pen::new(color, width);
                let (x, y) = center;
                self.line(&[(x - radius, y - radius), (x + radius, y + radius)], &pen);
                self.line(&[(x - radius, y + radius), (x + radius, y - radius)], &pen);
            }
            return;
        }
        for (radius, color) in [(radius + 1.2, PAPER), (radius, color)] {
            self.shape(marker, center, radius, color, 1.0);
        }
    }

    /// A marker's shape, without rim, that lets what is below shine through: one of many.
    pub(super) fn shape(&mut self, marker: Marker, center: At, r: f64, color: RGBColor, opacity: f64) {
        let corners: &[At] = match marker {
            Marker::Circle | Marker::Cross => return self.disc_through(center, r, color, opacity),
            Marker::Square => &[(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)],
            Marker::Triangle => &[(0.0, -1.15), (1.1, 0.85), (-1.1, 0.85)],
            Marker::TriangleDown => &[(0.0, 1.15), (1.1, -0.85), (-1.1, -0.85)],
            Marker::Diamond => &[(0.0, -1.25), (1.25, 0.0), (0.0, 1.25), (-1.25, 0.0)],
        };
        let points: Vec<At> = corners.iter().map(|&(x, y)| (center.0 + x * r, center.1 + y * r)).collect();
        self.polygon_through(&points, color, opacity);
    }

    /// Text, vertically centred on `at`.
    pub(super) fn text(&mut self, text: &str, at: At, style: &Type) {
        if text.trim().is_empty() {
            return;
        }
        // The backend centres on the x-height; a tenth of an em more centres capitals and digits.
        let shift = style.size * 0.1;
        let at = if style.upright { (at.0 + shift, at.1) } else { (at.0, at.1 + shift) };
        let result = self.backend.draw_text(&clean(text), &style.plotters(SCALE), units(at));
        self.note(result);
    }

    /// Text on a white ground that keeps it readable over lines.
    pub(super) fn text_over(&mut self, text: &str, at: At, style: &Type) {
        let area = text_area(text, at, style);
        self.fill_through(area.grow(0.5), PAPER, 0.85);
        self.text(text, at, style);
    }
}

/// Where `text` will be.
pub(super) fn text_area(text: &str, (x, y): At, style: &Type) -> Area {
    let (width, half) = (style.width(text), style.height() / 2.0);
    let (before, after) = match style.align {
        Align::Left => (0.0, width),
        Align::Center => (width / 2.0, width / 2.0),
        Align::Right => (width, 0.0),
    };
    if style.upright {
        Area::new(x - half, y - after, x + half, y + before)
    } else {
        Area::new(x - before, y - half, x + after, y + half)
    }
}

/// Cuts a line into dashes; the pattern runs on across corners.
fn dashes(points: &[At], pattern: &[f64]) -> Vec<Vec<At>> {
    let mut pieces = Vec::new();
    let (mut index, mut left) = (0, pattern[0]);
    let mut piece = vec![points[0]];
    for pair in points.windows(2) {
        let ((x0, y0), (x1, y1)) = (pair[0], pair[1]);
        let length = (x1 - x0).hypot(y1 - y0);
        let mut done = 0.0;
        while length - done > left {
            done += left;
            let at = (x0 + (x1 - x0) * done / length, y0 + (y1 - y0) * done / length);
            if index % 2 == 0 {
                piece.push(at);
                pieces.push(std::mem::take(&mut piece));
            } else {
                piece = vec![at];
            }
            index += 1;
            left = pattern[index % pattern.len()];
        }
        left -= length - done;
        if index % 2 == 0 {
            piece.push((x1, y1));
        }
    }
    if piece.len() > 1 {
        pieces.push(piece);
    }
    pieces
}
