//! The JSON schema of each kind of file, made from the same tables that read it.

use schemars::generate::SchemaSettings;

use super::raw::{
    RawAccelerator, RawExperiment, RawKernelProfile, RawMemory, RawModel, RawPaperTable, RawPins, RawSweep,
};
use super::reader::FromNode;

/// A kind of file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// An accelerator.
    Accelerator,
    /// A model.
    Model,
    /// A memory part.
    Memory,
    /// A kernel profile.
    Kernels,
    /// An experiment.
    Experiment,
    /// A sweep.
    Sweep,
    /// Pinned predictions.
    Pins,
    /// A table of published figures.
    Paper,
}

impl FileKind {
    /// Every kind.
    pub const ALL: [Self; 8] = [
        Self::Accelerator,
        Self::Model,
        Self::Memory,
        Self::Kernels,
        Self::Experiment,
        Self::Sweep,
        Self::Pins,
        Self::Paper,
    ];

    /// The name that users write; the schema is `configs/schema/NAME.schema.json`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Accelerator => "accelerator",
            Self::Model => "model",
            Self::Memory => "memory",
            Self::Kernels => "kernels",
            Self::Experiment => "experiment",
            Self::Sweep => "sweep",
            Self::Pins => "pins",
            Self::Paper => "paper",
        }
    }
}

/// The JSON schema of a kind of file, indented, with a final newline.
#[must_use]
pub fn schema(kind: FileKind) -> String {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let body = match kind {
        FileKind::Accelerator => RawAccelerator::schema(&mut generator),
        FileKind::Model => RawModel::schema(&mut generator),
        FileKind::Memory => RawMemory::schema(&mut generator),
        FileKind::Kernels => RawKernelProfile::schema(&mut generator),
        FileKind::Experiment => RawExperiment::schema(&mut generator),
        FileKind::Sweep => RawSweep::schema(&mut generator),
        FileKind::Pins => RawPins::schema(&mut generator),
        FileKind::Paper => RawPaperTable::schema(&mut generator),
    };
    let mut all = serde_json::Map::new();
    all.insert("$schema".into(), "https://json-schema.org/draft/2020-12/schema".into());
    all.insert("title".into(), format!("slimsim {} file", kind.name()).into());
    if let serde_json::Value::Object(body) = body.into() {
        all.extend(body);
    }
    format!("{:#}\n", serde_json::Value::Object(all))
}
