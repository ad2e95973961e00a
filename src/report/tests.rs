#![allow(clippy::unwrap_used, reason = "a test that fails may panic")]

use super::csv::{full_point, full_replay};
use super::*;
use crate::ledger::{Capacity, CyclesByCause, Traffic};
use crate::serving::ReplayResult;
use crate::step::{Bounds, Seconds};
use crate::units::{Bytes, Cycles, Picos};
use std::collections::BTreeMap;

fn document(points: &[Point]) -> PointsDocument<'_> {
    PointsDocument {
        slimsim: "0.1.0",
        accelerator: "h100-sxm",
        model: "codellama-7b",
        weight_dtype: Dtype::Bf16,
        cache_dtype: Dtype::Bf16,
        conditions: NonDefault::default(),
        order_of_multiplication: &[],
        points,
    }
}

fn good() -> Point {
    let mut point = full_point();
    point.context = 32_768;
    point.batch = 16;
    point.scheme = "slim-k".to_owned();
    point.infeasible_reason = None;
    point.seconds = Some(Seconds(Picos(12_345_678_901)));
    point.cycles = Some(Cycles((1 << 53) + 1));
    point.tokens_per_second = Some(16.0 / 0.012_345_678_901);
    point.speedup = Some(1.731);
    point.traffic_bytes = Some(Traffic {
        weights: Bytes(13_476_839_424),
        cache_read: Bytes(u64::MAX / 4),
        ..Traffic::default()
    });
    point.cycles_by_cause =
        Some(CyclesByCause { bandwidth: Cycles(80), compute: Cycles(20), ..CyclesByCause::default() });
    point.bounds_seconds =
        Some(Bounds { bandwidth: Seconds(Picos(10_000_000_000)), compute: Seconds(Picos(1)) });
    let mapping = point.mapping.as_mut().unwrap();
    mapping.plan = "cluster 16".to_owned();
    mapping.reason = "kept rows pass once, \"quoted\", with a comma".to_owned();
    point
}

fn infeasible() -> Point {
    Point {
        context: 131_072,
        scheme: "kv-cache".to_owned(),
        feasible: false,
        infeasible_reason: Some("needs 92.1 GB of 80 GB".to_owned()),
        seconds: None,
        cycles: None,
        tokens_per_second: None,
        speedup: None,
        capacity_bytes: Capacity { available: None, ..Capacity::default() },
        largest_batch: Some(3),
        traffic_bytes: None,
        shared_sram_bytes: None,
        local_sram_bytes: None,
        flops: None,
        mac_slots: None,
        vector_ops: None,
        cycles_by_cause: None,
        bounds_seconds: None,
        energy_joules: None,
        mapping: None,
        ..good()
    }
}

fn export(format: Format, width: Option<u16>, points: &[Point]) -> String {
    let mut out = Vec::new();
    format.exporter(width).points(&document(points), &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn json_keeps_integers_exact_and_fields_in_order() {
    let text = export(Format::Json, None, &[good(), infeasible()]);
    assert!(text.contains("\"cycles\": 9007199254740993,"), "exact beyond 2⁵³");
    assert!(text.ends_with("}\n"));
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    let keys: Vec<_> = value.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, ["slimsim", "accelerator", "model", "weight_dtype", "cache_dtype", "points"]);
    assert_eq!(value["weight_dtype"], "bf16");
    assert_eq!(value["points"][0]["traffic_bytes"]["cache_read"], u64::MAX / 4);
    assert_eq!(value["points"][1]["traffic_bytes"], serde_json::Value::Null);
    assert_eq!(value["points"][1]["infeasible_reason"], "needs 92.1 GB of 80 GB");
}

#[test]
fn csv_reads_back_as_the_json_flattened() {
    let points = [good(), infeasible()];
    let text = export(Format::Csv, None, &points);
    let mut reader = ::csv::Reader::from_reader(text.as_bytes());
    let header: Vec<String> = reader.headers().unwrap().iter().map(str::to_owned).collect();
    let rows: Vec<_> = reader.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 2);
    for (row, point) in rows.iter().zip(&points) {
        let expected: BTreeMap<String, String> = flatten(point).unwrap().into_iter().collect();
        for (column, cell) in header.iter().zip(row) {
            assert_eq!(cell, expected.get(column).map_or("", String::as_str), "{column}");
        }
        assert!(expected.keys().all(|key| header.contains(key)), "every leaf has a column");
    }
}

