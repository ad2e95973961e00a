//! JSON: the whole result, counts as integers.

use super::{Exporter, PointsDocument};
use serde::Serialize;
use std::io;

/// Writes any document as indented JSON with a final newline.
pub fn write_json(document: &impl Serialize, out: &mut dyn io::Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, document)?;
    out.write_all(b"\n")
}

/// Points as JSON.
#[derive(Debug, Clone, Copy)]
pub struct PointJson;

impl Exporter for PointJson {
    fn write(&self, document: &PointsDocument<'_>, out: &mut dyn io::Write) -> io::Result<()> {
        write_json(document, out)
    }
}
