//! Results of `run`, `list`, `show` and `schema`.

use crate::support::{close, file, json, paths, slimsim, slimsim_in, stderr, stdout, text};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

const CODELLAMA: &str = "run --accelerator a100-sxm --model codellama-7b";

/// The fields of a point that scripts may rely on.
const POINT: &str = "context batch scheme feasible infeasible_reason seconds cycles tokens_per_second speedup \
    capacity_bytes.weights capacity_bytes.cache capacity_bytes.cache_self capacity_bytes.cache_cross \
    capacity_bytes.activations capacity_bytes.total capacity_bytes.available \
    traffic_bytes.weights traffic_bytes.cache_read traffic_bytes.cache_reread traffic_bytes.cache_write \
    traffic_bytes.activations traffic_bytes.spill traffic_bytes.exchange traffic_bytes.total \
    flops.projection flops.attention flops.recompute flops.ffn flops.lm_head flops.total \
    vector_ops.softmax vector_ops.rotary vector_ops.other \
    cycles_by_cause.compute cycles_by_cause.vector cycles_by_cause.bandwidth cycles_by_cause.latency \
    cycles_by_cause.sram cycles_by_cause.exchange cycles_by_cause.overhead \
    bounds_seconds.bandwidth bounds_seconds.compute energy_joules \
    mapping.plan mapping.token_split mapping.cluster mapping.head_groups mapping.passes mapping.tile_tokens mapping.reason";

#[test]
fn json_has_the_fields_of_the_interface() {
    let document = json(&format!("{CODELLAMA} --context 4096"));
    let top: Vec<_> = document.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(top, ["slimsim", "accelerator", "model", "weight_dtype", "cache_dtype", "points"]);
    assert_eq!(document["slimsim"], env!("CARGO_PKG_VERSION"));
    assert_eq!((&document["weight_dtype"], &document["cache_dtype"]), (&"bf16".into(), &"bf16".into()));
    let points = document["points"].as_array().unwrap();
    assert_eq!(points.len(), 2);
    for point in points {
        let there = paths(point);
        for field in POINT.split_whitespace() {
            assert!(there.iter().any(|p| p == field), "no field {field} in {point:#}");
        }
        check_sums(point);
    }
}

/// Counts are integers, parts sum to their totals, time is above its bounds.
fn check_sums(point: &Value) {
    let sum_but = |table: &str, leave: &[&str]| -> u64 {
        let fields = point[table].as_object().unwrap();
        let parts = fields.iter().filter(|(name, _)| !leave.contains(&name.as_str()));
        parts.map(|(name, v)| v.as_u64().unwrap_or_else(|| panic!("{table}.{name} is {v}"))).sum()
    };
    let total = |table: &str| point[table]["total"].as_u64().unwrap();
    assert_eq!(sum_but("traffic_bytes", &["total"]), total("traffic_bytes"));
    assert_eq!(sum_but("flops", &["total"]), total("flops"));
    assert_eq!(sum_but("cycles_by_cause", &[]), point["cycles"].as_u64().unwrap());
    sum_but("vector_ops", &[]);
    let capacity = sum_but("capacity_bytes", &["total", "available", "cache_self", "cache_cross"]);
    assert_eq!(capacity, total("capacity_bytes"));
    let seconds = point["seconds"].as_f64().unwrap();
    for bound in point["bounds_seconds"].as_object().unwrap().values() {
        assert!(seconds >= bound.as_f64().unwrap(), "{point:#}");
    }
}

#[test]
fn points_and_schemes_come_in_the_order_asked_for() {
    let document = json(&format!("{CODELLAMA} --context 2048,1k --batch 4,1 --scheme slim-k,kv-cache"));
    let order: Vec<_> = document["points"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| format!("{} {} {}", p["context"], p["batch"], p["scheme"].as_str().unwrap()))
        .collect();
    let expected = [
        "2048 4 slim-k",
        "2048 4 kv-cache",
        "2048 1 slim-k",
        "2048 1 kv-cache",
        "1024 4 slim-k",
        "1024 4 kv-cache",
        "1024 1 slim-k",
        "1024 1 kv-cache",
    ];
    assert_eq!(order, expected);
}

