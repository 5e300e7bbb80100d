//! Whether a process runs, and how it ended.

use std::{fmt, time::Duration};

use crate::id::ProcessId;

/// Why a process ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExitReason {
    /// Its main future ended.
    Finished,
    /// A task of it panicked, with this message. One panicking task ends the process, as with `panic = "abort"`: what a
    /// process lives on without must not go unnoticed.
    Panicked(String),
    /// [`Engine::kill`](crate::Engine::kill) or [`Control::kill`](crate::Control::kill).
    Killed,
    /// Its host lost power.
    PowerLost,
    /// It kept running without simulated time passing: a loop that never really waits.
    Livelocked,
    /// Simulated time passed, but it was given control again and again, far more often than any program that gets on: a loop
    /// that waits for next to nothing.
    Restless,
    /// It used `spawn_blocking` or something built on it: real threads are not reproducible.
    UsedThreads,
}

impl fmt::Display for ExitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Finished => f.write_str("finished"),
            Self::Panicked(message) => write!(f, "panicked: {message}"),
            Self::Killed => f.write_str("killed"),
            Self::PowerLost => f.write_str("its host lost power"),
            Self::Livelocked => f.write_str("livelock: it keeps running without time passing"),
            Self::Restless => f.write_str("no progress: it was busy all the time, over and over within one second"),
            Self::UsedThreads => f.write_str("it used blocking threads, which a simulation cannot reproduce"),
        }
    }
}

impl ExitReason {
    /// Whether the program is at fault: it was neither finished nor ended from outside.
    #[must_use]
    pub const fn is_fault(&self) -> bool {
        matches!(self, Self::Panicked(_) | Self::Livelocked | Self::Restless | Self::UsedThreads)
    }
}

/// Whether a process runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProcessStatus {
    /// It runs, or is frozen.
    Running,
    /// It has ended.
    Exited(ExitReason),
}

/// The end of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exit {
    /// When, since the start of the simulation.
    pub at: Duration,
    /// Which process.
    pub process: ProcessId,
    /// Why.
    pub reason: ExitReason,
}

/// Is told of every end of a process.
pub(crate) type ExitListener = Box<dyn FnMut(&Exit)>;
