//! Sweep files: an experiment, and the axes along which it is repeated.

use std::fmt::Write as _;
use std::sync::Arc;

use super::diagnostic::{ConfigError, Diagnostic};
use super::experiment::{Experiment, reference, scheme};
use super::load::{finish, read_file};
use super::overrides::{ENCODER_TOKENS, Override, Overrides, Root, dotted, follow};
use super::presets::PresetKind;
use super::range;
use super::raw::{PlotKind, RawExperiment, RawPlot, RawRange, RawSweep};
use super::reader::{Field, FromNode, KeyType, Located, Reader};
use super::scalars::Named;
use super::source::Source;
use super::tree::{Key, Node, Value, quote};

/// Axes that are keys of the experiment itself.
const EXPERIMENT_AXES: [(&str, AxisTarget); 12] = [
    ("context", AxisTarget::Context),
    ("batch", AxisTarget::Batch),
    ("accelerator", AxisTarget::Accelerator),
    ("model", AxisTarget::Model),
    ("weight_dtype", AxisTarget::WeightDtype),
    ("cache_dtype", AxisTarget::CacheDtype),
    ("plan", AxisTarget::Plan),
    ("query_tokens", AxisTarget::QueryTokens),
    ("encoder_tokens", AxisTarget::ModelKey),
    ("sparsity", AxisTarget::Sparsity),
    ("rotation", AxisTarget::Rotation),
    ("qk_norm", AxisTarget::QkNorm),
];

/// What a message about an unknown axis may suggest beside an accelerator's keys.
const AXIS_NAMES: &[&str] = &[
    "context",
    "batch",
    "accelerator",
    "model",
    "weight_dtype",
    "cache_dtype",
    "plan",
    "query_tokens",
    "encoder_tokens",
    "sparsity",
    "rotation",
    "qk_norm",
    "cache",
];

/// The axis of a paged cache's blocks, which has no short name.
const BLOCK_TOKENS: &str = "cache.block_tokens";

/// Axes that say the same in two ways: short, and as the path of an override.
const SAME_AXES: [(&str, &str); 4] = [
    ("encoder_tokens", ENCODER_TOKENS),
    ("sparsity", "cache.sparsity"),
    ("rotation", "cache.rotation"),
    ("qk_norm", "cache.qk_norm"),
];

/// The path of an override that an axis stands for, if it does.
fn full_path(name: &str) -> &str {
    SAME_AXES.iter().find(|(short, _)| *short == name).map_or(name, |(_, path)| path)
}

/// A sweep.
#[derive(Debug, Clone)]
pub struct Sweep {
    /// What stays the same. A key that an axis varies is replaced by it.
    pub base: Experiment,
    /// The axes, in the order of the file: the last one varies fastest.
    pub axes: Vec<Axis>,
    /// What to draw.
    pub plots: Vec<Plot>,
}

/// What an axis varies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AxisTarget {
    /// The context.
    Context,
    /// The batch.
    Batch,
    /// The machine, by preset or path.
    Accelerator,
    /// The model, by preset or path.
    Model,
    /// Element type of the weights.
    WeightDtype,
    /// Element type of the cache.
    CacheDtype,
    /// The forced mapping plan.
    Plan,
    /// New tokens of each sequence.
    QueryTokens,
    /// Attention weights that count as zero.
    Sparsity,
    /// Which form of rotated keys is kept.
    Rotation,
    /// How normalised keys are kept.
    QkNorm,
    /// Tokens of a block of a paged cache.
    BlockTokens,
    /// A key of the machine: see [`Axis::apply`].
    MachineKey,
    /// A key of the model: see [`Axis::apply`].
    ModelKey,
}

/// One axis.
#[derive(Debug, Clone)]
pub struct Axis {
    /// Dotted path, the column's name in results.
    pub path: String,
    /// What it varies.
    pub target: AxisTarget,
    /// The values, checked, in order. Duplicates are kept.
    pub values: Vec<AxisValue>,
    /// The overrides that set the values, where the target is a key.
    overrides: Vec<Override>,
}

