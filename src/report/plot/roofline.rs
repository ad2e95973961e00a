//! Roofline: how much work each byte carries, how fast it is done, and which roof is above.

use super::canvas::{Area, At, Canvas, Marker, Pen, draw};
use super::frame::{self, Axis, EDGE, Frame, Sign};
use super::labels::{Placer, nearest};
use super::scale::{Scale, range, si_label};
use super::theme::{self, GREY, INK, Type, size};
use super::{Plot, PlotError};
use crate::report::numbers::{context, si, significant};

/// What to draw: a machine's roofs and the points at which schemes work below them.
#[derive(Debug, Clone, PartialEq)]
pub struct RooflineChart {
    /// Name of the accelerator.
    pub accelerator: String,
    /// Name of the model.
    pub model: String,
    /// More to say below the title: the batch, element types.
    pub note: String,
    /// Peak of the MAC arrays in FLOP/s; `None` where unlimited.
    pub peak: Option<f64>,
    /// Bandwidth of the outermost memory in bytes/s.
    pub bandwidth: f64,
    /// Name of that memory: `HBM`, or `SRAM` on machines without.
    pub memory: String,
    /// Points; schemes are drawn in the order of their first appearance, the baseline's first.
    pub points: Vec<OperatingPoint>,
}

/// Where one scheme works at one context.
#[derive(Debug, Clone, PartialEq)]
pub struct OperatingPoint {
    /// The scheme.
    pub scheme: String,
    /// Tokens attended.
    pub context: u64,
    /// Useful FLOPs per byte moved at the outermost memory.
    pub intensity: f64,
    /// Useful FLOPs per second.
    pub flops_per_second: f64,
}

const SIZE: (u32, u32) = (1040, 640);

/// Draws a roofline.
///
/// # Errors
/// [`PlotError::Empty`] where no point is positive and finite, or the bandwidth is not.
pub fn roofline(chart: &RooflineChart) -> Result<Plot, PlotError> {
    let positive = |v: f64| v.is_finite() && v > 0.0;
    let points: Vec<&OperatingPoint> =
        chart.points.iter().filter(|p| positive(p.intensity) && positive(p.flops_per_second)).collect();
    if points.is_empty() || !positive(chart.bandwidth) {
        return Err(PlotError::Empty("no operating point".to_owned()));
    }
    let peak = chart.peak.filter(|&p| positive(p));
    let mut schemes: Vec<&str> = Vec::new();
    for point in &points {
        if !schemes.contains(&point.scheme.as_str()) {
            schemes.push(&point.scheme);
        }
    }
    let title = format!("{} on {}: roofline of a decode step", chart.model, chart.accelerator);
    draw(SIZE, &title, |canvas| {
        let top = frame::header(canvas, &title, &chart.note);
        let keys: Vec<_> = schemes
            .iter()
            .enumerate()
            .map(|(i, &s)| (Sign::LineAndMarker(pen(i), Marker::of(i)), s.to_owned()))
            .collect();
        let top = frame::legend(canvas, top, &keys);
        let page = canvas.page();
        let outer = Area::new(EDGE, top, page.right - EDGE, page.bottom - 12.0);
        let (x, y) = axes(chart.bandwidth, peak, &points);
        let frame = frame::frame(canvas, outer, frame::room_left(&y), &x, &y);
        let mut placer = Placer::new(frame.area);
        roofs(canvas, &frame, &mut placer, chart, peak);
        paint(canvas, &frame, placer, &schemes, &points);
    })
}

fn pen(scheme: usize) -> Pen {
    Pen::new(theme::scheme_color(scheme), 1.6)
}

fn axes(bandwidth: f64, peak: Option<f64>, points: &[&OperatingPoint]) -> (Axis, Axis) {
    let ridge = peak.map(|peak| peak / bandwidth);
    let (low, high) = range(points.iter().map(|p| p.intensity).chain(ridge)).unwrap_or((1.0, 1.0));
    let (low, high) = (low / 2.5, high * if ridge.is_some() { 4.0 } else { 2.5 });
    let x =
        Axis::new("arithmetic intensity (FLOP per byte of memory traffic)", Scale::log10(low, high), |v| {
            significant(v, 1)
        });
    let roof = peak.unwrap_or(bandwidth * high);
    let (least, most) = range(points.iter().map(|p| p.flops_per_second).chain([roof])).unwrap_or((1.0, 1.0));
    let y = Axis::new("achieved (useful FLOP/s)", Scale::log10(least / 3.0, most * 2.0), |v| {
        si_label(v, "FLOP/s")
    });
    (x, y)
}

