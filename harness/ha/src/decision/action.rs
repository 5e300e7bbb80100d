//! What a decision can ask the agent to do.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::records::{FailsafeRecord, HistoryRecord, StatusRecord, SyncRecord};
use crate::view::SynchronousStandbyNames;
use crate::{Lsn, Monotonic};

/// One thing to do. Unless said otherwise the agent waits for its end before the next action of the list.
///
/// Writing `members/<name>` is not among them: the agent does that at the end of every cycle that could read the DCS.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Keep our lease alive and verify that `leader` is ours and hangs on it. Never creates the key: an expired lock is
    /// only to be had again through the race. `status`, if given, is written after success. Sets `Round::lock`; an outcome
    /// other than `Held` ends the list, without being reported as failed.
    RenewLock {
        /// The new `/status`.
        status: Option<StatusRecord>,
    },
    /// Create `leader` if it does not exist (`create_revision == 0`), on our lease, and in the same transaction write
    /// `status`, so that the previous holder sees that somebody else was in office. Sets `Round::lock` as `RenewLock` does.
    AcquireLock {
        /// `/status` as it was.
        status: StatusRecord,
    },
    /// Delete `leader` if it is ours and has not been put since; before that write `optime` into `/status`, if given. Sets
    /// `Round::released`. A release whose outcome is unknown must not take effect any more once the lock was renewed: the next
    /// `RenewLock` puts the key anew.
    ReleaseLock {
        /// The position of our shutdown checkpoint.
        optime: Option<Lsn>,
    },
    /// Write `/initialize`. Sets `Round::initialize` for `Create`.
    WriteInitialize(InitializeWrite),
    /// Write `/config`.
    WriteConfig(ConfigWrite),
    /// Write `/history` (only the lock holder does).
    WriteHistory(HistoryRecord),
    /// Compare-and-set `/sync`. Sets `Round::sync`.
    WriteSync {
        /// The new record; `None` deletes the key.
        record: Option<SyncRecord>,
        /// The `mod_revision` the key must have; 0 means that it must not exist.
        expected: i64,
    },
    /// Write `/failsafe`.
    WriteFailsafe(FailsafeRecord),
    /// Put `{}` into `/failover` if its `mod_revision` is still the given one.
    ClearFailover {
        /// The revision of the request that is done with.
        expected: i64,
    },
    /// `GET api_url` of all at once, 2 s, no retry (`fetch_nodes_statuses`). Sets `Round::peers`.
    AskPeers {
        /// Whom.
        peers: Vec<Peer>,
        /// What for.
        purpose: PeerPurpose,
    },
    /// `POST /failsafe` to all at once, 2 s, one retry. Sets `Round::failsafe` and `Round::failsafe_asked_at`.
    AskFailsafe(Vec<Peer>),
    /// Ask the leader for role, timeline and timeline history over a replication connection. Sets `Round::leader`.
    InspectLeader(Upstream),
    /// Arm the watchdog. Sets `Round::watchdog`.
    WatchdogActivate {
        /// The end of our leadership as it is now, which the watchdog is not to outlast; `None`: a bootstrap, before any lock.
        until: Option<Monotonic>,
    },
    /// Keep the watchdog from firing, but for no longer than our leadership lasts. Patroni gives it the full time-out however long
    /// ago the request for the lock was sent, so that it may fire when another leads already.
    WatchdogKeepalive {
        /// The end of our leadership; `None`: that of the renewal before it in the list, in `Round::lock`.
        until: Option<Monotonic>,
    },
    /// Disarm the watchdog and the dead-man process, if armed.
    WatchdogDisable,
    /// Have the dead-man process hold the end of our leadership: it stops PostgreSQL when that moment passes. The agent hands
    /// it every later end by itself. Sets `Round::fence`.
    FenceArm {
        /// The end of our leadership as it is now.
        until: Monotonic,
    },
    /// Task `PrePromote`: run the `pre_promote` script. The lock is renewed meanwhile, as during any task.
    RunPrePromote,
    /// Task `Start`: start PostgreSQL and wait until it accepts connections.
    Start(StartAs),
    /// Stop PostgreSQL and wait for the end. With an early release it is the task `Demote`.
    Stop(StopRequest),
    /// Task `Promote`: `pg_ctl promote`, then wait until pg_control says "in production". The agent looks at
    /// `still_allowed_until` once more immediately before the call, and does not call after it.
    Promote {
        /// The lock's deadline.
        still_allowed_until: Monotonic,
    },
    /// Follow another node: reload if `primary_conninfo` can be changed so (PostgreSQL 13), else task `Restart`.
    Follow {
        /// Whom.
        upstream: Upstream,
        /// A reload is not enough.
        restart: bool,
    },
    /// `pg_wal_replay_resume()`.
    ResumeReplay,
    /// Task `Checkpoint`.
    Checkpoint,
    /// Task `Rewind`: archive what is `.ready`, stop PostgreSQL if it runs, then `pg_rewind` against the leader.
    Rewind(Upstream),
    /// Task `CrashRecovery`: archive what is `.ready`, then `postgres --single` until it ends.
    CrashRecovery,
    /// End the running task if that can still be done without harm.
    CancelTask,
    /// Task `Bootstrap`: initdb or the custom method, start, users, `post_bootstrap`.
    Bootstrap,
    /// Move the data directory of a failed bootstrap out of the way (`data_dir.failed`).
    MoveDataDirAway,
    /// Task `Clone`: `create_replica_methods` in order; the first with a source, if there is one.
    Clone {
        /// Where from; `None` only methods that need no running server.
        from: Option<Upstream>,
    },
    /// Remove the data directory's content.
    RemoveDataDir,
    /// Write `synchronous_standby_names` and reload.
    SetSynchronousStandbyNames(SynchronousStandbyNames),
    /// Let `synchronous_standby_names` be what the user has configured, if anything, and reload.
    ResetSynchronousStandbyNames,
    /// Bring the replication slots into the given state.
    SyncSlots(Slots),
    /// Task `CopySlots`: read the state of logical slots on the leader, stop PostgreSQL, put them into its data directory, start
    /// it again. A standby cannot make a logical slot at a position of the past in any other way (`copy_logical_slots`).
    CopySlots {
        /// The slots with their configuration.
        slots: BTreeMap<String, Value>,
        /// The leader.
        from: Upstream,
    },
}

