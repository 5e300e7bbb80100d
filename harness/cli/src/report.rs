//! What the library's user gets: all runs, and what they amount to.

use std::fmt;

use pgdrill_lab::verdict::{ExitCode, Verdict};
use pgdrill_reports::{Ending, Run, exit_code, explanation, table};

/// Explanations in test output are wrapped to this many columns.
const WIDTH: usize = 100;

/// The runs of one or more scenarios.
#[derive(Clone, Debug)]
pub struct Report {
    /// One for each scenario and seed, in that order.
    pub runs: Vec<Run>,
    /// What is questionable about the files, above all about a patroni.yml: each with its place and what would be right.
    pub warnings: Vec<String>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

impl Report {
    /// The worst verdict; a run that could not be played at all counts as [`Verdict::Unknown`].
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        Verdict::combine(self.runs.iter().map(Run::verdict))
    }

    /// What the `pgdrill` command would exit with.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        exit_code(&self.runs)
    }

    /// Whether every run passed that applies to the user's settings, and there is one.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.verdict() == Verdict::Pass
    }

    /// The first of the worst runs, `None` when every run passed. Of all runs, this one still has its events.
    #[must_use]
    pub fn worst(&self) -> Option<&Run> {
        let worst = self.runs.iter().map(badness).max()?;
        self.runs.iter().find(|run| badness(run) == worst && run.verdict() > Verdict::Pass)
    }

    /// The table of all runs, then the explanation of the first of the worst ones, which ends with the command that
    /// reproduces it. Without colours.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = table(&self.runs, WIDTH);
        if let Some(run) = self.worst() {
            text.push('\n');
            text.push_str(&explanation(run, WIDTH));
        }
        anstream::adapter::strip_str(&text).to_string()
    }
}

/// How bad an ending is: a crash of the lab before everything, then the verdicts' own order.
pub(crate) fn badness(run: &Run) -> (bool, Verdict) {
    (matches!(run.ending, Ending::Crashed(_)), run.verdict())
}
