//! How far a command came that was ended early: said in every output, none of which may pass for a whole one.

use std::fmt;

use serde::Serialize;

/// A command that was ended before everything was played.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Interrupted {
    /// So many runs were played.
    pub played: usize,
    /// Of so many that were asked for.
    pub planned: usize,
}

impl Interrupted {
    /// Where a command was ended early; `None` where it was not.
    #[must_use]
    pub fn when(ended_early: bool, played: usize, planned: usize) -> Option<Self> {
        ended_early.then_some(Self { played, planned })
    }
}

impl fmt::Display for Interrupted {
    /// `interrupted: 14 of 400 runs were played`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.planned == 1 { "run was" } else { "runs were" };
        write!(f, "interrupted: {} of {} {plural} played", self.played, self.planned)
    }
}
