//! From the raw keys of a kernel profile to the profile: what keys mean together, and what absent ones stand for.

use super::diagnostic::{ConfigError, Diagnostic};
use super::experiment::reference;
use super::limits::MAX_HEADS;
use super::load::{AcceleratorFile, finish, stem};
use super::overrides::Overrides;
use super::presets::{self, PresetKind};
use super::raw::{RawConstants, RawFit, RawKernel, RawKernelProfile, RawPolicy};
use super::reader::{Field, FromNode, Located, Reader};
use super::scalars::Count;
use super::show;
use super::source::{Origin, Source};
use super::tree::Tree;
use crate::hardware::Accelerator;
use crate::hardware::kernel::{
    Constants, FitQuality, Kernel, KernelProfile, Kind, LaunchPlusBytes, Policy, Tiling,
};
use crate::units::Dtype;
use std::sync::Arc;

/// What a user writes for the profile that belongs to the accelerator itself.
pub const OWN_KERNELS: &str = "own";

/// Kernels that were asked for.
#[derive(Debug, Clone)]
pub enum KernelChoice {
    /// One profile, whatever the accelerator.
    One(Arc<KernelProfile>),
    /// Each accelerator's own.
    Own,
}

impl KernelChoice {
    /// Reads what was asked for: `own`, or what [`load_kernels`] takes.
    ///
    /// # Errors
    /// As [`load_kernels`].
    pub fn load(written: &str) -> Result<Self, ConfigError> {
        match written {
            OWN_KERNELS => Ok(Self::Own),
            other => load_kernels(other).map(|profile| Self::One(Arc::new(profile))),
        }
    }

    /// Its name in results.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::One(profile) => &profile.name,
            Self::Own => OWN_KERNELS,
        }
    }

    /// The accelerator with the kernels that were asked for, if any were.
    ///
    /// # Errors
    /// If it was to have its own and has none.
    pub fn select(choice: Option<&Self>, accelerator: Accelerator) -> Result<Accelerator, ConfigError> {
        let kernels = match choice {
            None => None,
            Some(Self::One(profile)) => Some(Arc::clone(profile)),
            Some(Self::Own) => match &accelerator.own_kernels {
                Some(profile) => Some(Arc::clone(profile)),
                None => return Err(no_profile(&format!("accelerator '{}'", accelerator.name))),
            },
        };
        Ok(Accelerator { kernels, ..accelerator })
    }
}

fn no_profile(what: &str) -> ConfigError {
    let help = "'slimsim list kernels' shows profiles that are used by their names".to_owned();
    ConfigError::plain(format!("{what} has no kernels of its own: no table [kernel_profile]"), vec![help])
}

/// Reads a kernel profile: a preset's name or the path of a TOML file, which may also be that of an accelerator that has a
/// `[kernel_profile]`.
///
/// # Errors
/// Everything that is wrong with the file, an unknown accelerator included. An accelerator's file that it names is not opened.
pub fn load_kernels(name_or_path: &str) -> Result<KernelProfile, ConfigError> {
    let tree = open(name_or_path)?;
    if !is_accelerator(&tree) {
        return resolve(&tree, name_or_path);
    }
    let machine = AcceleratorFile::of_tree(tree, name_or_path).resolve(&Overrides::default())?;
    match machine.own_kernels {
        Some(profile) => Ok(Arc::unwrap_or_clone(profile)),
        None => Err(no_profile(&format!("the accelerator in {name_or_path}"))),
    }
}

/// Whether a file is that of an accelerator: by tables that no kernel profile has.
fn is_accelerator(tree: &Tree) -> bool {
    ["cores", "kernel_profile"].iter().any(|table| tree.root.at(&[table]).is_some())
}

/// Every preset profile, by name: to choose from by accelerator and framework.
///
/// # Errors
/// As [`load_kernels`].
pub fn kernel_presets() -> Result<Vec<KernelProfile>, ConfigError> {
    presets::preset_names(PresetKind::Kernels).map(load_kernels).collect()
}

