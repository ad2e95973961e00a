//! Ladder of tests: closed forms, machines checked by hand, properties over random machines.

mod closed_forms;
mod fixtures;
mod machines;
mod properties;
