//! Errors in configuration, shown where they stand: file, line and column, the line, a caret, what was expected.

use std::fmt;
use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use super::source::{Origin, Source};

/// Errors of one file that are shown; beyond, they are counted. A file that is not TOML at all has one on every line.
const MOST_SHOWN: usize = 40;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Diagnostic {
    /// Where, if anywhere.
    pub(crate) origin: Option<Origin>,
    /// What is wrong, in one line.
    pub(crate) message: String,
    /// What was expected, beside the caret.
    pub(crate) expected: String,
    /// Suggestions.
    pub(crate) help: Vec<String>,
    /// What sort of error it is.
    pub(crate) nature: Nature,
}

/// What sort of error a diagnostic is, where it matters to others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nature {
    /// A key that must be there is not.
    Missing,
    /// A key is given twice.
    Duplicate,
    /// Anything else.
    Other,
}

impl Diagnostic {
    /// An error at a place.
    pub(crate) fn new(origin: Origin, message: impl Into<String>, expected: impl Into<String>) -> Self {
        Self {
            origin: Some(origin),
            message: message.into(),
            expected: expected.into(),
            help: Vec::new(),
            nature: Nature::Other,
        }
    }

    /// Says what sort of error it is.
    #[must_use]
    pub(crate) fn of(self, nature: Nature) -> Self {
        Self { nature, ..self }
    }

    /// Adds a suggestion.
    #[must_use]
    pub(crate) fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help.push(help.into());
        self
    }

    /// Adds `did you mean 'x'?` if one of `candidates` is near to `written`.
    #[must_use]
    pub(crate) fn suggesting<'a>(self, written: &str, candidates: impl IntoIterator<Item = &'a str>) -> Self {
        match nearest(written, candidates) {
            Some(near) => self.with_help(format!("did you mean '{near}'?")),
            None => self,
        }
    }
}

