//! Every file of `tests/bad-configs` is refused, with the text that stands beside it as `.stderr`.
//!
//! The folder decides what a file is read as. `UPDATE_STDERR=1 cargo test --test bad_configs` rewrites the texts: read the
//! difference before committing it.

#![allow(clippy::print_stderr, reason = "a test that is skipped says so")]

use std::fs;
use std::path::{Path, PathBuf};

use slimsim::config::{self, ConfigError, Overrides};

/// Reads a file as what its folder says; `None` if it is accepted.
fn refusal(folder: &str, path: &str) -> Option<ConfigError> {
    let none = Overrides::default();
    match folder {
        "accelerators" => config::load_accelerator(path, &none).err(),
        "memory" => config::load_memory(path).err(),
        "kernels" => config::load_kernels(path).err(),
        "models" => config::load_model(path, &none).err(),
        "experiments" => config::load_experiment(path).err(),
        "sweeps" => config::load_sweep(path).err(),
        "pins" => config::load_pins(path).err(),
        "paper" => config::paper::load_paper_table(path).err(),
        "overrides" => {
            // A file of arguments, a line each; `on NAME` says what they are applied to.
            let text = fs::read_to_string(path).expect("the arguments are readable");
            let mut lines = text.lines();
            let name = lines.next().and_then(|l| l.strip_prefix("on ")).expect("the first line is 'on NAME'");
            let arguments: Vec<&str> = lines.collect();
            match Overrides::parse(&arguments) {
                Err(error) => Some(error),
                Ok(set) if set.touch_model() => config::load_model(name, &set).err(),
                Ok(set) => config::load_accelerator(name, &set).err(),
            }
        }
        other => panic!("no reader for {other}"),
    }
}

/// The files of a folder that are no snapshots, sorted.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("the folder is readable");
    let mut paths: Vec<_> = entries.map(|e| e.expect("the entry is readable").path()).collect();
    paths.retain(|p| p.extension().is_none_or(|e| e != "stderr"));
    paths.sort();
    paths
}

#[test]
fn each_is_refused_as_recorded() {
    let update = std::env::var_os("UPDATE_STDERR").is_some();
    let (mut count, mut wrong) = (0, Vec::new());
    for folder in files(Path::new("tests/bad-configs")) {
        let kind = folder.file_name().and_then(|n| n.to_str()).expect("folders have plain names").to_owned();
        for path in files(&folder) {
            count += 1;
            // The same text on every system.
            let shown = path.to_string_lossy().replace('\\', "/");
            let Some(error) = refusal(&kind, &shown) else {
                wrong.push(format!("{shown} is accepted"));
                continue;
            };
            let text = format!("{error}\n");
            assert!(!text.contains('\u{1b}'), "{shown}: colour codes without a terminal");
            let snapshot = PathBuf::from(format!("{shown}.stderr"));
            if update {
                fs::write(&snapshot, &text).expect("the snapshot is writable");
            } else if fs::read_to_string(&snapshot).ok().as_deref() != Some(text.as_str()) {
                wrong.push(format!("{shown} is refused differently:\n{text}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}\n(UPDATE_STDERR=1 rewrites)", wrong.join("\n"));
    assert!(count >= 160, "only {count} bad files");
}

#[test]
fn no_snapshot_is_left_over() {
    for folder in files(Path::new("tests/bad-configs")) {
        for entry in fs::read_dir(&folder).expect("the folder is readable") {
            let path = entry.expect("the entry is readable").path();
            if path.extension().is_some_and(|e| e == "stderr") {
                assert!(path.with_extension("").exists(), "{} belongs to no file", path.display());
            }
        }
    }
}

#[test]
fn what_is_no_file_is_refused() {
    let none = Overrides::default();
    let text = |error: Option<ConfigError>| error.expect("it is refused").to_string();
    assert_eq!(
        text(config::load_accelerator("no/such/file.toml", &none).err()),
        "error: cannot read no/such/file.toml: no such file"
    );
    let directory = tempfile::Builder::new().suffix(".toml").tempdir().expect("a folder can be made");
    let path = directory.path().to_str().expect("its name is text").to_owned();
    let expected = format!("error: cannot read {path}: it is a directory, expected a file");
    assert_eq!(text(config::load_model(&path, &none).err()), expected);
    assert_eq!(text(config::load_accelerator(&path, &none).err()), expected);
    assert_eq!(text(config::load_experiment(&path).err()), expected);
    assert_eq!(text(config::load_sweep(&path).err()), expected);
    let unknown = text(config::load_model("codelama-7b", &none).err());
    assert!(unknown.starts_with("error: unknown model 'codelama-7b'"), "{unknown}");
    assert!(unknown.contains("did you mean 'codellama-7b'?"), "{unknown}");
}

#[cfg(unix)]
#[test]
fn an_unreadable_file_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let file = tempfile::Builder::new().suffix(".toml").tempfile().expect("a file can be made");
    fs::set_permissions(file.path(), fs::Permissions::from_mode(0o000)).expect("permissions can be taken");
    if fs::File::open(file.path()).is_ok() {
        eprintln!("skipped: this user may read every file");
        return;
    }
    let path = file.path().to_str().expect("its name is text");
    let error = config::load_accelerator(path, &Overrides::default()).expect_err("it is refused").to_string();
    assert_eq!(error, format!("error: cannot read {path}: permission denied"));
}
