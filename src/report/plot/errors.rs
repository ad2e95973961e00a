//! Error against size: where predictions are too high or too low, point by point and in the middle.

use super::canvas::{Area, At, Canvas, Marker, Pen, draw};
use super::cloud;
use super::frame::{self, Axis, EDGE, Frame, Sign};
use super::scale::{Scale, range, si_label};
use super::theme::{self, GREY, INK, PAPER, Type, size};
use super::{Plot, PlotError};
use crate::analysis::calibration::quantile;
use crate::report::numbers::{grouped, thousands};

/// What to draw.
#[derive(Debug, Clone, PartialEq)]
pub struct ErrorChart {
    /// Title.
    pub title: String,
    /// More to say below it; may be empty.
    pub note: String,
    /// Name of the horizontal axis, in bytes.
    pub x_title: String,
    /// Name of the vertical axis, the error.
    pub y_title: String,
    /// The points, in groups that differ by colour and marker. Where there are few sizes, the groups stand side by side
    /// at each.
    pub groups: Vec<ErrorGroup>,
    /// Sizes in bytes to mark, each with its name, such as the L2 of a GPU. Those beside the points are left out.
    pub marks: Vec<(f64, String)>,
}

/// Points that belong together.
#[derive(Debug, Clone, PartialEq)]
pub struct ErrorGroup {
    /// What the legend says of it: `h100 · sglang, 3.4 %`.
    pub name: String,
    /// Bytes, and the signed relative error: 0.1 where the prediction is 10 % too high. Values that are not finite and
    /// sizes that are not positive are left out.
    pub points: Vec<(f64, f64)>,
}

const SIZE: (u32, u32) = (1040, 620);
/// Most room for the legend.
const COLUMN: f64 = 230.0;
/// Errors beyond are drawn at the edge.
const LIMIT: f64 = 0.5;
/// Where the edge is: between the last line of the grid and the end of the axis.
const OUTSIDE: f64 = 0.53;
const RIBBON: f64 = 0.14;

/// Draws errors in percent against bytes: all points, their median, and the band that holds 80 % of them.
///
/// # Errors
/// [`PlotError::Empty`] where no point has a size and an error.
pub fn errors(chart: &ErrorChart) -> Result<Plot, PlotError> {
    let drawable = |&(bytes, error): &(f64, f64)| bytes.is_finite() && bytes > 0.0 && error.is_finite();
    let groups: Vec<Vec<(f64, f64)>> =
        chart.groups.iter().map(|g| g.points.iter().copied().filter(drawable).collect()).collect();
    let Some(ends) = range(groups.iter().flatten().map(|p| p.0)) else {
        return Err(PlotError::Empty("no error with its bytes".to_owned()));
    };
    let ribbon = ribbon(groups.iter().flatten().copied().collect());
    let beyond = groups.iter().flatten().filter(|p| p.1.abs() > LIMIT).count();
    draw(SIZE, &chart.title, |canvas| {
        let top = frame::header(canvas, &chart.title, &chart.note);
        let (x, y) = axes(chart, ends);
        let keys = keys(chart, ribbon.len() > 1, beyond);
        let page = canvas.page();
        let column = frame::column_width(&keys, COLUMN);
        let mut outer = Area::new(EDGE, top, page.right - EDGE - column - 18.0, page.bottom - 12.0);
        let left = frame::room_left(&y);
        let marks = Marks::new(&chart.marks, frame::inner(outer, left, &x), x.scale);
        outer.top += marks.height();
        let frame = frame::frame(canvas, outer, left, &x, &y);
        marks.lines(canvas, &frame);
        paint(canvas, &frame, &groups);
        over(canvas, &frame, &ribbon);
        marks.names(canvas, &frame);
        let beside = Area::new(outer.right + 18.0, frame.area.top, page.right - EDGE, page.bottom - EDGE);
        frame::column(canvas, beside, &keys);
    })
}

