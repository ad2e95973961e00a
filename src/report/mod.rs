//! Results for people and for programs: tables, JSON, CSV, plots.
//!
//! Writers take what `step`, `serving` and `analysis` computed and change nothing of it; no number is made here but for
//! display. Text goes to any [`std::io::Write`]; files are written aside and renamed ([`write_atomically`]), so that
//! a run that fails leaves nothing half-written.

mod compare;
mod crossover;
mod csv;
mod dram;
mod files;
#[cfg(feature = "host")]
mod host;
mod json;
mod numbers;
pub mod plot;
mod progress;
mod replay;
mod rows;
mod sweep;
mod table;
mod validation;

pub use compare::{rival_columns, write_rival_rows, write_rivals};
pub use crossover::{answer_columns, write_brief};
pub use csv::{CsvExporter, CsvWriter, flatten, point_columns, replay_columns};
pub use dram::DramDocument;
pub use files::{ReportError, check_writable, write_atomically};
#[cfg(feature = "host")]
pub(crate) use host::write_calibration;
#[cfg(feature = "host")]
pub use host::{ratio_plot, write_compared, write_numerics};
pub use json::{JsonExporter, write_json};
pub use numbers::{bytes, context, duration, si, significant, thousands};
pub use progress::Progress;
pub use replay::ReplayDocument;
pub use rows::RowLayout;
pub use sweep::{Drawing, Observer, Piece, Recorder};
pub use table::{TableExporter, TableWriter, wrapped, write_conditions};
pub use validation::{KernelFits, ValidationDocument, validation_plots};

use crate::analysis::{CrossoverDocument, NonDefault, Order};
use crate::step::Point;
use crate::units::Dtype;
use serde::Serialize;
use std::io;

/// The document that `run` prints: what was simulated, and its points in the order asked for.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct PointsDocument<'a> {
    /// Version of slimsim that made it.
    pub slimsim: &'a str,
    /// Name of the accelerator.
    pub accelerator: &'a str,
    /// Name of the model.
    pub model: &'a str,
    /// Element type of the weights.
    pub weight_dtype: Dtype,
    /// Element type of the cache.
    pub cache_dtype: Dtype,
    /// Other conditions, where they are not the default ones.
    #[serde(flatten)]
    pub conditions: NonDefault,
    /// The results.
    pub points: &'a [Point],
    /// With several query tokens: from how many on recomputing V first beats projecting last.
    #[serde(skip_serializing_if = "<[Order]>::is_empty")]
    pub order_of_multiplication: &'a [Order],
}

/// Writes results in one format. Errors are the writer's own, so that a closed pipe is still seen as one.
pub trait Exporter {
    /// Writes the result of `run`.
    ///
    /// # Errors
    /// The writer's own.
    fn points(&self, document: &PointsDocument<'_>, out: &mut dyn io::Write) -> io::Result<()>;

    /// Writes the result of `replay`.
    ///
    /// # Errors
    /// The writer's own.
    fn replay(&self, document: &ReplayDocument<'_>, out: &mut dyn io::Write) -> io::Result<()>;

    /// Writes the result of `crossover`.
    ///
    /// # Errors
    /// The writer's own.
    fn crossover(&self, document: &CrossoverDocument, out: &mut dyn io::Write) -> io::Result<()>;
}

/// The formats of `--format`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Format {
    /// A table for people.
    #[default]
    Table,
    /// The whole document, integers exact.
    Json,
    /// One row a point, the fields of JSON flattened with dots.
    Csv,
}

impl Format {
    /// Every format, in the order of help texts.
    pub const ALL: [Self; 3] = [Self::Table, Self::Json, Self::Csv];

    /// The name that users write.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::Json => "json",
            Self::Csv => "csv",
        }
    }

    /// The writer of results in this format; `width` is that of the terminal in columns, `None` where output is no
    /// terminal (tables then take the width that they need).
    #[must_use]
    pub fn exporter(self, width: Option<u16>) -> Box<dyn Exporter> {
        match self {
            Self::Table => Box::new(TableExporter { width }),
            Self::Json => Box::new(JsonExporter),
            Self::Csv => Box::new(CsvExporter),
        }
    }
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|f| f.name() == text)
            .ok_or_else(|| format!("unknown format '{text}'; expected one of table, json, csv"))
    }
}

#[cfg(test)]
mod tests;
