//! The `slimsim` command as users and scripts see it: output, exit codes, messages.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod bad_conditions;
mod bad_input;
mod closed_forms;
mod compare;
mod conditions;
mod dram;
#[cfg(feature = "host")]
mod host;
#[cfg(feature = "host")]
mod host_validate;
mod plots;
mod replay;
mod results;
mod support;
mod validate;