#[test]
fn speedup_is_over_the_baseline_even_where_that_is_not_shown() {
    let both = json(&format!("{CODELLAMA} --context 8192"));
    let alone = json(&format!("{CODELLAMA} --context 8192 --scheme slim-k"));
    assert_eq!(alone["points"].as_array().unwrap().len(), 1);
    assert_eq!(alone["points"][0], both["points"][1]);
    assert_eq!(both["points"][0]["speedup"], 1.0);
    let ratio =
        both["points"][0]["seconds"].as_f64().unwrap() / both["points"][1]["seconds"].as_f64().unwrap();
    close(both["points"][1]["speedup"].as_f64().unwrap(), ratio);
}

#[test]
fn csv_has_the_same_fields_one_row_a_point() {
    let line = format!("{CODELLAMA} --context 1k,2k");
    let csv = text(&format!("{line} --format csv"));
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let header: Vec<String> = reader.headers().unwrap().iter().map(str::to_owned).collect();
    for field in POINT.split_whitespace() {
        assert!(header.iter().any(|h| h == field), "no column {field}");
    }
    let document = json(&line);
    let points = document["points"].as_array().unwrap();
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), points.len());
    for (row, point) in rows.iter().zip(points) {
        for (column, cell) in header.iter().zip(row) {
            let value = column.split('.').fold(point, |at, name| &at[name]);
            match value {
                Value::Null => assert_eq!(cell, "", "{column}"),
                Value::String(text) => assert_eq!(cell, text, "{column}"),
                Value::Number(number) if number.is_f64() => {
                    close(cell.parse().unwrap(), number.as_f64().unwrap());
                }
                other => assert_eq!(cell, other.to_string(), "{column}"),
            }
        }
    }
}

#[test]
fn several_machines_make_several_documents() {
    let line = "run --accelerator h100-sxm,tpu-v5p --model codellama-7b,mpt-7b-8k --context 1k";
    let documents = json(line);
    let names: Vec<_> = documents
        .as_array()
        .unwrap()
        .iter()
        .map(|d| format!("{} {}", d["accelerator"].as_str().unwrap(), d["model"].as_str().unwrap()))
        .collect();
    let expected =
        ["h100-sxm codellama-7b", "h100-sxm mpt-7b-8k", "tpu-v5p codellama-7b", "tpu-v5p mpt-7b-8k"];
    assert_eq!(names, expected);
    let csv = text(&format!("{line} --format csv"));
    assert!(csv.starts_with("accelerator,model,context,batch,scheme,"), "{csv}");
    assert_eq!(csv.lines().count(), 1 + 8);
    let table = text(line);
    assert!(
        names.iter().all(|n| table.contains(&n.split(' ').rev().collect::<Vec<_>>().join(" on "))),
        "{table}"
    );
}

#[test]
fn threads_change_nothing() {
    for format in ["json", "csv", "table"] {
        let run = |threads: u32| {
            text(&format!(
                "run --accelerator tpu-v5p --model codellama-7b --context 512,1k,2k,3k,4k,8k,9k,16k --batch 1,2,3,7,16 \
                 --format {format} --threads {threads}"
            ))
        };
        let one = run(1);
        assert_eq!(one, run(2), "{format}");
        assert_eq!(one, run(2), "{format}, again");
    }
}

#[test]
fn a_reader_that_stops_early_is_no_failure() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_slimsim"))
        .args(CODELLAMA.split(' '))
        .args(["--format", "json", "--context"])
        .arg((1..=200).map(|n| (n * 64).to_string()).collect::<Vec<_>>().join(","))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    // 400 points are more than a pipe holds: the command still writes when its reader goes.
    BufReader::with_capacity(16, child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    assert_eq!(first, "{\n");
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!((child.wait().unwrap().code(), said.as_str()), (Some(0), ""));
}

