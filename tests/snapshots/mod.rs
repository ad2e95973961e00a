//! Bad files, and what is said of each, which stands beside it as `.stderr`.
//!
//! `UPDATE_STDERR=1 cargo test --test NAME` rewrites the texts: read the difference before committing it.

use std::fs;
use std::path::{Path, PathBuf};

/// Whether a path is a text, not a file that it is about.
fn is_text(path: &Path) -> bool {
    path.extension().is_some_and(|e| e == "stderr")
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("the folder is readable");
    let mut paths: Vec<_> = entries.map(|e| e.expect("the entry is readable").path()).collect();
    paths.sort();
    paths
}

/// The files of a folder that are no texts, sorted.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    entries(folder).into_iter().filter(|path| !is_text(path)).collect()
}

/// Holds what is `said` of each of `files`, `least` at least, to its text; of a file that is accepted nothing is said.
pub(crate) fn hold(files: &[PathBuf], least: usize, said: impl Fn(&str) -> Option<String>) {
    let update = std::env::var_os("UPDATE_STDERR").is_some();
    let mut wrong = Vec::new();
    for path in files {
        // The same text on every system.
        let shown = path.to_string_lossy().replace('\\', "/");
        let Some(text) = said(&shown) else {
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
    assert!(files.len() >= least, "only {} bad files", files.len());
}

/// Asserts that each text in a folder belongs to a file.
pub(crate) fn none_left_over(folder: &Path) {
    for path in entries(folder).into_iter().filter(|path| is_text(path)) {
        assert!(path.with_extension("").exists(), "{} belongs to no file", path.display());
    }
}
