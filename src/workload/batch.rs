//! The sequences of a step, as runs of equal context.

/// Sequences grouped by the tokens that each attends to, longest first. Never empty, every context ≥ 1.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Batch {
    runs: Vec<(u64, u64)>,
}

impl Batch {
    /// `batch` sequences of `context` tokens each.
    #[must_use]
    pub fn uniform(context: u64, batch: u64) -> Self {
        Self { runs: vec![(context.max(1), batch.max(1))] }
    }

    /// A ragged batch.
    #[must_use]
    pub fn ragged(contexts: &[u64]) -> Self {
        let mut sorted: Vec<u64> = contexts.iter().map(|&c| c.max(1)).collect();
        sorted.sort_unstable_by(|a, b| b.cmp(a));
        let mut runs: Vec<(u64, u64)> = Vec::with_capacity(sorted.len());
        for context in sorted {
            match runs.last_mut() {
                Some((c, count)) if *c == context => *count += 1,
                _ => runs.push((context, 1)),
            }
        }
        if runs.is_empty() {
            runs.push((1, 1));
        }
        Self { runs }
    }

    /// (tokens attended, sequences), longest first.
    #[must_use]
    pub fn runs(&self) -> &[(u64, u64)] {
        &self.runs
    }

    /// Sequences.
    #[must_use]
    pub fn sequences(&self) -> u64 {
        self.runs.iter().map(|r| r.1).sum()
    }

    /// Tokens attended by all sequences together.
    #[must_use]
    pub fn tokens(&self) -> u64 {
        self.runs.iter().map(|r| r.0 * r.1).sum()
    }

    /// The longest context.
    #[must_use]
    pub fn longest(&self) -> u64 {
        self.runs[0].0
    }

    /// The same sequences with every context passed through `f` (which must not reorder them).
    #[must_use]
    pub fn map(&self, f: impl Fn(u64) -> u64) -> Self {
        let mut runs: Vec<(u64, u64)> = Vec::with_capacity(self.runs.len());
        for &(context, count) in &self.runs {
            let context = f(context).max(1);
            match runs.last_mut() {
                Some((c, n)) if *c == context => *n += count,
                _ => runs.push((context, count)),
            }
        }
        Self { runs }
    }
}