/// One value of an axis.
#[derive(Debug, Clone, PartialEq)]
pub enum AxisValue {
    /// A count.
    Integer(u64),
    /// A fraction.
    Float(f64),
    /// A name, a path, or a quantity with its unit.
    Text(String),
    /// A switch.
    Bool(bool),
}

impl std::fmt::Display for AxisValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Integer(n) => n.fmt(f),
            Self::Float(x) => x.fmt(f),
            Self::Text(text) => text.fmt(f),
            Self::Bool(yes) => yes.fmt(f),
        }
    }
}

/// One plot of a sweep. What is absent is chosen from the axes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plot {
    /// What is drawn.
    pub kind: PlotKind,
    /// Path of the axis along x.
    pub x: Option<String>,
    /// Path of the axis along y of a heat map, or the result field of lines.
    pub y: Option<String>,
    /// Path of the axis that has one line a value.
    pub series: Option<String>,
    /// Title.
    pub title: Option<String>,
}

impl Axis {
    /// Sets the value of that index, where the target is a key; errors that follow point into the sweep file.
    pub fn apply(&self, index: usize, overrides: &mut Overrides) {
        if let Some(one) = self.overrides.get(index) {
            overrides.add(one.clone());
        }
    }
}

impl Sweep {
    /// How many combinations of values the axes have; `None` beyond 64 bits.
    #[must_use]
    pub fn combinations(&self) -> Option<u64> {
        self.axes.iter().try_fold(1_u64, |n, axis| n.checked_mul(axis.values.len() as u64))
    }

    /// The sweep as a file again, every range written out as a list.
    #[must_use]
    pub fn resolved_toml(&self) -> String {
        let mut out = String::from("[base]\n");
        let base = &self.base;
        let texts = |many: &[String]| many.iter().map(|one| quote(one)).collect::<Vec<_>>().join(", ");
        let mut list = |key: &str, items: String| {
            if !items.is_empty() {
                let _ = writeln!(out, "{key} = [{items}]");
            }
        };
        let counts = |many: &[u64]| many.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
        list("accelerator", texts(&base.accelerators));
        list("model", texts(&base.models));
        list("scheme", base.schemes.as_deref().map(texts).unwrap_or_default());
        list("context", counts(&base.contexts));
        list("batch", counts(&base.batches));
        let _ = writeln!(out, "weight_dtype = \"{}\"", base.weight_dtype);
        let _ = writeln!(out, "cache_dtype = {}", base.cache_dtype.to_toml());
        if base.query_tokens != 1 {
            let _ = writeln!(out, "query_tokens = {}", base.query_tokens);
        }
        for (key, value) in [("kernels", &base.kernels), ("plan", &base.plan)] {
            if let Some(value) = value {
                let _ = writeln!(out, "{key} = {}", quote(value));
            }
        }
        if !base.set.is_empty() {
            out.push_str("\n[base.set]\n");
            // Of two overrides of one key the later one counts; a table holds a key once.
            let all: indexmap::IndexMap<String, String> = base.set.values().collect();
            for (path, value) in all {
                let _ = writeln!(out, "{} = {value}", quote(&path));
            }
        }
        out.push_str("\n[sweep]\n");
        for axis in &self.axes {
            let values: Vec<String> = axis.values.iter().map(|v| v.node().to_toml()).collect();
            let _ = writeln!(out, "{} = [{}]", quote(&axis.path), values.join(", "));
        }
        for plot in &self.plots {
            let _ = writeln!(out, "\n[[plot]]\nkind = \"{}\"", plot.kind.name());
            for (key, value) in
                [("x", &plot.x), ("y", &plot.y), ("series", &plot.series), ("title", &plot.title)]
            {
                if let Some(value) = value {
                    let _ = writeln!(out, "{key} = {}", quote(value));
                }
            }
        }
        out
    }
}

impl AxisValue {
    fn node(&self) -> Node {
        let value = match self {
            Self::Integer(n) => Value::Integer(Some((*n).into())),
            Self::Float(x) => Value::Float(*x),
            Self::Text(text) => Value::Text(text.clone()),
            Self::Bool(yes) => Value::Bool(*yes),
        };
        Node { value, origin: Default::default() }
    }

