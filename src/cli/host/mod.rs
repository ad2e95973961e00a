//! `slimsim host`: attention run, timed and predicted on the CPU of this machine.

mod calibrate;
mod measure;
mod validate;
mod verify;

use super::CliError;

/// Run and time attention on this machine's CPU
#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = true)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Calibrate(calibrate::Args),
    Measure(measure::Args),
    Validate(validate::Args),
    Verify(verify::Args),
}

impl Args {
    pub(super) fn execute(self) -> Result<(), CliError> {
        // On a thread of its own: it is pinned to a CPU and would leave that to all threads that come later.
        std::thread::scope(|scope| match scope.spawn(|| self.command.execute()).join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    }
}

impl Command {
    fn execute(self) -> Result<(), CliError> {
        match self {
            Self::Calibrate(args) => args.execute(),
            Self::Measure(args) => args.execute(),
            Self::Validate(args) => args.execute(),
            Self::Verify(args) => args.execute(),
        }
    }
}
