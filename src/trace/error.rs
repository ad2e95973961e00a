//! What can be wrong with a trace, and how it is shown: file, line, column, the line, a caret, what was expected.

use std::fmt;
use std::ops::Range;
use std::path::Path;

/// Why a trace cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TraceError {
    /// The operating system does not give the file.
    #[error("cannot read '{path}': {source}")]
    Io {
        /// The file.
        path: String,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A directory stands where a file was expected.
    #[error("cannot read '{0}': it is a directory; expected a file")]
    Directory(String),
    /// The file holds nothing but blank space.
    #[error("'{0}' is empty; expected a trace of requests")]
    Empty(String),
    /// A table of measured kernels holds nothing but blank space.
    #[error("'{0}' is empty; expected a table of measured kernels")]
    EmptyTable(String),
    /// A Parquet file, and the program was built without the reader for such files.
    #[error(
        "cannot read '{0}': this slimsim was built without the reader for Parquet files; build it with `cargo build --release --features parquet`, or convert the file to CSV"
    )]
    ParquetNotBuilt(String),
    /// A Parquet file that cannot be decoded.
    #[error("cannot read '{path}' as a Parquet file: {reason}")]
    Parquet {
        /// The file.
        path: String,
        /// What its decoder says.
        reason: String,
    },
    /// The file has no row at all.
    #[error("'{0}' has no rows")]
    NoRows(String),
    /// Bad rows were to be skipped, and no other rows were left.
    #[error("'{path}' has no usable row: all {skipped} were skipped; the first of them:\n{first}")]
    AllSkipped {
        /// The file.
        path: String,
        /// Rows skipped.
        skipped: u64,
        /// What was wrong with the first of them.
        first: Box<Diagnostic>,
    },
    /// Something at a known place in the file.
    #[error("{0}")]
    At(Box<Diagnostic>),
    /// Everything that is wrong with the values of a generator file.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n\n"))]
    Values(Vec<Diagnostic>),
    /// The name of a format that does not exist.
    #[error("unknown trace format '{name}'; expected one of {expected}{}", did_you_mean(.near.as_deref()))]
    UnknownFormat {
        /// As written.
        name: String,
        /// The names there are.
        expected: String,
        /// A name like it.
        near: Option<String>,
    },
    /// Arrivals lie further apart than simulated time can count.
    #[error(
        "'{0}' spans more than 213 days from its first to its last arrival, the longest that can be simulated"
    )]
    Span(String),
}

/// `; did you mean 'x'?` or nothing.
fn did_you_mean(near: Option<&str>) -> String {
    near.map(|n| format!("; did you mean '{n}'?")).unwrap_or_default()
}

/// Widest piece of a line that a message shows, in characters.
const WINDOW: usize = 100;

/// A fault at one place of a file. [`fmt::Display`] shows it over several lines, the first being `file:line:column: message`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// The file, as the user named it.
    pub path: String,
    /// Line number, from 1.
    pub line: u64,
    /// Column of the first offending character, from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// What was expected there; may be empty.
    pub expected: String,
    /// A hint, for instance `did you mean 'x'?`.
    pub help: Option<String>,
    /// The line, or the part of a long line around the fault; control characters replaced.
    excerpt: String,
    /// Where the caret goes in `excerpt`, in characters.
    caret: Range<usize>,
}

