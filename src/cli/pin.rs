//! `slimsim pin` and `slimsim check`: freeze predictions, and see what has moved.

use super::output::{print, width};
use super::{CliError, Selectors, output, plural};
use crate::analysis::pins::{Moved, PinsDocument, Predictor, compare};
use crate::config::{self, PinnedPoint, Pins, Tolerance, load_experiment, load_pins};
use crate::report::{Format, TableWriter, thousands, write_atomically, write_json};
use crate::step::search::PLAN_NAMES;
use serde_json::Value;
use std::path::{Component, Path, PathBuf};

/// Freeze predicted numbers of an experiment, to be checked later
#[derive(Debug, clap::Args)]
pub(super) struct PinArgs {
    /// Experiment file
    #[arg(value_name = "EXPERIMENT.toml")]
    experiment: String,

    /// File to write
    #[arg(short, long, value_name = "PINS.toml")]
    out: PathBuf,
}

impl PinArgs {
    pub(super) fn execute(self) -> Result<(), CliError> {
        // The names as the file gives them, and everything checked and loaded once.
        let experiment = load_experiment(&self.experiment)?;
        let study = Selectors::default().resolve(Some(&self.experiment))?;
        let contexts = study.require_contexts()?;
        let mut predictor = Predictor::new(&study.conditions, &study.overrides, study.kernels.clone());
        let mut points = Vec::new();
        let mut reason = None;
        for accelerator in &experiment.accelerators {
            for (model, loaded) in experiment.models.iter().zip(&study.models) {
                for &scheme in study.schemes.iter().filter(|_| study.schemes_named) {
                    scheme
                        .describe(loaded, study.conditions.options)
                        .map_err(crate::step::SetupError::from)?;
                }
                for (&context, &batch) in
                    contexts.iter().flat_map(|n| study.batches.iter().map(move |b| (n, b)))
                {
                    for &scheme in &study.schemes {
                        let numbers = predictor.predict(accelerator, model, scheme, context, batch)?;
                        points.push(PinnedPoint {
                            accelerator: reference(&self.out, accelerator),
                            model: reference(&self.out, model),
                            scheme,
                            context,
                            batch,
                            numbers: numbers.map_err(|why| reason.get_or_insert(why).clone()).ok(),
                        });
                    }
                }
            }
        }
        if points.iter().all(|p| p.numbers.is_none()) {
            let reason = reason.unwrap_or_else(|| "there are no points".to_owned());
            return Err(CliError::Infeasible(format!("nothing that was asked for can run: {reason}")));
        }
        let count = points.len() as u64;
        let pins = Pins {
            slimsim: env!("CARGO_PKG_VERSION").to_owned(),
            weight_dtype: study.conditions.precision.weights,
            cache_dtype: study.cache_types,
            query_tokens: study.conditions.query_tokens,
            kernels: experiment.kernels.as_deref().map(|k| match k {
                config::OWN_KERNELS => k.to_owned(),
                name => reference(&self.out, name),
            }),
            plan: study.conditions.plan.clone(),
            set: study.overrides.clone(),
            tolerance: Tolerance::default(),
            points,
        };
        write_atomically(&self.out, pins.to_toml().as_bytes())?;
        print(|out| writeln!(out, "{}: {} pinned", self.out.display(), plural(count, "point")))
    }
}

/// How the file `out` names a machine or a model: presets as they are, files from its own folder.
pub(super) fn reference(out: &Path, name: &str) -> String {
    if !config::is_path(name) && !Path::new(name).exists() {
        return name.to_owned();
    }
    let folder = out.parent().unwrap_or(Path::new(""));
    relative(folder, Path::new(name)).unwrap_or_else(|| PathBuf::from(name)).to_string_lossy().into_owned()
}

/// The way from a folder to a file; `None` where there is none, on another drive.
fn relative(folder: &Path, file: &Path) -> Option<PathBuf> {
    let plain = |path: &Path| -> Option<Vec<String>> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let mut parts = Vec::new();
        for part in std::path::absolute(path).ok()?.components() {
            match part {
                Component::ParentDir => drop(parts.pop()),
                Component::CurDir => {}
                other => parts.push(other.as_os_str().to_string_lossy().into_owned()),
            }
        }
        Some(parts)
    };
    let (from, to) = (plain(folder)?, plain(file)?);
    let shared = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    if shared == 0 {
        return None;
    }
    let up = from[shared..].iter().map(|_| "..");
    let mut way: PathBuf = up.chain(to[shared..].iter().map(String::as_str)).collect();
    if way.components().count() == 1 {
        // A bare name could be taken for a preset.
        way = Path::new(".").join(way);
    }
    Some(way)
}