/// The resolved TOML of a kernel profile: standard tables, one key a line, usable as a file.
///
/// # Errors
/// As [`load_kernels`]; and an accelerator's file is not taken, whose rates have no place in a file of kernels alone.
pub fn show_kernels(name_or_path: &str) -> Result<String, ConfigError> {
    let tree = open(name_or_path)?;
    if is_accelerator(&tree) {
        let help = format!(
            "'slimsim show accelerator {name_or_path}' shows all of it, its [kernel_profile] included"
        );
        return Err(ConfigError::plain(format!("{name_or_path} is the file of an accelerator"), vec![help]));
    }
    Ok(show::kernels(&resolve(&tree, name_or_path)?, Some(&tree)))
}

/// The file of a profile: reading it gives the same one, to the last digit. Times are in picoseconds and rates in bytes a second; other
/// numbers are written with as many digits as they have, so that a caller rounds them first. The path of an accelerator's file is taken
/// from the folder of the file that is written. Rates by shape and the machine's identity are left out: their place is an accelerator's
/// file, which [`write_accelerator`](super::write_accelerator) writes.
#[must_use]
pub fn write_kernels(profile: &KernelProfile) -> String {
    show::kernels(profile, None)
}

fn open(name_or_path: &str) -> Result<Tree, ConfigError> {
    presets::open(PresetKind::Kernels, name_or_path).map(Tree::parse)
}

fn resolve(tree: &Tree, name: &str) -> Result<KernelProfile, ConfigError> {
    let mut reader = Reader::default();
    let raw = RawKernelProfile::read(&tree.root, &mut reader);
    let profile = match (&raw, tree.sources.first()) {
        (Some(raw), Some(source)) => raw.resolve(&stem(name), source, &mut reader),
        _ => None,
    };
    finish(tree, reader, profile)
}

impl RawKernelProfile {
    fn resolve(&self, file_name: &str, source: &Arc<Source>, reader: &mut Reader) -> Option<KernelProfile> {
        let accelerator = match &self.accelerator {
            Field::Read(written) => Some(reference(written, PresetKind::Accelerator, source, reader)),
            _ => None,
        };
        let written = self.kernel.value().map_or(&[][..], |tables| &tables.0);
        for kernel in written {
            kernel.value.validate(reader);
        }
        no_two_alike(written, std::slice::from_ref(source), reader);
        Some(KernelProfile {
            name: self.name.value().cloned().unwrap_or_else(|| file_name.to_owned()),
            accelerator: accelerator?,
            framework: self.framework.value()?.clone(),
            source: self.source.value()?.clone(),
            note: self.note.value().cloned(),
            machine: None,
            rates: Vec::new(),
            kernels: written.iter().map(|kernel| kernel.value.resolve()).collect::<Option<_>>()?,
        })
    }
}

/// Reports kernels that measurements could not tell apart.
pub(super) fn no_two_alike(kernels: &[Located<RawKernel>], sources: &[Arc<Source>], reader: &mut Reader) {
    let identity = |kernel: &RawKernel| -> Option<(Kind, Dtype, Option<String>)> {
        Some((kernel.kind.get()?, kernel.dtype.get()?, kernel.name.map(|name| Some(name.clone()))?))
    };
    for (index, kernel) in kernels.iter().enumerate() {
        let Some(this) = identity(&kernel.value) else { continue };
        let before = kernels[..index].iter().find(|other| identity(&other.value).as_ref() == Some(&this));
        let Some(before) = before else { continue };
        let (kind, dtype, name) = this;
        let named = name.map_or_else(|| "without a name".to_owned(), |name| format!("named '{name}'"));
        let message = format!("a second {} kernel for {dtype} {named}", kind.name());
        let first = place(before.at, sources);
        let expected = format!("expected another kind, dtype or name: the first is in {first}");
        reader.push(Diagnostic::new(kernel.at, message, expected));
    }
}