fn axes(chart: &ErrorChart, (low, high): (f64, f64)) -> (Axis, Axis) {
    let x = Axis::new(chart.x_title.clone(), Scale::log10_around(low, high), |v| si_label(v, "B"));
    let ticks = (-5..=5).map(|i| {
        let sign = if i > 0 { "+" } else { "" };
        (f64::from(i) / 10.0, format!("{sign}{} %", grouped(f64::from(i * 10), 0)))
    });
    let scale = Scale::Linear { min: -0.555, max: 0.555 };
    (x, Axis { title: chart.y_title.clone(), scale, ticks: ticks.collect() })
}

fn edge_pen() -> Pen {
    Pen::new(INK, 1.1)
}

fn keys(chart: &ErrorChart, ribbon: bool, beyond: usize) -> Vec<(Sign, String)> {
    let mut keys = Vec::new();
    if ribbon {
        keys.push((Sign::Line(Pen::new(INK, 2.6)), "median of all".to_owned()));
        keys.push((Sign::Band(theme::mix(PAPER, INK, RIBBON), edge_pen()), "10 to 90 % of all".to_owned()));
    }
    if beyond > 0 {
        let text = format!("beyond ±{:.0} %: {}", LIMIT * 100.0, thousands(beyond as u64));
        keys.push((Sign::Marker(Marker::Triangle, GREY), text));
    }
    keys.extend(chart.groups.iter().enumerate().map(|(i, g)| (cloud::sign(i), g.name.clone())));
    keys
}

/// The points, those beyond the limit as triangles that point there; below them the line of no error.
fn paint(canvas: &mut Canvas<'_>, frame: &Frame, groups: &[Vec<(f64, f64)>]) {
    let (left, right) = (frame.area.left, frame.area.right);
    canvas.line(&[(left, frame.y(0.0)), (right, frame.y(0.0))], &Pen::new(GREY, 1.4));
    let step = step(groups.iter().flatten().map(|p| frame.x(p.0)).collect(), groups.len());
    let middle = (groups.len() as f64 - 1.0) / 2.0;
    let at = |group: usize, bytes: f64, error: f64| {
        (frame.x(bytes) + (group as f64 - middle) * step, frame.y(error))
    };
    let chosen = |choose: &dyn Fn(f64) -> Option<f64>| -> Vec<Vec<At>> {
        let group = |(i, g): (usize, &Vec<(f64, f64)>)| {
            g.iter().filter_map(|&(bytes, error)| Some(at(i, bytes, choose(error)?))).collect()
        };
        groups.iter().enumerate().map(group).collect()
    };
    cloud::cloud(canvas, &chosen(&|e| (e.abs() <= LIMIT).then_some(e)));
    cloud::marked(canvas, &chosen(&|e| (e > LIMIT).then_some(OUTSIDE)), Marker::Triangle);
    cloud::marked(canvas, &chosen(&|e| (e < -LIMIT).then_some(-OUTSIDE)), Marker::TriangleDown);
}

/// How far the groups of one size stand apart, in pixels. Measurements tend to come at a few sizes, powers of two, where
/// all would lie in one column: there, groups stand side by side around it. Zero where sizes leave no room for that.
fn step(mut positions: Vec<f64>, groups: usize) -> f64 {
    positions.sort_by(f64::total_cmp);
    positions.dedup();
    let gap = positions.windows(2).map(|w| w[1] - w[0]).fold(f64::INFINITY, f64::min);
    let step = (gap * 0.3 / (groups.max(2) - 1) as f64).min(3.0);
    if step < 1.0 { 0.0 } else { step }
}

/// Median and the band from the 10th to the 90th percentile at a size.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Bin {
    bytes: f64,
    low: f64,
    median: f64,
    high: f64,
}

