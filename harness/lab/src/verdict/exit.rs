//! Exit codes: what scripts and CI read.

use super::Verdict;

/// How the `pgdrill` command ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitCode {
    /// Every run passed that applies to the user's settings.
    Pass = 0,
    /// A rule was broken; the first violation is listed first.
    Fail = 1,
    /// The command line was wrong, or a scenario is invalid: nothing was played.
    Usage = 2,
    /// A run could not be judged, or was vacuous: what it was to test did not happen.
    Unknown = 3,
    /// The world cannot play a scenario.
    Unsupported = 4,
    /// The lab itself crashed: Rust's own code for a panic.
    Crash = 101,
}

impl ExitCode {
    /// The number the process exits with.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }
}

impl From<Verdict> for ExitCode {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Pass | Verdict::NotApplicable => Self::Pass,
            Verdict::Fail => Self::Fail,
            // A vacuous run shares the code: for a script both mean "nothing was proven, look into it".
            Verdict::Unknown | Verdict::Vacuous => Self::Unknown,
            Verdict::Unsupported => Self::Unsupported,
        }
    }
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code.number())
    }
}
