//! Whatever users get wrong: a clear message, the documented exit code, nothing printed, nothing half-written.

use crate::support::{fails, file, slimsim_in, stderr};

const ON: &str = "--accelerator a100-sxm --model codellama-7b";

#[test]
fn counts_that_are_none_name_their_option() {
    for (option, most) in [("--context", "2147483648"), ("--batch", "1048576")] {
        let others = if option == "--context" { String::new() } else { "--context 1k".to_owned() };
        for bad in [
            "0",
            "-1",
            "-5k",
            "1.5",
            "nan",
            "x",
            "1kk",
            "k",
            "99999999999",
            "18446744073709551616",
            "1,,2",
            "2,0",
        ] {
            // What begins like an option has to be written with '='.
            fails(
                &format!("run {ON} {others} {option}={bad}"),
                2,
                &[option, "expected a whole number", most],
            );
        }
        fails(&format!("run {ON} {others} {option} -3"), 2, &[option]);
        fails(&format!("run {ON} {others} {option}"), 2, &[option]);
    }
    fails(&format!("run {ON} --context 1k --threads 0"), 2, &["--threads"]);
}

#[test]
fn what_is_missing_is_asked_for() {
    fails("run --model codellama-7b --context 1", 2, &["no accelerator given", "slimsim list accelerators"]);
    fails("run --accelerator a100-sxm --context 1", 2, &["no model given", "slimsim list models"]);
    fails(&format!("run {ON}"), 2, &["no context given", "--context"]);
    fails(&format!("replay {ON}"), 2, &["<TRACE>"]);
    fails(&format!("plot {ON}"), 2, &["--out"]);
}

#[test]
fn misspelt_names_have_a_suggestion() {
    fails(
        "run -a a100 -m codellama-7b -n 1k",
        2,
        &["unknown accelerator 'a100'", "did you mean 'a100-sxm'?"],
    );
    fails(
        "run -a a100-sxm -m codelama-7b -n 1k",
        2,
        &["unknown model 'codelama-7b'", "did you mean 'codellama-7b'?"],
    );
    fails(
        &format!("run {ON} -n 1k -s slim_k"),
        2,
        &["--scheme: unknown scheme 'slim_k'", "did you mean 'slim-k'?"],
    );
    fails(&format!("run {ON} -n 1k -s kv-cache,zzz"), 2, &["unknown scheme 'zzz'", "slim-k-recompute"]);
    fails(
        &format!("run {ON} -n 1k --plan twopass"),
        2,
        &["--plan: unknown plan 'twopass'", "did you mean 'two-pass'?"],
    );
    fails(&format!("run {ON} -n 1k --kernels flash"), 2, &["unknown kernel profile 'flash'"]);
    fails(&format!("run {ON} -n 1k --cache-dtype bf61"), 2, &["--cache-dtype", "'bf61'", "fp8"]);
    fails(&format!("run {ON} -n 1k --format xml"), 2, &["--format", "table, json, csv"]);
    fails(&format!("run {ON} -n 1k --contxt 2"), 2, &["--contxt", "--context"]);
    fails(
        &format!("run {ON} -n 1k --set hbm.bandwith=1TB/s"),
        2,
        &["'bandwith'", "did you mean 'bandwidth'?"],
    );
    fails("show accelerator h100", 2, &["unknown accelerator 'h100'", "h100-sxm"]);
    fails("show kernal x", 2, &["expected accelerator, model, memory or kernels"]);
    fails("show kernel x", 2, &["unknown kernel profile 'x'", "'slimsim list kernels' shows the presets"]);
    fails("show kernels h100-sxm-sglan", 2, &["did you mean 'h100-sxm-sglang'?"]);
    fails("show kernels h100-sxm-sglang --set a=1", 2, &["a kernel profile takes no --set"]);
    fails("schema trace", 2, &["accelerator, model, memory, kernels, experiment, sweep"]);
    fails("list schemas", 2, &["schemes"]);
}

#[test]
fn names_in_experiments_are_shown_with_their_file() {
    let folder = tempfile::tempdir().unwrap();
    let common = "accelerator = \"a100-sxm\"\nmodel = \"codellama-7b\"\ncontext = 64\n";
    for (line, words) in [
        ("scheme = \"slimk\"", ["unknown scheme 'slimk'", "did you mean 'slim-k'?"]),
        ("plan = \"clusters\"", ["unknown plan 'clusters'", "did you mean 'cluster'?"]),
        ("kernels = \"x\"", ["x.toml:4:11: unknown kernel profile 'x'", "slimsim list kernels"]),
        ("contxt = 1", ["x.toml:4:1: unknown key 'contxt'", "did you mean 'context'?"]),
        ("batch = 0", ["x.toml:4:9", "batch"]),
    ] {
        let path = file(&folder, "x.toml", &format!("{common}{line}\n"));
        fails(&format!("run {}", path.display()), 2, &words);
    }
    let path = file(&folder, "x.toml", &format!("{common}scheme = \"slimk\"\n"));
    fails(&format!("run {}", path.display()), 2, &["x.toml: unknown scheme"]);
}