/// The bins of all points from small to large: an eighth of the range each or a quarter of a decade, whichever is less,
/// and wider where that holds too few points for a percentile.
fn ribbon(mut points: Vec<(f64, f64)>) -> Vec<Bin> {
    const FEWEST: usize = 20;
    points.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    let (Some(&(first, _)), Some(&(last, _))) = (points.first(), points.last()) else { return Vec::new() };
    let width = ((last / first).ln() / 8.0).min(std::f64::consts::LN_10 / 4.0);
    let mut cuts = vec![0];
    for (i, pair) in points.windows(2).enumerate() {
        let begin = cuts[cuts.len() - 1];
        // Only between different sizes: equal ones stay together.
        let wide = (pair[1].0 / points[begin].0).ln() >= width && pair[1].0 > pair[0].0;
        if wide && i + 1 - begin >= FEWEST && points.len() - i > FEWEST {
            cuts.push(i + 1);
        }
    }
    cuts.push(points.len());
    cuts.windows(2).map(|w| bin(&points[w[0]..w[1]])).collect()
}

fn bin(points: &[(f64, f64)]) -> Bin {
    let mut errors: Vec<f64> = points.iter().map(|p| p.1).collect();
    errors.sort_by(f64::total_cmp);
    let at = |p: f64| quantile(&errors, p);
    let mean = points.iter().map(|p| p.0.ln()).sum::<f64>() / points.len() as f64;
    Bin { bytes: mean.exp(), low: at(0.1), median: at(0.5), high: at(0.9) }
}

/// The ribbon, above the points so that it can be seen among thousands.
fn over(canvas: &mut Canvas<'_>, frame: &Frame, bins: &[Bin]) {
    if bins.len() < 2 {
        return;
    }
    let line = |value: &dyn Fn(&Bin) -> f64| -> Vec<At> {
        bins.iter().map(|b| frame.at(b.bytes, value(b).clamp(-LIMIT, LIMIT))).collect()
    };
    let (low, median, high) = (line(&|b| b.low), line(&|b| b.median), line(&|b| b.high));
    let outline: Vec<At> = low.iter().chain(high.iter().rev()).copied().collect();
    canvas.polygon_through(&outline, INK, RIBBON);
    for edge in [&low, &high] {
        canvas.line(edge, &Pen::new(PAPER, 2.6));
        canvas.line(edge, &edge_pen());
    }
    canvas.line(&median, &Pen::new(PAPER, 5.0));
    canvas.line(&median, &Pen::new(INK, 2.6));
}

/// Marked sizes with their names in rows above the data, as many rows as keep the names apart.
struct Marks(Vec<Mark>);

/// One of them, in pixels.
struct Mark {
    at: f64,
    name: String,
    left: f64,
    right: f64,
    /// The name's row, from the lowest; `None`: no room for it.
    row: Option<usize>,
}

impl Marks {
    const ROW: f64 = 16.0;
    const ROWS: usize = 6;
    const NAME: Type = Type::new(size::TICK).color(INK);

    fn new(marks: &[(f64, String)], area: Area, scale: Scale) -> Self {
        let (low, high) = scale.ends();
        let mut marks: Vec<&(f64, String)> = marks.iter().filter(|m| (low..=high).contains(&m.0)).collect();
        marks.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut places: Vec<Mark> = Vec::new();
        // From the right, each name right of its line where there is room, in a row above the lines that it crosses.
        for (bytes, name) in marks.into_iter().rev() {
            let at = area.left + scale.at(*bytes) * area.width();
            let name = theme::shorten(name, &Self::NAME, (area.width() / 2.0).min(260.0));
            let width = Self::NAME.width(&name);
            let left = (at - 3.0).min(area.right - width).max(area.left);
            let right = left + width;
            let row = places
                .iter()
                .filter(|m| m.left < right + 8.0 && left < m.right + 8.0)
                .map(|m| m.row.map_or(Self::ROWS, |r| r + 1))
                .max();
            let row = Some(row.unwrap_or(0)).filter(|&r| r < Self::ROWS);
            places.push(Mark { at, name, left, right, row });
        }
        Self(places)
    }

