//! Quantities for people to read.