/// Somebody to ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Member name.
    pub name: String,
    /// Its REST address, ending in `/patroni`.
    pub api_url: String,
}

/// What peers are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeerPurpose {
    /// Am I the healthiest?
    Race,
    /// Can somebody take over from me?
    Handover,
}

/// How `/initialize` is to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InitializeWrite {
    /// Empty, if the key does not exist: claims the bootstrap.
    Create,
    /// The system identifier, whatever is there.
    Set(u64),
    /// The system identifier, if the key does not exist.
    CreateWith(u64),
    /// Delete: the bootstrap failed.
    Delete,
}

/// How `/config` is to be written.
#[derive(Debug, Clone, PartialEq)]
pub enum ConfigWrite {
    /// The first one, from `bootstrap.dcs`.
    Initial(Value),
    /// What the agent last saw, because the key has gone.
    Restore,
}

/// Whom a replica follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Upstream {
    /// A member of the cluster.
    Member {
        /// Its name.
        name: String,
        /// Where it listens.
        host: String,
        /// Where it listens.
        port: u16,
        /// The slot there that is ours, if slots are used.
        slot: Option<String>,
    },
    /// The remote primary of a standby cluster: the `standby_cluster` section.
    Remote(Value),
    /// Whom it followed before. A leader that is not seen at this moment is no reason to drop `primary_conninfo`
    /// (Patroni issues 3717, 3686 and 3675: replicas stayed without upstream for hours).
    Unchanged,
    /// Nobody: the WAL comes from the archive alone (tag `nostream`).
    ArchiveOnly,
}

