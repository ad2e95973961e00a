//! `slimsim schema`: the JSON schema of each kind of file.

use super::CliError;
use super::output::print;
use crate::config::{FileKind, schema};

/// Print the JSON schema of a kind of file, for editors and checkers
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Kind of file: accelerator, model, memory, kernels, experiment, sweep, pins, paper
    #[arg(value_name = "KIND", value_parser = kind)]
    kind: FileKind,
}

impl Args {
    pub(super) fn execute(self) -> Result<(), CliError> {
        print(|out| out.write_all(schema(self.kind).as_bytes()))
    }
}

fn kind(text: &str) -> Result<FileKind, String> {
    let all = FileKind::ALL;
    all.into_iter().find(|k| k.name() == text).ok_or_else(|| {
        format!("unknown kind of file; expected one of {}", all.map(FileKind::name).join(", "))
    })
}
