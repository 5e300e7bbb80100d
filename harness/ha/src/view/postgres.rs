//! PostgreSQL as this node sees it.

use std::collections::BTreeMap;

use super::SynchronousStandbyNames;
use crate::records::HistoryLine;
use crate::{Lsn, Monotonic};

/// The state of the data directory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DataDir {
    /// It does not exist or is empty.
    #[default]
    Empty,
    /// It holds what an interrupted copy of ours has left: no usable data directory, and ours to remove.
    Invalid,
    /// It cannot be read, or holds something unusable that is not ours. Nobody knows what it is worth: nothing is removed, and
    /// nothing put in its place.
    Inaccessible,
    /// It could not be looked at because the machine lacks what a look takes: descriptors, memory, processes. That says nothing
    /// about the directory, and nothing is concluded from it.
    Unseen,
    /// It holds a data directory.
    Present,
}

/// The postmaster.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Process {
    /// There is none, and it was stopped on purpose or never started.
    #[default]
    Stopped,
    /// There is none, and nobody stopped it.
    Crashed,
    /// It runs and does not accept connections yet.
    Starting {
        /// When it was first seen so.
        since: Monotonic,
    },
    /// It accepts connections. Also if the monitoring query ran into its time limit: a slow primary is not a dead one
    /// (Patroni issues 3646 and 3637), and the fields then hold what was last known.
    Running,
    /// It is on its way down.
    Stopping,
}

/// Whether PostgreSQL is in recovery.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PostgresRole {
    /// Not in recovery: accepts writes.
    Primary,
    /// In recovery.
    #[default]
    Replica,
}

/// `pg_control`'s "Database cluster state".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DbState {
    /// "shut down"
    ShutDown,
    /// "shut down in recovery"
    ShutDownInRecovery,
    /// "shutting down"
    ShuttingDown,
    /// "in crash recovery"
    InCrashRecovery,
    /// "in archive recovery"
    InArchiveRecovery,
    /// "in production"
    InProduction,
    /// "starting up"
    StartingUp,
}

/// What `pg_controldata` prints, as far as decisions need it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControlData {
    /// "Database cluster state".
    pub state: DbState,
    /// "Latest checkpoint's TimeLineID".
    pub timeline: u32,
    /// "Latest checkpoint location".
    pub checkpoint: Lsn,
    /// Where the latest checkpoint's record ends, from `pg_waldump`, if it is a shutdown checkpoint and could be read.
    pub checkpoint_end: Option<Lsn>,
    /// "Minimum recovery ending location" and its timeline, while in recovery.
    pub min_recovery_end: Option<(u32, Lsn)>,
    /// "Data page checksum version" is not 0.
    pub data_checksums: bool,
    /// "wal_log_hints setting" is on.
    pub wal_log_hints: bool,
}

/// What `primary_conninfo` and `primary_slot_name` say now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Follows {
    /// Host.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Slot, if one is used.
    pub slot: Option<String>,
}

/// `pg_stat_replication.sync_state`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum SyncState {
    /// Commits wait for it.
    Sync,
    /// One of a quorum.
    Quorum,
    /// Would be next.
    Potential,
    /// Not named.
    #[default]
    Async,
}

/// One row of `pg_stat_replication`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StandbyView {
    /// `application_name`, which is the member's name.
    pub application_name: String,
    /// `state` is `streaming`: it has caught up once.
    pub streaming: bool,
    /// `sync_state`.
    pub sync_state: SyncState,
    /// `write_lsn`.
    pub write_lsn: Lsn,
    /// `flush_lsn`.
    pub flush_lsn: Lsn,
    /// `replay_lsn`.
    pub replay_lsn: Lsn,
}

/// One row of `pg_replication_slots`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SlotView {
    /// Physical rather than logical.
    pub physical: bool,
    /// Somebody uses it.
    pub active: bool,
    /// `restart_lsn`, or `confirmed_flush_lsn` of a logical slot.
    pub position: Option<Lsn>,
    /// `wal_status` is `lost`: it can never be used again.
    pub lost: bool,
    /// A logical slot's database.
    pub database: Option<String>,
    /// A logical slot's plugin.
    pub plugin: Option<String>,
}

/// PostgreSQL on this node. `Default` is a node without a data directory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PostgresView {
    /// The data directory.
    pub data_dir: DataDir,
    /// The postmaster.
    pub process: Process,
    /// It runs, and its latest question was answered by nothing: not even by the server's own time limit, nor with an error. The
    /// fields hold what was last known.
    pub is_silent: bool,
    /// In recovery or not; the last known while it does not run.
    pub role: PostgresRole,
    /// pg_control, if readable.
    pub control: Option<ControlData>,
    /// There is a `backup_label`: an unfinished copy, whose pg_control must not be recovered by itself.
    pub has_backup_label: bool,
    /// There is a `standby.signal`: it starts as a replica.
    pub has_standby_signal: bool,
    /// When this agent started there was a dynamic configuration in the data directory, kept by an agent that had read the
    /// DCS (`patroni.dynamic.json`), or nobody could tell. Without one no agent has ever led with this server.
    pub was_managed: bool,
    /// From pg_control or the running server.
    pub system_identifier: Option<u64>,
    /// `server_version_num`, or what the binaries are.
    pub server_version: u32,
    /// The timeline WAL is written or replayed on.
    pub timeline: Option<u32>,
    /// Primary: `pg_current_wal_flush_lsn`.
    pub current_lsn: Option<Lsn>,
    /// Replica: `pg_last_wal_receive_lsn`.
    pub received_lsn: Option<Lsn>,
    /// Replica: `pg_last_wal_replay_lsn`.
    pub replayed_lsn: Option<Lsn>,
    /// Replica: a walreceiver is connected and streams.
    pub is_streaming: bool,
    /// Replica: replay is paused (`pg_get_wal_replay_pause_state`).
    pub replay_paused: bool,
    /// Replica: whom it is configured to follow; `None` if `primary_conninfo` is empty.
    pub follows: Option<Follows>,
    /// Primary: its standbys.
    pub standbys: Vec<StandbyView>,
    /// The setting as it is in force.
    pub synchronous_standby_names: SynchronousStandbyNames,
    /// Its replication slots by name.
    pub slots: BTreeMap<String, SlotView>,
    /// The history file of `timeline`, oldest line first; empty on timeline 1.
    pub history: Vec<HistoryLine>,
}

impl PostgresView {
    /// Whether it accepts connections.
    pub fn is_running(&self) -> bool {
        self.process == Process::Running
    }

    /// Whether there is no postmaster.
    pub fn is_absent(&self) -> bool {
        matches!(self.process, Process::Stopped | Process::Crashed)
    }

    /// Whether it accepts connections and writes.
    pub fn is_running_primary(&self) -> bool {
        self.is_running() && self.role == PostgresRole::Primary
    }

    /// The position that counts in a race: the primary's own, or the later of received and replayed
    /// (`Postgresql.last_operation`).
    pub fn position(&self) -> Option<Lsn> {
        match self.role {
            PostgresRole::Primary => self.current_lsn,
            PostgresRole::Replica => self.received_lsn.max(self.replayed_lsn),
        }
    }

    /// Whether `pg_rewind` can work on it: hint-bit changes must be in the WAL.
    pub fn supports_rewind(&self) -> bool {
        self.control.as_ref().is_some_and(|control| control.data_checksums || control.wal_log_hints)
    }
}