/// As what PostgreSQL is started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StartAs {
    /// As primary: without `standby.signal`, crash recovery on the same timeline. The agent looks at `still_allowed_until`
    /// immediately before the start and after it, and leaves nothing running that was started later.
    Primary {
        /// The lock's deadline.
        still_allowed_until: Monotonic,
    },
    /// As replica.
    Replica(Upstream),
}

/// `pg_ctl stop -m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopMode {
    /// Disconnect clients, write the shutdown checkpoint, wait until standbys have it.
    Fast,
    /// Like a crash.
    Immediate,
}

/// How to stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StopRequest {
    /// The mode to begin with.
    pub mode: StopMode,
    /// Run CHECKPOINT first, so that the shutdown is short.
    pub checkpoint_first: bool,
    /// When to go on to the next harder mode (immediate, then SIGKILL). For a primary whose lock cannot be renewed this
    /// is well before the lock's deadline: it must be down by then.
    pub escalate_at: Option<Monotonic>,
    /// Give the lock away while the shutdown still runs.
    pub early_release: Option<EarlyRelease>,
    /// Disarm the watchdog once no client backend is left (Patroni's "safepoint").
    pub watchdog_off_at_safepoint: bool,
}

/// When the lock is given away during a switchover's stop (`Ha.demote`, `on_shutdown`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EarlyRelease {
    /// pg_control must say "shut down", and one of these must have received the shutdown checkpoint. If they do not, the
    /// lock is released after the stop.
    pub candidates: BTreeSet<String>,
}

/// The replication slots as they should be. What is not named stays if it is in `keep`, and is dropped otherwise.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Slots {
    /// Physical slots to have, with the position they should at least be at, if known.
    pub physical: BTreeMap<String, Option<Lsn>>,
    /// Logical slots to have, with their configuration and position.
    pub logical: BTreeMap<String, (Value, Option<Lsn>)>,
    /// To be dropped: ours no longer, inactive, or lost.
    pub drop: BTreeSet<String>,
}

impl Action {
    /// A stable name for logs and for [`FailedAction`](crate::view::FailedAction).
    pub fn name(&self) -> &'static str {
        match self {
            Action::RenewLock { .. } => "renew_lock",
            Action::AcquireLock { .. } => "acquire_lock",
            Action::ReleaseLock { .. } => "release_lock",
            Action::WriteInitialize(_) => "write_initialize",
            Action::WriteConfig(_) => "write_config",
            Action::WriteHistory(_) => "write_history",
            Action::WriteSync { .. } => "write_sync",
            Action::WriteFailsafe(_) => "write_failsafe",
            Action::ClearFailover { .. } => "clear_failover",
            Action::AskPeers { .. } => "ask_peers",
            Action::AskFailsafe(_) => "ask_failsafe",
            Action::InspectLeader(_) => "inspect_leader",
            Action::WatchdogActivate { .. } => "watchdog_activate",
            Action::WatchdogKeepalive { .. } => "watchdog_keepalive",
            Action::WatchdogDisable => "watchdog_disable",
            Action::FenceArm { .. } => "fence_arm",
            Action::RunPrePromote => "run_pre_promote",
            Action::Start(_) => "start",
            Action::Stop(_) => "stop",
            Action::Promote { .. } => "promote",
            Action::Follow { .. } => "follow",
            Action::ResumeReplay => "resume_replay",
            Action::Checkpoint => "checkpoint",
            Action::Rewind(_) => "rewind",
            Action::CrashRecovery => "crash_recovery",
            Action::CancelTask => "cancel_task",
            Action::Bootstrap => "bootstrap",
            Action::MoveDataDirAway => "move_data_dir_away",
            Action::Clone { .. } => "clone",
            Action::RemoveDataDir => "remove_data_dir",
            Action::SetSynchronousStandbyNames(_) => "set_synchronous_standby_names",
            Action::ResetSynchronousStandbyNames => "reset_synchronous_standby_names",
            Action::SyncSlots(_) => "sync_slots",
            Action::CopySlots { .. } => "copy_slots",
        }
    }
}
