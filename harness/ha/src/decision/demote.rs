//! The five ways to stop being the primary (`Ha.demote` in Patroni).

use super::StopMode;

/// How a primary is demoted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DemoteMode {
    /// A switchover: nothing may be lost.
    Graceful,
    /// We hold the lock, but must not stay primary (no watchdog, too slow start).
    Immediate,
    /// Somebody else holds the lock, or we have lost it: every moment counts.
    ImmediateNolock,
    /// The DCS cannot be reached.
    Offline,
    /// The cluster becomes a standby cluster.
    DemoteCluster,
}

/// One row of the table of demote modes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DemotePlan {
    /// How PostgreSQL is stopped.
    pub stop: StopMode,
    /// Whether a CHECKPOINT comes first.
    pub checkpoint_first: bool,
    /// Whether the lock is released.
    pub releases_lock: bool,
}

impl DemoteMode {
    /// The row.
    pub const fn plan(self) -> DemotePlan {
        let (stop, checkpoint_first, releases_lock) = match self {
            DemoteMode::Graceful => (StopMode::Fast, true, true),
            DemoteMode::Immediate => (StopMode::Immediate, false, true),
            DemoteMode::ImmediateNolock => (StopMode::Immediate, false, false),
            DemoteMode::Offline => (StopMode::Fast, false, false),
            DemoteMode::DemoteCluster => (StopMode::Fast, false, true),
        };
        DemotePlan { stop, checkpoint_first, releases_lock }
    }

    /// Patroni's name for it.
    pub const fn name(self) -> &'static str {
        match self {
            DemoteMode::Graceful => "graceful",
            DemoteMode::Immediate => "immediate",
            DemoteMode::ImmediateNolock => "immediate-nolock",
            DemoteMode::Offline => "offline",
            DemoteMode::DemoteCluster => "demote-cluster",
        }
    }
}