/// Where something stands, in words.
pub(super) fn place(at: Origin, sources: &[Arc<Source>]) -> String {
    match sources.get(at.source as usize) {
        Some(source) if at.source == 0 => format!("line {}", source.line_column(at.start as usize).0),
        Some(source) => source.name.clone(),
        None => "the same list".to_owned(),
    }
}

/// A key's dotted path from the root of the file.
pub(super) fn from_root(key: &str, reader: &Reader) -> String {
    let table = reader.key();
    if table.is_empty() { key.to_owned() } else { format!("{table}.{key}") }
}

/// Reports a key that says nothing about a kernel of `kind`.
fn out_of_place(key: &str, at: Option<Origin>, kind: Kind, expected: &str, reader: &mut Reader) {
    if let Some(at) = at {
        let key = from_root(key, reader);
        let message = format!("'{key}' of a kernel of kind {}", kind.name());
        reader.push(Diagnostic::new(at, message, expected));
    }
}

impl RawKernel {
    /// Checks what keys mean together.
    pub(super) fn validate(&self, reader: &mut Reader) {
        if let Field::Read(constants) = &self.constants {
            constants.value.at_most_six(constants.at, reader);
        }
        if let Some(fit) = self.fit.value() {
            fit.ordered(reader);
        }
        let Some(kind) = self.kind.get() else { return };
        if let Some(policy) = self.policy.value() {
            if kind != Kind::Mla {
                let expected = "expected with mla only: elsewhere a work item serves all heads of a row";
                out_of_place("kernel.policy.heads", policy.heads.at(), kind, expected, reader);
            }
            if kind != Kind::Gemm {
                let expected = "expected with gemm only: the output block of a product";
                out_of_place("kernel.policy.rows", policy.rows.at(), kind, expected, reader);
                out_of_place("kernel.policy.columns", policy.columns.at(), kind, expected, reader);
            } else {
                let expected = "expected with attention only";
                out_of_place("kernel.policy.padded_rows", policy.padded_rows.at(), kind, expected, reader);
                out_of_place(
                    "kernel.policy.quick_unsplit",
                    policy.quick_unsplit.at(),
                    kind,
                    expected,
                    reader,
                );
                out_of_place(
                    "kernel.policy.serial_combine",
                    policy.serial_combine.at(),
                    kind,
                    expected,
                    reader,
                );
                out_of_place("kernel.policy.pipelined", policy.pipelined.at(), kind, expected, reader);
                policy.whole_tiling(reader);
            }
        }
        if let Some(constants) = self.constants.value()
            && kind == Kind::Gemm
        {
            let expected = "expected with attention only: it adds up the parts of split sequences";
            out_of_place("kernel.constants.combine", constants.combine.at(), kind, expected, reader);
        }
    }

    pub(super) fn resolve(&self) -> Option<Kernel> {
        let kind = self.kind.get()?;
        Some(Kernel {
            kind,
            dtype: self.dtype.get()?,
            name: self.name.map(|name| Some(name.clone()))?,
            policy: self.policy.value()?.resolve(kind)?,
            constants: self.constants.value()?.resolve()?,
            rival: self.rival.map(|rival| {
                Some(LaunchPlusBytes {
                    launch: rival.launch.get()?,
                    memory_fraction: rival.memory_fraction.get()?.0,
                })
            })?,
            fit: self.fit.map(RawFit::resolve)?,
        })
    }
}

impl RawPolicy {
    /// Reports a block of which one side is missing.
    fn whole_tiling(&self, reader: &mut Reader) {
        let (rows, columns) = (self.rows.at(), self.columns.at());
        let sides = [("rows", rows, "columns", columns), ("columns", columns, "rows", rows)];
        for (given, at, missing, other) in sides {
            if let (Some(at), None) = (at, other) {
                let given = from_root(&format!("kernel.policy.{given}"), reader);
                let message = format!("'{given}' without '{missing}'");
                reader.push(Diagnostic::new(at, message, "expected both sides of the block, or neither"));
            }
        }
    }

