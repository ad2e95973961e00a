//! `slimsim sweep`: the same steps along axes of machine, model, context and batch.

use super::output::{note, print};
use super::{CliError, plural};
use crate::config::load_sweep;
use crate::report::{Observer, Progress, Recorder, thousands};
use crate::sweep::{self, OutputFolder, Plan, SweepError};
use std::io::Write as _;
use std::path::PathBuf;

/// The file that shows by being there that a sweep is complete.
const RESULTS: &str = "results.csv";

/// Simulate along axes: every key of machine and model can be one
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Sweep file: an experiment under [base], axes under [sweep], plots under [[plot]]
    #[arg(value_name = "SWEEP.toml")]
    file: String,

    /// Directory for results.csv, summary.md, plots and sweep.resolved.toml: a new or an empty one
    #[arg(short, long, value_name = "DIR")]
    out: PathBuf,

    /// Threads [default: all]; the result does not depend on it
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
}

impl Args {
    pub(super) fn execute(self) -> Result<(), CliError> {
        let plan = Plan::new(&self.file, load_sweep(&self.file)?)?;
        let observer = Observer::new(&self.file, &plan)?;
        let folder = OutputFolder::create(&self.out)?;
        let recorder = self.simulate(&plan, &observer, &folder)?;
        let drawings = recorder.draw(&observer);
        let mut drawn = 0;
        for drawing in &drawings {
            let Ok(plot) = &drawing.plot else { continue };
            folder.write(&format!("plots/{}.svg", drawing.name), plot.svg.as_bytes())?;
            folder.write(&format!("plots/{}.png", drawing.name), &plot.png()?)?;
            drawn += 1;
        }
        folder.write("summary.md", recorder.summary(&self.file, &drawings).as_bytes())?;
        folder.write("sweep.resolved.toml", plan.sweep().resolved_toml().as_bytes())?;
        folder.commit(RESULTS)?;
        for drawing in &drawings {
            if let Err(why) = &drawing.plot {
                note(&format!("note: {}: not drawn, {why}", drawing.caption));
            }
        }
        let (points, feasible) = (plan.points(), recorder.feasible());
        let place = self.out.display();
        print(|out| {
            let points = plural(points, "point");
            let plots = plural(drawn, "plot");
            writeln!(out, "{place}: {points}, {} of them can run; {plots}, summary.md", thousands(feasible))
        })?;
        if feasible > 0 {
            return Ok(());
        }
        let reason = recorder.first_reason().unwrap_or("no reason was given");
        Err(CliError::Infeasible(format!("nothing that was asked for can run: {reason}")))
    }

    /// Runs the sweep; rows go to their file as they become ready.
    fn simulate<'p>(
        &self,
        plan: &'p Plan,
        observer: &Observer<'p>,
        folder: &OutputFolder,
    ) -> Result<Recorder<'p>, CliError> {
        let mut recorder = Recorder::new(plan);
        let mut rows = folder.open(RESULTS)?;
        rows.write_all(observer.header().as_bytes()).map_err(SweepError::Write)?;
        let progress = Progress::new(Some(plan.points()), "points");
        sweep::run(
            plan,
            self.threads.map(usize::from),
            |place, points| {
                let piece = observer.observe(place, points);
                progress.add(points.len() as u64);
                piece
            },
            |place, piece| rows.write_all(recorder.take(place, piece).as_bytes()),
        )?;
        rows.flush().map_err(SweepError::Write)?;
        Ok(recorder)
    }
}
