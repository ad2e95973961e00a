//! Any value against any axis, a line for each value of another.

use super::canvas::{Area, At, Canvas, Marker, Pen, draw};
use super::frame::{self, Axis, EDGE, Frame, SIGN, Sign};
use super::labels::spread;
use super::scale::{Scale, linear_labels, range};
use super::theme::{self, GREY, INK, Type, size};
use super::{Plot, PlotError};
use crate::report::numbers::{si, significant};

/// What to draw.
#[derive(Debug, Clone, PartialEq)]
pub struct LineChart {
    /// Title.
    pub title: String,
    /// More to say below it; may be empty.
    pub note: String,
    /// Name of the horizontal axis.
    pub x_title: String,
    /// Its values, each with its label, in the order in which they are drawn. Numbers are drawn to scale, names (`None`) at
    /// equal distances.
    pub x: Vec<(Option<f64>, String)>,
    /// Name of the vertical axis.
    pub y_title: String,
    /// Unit of the vertical axis, with a prefix where that helps; `×` for ratios, `%` for shares, empty for bare numbers.
    pub y_unit: String,
    /// A value to compare with, drawn as a line across.
    pub reference: Option<f64>,
    /// The lines: a name, and a value for each of `x`.
    pub lines: Vec<(String, Vec<Option<f64>>)>,
}

const SIZE: (u32, u32) = (1040, 620);
const NAME: Type = Type::new(size::LABEL).bold();

/// Draws lines.
///
/// # Errors
/// [`PlotError::Empty`] where no line has a finite value.
pub fn lines(chart: &LineChart) -> Result<Plot, PlotError> {
    let values = || chart.lines.iter().flat_map(|(_, values)| values.iter().flatten().copied());
    let Some(ends) = range(values()) else {
        return Err(PlotError::Empty("no line has a value".to_owned()));
    };
    draw(SIZE, &chart.title, |canvas| {
        let top = frame::header(canvas, &chart.title, &chart.note);
        paint(canvas, top, chart, ends);
    })
}

/// Where each value of x lies on the axis: numbers that rise or fall throughout as they are, anything else by its place.
fn positions(x: &[(Option<f64>, String)]) -> (Vec<f64>, bool) {
    let numbers: Option<Vec<f64>> = x.iter().map(|(n, _)| n.filter(|v| v.is_finite())).collect();
    let ordered = |v: &[f64]| v.windows(2).all(|w| w[0] < w[1]) || v.windows(2).all(|w| w[0] > w[1]);
    match numbers {
        Some(numbers) if numbers.len() > 1 && ordered(&numbers) => (numbers, true),
        _ => ((0..x.len()).map(|i| i as f64).collect(), false),
    }
}

/// Positions, the axis, and whether what is between the values means anything.
fn x_axis(chart: &LineChart) -> (Vec<f64>, Axis, bool) {
    let (at, numeric) = positions(&chart.x);
    let (low, high) = range(at.iter().copied()).unwrap_or((0.0, 1.0));
    let scale = if numeric && low > 0.0 && high / low >= 8.0 {
        Scale::Log { min: low, max: high }
    } else if numeric && high > low {
        Scale::Linear { min: low, max: high }
    } else {
        Scale::Linear { min: low - 0.5, max: high + 0.5 }
    };
    // A tick at each value asked for, as far as there is room; the frame leaves out labels that would touch. Of many counts, those
    // at powers of two are enough.
    let all = || at.iter().copied().zip(chart.x.iter().map(|(_, l)| l.clone()));
    let power = |t: f64| t >= 1.0 && t.fract() == 0.0 && (t as u64).is_power_of_two();
    let powers: Vec<(f64, String)> = all().filter(|&(t, _)| numeric && power(t)).collect();
    let stride = at.len().div_ceil(17).max(1);
    let ticks = if at.len() > 8 && powers.len() >= 4 { powers } else { all().step_by(stride).collect() };
    (at, Axis { title: chart.x_title.clone(), scale, ticks }, numeric)
}

fn y_axis(chart: &LineChart, (low, high): (f64, f64)) -> Axis {
    let (low, high) = chart.reference.map_or((low, high), |r| (low.min(r), high.max(r)));
    let title = chart.y_title.clone();
    let label = |value: f64| match chart.y_unit.as_str() {
        "×" => format!("{}×", significant(value, 3)),
        "" => significant(value, 3),
        unit => si(value, unit),
    };
    if low > 0.0 && high / low > 8.0 {
        return Axis::new(title, Scale::log10(low / 1.05, high * 1.05), label);
    }
    let (scale, ticks) = if chart.reference.is_none() && low >= 0.0 && low < 0.5 * high {
        Scale::from_zero(high, 7)
    } else {
        Scale::linear(low - 0.03 * (high - low), high + 0.03 * (high - low), 7)
    };
    match chart.y_unit.as_str() {
        unit @ ("×" | "" | "%") => {
            let unit = if unit == "%" { " %" } else { unit };
            let labels = linear_labels(&ticks);
            Axis {
                title,
                scale,
                ticks: ticks.into_iter().zip(labels.into_iter().map(|l| l + unit)).collect(),
            }
        }
        _ => Axis::new(title, (scale, ticks), label),
    }
}

