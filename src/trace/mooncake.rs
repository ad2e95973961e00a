//! Mooncake traces (kvcache-ai/Mooncake): JSON lines, times in milliseconds. Shareable prefix blocks (`hash_ids`) are passed over.

use super::Reader;
use super::error::{Fault, TraceError};
use super::lines::Lines;
use super::rows::Rows;
use super::values::{self, Instant};
use serde::Deserialize;
use std::ops::Range;
use std::path::Path;

/// The format.
pub(super) struct Mooncake;

/// One line; other keys are passed over.
#[derive(Deserialize)]
struct Row {
    timestamp: serde_json::Number,
    input_length: serde_json::Number,
    output_length: serde_json::Number,
}

/// What a line must be.
const SHAPE: &str =
    r#"{"timestamp": milliseconds, "input_length": tokens, "output_length": tokens, "hash_ids": […]}"#;

impl Reader for Mooncake {
    fn name(&self) -> &'static str {
        "mooncake"
    }

    fn shape(&self) -> String {
        format!("JSON lines {SHAPE}")
    }

    fn columns(&self) -> Vec<&'static str> {
        vec!["timestamp", "input_length", "output_length"]
    }

    fn recognises(&self, _path: &Path, first: &str) -> bool {
        first.trim_start().starts_with('{')
            && (first.contains(r#""input_length""#) || first.contains(r#""output_length""#))
    }

    fn read(&self, mut lines: Lines<'_>, rows: &mut Rows) -> Result<(), TraceError> {
        while let Some(line) = lines.next()? {
            let number = line.number;
            match line
                .text
                .map_err(|f| (String::new(), f))
                .and_then(|t| parse(t).map_err(|f| (t.to_owned(), f)))
            {
                Ok((at, prompt, output)) => rows.request(at, prompt, output),
                Err((text, fault)) => rows.bad(lines.diagnose(number, &text, fault))?,
            }
        }
        Ok(())
    }
}

fn parse(line: &str) -> Result<(Instant, u64, u64), Fault> {
    let row: Row = serde_json::from_str(line).map_err(|e| json_fault(line, &e, SHAPE))?;
    let at =
        values::milliseconds(&row.timestamp.to_string()).map_err(|f| f.at(value_of(line, "timestamp")))?;
    let length = |number, key, what| values::json_tokens(number, what).map_err(|f| f.at(value_of(line, key)));
    Ok((
        at,
        length(&row.input_length, "input_length", "prompt")?,
        length(&row.output_length, "output_length", "output")?,
    ))
}

/// serde_json's error in our words and place.
pub(super) fn json_fault(line: &str, error: &serde_json::Error, expected: &str) -> Fault {
    // One line is parsed at a time, so that its own "at line 1 column 5" would mislead.
    let full = error.to_string();
    let message = full.rsplit_once(" at line ").map_or(full.as_str(), |(message, _)| message);
    if error.is_eof() {
        let message = format!("the line ends too early: {}", message.trim_start_matches("EOF while "));
        return Fault::new(message, expected).at(line.len()..line.len());
    }
    let mut at = error.column().saturating_sub(1).min(line.len());
    while !line.is_char_boundary(at) {
        at -= 1;
    }
    let width = line[at..].chars().next().map_or(0, char::len_utf8);
    Fault::new(message, expected).at(at..at + width)
}

/// Where the value of `key` stands in a line of JSON; the whole line if it cannot be told.
fn value_of(line: &str, key: &str) -> Range<usize> {
    let quoted = format!("\"{key}\"");
    let Some(at) = line.find(&quoted).map(|i| i + quoted.len()) else { return 0..line.len() };
    let gap = line[at..].find(|c: char| c != ':' && !c.is_whitespace()).unwrap_or(0);
    let start = at + gap;
    let length = line[start..].find([',', '}', ' ']).unwrap_or(line.len() - start);
    start..start + length
}