    fn height(&self) -> f64 {
        let rows = self.0.iter().filter_map(|m| m.row).max().map_or(0, |r| r + 1);
        rows as f64 * Self::ROW
    }

    fn lines(&self, canvas: &mut Canvas<'_>, frame: &Frame) {
        for mark in &self.0 {
            let top = frame.area.top - mark.row.map_or(0.0, |r| r as f64 * Self::ROW + 2.0);
            let line = [(mark.at, top), (mark.at, frame.area.bottom)];
            canvas.line(&line, &Pen::new(GREY, 1.2).dash(Pen::DASHED));
        }
    }

    fn names(&self, canvas: &mut Canvas<'_>, frame: &Frame) {
        for mark in &self.0 {
            if let Some(row) = mark.row {
                let y = frame.area.top - 2.0 - (row as f64 + 0.5) * Self::ROW;
                canvas.text_over(&mark.name, (mark.left, y), &Self::NAME);
            }
        }
        let unnamed = self.0.iter().filter(|m| m.row.is_none()).count();
        if unnamed > 0 {
            let text = format!("{unnamed} lines without room for a name");
            let style = Type::new(size::NOTE).color(GREY);
            canvas.text_over(&text, (frame.area.left + 8.0, frame.area.bottom - 30.0), &style);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ribbon_holds_the_percentiles_of_its_bins() {
        // Errors 0.00 … 0.99 at each of eleven sizes, an eighth of a decade apart.
        let points: Vec<(f64, f64)> = (0..11)
            .flat_map(|i| (0..100).map(move |j| (1e6 * 10f64.powf(f64::from(i) / 8.0), f64::from(j) / 100.0)))
            .collect();
        let bins = ribbon(points.into_iter().rev().collect());
        assert!((4..=8).contains(&bins.len()), "{bins:?}");
        assert!(bins.windows(2).all(|w| w[0].bytes < w[1].bytes), "{bins:?}");
        for bin in bins {
            assert_eq!((bin.low, bin.median, bin.high), (0.09, 0.49, 0.89));
        }
    }

    #[test]
    fn few_points_make_wide_bins() {
        let few: Vec<(f64, f64)> = (0..45u32).map(|i| (f64::from(i + 1) * 1e6, 0.1)).collect();
        assert_eq!(ribbon(few.clone()).len(), 2);
        assert_eq!(ribbon(few[..30].to_vec()).len(), 1);
        assert_eq!(ribbon(vec![(5.0, 0.1); 90]).len(), 1, "one size is one bin");
        assert!(ribbon(Vec::new()).is_empty());
    }

    #[test]
    fn groups_stand_side_by_side_where_sizes_leave_room() {
        assert_eq!(step(vec![160.0, 100.0, 160.0], 4), 3.0);
        assert_eq!(step(vec![160.0, 100.0], 13), 1.5, "at most three tenths of the room");
        assert_eq!(step(vec![160.0, 100.0, 101.0], 4), 0.0);
        assert_eq!(step(vec![100.0], 1), 3.0);
    }

    #[test]
    fn names_of_marks_keep_apart() {
        let marks: Vec<(f64, String)> =
            [40e6, 50e6, 60e6, 126e6, 9e9, 1e3].map(|b| (b, "H100 L2".to_owned())).to_vec();
        let scale = Scale::Log { min: 1e5, max: 1e10 };
        let marks = Marks::new(&marks, Area::new(80.0, 0.0, 780.0, 400.0), scale);
        let rows: Vec<_> = marks.0.iter().map(|m| m.row).collect();
        // From the right; the one beside the axis is left out.
        assert_eq!(rows, [Some(0), Some(0), Some(1), Some(2), Some(3)]);
        assert_eq!(marks.height(), 4.0 * Marks::ROW);
        assert!(marks.0.iter().all(|m| m.left >= 80.0 && m.right <= 780.0 && m.left <= m.at));
    }
}