/// The roofs with their names, and the ridge where they meet.
fn roofs(
    canvas: &mut Canvas<'_>,
    frame: &Frame,
    placer: &mut Placer,
    chart: &RooflineChart,
    peak: Option<f64>,
) {
    let ((x0, x1), (y0, y1)) = (frame.x.ends(), frame.y.ends());
    let start = x0.max(y0 / chart.bandwidth);
    let top = peak.unwrap_or(y1);
    let ridge = top / chart.bandwidth;
    let slope_end = ridge.min(x1);
    let mut roof =
        vec![frame.at(start, start * chart.bandwidth), frame.at(slope_end, slope_end * chart.bandwidth)];
    if peak.is_some() && ridge < x1 {
        roof.push(frame.at(x1, top));
    }
    placer.avoid(&roof);
    let style = Type::new(size::TICK).bold().color(INK);
    if let Some(peak) = peak {
        let text = format!("peak {}", si(peak, "FLOP/s"));
        let at = (frame.area.right - 6.0, frame.y(peak) - 11.0);
        canvas.text_over(&text, at, &style.right());
        placer.block(super::canvas::text_area(&text, at, &style.right()));
        let foot = frame.at(ridge, y0);
        canvas.line(&[frame.at(ridge, peak), foot], &Pen::new(GREY, 1.1).dash(Pen::DOTTED));
        placer.avoid(&[frame.at(ridge, peak), foot]);
        let text = format!("ridge {} FLOP/byte", significant(ridge, 3));
        let style = Type::new(size::TICK).color(GREY);
        let room = frame.area.right - foot.0 > style.width(&text) + 14.0;
        let (x, style) = if room { (foot.0 + 7.0, style) } else { (foot.0 - 7.0, style.right()) };
        canvas.text_over(&text, (x, foot.1 - 14.0), &style);
        placer.block(super::canvas::text_area(&text, (x, foot.1 - 14.0), &style));
    }
    canvas.line(&roof, &Pen::new(INK, 2.4));
    // The slope's name stands left of it, two thirds up, where nothing else can be: points are below the roof.
    let text = format!("{} {}", chart.memory, si(chart.bandwidth, "B/s"));
    let (from, to) = (roof[0], roof[1]);
    let at = (from.0 + (to.0 - from.0) * 0.66, from.1 + (to.1 - from.1) * 0.66);
    let needed = style.width(&text) + 12.0;
    let (at, style) = if at.0 - needed > frame.area.left {
        ((at.0 - 12.0, at.1 - 4.0), style.right())
    } else {
        ((at.0 + 14.0, at.1 + 12.0), style)
    };
    canvas.text_over(&text, at, &style);
    placer.block(super::canvas::text_area(&text, at, &style));
}

fn paint(
    canvas: &mut Canvas<'_>,
    frame: &Frame,
    mut placer: Placer,
    schemes: &[&str],
    points: &[&OperatingPoint],
) {
    let paths: Vec<Vec<&OperatingPoint>> = schemes
        .iter()
        .map(|&scheme| points.iter().copied().filter(|p| p.scheme == scheme).collect())
        .collect();
    let at = |p: &OperatingPoint| frame.at(p.intensity, p.flops_per_second);
    for (i, path) in paths.iter().enumerate() {
        let path: Vec<At> = path.iter().map(|p| at(p)).collect();
        canvas.line(&path, &Pen { width: 1.2, ..pen(i) });
        placer.avoid(&path);
        path.iter().for_each(|&(x, y)| placer.block(Area::new(x, y, x, y).grow(4.0)));
    }
    for (i, path) in paths.iter().enumerate() {
        for point in path {
            canvas.marker(Marker::of(i), at(point), 4.4, pen(i).color);
        }
    }
    // With many points the legend and the ends of each path name the scheme; the others show their context alone, and
    // those next to a labelled one nothing.
    let full = points.len() <= 14;
    let mut unnamed = 0;
    for (i, path) in paths.iter().enumerate() {
        let count = path.len();
        // The ends of a path say most: they choose their places first.
        let mut order: Vec<usize> = (0..count).collect();
        order.sort_by_key(|&k| k != 0 && k + 1 != count);
        let mut labelled: Vec<At> = Vec::new();
        for k in order {
            let point = path[k];
            let (x, y) = at(point);
            if !full && labelled.iter().any(|l| (l.0 - x).hypot(l.1 - y) < 24.0) {
                continue;
            }
            labelled.push((x, y));
            let name = theme::shorten(schemes[i], &Type::new(size::TICK), 140.0);
            let named = full || k == 0 || k + 1 == count;
            let text =
                if named { format!("{name} {}", context(point.context)) } else { context(point.context) };
            let style = Type::new(size::TICK).color(pen(i).color).center();
            match placer.place(at(point), style.width(&text) + 4.0, style.height(), 200.0) {
                Some(place) => {
                    let end = nearest(&place, at(point));
                    if (end.0 - at(point).0).hypot(end.1 - at(point).1) > 13.0 {
                        canvas.line(
                            &[at(point), end],
                            &Pen::new(theme::mix(pen(i).color, theme::PAPER, 0.4), 0.8),
                        );
                    }
                    canvas.text_over(&text, place.center(), &style);
                }
                None => unnamed += 1,
            }
        }
    }
    if unnamed > 0 {
        let text = format!("{unnamed} points without room for a label");
        let style = Type::new(size::NOTE).color(GREY);
        canvas.text_over(&text, (frame.area.left + 8.0, frame.area.top + 12.0), &style);
    }
}
