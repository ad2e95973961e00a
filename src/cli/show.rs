//! `slimsim show`: a machine or a model as a file, every default written out.

use super::CliError;
use super::output::print;
use crate::config::{Overrides, PresetKind, show_accelerator, show_model};

/// Show an accelerator or a model as resolved TOML, usable as a file
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// accelerator or model
    #[arg(value_name = "KIND", value_parser = kind)]
    kind: PresetKind,

    /// A preset's name or the path of a file
    #[arg(value_name = "NAME")]
    name: String,

    /// Set a key by its dotted path, those of a model after `model.`
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

impl Args {
    pub(super) fn execute(self) -> Result<(), CliError> {
        let overrides = Overrides::parse(&self.set)?;
        let text = match self.kind {
            PresetKind::Accelerator => show_accelerator(&self.name, &overrides)?,
            PresetKind::Model => show_model(&self.name, &overrides)?,
        };
        print(|out| out.write_all(text.as_bytes()))
    }
}

fn kind(text: &str) -> Result<PresetKind, String> {
    [PresetKind::Accelerator, PresetKind::Model]
        .into_iter()
        .find(|k| k.name() == text)
        .ok_or_else(|| "expected accelerator or model".to_owned())
}
