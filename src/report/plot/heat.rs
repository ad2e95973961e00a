//! Heat map of a speedup over two axes, with the line where neither scheme wins.

use super::canvas::{Area, At, Canvas, Pen, draw, text_area};
use super::frame::{self, EDGE, Sign, spaced};
use super::scale::range;
use super::theme::{self, GREY, INK, PAPER, Type, size};
use super::{Plot, PlotError};
use crate::report::numbers::{context, significant};
use plotters::style::RGBColor;

/// What to draw.
#[derive(Debug, Clone, PartialEq)]
pub struct HeatMap {
    /// Title: model, machine, scheme and baseline.
    pub title: String,
    /// More to say below it; may be empty.
    pub note: String,
    /// Name of the values: `speedup over kv-cache`.
    pub value: String,
    /// Name of the horizontal axis.
    pub x_title: String,
    /// Labels along it, one a column; see [`HeatMap::labels`].
    pub x: Vec<String>,
    /// Name of the vertical axis.
    pub y_title: String,
    /// Labels along it, one a row, from the bottom up.
    pub y: Vec<String>,
    /// Values, row by row from the bottom, `None` where there is none.
    pub values: Vec<Option<f64>>,
}

impl HeatMap {
    /// Labels of a numeric axis: whole numbers as token counts are written (`32k`), others with four figures.
    #[must_use]
    pub fn labels(values: &[f64]) -> Vec<String> {
        let whole = |v: f64| v >= 0.0 && v.fract() == 0.0 && v < 1e15;
        values.iter().map(|&v| if whole(v) { context(v as u64) } else { significant(v, 4) }).collect()
    }
}

const SIZE: (u32, u32) = (1000, 680);
const MISSING: RGBColor = RGBColor(0xdc, 0xdc, 0xdc);

/// Draws a heat map.
///
/// # Errors
/// [`PlotError::Empty`] where no value is positive and finite, [`PlotError::Draw`] where there are not as many values
/// as cells.
pub fn heat_map(map: &HeatMap) -> Result<Plot, PlotError> {
    let (columns, rows) = (map.x.len(), map.y.len());
    if map.values.len() != columns * rows {
        return Err(PlotError::Draw(format!("{} values in {columns} × {rows} cells", map.values.len())));
    }
    let logs: Vec<Option<f64>> =
        map.values.iter().map(|v| v.filter(|v| v.is_finite() && *v > 0.0).map(f64::log2)).collect();
    let Some((low, high)) = range(logs.iter().flatten().copied()) else {
        return Err(PlotError::Empty("no cell has a value".to_owned()));
    };
    // At least ±10 %, so that noise around 1 does not look like a verdict.
    let reach = low.abs().max(high.abs()).max(1.1f64.log2());
    draw(SIZE, &map.title, |canvas| {
        let top = frame::header(canvas, &map.title, &map.note);
        let mut keys = Vec::new();
        if low < 0.0 && high > 0.0 {
            keys.push((Sign::Line(Pen::new(INK, 2.6)), "speedup = 1".to_owned()));
        }
        if logs.iter().any(Option::is_none) {
            keys.push((Sign::Fill(MISSING), "does not run".to_owned()));
        }
        let top = frame::legend(canvas, top, &keys);
        Grid::new(canvas, map, &logs, reach, top).paint(canvas);
    })
}

struct Grid<'a> {
    map: &'a HeatMap,
    logs: &'a [Option<f64>],
    reach: f64,
    area: Area,
    columns: usize,
    rows: usize,
}

const TICK: Type = Type::new(size::TICK);
const BAR: f64 = 18.0;

impl<'a> Grid<'a> {
    fn new(canvas: &Canvas<'_>, map: &'a HeatMap, logs: &'a [Option<f64>], reach: f64, top: f64) -> Self {
        let page = canvas.page();
        let widest = map.y.iter().map(|l| TICK.width(l)).fold(0.0, f64::max).min(140.0);
        let left = EDGE + 26.0 + widest + 8.0;
        let area = Area::new(left, top + 6.0, page.right - EDGE - 130.0, page.bottom - 64.0);
        Self { map, logs, reach, area, columns: map.x.len(), rows: map.y.len() }
    }

    fn cell(&self) -> (f64, f64) {
        (self.area.width() / self.columns as f64, self.area.height() / self.rows as f64)
    }

