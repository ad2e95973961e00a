#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]
use super::*;
use std::io::Write;

/// Reads `bytes` as a file of this name.
fn read_as(name: &str, bytes: impl AsRef<[u8]>, format: &str, skip: bool) -> Result<Trace, TraceError> {
    let lines = Lines::new(Path::new(name), bytes.as_ref());
    read_lines(lines, Format::parse(format).unwrap(), skip)
}

fn auto(bytes: impl AsRef<[u8]>) -> Result<Trace, TraceError> {
    read_as("t.txt", bytes, "auto", false)
}

/// (arrival in µs, prompt, output) of each request.
fn rows(trace: &Trace) -> Vec<(u64, u64, u64)> {
    match &trace.kind {
        TraceKind::Requests(all) => {
            all.iter().map(|r| (r.arrival.0 / 1_000_000, r.prompt_tokens, r.output_tokens)).collect()
        }
        TraceKind::Steps(_) => panic!("a trace of steps"),
    }
}

const AZURE: &str = "TIMESTAMP,ContextTokens,GeneratedTokens\r\n2023-11-16 23:59:59.9799600,4808,10\r\n2023-11-17 00:00:00.0319600,3180,8";

#[test]
fn azure_with_crlf_and_no_final_newline() {
    let trace = auto(AZURE).unwrap();
    assert_eq!(trace.format.name(), "azure");
    assert_eq!(rows(&trace), [(0, 4808, 10), (52_000, 3180, 8)]);
    assert_eq!((trace.skipped, trace.notes.len()), (0, 0));
    assert_eq!(
        trace.summary(),
        TraceSummary {
            requests: 2,
            prompt_tokens: 7988,
            output_tokens: 18,
            duration_seconds: 0.052,
            skipped: 0
        }
    );
}

#[test]
fn mooncake_milliseconds() {
    let text = r#"{"timestamp": 27, "input_length": 40160, "output_length": 6, "hash_ids": [0, 1, 2]}
{"timestamp": 30.5, "input_length": 7, "output_length": 1.0, "more": {"x": null}}
"#;
    let trace = auto(text).unwrap();
    assert_eq!(trace.format.name(), "mooncake");
    assert_eq!(rows(&trace), [(0, 40160, 6), (3_500, 7, 1)]);
}

#[test]
fn vidur_with_and_without_arrivals_index_or_more_columns() {
    let trace = auto("arrived_at(s),num_prefill_tokens,num_decode_tokens\n1.5,10,2\n2.25,20,3\n").unwrap();
    assert_eq!(trace.format.name(), "vidur");
    assert_eq!(rows(&trace), [(0, 10, 2), (750_000, 20, 3)]);
    let trace = auto(",num_decode_tokens,num_prefill_tokens,pd_ratio\n0,2,10.0,5.0\n1,3,20.0,6.6\n").unwrap();
    assert_eq!(rows(&trace), [(0, 10, 2), (0, 20, 3)]);
    assert!(trace.notes[0].contains("no arrival times"), "{:?}", trace.notes);
}

#[test]
fn splitwise_and_burstgpt() {
    let text = "request_id,request_type,application_id,arrival_timestamp,batch_size,prompt_size,token_size\n0,0,0,0.1,1,100,5\n";
    let trace = auto(text).unwrap();
    assert_eq!((trace.format.name(), rows(&trace)), ("splitwise", vec![(0, 100, 5)]));
    let text = "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n5,ChatGPT,472,18,490,Conversation log\n6,ChatGPT,1087,0,1087,API log\n45,GPT-4,417,276,693,API log\n";
    let trace = auto(text).unwrap();
    assert_eq!((trace.format.name(), rows(&trace)), ("burstgpt", vec![(0, 472, 18), (40_000_000, 417, 276)]));
    assert_eq!(trace.skipped, 1);
    assert!(trace.notes[0].contains("failed"), "{:?}", trace.notes);
}

#[test]
fn steps_keep_their_order() {
    let trace = auto("{\"contexts\": [9, 4]}\n{\"repeat\": 3, \"contexts\": [5]}").unwrap();
    let steps = [StepRow { contexts: vec![9, 4], repeat: 1 }, StepRow { contexts: vec![5], repeat: 3 }];
    assert_eq!(trace.kind, TraceKind::Steps(steps.into()));
    let summary = trace.summary();
    assert_eq!((summary.requests, summary.output_tokens), (4, 5));
}

#[test]
fn rows_out_of_order_are_sorted_stably() {
    let text = "arrived_at(s),num_prefill_tokens,num_decode_tokens\n3,1,1\n1,2,1\n3,3,1\n1,4,1\n";
    let trace = auto(text).unwrap();
    let TraceKind::Requests(all) = &trace.kind else { panic!("a trace of steps") };
    assert_eq!(all.iter().map(|r| r.id).collect::<Vec<_>>(), [1, 3, 0, 2]);
    assert_eq!(rows(&trace), [(0, 2, 1), (0, 4, 1), (2_000_000, 1, 1), (2_000_000, 3, 1)]);
    assert!(trace.notes[0].starts_with("2 rows arrive before the row above"), "{:?}", trace.notes);
}

