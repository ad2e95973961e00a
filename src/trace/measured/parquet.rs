//! Parquet files as tables of measured kernels: each row is written out as CSV under the file's own column names, and read as such.

use super::super::error::TraceError;
use super::MeasuredTable;
use super::table::Builder;
use ::parquet::errors::ParquetError;
use ::parquet::file::metadata::ColumnChunkMetaData;
use ::parquet::file::reader::{FileReader, SerializedFileReader};
use ::parquet::record::Field;
use std::fmt::Write as _;
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// Reads the file at `path`.
pub(super) fn read(path: &Path) -> Result<MeasuredTable, TraceError> {
    let shown = || path.display().to_string();
    let fault = |e: ParquetError| TraceError::Parquet { path: shown(), reason: e.to_string() };
    let io = |source| TraceError::Io { path: shown(), source };
    let file = File::open(path).map_err(io)?;
    let length = file.metadata().map_err(io)?.len();
    let reader = SerializedFileReader::new(file).map_err(fault)?;
    let columns = reader.metadata().file_metadata().schema().get_fields();
    let mut header = String::new();
    for (place, column) in columns.iter().enumerate() {
        cell(&mut header, place, column.name());
    }
    let mut table = Builder::new(path, 1, header)?;
    if let Some(column) = outside(&reader, length) {
        return Err(TraceError::Parquet {
            path: shown(),
            reason: format!("column '{column}' lies outside the file"),
        });
    }
    // The decoder panics at some damages within a page, after which nothing of the table is used.
    let decoded = catch_unwind(AssertUnwindSafe(|| decode(&reader, &mut table)));
    let damaged = |_| TraceError::Parquet { path: shown(), reason: "its pages are damaged".into() };
    decoded.map_err(damaged)?.map_err(fault)?;
    table.finish()
}

/// The first column that, by what the file says, is not within its `length` bytes: the decoder would panic.
fn outside(reader: &SerializedFileReader<File>, length: u64) -> Option<&str> {
    let columns = reader.metadata().row_groups().iter().flat_map(|group| group.columns());
    let within = |column: &ColumnChunkMetaData| {
        let start = u64::try_from(column.dictionary_page_offset().unwrap_or(column.data_page_offset())).ok();
        let size = u64::try_from(column.compressed_size()).ok();
        let end = start.and_then(|start| start.checked_add(size?));
        end.is_some_and(|end| end <= length) && column.num_values() >= 0
    };
    let mut outside = columns.filter(|column| !within(column));
    outside.next().map(|column| column.column_descr().name())
}