    /// The middle of a cell; rows count from the bottom.
    fn middle(&self, column: usize, row: usize) -> At {
        let (width, height) = self.cell();
        (self.area.left + (column as f64 + 0.5) * width, self.area.bottom - (row as f64 + 0.5) * height)
    }

    fn value(&self, column: usize, row: usize) -> Option<f64> {
        self.logs.get(row * self.columns + column).copied().flatten()
    }

    fn paint(&self, canvas: &mut Canvas<'_>) {
        let (width, height) = self.cell();
        // Cells meet without white seams: each is drawn a little larger to the right and below.
        for row in (0..self.rows).rev() {
            for column in 0..self.columns {
                let (x, y) = self.middle(column, row);
                let area = Area::new(
                    x - width / 2.0,
                    y - height / 2.0,
                    (x + width / 2.0 + 0.4).min(self.area.right),
                    (y + height / 2.0 + 0.4).min(self.area.bottom),
                );
                let value = self.value(column, row);
                canvas.fill(area, value.map_or(MISSING, |v| theme::diverging(v / self.reach)));
                if value.is_none() {
                    let pen = Pen::new(PAPER, 1.5);
                    canvas.line(&[(area.left, area.bottom), (area.right, area.top)], &pen);
                }
            }
        }
        self.contour(canvas);
        self.numbers(canvas);
        canvas.outline(self.area, &Pen::new(GREY, 1.0));
        self.axes(canvas);
        self.bar(canvas);
    }

    /// Values in the cells, if all fit.
    fn numbers(&self, canvas: &mut Canvas<'_>) {
        let (width, height) = self.cell();
        let style = Type::new(size::NOTE).center();
        let texts: Vec<Option<String>> =
            self.logs.iter().map(|v| v.map(|v| significant(v.exp2(), 3))).collect();
        let widest = texts.iter().flatten().map(|t| style.width(t)).fold(0.0, f64::max);
        if widest + 8.0 > width || style.height() + 4.0 > height {
            return;
        }
        for (i, text) in texts.iter().enumerate() {
            if let (Some(text), Some(value)) = (text, self.logs[i]) {
                let fill = theme::diverging(value / self.reach);
                let at = self.middle(i % self.columns, i / self.columns);
                // The contour gives way to the number.
                let place = text_area(text, at, &style);
                canvas
                    .fill(Area { top: place.top + 1.0, bottom: place.bottom - 1.0, ..place }.grow(1.0), fill);
                canvas.text(text, at, &style.color(theme::ink_on(fill)));
            }
        }
    }

    fn axes(&self, canvas: &mut Canvas<'_>) {
        let style = TICK.center();
        let columns: Vec<_> = self.map.x.iter().enumerate().collect();
        let room = self.area.width() / 3.0;
        let place = |(i, label): &(usize, &String)| {
            let (x, half) = (self.middle(*i, 0).0, style.width(label).min(room) / 2.0 + 5.0);
            (x - half, x + half)
        };
        for (i, label) in spaced(&columns, place) {
            let label = theme::shorten(label, &style, room);
            canvas.text(&label, (self.middle(*i, 0).0, self.area.bottom + 14.0), &style);
        }
        let rows: Vec<_> = self.map.y.iter().enumerate().collect();
        let place = |(i, _): &(usize, &String)| (self.middle(0, *i).1 - 8.0, self.middle(0, *i).1 + 8.0);
        for (i, label) in spaced(&rows, place) {
            let label = theme::shorten(label, &TICK, 140.0);
            canvas.text(&label, (self.area.left - 8.0, self.middle(0, *i).1), &TICK.right());
        }
        let title = Type::new(size::LABEL).center();
        let (x, y) = self.area.center();
        let text = theme::shorten(&self.map.x_title, &title, self.area.width());
        canvas.text(&text, (x, self.area.bottom + 40.0), &title);
        let text = theme::shorten(&self.map.y_title, &title, self.area.height());
        canvas.text(&text, (EDGE + 8.0, y), &title.upright());
    }

