//! A table of measured kernels: its rows with their text, in the file's order, and what was said about them.

use super::super::error::{Diagnostic, Fault, TraceError};
use super::super::table::fields;
use super::columns::Column;
use super::header::Header;
use super::names::Names;
use super::points::Points;
use super::row::{Cells, Skip, reason};
use super::tally::Tally;
use super::{Measured, Outcome};
use std::borrow::Cow;
use std::path::{Path, PathBuf};

/// What to say about a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    /// What is wrong.
    pub message: String,
    /// What was expected; may be empty.
    pub expected: String,
    /// A hint, for instance `did you mean 'x'?`.
    pub help: Option<String>,
}

/// A table that has been read.
#[derive(Debug)]
pub struct MeasuredTable {
    /// The file.
    pub path: PathBuf,
    /// Its first line, unchanged but for a byte order mark and the line's end.
    pub header: String,
    /// What became of each row, in the file's order. Blank lines are no rows.
    pub outcomes: Vec<Outcome>,
    /// The names that rows refer to.
    pub names: Names,
    /// Complaints about the rows that are left out.
    pub skipped: Tally,
    /// Complaints about rows that are usable nevertheless.
    pub remarks: Tally,
    understood: Header,
    /// The rows' text, without line ends.
    text: Vec<u8>,
    /// Of each row: where its text ends, and its line in the file.
    rows: Vec<(usize, u64)>,
}

impl MeasuredTable {
    /// The text of row `row`, from 0, unchanged but for the line's end: bytes, since a row that is left out may be no text.
    ///
    /// # Panics
    /// If there is no such row.
    #[must_use]
    pub fn line(&self, row: usize) -> &[u8] {
        let start = row.checked_sub(1).map_or(0, |before| self.rows[before].0);
        &self.text[start..self.rows[row].0]
    }

    /// The usable rows and their places in [`Self::outcomes`].
    pub fn measured(&self) -> impl Iterator<Item = (usize, &Measured)> {
        self.outcomes.iter().enumerate().filter_map(|(row, outcome)| match outcome {
            Outcome::Row(measured) => Some((row, measured)),
            Outcome::Skipped(_) => None,
        })
    }

    /// Leaves out row `row` after all, for a reason that only the caller knows, such as `no preset for this gpu`. `complaint` is about
    /// `column`; it is called only if it will be shown. A row that is left out already stays so, for its first reason.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn skip(
        &mut self,
        row: usize,
        column: Column,
        reason: &'static str,
        complaint: impl FnOnce() -> Complaint,
    ) {
        if matches!(self.outcomes[row], Outcome::Row(_)) {
            self.outcomes[row] = Outcome::Skipped(reason);
            let mut skipped = std::mem::take(&mut self.skipped);
            skipped.add(reason, || self.diagnostic(row, Some(column), complaint()));
            self.skipped = skipped;
        }
    }

    /// `complaint`, placed at `column` of row `row`; at the whole row where the file has no such column.
    fn diagnostic(&self, row: usize, column: Option<Column>, complaint: Complaint) -> Diagnostic {
        let text = String::from_utf8_lossy(self.line(row));
        place(&self.path, &self.understood, self.rows[row].1, &text, column, complaint)
    }
}

/// `complaint` about `column` of the row `text` in line `line`.
fn place(
    path: &Path,
    header: &Header,
    line: u64,
    text: &str,
    column: Option<Column>,
    complaint: Complaint,
) -> Diagnostic {
    let at = column.and_then(|column| header.place(column));
    let span = at.and_then(|at| fields(text).nth(at)).map(|(_, span)| span);
    let Complaint { message, expected, help } = complaint;
    Diagnostic::new(path, line, text, Fault { span, message, expected, help })
}

/// A table while it is read.
pub(super) struct Builder {
    table: MeasuredTable,
    points: Points,
}

impl Builder {
    /// A table without rows, whose header stands in line `line`.
    pub(super) fn new(path: &Path, line: u64, header: String) -> Result<Self, TraceError> {
        let understood = Header::parse(&header)
            .map_err(|fault| TraceError::At(Box::new(Diagnostic::new(path, line, &header, fault))))?;
        let table = MeasuredTable {
            path: path.into(),
            header,
            outcomes: Vec::new(),
            names: Names::default(),
            skipped: Tally::default(),
            remarks: Tally::default(),
            understood,
            text: Vec::new(),
            rows: Vec::new(),
        };
        Ok(Self { table, points: Points::default() })
    }

    /// The next row: `bytes` of line `line`, and `text` if they are text.
    pub(super) fn row(&mut self, line: u64, bytes: &[u8], text: Result<&str, Fault>) {
        let Self { table, points } = self;
        table.text.extend_from_slice(bytes);
        table.rows.push((table.text.len(), line));
        let (header, path) = (&table.understood, &table.path);
        let measured = match &text {
            Err(fault) => Err(Skip {
                reason: reason::NOT_TEXT,
                column: None,
                complaint: Complaint {
                    message: fault.message.clone(),
                    expected: fault.expected.clone(),
                    help: fault.help.clone(),
                },
            }),
            Ok(text) => {
                let remarks = &mut table.remarks;
                let remark = |skip: Skip| {
                    remarks.add(skip.reason, || place(path, header, line, text, skip.column, skip.complaint));
                };
                Cells::split(header, text).and_then(|cells| cells.measured(line, &mut table.names, remark))
            }
        };
        let measured = measured.and_then(|measured| match points.earlier(&table.outcomes, &measured) {
            None => Ok(measured),
            Some(first) => Err(duplicate(first)),
        });
        let outcome = measured.map(Outcome::Row).unwrap_or_else(|skip| {
            let shown = match &text {
                Ok(text) => Cow::Borrowed(*text),
                Err(_) => String::from_utf8_lossy(bytes),
            };
            table.skipped.add(skip.reason, || place(path, header, line, &shown, skip.column, skip.complaint));
            Outcome::Skipped(skip.reason)
        });
        table.outcomes.push(outcome);
    }

    /// The table, if it has rows.
    pub(super) fn finish(self) -> Result<MeasuredTable, TraceError> {
        if self.table.outcomes.is_empty() {
            return Err(TraceError::NoRows(self.table.path.display().to_string()));
        }
        Ok(self.table)
    }
}

/// A row whose point `first` has measured already.
fn duplicate(first: &Measured) -> Skip {
    let message = format!("this point has been measured already, in line {}", first.line);
    let mut skip = Skip::new(reason::DUPLICATE, None, message, "each point once");
    skip.complaint.help = Some(
        "a point is what was computed, its element type, gpu, framework, version and kernel; the first row counts"
            .into(),
    );
    skip
}
