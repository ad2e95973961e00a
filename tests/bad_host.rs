//! Every table of `tests/bad-host` is refused by `slimsim host validate` with the text that stands beside it as `.stderr`.
//!
//! `UPDATE_STDERR=1 cargo test --test bad_host` rewrites the texts: read the difference before committing it.

#![cfg(feature = "host")]
#![allow(clippy::expect_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::PathBuf;

/// What the table at `path` is refused with.
fn said(path: &str) -> String {
    let output = assert_cmd::Command::new(env!("CARGO_BIN_EXE_slimsim"))
        .args(["host", "validate", "--accelerator", "tests/data/host/host.toml", "--measured", path])
        .output()
        .expect("the program runs");
    let text = String::from_utf8(output.stderr).expect("messages are text");
    assert_eq!(output.status.code(), Some(2), "{path}\n{text}");
    assert!(output.stdout.is_empty(), "{path} prints a result");
    text
}

/// The tables, sorted, or their texts.
fn files(texts: bool) -> Vec<PathBuf> {
    let entries = fs::read_dir("tests/bad-host").expect("the folder is readable");
    let mut paths: Vec<_> = entries.map(|e| e.expect("the entry is readable").path()).collect();
    paths.retain(|p| p.extension().is_some_and(|e| e == "stderr") == texts);
    paths.sort();
    paths
}

#[test]
fn each_is_refused_as_recorded() {
    let update = std::env::var_os("UPDATE_STDERR").is_some();
    let mut wrong = Vec::new();
    let all = files(false);
    for path in &all {
        // The same text on every system.
        let shown = path.to_string_lossy().replace('\\', "/");
        let text = said(&shown);
        assert!(!text.contains('\u{1b}'), "{shown}: a terminal is steered");
        assert!(text.starts_with("error: ") && !text.contains("panicked"), "{shown}: {text}");
        let snapshot = PathBuf::from(format!("{shown}.stderr"));
        if update {
            fs::write(&snapshot, &text).expect("the snapshot is writable");
        } else if fs::read_to_string(&snapshot).ok().as_deref() != Some(text.as_str()) {
            wrong.push(format!("{shown} is refused differently:\n{text}"));
        }
    }
    assert!(wrong.is_empty(), "{}\n(UPDATE_STDERR=1 rewrites)", wrong.join("\n"));
    assert!(all.len() >= 25, "only {} bad tables", all.len());
}

#[test]
fn no_snapshot_is_left_over() {
    for path in files(true) {
        assert!(path.with_extension("").exists(), "{} belongs to no file", path.display());
    }
}
