//! `slimsim host verify`: the kernels against an f64 reference, and what conditioning and 16-bit storage cost.

use crate::cli::output::{print, width};
use crate::cli::pin::table_or_json;
use crate::cli::{CliError, plural};
use crate::host::verify::{Numerics, layers, verify};
use crate::report::{Format, Progress, write_json, write_numerics};
use serde::Serialize;

/// Hold the schemes' kernels against an f64 reference, over shapes, types and condition numbers of W_K; exit code 1 if an error exceeds its bound
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Fewer shapes and condition numbers
    #[arg(long)]
    quick: bool,

    /// Seed of weights, inputs and queries
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,

    /// Format of the result: table or json
    #[arg(long, value_name = "FORMAT", default_value_t, value_parser = table_or_json)]
    format: Format,
}

/// The document.
#[derive(Serialize)]
struct Document<'a> {
    slimsim: &'a str,
    #[serde(flatten)]
    found: &'a Numerics,
}

impl Args {
    pub(super) fn execute(self) -> Result<(), CliError> {
        let progress = Progress::new(Some(layers(self.quick)), "layers");
        let found = verify(self.seed, self.quick, &|| progress.add(1))
            .map_err(|e| CliError::Internal(format!("no threads: {e}")))?;
        drop(progress);
        print(|out| match self.format {
            Format::Json => write_json(&Document { slimsim: env!("CARGO_PKG_VERSION"), found: &found }, out),
            _ => write_numerics(&found, width(), out),
        })?;
        if found.exceeded.is_empty() {
            return Ok(());
        }
        let results = plural(found.exceeded.len() as u64, "kernel result");
        Err(CliError::CheckFailed(format!("{results} further from the reference than the bound")))
    }
}
