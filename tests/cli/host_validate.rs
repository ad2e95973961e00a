//! `slimsim host validate` on a table and a machine that were written by hand.

use crate::support::{close, fails, file, json, paths, slimsim, stderr, stdout};
use serde_json::Value;
use std::fs;

const HOST: &str = "tests/data/host/host.toml";
const POINTS: &str = "tests/data/host/points.csv";

fn validate(host: &str, points: &str) -> String {
    format!("host validate --measured {points} --accelerator {host}")
}

/// A copy of a file of the tests in which `from` is `to`.
fn changed(folder: &tempfile::TempDir, path: &str, from: &str, to: &str) -> String {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.contains(from), "{path} is without {from}");
    let name = path.rsplit('/').next().unwrap();
    file(folder, name, &text.replace(from, to)).to_str().unwrap().to_owned()
}

#[test]
fn the_result_has_the_fields_that_scripts_read() {
    let found = json(&validate(HOST, POINTS));
    let points = found["points"].as_array().unwrap();
    assert_eq!(points.len(), 6);
    for point in points {
        for key in ["heads", "head_dim", "context", "batch", "threads"] {
            assert!(point[key].as_u64().unwrap() > 0, "{key} of {point}");
        }
        assert_eq!(point["dtype"], "fp32");
        assert!(point["tier"] == "dram" || point["tier"] == "cache", "{point}");
        let seconds = |what: &str, scheme: &str| point[what][scheme].as_f64().unwrap();
        for (ratio, what) in
            [("measured_ratio", "measured_seconds"), ("predicted_ratio", "predicted_seconds")]
        {
            close(point[ratio].as_f64().unwrap(), seconds(what, "kv-cache") / seconds(what, "slim-k"));
        }
        // Spreads of 3 % and 4 %.
        assert!((point["spread"].as_f64().unwrap() - 0.05).abs() < 1e-12, "{point}");
        assert!(point["roofline_ratio"].as_f64().unwrap() > 0.0);
    }
    assert_eq!(points[0]["measured_ratio"], 1.6);
    // 8 MiB of keys and values against 4 MiB of keys and 256 KiB of weights.
    assert!((points[0]["roofline_ratio"].as_f64().unwrap() - 8.0 / 4.25).abs() < 1e-12, "{}", points[0]);
    let summary = &found["summary"];
    for key in [
        "ratio_median_error",
        "ratio_p90_error",
        "winner_agreement",
        "time_median_error",
        "roofline_ratio_median_error",
    ] {
        assert!(summary[key].as_f64().unwrap() >= 0.0, "{key} of {summary}");
    }
    assert_eq!(summary["rejected_samples"], 12);
    // 3.2 ms against 3.1 ms are a ratio of 1.03.
    assert_eq!(summary["decided_points"], 5);
    assert!(!stdout(&slimsim(&format!("{} --format json", validate(HOST, POINTS)))).contains("null"));
}

#[test]
fn sums_are_those_of_the_points() {
    let found = json(&validate(HOST, POINTS));
    let of = |key: &'static str| {
        let points = found["points"].as_array().unwrap().iter();
        points.map(move |p| p[key].as_f64().unwrap()).collect::<Vec<_>>()
    };
    let measured = of("measured_ratio");
    for (key, sum) in
        [("predicted_ratio", "ratio_median_error"), ("roofline_ratio", "roofline_ratio_median_error")]
    {
        let mut errors: Vec<_> = of(key).iter().zip(&measured).map(|(p, m)| (p / m - 1.0).abs()).collect();
        errors.sort_by(f64::total_cmp);
        close(found["summary"][sum].as_f64().unwrap(), f64::midpoint(errors[2], errors[3]));
    }
    let decided: Vec<_> =
        of("predicted_ratio").into_iter().zip(measured).filter(|(_, m)| !(0.95..=1.05).contains(m)).collect();
    let right = decided.iter().filter(|(p, m)| (*p > 1.0) == (*m > 1.0)).count();
    close(found["summary"]["winner_agreement"].as_f64().unwrap(), right as f64 / decided.len() as f64);
}

