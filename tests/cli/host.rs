//! `slimsim host verify`.

use crate::support::{fails, json, stderr, text};

#[test]
fn kernels_stay_within_their_bounds_and_schemes_are_told_apart() {
    let found = json("host verify --quick");
    assert_eq!(found["seed"], 1);
    assert_eq!(found["exceeded"].as_array().unwrap().len(), 0, "{found}");
    let layers = found["cases"].as_array().unwrap().len() * found["conditions"].as_array().unwrap().len();
    let kernels = found["kernel_errors"].as_array().unwrap();
    assert!(kernels.iter().any(|k| k["isa"] == "portable"));
    for kernel in kernels {
        let [runs, overflowed] = ["runs", "overflowed"].map(|key| kernel[key].as_u64().unwrap());
        assert_eq!(runs + overflowed, layers as u64, "{kernel}");
        let ratio = kernel["error_over_bound"].as_f64().unwrap();
        assert!(ratio > 0.0 && ratio <= 1.0, "{kernel}");
    }
    for entry in found["scheme_errors"].as_array().unwrap() {
        let [baseline, slim] = [0, 1].map(|at| entry["errors"][at].as_f64().unwrap());
        assert!(baseline < 0.01, "{entry}");
        if entry["condition"] == 1e6 {
            assert!(slim > 100.0 * baseline, "{entry}");
        }
    }
    let other = json("host verify --quick --seed 2");
    assert_ne!(other["scheme_errors"], found["scheme_errors"]);
}

#[test]
fn the_table_says_which_error_is_which() {
    let table = text("host verify --quick");
    for words in ["kernel error:", "scheme error:", "slim-k-recompute", "portable", "max |W_KV|", "bf16"] {
        assert!(table.contains(words), "'{words}' in\n{table}");
    }
    assert!(table.contains("kv-cache: fp32 never, bf16 never, fp16 never."), "{table}");
}

#[test]
fn what_it_cannot_do_is_refused() {
    fails("host verify --format csv", 2, &["expected one of table, json"]);
    fails("host verify --seed many", 2, &["--seed"]);
    let help = crate::support::slimsim("host");
    assert!(stderr(&help).contains("verify"), "{}", stderr(&help));
}

#[test]
fn validate_knows_what_kinds_of_file_it_writes_before_it_measures() {
    fails("host validate --plot x.gif", 2, &["'x.gif'", ".svg or .png"]);
    fails("host validate --out x.txt", 2, &["'x.txt'", ".json or .csv"]);
}
