//! Which format a file is in, by its name and its first line; or an error that says what was looked for.

use super::error::{Fault, TraceError, near};
use super::lines::Lines;
use super::table::header_names;
use super::{Format, READERS};
use std::ops::Range;

/// Recognises the format. The line looked at is read again afterwards.
pub(super) fn format(lines: &mut Lines<'_>) -> Result<Format, TraceError> {
    let path = lines.path().to_path_buf();
    let Some(line) = lines.next()? else { return Err(TraceError::Empty(path.display().to_string())) };
    let number = line.number;
    let first = match line.text {
        Ok(text) => text.to_owned(),
        Err(fault) => return Err(TraceError::At(lines.diagnose(number, "", fault))),
    };
    lines.unread();
    let found: Vec<_> = READERS.into_iter().filter(|r| r.recognises(&path, &first)).collect();
    let (message, expected) = match found.as_slice() {
        &[reader] => return Ok(Format(reader)),
        [] => ("the format of this trace is not recognised".to_owned(), "one of the formats below"),
        several => {
            let names: Vec<_> = several.iter().map(|r| r.name()).collect();
            (format!("this first line fits several formats: {}", names.join(", ")), "the line of one format")
        }
    };
    let mut help =
        "name the format with --trace-format, or give a file that begins as one of these:".to_owned();
    for reader in READERS {
        help += &format!("\n      {:<9} {}", reader.name(), reader.shape());
    }
    if found.is_empty() {
        let known = |name: &str| READERS.iter().any(|r| r.columns().contains(&name));
        for (name, span) in names(&first).filter(|(name, _)| !known(name)) {
            for reader in READERS {
                if let Some(column) = near(name, reader.columns()) {
                    help += &format!("\n    '{name}': did you mean '{column}' ({})?", reader.name());
                    let fault = Fault::new(message, expected).at(span).help(Some(help));
                    return Err(TraceError::At(lines.diagnose(number, &first, fault)));
                }
            }
        }
    }
    Err(TraceError::At(lines.diagnose(number, &first, Fault::new(message, expected).help(Some(help)))))
}

/// The names that a first line gives: keys of a JSON object or columns of a header.
fn names(first: &str) -> impl Iterator<Item = (&str, Range<usize>)> {
    let json = first.trim_start().starts_with('{');
    let mut at = 0;
    // Every second piece between quotes is a text, and a key if a colon follows.
    let pieces = first.split('"').map(move |piece| {
        let start = at;
        at += piece.len() + 1;
        (piece, start..start + piece.len())
    });
    let keys = pieces
        .skip(1)
        .step_by(2)
        .filter(|(_, span)| first.get(span.end + 1..).is_some_and(|rest| rest.trim_start().starts_with(':')));
    keys.take(if json { usize::MAX } else { 0 }).chain(header_names(first).take(if json {
        0
    } else {
        usize::MAX
    }))
}
