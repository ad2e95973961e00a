//! One chart of a sweep at one combination of the axes that it does not show, from the samples that were kept.

use super::charts::{Chart, Series};
use super::{Observer, Recorder, Sample, bracket, crossing, labels};
use crate::analysis::NonDefault;
use crate::attention::BASELINE;
use crate::config::{AxisTarget, PlotKind};
use crate::report::numbers::{context, thousands};
use crate::report::plot::{
    self, CauseBar, CauseChart, CauseUnit, HeatMap, LineChart, OperatingPoint, Plot, PlotError,
    RooflineChart, SpeedupChart, SpeedupCurve,
};
use crate::sweep::{Dimension, Plan, Setting};

/// Contexts whose causes stand side by side legibly.
const BARS: usize = 10;

/// Scheme in the file's name, caption, plot.
pub(super) type Painted = (Option<String>, String, Result<Plot, PlotError>);

/// One chart at one combination of the axes that it does not show.
pub(super) struct Painter<'a> {
    pub(super) recorder: &'a Recorder<'a>,
    pub(super) observer: &'a Observer<'a>,
    pub(super) chart: &'a Chart,
    pub(super) at: Vec<usize>,
}

impl Painter<'_> {
    fn plan(&self) -> &Plan {
        self.recorder.plan
    }

    fn dimension(&self, i: usize) -> &Dimension {
        &self.plan().dimensions()[i]
    }

    /// The coordinates of a point of the plot.
    fn coordinates(&self, moves: &[(usize, usize)]) -> Vec<usize> {
        let mut at = self.at.clone();
        for &(dimension, value) in moves {
            at[dimension] = value;
        }
        at
    }

    fn sample(&self, moves: &[(usize, usize)], scheme: usize) -> Option<&Sample> {
        let index = self.plan().index(&self.coordinates(moves));
        self.recorder.samples.get(&index)?.get(scheme)
    }

    pub(super) fn draw(&self) -> Vec<Painted> {
        let schemes = self.plan().schemes();
        let others: Vec<usize> = (0..schemes.len()).filter(|&i| schemes[i].name != BASELINE).collect();
        let tag = |i: usize| (others.len() > 1).then(|| schemes[i].name.to_owned());
        match (self.chart.kind, self.chart.series) {
            (PlotKind::Causes, _) => vec![(None, self.caption("time by cause", None), self.causes())],
            (PlotKind::Roofline, _) => vec![(None, self.caption("roofline", None), self.roofline())],
            (PlotKind::Heatmap, _) => {
                others.iter().map(|&i| (tag(i), self.caption("speedup", Some(i)), self.heat_map(i))).collect()
            }
            (PlotKind::Speedup, Series::Scheme) => {
                vec![(None, self.caption("speedup", None), self.lines(&others, None))]
            }
            (PlotKind::Speedup, _) => others
                .iter()
                .map(|&i| {
                    let plot = if self.is_over_context() { self.speedup(i) } else { self.lines(&[i], None) };
                    (tag(i), self.caption("speedup", Some(i)), plot)
                })
                .collect(),
            (PlotKind::Lines, series) => {
                let field = self.chart.field.as_deref().unwrap_or("speedup");
                let ratio = field == "speedup";
                let drawn: Vec<usize> = if ratio { others.clone() } else { (0..schemes.len()).collect() };
                if series == Series::Scheme {
                    return vec![(None, self.caption(field, None), self.lines(&drawn, Some(field)))];
                }
                let many = drawn.len() > 1;
                let paint = |&i: &usize| {
                    let tag = many.then(|| schemes[i].name.to_owned());
                    (tag, self.caption(field, Some(i)), self.lines(&[i], Some(field)))
                };
                drawn.iter().map(paint).collect()
            }
        }
    }

    /// What a plot shows, in a line.
    fn caption(&self, what: &str, scheme: Option<usize>) -> String {
        let of = scheme.map_or(String::new(), |i| format!(" of {}", self.plan().schemes()[i].name));
        let mut over = format!(" over {}", self.dimension(self.chart.x).name);
        if let Some(y) = self.chart.y {
            over = format!("{over} and {}", self.dimension(y).name);
        }
        let place = self.place();
        let at = if place.is_empty() { String::new() } else { format!(" at {place}") };
        let own = self.chart.title.as_ref().map_or(String::new(), |title| format!("{title}: "));
        format!("{own}{what}{of}{over}{at}")
    }

    fn place(&self) -> String {
        labels::place(self.plan(), &self.at, self.chart.facets.iter().copied())
    }

    /// Names of machine and model.
    fn names(&self) -> [String; 2] {
        let setting = self.plan().place(self.plan().index(&self.at)).setting;
        let machine = self.plan().machine(setting.machine).map_or(String::new(), |m| m.name);
        let model = self.plan().model(setting.model).map_or(String::new(), |m| m.name);
        [machine, model]
    }

    /// What a reader has to know beside the title.
    fn note(&self, batch: bool) -> String {
        let place = self.plan().place(self.plan().index(&self.at));
        let varies = |name: &str| self.chart.facets.iter().any(|&i| self.dimension(i).name == name);
        let mut parts: Vec<String> = self.chart.title.iter().cloned().collect();
        parts.push(self.place());
        let of_context = |&i: &usize| self.dimension(i).target == AxisTarget::Context;
        let shown = [Some(self.chart.x), self.chart.y, self.series()];
        if !shown.iter().flatten().chain(&self.chart.facets).any(of_context) {
            parts.push(format!("context {}", context(place.context)));
        }
        if batch && !varies("batch") {
            parts.push(format!("batch {}", thousands(place.batch)));
        }
        let types = place.setting;
        parts.push(format!("weights {}, cache {}", types.weights, types.cache.default));
        parts.push(self.same_throughout(&types).words());
        parts.retain(|part| !part.is_empty());
        parts.join("; ")
    }

    /// What is not as by default and that no axis varies.
    fn same_throughout(&self, setting: &Setting) -> NonDefault {
        let all = NonDefault::of(&setting.conditions());
        let fixed = |target| self.plan().dimensions().iter().all(|d| d.target != target);
        NonDefault {
            query_tokens: all.query_tokens.filter(|_| fixed(AxisTarget::QueryTokens)),
            sparsity: all.sparsity.filter(|_| fixed(AxisTarget::Sparsity)),
            rotation: all.rotation.filter(|_| fixed(AxisTarget::Rotation)),
            qk_norm: all.qk_norm.filter(|_| fixed(AxisTarget::QkNorm)),
            block_tokens: all.block_tokens.filter(|_| fixed(AxisTarget::BlockTokens)),
            cache_dtypes: if fixed(AxisTarget::CacheDtype) { all.cache_dtypes } else { Default::default() },
            ..NonDefault::default()
        }
    }

    /// The dimension that tells lines apart, if one does.
    fn series(&self) -> Option<usize> {
        match self.chart.series {
            Series::Dimension(i) => Some(i),
            Series::None | Series::Scheme => None,
        }
    }

    fn title(&self, what: &str) -> String {
        let [machine, model] = self.names();
        // A name that an axis varies would be that of its first value only.
        let shown = [Some(self.chart.x), self.chart.y, self.series()];
        let varied = |target| shown.iter().flatten().any(|&i| self.dimension(i).target == target);
        let model = if varied(AxisTarget::Model) { String::new() } else { model };
        let machine = if varied(AxisTarget::Accelerator) { String::new() } else { machine };
        let subject = match (model.is_empty(), machine.is_empty()) {
            (true, true) => String::new(),
            (false, false) => format!("{model} on {machine}: "),
            _ => format!("{model}{machine}: "),
        };
        format!("{subject}{what}")
    }

    /// Whether the plain speedup chart can show it: context along x, a line a batch.
    fn is_over_context(&self) -> bool {
        let by_batch = match self.chart.series {
            Series::None => true,
            Series::Dimension(i) => self.dimension(i).target == AxisTarget::Batch,
            Series::Scheme => false,
        };
        by_batch && self.dimension(self.chart.x).target == AxisTarget::Context
    }

    /// Places of the values along x, contexts rising, each once.
    fn contexts(&self) -> Vec<(u64, usize)> {
        let dimension = self.dimension(self.chart.x);
        let mut all: Vec<(u64, usize)> =
            dimension.values.iter().enumerate().filter_map(|(i, v)| Some((v.parse().ok()?, i))).collect();
        all.sort_unstable();
        all.dedup_by_key(|c| c.0);
        all
    }

    fn speedup(&self, scheme: usize) -> Result<Plot, PlotError> {
        let [accelerator, model] = self.names();
        let x = self.chart.x;
        let series: Vec<Vec<(usize, usize)>> = match self.chart.series {
            Series::Dimension(i) => (0..self.dimension(i).values.len()).map(|j| vec![(i, j)]).collect(),
            _ => vec![vec![]],
        };
        let baseline = self.plan().schemes().iter().position(|s| s.name == BASELINE);
        let curve = |fixed: &Vec<(usize, usize)>| {
            let mut points = Vec::new();
            let mut bound = Vec::new();
            let mut infeasible = Vec::new();
            for (context, i) in self.contexts() {
                let mut moves = fixed.clone();
                moves.push((x, i));
                let Some(sample) = self.sample(&moves, scheme) else { continue };
                match sample.speedup {
                    Some(speedup) => points.push((context, speedup)),
                    None => infeasible.push(context),
                }
                let base = baseline.and_then(|b| self.sample(&moves, b)?.bandwidth_bound);
                if let (Some(base), Some(own)) = (base, sample.bandwidth_bound.filter(|b| b.0 > 0)) {
                    bound.push((context, base.as_f64() / own.as_f64()));
                }
            }
            let place = self.plan().place(self.plan().index(&self.coordinates(fixed)));
            let crossover = bracket(&points).map(|ends| crossing(self.plan(), &place, scheme, ends));
            SpeedupCurve { batch: place.batch, crossover, points, bound, infeasible }
        };
        plot::speedup(&SpeedupChart {
            accelerator,
            model,
            scheme: self.plan().schemes()[scheme].name.to_owned(),
            baseline: BASELINE.to_owned(),
            note: self.note(false),
            curves: series.iter().map(curve).collect(),
        })
    }

    fn causes(&self) -> Result<Plot, PlotError> {
        let [accelerator, model] = self.names();
        let contexts = self.contexts();
        // Evenly chosen, the longest among them.
        let stride = contexts.len().div_ceil(BARS).max(1);
        let mut chosen: Vec<(u64, usize)> = contexts.iter().rev().step_by(stride).copied().collect();
        chosen.reverse();
        let schemes = self.plan().schemes();
        let mut bars = Vec::new();
        for &(context, i) in &chosen {
            for (s, scheme) in schemes.iter().enumerate() {
                let sample = self.sample(&[(self.chart.x, i)], s);
                let step = sample.and_then(|p| Some((p.seconds?.seconds(), p.causes?)));
                bars.push(CauseBar { context, scheme: scheme.name.to_owned(), step });
            }
        }
        let wide = chosen.last().zip(chosen.first()).is_some_and(|(last, first)| last.0 > 8 * first.0);
        let unit = if wide { CauseUnit::Relative } else { CauseUnit::Time };
        plot::causes(&CauseChart { accelerator, model, note: self.note(true), unit, bars })
    }

    fn roofline(&self) -> Result<Plot, PlotError> {
        let [accelerator, model] = self.names();
        let setting = self.plan().place(self.plan().index(&self.at)).setting;
        let machine =
            self.plan().machine(setting.machine).map_err(|e| PlotError::Empty(e.messages().collect()))?;
        let mut points = Vec::new();
        for (s, scheme) in self.plan().schemes().iter().enumerate() {
            for (context, i) in self.contexts() {
                let Some(sample) = self.sample(&[(self.chart.x, i)], s) else { continue };
                let Some(seconds) = sample.seconds else { continue };
                points.push(OperatingPoint {
                    scheme: scheme.name.to_owned(),
                    context,
                    intensity: sample.flops / sample.bytes,
                    flops_per_second: sample.flops / seconds.seconds(),
                });
            }
        }
        plot::roofline(&RooflineChart {
            accelerator,
            model,
            note: self.note(true),
            peak: machine.peak_macs_per_second(setting.weights).map(|macs| 2.0 * macs as f64),
            bandwidth: machine.memory_bandwidth().map_or(0.0, |b| b.0 as f64),
            memory: if machine.hbm.is_some() { "HBM" } else { "SRAM" }.to_owned(),
            points,
        })
    }

    fn heat_map(&self, scheme: usize) -> Result<Plot, PlotError> {
        let (x, y) = (self.chart.x, self.chart.y.unwrap_or(self.chart.x));
        let labels = |i: usize| -> Vec<String> {
            (0..self.dimension(i).values.len()).map(|at| labels::value(self.dimension(i), at).1).collect()
        };
        let (columns, rows) = (labels(x), labels(y));
        let value = |row: usize, column: usize| self.sample(&[(x, column), (y, row)], scheme)?.speedup;
        let values = (0..rows.len())
            .flat_map(|row| (0..columns.len()).map(move |c| (row, c)))
            .map(|(r, c)| value(r, c));
        let name = self.plan().schemes()[scheme].name;
        plot::heat_map(&HeatMap {
            title: self.title(&format!("speedup of {name} over {BASELINE}")),
            note: self.note(true),
            value: format!("speedup over {BASELINE}"),
            x_title: self.dimension(x).name.clone(),
            values: values.collect(),
            x: columns,
            y_title: self.dimension(y).name.clone(),
            y: rows,
        })
    }

    /// Lines over any axis: `field` of these schemes, or their speedup.
    fn lines(&self, schemes: &[usize], field: Option<&str>) -> Result<Plot, PlotError> {
        let x = self.chart.x;
        let along: Vec<(Option<f64>, String)> =
            (0..self.dimension(x).values.len()).map(|at| labels::value(self.dimension(x), at)).collect();
        let slot = field.and_then(|f| self.observer.fields.iter().position(|g| g == f));
        let value = |moves: &[(usize, usize)], scheme: usize| -> Option<f64> {
            let sample = self.sample(moves, scheme)?;
            match slot {
                Some(slot) => sample.fields.get(slot).copied().flatten(),
                None => sample.speedup,
            }
        };
        let name = |i: usize| self.plan().schemes()[i].name.to_owned();
        let mut lines = Vec::new();
        for &scheme in schemes {
            let fixed: Vec<(String, Option<(usize, usize)>)> = match self.chart.series {
                Series::Dimension(i) => (0..self.dimension(i).values.len())
                    .map(|j| (labels::place(self.plan(), &self.coordinates(&[(i, j)]), [i]), Some((i, j))))
                    .collect(),
                _ => vec![(name(scheme), None)],
            };
            for (label, fixed) in fixed {
                let values = (0..along.len()).map(|i| {
                    let moves: Vec<(usize, usize)> = fixed.into_iter().chain([(x, i)]).collect();
                    value(&moves, scheme)
                });
                lines.push((label, values.collect()));
            }
        }
        let ratio = field.is_none_or(|f| f == "speedup");
        let what =
            if ratio { format!("speedup over {BASELINE}") } else { field.unwrap_or_default().to_owned() };
        let of = match schemes {
            [one] => format!(" ({})", name(*one)),
            _ => String::new(),
        };
        let unit = match field.unwrap_or("speedup") {
            "speedup" => "×",
            f if f.contains("seconds") && !f.starts_with("tokens") => "s",
            f if f.contains("bytes") => "B",
            f if f.starts_with("flops") => "FLOP",
            "energy_joules" => "J",
            _ => "",
        };
        plot::lines(&LineChart {
            title: self.title(&format!("{what}{of}")),
            note: self.note(
                ![Some(x), self.series()]
                    .iter()
                    .flatten()
                    .any(|&i| self.dimension(i).target == AxisTarget::Batch),
            ),
            x_title: self.dimension(x).name.clone(),
            x: along,
            y_title: what,
            y_unit: unit.to_owned(),
            reference: ratio.then_some(1.0),
            lines,
        })
    }
}
