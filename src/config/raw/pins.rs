//! The keys of a file of pinned predictions.

use schemars::{Schema, SchemaGenerator, json_schema};

use super::PathTable;
use crate::config::conditions::CacheTypes;
use crate::config::limits::{MAX_BATCH, MAX_CONTEXT};
use crate::config::reader::{FromNode, KeyType, Located, Reader, table};
use crate::config::scalars::{Count, Fraction, Number};
use crate::config::tree::{Node, Value};
use crate::units::Dtype;

/// Numbers are counts of anything; steps are refused far below.
pub(crate) type AnyCount = Count<{ u64::MAX }, 0>;

table! {
    /// Predictions as they were: `slimsim check` recomputes them and shows what has moved.
    RawPins {
        /// Version that made them.
        required slimsim: String,
        /// Element type of the weights (default bf16).
        optional weight_dtype: Dtype,
        /// Element type of what schemes keep (default bf16), or a table: one for all and others for single schemes.
        optional cache_dtype: CacheTypes,
        /// New tokens of each sequence in a step (default 1).
        optional query_tokens: Count<MAX_CONTEXT>,
        /// Kernel profile: a preset's name, the path of a file, or "own", each accelerator's (default: the free mapper).
        optional kernels: String,
        /// Mapping plan that is forced (default: the fastest).
        optional plan: String,
        /// Overrides of keys of the accelerator, of the model after `model.` and of the cache after `cache.`, by dotted path.
        optional set: PathTable,
        /// How far numbers may move, as a fraction of the pinned ones (default 0: not at all).
        optional tolerance: RawTolerance,
        /// The points.
        required point: Tables<RawPinnedPoint>,
    }
}

table! {
    /// How far numbers may move, as a fraction of the pinned ones.
    RawTolerance {
        /// Of the step's time.
        optional picoseconds: Fraction,
        /// Of the step's cycles.
        optional cycles: Fraction,
        /// Of the bytes at the outermost memory.
        optional traffic_bytes: Fraction,
        /// Of the useful FLOPs.
        optional flops: Fraction,
        /// Of the step's energy.
        optional energy_joules: Fraction,
    }
}

table! {
    /// One decode step of one scheme, as it was predicted.
    RawPinnedPoint {
        /// Preset or accelerator file. A path is relative to this file.
        required accelerator: String,
        /// Preset, model file or Hugging Face config.json. A path is relative to this file.
        required model: String,
        /// Scheme.
        required scheme: String,
        /// Tokens attended to, the new one included.
        required context: Count<MAX_CONTEXT>,
        /// Sequences in the step.
        required batch: Count<MAX_BATCH>,
        /// Whether it can run; the numbers are there if so.
        required feasible: bool,
        /// Duration of the step.
        optional picoseconds: AnyCount,
        /// The same in cycles of the core clock.
        optional cycles: AnyCount,
        /// Bytes at the outermost memory.
        optional traffic_bytes: AnyCount,
        /// Useful FLOPs.
        optional flops: AnyCount,
        /// Energy of the step, where the machine's table has every figure.
        optional energy_joules: Number,
    }
}

/// Tables `[[name]]`, each with its place.
#[derive(Debug, Clone)]
pub(crate) struct Tables<T>(pub(crate) Vec<Located<T>>);

impl<T: FromNode> FromNode for Tables<T> {
    const TYPE: KeyType = KeyType::Other;

    fn expected() -> String {
        "one table at least".into()
    }

    fn read(node: &Node, reader: &mut Reader) -> Option<Self> {
        let Value::Array(items) = &node.value else {
            let expected = format!("tables [[{}]], one at least", reader.key());
            return reader.wrong_type(node, &expected);
        };
        if items.is_empty() {
            return reader.refuse(node, "is an empty list", &Self::expected());
        }
        Some(Self(items.iter().filter_map(|item| FromNode::read(item, reader)).collect()))
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "array", "items": T::schema(generator), "minItems": 1 })
    }
}
