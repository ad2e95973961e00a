//! Parquet files as tables of measured kernels: each row is written out as CSV under the file's own column names, and read as such.

use super::super::error::TraceError;
use super::MeasuredTable;
use super::table::Builder;
use ::parquet::errors::ParquetError;
use ::parquet::file::reader::{FileReader, SerializedFileReader};
use ::parquet::record::Field;
use std::fmt::Write as _;
use std::fs::File;
use std::path::Path;

/// Reads the file at `path`.
pub(super) fn read(path: &Path) -> Result<MeasuredTable, TraceError> {
    let shown = || path.display().to_string();
    let fault = |e: ParquetError| TraceError::Parquet { path: shown(), reason: e.to_string() };
    let file = File::open(path).map_err(|source| TraceError::Io { path: shown(), source })?;
    let reader = SerializedFileReader::new(file).map_err(fault)?;
    let columns = reader.metadata().file_metadata().schema().get_fields();
    let mut header = String::new();
    for (place, column) in columns.iter().enumerate() {
        cell(&mut header, place, column.name());
    }
    let mut table = Builder::new(path, 1, header)?;
    let (mut line, mut value) = (String::new(), String::new());
    for (number, row) in (2..).zip(reader.get_row_iter(None).map_err(fault)?) {
        line.clear();
        for (place, (_, field)) in row.map_err(fault)?.get_column_iter().enumerate() {
            match field {
                Field::Null => cell(&mut line, place, ""),
                Field::Str(text) => cell(&mut line, place, text),
                // A number is written as the shortest text that is read back as the same.
                other => {
                    value.clear();
                    let _ = write!(value, "{other}");
                    cell(&mut line, place, &value);
                }
            }
        }
        table.row(number, line.as_bytes(), Ok(&line));
    }
    table.finish()
}

/// Appends a cell to a line of CSV.
fn cell(line: &mut String, place: usize, text: &str) {
    if place > 0 {
        line.push(',');
    }
    if text.contains([',', '"', '\n', '\r']) {
        let _ = write!(line, "\"{}\"", text.replace('"', "\"\""));
    } else {
        line.push_str(text);
    }
}
