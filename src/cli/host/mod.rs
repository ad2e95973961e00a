//! `slimsim host`: attention run, timed and predicted on the CPU of this machine.

mod measure;

use super::CliError;

/// Run and time attention on this machine's CPU
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Measure(measure::Args),
}

impl Args {
    pub(super) fn execute(self) -> Result<(), CliError> {
        match self.command {
            Command::Measure(args) => args.execute(),
        }
    }
}
