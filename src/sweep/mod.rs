//! Sweeps: one decode step of every scheme at every combination of the axes' values.
//!
//! [`Plan`] is a sweep that has been checked: its axes in order, every machine and model known to resolve. [`run`] simulates it
//! on all threads and hands results over in axis order, whatever the thread count, holding a bounded number of them at a
//! time. [`OutputFolder`] keeps what is written aside until all of it is complete. What results look like as tables and plots is the
//! matter of [`crate::report`].

mod folder;
mod plan;
mod run;

pub use folder::OutputFolder;
pub use plan::{Dimension, Place, Plan, Setting};
pub use run::run;

use crate::config::ConfigError;
use std::path::PathBuf;

/// Why a sweep does not run.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// The sweep file, or a machine or a model that it makes, is wrong.
    #[error("{error}")]
    Config {
        /// What is wrong, and where.
        error: ConfigError,
        /// How many machines or models are wrong besides the one that is shown.
        others: u64,
    },
    /// The sweep asks for what there is not.
    #[error("{0}")]
    Input(String),
    /// The folder for results cannot be used.
    #[error("cannot write to '{}': {why}", path.display())]
    Folder {
        /// The folder, or the file in it.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// Results could not be written. A closed pipe is seen in the source.
    #[error("cannot write results: {0}")]
    Write(#[source] std::io::Error),
}

impl From<ConfigError> for SweepError {
    fn from(error: ConfigError) -> Self {
        Self::Config { error, others: 0 }
    }
}

#[cfg(test)]
mod tests;