fn paint(canvas: &mut Canvas<'_>, top: f64, chart: &LineChart, ends: (f64, f64)) {
    let page = canvas.page();
    let (at, x, numeric) = x_axis(chart);
    let y = y_axis(chart, ends);
    let count = chart.lines.len();
    let widest = chart.lines.iter().map(|(name, _)| NAME.width(name)).fold(0.0, f64::max).min(210.0);
    let column = if count > 1 { SIGN + 7.0 + widest } else { 0.0 };
    let outer = Area::new(EDGE, top, page.right - EDGE - column - 20.0, page.bottom - 12.0);
    let frame = frame::frame(canvas, outer, frame::room_left(&y), &x, &y);
    if let Some(reference) = chart.reference {
        let (left, right) = (frame.area.left, frame.area.right);
        canvas.line(&[(left, frame.y(reference)), (right, frame.y(reference))], &Pen::new(INK, 1.4));
    }
    let mut last: Vec<Option<f64>> = Vec::new();
    for (i, (_, values)) in chart.lines.iter().enumerate() {
        let pen = Pen::new(theme::line_color(i, count), 2.2);
        let points: Vec<Option<At>> = at
            .iter()
            .zip(values)
            .map(|(&n, v)| v.filter(|v| v.is_finite()).map(|v| frame.at(n, v)))
            .collect();
        // Between two names there is nothing for a line to pass through.
        for piece in points.split(Option::is_none).filter(|_| numeric) {
            let piece: Vec<At> = piece.iter().flatten().copied().collect();
            canvas.line(&piece, &pen);
        }
        let stride = if numeric { points.len().div_ceil(12).max(1) } else { 1 };
        for (j, point) in points.iter().enumerate() {
            if let Some(point) = point.filter(|_| j % stride == 0 || j + 1 == points.len()) {
                canvas.marker(Marker::of(i), point, 3.6, pen.color);
            }
        }
        last.push(points.iter().rev().flatten().next().map(|p| p.1));
    }
    if count > 1 {
        names(canvas, &frame, page.right - EDGE - column, chart, &last);
    }
}

/// The names of the lines beside the data, each as near to its line's end as room allows.
fn names(canvas: &mut Canvas<'_>, frame: &Frame, left: f64, chart: &LineChart, last: &[Option<f64>]) {
    let count = chart.lines.len();
    let bottom = canvas.page().bottom - EDGE;
    let pitch = ((bottom - frame.area.top) / count as f64).clamp(12.5, 20.0);
    let fit = ((bottom - frame.area.top) / pitch).floor() as usize;
    let shown = if count > fit { fit.saturating_sub(1) } else { count };
    let mut wanted: Vec<f64> = last[..shown].iter().map(|y| y.unwrap_or(frame.area.bottom)).collect();
    if shown < count {
        wanted.push(bottom);
    }
    let places = spread(&wanted, pitch, frame.area.top - 6.0, bottom);
    let style = Type { size: NAME.size.min(pitch), ..NAME };
    for (i, ((name, _), &y)) in chart.lines[..shown].iter().zip(&places).enumerate() {
        let pen = Pen::new(theme::line_color(i, count), 2.2);
        frame::sign(canvas, (left, y), &Sign::LineAndMarker(pen, Marker::of(i)));
        let style = style.color(pen.color);
        canvas.text(&theme::shorten(name, &style, 210.0), (left + SIGN + 7.0, y), &style);
    }
    if let Some(&y) = places.get(shown) {
        let style = Type::new(size::NOTE).color(GREY);
        canvas.text(&format!("… and {} more", count - shown), (left, y), &style);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(x: Vec<(Option<f64>, String)>, values: Vec<Option<f64>>) -> LineChart {
        LineChart {
            title: "a title".to_owned(),
            note: String::new(),
            x_title: "hbm.bandwidth".to_owned(),
            x,
            y_title: "seconds".to_owned(),
            y_unit: "s".to_owned(),
            reference: None,
            lines: vec![("slim-k".to_owned(), values.clone()), ("kv-cache".to_owned(), values)],
        }
    }

    #[test]
    fn every_line_and_every_value_has_its_name() {
        let x = (1..=3).map(|i| (Some(f64::from(i)), format!("{i} TB/s"))).collect();
        let plot =
            lines(&chart(x, vec![Some(0.004), None, Some(0.002)])).expect("there is something to draw");
        for text in ["a title", "1 TB/s", "3 TB/s", "slim-k", "kv-cache", "4.00 ms", "seconds"] {
            assert!(plot.svg.contains(text), "no '{text}'");
        }
    }

    #[test]
    fn names_and_disorder_are_drawn_at_equal_distances() {
        let named = |x: &[Option<f64>]| -> Vec<_> { x.iter().map(|n| (*n, "x".to_owned())).collect() };
        assert_eq!(positions(&named(&[None, None])), (vec![0.0, 1.0], false));
        assert_eq!(positions(&named(&[Some(4.0), Some(2.0), Some(8.0)])), (vec![0.0, 1.0, 2.0], false));
        assert_eq!(positions(&named(&[Some(4.0), Some(2.0), Some(1.0)])), (vec![4.0, 2.0, 1.0], true));
        assert!(lines(&chart(named(&[None]), vec![Some(1.0)])).is_ok());
    }

    #[test]
    fn nothing_to_draw_is_an_error() {
        let empty = chart(vec![(Some(1.0), String::new())], vec![Some(f64::NAN)]);
        assert!(matches!(lines(&empty), Err(PlotError::Empty(_))));
    }
}
