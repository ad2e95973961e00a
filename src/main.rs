//! The `slimsim` command.

fn main() {}
