//! Every file of `tests/bad-configs` is refused, with the text that stands beside it as `.stderr`.
//!
//! The folder decides what a file is read as. `UPDATE_STDERR=1 cargo test --test bad_configs` rewrites the texts: read the
//! difference before committing it.

#![allow(clippy::print_stderr, reason = "a test that is skipped says so")]

mod snapshots;

use std::fs;
use std::path::{Path, PathBuf};

use slimsim::config::{self, ConfigError, Overrides};

const FOLDER: &str = "tests/bad-configs";

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

#[test]
fn each_is_refused_as_recorded() {
    let files: Vec<PathBuf> =
        snapshots::files(Path::new(FOLDER)).iter().flat_map(|f| snapshots::files(f)).collect();
    snapshots::hold(&files, 160, |path| {
        let kind = path.rsplit('/').nth(1).expect("files lie in folders");
        refusal(kind, path).map(|error| format!("{error}\n"))
    });
}

#[test]
fn no_snapshot_is_left_over() {
    snapshots::files(Path::new(FOLDER)).iter().for_each(|folder| snapshots::none_left_over(folder));
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
