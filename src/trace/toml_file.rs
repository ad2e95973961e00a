//! Generator files as TOML: the one place that turns TOML errors and values out of range into diagnostics.

use super::error::{Diagnostic, Fault, TraceError, near};
use serde::de::DeserializeOwned;
use std::ops::Range;
use std::path::Path;

/// Parses `text`, the content of `path`.
pub(super) fn parse<T: DeserializeOwned>(path: &Path, text: &str) -> Result<T, TraceError> {
    toml::from_str(text).map_err(|e| {
        let message = e.message().lines().collect::<Vec<_>>().join("; ");
        // "unknown field `a`, expected one of `b`, `c`": what stands between backticks are the names.
        let mut names = message.split('`').skip(1).step_by(2);
        let help = names
            .next()
            .filter(|_| message.starts_with("unknown"))
            .and_then(|unknown| near(unknown, names))
            .map(|name| format!("did you mean '{name}'?"));
        let fault = Fault::new(message, "").help(help);
        TraceError::At(Box::new(locate(path, text, e.span().unwrap_or(0..0), fault)))
    })
}

/// `fault` at bytes `span` of `text`, the content of `path`.
pub(super) fn locate(path: &Path, text: &str, span: Range<usize>, fault: Fault) -> Diagnostic {
    let start = (0..=span.start.min(text.len())).rev().find(|&i| text.is_char_boundary(i)).unwrap_or(0);
    let line_start = text[..start].rfind('\n').map_or(0, |i| i + 1);
    let line_end = text[start..].find('\n').map_or(text.len(), |i| start + i);
    let number = text[..start].matches('\n').count() as u64 + 1;
    let line = text[line_start..line_end].trim_end_matches('\r');
    let end = span.end.clamp(start, line_end);
    let column = (start - line_start).min(line.len())..(end - line_start).min(line.len());
    Diagnostic::new(path, number, line, fault.at(column))
}
