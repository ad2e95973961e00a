//! What `calibrate` and `validate` print: how well kernels are fitted, and predictions held against measurements.

use indexmap::IndexMap;
use serde::Serialize;
use std::collections::BTreeMap;
use std::io;

use super::numbers::{significant, thousands};
use super::plot::{ErrorChart, ErrorGroup, Plot, PlotError, ScatterChart, ScatterGroup, errors, scatter};
use super::table::TableWriter;
use crate::analysis::validation::{Errors, GroupOf, Spread, Validation, Verdict};
use crate::hardware::kernel::{Kernel, Kind};
use crate::trace::measured::{MeasuredTable, Regime};

/// Predictions held against a table of measured kernels. Errors are fractions, not percent.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ValidationDocument {
    /// Rows that were predicted.
    pub rows: usize,
    /// Rows that were not, by reason.
    pub skipped: IndexMap<&'static str, u64>,
    /// Mean |error|.
    pub mape: f64,
    /// Median |error|.
    pub median: f64,
    /// 90th percentile of |error|.
    pub p90: f64,
    /// Mean error; above zero where predictions are too long.
    pub bias: f64,
    /// By what limits a kernel of its size.
    pub by_regime: BTreeMap<&'static str, Spread>,
    /// By framework.
    pub by_framework: BTreeMap<String, Spread>,
    /// The same rows under rival predictions.
    pub baselines: Baselines,
    /// Rows whose constants come from another machine.
    pub extrapolated_rows: usize,
    /// By GPU, framework, kind and type, in the order of their first rows.
    pub groups: Vec<GroupDocument>,
}

/// Rival predictions.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Baselines {
    /// Bytes over peak bandwidth, or FLOPs over peak, whichever takes longer.
    pub roofline: Spread,
    /// A launch and all bytes at a part of the bandwidth, both fitted to the rows that the profile was fitted to.
    pub launch_plus_bytes: Spread,
}

/// Rows of one GPU, framework, kind and type.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GroupDocument {
    /// The GPU.
    pub gpu: String,
    /// The framework.
    pub framework: String,
    /// `mha`, `gqa`, `mla` or `gemm`.
    pub kind: &'static str,
    /// Type of the cache or the weights.
    pub dtype: &'static str,
    /// The profiles.
    pub profile: String,
    /// The machine that the constants come from, where that is another one.
    pub extrapolated_from: Option<String>,
    /// All rows.
    #[serde(flatten)]
    pub all: Spread,
    /// Rows of at least twice the shared SRAM; none where there is no such row.
    pub hbm: Option<Spread>,
    /// All rows under rival predictions.
    pub baselines: Baselines,
}

fn spread<'a>(verdicts: impl Iterator<Item = &'a Verdict>, of: impl Fn(&Verdict) -> Option<f64>) -> Spread {
    let mut errors = Errors::default();
    for v in verdicts {
        if let Some(predicted) = of(v) {
            errors.add(predicted, v.measured);
        }
    }
    errors.spread()
}

fn predicted(v: &Verdict) -> Option<f64> {
    Some(v.predicted)
}

fn baselines<'a>(verdicts: impl Iterator<Item = &'a Verdict> + Clone) -> Baselines {
    Baselines {
        roofline: spread(verdicts.clone(), |v| Some(v.roofline)),
        launch_plus_bytes: spread(verdicts, |v| v.launch_plus_bytes),
    }
}

impl ValidationDocument {
    /// The document of `validation`, of the rows of `table`.
    #[must_use]
    pub fn new(table: &MeasuredTable, validation: &Validation) -> Self {
        let all = || validation.verdicts.iter();
        let groups = &validation.groups;
        let Spread { rows, mape, median, p90, bias } = spread(all(), predicted);
        let regimes = Regime::ALL
            .into_iter()
            .map(|regime| (regime.name(), spread(all().filter(|v| v.regime == regime), predicted)));
        let mut frameworks: Vec<&str> = groups.iter().map(|g| g.framework.as_str()).collect();
        frameworks.sort_unstable();
        frameworks.dedup();
        let of_framework = |f: &str| spread(all().filter(|v| groups[v.group].framework == f), predicted);
        Self {
            rows,
            skipped: table.skipped.by_reason().collect(),
            mape,
            median,
            p90,
            bias,
            by_regime: regimes.filter(|(_, s)| s.rows > 0).collect(),
            by_framework: frameworks.iter().map(|f| ((*f).to_owned(), of_framework(f))).collect(),
            baselines: baselines(all()),
            extrapolated_rows: all().filter(|v| groups[v.group].extrapolated_from.is_some()).count(),
            groups: group_documents(validation),
        }
    }

