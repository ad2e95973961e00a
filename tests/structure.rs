//! Holds the structure of the source: modules import one way, files are touched in few places, no file grows too long.
//!
//! The rules are those of CONTRIBUTING.md. The checker reads tokens, not lines: grouped imports, paths inside expressions and
//! `super::` chains count, comments and strings don't. Its own tests feed it source text that breaks each rule.

#![allow(clippy::expect_used, reason = "a test stops at the first thing it cannot read")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Modules in import order: each may import only from itself and from those before it.
const ORDER: [&str; 17] = [
    "units",
    "model",
    "attention",
    "hardware",
    "config",
    "workload",
    "mapping",
    "engine",
    "ledger",
    "step",
    "trace",
    "serving",
    "sweep",
    "analysis",
    "host",
    "report",
    "cli",
];

/// Modules that may read and write files.
const FILE_MODULES: [&str; 6] = ["config", "trace", "sweep", "host", "report", "cli"];

/// Longest source file allowed, in lines.
const MAX_LINES: usize = 600;

#[test]
fn imports_run_one_way() {
    check_sources(|file, text| back_imports(&file.module, file.depth, text));
}

#[test]
fn files_are_touched_only_at_the_edges() {
    check_sources(|file, text| {
        if FILE_MODULES.contains(&file.module.as_str()) { Vec::new() } else { file_accesses(text) }
    });
}

#[test]
fn no_source_file_is_too_long() {
    check_sources(|_, text| {
        let lines = text.lines().count();
        if lines > MAX_LINES { vec![format!("{lines} lines, more than {MAX_LINES}")] } else { Vec::new() }
    });
}

#[test]
fn every_module_has_a_place_in_the_order() {
    let lib = std::fs::read_to_string(source_root().join("lib.rs")).expect("src/lib.rs is readable");
    let declared = declared_modules(&lib);
    let places: Vec<_> = declared
        .iter()
        .map(|m| {
            ORDER
                .iter()
                .position(|o| o == m)
                .unwrap_or_else(|| panic!("module '{m}' has no place in the order"))
        })
        .collect();
    assert!(!places.is_empty(), "src/lib.rs declares no module");
    assert!(places.is_sorted(), "src/lib.rs declares its modules out of order: {declared:?}");
}

/// A source file and where it stands in the module tree.
struct SourceFile {
    path: PathBuf,
    /// Top-level module, such as `units`.
    module: String,
    /// Distance from the crate root: 1 for `units.rs` and `units/mod.rs`, 2 for `units/rate.rs`.
    depth: usize,
}

/// Runs `check` over every module file under `src/` and fails with all complaints at once.
fn check_sources(check: impl Fn(&SourceFile, &str) -> Vec<String>) {
    let files = source_files();
    assert!(files.len() > 5, "found only {} files under src/: the walk is broken", files.len());
    let mut report = String::new();
    for file in files {
        let text = std::fs::read_to_string(&file.path).expect("source files are UTF-8");
        for complaint in check(&file, &text) {
            writeln!(report, "{}: {complaint}", file.path.display()).expect("writing to a string succeeds");
        }
    }
    assert!(report.is_empty(), "\n{report}");
}

