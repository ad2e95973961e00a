//! Where the time goes: stacked bars of cycles by cause, the schemes side by side at each context.

use super::canvas::{Area, Canvas, Pen, draw};
use super::frame::{self, Axis, EDGE, Frame, Sign};
use super::scale::{Scale, linear_labels};
use super::theme::{self, GREY, PAPER, Type, size};
use super::{Plot, PlotError};
use crate::ledger::{Cause, CyclesByCause};
use crate::report::numbers::{context, si};

/// What to draw: steps of several schemes at several contexts, one batch.
#[derive(Debug, Clone, PartialEq)]
pub struct CauseChart {
    /// Name of the accelerator.
    pub accelerator: String,
    /// Name of the model.
    pub model: String,
    /// More to say below the title: the batch, element types.
    pub note: String,
    /// What the vertical axis shows.
    pub unit: CauseUnit,
    /// The bars; contexts and schemes are drawn in the order of their first appearance, the baseline's first.
    pub bars: Vec<CauseBar>,
}

/// The step of one scheme at one context.
#[derive(Debug, Clone, PartialEq)]
pub struct CauseBar {
    /// Tokens attended.
    pub context: u64,
    /// The scheme.
    pub scheme: String,
    /// Duration in seconds, and cycles by cause; `None` where the scheme does not run.
    pub step: Option<(f64, CyclesByCause)>,
}

/// The vertical axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CauseUnit {
    /// Seconds, with the prefix that fits.
    Time,
    /// Cycles of the core clock.
    Cycles,
    /// Parts of the first scheme's time at the same context: keeps bars legible where contexts span decades.
    Relative,
}

const SIZE: (u32, u32) = (1040, 620);
/// Shares up to which a cause is too thin to be seen, and not in the legend.
const VISIBLE: f64 = 0.002;
const NAME: Type = Type::new(size::NOTE).color(GREY);

/// Draws cycles by cause.
///
/// # Errors
/// [`PlotError::Empty`] where no bar has a height.
pub fn causes(chart: &CauseChart) -> Result<Plot, PlotError> {
    let layout = Layout::new(chart);
    let top = layout.bars.iter().map(|b| b.height).fold(0.0, f64::max);
    if !(top.is_finite() && top > 0.0) {
        return Err(PlotError::Empty("no scheme runs at any of the contexts".to_owned()));
    }
    let title = format!("{} on {}: where the time of a decode step goes", chart.model, chart.accelerator);
    draw(SIZE, &title, |canvas| {
        let y = frame::header(canvas, &title, &chart.note);
        let used =
            Cause::ALL.into_iter().filter(|&cause| layout.bars.iter().any(|b| b.share(cause) > VISIBLE));
        let keys: Vec<_> =
            used.map(|cause| (Sign::Fill(theme::CAUSES[cause as usize]), cause.name().to_owned())).collect();
        let y = frame::legend(canvas, y, &keys);
        paint(canvas, y, chart, &layout, top);
    })
}

/// A bar in place.
struct Bar<'a> {
    scheme: &'a str,
    group: usize,
    slot: usize,
    step: Option<&'a CyclesByCause>,
    height: f64,
    /// What stands in place of a bar without height.
    missing: &'static str,
}

impl Bar<'_> {
    fn share(&self, cause: Cause) -> f64 {
        let total = |c: &CyclesByCause| Cause::ALL.iter().map(|&i| c.get(i).as_f64()).sum::<f64>();
        self.step.map_or(0.0, |c| if total(c) > 0.0 { c.get(cause).as_f64() / total(c) } else { 0.0 })
    }
}

struct Layout<'a> {
    contexts: Vec<u64>,
    schemes: Vec<&'a str>,
    bars: Vec<Bar<'a>>,
}

impl<'a> Layout<'a> {
    fn new(chart: &'a CauseChart) -> Self {
        let (mut contexts, mut schemes): (Vec<u64>, Vec<&str>) = (Vec::new(), Vec::new());
        for bar in &chart.bars {
            if !contexts.contains(&bar.context) {
                contexts.push(bar.context);
            }
            if !schemes.contains(&bar.scheme.as_str()) {
                schemes.push(&bar.scheme);
            }
        }
        let base = |n: u64| {
            let first =
                chart.bars.iter().find(|b| b.context == n && schemes.first() == Some(&b.scheme.as_str()));
            first.and_then(|b| b.step.as_ref()).map(|&(seconds, _)| seconds)
        };
        let bars = chart
            .bars
            .iter()
            .map(|bar| {
                let height = bar.step.as_ref().map_or(Some(0.0), |(seconds, cycles)| match chart.unit {
                    CauseUnit::Time => Some(*seconds),
                    CauseUnit::Cycles => Some(Cause::ALL.iter().map(|&c| cycles.get(c).as_f64()).sum()),
                    CauseUnit::Relative => base(bar.context).map(|base| seconds / base),
                });
                let height = height.filter(|h| h.is_finite()).unwrap_or(0.0);
                Bar {
                    scheme: &bar.scheme,
                    group: contexts.iter().position(|&n| n == bar.context).unwrap_or(0),
                    slot: schemes.iter().position(|&s| s == bar.scheme).unwrap_or(0),
                    step: bar.step.as_ref().map(|(_, cycles)| cycles).filter(|_| height > 0.0),
                    height,
                    missing: if bar.step.is_none() { "does not run" } else { "no baseline" },
                }
            })
            .collect();
        Self { contexts, schemes, bars }
    }
}

