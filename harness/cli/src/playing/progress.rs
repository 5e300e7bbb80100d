//! Progress on standard error while many runs are played; nothing at all where that is no terminal.

use std::{
    io::{IsTerminal, Write, stderr},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use pgdrill_reports::Run;
use pgdrill_yaml::visible;

/// A progress line.
pub(crate) struct Progress {
    bar: ProgressBar,
    began: Instant,
    played: Duration,
    violations: usize,
}

impl Progress {
    /// For so many runs.
    pub(crate) fn new(runs: usize, shown: bool) -> Self {
        let target =
            if shown && stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(runs as u64), target);
        let template = "{wide_bar} {pos}/{len} runs, {per_sec}, {msg}, {eta} left";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(200));
        Self { bar, began: Instant::now(), played: Duration::ZERO, violations: 0 }
    }

    /// A run is done, in whatever order.
    pub(crate) fn done(&self) {
        self.bar.inc(1);
    }

    /// A run is the next to be told of.
    pub(crate) fn told(&mut self, run: &Run) {
        self.played += run.played;
        self.violations += run.violations();
        let rate = self.played.as_secs_f64() / self.began.elapsed().as_secs_f64().max(1e-3);
        let plural = if self.violations == 1 { "" } else { "s" };
        self.bar.set_message(format!("{rate:.0} simulated s/s, {} violation{plural}", self.violations));
    }

    /// Prints something without the line getting in its way.
    pub(crate) fn beside<R>(&self, print: impl FnOnce() -> R) -> R {
        self.bar.suspend(print)
    }

    /// Where lines can be said from any thread without the progress line getting in their way.
    pub(crate) fn lines(&self) -> Lines {
        Lines(self.bar.clone())
    }

    /// Takes the line away.
    pub(crate) fn finish(self) {
        self.bar.finish_and_clear();
    }
}

/// Lines on standard error, above the progress line where there is one.
#[derive(Clone)]
pub(crate) struct Lines(ProgressBar);

impl Lines {
    /// Says a line.
    pub(crate) fn say(&self, line: &str) {
        // Nobody to tell when standard error is gone; the run goes on.
        self.0.suspend(|| _ = writeln!(stderr(), "{}", visible(line)));
    }
}
