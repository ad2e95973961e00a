//! Complaints about rows: all are counted by their reason, the first few of each are kept whole.

use super::super::error::Diagnostic;
use indexmap::IndexMap;
use std::fmt;

/// How many complaints of one reason are kept whole.
const SHOWN: usize = 5;

/// Complaints about rows. [`fmt::Display`] shows what is kept, and says how many more there are.
#[derive(Debug, Clone, Default)]
pub struct Tally(IndexMap<&'static str, Entry>);

#[derive(Debug, Clone, Default)]
struct Entry {
    count: u64,
    shown: Vec<Diagnostic>,
}

impl Tally {
    /// Counts one; `diagnostic` is called only if it will be kept.
    pub(crate) fn add(&mut self, reason: &'static str, diagnostic: impl FnOnce() -> Diagnostic) {
        let entry = self.0.entry(reason).or_default();
        entry.count += 1;
        if entry.shown.len() < SHOWN {
            entry.shown.push(diagnostic());
        }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.values().map(|e| e.count).sum()
    }

    /// How many there are of each reason, by their first row.
    pub fn by_reason(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.0.iter().map(|(&reason, entry)| (reason, entry.count))
    }

    /// Those kept whole: at most five of each reason.
    pub fn diagnostics(&self) -> impl Iterator<Item = &Diagnostic> {
        self.0.values().flat_map(|entry| &entry.shown)
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut gap = "";
        for (reason, entry) in &self.0 {
            for diagnostic in &entry.shown {
                write!(f, "{gap}{diagnostic}")?;
                gap = "\n\n";
            }
            match entry.count - entry.shown.len() as u64 {
                0 => {}
                1 => write!(f, "{gap}… and 1 more row: {reason}")?,
                more => write!(f, "{gap}… and {more} more rows: {reason}")?,
            }
        }
        Ok(())
    }
}
