//! A replay over time: how full the cache is, and how many sequences run, under each scheme.

use super::canvas::{Area, At, Canvas, Marker, Pen, draw};
use super::frame::{self, Axis, EDGE, Sign};
use super::scale::{Scale, linear_labels, range};
use super::theme;
use super::{Plot, PlotError};
use crate::report::numbers::bytes;

/// What to draw: one trace on one machine.
#[derive(Debug, Clone, PartialEq)]
pub struct ReplayChart {
    /// Name of the accelerator.
    pub accelerator: String,
    /// Name of the model.
    pub model: String,
    /// Name of the trace.
    pub trace: String,
    /// More to say below the title; may be empty.
    pub note: String,
    /// One line a scheme, the baseline's first.
    pub lines: Vec<ReplayLine>,
}

/// How one scheme went.
#[derive(Debug, Clone, PartialEq)]
pub struct ReplayLine {
    /// The scheme.
    pub scheme: String,
    /// Bytes that the cache may use; `None` where unlimited.
    pub capacity_bytes: Option<u64>,
    /// States, times rising; each holds until the next.
    pub samples: Vec<ReplaySample>,
}

/// The state from a moment on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ReplaySample {
    /// Simulated time since the start of the trace.
    pub seconds: f64,
    /// Bytes of cache held.
    pub cache_bytes: u64,
    /// Sequences in the running batch.
    pub batch: u64,
}

const SIZE: (u32, u32) = (1040, 700);

/// Draws a replay.
///
/// # Errors
/// [`PlotError::Empty`] where no line has a sample.
pub fn replay(chart: &ReplayChart) -> Result<Plot, PlotError> {
    let seconds = chart.lines.iter().flat_map(|l| l.samples.iter().map(|s| s.seconds));
    let Some((start, end)) = range(seconds) else {
        return Err(PlotError::Empty("no step was simulated".to_owned()));
    };
    // A single moment still needs an axis.
    let end = if end > start.min(0.0) { end } else { start.min(0.0) + 1.0 };
    let title = format!("{} on {}: replay of {}", chart.model, chart.accelerator, chart.trace);
    draw(SIZE, &title, |canvas| {
        let top = frame::header(canvas, &title, &chart.note);
        let top = frame::legend(canvas, top, &keys(chart));
        paint(canvas, top, chart, (start.min(0.0), end));
    })
}

fn pen(scheme: usize) -> Pen {
    // The baseline is broader: it shows at both sides where another line covers it.
    Pen::new(theme::scheme_color(scheme), if scheme == 0 { 2.8 } else { 1.4 })
}

/// Capacities with the schemes that they hold for; schemes with the same one share a line.
fn capacities(chart: &ReplayChart) -> Vec<(u64, Vec<usize>)> {
    let mut out: Vec<(u64, Vec<usize>)> = Vec::new();
    for (i, line) in chart.lines.iter().enumerate() {
        let Some(capacity) = line.capacity_bytes else { continue };
        match out.iter_mut().find(|(c, _)| *c == capacity) {
            Some((_, schemes)) => schemes.push(i),
            None => out.push((capacity, vec![i])),
        }
    }
    out
}

fn capacity_pen(schemes: &[usize]) -> Pen {
    let color = if let [one] = schemes { theme::scheme_color(*one) } else { theme::INK };
    Pen::new(color, 1.3).dash(Pen::DASHED)
}

fn keys(chart: &ReplayChart) -> Vec<(Sign, String)> {
    let schemes = chart.lines.iter().enumerate().map(|(i, l)| (Sign::Line(pen(i)), l.scheme.clone()));
    let all = chart.lines.len();
    let limits = capacities(chart).into_iter().map(|(capacity, schemes)| {
        let names: Vec<_> = schemes.iter().map(|&i| chart.lines[i].scheme.as_str()).collect();
        let whose = if schemes.len() == all { String::new() } else { format!(" of {}", names.join(", ")) };
        (Sign::Line(capacity_pen(&schemes)), format!("capacity{whose}: {}", bytes(capacity)))
    });
    schemes.chain(limits).collect()
}