/// The error's first line and what was expected.
fn error(name: &str, bytes: impl AsRef<[u8]>, format: &str) -> String {
    read_as(name, bytes, format, false).unwrap_err().to_string()
}

#[test]
fn bad_rows_name_place_line_and_expectation() {
    let head = "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:17:03.97,10,1\n";
    let tokens = "a whole number of tokens, 1 to 2147483648";
    for (row, message, expected) in [
        ("2023-11-16 18:17:04,-5,8", "t.csv:3:21: prompt -5 is negative", tokens),
        ("2023-11-16 18:17:04,0,8", "t.csv:3:21: prompt is zero", tokens),
        ("2023-11-16 18:17:04,10,0", "t.csv:3:24: output is zero", tokens),
        ("2023-11-16 18:17:04,10,", "t.csv:3:24: output is missing", tokens),
        ("2023-11-16 18:17:04,abc,8", "t.csv:3:21: prompt 'abc' is not a number", tokens),
        ("2023-11-16 18:17:04,10,2147483649", "t.csv:3:24: output 2147483649 is too large", tokens),
        ("2023-11-16 18:17:04,10", "t.csv:3:1: the row has 2 columns", "3 columns as in the header"),
        ("2023-11-16 18:17:04,10,1,9", "t.csv:3:1: the row has 4 columns", "3 columns as in the header"),
        ("yesterday,10,1", "t.csv:3:1: 'yesterday' is not a time", "a time like 2023-11-16 18:17:03.9799600"),
    ] {
        let shown = error("t.csv", format!("{head}{row}\n2023-11-16 18:17:05,1,1\n"), "auto");
        assert!(shown.starts_with(message), "{shown}");
        assert!(shown.contains(&format!("3 | {row}")) && shown.contains(expected), "{shown}");
        let skipping =
            read_as("t.csv", format!("{head}{row}\n2023-11-16 18:17:05,1,1\n"), "auto", true).unwrap();
        assert_eq!((skipping.skipped, rows(&skipping).len()), (1, 2), "{row}");
    }
}

