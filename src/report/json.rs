//! JSON: the whole result, counts as integers.

use super::{Exporter, PointsDocument, ReplayDocument};
use crate::analysis::CrossoverDocument;
use serde::Serialize;
use std::io;

/// Writes any document as indented JSON with a final newline.
///
/// # Errors
/// The writer's own, and those of the document's `Serialize`.
pub fn write_json(document: &impl Serialize, out: &mut dyn io::Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, document)?;
    out.write_all(b"\n")
}

/// Results as JSON.
#[derive(Debug, Clone, Copy)]
pub struct JsonExporter;

impl Exporter for JsonExporter {
    fn points(&self, document: &PointsDocument<'_>, out: &mut dyn io::Write) -> io::Result<()> {
        write_json(document, out)
    }

    fn replay(&self, document: &ReplayDocument<'_>, out: &mut dyn io::Write) -> io::Result<()> {
        write_json(document, out)
    }

    fn crossover(&self, document: &CrossoverDocument, out: &mut dyn io::Write) -> io::Result<()> {
        write_json(document, out)
    }
}