/// Compare predictions with pinned ones; exit code 1 if any moved
#[derive(Debug, clap::Args)]
pub(super) struct CheckArgs {
    /// File of pins
    #[arg(value_name = "PINS.toml")]
    pins: String,

    /// Format of the result: table or json
    #[arg(long, value_name = "FORMAT", default_value_t, value_parser = table_or_json)]
    format: Format,
}

pub(super) fn table_or_json(text: &str) -> Result<Format, String> {
    match output::format(text)? {
        Format::Csv => Err("expected one of table, json".to_owned()),
        format => Ok(format),
    }
}

impl CheckArgs {
    pub(super) fn execute(self) -> Result<(), CliError> {
        let pins = load_pins(&self.pins)?;
        if let Some(plan) = pins.plan.as_deref().filter(|plan| !PLAN_NAMES.contains(plan)) {
            let message =
                format!("{}: unknown plan '{plan}'; expected one of {}", self.pins, PLAN_NAMES.join(", "));
            let error = CliError::usage(message);
            return Err(match config::nearest(plan, PLAN_NAMES) {
                Some(near) => error.with_help(format!("did you mean '{near}'?")),
                None => error,
            });
        }
        let document = compare(&pins)?;
        print(|out| match self.format {
            Format::Json => write_json(&document, out),
            _ => table(&self.pins, &document, out),
        })?;
        if document.moved.is_empty() {
            return Ok(());
        }
        let numbers = plural(document.moved.len() as u64, "number");
        Err(CliError::CheckFailed(format!("{}: {numbers} moved", self.pins)))
    }
}

fn table(file: &str, document: &PinsDocument, out: &mut dyn std::io::Write) -> std::io::Result<()> {
    let points = plural(document.points as u64, "point");
    if document.moved.is_empty() {
        return writeln!(out, "{file}: {points} as pinned by slimsim {}", document.pinned_by);
    }
    let header = [
        "accelerator",
        "model",
        "scheme",
        "context",
        "batch",
        "number",
        "pinned",
        "now",
        "relative",
        "may move",
    ];
    // Names that never change are said once.
    let of = |m: &Moved| [m.accelerator.clone(), m.model.clone()];
    let first = document.moved.first().map(of).unwrap_or_default();
    let skip = if document.moved.iter().all(|m| of(m) == first) { 2 } else { 0 };
    if skip > 0 {
        let [accelerator, model] = first;
        writeln!(out, "{model} on {accelerator}:")?;
    }
    let mut table = TableWriter::new(&header[skip..], 3 - skip, width());
    for moved in &document.moved {
        table.row(cells(moved).into_iter().skip(skip));
    }
    table.write(out)?;
    for Moved { scheme, context, batch, reason, .. } in &document.moved {
        if let Some(why) = reason {
            writeln!(out, "{scheme}, context {context}, batch {batch} does not run any more: {why}")?;
        }
    }
    writeln!(out, "{points} pinned by slimsim {}, compared by {}", document.pinned_by, document.slimsim)
}

fn cells(moved: &Moved) -> [String; 10] {
    let value = |value: &Value| match value {
        Value::Null => "–".to_owned(),
        Value::Number(n) => n.as_u64().map_or_else(|| n.to_string(), thousands),
        other => other.to_string(),
    };
    let percent = |fraction: f64| format!("{:+.4} %", 100.0 * fraction);
    [
        moved.accelerator.clone(),
        moved.model.clone(),
        moved.scheme.to_owned(),
        thousands(moved.context),
        thousands(moved.batch),
        moved.field.to_owned(),
        value(&moved.pinned),
        value(&moved.now),
        moved.relative.map_or_else(|| "–".to_owned(), percent),
        if moved.tolerance > 0.0 { format!("±{} %", 100.0 * moved.tolerance) } else { "not".to_owned() },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_lead_from_folder_to_file() {
        let way = |from: &str, to: &str| {
            relative(Path::new(from), Path::new(to)).map(|p| p.to_string_lossy().replace('\\', "/"))
        };
        assert_eq!(way("a/pins", "a/machines/m.toml").as_deref(), Some("../machines/m.toml"));
        assert_eq!(way("", "m.toml").as_deref(), Some("./m.toml"));
        assert_eq!(way("a", "a/./b/../m.toml").as_deref(), Some("./m.toml"));
    }
}