    /// The colour scale.
    fn bar(&self, canvas: &mut Canvas<'_>) {
        const STEPS: usize = 120;
        let left = self.area.right + 34.0;
        let area = Area::new(left, self.area.top, left + BAR, self.area.bottom);
        let y = |t: f64| area.bottom - t.mul_add(0.5, 0.5) * area.height();
        for i in 0..STEPS {
            let (low, high) = (i as f64 / STEPS as f64, (i + 1) as f64 / STEPS as f64);
            let color = theme::diverging(low + high - 1.0);
            let bottom = (y(low * 2.0 - 1.0) + 0.4).min(area.bottom);
            canvas.fill(Area::new(area.left, y(high * 2.0 - 1.0), area.right, bottom), color);
        }
        canvas.outline(area, &Pen::new(GREY, 1.0));
        let candidates: Vec<f64> = if self.reach >= 1.6 {
            let most = self.reach.floor() as i32;
            (-most..=most).map(|i| f64::from(i).exp2()).collect()
        } else if self.reach >= 0.5 {
            vec![0.35, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.2, 1.4, 1.6, 1.8, 2.0, 2.5, 3.0]
        } else {
            (70..=140).step_by(5).map(|p| f64::from(p) / 100.0).collect()
        };
        let ticks: Vec<f64> =
            candidates.into_iter().filter(|t| t.log2().abs() <= self.reach * 1.0001).collect();
        let place = |t: &f64| (y(t.log2() / self.reach) - 8.0, y(t.log2() / self.reach) + 8.0);
        for &tick in spaced(&ticks, place) {
            let at = y(tick.log2() / self.reach);
            canvas.line(&[(area.right, at), (area.right + 4.0, at)], &Pen::new(GREY, 1.0));
            let style = if tick == 1.0 { TICK.bold() } else { TICK };
            let text = significant(tick, 3);
            let text =
                if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
            canvas.text(&format!("{text}×"), (area.right + 8.0, at), &style);
        }
        let title = Type::new(size::LABEL).center().upright();
        let text = theme::shorten(&self.map.value, &title, area.height());
        canvas.text(&text, (canvas.page().right - EDGE - 10.0, area.center().1), &title);
    }

    /// The line on which the speedup is 1: marching squares between the middles of cells, carried on to the borders.
    fn contour(&self, canvas: &mut Canvas<'_>) {
        let mut pieces: Vec<[At; 2]> = Vec::new();
        // Index 0 and the last are the borders: they take the value of the nearest cell.
        let inner = |i: usize, count: usize| i.saturating_sub(1).min(count - 1);
        let corner = |i: usize, j: usize| -> Option<(At, f64)> {
            let (column, row) = (inner(i, self.columns), inner(j, self.rows));
            let (mut x, mut y) = self.middle(column, row);
            if i == 0 || i > self.columns {
                x = if i == 0 { self.area.left } else { self.area.right };
            }
            if j == 0 || j > self.rows {
                y = if j == 0 { self.area.bottom } else { self.area.top };
            }
            self.value(column, row).map(|v| ((x, y), v))
        };
        for j in 0..=self.rows {
            for i in 0..=self.columns {
                let corners = [corner(i, j), corner(i + 1, j), corner(i + 1, j + 1), corner(i, j + 1)];
                let [Some(a), Some(b), Some(c), Some(d)] = corners else { continue };
                let crossings: Vec<At> = [(a, b), (b, c), (c, d), (d, a)]
                    .into_iter()
                    .filter_map(|(p, q)| crossing(p, q))
                    .collect();
                match crossings[..] {
                    [p, q] => pieces.push([p, q]),
                    // A saddle: the middle says which opposite corners belong together.
                    [p, q, r, s] => {
                        let middle = (a.1 + b.1 + c.1 + d.1) / 4.0;
                        if (middle >= 0.0) == (a.1 >= 0.0) {
                            pieces.extend([[p, q], [r, s]]);
                        } else {
                            pieces.extend([[q, r], [s, p]]);
                        }
                    }
                    _ => {}
                }
            }
        }
        for pen in [Pen::new(PAPER, 5.0), Pen::new(INK, 2.6)] {
            for [(x0, y0), (x1, y1)] in &pieces {
                // Pieces overlap a little so that their joints show no gap.
                let length = (x1 - x0).hypot(y1 - y0).max(1e-9);
                let (dx, dy) = ((x1 - x0) / length * 0.8, (y1 - y0) / length * 0.8);
                canvas.line(&[(x0 - dx, y0 - dy), (x1 + dx, y1 + dy)], &pen);
            }
        }
    }
}

/// Where the value passes through 0 (speedup 1) between two corners.
fn crossing((p, v): (At, f64), (q, w): (At, f64)) -> Option<At> {
    ((v >= 0.0) != (w >= 0.0)).then(|| {
        let t = v / (v - w);
        (p.0 + (q.0 - p.0) * t, p.1 + (q.1 - p.1) * t)
    })
}