    /// The value of a node that has been checked; `None` for a list or a table.
    fn of(node: &Node, key: KeyType) -> Option<Self> {
        Some(match &node.value {
            Value::Integer(Some(n)) if key == KeyType::Float => Self::Float(*n as f64),
            Value::Integer(Some(n)) => Self::Integer(u64::try_from(*n).ok()?),
            Value::Float(x) => Self::Float(*x),
            Value::Text(text) => Self::Text(text.clone()),
            Value::Bool(yes) => Self::Bool(*yes),
            _ => return None,
        })
    }
}

/// Reads a sweep file.
///
/// # Errors
/// Everything that is wrong with it: unknown axes, values that a key cannot take on its own, plots of axes that are not there.
/// Combinations that make no machine or model show when they are resolved.
pub fn load_sweep(path: &str) -> Result<Sweep, ConfigError> {
    let tree = read_file(path)?;
    let mut reader = Reader::default();
    let raw = RawSweep::read(&tree.root, &mut reader);
    let sweep = match (&raw, tree.sources.first()) {
        (Some(raw), Some(source)) => raw.resolve(source, &mut reader),
        _ => None,
    };
    finish(&tree, reader, sweep)
}

impl RawSweep {
    fn resolve(&self, source: &Arc<Source>, reader: &mut Reader) -> Option<Sweep> {
        let base = self.base.value().map(|raw| {
            if let Some(names) = raw.scheme.value() {
                for written in &names.0 {
                    scheme(written, reader);
                }
            }
            raw.resolve(source, reader)
        });
        let table = self.sweep.value()?;
        let mut axes: Vec<Axis> = Vec::new();
        for (path, node) in &table.0 {
            let Some(last) = path.last() else { continue };
            let name = dotted(path);
            if let Some(axis) = axes.iter().find(|axis| full_path(&axis.path) == full_path(&name)) {
                let message = format!("axis '{name}' is given twice");
                let expected = if axis.path == name {
                    "each axis may be given once".to_owned()
                } else {
                    format!("it is the same as '{}'", axis.path)
                };
                reader.push(Diagnostic::new(last.origin, message, expected));
                continue;
            }
            axes.extend(axis(path, node, source, reader));
        }
        if let (true, Some(at)) = (table.0.is_empty(), self.sweep.at()) {
            reader.push(Diagnostic::new(
                at,
                "a sweep without axes",
                "expected an axis, such as context = [1024, 4096]",
            ));
        }
        let known: Vec<String> = table.0.iter().map(|(path, _)| dotted(path)).collect();
        // What the base lists is an axis of the results too.
        let mut known: Vec<&str> = known.iter().map(String::as_str).collect();
        known.extend(
            ["context", "batch", "scheme"]
                .into_iter()
                .filter(|key| !table.0.iter().any(|(p, _)| dotted(p) == *key)),
        );
        let raw_plots = self.plot.value().map_or(&[][..], |plots| &plots.0);
        let plots: Vec<Plot> = raw_plots.iter().filter_map(|raw| raw.resolve(&known, reader)).collect();
        Some(Sweep { base: base?, axes, plots })
    }
}

impl RawPlot {
    fn resolve(&self, axes: &[&str], reader: &mut Reader) -> Option<Plot> {
        let kind = self.kind.get();
        let mut check = |field: &Field<String>, key: &str| {
            if let (Some(path), Some(at)) = (field.value(), field.at())
                && !axes.contains(&path.as_str())
            {
                let message = format!("'plot.{key}' is no axis of this sweep: '{path}'");
                let expected = format!("expected one of {}", axes.join(", "));
                reader.push(Diagnostic::new(at, message, expected).suggesting(path, axes.iter().copied()));
            }
        };
        check(&self.x, "x");
        check(&self.series, "series");
        if kind == Some(PlotKind::Heatmap) {
            check(&self.y, "y");
        }
        Some(Plot {
            kind: kind?,
            x: self.x.value().cloned(),
            y: self.y.value().cloned(),
            series: self.series.value().cloned(),
            title: self.title.value().cloned(),
        })
    }
}

