//! When: the only place where time passes.
//!
//! A tile program runs through its resources as a max-plus recurrence, with events at tile granularity and no per-cycle tick:
//! a stage starts when its input is ready and its unit is free. Each point in time carries the path that led to it, as time by
//! cause, so that the end of the program knows what held it. Where a stall is decided: `State::tile` in `engine/state.rs`.
//!
//! [`run`] jumps over the steady state, [`run_tile_by_tile`] does not; they agree exactly, to the femtosecond and the cause.

mod fast_forward;
mod stamp;
mod state;

use crate::mapping::program::Program;
use crate::mapping::{Cause, Causes};
use crate::units::Femtos;
use stamp::{Instant, Moment, Stamp};
use state::State;

/// What a program took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Timeline {
    /// From launch to the last result.
    pub time: Femtos,
    /// The critical path by cause; sums to `time`.
    pub causes: Causes,
}

impl Timeline {
    /// A stretch of time with one cause.
    #[must_use]
    pub fn of(cause: Cause, time: Femtos) -> Self {
        Self { time, causes: Causes::of(cause, time) }
    }

    /// Takes away `time` that was charged to `cause`.
    pub fn shorten(&mut self, cause: Cause, time: Femtos) {
        self.time = self.time - time;
        let part = &mut self.causes.0[cause as usize];
        *part = part.saturating_sub(time.0);
    }
}

impl std::ops::AddAssign for Timeline {
    fn add_assign(&mut self, next: Self) {
        self.time += next.time;
        self.causes += next.causes;
    }
}

/// Runs `program`, jumping over steady states. Cost does not grow with the number of equal tiles.
#[must_use]
pub fn run(program: &Program) -> Timeline {
    run_with::<Stamp>(program, true)
}

/// The time of [`run`] without its causes, at a fraction of the cost: to compare candidates.
#[must_use]
pub fn time(program: &Program) -> Femtos {
    run_with::<Instant>(program, true).time
}

/// Runs `program` one tile after the other: the reference for [`run`].
#[must_use]
pub fn run_tile_by_tile(program: &Program) -> Timeline {
    run_with::<Stamp>(program, false)
}

fn run_with<M: Moment>(program: &Program, jump: bool) -> Timeline {
    let mut state = State::<M>::new(program);
    for wave in &program.waves {
        fast_forward::repeat(&mut state, wave.repeat, jump, |state| {
            state.start_wave(wave.start);
            for (tile, count) in &wave.runs {
                fast_forward::repeat(state, *count, jump, |state| state.tile(tile));
            }
        });
    }
    state.finish()
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod hand_checked;
