//! What the processes of one running server share: PostgreSQL's shared memory. Lost when the process ends.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
    time::{SystemTime, UNIX_EPOCH},
};

use tokio::sync::{Notify, mpsc, watch};

use crate::{
    DataDir, Lsn, PgError, Timings,
    disk::{settings::Settings, tables::Database},
    replication::syncrep::Waiter,
};

/// Which connections the postmaster lets in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Crash recovery, or a standby that is not consistent yet.
    Starting,
    /// Everybody may come in.
    Open,
    /// Smart shutdown: nobody new, those inside may stay.
    Closing,
    /// Fast or immediate shutdown.
    ShuttingDown,
}

/// What the children are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stop {
    /// Carry on.
    No,
    /// Backends end with 57P01; walsenders carry on.
    Backends,
    /// Walsenders send what there is, wait for it to be confirmed, and end.
    WalSenders,
}

/// A connected walsender, as `pg_stat_replication` shows it.
#[derive(Clone, Debug)]
pub(crate) struct WalSender {
    pub user: String,
    pub application_name: String,
    pub client: SocketAddr,
    pub started_us: i64,
    /// `startup`, `catchup`, `streaming`, `backup`.
    pub state: &'static str,
    pub sent: Lsn,
    pub write: Lsn,
    pub flush: Lsn,
    pub apply: Lsn,
    pub reply_us: Option<i64>,
    /// The slot it uses.
    pub slot: Option<String>,
}

/// The walreceiver, as `pg_stat_wal_receiver` shows it.
#[derive(Clone, Debug, Default)]
pub(crate) struct WalReceiver {
    pub pid: i32,
    /// `starting`, `streaming`.
    pub status: &'static str,
    pub start_lsn: Lsn,
    pub start_tli: u32,
    /// The end of the sender's WAL as its latest message told it.
    pub latest_end: Lsn,
    pub host: String,
    pub port: u16,
    pub conninfo: String,
    pub slot: String,
}

/// A client's backend.
#[derive(Clone, Debug)]
pub(crate) struct Backend {
    pub user: String,
    pub database: String,
    pub application_name: String,
    pub secret: i32,
    pub started_us: i64,
    /// `active` or `idle`.
    pub state: &'static str,
    /// Raised by a cancel request.
    pub cancel: Arc<Notify>,
}

/// Shared memory.
#[derive(Debug)]
pub(crate) struct State {
    pub stage: Stage,
    pub in_recovery: bool,
    pub tli: u32,
    pub db: Database,
    pub settings: Settings,
    pub replayed: Lsn,
    /// What the walreceiver has flushed since the start.
    pub received: Option<Lsn>,
    pub last_xact_us: Option<i64>,
    pub replay_paused: bool,
    pub promote_requested: bool,
    pub walsenders: BTreeMap<i32, WalSender>,
    pub walreceiver: Option<WalReceiver>,
    pub backends: BTreeMap<i32, Backend>,
    /// Commits that wait for a standby.
    pub waiters: Vec<Waiter>,
    /// Ends of transactions that are committed but not visible yet because they wait for a standby.
    pub invisible: BTreeSet<Lsn>,
    /// Which process uses a slot.
    pub active_slots: BTreeMap<String, i32>,
    pub next_pid: i32,
    pub started_us: i64,
    pub reloaded_us: i64,
}

/// One running server.
#[derive(Debug)]
pub(crate) struct Server {
    pub dir: DataDir,
    pub timings: Timings,
    state: Mutex<State>,
    /// More WAL may be sent: flushed on a primary, flushed or replayed on a standby; or a timeline ended.
    pub wal_ready: Notify,
    /// The startup process has something to look at.
    pub recovery_wake: Notify,
    /// The walreceiver should report what was applied.
    pub applied: Notify,
    /// A backend or walsender has ended.
    pub child_gone: Notify,
    /// What the children are told.
    pub stop: watch::Sender<Stop>,
    /// Raised by whoever must take the whole server down.
    pub crash: mpsc::UnboundedSender<PgError>,
    /// Group commit: whoever holds it is fsyncing WAL.
    pub wal_write_lock: tokio::sync::Mutex<()>,
    /// One checkpoint at a time.
    pub checkpoint_lock: tokio::sync::Mutex<()>,
}

impl Server {
    pub fn new(dir: DataDir, timings: Timings, crash: mpsc::UnboundedSender<PgError>, first_pid: i32) -> Self {
        let (settings, tli, replayed, db) = dir.with(|cluster| {
            let control = &cluster.control;
            let (tli, redo) = (control.checkpoint.tli, control.checkpoint.redo);
            (Settings::load(control.version, &cluster.configuration), tli, redo, cluster.image.clone())
        });
        let now = now_us();
        let state = State {
            stage: Stage::Starting,
            in_recovery: true,
            tli,
            db,
            settings,
            replayed,
            received: None,
            last_xact_us: None,
            replay_paused: false,
            promote_requested: false,
            walsenders: BTreeMap::new(),
            walreceiver: None,
            backends: BTreeMap::new(),
            waiters: Vec::new(),
            invisible: BTreeSet::new(),
            active_slots: BTreeMap::new(),
            next_pid: first_pid,
            started_us: now,
            reloaded_us: now,
        };
        Self {
            dir,
            timings,
            state: Mutex::new(state),
            wal_ready: Notify::new(),
            recovery_wake: Notify::new(),
            applied: Notify::new(),
            child_gone: Notify::new(),
            stop: watch::Sender::new(Stop::No),
            crash,
            wal_write_lock: tokio::sync::Mutex::new(()),
            checkpoint_lock: tokio::sync::Mutex::new(()),
        }
    }

    /// Locks shared memory. May be held while the disk is locked, never the other way round.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it holds shared memory")
    }

    /// Writes a line to the server log.
    pub fn log(&self, line: impl std::fmt::Display) {
        self.dir.log(format!("LOG:  {line}"));
    }

    /// A process id that was not used since the data directory exists.
    pub fn fork(&self) -> i32 {
        let mut state = self.state();
        state.next_pid += 1;
        state.next_pid
    }

    /// How far WAL may be sent to standbys.
    pub fn sendable(&self) -> (u32, Lsn) {
        let state = self.state();
        let flushed = self.dir.with(|cluster| cluster.wal.flushed());
        (state.tli, flushed)
    }
}

/// Microseconds since the Unix epoch by this host's wall clock.
pub(crate) fn now_us() -> i64 {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(elapsed) => i64::try_from(elapsed.as_micros()).unwrap_or(i64::MAX),
        Err(before) => -i64::try_from(before.duration().as_micros()).unwrap_or(i64::MAX),
    }
}
