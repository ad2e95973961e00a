//! Files of pinned predictions: written once, read to be compared with.

use std::fmt::Write as _;
use std::sync::Arc;

use super::conditions::CacheTypes;
use super::diagnostic::{ConfigError, Diagnostic};
use super::experiment::{overrides, profile, reference, scheme};
use super::load::{finish, read_file};
use super::overrides::Overrides;
use super::presets::PresetKind;
use super::raw::{RawPinnedPoint, RawPins};
use super::reader::{Field, FromNode, Located, Reader};
use super::source::Source;
use super::tree::quote;
use crate::attention::Scheme;
use crate::units::Dtype;

/// Pinned predictions.
#[derive(Debug, Clone)]
pub struct Pins {
    /// Version that made them.
    pub slimsim: String,
    /// Element type of the weights.
    pub weight_dtype: Dtype,
    /// Element types of what schemes keep.
    pub cache_dtype: CacheTypes,
    /// New tokens of each sequence in a step.
    pub query_tokens: u64,
    /// Kernel profile; `None`: every scheme is mapped freely.
    pub kernels: Option<String>,
    /// Mapping plan that is forced; its name is not checked here.
    pub plan: Option<String>,
    /// Overrides of machine, model and options of schemes.
    pub set: Overrides,
    /// How far numbers may move.
    pub tolerance: Tolerance,
    /// The points, at least one.
    pub points: Vec<PinnedPoint>,
}

/// How far numbers may move, as fractions of the pinned ones; 0: not at all.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Tolerance {
    /// Of the step's time.
    pub picoseconds: f64,
    /// Of the step's cycles.
    pub cycles: f64,
    /// Of the bytes at the outermost memory.
    pub traffic_bytes: f64,
    /// Of the useful FLOPs.
    pub flops: f64,
    /// Of the step's energy.
    pub energy_joules: f64,
}

/// One pinned point.
#[derive(Debug, Clone, PartialEq)]
pub struct PinnedPoint {
    /// Preset or path; paths as they can be opened, not as they stand in the file.
    pub accelerator: String,
    /// Preset or path.
    pub model: String,
    /// The scheme.
    pub scheme: &'static Scheme,
    /// Tokens attended.
    pub context: u64,
    /// Sequences in the step.
    pub batch: u64,
    /// The numbers; `None` where the point could not run.
    pub numbers: Option<PinnedNumbers>,
}

/// What was predicted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PinnedNumbers {
    /// Duration of the step.
    pub picoseconds: u64,
    /// The same in cycles of the core clock.
    pub cycles: u64,
    /// Bytes at the outermost memory.
    pub traffic_bytes: u64,
    /// Useful FLOPs.
    pub flops: u64,
    /// Energy of the step.
    pub energy_joules: Option<f64>,
}

/// Reads a file of pins.
///
/// # Errors
/// Everything that is wrong with it, unknown presets, schemes and overrides included. Files that it names are not opened.
pub fn load_pins(path: &str) -> Result<Pins, ConfigError> {
    let tree = read_file(path)?;
    let mut reader = Reader::default();
    let raw = RawPins::read(&tree.root, &mut reader);
    let pins = match (&raw, tree.sources.first()) {
        (Some(raw), Some(source)) => raw.resolve(source, &mut reader),
        _ => None,
    };
    finish(&tree, reader, pins)
}

impl RawPins {
    fn resolve(&self, source: &Arc<Source>, reader: &mut Reader) -> Option<Pins> {
        let fraction = |field: &Field<super::scalars::Fraction>| field.get().map_or(0.0, |f| f.0);
        let tolerance = self.tolerance.value().map_or(Tolerance::default(), |t| Tolerance {
            picoseconds: fraction(&t.picoseconds),
            cycles: fraction(&t.cycles),
            traffic_bytes: fraction(&t.traffic_bytes),
            flops: fraction(&t.flops),
            energy_joules: fraction(&t.energy_joules),
        });
        let set = self.set.value().map_or(Overrides::default(), |table| overrides(table, source, reader));
        let kernels = profile(&self.kernels, source, reader);
        let written = self.point.value().map_or(&[][..], |tables| &tables.0);
        let points: Vec<PinnedPoint> = written.iter().filter_map(|p| p.resolve(source, reader)).collect();
        Some(Pins {
            slimsim: self.slimsim.value()?.clone(),
            weight_dtype: self.weight_dtype.get().unwrap_or(Dtype::Bf16),
            cache_dtype: self.cache_dtype.get().unwrap_or_default(),
            query_tokens: self.query_tokens.get().map_or(1, |q| q.0),
            kernels,
            plan: self.plan.value().cloned(),
            set,
            tolerance,
            points,
        })
    }
}