#[test]
fn an_infeasible_point_has_a_reason_and_no_numbers() {
    let document =
        json("run --accelerator a100-sxm --model bloom --context 2048,1k --set hbm.capacity=400GB");
    let points = document["points"].as_array().unwrap();
    assert!(points.iter().all(|p| p["feasible"] == true), "room for all");
    // BLOOM's 176 billion parameters do not fit 80 GB, and only the sequence count can be made smaller.
    let output = slimsim("run --accelerator a100-sxm --model bloom --context 2048 --format json");
    assert_eq!(output.status.code(), Some(3));
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    for point in document["points"].as_array().unwrap() {
        assert_eq!(point["feasible"], false);
        assert!(point["infeasible_reason"].as_str().unwrap().contains("GB short"), "{point:#}");
        for field in ["seconds", "cycles", "speedup", "traffic_bytes", "flops", "mapping", "energy_joules"] {
            assert_eq!(point[field], Value::Null, "{field}");
        }
        assert!(point["capacity_bytes"]["total"].as_u64() > point["capacity_bytes"]["available"].as_u64());
    }
    assert!(
        stderr(&output).starts_with("error: nothing that was asked for can run: "),
        "{}",
        stderr(&output)
    );
}

#[test]
fn a_machine_without_external_memory_says_how_many_chips_it_takes() {
    let output = slimsim("run --accelerator groq-lpu --model codellama-7b --context 4k");
    assert_eq!(output.status.code(), Some(3));
    let said = stdout(&output);
    assert!(said.contains("GB short") && said.contains("chips to hold it"), "{said}");
}

#[test]
fn the_table_says_why_slim_k_wins_or_not() {
    for machine in ["h100-sxm", "tpu-v5p"] {
        let said = text(&format!("run --accelerator {machine} --model codellama-7b --context 16k --batch 8"));
        let words = said.split_once("\nslim-k:").unwrap().1;
        for word in ["over the kept rows", "read from memory", "attention is limited by", "pass"] {
            assert!(words.contains(word), "{machine}, without '{word}': {said}");
        }
    }
}

#[test]
fn a_scheme_that_a_model_does_not_admit_is_a_point_unless_it_was_named() {
    let document =
        json("run --accelerator h100-sxm --model codellama-7b --set model.kv_heads=8 --context 4k");
    let slim = &document["points"][1];
    assert_eq!((&slim["scheme"], &slim["feasible"]), (&"slim-k".into(), &false.into()));
    assert!(slim["infeasible_reason"].as_str().unwrap().contains("grouped-query attention"), "{slim:#}");
    crate::support::fails(
        "run --accelerator h100-sxm --model codellama-7b --set model.kv_heads=8 --context 4k --scheme slim-k",
        2,
        &["slim-k cannot run codellama-7b", "grouped-query attention"],
    );
}

#[test]
fn a_context_beyond_the_models_own_is_run_with_a_warning() {
    let output = slimsim("run --accelerator h100-sxm --model mpt-7b-8k --context 32k,1k --format csv");
    assert_eq!(output.status.code(), Some(0));
    let warning = "warning: context 32768 is longer than the 8192 tokens that mpt-7b-8k was made for\n";
    assert_eq!(stderr(&output), warning);
    assert_eq!(stdout(&output).lines().count(), 5);
}

#[test]
fn options_replace_what_an_experiment_says() {
    let folder = tempfile::tempdir().unwrap();
    file(&folder, "machine.toml", &text("show accelerator h100-sxm --set cores.count=8"));
    let experiment = "accelerator = [\"machine.toml\", \"tpu-v5p\"]\nmodel = \"codellama-7b\"\ncontext = [1024, 2048]\n\
        batch = 2\nscheme = \"slim-k\"\ncache_dtype = \"fp8\"\nset = { \"model.layers\" = 2 }\n";
    let path = file(&folder, "x.toml", experiment);
    let path = path.to_str().unwrap();
    let documents = json(&format!("run {path}"));
    assert_eq!(documents.as_array().unwrap().len(), 2);
    assert_eq!(documents[0]["cache_dtype"], "fp8");
    assert_eq!(documents[0]["points"].as_array().unwrap().len(), 2);
    let one = json(&format!(
        "run {path} --accelerator a100-sxm --context 512 --batch 1 --scheme kv-cache --cache-dtype bf16 --set model.layers=3"
    ));
    assert_eq!((&one["accelerator"], &one["cache_dtype"]), (&"a100-sxm".into(), &"bf16".into()));
    let point = &one["points"][0];
    assert_eq!((&point["context"], &point["batch"]), (&512.into(), &1.into()));
    // 3 layers of K and V, 4096 wide, 2 bytes each.
    assert_eq!(point["traffic_bytes"]["cache_read"], 3 * 2 * 4096 * 2 * 512);
}