    fn resolve(&self, kind: Kind) -> Option<Policy> {
        let heads = match kind {
            Kind::Mla => self.heads.map(|n| Some(n.0))?.unwrap_or(MAX_HEADS),
            // One walk of the rows serves all heads: that is what they are kept whole for.
            Kind::SlimK => MAX_HEADS,
            Kind::Mha | Kind::Gqa | Kind::Gemm => 1,
        };
        let side = |field: &Field<Count<_>>| field.map(|n| Some(n.0));
        let tiling = match (side(&self.rows)?, side(&self.columns)?) {
            (Some(rows), Some(columns)) => Some(Tiling { rows, columns }),
            _ => None,
        };
        Some(Policy {
            split: self.split.get()?,
            block: self.block.get()?.0,
            unsplit: self.unsplit.map(|n| Some(n.0))?.unwrap_or(0),
            items_per_core: self.items_per_core.map(|n| Some(n.0))?.unwrap_or(1),
            heads,
            padded_rows: self.padded_rows.map(|n| Some(n.0))?,
            quick_unsplit: self.quick_unsplit.map(|b| Some(*b))?.unwrap_or(false),
            serial_combine: self.serial_combine.map(|b| Some(*b))?.unwrap_or(false),
            pipelined: self.pipelined.map(|b| Some(*b))?.unwrap_or(true),
            tiling,
        })
    }
}

impl RawConstants {
    /// Reports what could fit anything.
    fn at_most_six(&self, at: Origin, reader: &mut Reader) {
        let given = [
            self.launch.at(),
            self.work_item.at(),
            self.combine.at(),
            self.item_rate.at(),
            self.memory_fraction.at(),
            self.mac_fraction.at(),
            self.overlap.at(),
            self.l2_reach.at(),
        ];
        let given = given.into_iter().flatten().count();
        if given > Constants::MOST {
            let number = if given == 7 { "seven" } else { "eight" };
            let message = format!("a kernel has at most six constants; this one gives {number}");
            reader.push(Diagnostic::new(at, message, "expected those that its physics needs"));
        }
    }

    fn resolve(&self) -> Option<Constants> {
        Some(Constants {
            launch: self.launch.get()?,
            work_item: self.work_item.map(|time| Some(*time))?,
            combine: self.combine.map(|time| Some(*time))?,
            item_rate: self.item_rate.map(|rate| Some(rate.0))?,
            memory_fraction: self.memory_fraction.map(|part| Some(part.0))?,
            mac_fraction: self.mac_fraction.map(|part| Some(part.0))?,
            overlap: self.overlap.map(|part| Some(part.0))?,
            l2_reach: self.l2_reach.map(|part| Some(part.0))?,
        })
    }
}

impl RawFit {
    /// Reports percentiles the wrong way round.
    fn ordered(&self, reader: &mut Reader) {
        if let (Some(low), Some(high), Some(at)) = (self.low.get(), self.high.get(), self.high.at())
            && high.0 < low.0
        {
            let [high_key, low_key] = ["kernel.fit.high", "kernel.fit.low"].map(|key| from_root(key, reader));
            let message = format!("'{high_key}' is less than '{low_key}': {} and {}", high.0, low.0);
            reader.push(Diagnostic::new(at, message, "the 95th percentile is no less than the 5th"));
        }
    }

    fn resolve(&self) -> Option<FitQuality> {
        Some(FitQuality {
            rows: self.rows.get()?.0,
            mape: self.mape.get()?.0,
            held_out_rows: self.held_out_rows.get()?.0,
            held_out_mape: self.held_out_mape.get()?.0,
            low: self.low.get()?.0,
            high: self.high.get()?.0,
        })
    }
}