#[test]
fn the_result_is_all_that_stdout_holds() {
    for format in ["json", "table"] {
        let output = slimsim(&format!("{} --format {format}", validate(HOST, POINTS)));
        assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(0), ""), "{format}");
        assert_eq!(serde_json::from_str::<Value>(&stdout(&output)).is_ok(), format == "json");
    }
    assert!(paths(&json(&validate(HOST, POINTS))).contains(&"summary.ratio_p90_error".to_owned()));
    fails(
        &format!("{} --format json", validate(HOST, "tests/bad-host/tiers.csv")),
        2,
        &["did you mean 'dram'?"],
    );
}

#[test]
fn figures_of_two_machines_are_refused_unless_forced() {
    let folder = tempfile::tempdir().unwrap();
    let other = changed(&folder, HOST, "a CPU", "another CPU");
    let line = validate(&other, POINTS);
    fails(&line, 2, &["two machines", "points.csv': a CPU, 2", "host.toml': another CPU, 2", "--force"]);
    assert_eq!(json(&format!("{line} --force")), {
        let mut same = json(&validate(HOST, POINTS));
        same["machine"] = "a CPU, 2 CPUs, portable, L2 1024 KiB, L3 16384 KiB".into();
        same
    });
    // Before anything is measured or calibrated: none of these takes time.
    fails(&format!("host validate --quick --accelerator {HOST}"), 2, &["two machines", "this machine: "]);
    fails(&format!("host validate --accelerator {HOST}"), 2, &["two machines", "host.toml': a CPU, 2"]);
    fails(&format!("host validate --measured {POINTS}"), 2, &["accelerator of this machine: "]);
}

#[test]
fn a_machine_that_is_not_named_is_remarked() {
    let folder = tempfile::tempdir().unwrap();
    let machine = "machine = \"a CPU, 2 CPUs, portable, L2 1024 KiB, L3 16384 KiB\"\n";
    let nameless = changed(&folder, HOST, machine, "");
    let output = slimsim(&validate(&nameless, POINTS));
    assert_eq!(output.status.code(), Some(0));
    assert!(stderr(&output).starts_with("note: the accelerator file does not say"), "{}", stderr(&output));
}

#[test]
fn threads_beyond_the_cores_are_refused_even_by_force() {
    let folder = tempfile::tempdir().unwrap();
    let wide = changed(&folder, POINTS, ",4,fp32,2,", ",4,fp32,3,");
    let line = format!("{} --force", validate(HOST, &wide));
    fails(&line, 2, &["points.csv:6:", "threads 3 are more than the cores of 'host', 2"]);
    // Measuring now, too, on a machine that has more of them; on another this would measure for minutes.
    if std::thread::available_parallelism().is_ok_and(|cpus| cpus.get() > 1) {
        let narrow = changed(&folder, HOST, "count = 2", "count = 1");
        let line = format!("host validate --force --accelerator {narrow}");
        fails(&line, 2, &["more than the cores of 'host', 1", "--quick"]);
    }
}

#[test]
fn accelerators_without_a_profile_of_their_own_are_refused() {
    for line in [
        validate("a100-sxm", POINTS),
        "host validate --accelerator a100-sxm --quick".to_owned(),
        format!("{} --force", validate("a100-sxm", POINTS)),
    ] {
        fails(&line, 2, &["'a100-sxm' has no [kernel_profile]", "slimsim host calibrate"]);
    }
    fails(&validate("no-such-file.toml", POINTS), 2, &["no-such-file.toml"]);
}

#[test]
fn types_that_were_not_calibrated_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let half = changed(&folder, POINTS, "fp32", "fp16");
    fails(&validate(HOST, &half), 3, &["fp16"]);
}

#[test]
fn what_is_no_file_of_rows_is_refused() {
    fails(&validate(HOST, "no-such.csv"), 2, &["cannot read 'no-such.csv'"]);
    fails(&validate(HOST, "tests"), 2, &["cannot read 'tests': it is a directory"]);
    let folder = tempfile::tempdir().unwrap();
    let header = fs::read_to_string(POINTS).unwrap().lines().next().unwrap().to_owned();
    let long = file(&folder, "long.csv", &format!("{header}\n{}\n", "9".repeat((16 << 20) + 5)));
    let line = validate(HOST, long.to_str().unwrap());
    fails(&line, 2, &["long.csv:2:1: the line is longer than 16 MiB"]);
    fails("host validate --quick --measured x.csv", 2, &["cannot be used with"]);
    fails(&format!("{} --format csv", validate(HOST, POINTS)), 2, &["expected one of table, json"]);
}
