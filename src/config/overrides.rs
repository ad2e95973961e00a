//! Overrides: single values set by dotted path, from `--set`, an experiment's `set` table, or a sweep's axes.
//!
//! They are applied to the raw tree before it is validated, so that they obey the same rules as a file, and an error in one
//! shows the override. The first key `model` leads to the model, `cache` to the options of schemes, every other one to the
//! accelerator. Keys of an experiment and options of the command line that say the same as an override become one.

use std::sync::Arc;

use toml::de::DeValue;

use super::conditions::NormForm;
use super::diagnostic::{ConfigError, Diagnostic};
use super::raw::{RawAccelerator, RawCache, RawModel, split_key};
use super::reader::{FromNode, KeyType, Reader};
use super::scalars::Named;
use super::source::{Origin, Source};
use super::tree::{self, Key, Node, Table, Tree, Value};
use crate::attention::Options;
use crate::model::Norm;

/// The first key of overrides that concern the model.
const MODEL: &str = "model";
/// The first key of overrides that concern how schemes are used.
const CACHE: &str = "cache";
/// The key that encoder tokens are set by.
pub(crate) const ENCODER_TOKENS: &str = "model.encoder.tokens";

/// A list of overrides; of two for the same key the later one counts.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    entries: Vec<Override>,
}

/// One override.
#[derive(Debug, Clone)]
pub(crate) struct Override {
    pub(crate) path: Vec<Key>,
    pub(crate) value: Node,
    pub(crate) source: Arc<Source>,
    /// Whether it turns RMSNorm into FlashNorm: a model with another norm is then refused.
    flash: bool,
}

/// What an override concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Root {
    Accelerator,
    Model,
    Cache,
}

impl Root {
    /// By the first key of a path.
    pub(crate) fn of(first: &str) -> Self {
        match first {
            MODEL => Self::Model,
            CACHE => Self::Cache,
            _ => Self::Accelerator,
        }
    }
}

impl Overrides {
    /// Reads `KEY=VALUE` texts, as `--set` takes them. The value is a TOML value (`64`, `true`, `"4 TB/s"`), else plain text (`4 TB/s`).
    ///
    /// # Errors
    /// All that is wrong with them at once: no `=`, an unknown key, a value that the key cannot take.
    pub fn parse<S: AsRef<str>>(arguments: &[S]) -> Result<Self, ConfigError> {
        let mut this = Self::default();
        let mut errors = Vec::new();
        for argument in arguments {
            match parse_one(argument.as_ref()) {
                Ok(one) => match one.check() {
                    Ok(_) => this.entries.push(one),
                    Err(error) => errors.push(error),
                },
                Err(error) => errors.push(error),
            }
        }
        ConfigError::join(errors).map_or(Ok(this), Err)
    }

    /// Adds an override by program.
    ///
    /// # Errors
    /// If no such key exists, or it cannot take the value.
    pub fn push(&mut self, path: &str, value: toml::Value) -> Result<(), ConfigError> {
        let text = format!("{path} = {value}");
        let source = Source::argument(text);
        let end = source.text.len();
        let value = from_toml(value, Origin::span(path.len() + 3..end));
        let one = Override::new(path, Origin::span(0..path.len()), value, source)?;
        one.check()?;
        self.entries.push(one);
        Ok(())
    }

    /// Adds those of `other` behind these.
    pub fn extend(&mut self, other: &Self) {
        self.entries.extend_from_slice(&other.entries);
    }

    /// Adds what an option of the command line says: errors show it as `--OPTION VALUE`.
    ///
    /// # Errors
    /// If no such key exists, or it cannot take the value.
    pub fn push_option(&mut self, option: &str, path: &str, value: toml::Value) -> Result<(), ConfigError> {
        let written = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let source = Source::argument(format!("{option} {written}"));
        let at = Origin::span(option.len() + 1..source.text.len());
        let one = Override::new(path, at, from_toml(value, at), source)?;
        one.check()?;
        self.entries.push(one);
        Ok(())
    }

    /// Sets the form of norms by an option of the command line.
    pub fn push_norm(&mut self, form: NormForm) {
        const OPTION: &str = "--norm ";
        let source = Source::argument(format!("{OPTION}{}", form.name()));
        let at = Origin::span(OPTION.len()..source.text.len());
        self.set_norm(form, at, &source);
    }