    /// Writes it for people.
    ///
    /// # Errors
    /// The writer's own.
    pub fn write_table(&self, width: Option<u16>, out: &mut dyn io::Write) -> io::Result<()> {
        let skipped: u64 = self.skipped.values().sum();
        let heads = [
            "GPU",
            "framework",
            "kernel",
            "rows",
            "mean",
            "median",
            "P90",
            "bias",
            "HBM",
            "roofline",
            "launch+bytes",
        ];
        let mut table = TableWriter::new(&heads, 3, width);
        let percent = |share: f64| format!("{} %", significant(100.0 * share, 2));
        let signed = |share: f64| format!("{}{}", if share > 0.0 { "+" } else { "" }, percent(share));
        let cells = |s: &Spread, b: &Baselines, hbm: Option<&Spread>| {
            [
                thousands(s.rows as u64),
                percent(s.mape),
                percent(s.median),
                percent(s.p90),
                signed(s.bias),
                hbm.map_or_else(|| "–".to_owned(), |h| percent(h.mape)),
                percent(b.roofline.mape),
                percent(b.launch_plus_bytes.mape),
            ]
        };
        for g in &self.groups {
            let mark = if g.extrapolated_from.is_some() { " *" } else { "" };
            let first = [format!("{}{mark}", g.gpu), g.framework.clone(), format!("{} {}", g.kind, g.dtype)];
            table.row(first.into_iter().chain(cells(&g.all, &g.baselines, g.hbm.as_ref())));
        }
        let all =
            Spread { rows: self.rows, mape: self.mape, median: self.median, p90: self.p90, bias: self.bias };
        let hbm = self.by_regime.get(Regime::Hbm.name());
        let first = ["all".to_owned(), String::new(), String::new()];
        table.row(first.into_iter().chain(cells(&all, &self.baselines, hbm)));
        table.write(out)?;
        writeln!(out)?;
        let regimes = self
            .by_regime
            .iter()
            .map(|(name, s)| format!("{name} {} ({})", percent(s.mape), thousands(s.rows as u64)));
        writeln!(out, "by regime: {}", regimes.collect::<Vec<_>>().join(", "))?;
        let frameworks = self.by_framework.iter().map(|(name, s)| format!("{name} {}", percent(s.mape)));
        writeln!(out, "by framework: {}", frameworks.collect::<Vec<_>>().join(", "))?;
        if skipped > 0 {
            let reasons = self.skipped.iter().map(|(why, n)| format!("{why} {}", thousands(*n)));
            writeln!(out, "left out: {}", reasons.collect::<Vec<_>>().join(", "))?;
        }
        if self.extrapolated_rows > 0 {
            let mut from: Vec<String> = self
                .groups
                .iter()
                .filter_map(|g| Some(format!("{} from {}", g.gpu, g.extrapolated_from.as_ref()?)))
                .collect();
            from.dedup();
            writeln!(out, "* constants of another machine: {}", from.join(", "))?;
        }
        writeln!(
            out,
            "errors are relative, mean without sign; HBM: rows of at least twice the L2; roofline: bytes or FLOPs at the data sheet's peak"
        )
    }
}

fn group_documents(validation: &Validation) -> Vec<GroupDocument> {
    let of = |g: &GroupOf| (g.gpu.clone(), g.framework.clone(), g.kind, g.dtype);
    let mut merged: IndexMap<_, Vec<usize>> = IndexMap::new();
    for (i, g) in validation.groups.iter().enumerate() {
        merged.entry(of(g)).or_default().push(i);
    }
    let mut verdicts: Vec<Vec<&Verdict>> = vec![Vec::new(); merged.len()];
    let place: Vec<usize> =
        validation.groups.iter().map(|g| merged.get_index_of(&of(g)).unwrap_or(0)).collect();
    for v in &validation.verdicts {
        verdicts[place[v.group]].push(v);
    }
    merged
        .into_iter()
        .zip(verdicts)
        .map(|(((gpu, framework, kind, dtype), members), rows)| {
            let first = &validation.groups[members[0]];
            let all = || rows.iter().copied();
            let hbm = spread(all().filter(|v| v.regime == Regime::Hbm), predicted);
            GroupDocument {
                gpu,
                framework,
                kind: kind.name(),
                dtype: dtype.name(),
                profile: first.profile.clone(),
                extrapolated_from: first.extrapolated_from.clone(),
                all: spread(all(), predicted),
                hbm: (hbm.rows > 0).then_some(hbm),
                baselines: baselines(all()),
            }
        })
        .collect()
}