#[test]
fn presets_and_files_work_from_any_folder() {
    let folder = tempfile::tempdir().unwrap();
    let config = r#"{"model_type": "llama", "hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32,
        "num_key_value_heads": 32, "intermediate_size": 11008, "vocab_size": 32016, "max_position_embeddings": 16384,
        "hidden_act": "silu", "tie_word_embeddings": false}"#;
    std::fs::create_dir(folder.path().join("mine")).unwrap();
    std::fs::write(folder.path().join("mine/config.json"), config).unwrap();
    let run = |model| {
        let arguments = ["run", "-a", "ideal-memory-bound", "-m", model, "-n", "4k", "--format", "json"];
        let output = slimsim_in(folder.path(), &arguments);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    let (preset, own) = (run("codellama-7b"), run("mine/config.json"));
    assert_eq!(own["model"], "mine");
    assert_eq!(preset["points"], own["points"]);
}

#[test]
fn what_is_shown_is_a_file_that_gives_the_same_results() {
    let folder = tempfile::tempdir().unwrap();
    let machine = file(&folder, "a.toml", &text("show accelerator tpu-v5p"));
    let model = file(&folder, "m.toml", &text("show model vicuna-7b-16k"));
    let own = text(&format!("run -a {} -m {} -n 1k,16k --format json", machine.display(), model.display()));
    assert_eq!(own, text("run -a tpu-v5p -m vicuna-7b-16k -n 1k,16k --format json"));
    let shown = text("show accelerator h100-sxm --set cores.count=100");
    assert!(shown.contains("count = 100  # --set"), "{shown}");
}

#[test]
fn lists_name_every_preset_and_scheme() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("configs");
    for what in ["accelerators", "models", "memory", "kernels"] {
        let list = text(&format!("list {what}"));
        for entry in std::fs::read_dir(root.join(what)).unwrap() {
            let name = entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned();
            assert!(list.contains(&format!(" {name} ")), "{name} is not in\n{list}");
        }
    }
    let schemes = text("list schemes");
    assert!(["kv-cache", "slim-k", "slim-k-recompute"].iter().all(|s| schemes.contains(s)));
    let kernels = text("list kernels");
    assert!(kernels.contains(" fa3 "), "{kernels}");
    assert_eq!(text("show kernel h100-sxm-sglang"), text("show kernels h100-sxm-sglang"));
    let models = text("list models");
    assert!(
        models.contains("mpt-30b: Sources conflict.")
            && models.contains("stable-lm2-1.6b: Sources conflict.")
    );
    for part in
        ["encoder 4×1500", "experts 8 of 64, QK norm", "cache in 3, K bias", "encoder 24×1536, 1 step "]
    {
        assert!(models.contains(part), "{part} is not in\n{models}");
    }
}

#[test]
fn schemas_are_those_that_are_committed() {
    for kind in ["accelerator", "model", "experiment", "sweep"] {
        let committed = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
            .join(format!("configs/schema/{kind}.schema.json"));
        assert_eq!(text(&format!("schema {kind}")), std::fs::read_to_string(committed).unwrap());
    }
}

#[test]
fn help_and_version_go_to_stdout() {
    assert!(text("--version").starts_with(concat!("slimsim ", env!("CARGO_PKG_VERSION"))));
    for command in ["run", "replay", "plot", "list", "show", "schema"] {
        assert!(text("--help").contains(command));
        assert!(text(&format!("{command} --help")).contains("Usage: slimsim"), "{command}");
    }
}
