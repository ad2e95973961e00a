//! Configuration: from TOML files, Hugging Face configurations and `--set` to typed, resolved machines, models and experiments.
//!
//! Three stages: *raw*, every key with its type and its place in the text; *validated*, what keys mean together;
//! *resolved*, the structures of [`crate::hardware`] and [`crate::model`], defaults filled in. Every error of a file is
//! reported at once, with file, line and column ([`ConfigError`]). Of attention only the names of the schemes and their
//! options are known here; the names of plans are checked by those who know them.

mod accelerator;
mod conditions;
mod diagnostic;
mod experiment;
mod hbm;
mod huggingface;
mod json;
mod kernels;
pub mod limits;
mod load;
mod memory;
mod model;
mod overrides;
mod own_profile;
pub mod paper;
mod pins;
mod presets;
mod quantities;
mod range;
mod raw;
mod reader;
mod scalars;
mod schema;
mod show;
mod source;
mod sweep;
mod tree;

pub use conditions::{CacheTypes, NormForm, parse_sparsity};
pub(crate) use conditions::{name, parse_name};
pub use diagnostic::ConfigError;
pub(crate) use diagnostic::nearest;
pub use experiment::{Experiment, load_experiment};
pub use kernels::{KernelChoice, OWN_KERNELS, kernel_presets, load_kernels, show_kernels, write_kernels};
pub use load::{
    AcceleratorFile, ModelFile, load_accelerator, load_model, show_accelerator, show_model, write_accelerator,
};
pub use memory::{load_memory, show_memory};
pub use overrides::Overrides;
pub use pins::{PinnedNumbers, PinnedPoint, Pins, Tolerance, load_pins};
pub use presets::{PresetKind, is_path, preset_names, preset_text};
pub use raw::PlotKind;
pub use schema::{FileKind, schema};
pub use sweep::{Axis, AxisTarget, AxisValue, Plot, Sweep, load_sweep};
