//! The `slimsim` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    slimsim::cli::main()
}
