//! slimsim answers one question for any machine an architect can write down: on this accelerator, for this model and this
//! traffic, does keeping only part of the attention cache and recomputing the rest beat keeping K and V?
//!
//! Modules stand in import order: each imports only from those before it (`tests/structure.rs` holds the order).

pub mod units;

pub mod model;

pub mod attention;

pub mod hardware;

pub mod config;

pub mod workload;

pub mod mapping;

pub mod engine;

pub mod ledger;

pub mod step;

pub mod trace;

pub mod serving;

pub mod sweep;

pub mod analysis;
#[cfg(feature = "host")]
pub mod host;

pub mod report;

pub mod cli;