fn source_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// Every file under `src/` but the two crate roots.
fn source_files() -> Vec<SourceFile> {
    let root = source_root();
    let mut files = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("src/ is readable") {
            let path = entry.expect("src/ is readable").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let inside = path.strip_prefix(&root).expect("the walk stays under src/").with_extension("");
                let mut parts: Vec<_> = inside.iter().map(|p| p.to_string_lossy().into_owned()).collect();
                if parts.last().is_some_and(|p| p == "mod") {
                    parts.pop();
                }
                if parts != ["lib"] && parts != ["main"] {
                    files.push(SourceFile { path, module: parts[0].clone(), depth: parts.len() });
                }
            }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

/// Top-level modules that a crate root declares, in its order.
fn declared_modules(text: &str) -> Vec<String> {
    tokens(text).windows(3).filter(|w| w[0] == "mod" && w[2] == ";").map(|w| w[1].clone()).collect()
}

/// Imports in `text`, a file of `module` at `depth`, of modules that come after `module` in the order.
fn back_imports(module: &str, depth: usize, text: &str) -> Vec<String> {
    let Some(own) = ORDER.iter().position(|m| *m == module) else {
        return vec![format!("module '{module}' has no place in the order")];
    };
    let mut found = Vec::new();
    for path in paths(&tokens(text)) {
        let supers = path.iter().take_while(|s| *s == "super").count();
        let target = match path.first().map(String::as_str) {
            Some("crate" | "slimsim") => path.get(1),
            Some("super") if supers >= depth => path.get(supers),
            _ => None,
        };
        if let Some(place) = target.and_then(|t| ORDER.iter().position(|m| m == t))
            && place > own
        {
            found.push(format!(
                "{} is an import from '{}' back into '{module}'",
                path.join("::"),
                ORDER[place]
            ));
        }
    }
    found
}

/// Places in `text` that read or write files.
fn file_accesses(text: &str) -> Vec<String> {
    paths(&tokens(text))
        .into_iter()
        .filter(|p| {
            let p: Vec<_> = p.iter().map(String::as_str).collect();
            p.starts_with(&["std", "fs"])
                || p.starts_with(&["tempfile"])
                || (p.len() > 1 && matches!(p[0], "fs" | "File" | "OpenOptions"))
        })
        .map(|p| format!("{} touches files, which is for {}", p.join("::"), FILE_MODULES.join(", ")))
        .collect()
}

/// Splits source text into identifiers, `::` and single characters, without comments, strings and character literals.
fn tokens(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    let at = |i: usize| chars.get(i).copied().unwrap_or('\0');
    let mut out = Vec::new();
    let mut i = 0;
    while i < chars.len() {
        match chars[i] {
            '/' if at(i + 1) == '/' => {
                while i < chars.len() && chars[i] != '\n' {
                    i += 1;
                }
            }
            '/' if at(i + 1) == '*' => i = after_block_comment(&chars, i),
            '"' => i = after_string(&chars, i),
            '\'' if at(i + 1) == '\\' => {
                // An escaped character: the quote that ends it is at least two characters on.
                i += 3;
                while i < chars.len() && chars[i] != '\'' {
                    i += 1;
                }
                i += 1;
            }
            '\'' if at(i + 2) == '\'' => i += 3,
            ':' if at(i + 1) == ':' => {
                out.push("::".to_owned());
                i += 2;
            }
            c if c.is_alphanumeric() || c == '_' => {
                let start = i;
                while at(i).is_alphanumeric() || at(i) == '_' {
                    i += 1;
                }
                let word: String = chars[start..i].iter().collect();
                match raw_string_hashes(&chars, i) {
                    Some(hashes) if matches!(word.as_str(), "r" | "br" | "cr") => {
                        i = after_raw_string(&chars, i, hashes);
                    }
                    _ => out.push(word),
                }
            }
            c => {
                if !c.is_whitespace() {
                    out.push(c.to_string());
                }
                i += 1;
            }
        }
    }
    out
}

/// First index after the block comment that starts at `i`; block comments nest.
fn after_block_comment(chars: &[char], mut i: usize) -> usize {
    let mut depth = 0;
    while i < chars.len() {
        match (chars[i], chars.get(i + 1)) {
            ('/', Some('*')) => {
                depth += 1;
                i += 2;
            }
            ('*', Some('/')) => {
                depth -= 1;
                i += 2;
                if depth == 0 {
                    return i;
                }
            }
            _ => i += 1,
        }
    }
    i
}

/// First index after the string literal whose opening quote is at `i`.
fn after_string(chars: &[char], mut i: usize) -> usize {
    i += 1;
    while i < chars.len() && chars[i] != '"' {
        i += if chars[i] == '\\' { 2 } else { 1 };
    }
    i + 1
}

/// Number of `#` between index `i` and the opening quote of a raw string, if one opens there.
fn raw_string_hashes(chars: &[char], i: usize) -> Option<usize> {
    let hashes = chars.get(i..)?.iter().take_while(|c| **c == '#').count();
    (chars.get(i + hashes) == Some(&'"')).then_some(hashes)
}

/// First index after the raw string whose `hashes` hashes start at `i`.
fn after_raw_string(chars: &[char], i: usize, hashes: usize) -> usize {
    let mut end = i + hashes + 1;
    while end < chars.len() {
        if chars[end] == '"' && chars[end + 1..].iter().take(hashes).filter(|c| **c == '#').count() == hashes
        {
            return end + 1 + hashes;
        }
        end += 1;
    }
    end
}

/// Every path in the token stream, with grouped imports written out: `a::{b, c::d}` gives `a::b` and `a::c::d`.
fn paths(tokens: &[String]) -> Vec<Vec<String>> {
    let mut out = Vec::new();
    let mut i = 0;
    while i < tokens.len() {
        if is_word(&tokens[i]) {
            i = path_from(tokens, i, &[], &mut out);
        } else {
            i += 1;
        }
    }
    out
}

/// Reads the path that starts at `i`, after `prefix`, and returns the first index after it.
fn path_from(tokens: &[String], mut i: usize, prefix: &[String], out: &mut Vec<Vec<String>>) -> usize {
    let mut path = prefix.to_vec();
    path.push(tokens[i].clone());
    i += 1;
    while tokens.get(i).is_some_and(|t| t == "::") {
        match tokens.get(i + 1) {
            Some(t) if is_word(t) => {
                path.push(t.clone());
                i += 2;
            }
            Some(t) if t == "{" => {
                i += 2;
                while i < tokens.len() && tokens[i] != "}" {
                    i = if is_word(&tokens[i]) { path_from(tokens, i, &path, out) } else { i + 1 };
                    if tokens.get(i).is_some_and(|t| t == "as") {
                        i += 2;
                    }
                }
                return i + 1;
            }
            _ => {
                i += 1;
                break;
            }
        }
    }
    out.push(path);
    i
}

fn is_word(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// The checker itself: each rule broken on purpose, and code that only looks as if it broke one.
mod checker {
    use super::{back_imports, declared_modules, file_accesses};

    #[test]
    fn finds_an_arrow_back() {
        let text = "use crate::units::Bytes;\nuse crate::engine::Timeline;\n";
        let found = back_imports("workload", 1, text);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains("crate::engine::Timeline"), "{found:?}");
        assert!(back_imports("engine", 1, text).is_empty());
    }

    #[test]
    fn finds_an_arrow_back_inside_groups_and_expressions() {
        let grouped = "use crate::{units::{Bytes, Dtype as D}, step, cli::{self, Args}};";
        assert_eq!(back_imports("engine", 1, grouped).len(), 3, "step, and cli twice");
        assert_eq!(back_imports("hardware", 2, "fn f() { let x = crate::mapping::plans(1); }").len(), 1);
        assert_eq!(back_imports("model", 1, "#[doc(hidden)] pub use slimsim::cli;").len(), 1);
    }

    #[test]
    fn follows_super_to_the_crate_root() {
        assert_eq!(back_imports("units", 1, "use super::cli::Args;").len(), 1);
        assert_eq!(back_imports("units", 2, "use super::super::report::Table;").len(), 1);
        // One level up from units/rate.rs is still units.
        assert!(back_imports("units", 2, "use super::report;").is_empty());
        assert!(back_imports("units", 1, "mod tests { use super::*; }").is_empty());
    }

    #[test]
    fn ignores_comments_strings_and_characters() {
        let text = concat!(
            "//! See [`crate::cli`].\n/* crate::cli /* std::fs */ crate::report */\n",
            "const A: &str = \"crate::cli \\\" std::fs::read\";\nconst B: &str = r#\"crate::cli \" \"#;\n",
            "fn f<'a>(q: &'a char) -> bool { *q == '\"' || *q == '\\'' }\nuse crate::units::Bytes;\n",
        );
        assert!(back_imports("model", 1, text).is_empty());
        assert!(file_accesses(text).is_empty());
        // What follows such a literal is read again.
        assert_eq!(back_imports("model", 1, "const Q: char = '\"'; use crate::cli;").len(), 1);
        assert_eq!(back_imports("model", 1, "const Q: char = '\\''; use crate::cli;").len(), 1);
        assert_eq!(back_imports("model", 1, "const Q: char = '\\u{27}'; use crate::cli;").len(), 1);
    }

    #[test]
    fn finds_file_access() {
        for text in [
            "fn f() { std::fs::read(p); }",
            "use std::{fmt, fs::File};",
            "use std::fs; fn f() {}",
            "fn f() { File::open(p); }",
            "fn f() { fs::write(p, b); }",
            "fn f() { OpenOptions::new(); }",
            "fn f() { tempfile::tempdir(); }",
        ] {
            assert!(!file_accesses(text).is_empty(), "missed: {text}");
        }
        for text in ["fn f(fs: Femtos) -> Femtos { fs }", "struct File; use std::fmt;", "use std::io::Write;"]
        {
            assert!(file_accesses(text).is_empty(), "wrongly found: {text}");
        }
    }

    #[test]
    fn an_unknown_module_is_a_complaint() {
        assert_eq!(back_imports("misc", 1, "").len(), 1);
    }

    #[test]
    fn reads_module_declarations() {
        assert_eq!(
            declared_modules("pub mod units;\n// mod gone;\nmod model;\nmod inline { }"),
            ["units", "model"]
        );
    }
}
