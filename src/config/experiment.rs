//! Experiment files: what to run on what.

use std::path::Path;
use std::sync::Arc;

use super::diagnostic::{ConfigError, Diagnostic};
use super::load::{finish, read_file};
use super::overrides::{Override, Overrides, follow};
use super::presets::{self, PresetKind};
use super::raw::{PathTable, RawExperiment};
use super::reader::{Field, FromNode, Located, Reader};
use super::scalars::OneOrMany;
use super::source::Source;
use crate::attention::{self, Scheme};
use crate::units::Dtype;

/// An experiment: machines, models, schemes and steps, in the order asked for. Every list that a file leaves out is empty;
/// command-line selectors fill or replace it.
#[derive(Debug, Clone)]
pub struct Experiment {
    /// Presets or paths, relative ones resolved against the file's folder.
    pub accelerators: Vec<String>,
    /// Presets or paths, relative ones resolved against the file's folder.
    pub models: Vec<String>,
    /// Names of schemes, not yet checked; `None` for the default ones.
    pub schemes: Option<Vec<String>>,
    /// Tokens attended to, the new one included.
    pub contexts: Vec<u64>,
    /// Sequences in a step; 1 where a file does not say.
    pub batches: Vec<u64>,
    /// Element type of the weights.
    pub weight_dtype: Dtype,
    /// Element type of the cache.
    pub cache_dtype: Dtype,
    /// Kernel profile, if one is asked for.
    pub kernels: Option<String>,
    /// Mapping plan, if one is forced.
    pub plan: Option<String>,
    /// Overrides of machine and model.
    pub set: Overrides,
}

impl Default for Experiment {
    fn default() -> Self {
        Self {
            accelerators: Vec::new(),
            models: Vec::new(),
            schemes: None,
            contexts: Vec::new(),
            batches: vec![1],
            weight_dtype: Dtype::Bf16,
            cache_dtype: Dtype::Bf16,
            kernels: None,
            plan: None,
            set: Overrides::default(),
        }
    }
}

/// Reads an experiment file.
///
/// # Errors
/// Everything that is wrong with it, unknown presets and overrides included. Files that it names are not opened.
pub fn load_experiment(path: &str) -> Result<Experiment, ConfigError> {
    let tree = read_file(path)?;
    let mut reader = Reader::default();
    let raw = RawExperiment::read(&tree.root, &mut reader);
    let experiment = match (&raw, tree.sources.first()) {
        (Some(raw), Some(source)) => Some(raw.resolve(source, &mut reader)),
        _ => None,
    };
    finish(&tree, reader, experiment)
}

impl RawExperiment {
    /// The experiment, with whatever is sound; what is not has been reported.
    pub(crate) fn resolve(&self, source: &Arc<Source>, reader: &mut Reader) -> Experiment {
        let none = Experiment::default();
        let mut machines_or_models = |field: &Field<OneOrMany<String>>, kind| -> Vec<String> {
            let written = field.value().map_or(&[][..], |many| &many.0);
            written.iter().map(|one| reference(one, kind, source, reader)).collect()
        };
        let accelerators = machines_or_models(&self.accelerator, PresetKind::Accelerator);
        let models = machines_or_models(&self.model, PresetKind::Model);
        let set = self.set.value().map_or(Overrides::default(), |table| overrides(table, source, reader));
        let values = |many: &OneOrMany<String>| many.0.iter().map(|one| one.value.clone()).collect();
        Experiment {
            accelerators,
            models,
            schemes: self.scheme.value().map(values),
            contexts: self
                .context
                .value()
                .map_or(none.contexts, |many| many.0.iter().map(|c| c.value.0).collect()),
            batches: self
                .batch
                .value()
                .map_or(none.batches, |many| many.0.iter().map(|c| c.value.0).collect()),
            weight_dtype: self.weight_dtype.get().unwrap_or(none.weight_dtype),
            cache_dtype: self.cache_dtype.get().unwrap_or(none.cache_dtype),
            kernels: self.kernels.value().cloned(),
            plan: self.plan.value().cloned(),
            set,
        }
    }
}

/// The scheme of that name; one that does not exist is reported where it stands.
pub(crate) fn scheme(written: &Located<String>, reader: &mut Reader) -> Option<&'static Scheme> {
    let name = &written.value;
    let found = Scheme::find(name);
    if found.is_none() {
        let names = || attention::ALL.iter().map(|s| s.name);
        let expected = format!("expected one of {}", names().collect::<Vec<_>>().join(", "));
        let diagnostic = Diagnostic::new(written.at, format!("unknown scheme '{name}'"), expected);
        reader.push(diagnostic.suggesting(name, names()));
    }
    found
}

/// The overrides of a `set` table, those that are sound; what is not has been reported.
pub(crate) fn overrides(table: &PathTable, source: &Arc<Source>, reader: &mut Reader) -> Overrides {
    let mut set = Overrides::default();
    for (path, value) in &table.0 {
        // The reader's place in the file is not part of an override's path.
        let mut inner = Reader::default();
        if follow(path, Some(value), &mut inner).is_some() && inner.diagnostics.is_empty() {
            set.add(Override { path: path.clone(), value: value.clone(), source: Arc::clone(source) });
        }
        inner.diagnostics.into_iter().for_each(|d| reader.push(d));
    }
    set
}

/// What a name or a path in a file means: a preset that exists, or a path from the file's folder.
pub(crate) fn reference(
    one: &Located<String>,
    kind: PresetKind,
    source: &Source,
    reader: &mut Reader,
) -> String {
    let written = &one.value;
    if presets::preset_text(kind, written).is_some() {
        return written.clone();
    }
    let beside = Path::new(&source.name).parent().unwrap_or(Path::new("")).join(written);
    if presets::is_path(written) || beside.exists() {
        return beside.to_string_lossy().into_owned();
    }
    let (message, help) = presets::unknown(kind, written);
    let expected = "expected a preset or the path of a file";
    reader.push(Diagnostic { help, ..Diagnostic::new(one.at, message, expected) });
    written.clone()
}