#[test]
fn files_that_cannot_be_read_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path().display();
    fails(&format!("run {here}/none.toml"), 2, &["none.toml", "no such file"]);
    fails(&format!("run {here}"), 2, &["directory"]);
    fails(&format!("run -a {here}/none.toml -m codellama-7b -n 1"), 2, &["none.toml", "no such file"]);
    fails(&format!("run -a a100-sxm -m {here} -n 1"), 2, &["directory"]);
    fails(&format!("replay {ON} {here}/none.csv"), 2, &["none.csv"]);
    fails(&format!("replay {ON} {here}"), 2, &["directory"]);
    let binary = folder.path().join("binary.toml");
    std::fs::write(&binary, [0xff, 0xfe, 0, 1]).unwrap();
    fails(&format!("run {}", binary.display()), 2, &["binary.toml:1:1", "not UTF-8"]);
}

#[cfg(unix)]
#[test]
fn a_file_without_permission_is_named() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder, "secret.toml", "context = 1\n");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o0)).unwrap();
    if std::fs::File::open(&path).is_ok() {
        eprintln!("skipped: this user may read everything");
        return;
    }
    fails(&format!("run {}", path.display()), 2, &["secret.toml", "permission denied"]);
    fails(&format!("replay {ON} {}", path.display()), 2, &["secret.toml"]);
}

#[test]
fn bad_traces_name_file_and_line() {
    let folder = tempfile::tempdir().unwrap();
    let header = "TIMESTAMP,ContextTokens,GeneratedTokens\n";
    let row = "2023-11-16 18:15:46.6805900,374,44\n";
    let replay = |content: &str, more: &str, words: &[&str]| {
        let path = file(&folder, "t.csv", content);
        fails(&format!("replay {ON} {} {more}", path.display()), 2, words);
    };
    replay("", "", &["t.csv' is empty"]);
    replay(header, "", &["t.csv", "no rows"]);
    replay(&format!("{header}{row}2023-11-16 18:15:50.0,12"), "", &["t.csv:3:"]);
    replay(&format!("{header}{row}{row}2023-11-16 18:15:50.0,x,4\n"), "", &["t.csv:4:", "'x'"]);
    replay(&format!("{header}2023-11-16 18:15:50.0,-3,4\n"), "", &["t.csv:2:", "-3"]);
    replay(
        &format!("{header}2023-11-16 18:15:50.0,-3,4\n"),
        "--skip-bad-rows",
        &["no usable row", "t.csv:2:"],
    );
    replay("a,b,c\n1,2,3\n", "", &["t.csv"]);
    replay(row, "--trace-format azur", &["unknown trace format 'azur'", "did you mean 'azure'?"]);
    let path = file(&folder, "t.csv", &format!("{header}{row}"));
    fails(&format!("replay {ON} {} --context 4", path.display()), 2, &["--context", "trace"]);
}

#[test]
fn folders_that_cannot_be_written_are_named_before_anything_is_computed() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder, "file", "");
    let trace =
        file(&folder, "t.csv", "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46.0,9,4\n");
    for bad in [path.display().to_string(), format!("{}/inside", path.display())] {
        fails(&format!("plot {ON} --out {bad}"), 2, &["cannot write", &bad]);
        fails(&format!("replay {ON} {} --out {bad}", trace.display()), 2, &["cannot write", &bad]);
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2, "nothing was left behind");
}

#[test]
fn every_error_of_a_file_is_shown_at_once() {
    let folder = tempfile::tempdir().unwrap();
    file(&folder, "x.toml", "accelerator = \"a1000\"\nmodel = \"gpt2\"\ncontext = 0\nbatch = \"x\"\n");
    let output = slimsim_in(folder.path(), &["run", "x.toml"]);
    let said = stderr(&output);
    for place in ["x.toml:1:15", "x.toml:2:9", "x.toml:3:11", "x.toml:4:9"] {
        assert!(said.contains(place), "{said}");
    }
    assert!(!said.contains('\u{1b}'), "no colours outside a terminal");
}

#[test]
fn a_machine_that_computes_no_type_that_wide_is_an_error() {
    fails(
        "run -a h100-sxm -m codellama-7b -n 1k -s kv-cache --set cores.mac_array.macs_per_cycle.bf16=0",
        2,
        &["macs_per_cycle"],
    );
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error() {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_slimsim"))
        .args(["list", "schemes"])
        .stdout(full)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).starts_with("error: cannot write to standard output: "), "{}", stderr(&output));
}
