//! `slimsim host`: this machine's CPU, one file a subcommand.

mod verify;

use super::CliError;

/// Attention kernels on this machine's CPU: how exact they are
#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = true)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Verify(verify::Args),
}

impl Args {
    pub(super) fn execute(self) -> Result<(), CliError> {
        match self.command {
            Command::Verify(args) => args.execute(),
        }
    }
}
