//! `slimsim show`: a machine, a memory part or a model as a file, every default written out.

use super::CliError;
use super::output::print;
use crate::config::{Overrides, PresetKind, show_accelerator, show_memory, show_model};

/// Show an accelerator, a model or a memory part as resolved TOML, usable as a file
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// accelerator, model or memory
    #[arg(value_name = "KIND", value_parser = kind)]
    kind: PresetKind,

    /// A preset's name or the path of a file
    #[arg(value_name = "NAME")]
    name: String,

    /// Set a key by its dotted path, those of a model after `model.`; memory parts take none
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

impl Args {
    pub(super) fn execute(self) -> Result<(), CliError> {
        // Overrides are keys of accelerators and models.
        if self.kind == PresetKind::Memory && !self.set.is_empty() {
            return Err(CliError::usage("a memory part takes no --set")
                .with_help("write 'slimsim show memory NAME' to a file, change it, and use its path"));
        }
        let overrides = Overrides::parse(&self.set)?;
        let text = match self.kind {
            PresetKind::Accelerator => show_accelerator(&self.name, &overrides)?,
            PresetKind::Model => show_model(&self.name, &overrides)?,
            PresetKind::Memory => show_memory(&self.name)?,
        };
        print(|out| out.write_all(text.as_bytes()))
    }
}

fn kind(text: &str) -> Result<PresetKind, String> {
    [PresetKind::Accelerator, PresetKind::Model, PresetKind::Memory]
        .into_iter()
        .find(|k| k.name() == text)
        .ok_or_else(|| "expected accelerator, model or memory".to_owned())
}