#[test]
fn bad_json_lines() {
    let head = "{\"timestamp\": 0, \"input_length\": 1, \"output_length\": 1}\n";
    for (row, message) in [
        (r#"{"timestamp": 1, "input_length": 2, "output_le"#, "t.jsonl:2:47: the line ends too early"),
        (
            r#"{"timestamp": 1, "input_length": -2, "output_length": 1}"#,
            "t.jsonl:2:34: prompt -2 is negative",
        ),
        (
            r#"{"timestamp": -1, "input_length": 2, "output_length": 1}"#,
            "t.jsonl:2:15: arrival time '-1' is negative",
        ),
        (
            r#"{"timestamp": 1, "input_length": "2", "output_length": 1}"#,
            "t.jsonl:2:36: invalid type: string",
        ),
        (r#"{"timestamp": 1, "input_length": 2}"#, "t.jsonl:2:35: missing field `output_length`"),
        (r#"{"timestamp": 1, "input_length": 2, "output_length": 1} x"#, "t.jsonl:2:57: trailing characters"),
        (r#"{"timestamp": 1, "input_length": 1e99, "output_length": 1}"#, "t.jsonl:2:34: prompt"),
        ("[1, 2]", "t.jsonl:2:"),
    ] {
        let shown = error("t.jsonl", format!("{head}{row}\n"), "auto");
        assert!(shown.starts_with(message), "{shown}");
        assert_eq!(read_as("t.jsonl", format!("{head}{row}\n"), "auto", true).unwrap().skipped, 1);
    }
    for (row, message) in [
        (r#"{"contexts": []}"#, "t:2:1: a step without sequences"),
        (r#"{"contexts": [1, 0]}"#, "t:2:1: context 0 is out of range"),
        (r#"{"contexts": [1], "repeat": 0}"#, "t:2:1: repeat 0 is out of range"),
        (r#"{"contexts": [1], "repeats": 2}"#, "t:2:27: unknown field `repeats`"),
        (r#"{"contexts": [-1]}"#, "t:2:16: invalid value: integer `-1`"),
    ] {
        let shown = error("t", format!("{{\"contexts\": [3]}}\n{row}\n"), "steps");
        assert!(shown.starts_with(message), "{shown}");
    }
}

#[test]
fn headers_that_are_not_recognised() {
    let shown = error("t.csv", "TIMESTAMP,ContextToken,GeneratedTokens\n1,2,3\n", "auto");
    assert!(shown.starts_with("t.csv:1:11: the format of this trace is not recognised"), "{shown}");
    assert!(shown.contains("'ContextToken': did you mean 'ContextTokens' (azure)?"), "{shown}");
    let json = error("t", r#"{"timestamp": 0, "input_lengths": 5, "output": 1}"#, "auto");
    assert!(json.contains("'input_lengths': did you mean 'input_length' (mooncake)?"), "{json}");
    for format in Format::all() {
        assert!(shown.contains(format.name()) && shown.contains(&format.shape()), "{shown}");
    }
    let shown = error("t.csv", "TIMESTAMP,ContextToken,GeneratedTokens\n1,2,3\n", "azure");
    assert!(shown.starts_with("t.csv:1:11: the header has no column 'ContextTokens'"), "{shown}");
    assert!(shown.contains("did you mean 'ContextTokens'?"), "{shown}");
    let shown = error("t.csv", "TIMESTAMP,ContextTokens,GeneratedTokens,TIMESTAMP\n1,2,3,4\n", "azure");
    assert!(shown.starts_with("t.csv:1:41: column 'TIMESTAMP' appears twice"), "{shown}");
    let both = "TIMESTAMP,ContextTokens,GeneratedTokens,num_prefill_tokens,num_decode_tokens\n";
    assert!(error("t.csv", both, "auto").contains("fits several formats: azure, vidur"));
    assert!(error("t.bin", b"\x00\x01\x02", "auto").contains("not recognised"));
    assert!(error("t.gz", b"\x1f\x8b\x08\x00\xff", "auto").contains("decompress it first"));
}

#[test]
fn files_without_rows() {
    for format in ["auto", "azure", "mooncake", "steps", "generated"] {
        assert_eq!(error("t", "\n \r\n", format), "'t' is empty; expected a trace of requests", "{format}");
    }
    assert_eq!(error("t", "TIMESTAMP,ContextTokens,GeneratedTokens\n", "auto"), "'t' has no rows");
    let shown = read_as("t", "TIMESTAMP,ContextTokens,GeneratedTokens\nx\ny\n", "auto", true).unwrap_err();
    assert!(
        shown
            .to_string()
            .starts_with("'t' has no usable row: all 2 were skipped; the first of them:\nt:2:1: "),
        "{shown}"
    );
}

#[test]
fn rows_that_are_not_text_or_too_long_are_bad_rows() {
    let mut bytes = AZURE.as_bytes().to_vec();
    bytes.extend_from_slice(b"\n2023-11-17 00:00:01,\xff,1\n");
    let at = AZURE.len() + 21;
    assert!(error("t", &bytes, "auto").contains(&format!("t:4:1: not UTF-8 text at byte {at} of the file")));
    assert_eq!(read_as("t", &bytes, "auto", true).unwrap().skipped, 1);
    let mut bytes = AZURE.as_bytes().to_vec();
    bytes.push(b'\n');
    bytes.resize(bytes.len() + lines::LONGEST_LINE + 1, b'1');
    assert!(error("t", &bytes, "auto").contains("the line is longer than 16 MiB"));
    assert_eq!(read_as("t", &bytes, "auto", true).unwrap().skipped, 1);
}

#[test]
fn directories_missing_files_and_long_spans() {
    let dir = tempfile::tempdir().unwrap();
    let shown = read(dir.path(), None, false).unwrap_err().to_string();
    assert!(shown.ends_with("it is a directory; expected a file"), "{shown}");
    let shown = read(&dir.path().join("none"), None, false).unwrap_err().to_string();
    assert!(shown.starts_with("cannot read '"), "{shown}");
    let file = dir.path().join("t.csv");
    std::fs::File::create(&file).unwrap().write_all(AZURE.as_bytes()).unwrap();
    assert_eq!(rows(&read(&file, None, false).unwrap()).len(), 2);
    let text = "arrived_at(s),num_prefill_tokens,num_decode_tokens\n0,1,1\n1e9,1,1\n";
    assert!(matches!(auto(text), Err(TraceError::Span(_))));
}

#[test]
fn format_names() {
    assert_eq!(Format::parse("auto").unwrap(), None);
    let shown = Format::parse("azzure").unwrap_err().to_string();
    assert!(
        shown.contains("expected one of auto, azure, ") && shown.ends_with("did you mean 'azure'?"),
        "{shown}"
    );
    assert!(!Format::parse("zzz").unwrap_err().to_string().contains("did you mean"));
}

/// Reading must not slow down with the number of rows, and copes with whatever a million rows hold.
#[test]
fn a_million_rows() {
    let mut text = String::from("TIMESTAMP,ContextTokens,GeneratedTokens\n");
    for i in 0..1_000_000_u32 {
        let (s, us) = (i / 100_000, i % 100_000);
        text += &format!("2023-11-16 18:17:{s:02}.{us:05}00,{},{}\n", 1 + i % 4096, 1 + i % 77);
    }
    let started = std::time::Instant::now();
    let trace = auto(&text).unwrap();
    println!("1,000,000 rows in {:?}", started.elapsed());
    assert_eq!(trace.summary().requests, 1_000_000);
}

#[test]
fn real_traces_where_they_are_at_hand() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/traces");
    for (name, format, requests) in
        [("AzureLLMInferenceTrace_code.csv", "azure", 8_819), ("synthetic_trace.jsonl", "mooncake", 3_993)]
    {
        let path = folder.join(name);
        if !path.exists() {
            println!("skipped: no {name} at hand");
            continue;
        }
        let trace = read(&path, None, false).unwrap();
        assert_eq!((trace.format.name(), trace.summary().requests), (format, requests));
        assert_eq!((trace.skipped, trace.notes.len()), (0, 0));
    }
}
