//! What this node sees of itself.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{PostgresView, Round};
use crate::{Lsn, Monotonic};

/// Everything this node knows without asking the DCS, observed anew for each round.
#[derive(Debug, Clone, PartialEq)]
pub struct LocalView {
    /// Our member name.
    pub name: String,
    /// Our REST address as in our member record.
    pub api_url: Option<String>,
    /// The wall clock. Compared with `scheduled_at` and with nothing else.
    pub wall: Timestamp,
    /// PostgreSQL as it is.
    pub postgres: PostgresView,
    /// The long-running task, if one runs or has ended since the previous cycle.
    pub task: Option<TaskView>,
    /// The watchdog.
    pub watchdog: WatchdogView,
    /// The dead-man process.
    pub fence: FenceView,
    /// The latest `POST /failsafe` that was answered `Accepted`.
    pub failsafe_ping: Option<FailsafePing>,
    /// What the earlier rounds of this cycle brought; empty in the first.
    pub round: Round,
}

/// A leader without DCS told us that it is alive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailsafePing {
    /// Its name.
    pub leader: String,
    /// Its connection URL.
    pub conn_url: Option<String>,
    /// Its REST address.
    pub api_url: Option<String>,
    /// Its slots' positions.
    pub slots: BTreeMap<String, Lsn>,
    /// When it was received.
    pub received: Monotonic,
}

/// What runs in the background, at most one at a time (`AsyncExecutor` in Patroni).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskKind {
    /// `initdb` or a custom bootstrap, up to a running primary with its users.
    Bootstrap,
    /// Copying a data directory.
    Clone,
    /// The `pre_promote` script, whose exit code decides whether the promotion goes on.
    PrePromote,
    /// Making a primary of a replica, until pg_control says "in production".
    Promote,
    /// A switchover's stop with checkpoint and early lock release.
    Demote,
    /// Starting PostgreSQL.
    Start,
    /// Restarting PostgreSQL, asked for or to follow somebody else.
    Restart,
    /// `pg_rewind`.
    Rewind,
    /// Single-user crash recovery.
    CrashRecovery,
    /// Copying logical slots from the leader, with a stop and a start of PostgreSQL.
    CopySlots,
    /// The first CHECKPOINT after a promotion. It does not keep other decisions from being made.
    Checkpoint,
}

/// How far a task is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TaskProgress {
    /// It runs.
    Running {
        /// For `Promote`: `pg_ctl promote` has been called, so that it cannot be taken back.
        past_point_of_no_return: bool,
    },
    /// It ended well. Reported during exactly one cycle, in each of its rounds.
    Done,
    /// It failed, or it is unknown how it ended. Reported during exactly one cycle, in each of its rounds.
    Failed {
        /// The error, for people.
        reason: String,
    },
}

/// The background task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskView {
    /// Counts the tasks of this agent, so that an outcome is not taken for another's.
    pub id: u64,
    /// What it does.
    pub kind: TaskKind,
    /// When it was started.
    pub started: Monotonic,
    /// How far it is.
    pub progress: TaskProgress,
}

impl TaskView {
    /// Whether it still runs.
    pub fn is_running(&self) -> bool {
        matches!(self.progress, TaskProgress::Running { .. })
    }
}

/// The watchdog device.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WatchdogView {
    /// It is armed: it will reset the machine unless kept alive.
    pub is_active: bool,
    /// It was armed under other timings than those in force: its time-out is to be set anew.
    pub is_outdated: bool,
    /// There is a device that accepts our timeout, or the mode does not ask for one (`Watchdog.is_healthy`).
    pub is_usable: bool,
}

/// The dead-man process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FenceView {
    /// It holds a deadline: it will stop PostgreSQL when that passes.
    pub is_armed: bool,
    /// It runs, or the mode does not ask for it.
    pub is_usable: bool,
}
