//! What can end a command, and the exit code that tells scripts which it was.

use crate::config::ConfigError;
use crate::report::ReportError;
use crate::report::plot::PlotError;
use crate::step::SetupError;
use crate::sweep::SweepError;
use crate::trace::TraceError;
use std::fmt::Write as _;
use std::io;

/// Exit codes.
pub mod exit {
    /// All went well.
    pub const FINE: u8 = 0;
    /// A check failed: what it says is on stdout.
    pub const CHECK_FAILED: u8 = 1;
    /// Bad usage or input, or output that cannot be written.
    pub const BAD_INPUT: u8 = 2;
    /// Nothing that was asked for can run.
    pub const INFEASIBLE: u8 = 3;
    /// A bug of slimsim.
    pub const BUG: u8 = 70;
}

/// Why a command ended early.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CliError {
    /// A command line that cannot be followed.
    #[error("{message}")]
    Usage {
        /// What is wrong.
        message: String,
        /// Suggestions, a line each.
        help: Vec<String>,
    },
    /// A configuration file, a preset's name or an override is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A trace is wrong.
    #[error(transparent)]
    Trace(#[from] TraceError),
    /// A sweep is wrong, or its results cannot be written.
    #[error(transparent)]
    Sweep(#[from] SweepError),
    /// Machine, model and scheme do not go together.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// Nothing that was asked for can run.
    #[error("{0}")]
    Infeasible(String),
    /// A check failed; the differences have been shown.
    #[error("{0}")]
    CheckFailed(String),
    /// A file could not be written.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// A plot has nothing to show.
    #[error(transparent)]
    Plot(#[from] PlotError),
    /// Standard output could not be written.
    #[error("cannot write to standard output: {0}")]
    Output(io::Error),
    /// A bug.
    #[error("internal error: {0}; please report it")]
    Internal(String),
}

impl CliError {
    /// A usage error without suggestions.
    #[must_use]
    pub fn usage(message: impl Into<String>) -> Self {
        Self::Usage { message: message.into(), help: Vec::new() }
    }

    /// Adds a suggestion to a usage error; others have their own.
    #[must_use]
    pub fn with_help(mut self, line: impl Into<String>) -> Self {
        if let Self::Usage { help, .. } = &mut self {
            help.push(line.into());
        }
        self
    }

    /// The exit code.
    #[must_use]
    pub fn code(&self) -> u8 {
        match self {
            Self::Usage { .. }
            | Self::Config(_)
            | Self::Trace(_)
            | Self::Sweep(_)
            | Self::Setup(_)
            | Self::Report(_)
            | Self::Plot(PlotError::Empty(_)) => exit::BAD_INPUT,
            Self::Infeasible(_) => exit::INFEASIBLE,
            Self::CheckFailed(_) => exit::CHECK_FAILED,
            // Whoever closes a pipe has read enough: `slimsim … | head -1` is no failure.
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => exit::FINE,
            Self::Output(_) => exit::BAD_INPUT,
            Self::Plot(_) | Self::Internal(_) => exit::BUG,
        }
    }

    /// What stderr gets, its lines ended; nothing for a closed pipe. `colour` is for a terminal.
    #[must_use]
    pub fn render(&self, colour: bool) -> String {
        let mut text = match self {
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => return String::new(),
            // These carry their own `error:` for each thing that is wrong.
            Self::Config(error) => error.render(colour),
            Self::Sweep(SweepError::Config { error, others }) => {
                let more = (*others > 0)
                    .then(|| format!("\n\nnote: {others} more combinations of the axes are wrong"));
                error.render(colour) + &more.unwrap_or_default()
            }
            other => format!("error: {}", printable(&other.to_string())),
        };
        text.push('\n');
        if let Self::Usage { help, .. } = self {
            for line in help {
                let _ = writeln!(text, "  = help: {}", printable(line));
            }
        }
        text
    }
}

/// Names come from command lines and files: what would steer a terminal is replaced.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_the_documentation() {
        assert_eq!(CliError::usage("x").code(), 2);
        assert_eq!(CliError::Infeasible("x".into()).code(), 3);
        assert_eq!(CliError::CheckFailed("x".into()).code(), 1);
        assert_eq!(CliError::Internal("x".into()).code(), 70);
    }

    #[test]
    fn a_closed_pipe_is_silent_and_fine() {
        let closed = CliError::Output(io::ErrorKind::BrokenPipe.into());
        assert_eq!((closed.code(), closed.render(false)), (0, String::new()));
        let full = CliError::Output(io::ErrorKind::StorageFull.into());
        assert_eq!(full.code(), 2);
        assert!(full.render(false).starts_with("error: cannot write to standard output"));
    }

    #[test]
    fn errors_begin_with_the_word_and_steer_no_terminal() {
        let error = CliError::usage("no \u{1b}[31m").with_help("try this");
        assert_eq!(error.render(false), "error: no \u{fffd}[31m\n  = help: try this\n");
    }
}
