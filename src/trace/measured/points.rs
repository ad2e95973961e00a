//! Which points of a table have been measured already.

use super::{Measured, Outcome};
use rustc_hash::{FxHashMap, FxHasher};
use std::hash::{Hash, Hasher};

/// Rows by the hash of their point. The points themselves stay in the table: a million of them would fill as much again.
#[derive(Default)]
pub(super) struct Points(FxHashMap<u64, usize>);

impl Points {
    /// The row of `earlier` that measured the point of `row`. If there is none, `row` is noted as number `earlier.len()`, where it has to
    /// be put.
    pub(super) fn earlier<'a>(&mut self, earlier: &'a [Outcome], row: &Measured) -> Option<&'a Measured> {
        let mut hasher = FxHasher::default();
        point(row).hash(&mut hasher);
        let mut hash = hasher.finish();
        loop {
            let number = *self.0.entry(hash).or_insert(earlier.len());
            match earlier.get(number) {
                Some(Outcome::Row(other)) if point(other) == point(row) => return Some(other),
                // Another point with the same hash: it has this place, the next may be free.
                Some(_) => hash = hash.wrapping_add(1),
                None => return None,
            }
        }
    }
}

/// What makes two rows measurements of one thing.
fn point(row: &Measured) -> impl Hash + Eq {
    (row.work, row.gpu, row.framework, row.version, row.kernel, row.dtype)
}
