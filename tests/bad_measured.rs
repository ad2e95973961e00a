//! Every table of `tests/bad-measured` is refused, or some of its rows are left out, with the text that stands beside it as `.stderr`.
//!
//! `UPDATE_STDERR=1 cargo test --test bad_measured` rewrites the texts: read the difference before committing it.

mod snapshots;

use std::fmt::Write as _;
use std::path::Path;

use slimsim::trace::measured::{self, MeasuredTable};

const FOLDER: &str = "tests/bad-measured";

/// What a table is refused with, or what is said about its rows; `None` if nothing is.
fn complaints(path: &Path) -> Option<String> {
    let table = match measured::read(path) {
        Err(error) => return Some(format!("error: {error}\n")),
        Ok(table) => table,
    };
    let said = !table.skipped.is_empty() || !table.remarks.is_empty();
    said.then(|| describe(&table))
}

/// The counts, and every complaint.
fn describe(table: &MeasuredTable) -> String {
    let mut text = format!("{} rows, {} usable\n", table.outcomes.len(), table.measured().count());
    for (reason, count) in table.skipped.by_reason() {
        writeln!(text, "left out: {count} {reason}").expect("writing to a string succeeds");
    }
    for (reason, count) in table.remarks.by_reason() {
        writeln!(text, "kept: {count} {reason}").expect("writing to a string succeeds");
    }
    for tally in [&table.skipped, &table.remarks] {
        if !tally.is_empty() {
            write!(text, "\n{tally}\n").expect("writing to a string succeeds");
        }
    }
    text
}

#[test]
fn each_is_answered_as_recorded() {
    snapshots::hold(&snapshots::files(Path::new(FOLDER)), 20, |path| complaints(Path::new(path)));
}

#[test]
fn no_snapshot_is_left_over() {
    snapshots::none_left_over(Path::new(FOLDER));
}
