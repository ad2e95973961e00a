//! `slimsim host calibrate`: this machine as an accelerator file.

use crate::cli::CliError;
use crate::cli::output::{self, print};
use crate::config::write_accelerator;
use crate::hardware::Accelerator;
use crate::host::calibrate::{Calibration, CalibrationError};
use crate::host::cpu::{Cpu, available_memory};
use crate::report::{Progress, check_writable, write_atomically, write_calibration};
use std::path::PathBuf;

/// Measure this CPU and write it as an accelerator file with its kernel profile
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Accelerator file to write
    #[arg(short, long, value_name = "HOST.toml")]
    out: PathBuf,
}

/// Measures this machine; `outcome` says what has not been done if that fails.
///
/// # Errors
/// It is too busy, or has no memory.
pub(super) fn calibrated(cpu: &Cpu, outcome: &str) -> Result<Accelerator, CliError> {
    measured(cpu, outcome).map(|calibration| accelerator(&calibration, cpu))
}

/// The accelerator that a calibration stands for.
fn accelerator(calibration: &Calibration, cpu: &Cpu) -> Accelerator {
    calibration.accelerator(cpu, "host", available_memory())
}

fn measured(cpu: &Cpu, outcome: &str) -> Result<Calibration, CliError> {
    let progress = Progress::new(Some(Calibration::STEPS as u64), "steps of the calibration");
    match Calibration::measure(cpu, &|| progress.add(1)) {
        Ok(calibration) => Ok(calibration),
        Err(error @ CalibrationError::Busy(_)) => Err(CliError::CheckFailed(format!("{error}; {outcome}"))),
        Err(error @ CalibrationError::System(_)) => Err(CliError::usage(error.to_string())),
    }
}

impl Args {
    pub(super) fn execute(self) -> Result<(), CliError> {
        check_writable(&self.out)?;
        let cpu = Cpu::this();
        let calibration = measured(&cpu, "nothing was written")?;
        let accelerator = accelerator(&calibration, &cpu);
        write_atomically(&self.out, write_accelerator(&accelerator).as_bytes())?;
        print(|out| {
            if let Some(profile) = &accelerator.own_kernels {
                write_calibration(&calibration, profile, output::width(), out)?;
            }
            writeln!(out, "{}: {}", self.out.display(), cpu.identity())
        })
    }
}
