//! The [`Postgres`] port: one PostgreSQL data directory and the server on it, as `pg_ctl`, `initdb`, `pg_controldata`,
//! `pg_basebackup` and `pg_rewind` offer them. SQL is not here: it goes over the network like anybody's.

use std::{
    collections::BTreeMap,
    future::Future,
    time::{Duration, SystemTime},
};

use crate::{
    config::{HostPort, Password, PostgresqlConfig},
    ports::{ServerConfig, Upstream},
};

/// A position in the write-ahead log in bytes, as PostgreSQL's `pg_lsn` counts them.
pub type Lsn = u64;

/// What every call of the port returns.
pub type PostgresResult<T> = Result<T, PostgresError>;

/// Why an operation on the data directory or the server did not succeed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PostgresError {
    /// It was not attempted, because the preconditions did not hold (no data directory, server running, ...).
    #[error("refused: {0}")]
    Refused(String),
    /// It was attempted and is known to have failed. The data directory may have been changed (see each operation).
    #[error("failed: {0}")]
    Failed(String),
    /// It was not done, because the machine lacks what it takes: descriptors, memory, processes. That says nothing about the data
    /// directory or the server, and another time it may go well.
    #[error("not possible now: {0}")]
    Lacking(String),
    /// Nobody knows: it timed out or was interrupted and may still take effect.
    #[error("outcome unknown: {0}")]
    Unknown(String),
}

/// The server process that owns the data directory (`postmaster.pid`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Postmaster {
    /// Its process id.
    pub pid: u32,
    /// When it was started, by the wall clock of its host. Together with `pid` it tells one postmaster from the next.
    pub start_time: SystemTime,
}

/// Where a running server comes from, as the operating system tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The postmaster.
    pub pid: u32,
    /// Its parent, if that still lives, with its program's name.
    pub parent: Option<(u32, String)>,
    /// The systemd service that it runs in.
    pub unit: Option<String>,
    /// The systemd service that the agent itself runs in.
    pub own_unit: Option<String>,
}

/// What is in the data directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataDir {
    /// It does not exist.
    Missing,
    /// It exists without any file in it.
    Empty,
    /// A database cluster that can at least be looked at: `PG_VERSION` and `global/pg_control` are there.
    Valid,
    /// Files, but no usable cluster: what this agent's own interrupted `initdb`, `pg_basebackup` or `pg_rewind` has left, so that
    /// it may be removed. Anything else that is unusable is an error of [`Postgres::data_dir`].
    Incomplete,
}

/// "Database cluster state" of `pg_controldata`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClusterState {
    /// `starting up`
    StartingUp,
    /// `shut down`
    ShutDown,
    /// `shut down in recovery`
    ShutDownInRecovery,
    /// `shutting down`
    ShuttingDown,
    /// `in crash recovery`
    InCrashRecovery,
    /// `in archive recovery`: a standby, running or killed while it ran
    InArchiveRecovery,
    /// `in production`
    InProduction,
}

/// What `pg_controldata` prints, as far as failover decisions need it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlData {
    /// "Database system identifier": equal on all members of one cluster.
    pub system_identifier: u64,
    /// "Database cluster state".
    pub state: ClusterState,
    /// "Latest checkpoint location".
    pub checkpoint_lsn: Lsn,
    /// "Latest checkpoint's REDO location".
    pub redo_lsn: Lsn,
    /// "Latest checkpoint's TimeLineID".
    pub timeline: u32,
    /// "Minimum recovery ending location"; 0 when the server is not a standby.
    pub min_recovery_end_lsn: Lsn,
    /// "Min recovery ending loc's timeline"; 0 when the server is not a standby.
    pub min_recovery_end_timeline: u32,
    /// "Data page checksum version" is not 0: `pg_rewind` can work.
    pub data_checksums: bool,
    /// "wal_log_hints setting" is on: `pg_rewind` can work.
    pub wal_log_hints: bool,
    /// The settings a standby must have at least as high as its primary: `max_connections`, `max_worker_processes`,
    /// `max_wal_senders`, `max_prepared_transactions`, `max_locks_per_transaction`.
    pub settings: BTreeMap<String, u64>,
}

/// Files in the data directory that decide how the server starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SignalFiles {
    /// `standby.signal`: it starts as a standby.
    pub standby_signal: bool,
    /// `backup_label`: an unfinished copy; recovery must begin where the label says, not where `pg_control` does.
    pub backup_label: bool,
}

