//! Tables of measured kernels: how long a decode kernel took on a real machine, a row a measurement.
//!
//! A table is CSV with a header, which says what kind of rows follow: attention, latent attention or matrix products ([`MeasuredWork`]).
//! Two layouts are known: slimsim's own, and that of the tables in the package aiconfigurator-core, as CSV or – with the cargo feature
//! `parquet` – as the Parquet files that it ships. What is wrong with the whole file is an error; a bad row is left out, counted under
//! its reason and shown with its place. What a row predicts, and which preset its GPU is, is not known here.

mod aiconfigurator;
mod columns;
mod dtypes;
mod header;
mod names;
#[cfg(feature = "parquet")]
mod parquet;
mod points;
mod row;
mod table;
mod tally;

pub use columns::Column;
pub use names::Names;
pub use table::{Complaint, MeasuredTable};
pub use tally::Tally;

use super::error::{Fault, TraceError};
use super::lines::{LONGEST_LINE, Lines};
use crate::units::{Dtype, Picos};
use std::path::Path;
use table::Builder;

/// What one measured kernel computed. Every count is from 1 to 2³¹.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MeasuredWork {
    /// One layer's attention of a decode step over a cache of keys and values.
    Attention {
        /// Sequences.
        batch: u64,
        /// Query heads of a sequence, a multiple of `kv_heads`.
        heads: u64,
        /// Heads that are kept.
        kv_heads: u64,
        /// Elements of a head.
        head_dim: u64,
        /// KV tokens attended, the new one included.
        context: u64,
    },
    /// One layer's absorbed latent attention of a decode step: a row of `latent_dim` + `rope_dim` elements a token, shared by all heads.
    Latent {
        /// Sequences.
        batch: u64,
        /// Query heads of a sequence.
        heads: u64,
        /// Elements of a row that serve as key and as value.
        latent_dim: u64,
        /// Further elements of a row that serve as key only.
        rope_dim: u64,
        /// Tokens attended, the new one included.
        context: u64,
    },
    /// A matrix product \[m,k\] × \[k,n\].
    Gemm {
        /// Rows of the activations: tokens.
        m: u64,
        /// Columns of the weights.
        n: u64,
        /// Rows of the weights.
        k: u64,
    },
}

/// What limits a measured kernel by the size of its cache, as the file says. Its authors divide by bytes: below 1 MB, below half
/// the L2, below twice the L2, and beyond.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Regime {
    /// Too little to read: the launch is all.
    Launch,
    /// What is read lies in the L2 after the first repetition.
    L2,
    /// Partly so.
    Transition,
    /// Read from memory at each repetition.
    Hbm,
}

impl Regime {
    /// Every regime, by rising size.
    pub const ALL: [Self; 4] = [Self::Launch, Self::L2, Self::Transition, Self::Hbm];

    /// As files and results call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Launch => "launch",
            Self::L2 => "l2",
            Self::Transition => "transition",
            Self::Hbm => "hbm",
        }
    }
}

/// One measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Measured {
    /// What was computed.
    pub work: MeasuredWork,
    /// The GPU, for [`Names::gpu`].
    pub gpu: u32,
    /// The framework, for [`Names::framework`].
    pub framework: u32,
    /// The framework's version, for [`Names::version`]; `None` where the file has no such column.
    pub version: Option<u32>,
    /// The kernel, for [`Names::kernel`].
    pub kernel: u32,
    /// Element type of the cache, or of the weights of a matrix product.
    pub dtype: Dtype,
    /// How long it took, rounded to the picosecond; above 0, at most an hour.
    pub latency: Picos,
    /// As the file says, if it does.
    pub regime: Option<Regime>,
    /// Line of the file, from 1. Of a Parquet file: the row's number plus 1, as if it were CSV.
    pub line: u64,
}

/// What became of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is usable.
    Row(Measured),
    /// It is left out, for this reason: a few words that never change, under which it is counted.
    Skipped(&'static str),
}

/// Reads the table of measured kernels at `path`: CSV, or a Parquet file of aiconfigurator-core's if the cargo feature `parquet` is on.
///
/// Bad rows are left out and counted in [`MeasuredTable::skipped`]; a table may thus come without a usable row.
///
/// # Errors
/// A file that cannot be read, is empty, has no rows, or a header from which columns are missing, or whose columns of latencies have no
/// known unit.
pub fn read(path: &Path) -> Result<MeasuredTable, TraceError> {
    if path.extension().is_some_and(|e| e.eq_ignore_ascii_case("parquet")) {
        return read_parquet(path);
    }
    let mut lines = Lines::open(path)?;
    match lines.next()? {
        None => return Err(TraceError::EmptyTable(path.display().to_string())),
        Some(line) if line.bytes.starts_with(b"PAR1") => return read_parquet(path),
        Some(_) => lines.unread(),
    }
    read_csv(lines)
}

#[cfg(feature = "parquet")]
fn read_parquet(path: &Path) -> Result<MeasuredTable, TraceError> {
    // Says what is wrong with a path that is no file, in the words used for any other.
    Lines::open(path)?;
    parquet::read(path)
}

#[cfg(not(feature = "parquet"))]
fn read_parquet(path: &Path) -> Result<MeasuredTable, TraceError> {
    Lines::open(path)?;
    Err(TraceError::ParquetNotBuilt(path.display().to_string()))
}

fn read_csv(mut lines: Lines<'_>) -> Result<MeasuredTable, TraceError> {
    let path = lines.path().to_path_buf();
    let Some(line) = lines.next()? else {
        return Err(TraceError::EmptyTable(path.display().to_string()));
    };
    let number = line.number;
    let header = match line.text {
        Ok(text) => text.to_owned(),
        Err(fault) => return Err(TraceError::At(lines.diagnose(number, "", fault))),
    };
    let mut table = Builder::new(&path, number, header)?;
    while let Some(line) = lines.next()? {
        let number = line.number;
        if line.bytes.len() >= LONGEST_LINE {
            // No such row is repeated in the output: what was read of it is not all of it.
            let fault = Fault::new("the line is longer than 16 MiB", "a row of the table");
            return Err(TraceError::At(lines.diagnose(number, "", fault)));
        }
        table.row(number, line.bytes, line.text);
    }
    table.finish()
}

#[cfg(test)]
mod tests;
