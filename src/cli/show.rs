//! `slimsim show`: a machine, a memory part, a kernel profile or a model as a file, every default written out.

use super::CliError;
use super::output::print;
use crate::config::{Overrides, PresetKind, show_accelerator, show_kernels, show_memory, show_model};

/// Show an accelerator, a model, a memory part or a kernel profile as resolved TOML, usable as a file
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// accelerator, model, memory or kernels
    #[arg(value_name = "KIND", value_parser = kind)]
    kind: PresetKind,

    /// A preset's name or the path of a file
    #[arg(value_name = "NAME")]
    name: String,

    /// Set a key by its dotted path, those of a model after `model.`; memory parts and kernel profiles take none
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

impl Args {
    pub(super) fn execute(self) -> Result<(), CliError> {
        // Overrides are keys of accelerators and models.
        let takes_none = match self.kind {
            PresetKind::Accelerator | PresetKind::Model => None,
            PresetKind::Memory => Some("a memory part"),
            PresetKind::Kernels => Some("a kernel profile"),
        };
        if let (Some(what), false) = (takes_none, self.set.is_empty()) {
            let help = format!(
                "write 'slimsim show {} NAME' to a file, change it, and use its path",
                self.kind.name()
            );
            return Err(CliError::usage(format!("{what} takes no --set")).with_help(help));
        }
        let overrides = Overrides::parse(&self.set)?;
        let text = match self.kind {
            PresetKind::Accelerator => show_accelerator(&self.name, &overrides)?,
            PresetKind::Model => show_model(&self.name, &overrides)?,
            PresetKind::Memory => show_memory(&self.name)?,
            PresetKind::Kernels => show_kernels(&self.name)?,
        };
        print(|out| out.write_all(text.as_bytes()))
    }
}

fn kind(text: &str) -> Result<PresetKind, String> {
    // One profile holds several kernels: people write either.
    let text = if text == "kernel" { PresetKind::Kernels.name() } else { text };
    let found = PresetKind::ALL.into_iter().find(|k| k.name() == text);
    found.ok_or_else(|| "expected accelerator, model, memory or kernels".to_owned())
}