    /// Sets the form of norms, which stands at `at` in `source`; it replaces the form that was set before.
    pub(crate) fn set_norm(&mut self, form: NormForm, at: Origin, source: &Arc<Source>) {
        self.entries.retain(|one| !one.flash);
        if form == NormForm::Flash {
            let value = Node { value: Value::Text(Norm::FlashRms.name().to_owned()), origin: at };
            self.entries.push(Override { flash: true, ..Override::at("model.norm", at, value, source) });
        }
    }

    /// Whether RMSNorms are computed as FlashNorm by choice.
    #[must_use]
    pub fn flash_norm(&self) -> bool {
        self.entries.iter().any(|one| one.flash)
    }

    /// Whether they say how many encoder tokens there are.
    #[must_use]
    pub fn set_encoder_tokens(&self) -> bool {
        self.paths().any(|path| path == ENCODER_TOKENS)
    }

    /// How schemes are used: what they say, defaults for the rest.
    #[must_use]
    pub fn options(&self) -> Options {
        let root = Node { value: Value::Table(Table::default()), origin: Origin::default() };
        let mut tree = Tree { root, sources: Vec::new(), syntax: Vec::new() };
        // Each has been checked when it was read.
        self.apply(&mut tree, Root::Cache, CACHE);
        RawCache::read(&tree.root, &mut Reader::default()).map_or(Options::default(), |raw| raw.options())
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The dotted paths that are set, in order.
    pub fn paths(&self) -> impl Iterator<Item = String> + '_ {
        self.entries.iter().map(Override::dotted)
    }

    /// The paths and values that are set, in order, values as the TOML that a file would hold.
    pub fn values(&self) -> impl Iterator<Item = (String, String)> + '_ {
        self.entries.iter().map(|one| (one.dotted(), one.value.to_toml()))
    }

    /// Whether any concerns the model.
    #[must_use]
    pub fn touch_model(&self) -> bool {
        self.entries.iter().any(|one| one.root() == Root::Model)
    }

    /// Whether any concerns the accelerator.
    #[must_use]
    pub fn touch_accelerator(&self) -> bool {
        self.entries.iter().any(|one| one.root() == Root::Accelerator)
    }

    pub(crate) fn add(&mut self, one: Override) {
        self.entries.push(one);
    }

    /// Applies those that concern `root` to a file called `name`.
    pub(crate) fn apply(&self, tree: &mut Tree, root: Root, name: &str) -> Vec<Diagnostic> {
        let mut wrong = Vec::new();
        for one in self.entries.iter().filter(|one| one.root() == root) {
            let path = if root == Root::Accelerator { &one.path[..] } else { &one.path[1..] };
            if one.flash
                && let Some(norm) = other_norm(tree)
            {
                let at = Origin { source: tree.sources.len() as u32, ..one.value.origin };
                tree.sources.push(Arc::clone(&one.source));
                let message = format!("{} has norm \"{norm}\"", tree.name_or(name));
                let expected = "expected models with norm \"rms\", whose weights FlashNorm folds";
                wrong.push(Diagnostic::new(at, message, expected));
                continue;
            }
            wrong.extend(tree.set(path, &one.value, std::slice::from_ref(&one.source)).err());
        }
        wrong
    }
}

impl Override {
    /// An override of `path`, which stands at `at` in `source`.
    pub(crate) fn new(path: &str, at: Origin, value: Node, source: Arc<Source>) -> Result<Self, ConfigError> {
        match split_key(&Key { name: path.into(), origin: at }) {
            Some(path) => Ok(Self { path, value, source, flash: false }),
            None => {
                let message = format!("'{path}' is not a dotted path");
                let expected = "expected keys joined by dots, such as hbm.bandwidth";
                Err(ConfigError::new(vec![source], vec![Diagnostic::new(at, message, expected)]))
            }
        }
    }

    /// An override of a path of this program's own, for what is written at `at` in `source`.
    pub(crate) fn at(path: &str, at: Origin, value: Node, source: &Arc<Source>) -> Self {
        let path = path.split('.').map(|name| Key { name: name.into(), origin: at }).collect();
        Self { path, value, source: Arc::clone(source), flash: false }
    }

