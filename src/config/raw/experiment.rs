//! The keys of an experiment file and of a sweep file.

use schemars::{Schema, SchemaGenerator, json_schema};

use crate::attention::{QkNorm, Rotation, Sparsity};
use crate::config::conditions::{CacheTypes, NormForm};
use crate::config::limits::*;
use crate::config::reader::{FromNode, KeyType, Reader, table};
use crate::config::scalars::{Count, OneOrMany, named};
use crate::config::tree::{Key, Node, Value};
use crate::units::Dtype;

table! {
    /// An experiment: what to run on what.
    RawExperiment {
        /// Preset or accelerator file, or a list of them. A path is relative to this file.
        optional accelerator: OneOrMany<String>,
        /// Preset, model file or Hugging Face config.json, or a list of them. A path is relative to this file.
        optional model: OneOrMany<String>,
        /// Schemes to compare (default kv-cache and slim-k).
        optional scheme: OneOrMany<String>,
        /// Tokens attended to, the new one included, or a list of such counts.
        optional context: OneOrMany<Count<MAX_CONTEXT>>,
        /// Sequences in a step, or a list of such counts (default 1).
        optional batch: OneOrMany<Count<MAX_BATCH>>,
        /// Element type of the weights (default bf16).
        optional weight_dtype: Dtype,
        /// Element type of what schemes keep (default bf16); as text "bf16,slim-k=fp32" or a table `{ default, SCHEME }`, one for all and others for single schemes.
        optional cache_dtype: CacheTypes,
        /// New tokens of each sequence in a step (default 1); at most the context, which includes them.
        optional query_tokens: Count<MAX_CONTEXT>,
        /// Encoder tokens that cross-attention attends to (default: the model's): `model.encoder.tokens`.
        optional encoder_tokens: Count<MAX_CONTEXT>,
        /// Fraction of a query's attention weights that count as zero (default 0): `cache.sparsity`.
        optional sparsity: Sparsity,
        /// Which form of rotated keys is kept (default on-read): `cache.rotation`.
        optional rotation: Rotation,
        /// How keys that the model normalises are kept (default on-read): `cache.qk_norm`.
        optional qk_norm: QkNorm,
        /// Form of the model's RMSNorms (default as-is): "flash" folds their weights into the next projection.
        optional norm: NormForm,
        /// Kernel profile, accelerator file that has one, or "own": each accelerator's (default: the free mapper).
        optional kernels: String,
        /// Mapping plan to force (default: the fastest).
        optional plan: String,
        /// Overrides of keys of the accelerator, of the model after `model.` and of the cache after `cache.`, by dotted path.
        optional set: PathTable,
    }
}

table! {
    /// A sweep: an experiment and the axes it is repeated along.
    RawSweep {
        /// What stays the same: the keys of an experiment.
        required base: RawExperiment,
        /// The axes, by dotted path: `context`, `batch` or another key of an experiment, an accelerator's key, a model's key after `model.`, or a key after `cache.`.
        required sweep: PathTable,
        /// What to draw.
        optional plot: Plots,
    }
}

/// Kind of plot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlotKind {
    /// Speedup over an axis, a line for each value of another, the crossover marked.
    Speedup,
    /// Cycles by cause, both schemes side by side.
    Causes,
    /// Operating points of the schemes under the machine's roofline.
    Roofline,
    /// Speedup over two axes as colours.
    Heatmap,
    /// Any result field over an axis.
    Lines,
}
named!(PlotKind {
    "speedup" => Self::Speedup,
    "causes" => Self::Causes,
    "roofline" => Self::Roofline,
    "heatmap" => Self::Heatmap,
    "lines" => Self::Lines,
});

table! {
    /// One plot of a sweep.
    RawPlot {
        /// What is drawn.
        required kind: PlotKind,
        /// Axis along x (default: the first axis).
        optional x: String,
        /// Axis along y of a heat map, or result field on y of lines.
        optional y: String,
        /// Axis with one line a value.
        optional series: String,
        /// Title (default: made from the axes).
        optional title: String,
    }
}

table! {
    /// A range of values for an axis.
    RawRange {
        /// First value: a number, or text with a unit.
        required from: Endpoint,
        /// Last value.
        required to: Endpoint,
        /// How many values, both ends counted.
        required steps: Count<1_000_000, 2>,
        /// Spacing (default "linear").
        optional scale: Scale,
    }
}

/// Spacing of a range. The base of a logarithmic one decides nothing but its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scale {
    Linear,
    Logarithmic,
}

