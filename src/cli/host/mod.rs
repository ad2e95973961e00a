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
        match self.command {
            Command::Calibrate(args) => args.execute(),
            Command::Measure(args) => args.execute(),
            Command::Validate(args) => args.execute(),
            Command::Verify(args) => args.execute(),
        }
    }
}
