//! `pg_control`: what the server knows about itself before it reads anything else.

use serde::{Deserialize, Serialize};

use crate::{Lsn, Version};

/// "Database cluster state", in the words of `pg_controldata`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClusterState {
    /// `shut down`.
    ShutDown,
    /// `shut down in recovery`.
    ShutDownInRecovery,
    /// `shutting down`.
    ShuttingDown,
    /// `in crash recovery`.
    InCrashRecovery,
    /// `in archive recovery`: a standby.
    InArchiveRecovery,
    /// `in production`.
    InProduction,
}

impl ClusterState {
    /// The words `pg_controldata` prints.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ShutDown => "shut down",
            Self::ShutDownInRecovery => "shut down in recovery",
            Self::ShuttingDown => "shutting down",
            Self::InCrashRecovery => "in crash recovery",
            Self::InArchiveRecovery => "in archive recovery",
            Self::InProduction => "in production",
        }
    }
}

/// The latest checkpoint (or restartpoint), copied into `pg_control`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Where its record begins.
    pub location: Lsn,
    /// Where its record ends.
    pub end: Lsn,
    /// Where recovery begins.
    pub redo: Lsn,
    /// Its timeline.
    pub tli: u32,
    /// The timeline before it, when the checkpoint began a timeline.
    pub previous_tli: u32,
    /// When it was made, seconds since the Unix epoch.
    pub time_s: i64,
}

/// `pg_control`. Every change of it is fsynced before it counts, as PostgreSQL does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Control {
    /// Whose cluster it is: `PG_VERSION`.
    pub version: Version,
    /// Given by `initdb`, copied by base backups.
    pub system_identifier: u64,
    /// Database cluster state.
    pub state: ClusterState,
    /// Latest checkpoint.
    pub checkpoint: Checkpoint,
    /// A standby is consistent once it has replayed this far.
    pub min_recovery_point: Lsn,
    /// Timeline of `min_recovery_point`.
    pub min_recovery_tli: u32,
    /// Set by a base backup until recovery has passed it: the data directory is unusable before.
    pub backup_end: Option<Lsn>,
    /// Whether pages carry checksums: one of the two ways to make `pg_rewind` possible.
    pub data_checksums: bool,
    /// `wal_log_hints` at the last start.
    pub wal_log_hints: bool,
    /// `max_connections` at the last start of a primary.
    pub max_connections: u32,
    /// `max_worker_processes` at the last start of a primary.
    pub max_worker_processes: u32,
    /// `max_wal_senders` at the last start of a primary.
    pub max_wal_senders: u32,
    /// `max_prepared_transactions` at the last start of a primary.
    pub max_prepared_transactions: u32,
    /// `max_locks_per_transaction` at the last start of a primary.
    pub max_locks_per_transaction: u32,
}

impl Control {
    /// The timeline recovery begins with. After a fast promotion the checkpoint is still of the old one.
    #[must_use]
    pub fn own_tli(&self) -> u32 {
        self.checkpoint.tli.max(self.min_recovery_tli)
    }
}