impl crate::config::scalars::Named for Scale {
    const NAMES: &'static [(&'static str, Self)] =
        &[("linear", Self::Linear), ("log2", Self::Logarithmic), ("log10", Self::Logarithmic)];
}

impl FromNode for Scale {
    const TYPE: KeyType = KeyType::Other;

    fn expected() -> String {
        crate::config::scalars::one_of::<Self>()
    }

    fn read(node: &Node, reader: &mut Reader) -> Option<Self> {
        crate::config::scalars::read_name(node, reader)
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "enum": ["linear", "log2", "log10"] })
    }
}

/// One end of a range, not yet of a known type.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Endpoint(pub(crate) Node);

impl FromNode for Endpoint {
    const TYPE: KeyType = KeyType::Other;

    fn expected() -> String {
        "a number, or text with a unit".into()
    }

    fn read(node: &Node, reader: &mut Reader) -> Option<Self> {
        match &node.value {
            Value::Text(_) | Value::Integer(Some(_)) => Some(Self(node.clone())),
            Value::Float(x) if x.is_finite() => Some(Self(node.clone())),
            Value::Float(_) => reader.refuse(node, "is not finite", &Self::expected()),
            Value::Integer(None) => reader.refuse(node, "is too large", &Self::expected()),
            _ => reader.wrong_type(node, &Self::expected()),
        }
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["number", "string"] })
    }
}

/// Values by dotted path, written as quoted keys (`"hbm.bandwidth" = …`) or as TOML's own dotted keys. In the order of the file.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PathTable(pub(crate) Vec<(Vec<Key>, Node)>);

impl PathTable {
    fn flatten(&mut self, prefix: &[Key], node: &Node, reader: &mut Reader) {
        let Some(table) = node.table() else { return };
        for (key, value) in &table.entries {
            let Some(more) = split_key(key) else {
                let message = format!("'{}' is not a dotted path", key.name);
                let expected = "expected keys joined by dots, such as \"hbm.bandwidth\"";
                reader.push(super::super::diagnostic::Diagnostic::new(key.origin, message, expected));
                continue;
            };
            let path: Vec<Key> = prefix.iter().cloned().chain(more).collect();
            // No key of a machine or a model is called like those of a range.
            let is_range = |t: &crate::config::tree::Table| {
                t.entries.is_empty() || t.entries.iter().any(|(k, _)| RawRange::KEYS.contains(&&*k.name))
            };
            match value.table() {
                Some(table) if !is_range(table) => self.flatten(&path, value, reader),
                _ => self.0.push((path, value.clone())),
            }
        }
    }
}

/// The keys of a dotted path, each with its own place; `None` if one is empty.
pub(crate) fn split_key(key: &Key) -> Option<Vec<Key>> {
    let quoted = (key.origin.end - key.origin.start) as usize > key.name.len();
    let mut start = key.origin.start + u32::from(quoted);
    let mut keys = Vec::new();
    for part in key.name.split('.') {
        let name = part.trim();
        if name.is_empty() || name.contains(|c: char| c.is_control() || c.is_whitespace()) {
            return None;
        }
        let begin = start + (part.len() - part.trim_start().len()) as u32;
        let origin =
            super::super::source::Origin { start: begin, end: begin + name.len() as u32, ..key.origin };
        keys.push(Key { name: name.into(), origin });
        start += part.len() as u32 + 1;
    }
    Some(keys)
}

impl FromNode for PathTable {
    const TYPE: KeyType = KeyType::Table;

    fn expected() -> String {
        "a table of values by dotted path".into()
    }

    fn read(node: &Node, reader: &mut Reader) -> Option<Self> {
        reader.table(node)?;
        let mut this = Self(Vec::new());
        this.flatten(&[], node, reader);
        this.0.sort_by_key(|(path, _)| path.last().map(|key| key.origin.start));
        Some(this)
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "object" })
    }
}

/// The `[[plot]]` entries.
#[derive(Debug, Clone)]
pub(crate) struct Plots(pub(crate) Vec<RawPlot>);

impl FromNode for Plots {
    const TYPE: KeyType = KeyType::Other;

    fn expected() -> String {
        "tables [[plot]]".into()
    }

    fn read(node: &Node, reader: &mut Reader) -> Option<Self> {
        let Value::Array(items) = &node.value else { return reader.wrong_type(node, &Self::expected()) };
        Some(Self(items.iter().filter_map(|item| RawPlot::read(item, reader)).collect()))
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "array", "items": RawPlot::schema(generator) })
    }
}
