//! The command line: one file a command, what they share in `selectors`, `output` and `error`.
//!
//! The border: nothing is computed here. A command resolves what was asked for, lets the library answer, and hands the
//! answer to `report`. Results go to stdout, all else to stderr; exit codes are those of [`exit`].

mod calibrate;
mod compare;
mod crossover;
mod dram;
mod error;
#[cfg(feature = "host")]
mod host;
mod list;
mod operators;
pub mod output;
mod paper;
mod pin;
mod plot;
mod replay;
mod run;
mod schema;
mod selectors;
mod show;
mod sweep;
mod validate;

pub use error::{CliError, exit};
pub use selectors::{Selectors, Study};

use clap::{Parser, Subcommand};
use std::io::{self, IsTerminal, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

/// When does keeping only K and recomputing V beat the KV-cache? Simulates LLM decode on accelerators that are TOML files.
#[derive(Debug, Parser)]
#[command(name = "slimsim", version, propagate_version = true, arg_required_else_help = true)]
#[command(
    after_help = "Exit codes: 0 fine, 1 a check failed, 2 bad usage or input, 3 infeasible everywhere asked, 70 a bug."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::Args),
    Operators(operators::Args),
    Replay(replay::Args),
    Plot(plot::Args),
    List(list::Args),
    Show(show::Args),
    Sweep(sweep::Args),
    Crossover(crossover::Args),
    Compare(compare::Args),
    Pin(pin::PinArgs),
    Check(pin::CheckArgs),
    Paper(paper::Args),
    Schema(schema::Args),
    Dram(dram::Args),
    Calibrate(calibrate::Args),
    Validate(validate::Args),
    #[cfg(feature = "host")]
    Host(host::Args),
}

impl Command {
    fn execute(self) -> Result<(), CliError> {
        match self {
            Self::Run(args) => args.execute(),
            Self::Operators(args) => args.execute(),
            Self::Replay(args) => args.execute(),
            Self::Plot(args) => args.execute(),
            Self::List(args) => args.execute(),
            Self::Show(args) => args.execute(),
            Self::Sweep(args) => args.execute(),
            Self::Crossover(args) => args.execute(),
            Self::Compare(args) => args.execute(),
            Self::Pin(args) => args.execute(),
            Self::Check(args) => args.execute(),
            Self::Paper(args) => args.execute(),
            Self::Schema(args) => args.execute(),
            Self::Dram(args) => args.execute(),
            Self::Calibrate(args) => args.execute(),
            Self::Validate(args) => args.execute(),
            #[cfg(feature = "host")]
            Self::Host(args) => args.execute(),
        }
    }
}

/// `1 point`, `1,024 points`.
fn plural(count: u64, what: &str) -> String {
    let s = if count == 1 { "" } else { "s" };
    format!("{} {what}{s}", crate::report::thousands(count))
}

/// Runs the command that the process was started with.
#[must_use]
pub fn main() -> ExitCode {
    std::panic::set_hook(Box::new(|info| {
        let text = info.payload_as_str().unwrap_or("a panic without words");
        let place = info.location().map(|l| format!(" ({}:{})", l.file(), l.line())).unwrap_or_default();
        output::note(&format!(
            "error: internal error: {text}{place}; please report it with the command and its input files"
        ));
    }));
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version go to stdout. Whoever closes it has read enough.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(exit::BAD_INPUT));
        }
    };
    ExitCode::from(guarded(|| cli.command.execute()))
}

/// Runs `work`, tells about an error, and returns the exit code. A panic has been told about by the hook.
fn guarded(work: impl FnOnce() -> Result<(), CliError>) -> u8 {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(())) => exit::FINE,
        Ok(Err(error)) => {
            let colour = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            let _ = io::stderr().lock().write_all(error.render(colour).as_bytes());
            error.code()
        }
        Err(_) => exit::BUG,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_panic_is_a_bug_and_nothing_else_is() {
        assert_eq!(guarded(|| Ok(())), 0);
        assert_eq!(guarded(|| Err(CliError::Infeasible("nothing fits".into()))), 3);
        assert_eq!(guarded(|| panic!("a test panics on purpose")), 70);
    }
}
