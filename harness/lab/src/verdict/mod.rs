//! The verdict: what the oracles' findings amount to, for one run and for many.

mod exit;
mod explain;
mod judge;

pub use exit::ExitCode;
pub use explain::explain;
pub use judge::{Judgement, judge};

use serde::{Deserialize, Serialize};

/// What a run, or many of them, proves. Ordered from best to worst: of many runs the worst counts.
///
/// Why this order: a failure is certain whatever else could not be judged; a vacuous run was never a test, which the author
/// must mend; unknown may be cured by a longer run; unsupported says nothing about the cluster at all, but is never a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It was not played, since it is about other settings than the user's: that says nothing about the user's cluster.
    NotApplicable,
    /// Every rule held.
    Pass,
    /// The world cannot play the scenario.
    Unsupported,
    /// Could not be judged.
    Unknown,
    /// What the scenario was to test did not happen.
    Vacuous,
    /// A rule was broken.
    Fail,
}

impl Verdict {
    /// The verdict over many runs: the worst. Without any run nothing was proven.
    pub fn combine(verdicts: impl IntoIterator<Item = Self>) -> Self {
        verdicts.into_iter().max().unwrap_or(Self::Unknown)
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::NotApplicable => "does not apply",
            Self::Pass => "pass",
            Self::Unsupported => "unsupported",
            Self::Unknown => "unknown",
            Self::Vacuous => "vacuous",
            Self::Fail => "fail",
        })
    }
}

#[cfg(test)]
mod tests;