fn paint(canvas: &mut Canvas<'_>, top: f64, chart: &CauseChart, layout: &Layout<'_>, highest: f64) {
    let page = canvas.page();
    let (title, scale) = match chart.unit {
        CauseUnit::Time => {
            let (factor, unit) = [(1.0, "s"), (1e3, "ms"), (1e6, "µs"), (1e9, "ns")]
                .into_iter()
                .find(|(factor, _)| highest * factor >= 1.0)
                .unwrap_or((1e9, "ns"));
            (format!("time of a step ({unit})"), factor)
        }
        CauseUnit::Cycles => {
            let (factor, unit) =
                [(1e-12, " (10¹²)"), (1e-9, " (billions)"), (1e-6, " (millions)"), (1e-3, " (thousands)")]
                    .into_iter()
                    .find(|(factor, _)| highest * factor >= 1.0)
                    .unwrap_or((1.0, ""));
            (format!("cycles of a step{unit}"), factor)
        }
        CauseUnit::Relative => {
            let first = layout.schemes.first().copied().unwrap_or_default();
            (format!("time relative to {first}"), 1.0)
        }
    };
    let (y_scale, ticks) = Scale::from_zero(highest * scale * 1.05, 6);
    let labels = linear_labels(&ticks);
    let y = Axis { title, scale: y_scale, ticks: ticks.into_iter().zip(labels).collect() };
    let x = Axis { title: String::new(), scale: Scale::Linear { min: 0.0, max: 1.0 }, ticks: Vec::new() };
    let left = frame::room_left(&y);

    // Bars first need a width, which says how their names are written, and that how much room is left above.
    let groups = layout.contexts.len() as f64;
    let pitch = (page.right - 2.0 * EDGE - left) / groups;
    let slot = (pitch * 0.8 / layout.schemes.len() as f64).min(96.0);
    let widest = layout.schemes.iter().map(|s| NAME.width(s)).fold(0.0, f64::max);
    let upright = widest > slot - 4.0;
    let named = slot >= 9.0;
    let names = match (named, upright) {
        (false, _) => 2.0,
        (true, true) => widest.min(130.0) + 6.0,
        (true, false) => 16.0,
    };
    let outer = Area::new(EDGE, top + 4.0, page.right - EDGE, page.bottom - names - 52.0);
    let frame = frame::frame(canvas, outer, left, &x, &y);

    for (i, &n) in layout.contexts.iter().enumerate() {
        let middle = frame.area.left + (i as f64 + 0.5) * pitch;
        let style = Type::new(size::LABEL).bold().center();
        let label = context(n);
        // Every label if they fit, else every second, third …
        let stride =
            ((style.width("1,000,000").min(widest_label(layout, &style)) + 8.0) / pitch).ceil().max(1.0);
        if i % stride as usize == 0 {
            canvas.text(&label, (middle, frame.area.bottom + names + 14.0), &style);
        }
    }
    let style = Type::new(size::LABEL).center();
    let order =
        if named { String::new() } else { format!("; bars from the left: {}", layout.schemes.join(", ")) };
    let text = theme::shorten(&format!("context (tokens attended){order}"), &style, frame.area.width());
    canvas.text(&text, (frame.area.center().0, page.bottom - 20.0), &style);
    for bar in &layout.bars {
        let middle = frame.area.left
            + (bar.group as f64 + 0.5) * pitch
            + (bar.slot as f64 + 0.5 - layout.schemes.len() as f64 / 2.0) * slot;
        paint_bar(canvas, &frame, bar, (middle, slot * 0.86), scale, chart.unit);
        if !named {
            continue;
        }
        if upright {
            let style = NAME.right().upright();
            let name = theme::shorten(bar.scheme, &style, names - 6.0);
            canvas.text(&name, (middle, frame.area.bottom + 5.0), &style);
        } else {
            canvas.text(bar.scheme, (middle, frame.area.bottom + 11.0), &NAME.center());
        }
    }
}

fn widest_label(layout: &Layout<'_>, style: &Type) -> f64 {
    layout.contexts.iter().map(|&n| style.width(&context(n))).fold(0.0, f64::max)
}

fn paint_bar(
    canvas: &mut Canvas<'_>,
    frame: &Frame,
    bar: &Bar<'_>,
    (middle, width): (f64, f64),
    scale: f64,
    unit: CauseUnit,
) {
    let (left, right) = (middle - width / 2.0, middle + width / 2.0);
    if bar.step.is_none() {
        let style = NAME.upright();
        if width > 12.0 {
            canvas.text(bar.missing, (middle, frame.area.bottom - 6.0), &style);
        }
        return;
    }
    let mut done = 0.0;
    for cause in Cause::ALL {
        let share = bar.share(cause);
        if share <= 0.0 {
            continue;
        }
        let bottom = frame.y(done * bar.height * scale);
        done += share;
        let top = frame.y(done * bar.height * scale);
        let color = theme::CAUSES[cause as usize];
        canvas.fill(Area::new(left, top, right, bottom), color);
        if bottom - top > 1.5 {
            canvas.line(&[(left, top), (right, top)], &Pen::new(PAPER, 0.8));
        }
        let style = Type::new(size::NOTE).color(theme::ink_on(color)).center();
        let label = [format!("{:.0} %", share * 100.0), format!("{:.0}%", share * 100.0)]
            .into_iter()
            .find(|label| bottom - top >= 15.0 && style.width(label) <= width - 1.0);
        if let Some(label) = label {
            canvas.text(&label, (middle, f64::midpoint(top, bottom)), &style);
        }
    }
    let total = match unit {
        CauseUnit::Time => si(bar.height, "s"),
        CauseUnit::Cycles => si(bar.height, "").trim_end().to_owned(),
        CauseUnit::Relative => format!("{:.2}", bar.height),
    };
    let style = Type::new(size::NOTE).bold().center();
    // The total of a narrow bar would reach into its neighbours'.
    if style.width(&total) <= width * 1.12 {
        canvas.text(&total, (middle, frame.y(bar.height * scale) - 9.0), &style);
    }
}
