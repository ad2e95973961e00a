//! The rows of a trace while it is read: what is kept, what is left out, and the order at the end.

use super::error::{Diagnostic, TraceError};
use super::values::Instant;
use super::{Format, Request, StepRow, Trace, TraceKind};
use crate::units::Picos;
use std::path::{Path, PathBuf};

/// A request on the format's own time scale.
#[derive(Debug, Clone, Copy)]
struct Row {
    at: Instant,
    prompt_tokens: u32,
    output_tokens: u32,
}

/// Collects rows and keeps the policy for bad ones.
pub(super) struct Rows {
    path: PathBuf,
    skip_bad_rows: bool,
    requests: Vec<Row>,
    steps: Vec<StepRow>,
    skipped: u64,
    failed: u64,
    first_bad: Option<Box<Diagnostic>>,
    seen_any: bool,
    notes: Vec<String>,
}

impl Rows {
    pub(super) fn new(path: &Path, skip_bad_rows: bool) -> Self {
        Self {
            path: path.into(),
            skip_bad_rows,
            requests: Vec::new(),
            steps: Vec::new(),
            skipped: 0,
            failed: 0,
            first_bad: None,
            seen_any: false,
            notes: Vec::new(),
        }
    }

    /// A good request. Token counts are at most 2³¹.
    pub(super) fn request(&mut self, at: Instant, prompt_tokens: u64, output_tokens: u64) {
        self.seen_any = true;
        let narrow = |tokens: u64| u32::try_from(tokens).unwrap_or(u32::MAX);
        self.requests.push(Row {
            at,
            prompt_tokens: narrow(prompt_tokens),
            output_tokens: narrow(output_tokens),
        });
    }

    /// A good step.
    pub(super) fn step(&mut self, step: StepRow) {
        self.seen_any = true;
        self.steps.push(step);
    }

    /// A bad row: an error, or counted.
    pub(super) fn bad(&mut self, diagnostic: Box<Diagnostic>) -> Result<(), TraceError> {
        if !self.skip_bad_rows {
            return Err(TraceError::At(diagnostic));
        }
        self.seen_any = true;
        self.skipped += 1;
        self.first_bad.get_or_insert(diagnostic);
        Ok(())
    }

    /// A row that the format itself marks as a request that failed: counted, never an error.
    pub(super) fn failed(&mut self) {
        self.seen_any = true;
        self.failed += 1;
    }

    /// Something to tell the user.
    pub(super) fn note(&mut self, note: String) {
        self.notes.push(note);
    }

    /// The trace.
    pub(super) fn finish(mut self, format: Format) -> Result<Trace, TraceError> {
        let path = self.path.display().to_string();
        if self.requests.is_empty() && self.steps.is_empty() {
            return Err(match self.first_bad {
                Some(first) => TraceError::AllSkipped { path, skipped: self.skipped + self.failed, first },
                None => TraceError::NoRows(path),
            });
        }
        if self.failed > 0 {
            let plural = if self.failed == 1 { "row is" } else { "rows are" };
            self.notes.push(format!("{} {plural} left out: marked as failed requests", self.failed));
        }
        let kind = if self.steps.is_empty() {
            TraceKind::Requests(self.sorted_requests()?)
        } else {
            TraceKind::Steps(self.steps)
        };
        Ok(Trace { kind, skipped: self.skipped + self.failed, format, notes: self.notes })
    }

    /// Requests by arrival, counted from the first.
    fn sorted_requests(&mut self) -> Result<Vec<Request>, TraceError> {
        let backwards = self.requests.windows(2).filter(|w| w[1].at < w[0].at).count();
        let first = self.requests.iter().map(|r| r.at).min().unwrap_or(0);
        let mut sorted = Vec::with_capacity(self.requests.len());
        for (id, row) in self.requests.iter().enumerate() {
            let arrival = u64::try_from(row.at - first);
            let arrival = arrival.map_err(|_| TraceError::Span(self.path.display().to_string()))?;
            sorted.push(Request {
                id: id as u64,
                arrival: Picos(arrival),
                prompt_tokens: row.prompt_tokens.into(),
                output_tokens: row.output_tokens.into(),
            });
        }
        if backwards > 0 {
            sorted.sort_by_key(|r| r.arrival);
            let plural = if backwards == 1 { "row arrives" } else { "rows arrive" };
            self.notes
                .push(format!("{backwards} {plural} before the row above; requests are sorted by arrival"));
        }
        Ok(sorted)
    }
}
