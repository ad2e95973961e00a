//! Where output goes: results to stdout, all else to stderr.

use super::CliError;
use crate::report::Format;
use std::io::{self, IsTerminal, Write};

/// Writes a result to stdout. It is put together first: a command that fails on the way prints no part of one.
///
/// # Errors
/// [`CliError::Output`], a closed pipe among them.
pub fn print(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), CliError> {
    let mut text = Vec::new();
    write(&mut text).map_err(|e| CliError::Internal(e.to_string()))?;
    let mut out = io::stdout().lock();
    out.write_all(&text).and_then(|()| out.flush()).map_err(CliError::Output)
}

/// Writes a line to stderr. Where even that is closed there is nobody to tell.
pub fn note(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// The terminal's width in columns; `None` where stdout is none.
#[must_use]
pub fn width() -> Option<u16> {
    if !io::stdout().is_terminal() {
        return None;
    }
    terminal_size::terminal_size().map(|(width, _)| width.0)
}

/// Reads the value of `--format`.
pub(super) fn format(text: &str) -> Result<Format, String> {
    text.parse()
}
