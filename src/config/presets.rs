//! The presets compiled into the binary: every file of `configs/accelerators`, `configs/kernels`, `configs/memory` and
//! `configs/models`, by file name; and those of `configs/paper`.

use std::path::Path;
use std::sync::Arc;

use super::diagnostic::{ConfigError, nearest};
use super::source::Source;

mod table {
    include!(concat!(env!("OUT_DIR"), "/presets.rs"));
}

/// What a preset is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PresetKind {
    /// An accelerator.
    Accelerator,
    /// A model.
    Model,
    /// A memory part.
    Memory,
    /// A kernel profile.
    Kernels,
}

impl PresetKind {
    const fn table(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Accelerator => table::ACCELERATORS,
            Self::Model => table::MODELS,
            Self::Memory => table::MEMORY,
            Self::Kernels => table::KERNELS,
        }
    }

    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Accelerator, Self::Model, Self::Memory, Self::Kernels];

    /// `accelerator`, `model`, `memory` or `kernels`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Accelerator => "accelerator",
            Self::Model => "model",
            Self::Memory => "memory",
            Self::Kernels => "kernels",
        }
    }

    /// What `slimsim list` calls all of them.
    const fn plural(self) -> &'static str {
        match self {
            Self::Accelerator => "accelerators",
            Self::Model => "models",
            Self::Memory => "memory",
            Self::Kernels => "kernels",
        }
    }

    /// What one of them is called in a message.
    const fn what(self) -> &'static str {
        match self {
            Self::Memory => "memory part",
            Self::Kernels => "kernel profile",
            _ => self.name(),
        }
    }

    /// Files that may stand where a preset's name may.
    const fn files(self) -> &'static str {
        match self {
            Self::Accelerator | Self::Memory | Self::Kernels => "a TOML file",
            Self::Model => "a TOML file or a Hugging Face config.json",
        }
    }
}

/// Names of the presets, sorted.
pub fn preset_names(kind: PresetKind) -> impl Iterator<Item = &'static str> + Clone {
    kind.table().iter().map(|(name, _)| *name)
}

/// The text of a preset file.
#[must_use]
pub fn preset_text(kind: PresetKind, name: &str) -> Option<&'static str> {
    kind.table().iter().find(|(preset, _)| *preset == name).map(|(_, text)| *text)
}

/// The files of `configs/paper`, by their path from there: tables at the top, what they need in folders.
pub(crate) const fn paper_files() -> &'static [(&'static str, &'static str)] {
    table::PAPER
}

/// Whether what a user wrote means a file rather than a preset.
#[must_use]
pub fn is_path(written: &str) -> bool {
    let extension = Path::new(written)
        .extension()
        .is_some_and(|e| ["toml", "json"].iter().any(|known| e.eq_ignore_ascii_case(known)));
    extension || written.contains(['/', '\\'])
}

/// The text that `name_or_path` means.
pub(crate) fn open(kind: PresetKind, name_or_path: &str) -> Result<Arc<Source>, ConfigError> {
    if let Some(text) = preset_text(kind, name_or_path) {
        return Ok(Source::file(&format!("preset {name_or_path}"), text.to_owned()));
    }
    if is_path(name_or_path) || Path::new(name_or_path).exists() {
        return Source::read(name_or_path);
    }
    let (message, help) = unknown(kind, name_or_path);
    Err(ConfigError::plain(message, help))
}

/// What to say about a name that is no preset: the message, and suggestions.
pub(crate) fn unknown(kind: PresetKind, name: &str) -> (String, Vec<String>) {
    let near = nearest(name, preset_names(kind)).map(|near| format!("did you mean '{near}'?"));
    let all = format!(
        "'slimsim list {}' shows the presets; the path of {} will do as well",
        kind.plural(),
        kind.files()
    );
    (format!("unknown {} '{name}'", kind.what()), near.into_iter().chain([all]).collect())
}