impl Located<RawPinnedPoint> {
    fn resolve(&self, source: &Source, reader: &mut Reader) -> Option<PinnedPoint> {
        let raw = &self.value;
        let mut name = |field: &Field<String>, kind| {
            let Field::Read(written) = field else { return None };
            Some(reference(written, kind, source, reader))
        };
        let accelerator = name(&raw.accelerator, PresetKind::Accelerator);
        let model = name(&raw.model, PresetKind::Model);
        let scheme = if let Field::Read(written) = &raw.scheme { scheme(written, reader) } else { None };
        let feasible = raw.feasible.get()?;
        let numbers = [
            ("picoseconds", &raw.picoseconds),
            ("cycles", &raw.cycles),
            ("traffic_bytes", &raw.traffic_bytes),
            ("flops", &raw.flops),
        ];
        for (key, field) in numbers {
            match field.at() {
                None if feasible => reader.missing_key(self.at, key, "a number of a point that can run"),
                Some(at) if !feasible => {
                    let message = format!("'{key}' of a point that cannot run");
                    reader.push(Diagnostic::new(at, message, "expected no number where feasible is false"));
                }
                _ => {}
            }
        }
        let [picoseconds, cycles, traffic_bytes, flops] = numbers.map(|(_, field)| field.get().map(|n| n.0));
        let numbers = if feasible {
            Some(PinnedNumbers {
                picoseconds: picoseconds?,
                cycles: cycles?,
                traffic_bytes: traffic_bytes?,
                flops: flops?,
                energy_joules: raw.energy_joules.get().map(|n| n.0),
            })
        } else {
            None
        };
        Some(PinnedPoint {
            accelerator: accelerator?,
            model: model?,
            scheme: scheme?,
            context: raw.context.get()?.0,
            batch: raw.batch.get()?.0,
            numbers,
        })
    }
}

impl Pins {
    /// The file's text; [`load_pins`] reads it back.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let mut out = String::from(
            "# Predictions as they were. `slimsim check` recomputes them and shows what has moved.\n\n",
        );
        let mut line = |key: &str, value: String| {
            let _ = writeln!(out, "{key} = {value}");
        };
        line("slimsim", quote(&self.slimsim));
        line("weight_dtype", quote(self.weight_dtype.name()));
        line("cache_dtype", self.cache_dtype.to_toml());
        if self.query_tokens != 1 {
            line("query_tokens", self.query_tokens.to_string());
        }
        if let Some(kernels) = &self.kernels {
            line("kernels", quote(kernels));
        }
        if let Some(plan) = &self.plan {
            line("plan", quote(plan));
        }
        // Of two overrides of one key the later one counts; a table holds a key once.
        let set: indexmap::IndexMap<String, String> = self.set.values().collect();
        if !set.is_empty() {
            out.push_str("\n[set]\n");
        }
        for (path, value) in set {
            let _ = writeln!(out, "{} = {value}", quote(&path));
        }
        out.push_str(
            "\n# How far a number may move, as a fraction of the pinned one; 0: not at all.\n[tolerance]\n",
        );
        let t = &self.tolerance;
        let tolerances = [
            ("picoseconds", t.picoseconds),
            ("cycles", t.cycles),
            ("traffic_bytes", t.traffic_bytes),
            ("flops", t.flops),
            ("energy_joules", t.energy_joules),
        ];
        for (key, value) in tolerances {
            let _ = writeln!(out, "{key} = {}", toml::Value::from(value));
        }
        self.points.iter().for_each(|point| point.write(&mut out));
        out
    }
}

impl PinnedPoint {
    fn write(&self, out: &mut String) {
        let _ = writeln!(
            out,
            "\n[[point]]\naccelerator = {}\nmodel = {}\nscheme = {}\ncontext = {}\nbatch = {}\nfeasible = {}",
            quote(&self.accelerator),
            quote(&self.model),
            quote(self.scheme.name),
            self.context,
            self.batch,
            self.numbers.is_some()
        );
        let Some(n) = &self.numbers else { return };
        let _ = writeln!(
            out,
            "picoseconds = {}\ncycles = {}\ntraffic_bytes = {}\nflops = {}",
            n.picoseconds, n.cycles, n.traffic_bytes, n.flops
        );
        if let Some(joules) = n.energy_joules {
            let _ = writeln!(out, "energy_joules = {}", toml::Value::from(joules));
        }
    }
}
