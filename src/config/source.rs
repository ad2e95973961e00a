//! The texts that configuration comes from, and places in them.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;
use std::sync::Arc;

use super::diagnostic::{ConfigError, Diagnostic};

/// Longest configuration file that is read. A larger one is no configuration.
const MAX_FILE_BYTES: u64 = 16 << 20;

/// One text: a file, or one `--set` argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Source {
    /// The file's path as the user wrote it; `--set KEY=VALUE` for an argument.
    pub(crate) name: String,
    /// The whole text.
    pub(crate) text: String,
    /// Whether lines and columns of it mean something to the user.
    pub(crate) is_file: bool,
}

impl Source {
    /// A file's text under the file's name.
    pub(crate) fn file(name: &str, text: String) -> Arc<Self> {
        Arc::new(Self { name: name.to_owned(), text, is_file: true })
    }

    /// A command-line argument or a programmatic override.
    pub(crate) fn argument(text: String) -> Arc<Self> {
        Arc::new(Self { name: text.clone(), text, is_file: false })
    }

    /// Line and column of a byte offset, both from 1, the column in characters.
    pub(crate) fn line_column(&self, offset: usize) -> (usize, usize) {
        let before = self.text.get(..offset).unwrap_or(&self.text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
    }

    /// Reads a file of UTF-8 text.
    pub(crate) fn read(path: &str) -> Result<Arc<Self>, ConfigError> {
        let unreadable = |why: String| ConfigError::plain(format!("cannot read {path}: {why}"), Vec::new());
        if Path::new(path).is_dir() {
            return Err(unreadable("it is a directory, expected a file".into()));
        }
        let mut bytes = Vec::new();
        File::open(path)
            .and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes))
            .map_err(|error| unreadable(reason(&error)))?;
        if bytes.len() as u64 > MAX_FILE_BYTES {
            return Err(unreadable(format!("it is larger than {} MiB", MAX_FILE_BYTES >> 20)));
        }
        match String::from_utf8(bytes) {
            Ok(text) => Ok(Self::file(path, text)),
            Err(error) => {
                let at = error.utf8_error().valid_up_to();
                let lossy = String::from_utf8_lossy(error.as_bytes()).into_owned();
                let source = Self::file(path, lossy);
                let origin = Origin { source: 0, start: at as u32, end: at as u32 + 3 };
                let diagnostic = Diagnostic::new(origin, "the file is not UTF-8 text", "invalid byte here");
                Err(ConfigError::new(vec![source], vec![diagnostic]))
            }
        }
    }
}

/// Why a file could not be read, the same words on every system for the common cases.
fn reason(error: &std::io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => "no such file".into(),
        ErrorKind::PermissionDenied => "permission denied".into(),
        ErrorKind::IsADirectory => "it is a directory, expected a file".into(),
        _ => error.to_string(),
    }
}

/// A place: a span of bytes in one of the sources of a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Origin {
    /// Index of the source within its tree.
    pub(crate) source: u32,
    /// First byte.
    pub(crate) start: u32,
    /// One past the last byte.
    pub(crate) end: u32,
}

impl Origin {
    /// A span of the first source.
    pub(crate) fn span(span: std::ops::Range<usize>) -> Self {
        Self { source: 0, start: span.start as u32, end: span.end as u32 }
    }
}
