//! Every table of `tests/bad-measured` is refused, or some of its rows are left out, with the text that stands beside it as `.stderr`.
//!
//! `UPDATE_STDERR=1 cargo test --test bad_measured` rewrites the texts: read the difference before committing it.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use slimsim::trace::measured::{self, MeasuredTable};

/// What a table is refused with, or what is said about its rows; `None` if nothing is.
fn complaints(path: &Path) -> Option<String> {
    let table = match measured::read(path) {
        Err(error) => return Some(format!("error: {error}\n")),
        Ok(table) => table,
    };
    let said = !table.skipped.is_empty() || !table.remarks.is_empty();
    said.then(|| describe(&table))
}

/// The counts, and every complaint.
fn describe(table: &MeasuredTable) -> String {
    let mut text = format!("{} rows, {} usable\n", table.outcomes.len(), table.measured().count());
    for (reason, count) in table.skipped.by_reason() {
        writeln!(text, "left out: {count} {reason}").expect("writing to a string succeeds");
    }
    for (reason, count) in table.remarks.by_reason() {
        writeln!(text, "kept: {count} {reason}").expect("writing to a string succeeds");
    }
    for tally in [&table.skipped, &table.remarks] {
        if !tally.is_empty() {
            write!(text, "\n{tally}\n").expect("writing to a string succeeds");
        }
    }
    text
}

/// The tables, sorted, or their texts.
fn files(texts: bool) -> Vec<PathBuf> {
    let entries = fs::read_dir("tests/bad-measured").expect("the folder is readable");
    let mut paths: Vec<_> = entries.map(|e| e.expect("the entry is readable").path()).collect();
    paths.retain(|p| p.extension().is_some_and(|e| e == "stderr") == texts);
    paths.sort();
    paths
}

#[test]
fn each_is_answered_as_recorded() {
    let update = std::env::var_os("UPDATE_STDERR").is_some();
    let mut wrong = Vec::new();
    let all = files(false);
    for path in &all {
        // The same text on every system.
        let shown = path.to_string_lossy().replace('\\', "/");
        let Some(text) = complaints(Path::new(&shown)) else {
            wrong.push(format!("{shown} is accepted"));
            continue;
        };
        assert!(!text.contains('\u{1b}'), "{shown}: colour codes without a terminal");
        let snapshot = PathBuf::from(format!("{shown}.stderr"));
        if update {
            fs::write(&snapshot, &text).expect("the snapshot is writable");
        } else if fs::read_to_string(&snapshot).ok().as_deref() != Some(text.as_str()) {
            wrong.push(format!("{shown} is answered differently:\n{text}"));
        }
    }
    assert!(wrong.is_empty(), "{}\n(UPDATE_STDERR=1 rewrites)", wrong.join("\n"));
    assert!(all.len() >= 20, "only {} bad tables", all.len());
}

#[test]
fn no_snapshot_is_left_over() {
    for path in files(true) {
        assert!(path.with_extension("").exists(), "{} belongs to no file", path.display());
    }
}