    /// An override of a path that has been followed.
    pub(crate) fn of(path: &[Key], value: Node, source: &Arc<Source>) -> Self {
        Self { path: path.to_vec(), value, source: Arc::clone(source), flash: false }
    }

    /// What it concerns.
    pub(crate) fn root(&self) -> Root {
        self.path.first().map_or(Root::Accelerator, |key| Root::of(&key.name))
    }

    pub(crate) fn dotted(&self) -> String {
        dotted(&self.path)
    }

    /// Checks key and value on their own, before they meet a file.
    pub(crate) fn check(&self) -> Result<KeyType, ConfigError> {
        let mut reader = Reader::default();
        let found = follow(&self.path, Some(&self.value), &mut reader);
        match found {
            Some(KeyType::Table) if self.value.table().is_none() => {}
            Some(found) if reader.diagnostics.is_empty() => return Ok(found),
            _ => {}
        }
        Err(ConfigError::new(vec![Arc::clone(&self.source)], reader.diagnostics))
    }
}

/// A path with its dots.
pub(crate) fn dotted(path: &[Key]) -> String {
    path.iter().map(|key| &*key.name).collect::<Vec<_>>().join(".")
}

/// The norm of a model, where it is no RMSNorm.
fn other_norm(tree: &Tree) -> Option<String> {
    let Value::Text(norm) = &tree.root.at(&["norm"])?.value else { return None };
    (![Norm::Rms, Norm::FlashRms].map(Named::name).contains(&norm.as_str())).then(|| norm.clone())
}

/// Follows an override's path into the keys of a model, of the cache or of an accelerator, checking a value.
pub(crate) fn follow(path: &[Key], value: Option<&Node>, reader: &mut Reader) -> Option<KeyType> {
    let (head, rest) = path.split_first()?;
    let found = match Root::of(&head.name) {
        Root::Model => reader.within(MODEL, |reader| RawModel::follow(rest, value, reader)),
        Root::Cache => reader.within(CACHE, |reader| RawCache::follow(rest, value, reader)),
        Root::Accelerator => {
            if reader.also_root.is_empty() {
                reader.also_root = &[MODEL, CACHE];
            }
            RawAccelerator::follow(path, value, reader)
        }
    };
    if found == Some(KeyType::Table) {
        let last = path.last().map_or(head.origin, |key| key.origin);
        let message = format!("'{}' is a table", dotted(path));
        reader.push(Diagnostic::new(last, message, "expected the path of a single value"));
        return None;
    }
    found
}

fn parse_one(argument: &str) -> Result<Override, ConfigError> {
    const FLAG: &str = "--set ";
    let source = Source::argument(format!("{FLAG}{argument}"));
    let all = FLAG.len()..source.text.len();
    let Some((path, written)) = argument.split_once('=') else {
        let diagnostic = Diagnostic::new(Origin::span(all), "no '=' in an override", "expected KEY=VALUE");
        return Err(ConfigError::new(vec![source], vec![diagnostic]));
    };
    let text = written.trim();
    let start = FLAG.len() + path.len() + 1 + (written.len() - written.trim_start().len());
    let span = start..start + text.len();
    if text.is_empty() {
        let diagnostic =
            Diagnostic::new(Origin::span(span), "an override without a value", "expected KEY=VALUE");
        return Err(ConfigError::new(vec![source], vec![diagnostic]));
    }
    let mut value = match DeValue::parse(text) {
        Ok(value) => tree::convert(value.get_ref(), 0..0),
        Err(_) => Node { value: Value::Text(text.to_owned()), origin: Origin::default() },
    };
    place(&mut value, Origin::span(span));
    Override::new(path, Origin::span(FLAG.len()..FLAG.len() + path.len()), value, source)
}

/// Gives a value and all within it one place.
fn place(node: &mut Node, at: Origin) {
    node.origin = at;
    match &mut node.value {
        Value::Array(items) => items.iter_mut().for_each(|item| place(item, at)),
        Value::Table(table) => {
            for (key, value) in &mut table.entries {
                key.origin = at;
                place(value, at);
            }
        }
        _ => {}
    }
}

