//! A progress bar that keeps out of the way: on a terminal only, and only for what takes over a second.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Work shorter than this shows no bar.
const PATIENCE: Duration = Duration::from_secs(1);

/// Counts work done and, on a terminal, shows it on stderr. Shared between threads by reference.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    started: Instant,
    /// Whether a bar may appear later.
    waiting: AtomicBool,
}

impl Progress {
    /// Progress over `total` steps (`None`: unknown), called `what`: "points", "requests".
    #[must_use]
    pub fn new(total: Option<u64>, what: &'static str) -> Self {
        // Tests run with a terminal on stderr when a person runs them; a bar has no place in their output.
        Self::with_terminal(total, what, std::io::stderr().is_terminal() && !cfg!(test))
    }

    fn with_terminal(total: Option<u64>, what: &'static str, terminal: bool) -> Self {
        let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::hidden());
        let template = if total.is_some() {
            "{bar:30} {human_pos} of {human_len} {msg}, {eta} left"
        } else {
            "{spinner} {human_pos} {msg}, {elapsed}"
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_message(what);
        Self { bar, started: Instant::now(), waiting: AtomicBool::new(terminal) }
    }

    /// Counts `done` more steps.
    pub fn add(&self, done: u64) {
        if self.waiting.load(Ordering::Relaxed)
            && self.started.elapsed() > PATIENCE
            && self.waiting.swap(false, Ordering::Relaxed)
        {
            self.bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(10));
        }
        self.bar.inc(done);
    }

    /// Steps counted so far.
    #[must_use]
    pub fn done(&self) -> u64 {
        self.bar.position()
    }

    /// Whether a bar is on the screen.
    #[must_use]
    pub fn is_visible(&self) -> bool {
        !self.bar.is_hidden()
    }
}

impl Drop for Progress {
    /// Removes the bar: what stays on the screen is the result.
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_from_many_threads_and_stays_hidden() {
        let progress = Progress::new(Some(4000), "points");
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..1000).for_each(|_| progress.add(1)));
            }
        });
        assert_eq!(progress.done(), 4000);
        assert!(!progress.is_visible(), "no bar in tests");
    }

    #[test]
    fn short_work_shows_nothing_even_on_a_terminal() {
        let progress = Progress::with_terminal(None, "requests", true);
        progress.add(1);
        assert!(progress.waiting.load(Ordering::Relaxed), "a bar may still come");
        assert!(!progress.is_visible());
    }
}
