//! Traces: who asks when, with how long a prompt, for how many tokens – or which contexts each decode step has.
//!
//! A format is one file behind the `Reader` trait and one line in `READERS`. Files are streamed; a bad row is
//! reported with its place, and stops the reading or is counted ([`read`]). Traces that are generated from a few
//! statistics come from [`generate`]. Tables of measured kernels are read by [`measured`], from the same lines and with the same
//! diagnostics.

mod azure;
mod burstgpt;
mod detect;
mod error;
pub mod generate;
mod lines;
pub mod measured;
mod mooncake;
mod rows;
mod splitwise;
mod steps;
mod table;
mod toml_file;
mod values;
mod vidur;

pub use error::{Diagnostic, TraceError};
pub use values::MAX_TOKENS;

// For readers of other tables: the same lines, the same complaints.
#[cfg(feature = "host")]
pub(crate) use {
    error::{Fault, near},
    lines::LONGEST_LINE,
    table::{fields, find, header_names, lacks, misspelt},
    values::{count, short},
};

use crate::units::Picos;
pub(crate) use lines::Lines;
use rows::Rows;
use serde::Serialize;
use std::path::Path;

/// One request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    /// Its place among the file's usable rows, from 0.
    pub id: u64,
    /// When it comes, counted from the first arrival of the trace.
    pub arrival: Picos,
    /// Tokens of the prompt, ≥ 1.
    pub prompt_tokens: u64,
    /// Tokens to generate, ≥ 1.
    pub output_tokens: u64,
}

/// One decode step of a batch, run `repeat` times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepRow {
    /// Tokens that each sequence attends, the new one included; in the file's order, each ≥ 1, at least one sequence.
    pub contexts: Vec<u64>,
    /// How many times it runs, ≥ 1.
    pub repeat: u64,
}

/// What a trace holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TraceKind {
    /// Requests by arrival; those that arrive at once in the file's order.
    Requests(Vec<Request>),
    /// Steps in the file's order.
    Steps(Vec<StepRow>),
}

/// A trace that has been read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    /// Requests or steps.
    pub kind: TraceKind,
    /// Rows left out: bad ones, and those that the format marks as failed.
    pub skipped: u64,
    /// The format it was in.
    pub format: Format,
    /// What the user should know about how the file was read, a sentence each.
    pub notes: Vec<String>,
}

/// The `trace` entry of a replay's result. In a trace of steps, `requests` counts steps.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct TraceSummary {
    /// Requests that were read.
    pub requests: u64,
    /// Sum of their prompt tokens.
    pub prompt_tokens: u64,
    /// Sum of their output tokens.
    pub output_tokens: u64,
    /// From the first arrival to the last.
    pub duration_seconds: f64,
    /// Rows left out.
    pub skipped: u64,
}

impl Trace {
    /// Totals.
    #[must_use]
    pub fn summary(&self) -> TraceSummary {
        let (mut requests, mut prompt_tokens, mut output_tokens, mut duration) =
            (0_u64, 0_u64, 0_u64, Picos::ZERO);
        match &self.kind {
            TraceKind::Requests(all) => {
                requests = all.len() as u64;
                prompt_tokens = all.iter().map(|r| r.prompt_tokens).sum();
                output_tokens = all.iter().map(|r| r.output_tokens).sum();
                duration = all.last().map_or(Picos::ZERO, |r| r.arrival);
            }
            TraceKind::Steps(steps) => {
                for step in steps {
                    requests = requests.saturating_add(step.repeat);
                    let tokens = step.repeat.saturating_mul(step.contexts.len() as u64);
                    output_tokens = output_tokens.saturating_add(tokens);
                }
            }
        }
        TraceSummary {
            requests,
            prompt_tokens,
            output_tokens,
            duration_seconds: duration.seconds(),
            skipped: self.skipped,
        }
    }
}

/// A file format of traces.
trait Reader: Sync {
    /// The name that users write.
    fn name(&self) -> &'static str;

    /// What a file of it looks like, for messages: `CSV with the header A,B`.
    fn shape(&self) -> String;

    /// Names of columns or keys, from which a misspelt one is recognised.
    fn columns(&self) -> Vec<&'static str>;

    /// Whether a file of this name whose first line is `first` is of this format. `first` is empty where that line is no text.
    fn recognises(&self, path: &Path, first: &str) -> bool;

    /// Reads the file from its first line on. Bad rows go to [`Rows::bad`], which knows whether to go on.
    fn read(&self, lines: Lines<'_>, rows: &mut Rows) -> Result<(), TraceError>;
}

/// Every format, in the order of the documentation.
static READERS: [&dyn Reader; 7] = [
    &azure::AZURE,
    &mooncake::Mooncake,
    &vidur::VIDUR,
    &steps::Steps,
    &splitwise::SPLITWISE,
    &burstgpt::BURSTGPT,
    &generate::Generated,
];

/// One of the formats that can be read.
#[derive(Clone, Copy)]
pub struct Format(&'static dyn Reader);

impl Format {
    /// Every format, in the order of the documentation.
    pub fn all() -> impl Iterator<Item = Self> {
        READERS.into_iter().map(Self)
    }

    /// The name that users write.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.0.name()
    }

    /// What a file of it looks like.
    #[must_use]
    pub fn shape(self) -> String {
        self.0.shape()
    }

    /// The format of this name; `None` for `auto`: by looking at the file.
    ///
    /// # Errors
    /// [`TraceError::UnknownFormat`] for any other name.
    pub fn parse(name: &str) -> Result<Option<Self>, TraceError> {
        if name == "auto" {
            return Ok(None);
        }
        Self::all().find(|f| f.name() == name).map(Some).ok_or_else(|| {
            let names: Vec<_> = std::iter::once("auto").chain(Self::all().map(Self::name)).collect();
            let near = error::near(name, names.iter().copied()).map(str::to_owned);
            TraceError::UnknownFormat { name: values::short(name), expected: names.join(", "), near }
        })
    }
}

impl PartialEq for Format {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for Format {}

impl std::fmt::Debug for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Reads the trace at `path`. `format`: `None` to recognise it by the file's name and first line.
/// `skip_bad_rows`: count bad rows instead of stopping at the first.
///
/// Requests are sorted by arrival, stably, and arrivals counted from the first.
///
/// # Errors
/// A file that cannot be read, is empty, of unknown format, or has a bad row (with `skip_bad_rows`: no good row).
pub fn read(path: &Path, format: Option<Format>, skip_bad_rows: bool) -> Result<Trace, TraceError> {
    read_lines(Lines::open(path)?, format, skip_bad_rows)
}

fn read_lines(
    mut lines: Lines<'_>,
    format: Option<Format>,
    skip_bad_rows: bool,
) -> Result<Trace, TraceError> {
    let path = lines.path().to_path_buf();
    let format = match format {
        Some(_) if lines.next()?.is_none() => return Err(TraceError::Empty(path.display().to_string())),
        Some(format) => {
            lines.unread();
            format
        }
        None => detect::format(&mut lines)?,
    };
    let mut rows = Rows::new(&path, skip_bad_rows);
    format.0.read(lines, &mut rows)?;
    rows.finish(format)
}

#[cfg(test)]
mod tests;