/// The candidate nearest to `written`, if it is near: the first in order among equals.
pub(crate) fn nearest<'a>(written: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = written.to_lowercase();
    let mut best: Option<(f64, &str)> = None;
    for candidate in candidates {
        let mut score = strsim::jaro_winkler(&lower, &candidate.to_lowercase());
        if strsim::damerau_levenshtein(&lower, &candidate.to_lowercase()) <= 1 {
            score = score.max(0.95);
        }
        if score >= 0.82 && best.is_none_or(|(b, _)| score > b) {
            best = Some((score, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// Everything that is wrong with a configuration. `Display` is the full text for the terminal, without colours.
#[derive(Debug, Clone)]
pub struct ConfigError {
    inner: Box<Inner>,
}

#[derive(Debug, Clone)]
struct Inner {
    sources: Vec<Arc<Source>>,
    diagnostics: Vec<Diagnostic>,
}

impl ConfigError {
    /// Collects `diagnostics`, whose origins point into `sources`, in the order of the text.
    pub(crate) fn new(sources: Vec<Arc<Source>>, mut diagnostics: Vec<Diagnostic>) -> Self {
        diagnostics.sort_by_key(|d| d.origin.map(|o| (o.source, o.start)));
        diagnostics.dedup();
        Self { inner: Box::new(Inner { sources, diagnostics }) }
    }

    /// An error that stands in no text.
    pub(crate) fn plain(message: String, help: Vec<String>) -> Self {
        let diagnostic = Diagnostic { origin: None, help, ..Diagnostic::new(Origin::default(), message, "") };
        Self::new(Vec::new(), vec![diagnostic])
    }

    /// Joins the errors of several texts into one.
    pub(crate) fn join(errors: Vec<Self>) -> Option<Self> {
        let mut errors = errors.into_iter();
        let mut all = errors.next()?;
        for error in errors {
            let shift = all.inner.sources.len() as u32;
            all.inner.sources.extend(error.inner.sources);
            for mut diagnostic in error.inner.diagnostics {
                if let Some(origin) = &mut diagnostic.origin {
                    origin.source += shift;
                }
                all.inner.diagnostics.push(diagnostic);
            }
        }
        Some(all)
    }

    /// How many things are wrong.
    #[must_use]
    pub fn count(&self) -> usize {
        self.inner.diagnostics.len()
    }

    /// Each error in one line: place, what is wrong, what was expected. For a table cell or a log.
    pub fn messages(&self) -> impl Iterator<Item = String> + '_ {
        self.inner.diagnostics.iter().map(|d| {
            let title = self.title(d);
            if d.expected.is_empty() { title } else { format!("{title} ({})", d.expected) }
        })
    }

    /// The full text; `colour` adds ANSI codes, for a terminal only.
    #[must_use]
    pub fn render(&self, colour: bool) -> String {
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        let mut blocks: Vec<String> =
            self.inner.diagnostics.iter().take(MOST_SHOWN).map(|d| self.block(&renderer, d)).collect();
        if self.count() > MOST_SHOWN {
            blocks.push(format!("error: and {} more errors", self.count() - MOST_SHOWN));
        }
        blocks.join("\n\n")
    }

    fn source(&self, diagnostic: &Diagnostic) -> Option<(&Source, Origin)> {
        let origin = diagnostic.origin?;
        Some((self.inner.sources.get(origin.source as usize)?, origin))
    }

    /// `file:line:col: message`.
    fn title(&self, diagnostic: &Diagnostic) -> String {
        match self.source(diagnostic) {
            Some((source, origin)) if source.is_file => {
                let (line, column) = source.line_column(origin.start as usize);
                format!("{}:{line}:{column}: {}", source.name, diagnostic.message)
            }
            Some((source, _)) => format!("{}: {}", source.name, diagnostic.message),
            None => diagnostic.message.clone(),
        }
    }

    fn block(&self, renderer: &Renderer, diagnostic: &Diagnostic) -> String {
        let title = self.title(diagnostic);
        let mut group = Group::with_title(Level::ERROR.primary_title(title.as_str()));
        // The terminal must not be steered by a file's control characters: only the line concerned is shown, cleaned.
        let shown = self.source(diagnostic).map(|(source, origin)| excerpt(source, origin));
        if let Some((text, line, span)) = &shown {
            let mut caret = AnnotationKind::Primary.span(span.clone());
            if !diagnostic.expected.is_empty() {
                caret = caret.label(diagnostic.expected.as_str());
            }
            group = group.element(Snippet::source(text.as_str()).line_start(*line).annotation(caret));
        }
        for help in &diagnostic.help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        renderer.render(&[group])
    }
}

/// The line on which `origin` begins, its number, and the span within it. A span over several lines is cut at the first line's end,
/// an empty one widened to a character.
fn excerpt(source: &Source, origin: Origin) -> (String, usize, std::ops::Range<usize>) {
    let text = &source.text;
    let floor = |at: usize| {
        let mut at = at.min(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    let (start, end) = (floor(origin.start as usize), floor(origin.end as usize));
    let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
    let line_end = text[start..].find('\n').map_or(text.len(), |at| start + at);
    let line = &text[line_start..line_end];
    let clean = |part: &str| -> String {
        part.chars().map(|c| if c.is_control() && c != '\t' { '\u{fffd}' } else { c }).collect()
    };
    let before = clean(&line[..start - line_start]);
    let marked = clean(&line[start - line_start..end.clamp(start, line_end) - line_start]);
    let after = clean(line[end.clamp(start, line_end) - line_start..].trim_end_matches('\r'));
    let mut shown = format!("{before}{marked}{after}");
    if before.len() >= shown.len() {
        shown.push(' ');
    }
    let first = shown[before.len()..].chars().next().map_or(1, char::len_utf8);
    let span = before.len()..before.len() + marked.len().max(first);
    let (number, _) = source.line_column(start);
    (shown, number, span)
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for ConfigError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_found_and_far_ones_not() {
        let names = ["bandwidth", "capacity", "latency"];
        assert_eq!(nearest("bandwith", names), Some("bandwidth"));
        assert_eq!(nearest("Latency", names), Some("latency"));
        assert_eq!(nearest("colour", names), None);
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        let source = Source::file("x.toml", "a = \"\u{1b}[31m\" # \u{7}\nb".into());
        let error = ConfigError::new(vec![source], vec![Diagnostic::new(Origin::span(0..1), "bad", "good")]);
        assert!(!error.to_string().contains(['\u{1b}', '\u{7}']), "{error}");
    }

    #[test]
    fn a_span_past_the_end_is_shown() {
        let source = Source::file("x.toml", "a =".into());
        for span in [3..3, 9..12, 0..40] {
            let error =
                ConfigError::new(vec![source.clone()], vec![Diagnostic::new(Origin::span(span), "bad", "x")]);
            assert!(error.to_string().contains('^'), "{error}");
        }
    }
}