fn paint(canvas: &mut Canvas<'_>, top: f64, chart: &ReplayChart, (start, end): (f64, f64)) {
    let page = canvas.page();
    let (unit, name) = match end - start {
        s if s >= 3.0 * 86_400.0 => (86_400.0, "days"),
        s if s >= 3.0 * 3_600.0 => (3_600.0, "hours"),
        s if s >= 300.0 => (60.0, "minutes"),
        s if s >= 1.0 => (1.0, "seconds"),
        _ => (1e-3, "milliseconds"),
    };
    let (_, ticks) = Scale::linear(start / unit, end / unit, 9);
    // The axis ends with the data, not at the next round number.
    let scale = Scale::Linear { min: start / unit, max: end / unit };
    let labels = linear_labels(&ticks);
    let ticks: Vec<_> =
        ticks.into_iter().zip(labels).filter(|(t, _)| (start / unit..=end / unit).contains(t)).collect();
    let x = Axis { title: format!("simulated time ({name})"), scale, ticks };
    let bare = Axis {
        title: String::new(),
        ticks: x.ticks.iter().map(|(t, _)| (*t, String::new())).collect(),
        ..x.clone()
    };

    let largest = chart
        .lines
        .iter()
        .flat_map(|l| l.samples.iter().map(|s| s.cache_bytes).chain(l.capacity_bytes))
        .max();
    let largest = largest.unwrap_or(0).max(1) as f64;
    let (factor, prefix) = [(1e18, "EB"), (1e15, "PB"), (1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")]
        .into_iter()
        .find(|(factor, _)| largest >= *factor)
        .unwrap_or((1.0, "bytes"));
    let cache = linear_axis(format!("cache held ({prefix})"), largest / factor * 1.04);
    let most = chart.lines.iter().flat_map(|l| l.samples.iter().map(|s| s.batch)).max().unwrap_or(0);
    let mut batch = linear_axis("running sequences".to_owned(), most.max(1) as f64 * 1.04);
    // There are no halves of sequences.
    if batch.ticks.iter().any(|(tick, _)| tick.fract() != 0.0) {
        batch.ticks.retain(|(tick, _)| tick.fract() == 0.0);
        batch.ticks.iter_mut().for_each(|(tick, label)| *label = format!("{tick:.0}"));
    }

    let left = frame::room_left(&cache).max(frame::room_left(&batch));
    let below = frame::room_below(&x);
    let middle = top + (page.bottom - 12.0 - below - top) / 2.0;
    let right = page.right - EDGE;
    // Both panels span the same time: the upper one ends where the labels of the lower one leave it.
    let lower =
        frame::frame(canvas, Area::new(EDGE, middle + 8.0, right, page.bottom - 12.0), left, &x, &batch);
    let upper = Area::new(EDGE, top, lower.area.right, middle + frame::room_below(&bare) - 30.0);
    let upper = frame::frame(canvas, upper, left, &bare, &cache);
    for (capacity, schemes) in capacities(chart) {
        let y = upper.y(capacity as f64 / factor);
        canvas.line(&[(upper.area.left, y), (upper.area.right, y)], &capacity_pen(&schemes));
    }
    for (i, line) in chart.lines.iter().enumerate() {
        for (frame, value) in [
            (&upper, &(|s: &ReplaySample| s.cache_bytes as f64 / factor) as &dyn Fn(&ReplaySample) -> f64),
            (&lower, &|s: &ReplaySample| s.batch as f64),
        ] {
            let states: Vec<At> = line
                .samples
                .iter()
                .filter(|s| s.seconds.is_finite())
                .map(|s| frame.at(s.seconds / unit, value(s)))
                .collect();
            canvas.line(&thinned(&states), &pen(i));
            if let [only] = states[..] {
                canvas.marker(Marker::of(i), only, 4.0, pen(i).color);
            }
        }
    }
}

fn linear_axis(title: String, max: f64) -> Axis {
    let (scale, ticks) = Scale::from_zero(max, 5);
    let labels = linear_labels(&ticks);
    Axis { title, scale, ticks: ticks.into_iter().zip(labels).collect() }
}

/// Steps through all states; where several fall into one pixel, only its first, extremes and last are kept: the drawing
/// looks the same and stays small however long the trace.
fn thinned(states: &[At]) -> Vec<At> {
    let mut out: Vec<At> = Vec::new();
    let mut rest = states;
    while let Some(first) = rest.first() {
        let count = rest.iter().take_while(|s| s.0.floor() == first.0.floor()).count();
        let (bucket, after) = rest.split_at(count);
        rest = after;
        if let Some(&(_, before)) = out.last() {
            out.push((first.0, before));
        }
        let by_height = |a: &&At, b: &&At| a.1.total_cmp(&b.1);
        let (low, high) = (bucket.iter().min_by(by_height), bucket.iter().max_by(by_height));
        out.push(*first);
        out.extend(low.into_iter().chain(high).map(|s| (first.0, s.1)));
        out.extend(bucket.last().map(|s| (s.0, s.1)));
    }
    out.dedup();
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thinning_keeps_extremes_and_bounds_the_size() {
        let states: Vec<At> = (0..100_000u32).map(|i| (f64::from(i) / 1000.0, f64::from(i % 977))).collect();
        let thin = thinned(&states);
        assert!(thin.len() <= 600, "{} points", thin.len());
        let (low, high) = range(thin.iter().map(|s| s.1)).expect("not empty");
        assert_eq!((low, high), (0.0, 976.0));
        assert!(thin.windows(2).all(|w| w[0].0 <= w[1].0), "time does not run back");
        assert_eq!(
            thinned(&[(0.0, 1.0), (5.0, 3.0)]),
            [(0.0, 1.0), (5.0, 1.0), (5.0, 3.0)],
            "states hold until the next"
        );
        assert!(thinned(&[]).is_empty());
    }
}
