//! Which machine and which kernel predict a row.

use super::Judge;
use crate::config::{Overrides, PresetKind, load_accelerator, preset_names};
use crate::hardware::Accelerator;
use crate::hardware::kernel::{Kernel, KernelProfile, Kind};
use crate::hardware::mac_array::MacArray;
use crate::trace::measured::{Column, Complaint};
use crate::units::Dtype;
use rustc_hash::FxHashMap;

/// What a row calls its GPU, framework and kernel.
#[derive(Debug, Clone, Copy)]
pub struct ByName<'a> {
    /// The GPU.
    pub gpu: &'a str,
    /// The framework.
    pub framework: &'a str,
    /// The kernel.
    pub kernel: &'a str,
}

/// The machine and the kernel for a row.
pub(super) struct Choice {
    pub(super) accelerator: Accelerator,
    pub(super) kernel: Kernel,
    pub(super) profile: String,
    pub(super) extrapolated_from: Option<String>,
}

/// Why a row has none.
pub(super) struct Refusal {
    pub(super) column: Column,
    pub(super) reason: &'static str,
    pub(super) complaint: Complaint,
}

/// Names that tables use for machines whose presets are called otherwise.
const ALIASES: [(&str, &str); 2] =
    [("h20e-sxm", "h20-3e"), ("rtxpro6000-blackwell-server", "rtx-pro-6000-server")];

/// The preset of a GPU as tables name it: hyphens where they have underscores.
#[must_use]
pub fn preset_of(gpu: &str) -> Option<&'static str> {
    let name = gpu.to_ascii_lowercase().replace(['_', ' '], "-");
    let name = ALIASES.iter().find(|(alias, _)| *alias == name).map_or(name.as_str(), |(_, preset)| preset);
    preset_names(PresetKind::Accelerator).find(|preset| *preset == name)
}

/// How unlike the cores of two machines are, for a kernel: 0 where they are the same, above 1 where their matrix units take other shapes,
/// which is another architecture.
#[must_use]
pub fn likeness(a: &Accelerator, b: &Accelerator) -> f64 {
    let shape = |array: &MacArray| match array {
        MacArray::Ideal => (0, 0, 0),
        MacArray::Systolic { rows, columns, .. } => (1, *rows, *columns),
        MacArray::DotProduct { m, n, .. } => (2, *m, *n),
    };
    let (first, second) = (&a.cores, &b.cores);
    let apart = |x: Option<u64>, y: Option<u64>| match (x, y) {
        (Some(x), Some(y)) if x > 0 && y > 0 => (x as f64 / y as f64).ln().abs(),
        (x, y) => f64::from(u8::from(x.is_some() != y.is_some())),
    };
    let rate = |accelerator: &Accelerator| accelerator.cores.mac_array.macs_per_cycle(Dtype::Bf16);
    let sram = |accelerator: &Accelerator| accelerator.cores.sram.capacity.map(|c| c.0);
    let bandwidth = |accelerator: &Accelerator| accelerator.memory_bandwidth().map(|b| b.0);
    let other_shape = shape(&first.mac_array) != shape(&second.mac_array);
    f64::from(u8::from(other_shape))
        + 0.1 * apart(rate(a), rate(b))
        + 0.1 * apart(sram(a), sram(b))
        + 0.01 * apart(bandwidth(a), bandwidth(b))
}

/// Chooses, remembering the machines that it has loaded.
pub(super) struct Chooser<'a> {
    judge: &'a Judge,
    machines: FxHashMap<String, Option<Accelerator>>,
}

impl<'a> Chooser<'a> {
    pub(super) fn new(judge: &'a Judge) -> Self {
        Self { judge, machines: FxHashMap::default() }
    }

    fn machine(&mut self, name: &str) -> Option<Accelerator> {
        let load = || load_accelerator(name, &Overrides::default()).ok();
        self.machines.entry(name.to_owned()).or_insert_with(load).clone()
    }

    pub(super) fn choose(&mut self, name: &ByName<'_>, kind: Kind, dtype: Dtype) -> Result<Choice, Refusal> {
        if let Some(only) = self.judge.framework.as_deref().filter(|f| *f != name.framework) {
            let message = format!("'{}' is another framework", name.framework);
            return Err(refuse(
                Column::Framework,
                "another framework",
                message,
                format!("{only}, as asked for"),
            ));
        }
        let accelerator = match &self.judge.accelerator {
            Some(accelerator) => accelerator.clone(),
            None => {
                let preset = preset_of(name.gpu).and_then(|preset| self.machine(preset));
                preset.ok_or_else(|| no_preset(name.gpu))?
            }
        };
        let any = self.judge.any_framework;
        let mut best: Option<(f64, &KernelProfile, &Kernel)> = None;
        let judge = self.judge;
        for profile in judge.profiles.iter().filter(|p| any || p.framework == name.framework) {
            let Some(kernel) = profile.kernel(kind, dtype, name.kernel) else { continue };
            let unlike = if profile.accelerator == accelerator.name {
                -1.0
            } else {
                match self.machine(&profile.accelerator) {
                    Some(fitted_on) => likeness(&accelerator, &fitted_on),
                    None => continue,
                }
            };
            if best.is_none_or(|(least, ..)| unlike < least) {
                best = Some((unlike, profile, kernel));
            }
        }
        let Some((_, profile, kernel)) = best else {
            return Err(self.no_kernel(name, kind, dtype));
        };
        let elsewhere = profile.accelerator != accelerator.name;
        Ok(Choice {
            kernel: kernel.clone(),
            profile: profile.name.clone(),
            extrapolated_from: elsewhere.then(|| profile.accelerator.clone()),
            accelerator,
        })
    }

    fn no_kernel(&self, name: &ByName<'_>, kind: Kind, dtype: Dtype) -> Refusal {
        let mut known: Vec<&str> = self.judge.profiles.iter().map(|p| p.framework.as_str()).collect();
        known.sort_unstable();
        known.dedup();
        if !self.judge.any_framework && !known.contains(&name.framework) {
            let message = format!("no kernel profile of framework '{}'", name.framework);
            return refuse(
                Column::Framework,
                "no kernel profile of this framework",
                message,
                known.join(", "),
            );
        }
        let message = format!("no profile of '{}' has a {} kernel for {dtype}", name.framework, kind.name());
        let expected = "a kind and a type that a profile has (slimsim list kernels)".to_owned();
        refuse(Column::Kernel, "no kernel of this kind and type", message, expected)
    }
}

fn refuse(column: Column, reason: &'static str, message: String, expected: String) -> Refusal {
    Refusal { column, reason, complaint: Complaint { message, expected, help: None } }
}

fn no_preset(gpu: &str) -> Refusal {
    let written = gpu.replace('_', "-");
    let near = crate::config::nearest(&written, preset_names(PresetKind::Accelerator));
    let mut refusal = refuse(
        Column::Gpu,
        "no preset for this GPU",
        format!("no accelerator preset for GPU '{gpu}'"),
        "a preset's name, with underscores or hyphens (slimsim list accelerators)".to_owned(),
    );
    refusal.complaint.help = near.map(|n| format!("did you mean '{}'?", n.replace('-', "_")));
    refusal
}