/// These names are an interface: scripts read them. Add, don't rename.
#[test]
fn csv_columns_are_those_documented() {
    let columns = point_columns().join(" ");
    let expected = "context batch scheme feasible infeasible_reason seconds cycles tokens_per_second speedup \
        capacity_bytes.weights capacity_bytes.cache capacity_bytes.cache_self capacity_bytes.cache_cross \
        capacity_bytes.activations capacity_bytes.total capacity_bytes.available largest_batch \
        traffic_bytes.weights traffic_bytes.cache_read traffic_bytes.cache_reread traffic_bytes.cache_write \
        traffic_bytes.activations traffic_bytes.spill traffic_bytes.exchange traffic_bytes.total \
        shared_sram_bytes local_sram_bytes flops.projection flops.attention flops.recompute flops.ffn \
        flops.lm_head flops.total mac_slots vector_ops.softmax vector_ops.rotary vector_ops.other \
        cycles_by_cause.compute cycles_by_cause.vector cycles_by_cause.bandwidth cycles_by_cause.latency \
        cycles_by_cause.sram cycles_by_cause.exchange cycles_by_cause.overhead cycles_by_cause.refresh cycles_by_cause.row_miss bounds_seconds.bandwidth \
        bounds_seconds.compute energy_joules mapping.plan mapping.token_split mapping.cluster \
        mapping.head_groups mapping.query_groups mapping.passes mapping.tile_tokens mapping.slots mapping.memory_reads \
        mapping.scores_held mapping.values_held mapping.limited_by mapping.reason \
        first_token_seconds.encoder first_token_seconds.cross_phase first_token_seconds.decoder \
        first_token_seconds.total";
    assert_eq!(columns, expected);
}

#[test]
fn csv_refuses_what_has_no_column() {
    #[derive(Serialize)]
    struct Odd {
        context: u64,
        surprise: u64,
    }
    let mut out = Vec::new();
    let columns = ["context".to_owned()];
    let mut writer = CsvWriter::new(&mut out, &["axis".to_owned()], &columns).unwrap();
    let error = writer.row(&["1".to_owned()], &Odd { context: 1, surprise: 2 }).unwrap_err();
    assert_eq!(error.to_string(), "field 'surprise' has no column");
    let error = writer.row(&[], &Odd { context: 1, surprise: 2 }).unwrap_err();
    assert_eq!(error.to_string(), "0 leading cells under 1 columns");
}

#[test]
fn table_says_what_won_why_and_what_does_not_run() {
    let text = export(Format::Table, None, &[good(), infeasible()]);
    for part in [
        "codellama-7b on h100-sxm (weights bf16, cache bf16)",
        "32k",
        "12.3 ms",
        "1.731×",
        "bandwidth 80 %",
        "1.23 bandwidth",
        "does not run",
        "slim-k:\n  context 32k, batch 16: kept rows pass once",
        "kv-cache, context 128k, batch 16: needs 92.1 GB of 80 GB",
    ] {
        assert!(text.contains(part), "{part:?} is missing from\n{text}");
    }
    assert!(!text.contains('\u{1b}'), "no escape sequences");
}

#[test]
fn tables_keep_to_the_width_of_the_terminal() {
    for width in [60, 80, 100, 160] {
        let text = export(Format::Table, Some(width), &[good(), infeasible()]);
        for line in text.lines() {
            assert!(line.chars().count() <= usize::from(width), "{width}: {line}");
        }
    }
}

#[test]
fn names_from_files_cannot_steer_the_terminal() {
    let mut point = good();
    point.scheme = "slim\u{1b}[31m".to_owned();
    assert!(!export(Format::Table, None, &[point]).contains('\u{1b}'));
}

#[test]
fn layouts_that_are_alike_are_explained_once() {
    let points: Vec<Point> = (1..=20)
        .map(|i| {
            let mut point = good();
            point.context = i * 1024;
            let mapping = point.mapping.as_mut().unwrap();
            // Ten layouts of two points each; the sizes differ at every point.
            mapping.cluster = i.div_ceil(2);
            mapping.tile_tokens = i;
            mapping.reason = format!("reason {i}");
            point
        })
        .collect();
    let text = export(Format::Table, None, &points);
    assert!(
        text.contains("context 12k, batch 16 (and one more point laid out alike): reason 12\n"),
        "{text}"
    );
    assert!(!text.contains("reason 11"), "{text}");
    assert!(!text.contains("reason 14"), "{text}");
    assert!(text.contains("… and 4 more layouts"), "{text}");
}

