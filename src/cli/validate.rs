//! `slimsim validate`: predictions held against measured kernels.

use super::CliError;
use super::output::{self, print};
use crate::analysis::validation::{Judge, Validation};
use crate::config::{self, Overrides, load_accelerator, load_kernels};
use crate::hardware::kernel::{KernelProfile, Residency};
use crate::report::{Format, ValidationDocument, validation_plots, write_atomically, write_json};
use crate::trace::measured::{self, MeasuredTable};
use clap::ValueEnum;
use std::path::{Path, PathBuf};

/// Hold predictions against measured kernels, beside a roofline and a fitted launch plus bytes
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Table of measured kernels
    #[arg(long, value_name = "FILE")]
    measured: PathBuf,

    /// Machine to predict: that of each row's GPU (auto), or one for all rows
    #[arg(short, long, value_name = "A", default_value = "auto")]
    accelerator: String,

    /// Kernel profile: that of each row's framework, on its own or the most alike GPU (auto), or one for all rows
    #[arg(long, value_name = "K", default_value = "auto")]
    kernels: String,

    /// Judge only rows of this framework
    #[arg(long, value_name = "F")]
    framework: Option<String>,

    /// Where the rows' bytes lie: a benchmark's loop finds in the L2 what fits there (hot), a decode step does not (cold)
    #[arg(long, value_enum, value_name = "WHERE", default_value = "hot")]
    l2: L2,

    /// Write the table again, with a column of predictions
    #[arg(long, value_name = "FILE.csv")]
    out: Option<PathBuf>,

    /// Draw measured against predicted time, and errors against bytes, as SVG and PNG in this folder
    #[arg(long, value_name = "DIR")]
    plot: Option<PathBuf>,

    /// Format of the result: table or json
    #[arg(long, value_name = "FORMAT", default_value_t, value_parser = super::dram::format)]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum L2 {
    /// What fits the L2 is found there
    Hot,
    /// Everything comes from memory
    Cold,
}

impl Args {
    pub(super) fn execute(self) -> Result<(), CliError> {
        let judge = self.judge()?;
        if let Some(folder) = &self.plot {
            output::prepare_folder(folder)?;
        }
        let mut table = measured::read(&self.measured)?;
        let validation = judge.judge(&mut table);
        for (tally, what) in [(&table.skipped, "rows left out"), (&table.remarks, "remarks")] {
            if !tally.is_empty() {
                output::note(&format!("note: {what}:\n{tally}"));
            }
        }
        if validation.verdicts.is_empty() {
            return Err(nothing_judged(&table));
        }
        if let Some(path) = &self.out {
            write_atomically(path, &with_predictions(&table, &validation))?;
        }
        let document = ValidationDocument::new(&table, &validation);
        match self.format {
            Format::Json => print(|out| write_json(&document, out))?,
            Format::Table | Format::Csv => print(|out| document.write_table(output::width(), out))?,
        }
        if let Some(folder) = &self.plot {
            for (name, plot) in validation_plots(&validation)? {
                output::save_plot(folder, name, &plot)?;
            }
        }
        Ok(())
    }

    fn judge(&self) -> Result<Judge, CliError> {
        let accelerator = match self.accelerator.as_str() {
            "auto" => None,
            name => Some(load_accelerator(name, &Overrides::default())?),
        };
        let profiles: Vec<KernelProfile> = match self.kernels.as_str() {
            "auto" => config::kernel_presets()?,
            name => vec![load_kernels(name)?],
        };
        Ok(Judge {
            profiles,
            accelerator,
            any_framework: self.kernels != "auto",
            framework: self.framework.as_deref().map(str::to_ascii_lowercase),
            residency: match self.l2 {
                L2::Hot => Residency::Hot,
                L2::Cold => Residency::Cold,
            },
        })
    }
}

/// The error where not one row could be judged.
fn nothing_judged(table: &MeasuredTable) -> CliError {
    let reasons: Vec<String> =
        table.skipped.by_reason().map(|(reason, count)| format!("{reason}: {count}")).collect();
    CliError::usage(format!("no row of '{}' could be judged", Path::new(&table.path).display()))
        .with_help(format!("rows left out: {}", reasons.join("; ")))
}

/// The rows in order, their text unchanged, with a prediction behind each that has one; where a row's constants come from another
/// machine, that machine's name behind it.
fn with_predictions(table: &MeasuredTable, validation: &Validation) -> Vec<u8> {
    let extrapolated = validation.groups.iter().any(|g| g.extrapolated_from.is_some());
    let mut text = table.header.clone().into_bytes();
    text.extend_from_slice(if extrapolated {
        b",predicted_us,extrapolated_from\n"
    } else {
        b",predicted_us\n"
    });
    let mut verdicts = validation.verdicts.iter().peekable();
    for row in 0..table.outcomes.len() {
        text.extend_from_slice(table.line(row));
        text.push(b',');
        let verdict = verdicts.next_if(|v| v.row == row);
        if let Some(v) = verdict {
            text.extend_from_slice(format!("{:.3}", v.predicted * 1e6).as_bytes());
        }
        if extrapolated {
            text.push(b',');
            let from = verdict.and_then(|v| validation.groups[v.group].extrapolated_from.as_deref());
            text.extend_from_slice(from.unwrap_or("").as_bytes());
        }
        text.push(b'\n');
    }
    text
}