fn from_toml(value: toml::Value, origin: Origin) -> Node {
    let value = match value {
        toml::Value::String(text) => Value::Text(text),
        toml::Value::Integer(n) => Value::Integer(Some(n.into())),
        toml::Value::Float(x) => Value::Float(x),
        toml::Value::Boolean(yes) => Value::Bool(yes),
        toml::Value::Datetime(_) => Value::Date,
        toml::Value::Array(items) => {
            Value::Array(items.into_iter().map(|item| from_toml(item, origin)).collect())
        }
        toml::Value::Table(table) => Value::Table(Table {
            entries: table
                .into_iter()
                .map(|(name, value)| (Key { name: name.into(), origin }, from_toml(value, origin)))
                .collect(),
        }),
    };
    Node { value, origin }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::attention::{QkNorm, Rotation};

    #[test]
    fn values_are_toml_or_plain_text() {
        let all =
            ["hbm.bandwidth=\"4 TB/s\"", "hbm.bandwidth = 4 TB/s", "cores.count=64", "overheads.overlap=0.5"];
        let set = Overrides::parse(&all).unwrap();
        let values: Vec<_> = set.values().map(|(path, value)| format!("{path}={value}")).collect();
        let expected = [
            "hbm.bandwidth=\"4 TB/s\"",
            "hbm.bandwidth=\"4 TB/s\"",
            "cores.count=64",
            "overheads.overlap=0.5",
        ];
        assert_eq!(values, expected);
    }

    #[test]
    fn all_wrong_ones_are_reported_at_once() {
        let error =
            Overrides::parse(&["hbm.bandwith=4 TB/s", "modle.heads=4", "cores=3", "cores.count", "x..y=1"])
                .unwrap_err();
        let places: Vec<_> = error.messages().map(|m| m.split(": ").nth(1).unwrap().to_owned()).collect();
        let expected = [
            "unknown key 'bandwith' in [hbm] (expected one of bandwidth, capacity, latency, part, count, model, map, interleave, \
             queue, refresh)",
            "unknown key 'modle' (expected one of name, clock, source, note, free_activations, cores, shared_sram, hbm, \
             overheads, energy, kernel_profile, model, cache)",
            "'cores' is a whole number (expected a table [cores])",
            "no '=' in an override (expected KEY=VALUE)",
            "'x..y' is not a dotted path (expected keys joined by dots, such as hbm.bandwidth)",
        ];
        assert_eq!(places, expected);
    }

    #[test]
    fn options_of_schemes_are_the_last_that_were_set() {
        let set = Overrides::parse(&["cache.rotation=kept", "cache.sparsity=0.5", "cache.sparsity = 0.75"])
            .unwrap();
        assert!(!set.touch_model() && !set.touch_accelerator());
        let options = set.options();
        assert_eq!((options.rotation, options.qk_norm), (Rotation::Kept, QkNorm::OnRead));
        assert_eq!(options.sparsity.fraction(), 0.75);
        assert_eq!(Overrides::default().options(), Options::default());
        let error = Overrides::parse(&["cahce.rotation=kept", "cache.rotaton=kept", "cache.rotation=kep"])
            .unwrap_err();
        for near in ["'cache'", "'rotation'", "'kept'"] {
            assert!(error.to_string().contains(&format!("did you mean {near}?")), "{error}");
        }
    }

    #[test]
    fn a_form_of_the_norm_replaces_the_one_before() {
        let mut set = Overrides::parse(&["model.layers=2"]).unwrap();
        set.push_norm(NormForm::Flash);
        assert!(set.flash_norm());
        let mut more = set.clone();
        more.push_norm(NormForm::AsIs);
        assert_eq!(more.paths().collect::<Vec<_>>(), ["model.layers"]);
        set.push_norm(NormForm::Flash);
        assert_eq!(set.paths().collect::<Vec<_>>(), ["model.layers", "model.norm"]);
    }

    #[test]
    fn a_program_is_told_as_well() {
        let mut set = Overrides::default();
        set.push("model.heads", 8.into()).unwrap();
        assert!(set.touch_model() && !set.touch_accelerator());
        let error = set.push("cores.sram.capacity", 8.into()).unwrap_err();
        assert_eq!(error.count(), 1);
        assert!(error.to_string().contains("KiB"), "{error}");
        assert!(set.push("hbm", toml::Value::Table(toml::Table::new())).is_err());
        assert_eq!(set.paths().collect::<Vec<_>>(), ["model.heads"]);
    }
}
