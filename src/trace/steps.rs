//! slimsim's own format of decode steps: JSON lines `{"contexts": [tokens, …], "repeat": times}`, for replaying the batches
//! that another scheduler formed.

use super::error::{Fault, TraceError};
use super::lines::Lines;
use super::mooncake::json_fault;
use super::rows::Rows;
use super::values::MAX_TOKENS;
use super::{Reader, StepRow};
use serde::Deserialize;
use std::path::Path;

/// The format.
pub(super) struct Steps;

/// One line. The format is ours: an unknown key is an error.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    contexts: Vec<u64>,
    #[serde(default = "once")]
    repeat: u64,
}

const fn once() -> u64 {
    1
}

/// What a line must be.
const SHAPE: &str =
    r#"{"contexts": [tokens, …], "repeat": times}, numbers from 1 to 2147483648, "repeat" optional"#;

impl Reader for Steps {
    fn name(&self) -> &'static str {
        "steps"
    }

    fn shape(&self) -> String {
        format!("JSON lines {SHAPE}")
    }

    fn columns(&self) -> Vec<&'static str> {
        vec!["contexts", "repeat"]
    }

    fn recognises(&self, _path: &Path, first: &str) -> bool {
        first.trim_start().starts_with('{') && first.contains(r#""contexts""#)
    }

    fn read(&self, mut lines: Lines<'_>, rows: &mut Rows) -> Result<(), TraceError> {
        while let Some(line) = lines.next()? {
            let number = line.number;
            match line
                .text
                .map_err(|f| (String::new(), f))
                .and_then(|t| parse(t).map_err(|f| (t.to_owned(), f)))
            {
                Ok(step) => rows.step(step),
                Err((text, fault)) => rows.bad(lines.diagnose(number, &text, fault))?,
            }
        }
        Ok(())
    }
}

fn parse(line: &str) -> Result<StepRow, Fault> {
    let row: Row = serde_json::from_str(line).map_err(|e| json_fault(line, &e, SHAPE))?;
    let range = 1..=MAX_TOKENS;
    if row.contexts.is_empty() {
        return Err(Fault::new("a step without sequences", "at least one context"));
    }
    if let Some(bad) = row.contexts.iter().find(|c| !range.contains(c)) {
        return Err(Fault::new(format!("context {bad} is out of range"), SHAPE));
    }
    if !range.contains(&row.repeat) {
        return Err(Fault::new(format!("repeat {} is out of range", row.repeat), SHAPE));
    }
    Ok(StepRow { contexts: row.contexts, repeat: row.repeat })
}