fn replay_entries() -> [ReplayResult; 2] {
    let empty = crate::serving::Summary::default();
    let base = full_replay();
    let ours =
        ReplayResult { scheme: "slim-k".to_owned(), speedup: Some(1.25), completed: 8819, ..base.clone() };
    [ReplayResult { scheme: "kv-cache".to_owned(), tpot_seconds: empty, capacity_bytes: None, ..base }, ours]
}

fn export_replay(format: Format, schemes: &[ReplayResult]) -> String {
    let document = ReplayDocument {
        slimsim: "0.1.0",
        accelerator: "a100-sxm",
        model: "codellama-7b",
        weight_dtype: Dtype::Bf16,
        cache_dtype: Dtype::Bf16,
        conditions: NonDefault::default(),
        trace: crate::trace::TraceSummary {
            requests: 8819,
            prompt_tokens: 18_059_974,
            output_tokens: 245_000,
            duration_seconds: 3435.0,
            skipped: 2,
        },
        schemes,
    };
    let mut out = Vec::new();
    format.exporter(None).replay(&document, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn a_replay_is_written_in_every_format() {
    let entries = replay_entries();
    let text = export_replay(Format::Table, &entries);
    for part in ["8,819 requests (2 rows skipped) over 57 min", "unlimited", "1.250×", "next token, mean"] {
        assert!(text.contains(part), "{part:?} is missing from\n{text}");
    }
    let value: serde_json::Value = serde_json::from_str(&export_replay(Format::Json, &entries)).unwrap();
    assert_eq!(value["trace"]["prompt_tokens"], 18_059_974);
    assert_eq!(value["schemes"][1]["speedup"], 1.25);
    assert_eq!(value["schemes"][0]["capacity_bytes"], serde_json::Value::Null);
    let text = export_replay(Format::Csv, &entries);
    let mut reader = ::csv::Reader::from_reader(text.as_bytes());
    let header = reader.headers().unwrap().clone();
    assert!(header.iter().eq(replay_columns()));
    let rows: Vec<_> = reader.records().map(Result::unwrap).collect();
    for (row, entry) in rows.iter().zip(&entries) {
        let expected: BTreeMap<String, String> = flatten(entry).unwrap().into_iter().collect();
        for (column, cell) in header.iter().zip(row) {
            assert_eq!(cell, expected.get(column).map_or("", String::as_str), "{column}");
        }
    }
}

#[test]
fn a_closed_pipe_is_reported_as_one() {
    struct Closed;
    impl io::Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
    }
    for format in Format::ALL {
        let error = format.exporter(None).points(&document(&[good()]), &mut Closed).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe, "{format}");
    }
}

#[test]
fn formats_are_read_by_name() {
    for format in Format::ALL {
        assert_eq!(format.name().parse(), Ok(format));
    }
    assert_eq!(
        "xml".parse::<Format>().unwrap_err(),
        "unknown format 'xml'; expected one of table, json, csv"
    );
}

#[test]
fn files_are_replaced_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new/deep/result.csv");
    write_atomically(&path, b"one").unwrap();
    write_atomically(&path, b"two").unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), b"two");
    let beside = std::fs::read_dir(path.parent().unwrap()).unwrap().count();
    assert_eq!(beside, 1, "no temporary file is left");
}

#[test]
fn a_file_that_cannot_be_written_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let error = write_atomically(folder.path(), b"x").unwrap_err().to_string();
    assert_eq!(error, format!("cannot write '{}': it is a directory", folder.path().display()));
    let file = folder.path().join("file");
    std::fs::write(&file, "x").unwrap();
    let below = file.join("result.csv");
    let error = write_atomically(&below, b"x").unwrap_err().to_string();
    assert!(error.starts_with(&format!("cannot write '{}': ", below.display())), "{error}");
    assert_eq!(std::fs::read(&file).unwrap(), b"x");
}
