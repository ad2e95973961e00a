//! Every table of `tests/bad-host` is refused by `slimsim host validate` with the text that stands beside it as `.stderr`.
//!
//! `UPDATE_STDERR=1 cargo test --test bad_host` rewrites the texts: read the difference before committing it.

#![cfg(feature = "host")]
#![allow(clippy::expect_used, reason = "a test fails by panicking")]

mod snapshots;

use std::path::Path;

const FOLDER: &str = "tests/bad-host";

/// What the table at `path` is refused with.
fn said(path: &str) -> String {
    let output = assert_cmd::Command::new(env!("CARGO_BIN_EXE_slimsim"))
        .args(["host", "validate", "--accelerator", "tests/data/host/host.toml", "--measured", path])
        .output()
        .expect("the program runs");
    let text = String::from_utf8(output.stderr).expect("messages are text");
    assert_eq!(output.status.code(), Some(2), "{path}\n{text}");
    assert!(output.stdout.is_empty(), "{path} prints a result");
    assert!(text.starts_with("error: ") && !text.contains("panicked"), "{path}: {text}");
    text
}

#[test]
fn each_is_refused_as_recorded() {
    snapshots::hold(&snapshots::files(Path::new(FOLDER)), 25, |path| Some(said(path)));
}

#[test]
fn no_snapshot_is_left_over() {
    snapshots::none_left_over(Path::new(FOLDER));
}
