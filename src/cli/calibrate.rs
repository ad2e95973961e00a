//! `slimsim calibrate`: from measured kernels to a kernel profile.

use super::output::{self, print};
use super::{CliError, plural};
use crate::analysis::calibration::{Group, Observation, STEPS, calibrate};
use crate::analysis::validation::{kind_of, preset_of, task_of};
use crate::config::{Overrides, PresetKind, load_accelerator, nearest, preset_names, write_kernels};
use crate::hardware::kernel::{Kernel, KernelProfile, Kind};
use crate::report::{KernelFits, Progress, write_atomically};
use crate::trace::measured::{self, MeasuredTable};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Fit a kernel profile to measured kernels: how a framework's kernels cut work, and at most six constants each
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Tables of measured kernels
    #[arg(long, value_name = "CSV", required = true, num_args = 1..)]
    measured: Vec<PathBuf>,

    /// Accelerator that they were measured on: a preset or the path of a TOML file
    #[arg(short, long, value_name = "A")]
    accelerator: String,

    /// Framework whose rows to take
    #[arg(long, value_name = "F")]
    framework: String,

    /// GPU whose rows to take, as the tables name it [default: the accelerator's name]
    #[arg(long, value_name = "GPU")]
    gpu: Option<String>,

    /// Profile to write
    #[arg(short, long, value_name = "PROFILE.toml")]
    out: PathBuf,

    /// Seed of the draw of rows that are held out
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,

    /// Where the measurements come from, for the profile [default: the tables' names]
    #[arg(long, value_name = "TEXT")]
    source: Option<String>,
}

impl Args {
    pub(super) fn execute(self) -> Result<(), CliError> {
        let accelerator = load_accelerator(&self.accelerator, &Overrides::default())?;
        let tables = self
            .measured
            .iter()
            .map(|path| Ok(measured::read(path)?))
            .collect::<Result<Vec<_>, CliError>>()?;
        for table in tables.iter().filter(|t| !t.skipped.is_empty()) {
            output::note(&format!("note: rows left out:\n{}", table.skipped));
        }
        let groups = self.groups(&tables, &accelerator.name);
        if groups.is_empty() {
            return Err(self.no_rows(&tables, &accelerator.name));
        }
        let progress = Progress::new(Some(STEPS * groups.len() as u64), "steps of the fits");
        let mut kernels: Vec<Kernel> = Vec::new();
        let mut refused = Vec::new();
        for group in &groups {
            match calibrate(&accelerator, group, self.seed, &|| progress.add(1)) {
                Ok(kernel) => kernels.push(kernel),
                Err(refusal) => refused.push(format!("{}: {refusal}", title(group))),
            }
        }
        drop(progress);
        if kernels.is_empty() {
            let mut error = CliError::usage("no kernel could be fitted");
            for refusal in refused {
                error = error.with_help(refusal);
            }
            return Err(error);
        }
        for refusal in refused {
            output::note(&format!("note: left out: {refusal}"));
        }
        let profile = self.profile(&accelerator.name, kernels, &tables);
        write_atomically(&self.out, write_kernels(&profile).as_bytes())?;
        let fits = KernelFits(&profile.kernels);
        print(|out| {
            fits.write_table(output::width(), out)?;
            writeln!(
                out,
                "{}: {} of {}",
                self.out.display(),
                plural(fits.0.len() as u64, "kernel"),
                self.framework
            )
        })
    }

    /// Rows of the accelerator's GPU and of the framework, by kernel and type. Products go together whatever their kernels are called:
    /// libraries choose among many.
    fn groups(&self, tables: &[MeasuredTable], accelerator: &str) -> Vec<Group> {
        let mut groups: BTreeMap<(Kind, crate::units::Dtype, Option<String>), Vec<Observation>> =
            BTreeMap::new();
        for table in tables {
            for (_, row) in table.measured() {
                let names = &table.names;
                let gpu = names.gpu(row.gpu);
                let ours = match &self.gpu {
                    Some(wanted) => gpu.eq_ignore_ascii_case(wanted),
                    None => preset_of(gpu).is_some_and(|preset| preset == accelerator),
                };
                if !ours || !names.framework(row.framework).eq_ignore_ascii_case(&self.framework) {
                    continue;
                }
                let kind = kind_of(row.work);
                let name = (kind != Kind::Gemm).then(|| names.kernel(row.kernel).to_owned());
                let observation = Observation { task: task_of(row), seconds: row.latency.seconds() };
                groups.entry((kind, row.dtype, name)).or_default().push(observation);
            }
        }
        let group = |((kind, dtype, name), rows)| Group { kind, dtype, name, rows };
        groups.into_iter().map(group).collect()
    }

    /// The error where no row is the accelerator's and the framework's.
    fn no_rows(&self, tables: &[MeasuredTable], accelerator: &str) -> CliError {
        let all = |names: fn(&measured::Names) -> &[String]| -> Vec<&str> {
            let mut all: Vec<&str> =
                tables.iter().flat_map(|t| names(&t.names)).map(String::as_str).collect();
            all.sort_unstable();
            all.dedup();
            all
        };
        let (gpus, frameworks) = (all(|n| n.gpus()), all(|n| n.frameworks()));
        let gpu = self.gpu.as_deref().unwrap_or(accelerator);
        let mut error =
            CliError::usage(format!("no row is of GPU '{gpu}' and framework '{}'", self.framework));
        if let Some(near) = nearest(&self.framework, frameworks.iter().copied())
            && near != self.framework
        {
            error = error.with_help(format!("did you mean '{near}'?"));
        }
        if self.gpu.is_none() && !preset_names(PresetKind::Accelerator).any(|p| p == accelerator) {
            error = error.with_help(
                "an accelerator that is no preset needs --gpu: what the tables call it".to_owned(),
            );
        }
        error
            .with_help(format!("GPUs of the tables: {}", gpus.join(", ")))
            .with_help(format!("frameworks: {}", frameworks.join(", ")))
    }

    fn profile(&self, accelerator: &str, kernels: Vec<Kernel>, tables: &[MeasuredTable]) -> KernelProfile {
        let stem = self.out.file_stem().map(|s| s.to_string_lossy().into_owned());
        let file =
            |path: &Path| path.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
        let names: Vec<String> = tables.iter().map(|t| file(&t.path)).collect();
        KernelProfile {
            name: stem.unwrap_or_else(|| format!("{accelerator}-{}", self.framework)),
            accelerator: self.reference(),
            framework: self.framework.to_ascii_lowercase(),
            source: self.source.clone().unwrap_or_else(|| names.join(", ")),
            note: Some(format!(
                "Fitted by slimsim {} calibrate, seed {}; a fifth of the rows held out.",
                env!("CARGO_PKG_VERSION"),
                self.seed
            )),
            machine: None,
            kernels,
            rates: Vec::new(),
        }
    }

    /// How the profile names its accelerator: presets as they are, files from the profile's own folder.
    fn reference(&self) -> String {
        super::pin::reference(&self.out, &self.accelerator)
    }
}

fn title(group: &Group) -> String {
    let name = group.name.as_deref().map(|n| format!(" '{n}'")).unwrap_or_default();
    format!("{} {}{name}", group.kind.name(), group.dtype)
}
