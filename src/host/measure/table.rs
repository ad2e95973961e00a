//! Measured points as CSV, one row a point.

use super::{Measured, Setting, Summary, Tier};
use crate::host::kernels::{Scheme, Shape};
use crate::units::Dtype;
use serde::{Deserialize, Serialize};
use std::io::{Read, Write};

/// A row.
#[derive(Debug, Serialize, Deserialize)]
struct Row {
    machine: String,
    heads: usize,
    head_dim: usize,
    context: usize,
    batch: usize,
    dtype: String,
    threads: usize,
    tier: Tier,
    #[serde(rename = "kv-cache_seconds")]
    kv_cache: f64,
    #[serde(rename = "kv-cache_spread")]
    kv_cache_spread: f64,
    #[serde(rename = "kv-cache_samples")]
    kv_cache_samples: usize,
    #[serde(rename = "slim-k_seconds")]
    slim_k: f64,
    #[serde(rename = "slim-k_spread")]
    slim_k_spread: f64,
    #[serde(rename = "slim-k_samples")]
    slim_k_samples: usize,
    #[serde(rename = "slim-k-recompute_seconds")]
    rebuilt: Option<f64>,
    #[serde(rename = "slim-k-recompute_spread")]
    rebuilt_spread: Option<f64>,
    #[serde(rename = "slim-k-recompute_samples")]
    rebuilt_samples: Option<usize>,
    rejected: u64,
}

/// What is wrong with a table of measured points.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// A row, or the header.
    #[error("line {line}{column}: {message}")]
    Row {
        /// Its line.
        line: u64,
        /// Its column, if one is to blame.
        column: String,
        /// What is wrong.
        message: String,
    },
    /// No row.
    #[error("no measured points")]
    Empty,
    /// The file.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// Writes `points`, measured on `machine`.
///
/// # Errors
/// If writing fails.
pub fn write(out: impl Write, machine: &str, points: &[Measured]) -> std::io::Result<()> {
    let mut writer = csv::Writer::from_writer(out);
    for point in points {
        let Setting { shape, dtype, threads, tier } = point.setting;
        let of = |scheme| point.of(scheme).copied();
        let (Some(kv), Some(slim)) = (of(Scheme::KvCache), of(Scheme::SlimK)) else { continue };
        let rebuilt = of(Scheme::SlimKRecompute);
        let row = Row {
            machine: machine.to_owned(),
            heads: shape.heads,
            head_dim: shape.head_dim,
            context: shape.context,
            batch: shape.batch,
            dtype: dtype.name().to_owned(),
            threads,
            tier,
            kv_cache: rounded(kv.median),
            kv_cache_spread: rounded(kv.spread),
            kv_cache_samples: kv.samples,
            slim_k: rounded(slim.median),
            slim_k_spread: rounded(slim.spread),
            slim_k_samples: slim.samples,
            rebuilt: rebuilt.map(|r| rounded(r.median)),
            rebuilt_spread: rebuilt.map(|r| rounded(r.spread)),
            rebuilt_samples: rebuilt.map(|r| r.samples),
            rejected: point.rejected,
        };
        writer.serialize(row).map_err(std::io::Error::other)?;
    }
    writer.flush()
}

/// To five significant digits, more than a clock gives.
fn rounded(x: f64) -> f64 {
    format!("{x:.4e}").parse().unwrap_or(x)
}

/// Reads what [`write()`] wrote: the machine of the first row, and the points.
///
/// # Errors
/// The first row that is wrong: not a number, a time that is none, another machine's among this one's.
pub fn read(from: impl Read) -> Result<(String, Vec<Measured>), TableError> {
    let mut reader = csv::Reader::from_reader(from);
    let header = reader.headers().map_err(|e| fault(&e, &csv::StringRecord::new()))?.clone();
    let mut machine: Option<String> = None;
    let mut points = Vec::new();
    let mut record = csv::StringRecord::new();
    while reader.read_record(&mut record).map_err(|e| fault(&e, &header))? {
        let line = record.position().map_or(0, csv::Position::line);
        let row: Row = record.deserialize(Some(&header)).map_err(|e| located(fault(&e, &header), line))?;
        let wrong = |column: &str, message: String| TableError::Row {
            line,
            column: format!(", column '{column}'"),
            message,
        };
        let first = machine.get_or_insert_with(|| row.machine.clone());
        if *first != row.machine {
            return Err(wrong("machine", format!("another machine than the first row's, '{first}'")));
        }
        points.push(row.point(&wrong)?);
    }
    machine.map_or(Err(TableError::Empty), |machine| Ok((machine, points)))
}

impl Row {
    fn point(&self, wrong: &dyn Fn(&str, String) -> TableError) -> Result<Measured, TableError> {
        let dtype: Dtype = self.dtype.parse().map_err(|_| {
            wrong("dtype", format!("'{}' is no type: expected fp32, bf16 or fp16", self.dtype))
        })?;
        let counts = [
            ("heads", self.heads),
            ("head_dim", self.head_dim),
            ("context", self.context),
            ("batch", self.batch),
            ("threads", self.threads),
        ];
        if let Some((column, _)) = counts.iter().find(|(_, n)| *n == 0) {
            return Err(wrong(column, "0: expected at least 1".to_owned()));
        }
        if !self.head_dim.is_multiple_of(16) {
            return Err(wrong("head_dim", format!("{}: expected a multiple of 16", self.head_dim)));
        }
        let summary = |column: &str, median: f64, spread: f64, samples| {
            if !(median.is_finite() && median > 0.0) {
                return Err(wrong(
                    &format!("{column}_seconds"),
                    format!("{median}: expected a time above 0"),
                ));
            }
            if !(spread.is_finite() && spread >= 0.0) {
                return Err(wrong(&format!("{column}_spread"), format!("{spread}: expected 0 or more")));
            }
            Ok(Summary { median, spread, samples })
        };
        let mut times = vec![
            (
                Scheme::KvCache,
                summary("kv-cache", self.kv_cache, self.kv_cache_spread, self.kv_cache_samples)?,
            ),
            (Scheme::SlimK, summary("slim-k", self.slim_k, self.slim_k_spread, self.slim_k_samples)?),
        ];
        if let (Some(median), Some(spread), Some(samples)) =
            (self.rebuilt, self.rebuilt_spread, self.rebuilt_samples)
        {
            times.push((Scheme::SlimKRecompute, summary("slim-k-recompute", median, spread, samples)?));
        }
        let shape =
            Shape { heads: self.heads, head_dim: self.head_dim, context: self.context, batch: self.batch };
        let setting = Setting { shape, dtype, threads: self.threads, tier: self.tier };
        Ok(Measured { setting, times, rejected: self.rejected })
    }
}

/// A reader's complaint, with the column that it is about.
fn fault(error: &csv::Error, header: &csv::StringRecord) -> TableError {
    let line = error.position().map_or(1, csv::Position::line);
    let (column, message) = match error.kind() {
        csv::ErrorKind::Deserialize { err, .. } => {
            let field = err.field().and_then(|i| header.get(usize::try_from(i).ok()?));
            (field.map_or_else(String::new, |f| format!(", column '{f}'")), err.kind().to_string())
        }
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            (String::new(), format!("{len} fields; the header has {expected_len}"))
        }
        _ => (String::new(), error.to_string()),
    };
    TableError::Row { line, column, message }
}

/// The same at `line`.
fn located(error: TableError, line: u64) -> TableError {
    match error {
        TableError::Row { column, message, .. } => TableError::Row { line, column, message },
        other => other,
    }
}