/// How `initdb` makes a new cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InitdbOptions {
    /// Long options without dashes, with their value if they take one: `("encoding", Some("UTF8"))`,
    /// `("data-checksums", None)`.
    pub options: Vec<(String, Option<String>)>,
    /// Name of the bootstrap superuser.
    pub superuser: String,
    /// Its password, if it gets one.
    pub password: Option<Password>,
}

/// `pg_ctl stop -m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopMode {
    /// Waits for clients to leave (SIGTERM).
    Smart,
    /// Throws clients out, then writes the shutdown checkpoint and lets standbys receive it (SIGINT).
    Fast,
    /// Aborts at once; the next start does crash recovery (SIGQUIT).
    Immediate,
}

/// One data directory and its server. All calls are by one agent, which runs the long ones (`start`, `stop`, `basebackup`,
/// `rewind`, `single_user_recovery`, `initdb`) as background tasks beside its loop and drops their future to cancel them:
/// a dropped future ends the program it waits for (`pg_basebackup`, `pg_rewind`, `postgres --single`), not the server.
pub trait Postgres: Send + Sync + 'static {
    /// The running server, whoever started it: an agent that was restarted finds the one of its predecessor. `None`: no
    /// live process owns the data directory, a stale `postmaster.pid` notwithstanding.
    fn postmaster(&self) -> impl Future<Output = PostgresResult<Option<Postmaster>>> + Send;

    /// Where the running server comes from; `None`: none runs, or it is the agent's own child. By default nothing else can have
    /// started one.
    fn origin(&self) -> impl Future<Output = PostgresResult<Option<Origin>>> + Send {
        std::future::ready(Ok(None))
    }

    /// The dynamic configuration as last kept by [`Self::keep_dynamic_config`]; `None`: none was kept.
    fn kept_dynamic_config(&self) -> impl Future<Output = PostgresResult<Option<String>>> + Send {
        std::future::ready(Ok(None))
    }

    /// Keeps the dynamic configuration in the data directory (`patroni.dynamic.json`), durably, for an agent that is started
    /// while there is no DCS, or no `/config` in it. Refused without a data directory.
    fn keep_dynamic_config(&self, _config: &str) -> impl Future<Output = PostgresResult<()>> + Send {
        std::future::ready(Err(PostgresError::Refused("this world keeps no dynamic configuration".into())))
    }

    /// Completes when the server that runs now has ended, however it ended. Never completes while none runs.
    fn exited(&self) -> impl Future<Output = ()> + Send;

    /// What is in the data directory. An error when it cannot be looked at, and when it is unusable and not what the agent left:
    /// then nothing may be started, removed or copied.
    fn data_dir(&self) -> impl Future<Output = PostgresResult<DataDir>> + Send;

    /// `pg_controldata`. Refused when the directory is not [`DataDir::Valid`].
    fn controldata(&self) -> impl Future<Output = PostgresResult<ControlData>> + Send;

    /// Which of the files that decide how the server starts are there. Both `false` without a data directory.
    fn signal_files(&self) -> impl Future<Output = PostgresResult<SignalFiles>> + Send;

    /// End of the record at `checkpoint_lsn` on `timeline`, as `pg_waldump` finds it, if it is a shutdown checkpoint and
    /// the last record there is; else `None`. Tells whether a former primary ended exactly where the new timeline begins.
    fn shutdown_checkpoint_end(
        &self,
        timeline: u32,
        checkpoint_lsn: Lsn,
    ) -> impl Future<Output = PostgresResult<Option<Lsn>>> + Send;

    /// Content of `pg_wal/XXXXXXXX.history`; `None` when there is no such file (timeline 1 has none).
    fn read_history(&self, timeline: u32) -> impl Future<Output = PostgresResult<Option<String>>> + Send;

    /// `initdb` into a missing or empty directory. Refused when it is neither; after `Failed` it is `Incomplete`.
    fn initdb(&self, options: &InitdbOptions) -> impl Future<Output = PostgresResult<()>> + Send;

    /// Replaces the whole configuration, durably: `postgresql.conf`, `pg_hba.conf` and, exactly when
    /// [`ServerConfig::recovery`] is given, `standby.signal`. Takes effect by `start` or [`Self::reload`].
    fn write_config(&self, config: &ServerConfig) -> impl Future<Output = PostgresResult<()>> + Send;

    /// Refused when somebody else has the address that the server is to listen on; asked before anything is made or copied for
    /// it. A server of several addresses starts with the ones that it gets, and on the others the agent would talk to a
    /// stranger. A world where nobody else listens has nothing to look at.
    fn may_listen(&self, listen: &HostPort) -> impl Future<Output = PostgresResult<()>> + Send {
        let _ = listen;
        std::future::ready(Ok(()))
    }

    /// The value that a server started now would have for a setting by its configuration files (`postgres -C`), in the setting's
    /// own unit. `None`: this world cannot ask, or the setting has no value.
    fn configured(&self, name: &str) -> impl Future<Output = PostgresResult<Option<String>>> + Send {
        let _ = name;
        std::future::ready(Ok(None))
    }

    /// Starts the server and returns as soon as its process lives. Whether recovery succeeds and connections are accepted
    /// is seen later, by SQL. Refused when a server runs or the directory is not valid.
    fn start(&self) -> impl Future<Output = PostgresResult<()>> + Send;

    /// Stops the server and waits until it is gone. Ok when none runs. `Unknown` after `timeout`: the order was given and
    /// still holds; a stronger mode may follow.
    fn stop(&self, mode: StopMode, timeout: Duration) -> impl Future<Output = PostgresResult<()>> + Send;

    /// SIGKILL to the postmaster and all its children: the last resort when `Immediate` does not end it.
    fn kill(&self) -> impl Future<Output = PostgresResult<()>> + Send;

    /// `pg_ctl promote --no-wait`: gives the order. Refused when no standby runs. That it happened is seen by
    /// `pg_controldata` ("in production") and SQL.
    fn promote(&self) -> impl Future<Output = PostgresResult<()>> + Send;

    /// The `postgresql` section of the agent's configuration, or the cluster's below it, differs in something that counts at once:
    /// options of `pg_basebackup` and `pg_rewind`, where the programs are, `custom_conf`. A node that keeps none of it has nothing
    /// to do.
    fn reconfigure(&self, config: &PostgresqlConfig) {
        let _ = config;
    }

    /// SIGHUP. Refused when no server runs.
    fn reload(&self) -> impl Future<Output = PostgresResult<()>> + Send;

    /// `pg_basebackup --wal-method=stream` into a missing or empty directory. After `Failed` it is `Incomplete`.
    fn basebackup(&self, from: &Upstream) -> impl Future<Output = PostgresResult<()>> + Send;

    /// `pg_rewind --source-server`. Refused when a server runs or it was not shut down cleanly; `Failed` with a text that
    /// names the cause, and the directory must then be taken for unusable if `pg_controldata` says so.
    fn rewind(&self, from: &Upstream) -> impl Future<Output = PostgresResult<()>> + Send;

    /// `postgres --single` with archiving off: crash recovery up to a clean shutdown, which `rewind` needs. Takes
    /// `standby.signal` away before. Refused when a server runs.
    fn single_user_recovery(&self) -> impl Future<Output = PostgresResult<()>> + Send;

    /// Puts the state of logical slots into the data directory (`pg_replslot/<name>/state`), durably, each whole or not at all.
    /// Refused when a server runs.
    fn install_slots(&self, _states: &BTreeMap<String, Vec<u8>>) -> impl Future<Output = PostgresResult<()>> + Send {
        std::future::ready(Err(PostgresError::Refused("this world copies no logical slots".into())))
    }

    /// A command of the user's own is about to fill the data directory (`true`, and again now and then while it does), or has
    /// done so (`false`): should the agent die in between, what is there is [`DataDir::Incomplete`], however whole it looks, and
    /// not somebody else's. The directory is not made for it; what is missing above it is.
    fn mark_copy(&self, _runs: bool) -> impl Future<Output = PostgresResult<()>> + Send {
        std::future::ready(Ok(()))
    }

    /// Removes the data directory with everything in it. Refused when a server runs.
    fn remove_data_dir(&self) -> impl Future<Output = PostgresResult<()>> + Send;

    /// Renames the data directory to `<data_dir>.failed`, replacing an earlier one, so that a failed bootstrap can be
    /// looked into. Refused when a server runs.
    fn set_aside_data_dir(&self) -> impl Future<Output = PostgresResult<()>> + Send;
}
