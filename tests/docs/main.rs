//! The documentation says what the program does: every command in it is run and every output shown is compared; tables of keys,
//! pictures and the example output are what the program makes now.
//!
//! `UPDATE_DOCS=1 cargo test --test docs` writes them anew.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod commands;
mod example;
mod keys;

use std::path::{Path, PathBuf};

/// The project's root.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Held by whatever reads a page to write it anew.
static PAGES: std::sync::Mutex<()> = std::sync::Mutex::new(());

/// Whether to write what is stale instead of failing.
fn update() -> bool {
    std::env::var_os("UPDATE_DOCS").is_some_and(|v| v == "1")
}

/// Holds a committed file to what was made now.
fn hold(committed: &Path, made: &[u8]) {
    if std::fs::read(committed).ok().as_deref() == Some(made) {
        return;
    }
    if update() {
        std::fs::create_dir_all(committed.parent().unwrap()).unwrap();
        std::fs::write(committed, made).unwrap();
        return;
    }
    panic!("{} is stale: UPDATE_DOCS=1 cargo test --test docs", committed.display());
}

/// Pictures are drawn alike everywhere, but rendered by code that may round differently on another kind of processor.
fn comparable(path: &Path) -> bool {
    path.extension().is_none_or(|e| e != "png") || update() || cfg!(target_arch = "x86_64")
}

/// A folder to work in: what the project's root offers to a reader who follows the documentation.
fn workplace() -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    for shared in ["configs", "docs", "traces"] {
        std::os::unix::fs::symlink(root().join(shared), place.path().join(shared)).unwrap();
    }
    std::fs::create_dir(place.path().join("bin")).unwrap();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_slimsim"), place.path().join("bin/slimsim")).unwrap();
    place
}

/// Runs a line of shell in `place` with the program under test on its path: what it wrote, and whether all went well.
fn shell(place: &Path, line: &str) -> (String, bool) {
    let mut path = vec![place.join("bin")];
    path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    let output = std::process::Command::new("sh")
        .args(["-c", &format!("exec 2>&1\n{line}")])
        .current_dir(place)
        .env("PATH", std::env::join_paths(path).unwrap())
        .env("COLUMNS", "120")
        .output()
        .unwrap();
    (String::from_utf8(output.stdout).unwrap(), output.status.success())
}

/// Every page of documentation.
fn pages() -> Vec<PathBuf> {
    let mut pages = vec![root().join("README.md"), root().join("CONTRIBUTING.md")];
    for entry in std::fs::read_dir(root().join("docs")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "md") {
            pages.push(path);
        }
    }
    pages.sort();
    pages
}
