//! From a name or a path to a machine or a model, with overrides applied.

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;

use super::diagnostic::{ConfigError, Diagnostic};
use super::overrides::{Overrides, Root};
use super::presets::{self, PresetKind};
use super::raw::{RawAccelerator, RawModel};
use super::reader::{FromNode, Reader};
use super::source::Source;
use super::tree::{Tree, Value};
use super::{huggingface, show};
use crate::hardware::Accelerator;
use crate::model::Model;

/// Reads an accelerator: a preset's name or the path of a TOML file.
///
/// # Errors
/// Everything that is wrong with the file and the overrides.
pub fn load_accelerator(name_or_path: &str, overrides: &Overrides) -> Result<Accelerator, ConfigError> {
    AcceleratorFile::open(name_or_path)?.resolve(overrides)
}

/// Reads a model: a preset's name, or the path of a TOML file or of a Hugging Face `config.json`.
///
/// # Errors
/// Everything that is wrong with the file and the overrides.
pub fn load_model(name_or_path: &str, overrides: &Overrides) -> Result<Model, ConfigError> {
    ModelFile::open(name_or_path)?.resolve(overrides)
}

/// The resolved TOML of an accelerator: standard tables, one key a line, usable as a file.
///
/// # Errors
/// As [`load_accelerator`].
pub fn show_accelerator(name_or_path: &str, overrides: &Overrides) -> Result<String, ConfigError> {
    let file = AcceleratorFile::open(name_or_path)?;
    let accelerator = file.resolve(overrides)?;
    let mut tree = file.tree;
    // Resolving has shown that they can be applied.
    overrides.apply(&mut tree, Root::Accelerator, name_or_path);
    Ok(show::accelerator(&accelerator, Some(&tree)))
}

/// The file of an accelerator: reading it gives the same one, to the last digit. Times are in picoseconds and rates in bytes a second; other
/// numbers are written with as many digits as they have, so that a caller rounds them first. Of its kernel profiles the own one is written,
/// which takes the accelerator's name. The path of a memory part is taken from the folder of the file that is written.
#[must_use]
pub fn write_accelerator(accelerator: &Accelerator) -> String {
    show::accelerator(accelerator, None)
}

/// The resolved TOML of a model: standard tables, one key a line, usable as a file.
///
/// # Errors
/// As [`load_model`].
pub fn show_model(name_or_path: &str, overrides: &Overrides) -> Result<String, ConfigError> {
    let file = ModelFile::open(name_or_path)?;
    let model = file.resolve(overrides)?;
    let mut tree = file.tree;
    overrides.apply(&mut tree, Root::Model, name_or_path);
    Ok(show::model(&model, Some(&tree)))
}

/// An accelerator file that has been read once, to be resolved with many sets of overrides.
#[derive(Debug, Clone)]
pub struct AcceleratorFile {
    tree: Tree,
    stem: String,
}

impl AcceleratorFile {
    /// Reads a preset or a TOML file.
    ///
    /// # Errors
    /// If there is no such preset, or the file cannot be read. What is wrong inside is reported by [`Self::resolve`].
    pub fn open(name_or_path: &str) -> Result<Self, ConfigError> {
        let source = presets::open(PresetKind::Accelerator, name_or_path)?;
        Ok(Self::of(source, name_or_path))
    }

    /// A text that stands for a file of that name.
    pub(crate) fn of(source: Arc<Source>, name: &str) -> Self {
        Self::of_tree(Tree::parse(source), name)
    }

    /// A text that has been parsed.
    pub(crate) fn of_tree(tree: Tree, name: &str) -> Self {
        Self { tree, stem: stem(name) }
    }

    /// The machine, with overrides applied. Takes some microseconds.
    ///
    /// # Errors
    /// Everything that is wrong with the file and the overrides.
    pub fn resolve(&self, overrides: &Overrides) -> Result<Accelerator, ConfigError> {
        let mut tree = Cow::Borrowed(&self.tree);
        let mut reader = Reader::default();
        if overrides.touch_accelerator() {
            reader.diagnostics = overrides.apply(tree.to_mut(), Root::Accelerator, &self.stem);
        }
        let raw = RawAccelerator::read(&tree.root, &mut reader);
        let parts = raw.as_ref().and_then(|raw| raw.validate(&tree.sources, &mut reader));
        finish(&tree, reader, raw.and_then(|raw| raw.resolve(&self.stem, parts)))
    }
}