/// How well kernels are fitted.
#[derive(Debug, Clone, Copy)]
pub struct KernelFits<'a>(pub &'a [Kernel]);

impl KernelFits<'_> {
    /// Writes a kernel a line.
    ///
    /// # Errors
    /// The writer's own.
    pub fn write_table(&self, width: Option<u16>, out: &mut dyn io::Write) -> io::Result<()> {
        let heads = ["kind", "type", "kernel", "constants", "rows", "error", "held out", "error there"];
        let mut table = TableWriter::new(&heads, 3, width);
        let percent = |share: f64| format!("{} %", significant(100.0 * share, 2));
        for k in self.0 {
            let Some(fit) = k.fit else { continue };
            table.row([
                k.kind.name().to_owned(),
                k.dtype.name().to_owned(),
                k.name.clone().unwrap_or_else(|| "any".to_owned()),
                k.constants.given().to_string(),
                thousands(fit.rows),
                percent(fit.mape),
                thousands(fit.held_out_rows),
                percent(fit.held_out_mape),
            ]);
        }
        table.write(out)
    }
}

/// Prediction band that the scatter plot shows.
const BAND: f64 = 0.1;

/// Measured against predicted time, and error against bytes, with the names of their files.
///
/// # Errors
/// Where there is nothing to draw.
pub fn validation_plots(validation: &Validation) -> Result<[(&'static str, Plot); 2], PlotError> {
    let mut series: IndexMap<String, (Errors, Vec<&Verdict>)> = IndexMap::new();
    for v in &validation.verdicts {
        let g = &validation.groups[v.group];
        let (errors, rows) = series.entry(format!("{} · {} {}", g.gpu, g.framework, g.dtype)).or_default();
        errors.add(v.predicted, v.measured);
        rows.push(v);
    }
    let name =
        |name: &str, errors: &Errors| format!("{name}, {} %", significant(100.0 * errors.spread().mape, 2));
    let kinds: Vec<&str> = Kind::ALL
        .into_iter()
        .filter(|k| validation.groups.iter().any(|g| g.kind == *k))
        .map(Kind::name)
        .collect();
    let note = format!(
        "{}, {} rows; behind each name its mean error without sign",
        kinds.join(", "),
        thousands(validation.verdicts.len() as u64)
    );
    let scatter = scatter(&ScatterChart {
        title: "Predicted against measured time of decode kernels".to_owned(),
        note: note.clone(),
        x_title: "measured".to_owned(),
        y_title: "predicted".to_owned(),
        unit: "s".to_owned(),
        groups: series
            .iter()
            .map(|(of, (e, rows))| ScatterGroup {
                name: name(of, e),
                points: rows.iter().map(|v| (v.measured, v.predicted)).collect(),
            })
            .collect(),
        band: Some(BAND),
    })?;
    let mut marks: Vec<(f64, String)> = Vec::new();
    for g in validation.groups.iter().filter(|g| g.shared.0 > 0) {
        let mark = (g.shared.as_f64(), format!("L2 of {}", g.gpu));
        if !marks.contains(&mark) {
            marks.push(mark);
        }
    }
    let errors = errors(&ErrorChart {
        title: "Error of the prediction by bytes of cache or weights".to_owned(),
        note,
        x_title: "bytes".to_owned(),
        y_title: "predicted over measured time".to_owned(),
        groups: series
            .iter()
            .map(|(of, (e, rows))| ErrorGroup {
                name: name(of, e),
                points: rows.iter().map(|v| (v.bytes.as_f64(), v.predicted / v.measured - 1.0)).collect(),
            })
            .collect(),
        marks,
    })?;
    Ok([("measured-predicted", scatter), ("error-bytes", errors)])
}