/// Writes each row of the file to the table.
fn decode(reader: &SerializedFileReader<File>, table: &mut Builder) -> Result<(), ParquetError> {
    let (mut line, mut value) = (String::new(), String::new());
    for (number, row) in (2..).zip(reader.get_row_iter(None)?) {
        line.clear();
        for (place, (_, field)) in row?.get_column_iter().enumerate() {
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
    Ok(())
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]
    use super::super::{Lines, Measured, Outcome, read_csv};
    use super::*;
    use ::parquet::basic::{Compression, ZstdLevel};
    use ::parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type};
    use ::parquet::file::properties::WriterProperties;
    use ::parquet::file::writer::SerializedFileWriter;
    use ::parquet::schema::parser::parse_message_type;
    use std::collections::{BTreeMap, HashMap};
    use std::path::PathBuf;
    use std::sync::Arc;
    use std::time::Instant;

    /// A table as aiconfigurator ships it, a value a cell; an empty one is null.
    const CSV: &str = "framework,version,device,op_name,kernel_source,gemm_dtype,m,n,k,latency
SGLang,0.5.14,NVIDIA H100 80GB HBM3,gemm,sglang_torch_linear,bfloat16,1,2048,4096,0.01037599974208408
SGLang,0.5.14,NVIDIA H100 80GB HBM3,gemm,\"a, \"\"b\"\"\",fp8,16,2048,4096,12.0
SGLang,0.5.14,NVIDIA H100 80GB HBM3,gemm,sglang_torch_linear,nvfp4,1,2048,4096,0.007
SGLang,0.5.14,NVIDIA H100 80GB HBM3,gemm,sglang_torch_linear,fp8,0,2048,4096,0.007
,0.5.14,NVIDIA H100 80GB HBM3,gemm,sglang_torch_linear,fp8,2,2048,4096,0.007
";

    /// The same as a Parquet file.
    fn write(path: &Path, compression: Compression) {
        let rows: Vec<csv::StringRecord> =
            csv::Reader::from_reader(CSV.as_bytes()).records().map(Result::unwrap).collect();
        let names: Vec<_> = CSV.lines().next().unwrap().split(',').collect();
        let mut schema = String::from("message table {");
        for &name in &names {
            let _ = match name {
                "m" | "n" | "k" => write!(schema, "optional int64 {name};"),
                "latency" => write!(schema, "optional double {name};"),
                _ => write!(schema, "optional binary {name} (UTF8);"),
            };
        }
        let schema = Arc::new(parse_message_type(&(schema + "}")).unwrap());
        let properties = Arc::new(WriterProperties::builder().set_compression(compression).build());
        let mut writer = SerializedFileWriter::new(File::create(path).unwrap(), schema, properties).unwrap();
        let mut group = writer.next_row_group().unwrap();
        for (place, name) in names.iter().enumerate() {
            let cells: Vec<_> = rows.iter().map(|row| &row[place]).collect();
            let levels: Vec<i16> = cells.iter().map(|cell| i16::from(!cell.is_empty())).collect();
            let there = cells.iter().filter(|cell| !cell.is_empty());
            let mut column = group.next_column().unwrap().unwrap();
            match *name {
                "m" | "n" | "k" => {
                    let values: Vec<i64> = there.map(|cell| cell.parse().unwrap()).collect();
                    column.typed::<Int64Type>().write_batch(&values, Some(&levels), None).unwrap();
                }
                "latency" => {
                    let values: Vec<f64> = there.map(|cell| cell.parse().unwrap()).collect();
                    column.typed::<DoubleType>().write_batch(&values, Some(&levels), None).unwrap();
                }
                _ => {
                    let values: Vec<ByteArray> = there.map(|cell| ByteArray::from(*cell)).collect();
                    column.typed::<ByteArrayType>().write_batch(&values, Some(&levels), None).unwrap();
                }
            }
            column.close().unwrap();
        }
        group.close().unwrap();
        writer.close().unwrap();
    }

    #[test]
    fn a_file_reads_like_the_same_table_as_csv() {
        let folder = tempfile::tempdir().unwrap();
        let csv = read_csv(Lines::new(Path::new("t"), CSV.as_bytes())).unwrap();
        let zstd = Compression::ZSTD(ZstdLevel::try_new(1).unwrap());
        for (name, compression) in
            [("z.parquet", zstd), ("s.parquet", Compression::SNAPPY), ("plain", Compression::UNCOMPRESSED)]
        {
            let path = folder.path().join(name);
            write(&path, compression);
            // The last is recognised by its content.
            let table = super::super::read(&path).unwrap();
            assert_eq!(table.header, csv.header);
            assert_eq!(table.outcomes, csv.outcomes);
            for row in 0..5 {
                assert_eq!(table.line(row), csv.line(row));
            }
            let reasons = ["unknown type", "zero or negative size", "name missing"];
            assert_eq!(table.skipped.by_reason().collect::<Vec<_>>(), reasons.map(|r| (r, 1)));
            assert_eq!(table.skipped.diagnostics().map(|d| d.line).collect::<Vec<_>>(), [4, 5, 6]);
            assert!(matches!(table.outcomes[0], Outcome::Row(_)));
        }
    }

    #[test]
    fn a_damaged_file_is_an_error_or_another_table() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.parquet");
        write(&path, Compression::SNAPPY);
        let whole = std::fs::read(&path).unwrap();
        let mut refused = 0;
        for at in (0..whole.len()).step_by(5) {
            for damaged in [whole[..at].to_vec(), {
                let mut bytes = whole.clone();
                bytes[at] ^= 0x55;
                bytes
            }] {
                std::fs::write(&path, damaged).unwrap();
                match read(&path) {
                    Ok(_) => {}
                    Err(error) => {
                        refused += 1;
                        assert!(error.to_string().contains("t.parquet"), "{error}");
                    }
                }
            }
        }
        assert!(refused > whole.len() / 5, "only {refused} of {} refused", 2 * whole.len() / 5);
    }

    /// The given CSV tables were made from the package's: each of their rows is found there. `SLIMSIM_AICONFIGURATOR` names the folder
    /// `aiconfigurator_core/systems/data` of an unpacked package.
    #[test]
    fn given_rows_are_those_of_the_package_where_it_is_at_hand() {
        let given = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/measured");
        let Some(package) = std::env::var_os("SLIMSIM_AICONFIGURATOR").map(PathBuf::from) else {
            println!("skipped: SLIMSIM_AICONFIGURATOR is not set");
            return;
        };
        if !given.exists() {
            println!("skipped: no {} at hand", given.display());
            return;
        }
        for (csv, folder, file) in [
            ("decode_attention_mha_calibration.csv", "attention", "generation_attention_perf.parquet"),
            ("decode_attention_gqa_calibration.csv", "attention", "generation_attention_perf.parquet"),
            ("decode_attention_mla_calibration.csv", "mla", "generation_mla_perf.parquet"),
            ("gemm_decode_calibration.csv", "gemm", "gemm_perf.parquet"),
        ] {
            let csv = super::super::read(&given.join(csv)).unwrap();
            let mut tables = BTreeMap::new();
            let (mut found, mut off) = (0, Vec::new());
            for (_, row) in csv.measured() {
                let (gpu, framework) = (csv.names.gpu(row.gpu), csv.names.framework(row.framework));
                let version = csv.names.version(row.version.unwrap());
                if framework == "vidur" {
                    continue;
                }
                let path: PathBuf =
                    [package.to_str().unwrap(), gpu, folder, framework, version, file].iter().collect();
                let (latencies, tolerance) = tables.entry(path).or_insert_with_key(|path| {
                    let started = Instant::now();
                    let table = super::super::read(path).unwrap();
                    println!("{}: {} rows in {:?}", path.display(), table.outcomes.len(), started.elapsed());
                    let skipped: Vec<_> = table.skipped.by_reason().collect();
                    println!("  {skipped:?}");
                    let named = |r: &Measured| (r.work, r.dtype, table.names.kernel(r.kernel).to_owned());
                    let latencies: HashMap<_, _> =
                        table.measured().map(|(_, r)| (named(r), r.latency.as_f64())).collect();
                    // Of points measured twice, the CSV has the shorter time. The reader has the first: a repetition is apart by a few per
                    // cent. Any other time is the same, rounded to the nanosecond.
                    let twice = skipped.iter().any(|(reason, _)| *reason == "duplicate point");
                    (latencies, if twice { 0.1 } else { 0.0 })
                });
                let point = (row.work, row.dtype, csv.names.kernel(row.kernel).to_owned());
                let given = row.latency.as_f64();
                match latencies.get(&point) {
                    Some(latency) if (latency - given).abs() <= 501.0 + *tolerance * given => found += 1,
                    other => off.push((row.line, other.copied())),
                }
            }
            println!("{}: {found} found, {} not", csv.path.display(), off.len());
            assert!(found > 1_000 && off.len() * 100 <= found, "{:?}", &off[..off.len().min(10)]);
        }
    }
}
