//! Experiment files: what to run on what.

use std::path::Path;
use std::sync::Arc;

use super::conditions::CacheTypes;
use super::diagnostic::{ConfigError, Diagnostic};
use super::kernels::OWN_KERNELS;
use super::load::{finish, read_file};
use super::overrides::{ENCODER_TOKENS, Override, Overrides, follow};
use super::presets::{self, PresetKind};
use super::raw::{PathTable, RawExperiment};
use super::reader::{Field, FromNode, Located, Reader};
use super::scalars::{Named, OneOrMany};
use super::source::{Origin, Source};
use super::tree::{Node, Value};
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
    /// Element types of what schemes keep.
    pub cache_dtype: CacheTypes,
    /// New tokens of each sequence in a step.
    pub query_tokens: u64,
    /// Where the file says so.
    query_tokens_at: Option<(Arc<Source>, Origin)>,
    /// Kernel profile, if one is asked for.
    pub kernels: Option<String>,
    /// Mapping plan, if one is forced.
    pub plan: Option<String>,
    /// Overrides of machine, model and options of schemes; behind those of `set` what other keys of the file say.
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
            cache_dtype: CacheTypes::default(),
            query_tokens: 1,
            query_tokens_at: None,
            kernels: None,
            plan: None,
            set: Overrides::default(),
        }
    }
}

impl Experiment {
    /// The error of a file that asks for more new tokens than `context` has.
    #[must_use]
    pub fn too_many_query_tokens(&self, context: u64) -> ConfigError {
        let message = format!("'query_tokens' is {}, more than context {context}", self.query_tokens);
        match &self.query_tokens_at {
            Some((source, at)) => {
                let expected = format!("expected at most {context}: the context includes the new tokens");
                ConfigError::new(vec![Arc::clone(source)], vec![Diagnostic::new(*at, message, expected)])
            }
            None => ConfigError::plain(message, Vec::new()),
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
        let mut set = self.set.value().map_or(Overrides::default(), |table| overrides(table, source, reader));
        self.own_keys(source, &mut set);
        let kernels = profile(&self.kernels, source, reader);
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
            query_tokens: self.query_tokens.get().map_or(none.query_tokens, |q| q.0),
            query_tokens_at: self.query_tokens.at().map(|at| (Arc::clone(source), at)),
            kernels,
            plan: self.plan.value().cloned(),
            set,
        }
    }

    /// Adds the overrides that keys of the file stand for.
    fn own_keys(&self, source: &Arc<Source>, set: &mut Overrides) {
        let mut add = |path: &str, at: Option<Origin>, value: Option<Value>| {
            if let (Some(at), Some(value)) = (at, value) {
                set.add(Override::at(path, at, Node { value, origin: at }, source));
            }
        };
        let name = |name: &str| Value::Text(name.to_owned());
        let tokens = self.encoder_tokens.get().map(|n| Value::Integer(Some(n.0.into())));
        add(ENCODER_TOKENS, self.encoder_tokens.at(), tokens);
        let sparsity = self.sparsity.get().map(|s| Value::Float(s.fraction()));
        add("cache.sparsity", self.sparsity.at(), sparsity);
        add("cache.rotation", self.rotation.at(), self.rotation.get().map(|r| name(r.name())));
        add("cache.qk_norm", self.qk_norm.at(), self.qk_norm.get().map(|n| name(n.name())));
        if let (Some(at), Some(form)) = (self.norm.at(), self.norm.get()) {
            set.set_norm(form, at, source);
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
            set.add(Override::of(path, value.clone(), source));
        }
        inner.diagnostics.into_iter().for_each(|d| reader.push(d));
    }
    set
}

/// The kernel profile that a file names.
pub(crate) fn profile(field: &Field<String>, source: &Source, reader: &mut Reader) -> Option<String> {
    let Field::Read(written) = field else { return None };
    if written.value == OWN_KERNELS {
        return Some(written.value.clone());
    }
    Some(reference(written, PresetKind::Kernels, source, reader))
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
