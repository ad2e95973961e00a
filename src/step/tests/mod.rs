//! Ladder of tests: closed forms, machines checked by hand, properties over random machines, candidates by brute force.

mod blocks;
mod brute_force;
mod closed_forms;
mod drawn;
mod fixtures;
mod kernels;
mod limits;
mod machines;
mod monotone;
mod parts;
mod physics;
mod properties;
mod wild;