/// A model file that has been read once, to be resolved with many sets of overrides.
#[derive(Debug, Clone)]
pub struct ModelFile {
    tree: Tree,
    stem: String,
}

impl ModelFile {
    /// Reads a preset, a TOML file or a Hugging Face `config.json`.
    ///
    /// # Errors
    /// If there is no such preset, the file cannot be read, or its JSON is not that of a known family. What else is wrong
    /// inside is reported by [`Self::resolve`].
    pub fn open(name_or_path: &str) -> Result<Self, ConfigError> {
        let source = presets::open(PresetKind::Model, name_or_path)?;
        let path = Path::new(name_or_path);
        let is_json = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("json"));
        if !is_json || presets::preset_text(PresetKind::Model, name_or_path).is_some() {
            return Ok(Self::of(source, name_or_path));
        }
        let is_config = path.file_name().is_some_and(|name| name == "config.json");
        // Downloaded models are told apart by their folder.
        let folder = path.parent().and_then(Path::file_name).and_then(|name| name.to_str());
        let stem = folder.filter(|_| is_config).map_or_else(|| stem(name_or_path), str::to_owned);
        Ok(Self { tree: huggingface::convert(source)?, stem })
    }

    /// A TOML text that stands for a file of that name.
    pub(crate) fn of(source: Arc<Source>, name: &str) -> Self {
        Self { tree: Tree::parse(source), stem: stem(name) }
    }

    /// The model, with overrides applied.
    ///
    /// # Errors
    /// Everything that is wrong with the file and the overrides.
    pub fn resolve(&self, overrides: &Overrides) -> Result<Model, ConfigError> {
        let mut tree = Cow::Borrowed(&self.tree);
        let mut reader = Reader::default();
        if overrides.touch_model() {
            let tree = tree.to_mut();
            reader.diagnostics = overrides.apply(tree, Root::Model, &self.stem);
            reader.diagnostics.extend(tokens_of_no_encoder(tree, &self.stem));
        }
        let raw = RawModel::read(&tree.root, &mut reader);
        if let Some(raw) = &raw {
            raw.validate(&mut reader);
        }
        finish(&tree, reader, raw.and_then(|raw| raw.resolve(&self.stem)))
    }
}

/// Encoder tokens that are all that overrides say of an encoder, on a model that has none. They are taken out again: what else an
/// encoder would need is not the matter.
fn tokens_of_no_encoder(tree: &mut Tree, stem: &str) -> Option<Diagnostic> {
    let Value::Table(root) = &mut tree.root.value else { return None };
    let at = root.entries.iter().position(|(key, _)| &*key.name == "encoder" && key.origin.source != 0)?;
    let encoder = root.entries[at].1.table()?;
    let [(key, tokens)] = &encoder.entries[..] else { return None };
    if &*key.name != "tokens" {
        return None;
    }
    let origin = tokens.origin;
    root.entries.remove(at);
    let message = format!("{} has no encoder", tree.name_or(stem));
    Some(Diagnostic::new(
        origin,
        message,
        "expected models with an encoder, whose tokens cross-attention attends to",
    ))
}

/// The resolved value, or everything that is wrong.
pub(crate) fn finish<T>(tree: &Tree, reader: Reader, resolved: Option<T>) -> Result<T, ConfigError> {
    let diagnostics =
        if tree.syntax.is_empty() { reader.diagnostics } else { tree.believable(reader.diagnostics) };
    match resolved {
        Some(value) if diagnostics.is_empty() => Ok(value),
        None if diagnostics.is_empty() => {
            // A value is missing only where an error has been pushed; were that ever untrue, say so rather than panic.
            let diagnostic = Diagnostic::new(tree.root.origin, "the file is incomplete", "");
            Err(ConfigError::new(tree.sources.clone(), vec![diagnostic]))
        }
        _ => Err(ConfigError::new(tree.sources.clone(), diagnostics)),
    }
}

/// The name of what a file describes, where it does not say.
pub(crate) fn stem(name_or_path: &str) -> String {
    if presets::is_path(name_or_path) {
        let stem = Path::new(name_or_path).file_stem().and_then(|s| s.to_str());
        stem.unwrap_or(name_or_path).to_owned()
    } else {
        name_or_path.to_owned()
    }
}

/// Reads a file that is no preset.
pub(crate) fn read_file(path: &str) -> Result<Tree, ConfigError> {
    Source::read(path).map(Tree::parse)
}