impl Diagnostic {
    /// Describes `fault` in line `line` of `path`, whose text is `text`.
    pub(crate) fn new(path: &Path, line: u64, text: &str, fault: Fault) -> Self {
        let span = fault.span.unwrap_or(0..text.len());
        let start = text.get(..span.start.min(text.len())).map_or(0, |t| t.chars().count());
        let width = text.get(span).map_or(1, |t| t.chars().count()).max(1);
        // A long line is cut to a window that begins a little before the fault.
        let from = if text.len() > WINDOW && start > WINDOW / 2 { start - WINDOW / 4 } else { 0 };
        let mut excerpt: String = if from > 0 { "…".into() } else { String::new() };
        let lead = usize::from(from > 0);
        let mut rest = text.chars().skip(from);
        excerpt.extend(rest.by_ref().take(WINDOW).map(|c| if c.is_control() { '\u{fffd}' } else { c }));
        let shown = excerpt.chars().count();
        if rest.next().is_some() {
            excerpt.push('…');
        }
        let caret = start - from + lead;
        let caret = caret..(caret + width).min(shown.max(caret + 1));
        Self {
            path: path.display().to_string(),
            line,
            column: start + 1,
            message: fault.message,
            expected: fault.expected,
            help: fault.help,
            excerpt,
            caret,
        }
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.line.to_string();
        let margin = " ".repeat(number.len());
        writeln!(f, "{}:{}:{}: {}", self.path, self.line, self.column, self.message)?;
        writeln!(f, "{margin} |")?;
        writeln!(f, "{number} | {}", self.excerpt)?;
        let (indent, carets) = (" ".repeat(self.caret.start), "^".repeat(self.caret.len()));
        write!(f, "{margin} | {indent}{carets}")?;
        if !self.expected.is_empty() {
            write!(f, " expected {}", self.expected)?;
        }
        if let Some(help) = &self.help {
            write!(f, "\n{margin} = help: {help}")?;
        }
        Ok(())
    }
}

/// What is wrong with a line, before it is known which line of which file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Bytes of the line concerned; the whole line if none.
    pub span: Option<Range<usize>>,
    /// What is wrong.
    pub message: String,
    /// What was expected.
    pub expected: String,
    /// A hint.
    pub help: Option<String>,
}

impl Fault {
    /// A fault of the whole line.
    pub(crate) fn new(message: impl Into<String>, expected: impl Into<String>) -> Self {
        Self { message: message.into(), expected: expected.into(), ..Self::default() }
    }

    /// The same, at bytes `span` of the line.
    pub(crate) fn at(mut self, span: Range<usize>) -> Self {
        self.span = Some(span);
        self
    }

    /// The same with a hint.
    pub(crate) fn help(mut self, help: Option<String>) -> Self {
        self.help = help;
        self
    }
}

/// The candidate most like `name`, if it is near enough to be what was meant: letter case apart, or by a typo or two.
pub(crate) fn near<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let fold = |s: &str| s.to_lowercase().replace(['_', ' ', '-'], "");
    let wanted = fold(name);
    candidates
        .into_iter()
        .map(|c| (strsim::osa_distance(&wanted, &fold(c)), c))
        .filter(|&(distance, c)| distance <= (c.len() / 4).clamp(1, 4))
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, c)| c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_shows_place_line_caret_and_expectation() {
        let fault =
            Fault::new("'x' is not a number", "a number").at(2..3).help(Some("did you mean 'y'?".into()));
        let shown = Diagnostic::new(Path::new("t.csv"), 12, "1,x,3", fault).to_string();
        assert_eq!(
            shown,
            "t.csv:12:3: 'x' is not a number\n   |\n12 | 1,x,3\n   |   ^ expected a number\n   = help: did you mean 'y'?"
        );
    }

    #[test]
    fn a_long_line_is_cut_around_the_fault() {
        let text = format!("{}BAD{}", "a".repeat(5_000), "b".repeat(5_000));
        let d = Diagnostic::new(Path::new("t"), 1, &text, Fault::new("m", "e").at(5_000..5_003));
        assert_eq!(d.column, 5_001);
        assert!(d.excerpt.chars().count() <= WINDOW + 2, "{}", d.excerpt.len());
        let pointed: String = d.excerpt.chars().skip(d.caret.start).take(d.caret.len()).collect();
        assert_eq!(pointed, "BAD");
        // A span that reaches past the window does not draw carets past the text.
        let d = Diagnostic::new(Path::new("t"), 1, &text, Fault::new("m", "e"));
        assert!(d.caret.end <= d.excerpt.chars().count());
    }

    #[test]
    fn control_characters_never_reach_the_terminal() {
        let d = Diagnostic::new(Path::new("t"), 1, "a\u{1b}[31m", Fault::new("m", "e"));
        assert!(!d.to_string().contains('\u{1b}'));
    }

    #[test]
    fn near_names() {
        let names = ["ContextTokens", "GeneratedTokens", "azure"];
        assert_eq!(near("contexttoken", names), Some("ContextTokens"));
        assert_eq!(near("context_tokens", names), Some("ContextTokens"));
        assert_eq!(near("azur", names), Some("azure"));
        assert_eq!(near("latency", names), None);
    }
}