/// One axis; `None` if it is not sound, which has been reported.
fn axis(path: &[Key], node: &Node, source: &Arc<Source>, reader: &mut Reader) -> Option<Axis> {
    let name = dotted(path);
    let of_experiment = EXPERIMENT_AXES.iter().find(|(key, _)| *key == name).map(|(_, target)| *target);
    let target = of_experiment.or_else(|| match Root::of(&path.first()?.name) {
        Root::Accelerator => Some(AxisTarget::MachineKey),
        Root::Model => Some(AxisTarget::ModelKey),
        Root::Cache if name == BLOCK_TOKENS => Some(AxisTarget::BlockTokens),
        Root::Cache => {
            let (short, _) = SAME_AXES.iter().find(|(_, path)| *path == name)?;
            EXPERIMENT_AXES.iter().find(|(key, _)| key == short).map(|(_, target)| *target)
        }
    });
    // Follows the path, and checks one value against what it leads to.
    let check = |value: Option<&Node>, reader: &mut Reader| -> Option<KeyType> {
        let mut inner = Reader::suggesting(AXIS_NAMES);
        // A key below one of the experiment's is wrong there. `model.` leads to the model's own keys.
        let below = path.len() > 1 && target == Some(AxisTarget::MachineKey) && {
            let first = &*path[0].name;
            EXPERIMENT_AXES.iter().any(|(key, _)| *key == first)
        };
        let found = if of_experiment.is_some() || below {
            RawExperiment::follow(path, value, &mut inner)
        } else {
            follow(path, value, &mut inner)
        };
        let sound = inner.diagnostics.is_empty();
        inner.diagnostics.into_iter().for_each(|d| reader.push(d));
        found.filter(|_| sound)
    };
    let key = check(None, reader)?;
    let Some(target) = target else {
        let at = path.last().map_or(node.origin, |key| key.origin);
        reader.push(Diagnostic::new(at, format!("'{name}' cannot be an axis"), "expected another key"));
        return None;
    };
    let nodes = match &node.value {
        Value::Table(table) if table.entries.is_empty() => {
            reader.push(Diagnostic::new(
                node.origin,
                format!("axis '{name}' is empty"),
                "expected a list or a range",
            ));
            return None;
        }
        Value::Table(_) => {
            let raw = RawRange::read(node, reader)?;
            let (from, to) = (raw.from.value()?, raw.to.value()?);
            let ends = [check(Some(&from.0), reader), check(Some(&to.0), reader)];
            if ends.contains(&None) {
                return None;
            }
            range::expand(&raw, node.origin, key, &name, reader)?
        }
        Value::Array(items) if items.is_empty() => {
            reader.push(Diagnostic::new(
                node.origin,
                format!("axis '{name}' is an empty list"),
                "expected values",
            ));
            return None;
        }
        Value::Array(items) => items.clone(),
        _ => vec![node.clone()],
    };
    let (mut values, mut overrides) = (Vec::with_capacity(nodes.len()), Vec::new());
    let mut sound = true;
    for node in nodes {
        if check(Some(&node), reader).is_none() {
            sound = false;
            continue;
        }
        let Some(mut value) = AxisValue::of(&node, key) else {
            let message = format!("axis '{name}' has {} among its values", node.describe());
            reader.push(Diagnostic::new(node.origin, message, "expected single values"));
            sound = false;
            continue;
        };
        let kind = match target {
            AxisTarget::Accelerator => Some(PresetKind::Accelerator),
            AxisTarget::Model => Some(PresetKind::Model),
            _ => None,
        };
        if let (Some(kind), AxisValue::Text(text)) = (kind, &mut value) {
            *text = reference(&Located { value: text.clone(), at: node.origin }, kind, source, reader);
        }
        values.push(value);
        if matches!(target, AxisTarget::MachineKey | AxisTarget::ModelKey) {
            overrides.push(match path {
                [key] if full_path(&name) != name => Override::at(full_path(&name), key.origin, node, source),
                _ => Override::of(path, node, source),
            });
        }
    }
    sound.then_some(Axis { path: name, target, values, overrides })
}
