//! `slimsim calibrate` and `slimsim validate`, and steps under a kernel profile.

use crate::support::{fails, json, slimsim_in, stderr, stdout, text};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

const HEADER: &str = "gpu,framework,version,kernel,kv_dtype,batch,heads,kv_heads,head_dim,context,latency_us";

/// A table of `rows` in a folder of its own; where it is.
fn table(rows: &[&str]) -> (tempfile::TempDir, String) {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("m.csv");
    fs::write(&path, format!("{HEADER}\n{}\n", rows.join("\n"))).unwrap();
    let path = path.to_string_lossy().into_owned();
    (place, path)
}

const GOOD: &str = "h100_sxm,sglang,0.5,fa3,bfloat16,8,32,32,128,8192,360";

#[test]
fn rows_are_judged_counted_and_written_again() {
    let rows = [
        GOOD,
        "h100_sxm,sglang,0.5,fa3,bfloat16,8,32,32,128,8192,361",
        "h100_smx,sglang,0.5,fa3,bfloat16,8,32,32,128,4096,180",
        "h100_sxm,mlc,0.5,fa3,bfloat16,8,32,32,128,4096,180",
        "h100_sxm,sglang,0.5,fa3,bfloat16,8,32,32,128,4096,0",
        "h100_sxm,sglang,0.5,fa3,bf17,8,32,32,128,4096,180",
        "h200_sxm,sglang,0.5,fa3,bfloat16,8,32,32,128,8192,260",
    ];
    let (place, path) = table(&rows);
    let found = json(&format!("validate --measured {path}"));
    assert_eq!(found["rows"], 2);
    assert_eq!(found["extrapolated_rows"], 1);
    for reason in [
        "duplicate point",
        "no preset for this GPU",
        "no kernel profile of this framework",
        "zero or negative latency",
        "unknown type",
    ] {
        assert_eq!(found["skipped"][reason], 1, "{reason} in {found}");
    }
    for key in ["mape", "median", "p90", "bias"] {
        assert!(found[key].as_f64().unwrap().abs() < 0.3, "{key} in {found}");
        assert!(
            found["by_regime"]["hbm"][key].is_number() && found["by_framework"]["sglang"][key].is_number()
        );
        for baseline in ["roofline", "launch_plus_bytes"] {
            assert!(found["baselines"][baseline][key].is_number(), "{found}");
        }
    }
    let output = slimsim_in(place.path(), &["validate", "--measured", "m.csv", "--out", "out.csv"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stdout(&output).contains("h200_sxm from h100-sxm"), "{}", stdout(&output));
    let said = stderr(&output);
    for words in
        ["m.csv:4:1: no accelerator preset for GPU 'h100_smx'", "did you mean 'h100_sxm'?", "m.csv:5:10:"]
    {
        assert!(said.contains(words), "{words} in\n{said}");
    }
    let written = fs::read_to_string(place.path().join("out.csv")).unwrap();
    let mut lines = written.lines();
    assert_eq!(lines.next().unwrap(), format!("{HEADER},predicted_us,extrapolated_from"));
    for (row, line) in rows.iter().zip(lines) {
        let added = line.strip_prefix(row).unwrap_or_else(|| panic!("{line}"));
        let predicted = added.trim_start_matches(',').split(',').next().unwrap();
        let judged = *row == GOOD || row.starts_with("h200");
        assert_eq!(predicted.parse::<f64>().is_ok(), judged, "{line}");
    }
}

#[test]
fn machines_profiles_and_frameworks_can_be_chosen() {
    let other = "h100_sxm,vllm,0.5,fa3,bfloat16,8,32,32,128,8192,360";
    let (_place, path) = table(&[GOOD, other]);
    let only = json(&format!("validate --measured {path} --framework sglang"));
    assert_eq!((only["rows"].as_u64(), only["skipped"]["another framework"].as_u64()), (Some(1), Some(1)));
    let all = json(&format!("validate --measured {path} --kernels h100-sxm-sglang"));
    assert_eq!(all["rows"], 2);
    assert_eq!(all["groups"][0]["profile"], "h100-sxm-sglang");
    // A machine of half the bandwidth takes about twice as long.
    let slower =
        json(&format!("validate --measured {path} --accelerator a100-sxm --kernels h100-sxm-sglang"));
    assert!(slower["bias"].as_f64().unwrap() > all["bias"].as_f64().unwrap() + 0.4, "{slower}");
    // What fits the L2 is read from memory within a decode step.
    let (_place, small) = table(&["h100_sxm,sglang,0.5,fa3,bfloat16,8,32,32,128,128,13"]);
    let at = |l2: &str| json(&format!("validate --measured {small} --l2 {l2}"))["bias"].as_f64().unwrap();
    assert!(at("cold") > at("hot"));
}

#[test]
fn tables_that_say_nothing_are_refused() {
    let (place, path) = table(&["h100_smx,sglang,0.5,fa3,bfloat16,8,32,32,128,4096,180"]);
    fails(&format!("validate --measured {path}"), 2, &["no row of", "no preset for this GPU: 1"]);
    fails(
        &format!("validate --measured {path} --kernels h100-sxm-sglng"),
        2,
        &["did you mean 'h100-sxm-sglang'?"],
    );
    let write = |name: &str, text: &str| {
        fs::write(place.path().join(name), text).unwrap();
        place.path().join(name).to_string_lossy().into_owned()
    };
    let missing = write("missing.csv", "gpu,framework,kernel,batch,heads,kv_heads,head_dim,latency_us\n");
    fails(&format!("validate --measured {missing}"), 2, &["missing.csv:1:", "context"]);
    let unit = write("unit.csv", &format!("{}\n{GOOD}\n", HEADER.replace("latency_us", "latency_parsecs")));
    fails(&format!("validate --measured {unit}"), 2, &["unit.csv:1:"]);
    let empty = write("empty.csv", "");
    fails(&format!("validate --measured {empty}"), 2, &["empty"]);
    fails("validate --measured nowhere.csv", 2, &["nowhere.csv"]);
}

/// Rows of a made-up machine: 9 µs, and all bytes at 3 TB/s, 8 TB/s from the L2.
fn made(place: &Path, contexts: &[u64]) -> String {
    let mut text = format!("{HEADER}\n");
    for heads in [8u64, 16, 32] {
        for batch in [1u64, 4, 16, 64] {
            for context in contexts {
                let bytes = 2 * batch * heads * 128 * context * 2;
                let rate = if bytes < 30_000_000 { 8e12 } else { 3e12 };
                let us = 9.0 + bytes as f64 / rate * 1e6;
                writeln!(text, "h100_sxm,mine,1,k,bfloat16,{batch},{heads},{heads},128,{context},{us:.3}")
                    .unwrap();
            }
        }
    }
    let path = place.join("made.csv");
    fs::write(&path, text).unwrap();
    path.to_string_lossy().into_owned()
}

#[test]
fn a_calibrated_profile_is_a_file_that_other_commands_take() {
    let place = tempfile::tempdir().unwrap();
    let path = made(place.path(), &[256, 1000, 4096, 16_384, 50_000]);
    let profile = place.path().join("mine.toml").to_string_lossy().into_owned();
    let line = format!("calibrate --measured {path} --accelerator h100-sxm --framework mine -o {profile}");
    let told = text(&line);
    assert!(told.contains("mine.toml: 1 kernel of mine"), "{told}");
    let first = fs::read(&profile).unwrap();
    text(&line);
    assert_eq!(fs::read(&profile).unwrap(), first, "the same rows and seed make another profile");
    assert!(text(&format!("show kernels {profile}")).contains("framework = \"mine\""));
    let found = json(&format!("validate --measured {path} --kernels {profile}"));
    assert_eq!(found["rows"], 60);
    assert!(found["mape"].as_f64().unwrap() < 0.1, "{found}");
    let on = "run -a h100-sxm -m codellama-7b -n 4096 -b 8 --scheme kv-cache";
    let step = json(&format!("{on} --kernels {profile}"));
    assert_eq!(step["kernels"], "mine");
    assert_eq!(step["points"][0]["mapping"]["plan"], "kernel");
    let (freely, profiled) = (json(on), step);
    let point = |found: &serde_json::Value, key: &str| found["points"][0][key].clone();
    assert_eq!(
        point(&freely, "traffic_bytes")["cache_read"],
        point(&profiled, "traffic_bytes")["cache_read"]
    );
    assert_ne!(point(&freely, "seconds"), point(&profiled, "seconds"));
    let causes: u64 =
        point(&profiled, "cycles_by_cause").as_object().unwrap().values().map(|c| c.as_u64().unwrap()).sum();
    assert_eq!(point(&profiled, "cycles").as_u64(), Some(causes));
    assert!(point(&profiled, "seconds").as_f64() > point(&profiled, "bounds_seconds")["bandwidth"].as_f64());
}

#[test]
fn what_cannot_be_fitted_is_refused() {
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("p.toml").to_string_lossy().into_owned();
    let small = made(place.path(), &[128, 160, 200, 230]);
    let on = |path: &str, framework: &str| {
        format!("calibrate --measured {path} --accelerator h100-sxm --framework {framework} -o {out}")
    };
    // 64 sequences of 32 heads alone reach the memory.
    let few: Vec<String> = fs::read_to_string(&small)
        .unwrap()
        .lines()
        .filter(|l| !l.contains(",64,"))
        .map(str::to_owned)
        .collect();
    fs::write(&small, few.join("\n")).unwrap();
    fails(&on(&small, "mine"), 2, &["no kernel could be fitted"]);
    fails(
        &on(&small, "mime"),
        2,
        &["no row is of GPU 'h100-sxm' and framework 'mime'", "did you mean 'mine'?"],
    );
    assert!(!Path::new(&out).exists());
    fails(
        "run -a h100-sxm -m codellama-7b -n 64 --kernels nothing",
        2,
        &["unknown kernel profile 'nothing'"],
    );
    fails("crossover -a h100-sxm -m codellama-7b --lead 0", 2, &["--lead"]);
}
