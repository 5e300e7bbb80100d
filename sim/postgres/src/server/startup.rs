//! The startup process: crash recovery, standby recovery, and the end of recovery (`xlogrecovery.c`).

use std::sync::Arc;

use pgdrill_net::Net;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until},
};

use super::{
    replay::{Replayed, Replayer},
    state::{Server, Stage},
};
use crate::{
    PgError,
    disk::{control::ClusterState, history::Timeline},
    replication::walreceiver::{self, Ended, Request},
};

/// The startup process of one start.
pub(crate) struct Startup<N: Net> {
    pub(super) server: Arc<Server>,
    net: N,
    replayer: Replayer,
    /// The timeline recovery follows, with its ancestors (`expectedTLEs`).
    pub(super) expected: Timeline,
    receiver: JoinSet<Ended>,
    /// When the walreceiver may be started again.
    next_attempt: Instant,
    /// `primary_conninfo` and slot of the running walreceiver.
    connected_as: (String, String),
}

/// Runs recovery. Returns when the server is out of it; on a standby, after a promotion.
///
/// # Errors
/// FATAL errors that end the whole server.
pub(crate) async fn run<N: Net>(server: Arc<Server>, net: N) -> Result<(), PgError> {
    let (standby, state, tli) =
        server.dir.with(|cluster| (cluster.standby_signal, cluster.control.state, cluster.control.own_tli()));
    let clean = matches!(state, ClusterState::ShutDown | ClusterState::ShutDownInRecovery);
    // A data directory that was a standby, a backup or is clean goes to archive recovery at once. A crashed primary first
    // replays its own WAL to the end, even where another timeline has forked off before.
    let archive = standby && (clean || state == ClusterState::InArchiveRecovery);
    let expected = server.dir.with(|cluster| cluster.timeline(tli));
    let mut startup = Startup {
        replayer: Replayer::new(Arc::clone(&server)),
        server,
        net,
        expected,
        receiver: JoinSet::new(),
        next_attempt: Instant::now(),
        connected_as: Default::default(),
    };
    if archive {
        startup.choose_timeline()?;
        startup.standby().await?;
        return startup.end_of_standby().await;
    }
    startup.crash_recovery(clean).await;
    if standby {
        startup.choose_timeline()?;
        startup.remember_crash_recovery();
        startup.standby().await?;
        return startup.end_of_standby().await;
    }
    if !clean {
        startup.server.shutdown_checkpoint().await;
    }
    startup.finish(ClusterState::InProduction);
    Ok(())
}

impl<N: Net> Startup<N> {
    fn set_control_state(&self, value: ClusterState) {
        self.server.dir.with(|cluster| cluster.control.state = value);
    }

    /// Replays the local WAL to its end, on its own timeline.
    async fn crash_recovery(&mut self, clean: bool) {
        if !clean {
            self.server.log("database system was not properly shut down; automatic recovery in progress");
            self.set_control_state(ClusterState::InCrashRecovery);
        }
        while !matches!(self.replayer.replay(true).await, Replayed::Everything) {}
        self.server.dir.with(|cluster| {
            let end = cluster.wal.end();
            cluster.wal.flush(end);
        });
    }

    /// A crashed primary that becomes a standby is consistent no sooner than where its own WAL ends
    /// (`SwitchIntoArchiveRecovery`). `pg_rewind` takes that for the end of the WAL.
    fn remember_crash_recovery(&self) {
        let (replayed, tli) = {
            let state = self.server.state();
            (state.replayed, state.tli)
        };
        self.server.dir.with(|cluster| {
            let control = &mut cluster.control;
            if replayed > control.min_recovery_point {
                (control.min_recovery_point, control.min_recovery_tli) = (replayed, tli);
            }
        });
    }

    /// Standby mode until the promotion.
    async fn standby(&mut self) -> Result<(), PgError> {
        self.server.log("entering standby mode");
        self.set_control_state(ClusterState::InArchiveRecovery);
        loop {
            self.watch_conninfo().await;
            let server = Arc::clone(&self.server);
            let replayed = self.replayer.replay(false).await;
            self.server.applied.notify_one();
            self.open_when_consistent();
            let promote = self.server.state().promote_requested;
            if promote && replayed == Replayed::Everything {
                return Ok(());
            }
            self.start_receiver(replayed == Replayed::Everything && !promote);
            let retry = self.receiver.is_empty() && !self.server.state().settings.primary_conninfo.is_empty();
            let delayed = match replayed {
                Replayed::DelayedUntil(until) => Some(until),
                _ => None,
            };
            tokio::select! {
                biased;
                () = server.recovery_wake.notified() => {}
                Some(ended) = self.receiver.join_next() => self.receiver_ended(ended),
                () = sleep_until(self.next_attempt), if retry && replayed == Replayed::Everything => {}
                () = sleep_until(delayed.unwrap_or_else(Instant::now)), if delayed.is_some() => {}
            }
        }
    }

    /// Restarts the walreceiver when a reload has changed where it should connect, and ends it for a promotion.
    async fn watch_conninfo(&mut self) {
        if self.receiver.is_empty() {
            return;
        }
        let (wanted, promote) = {
            let state = self.server.state();
            let settings = &state.settings;
            let wanted = (settings.get("primary_conninfo").to_owned(), settings.get("primary_slot_name").to_owned());
            (wanted, state.promote_requested)
        };
        if promote || wanted != self.connected_as {
            self.receiver.shutdown().await;
            self.server.state().walreceiver = None;
            self.next_attempt = Instant::now();
            // It may have been in the middle of an fsync: what is written will be replayed, so it must be durable.
            let end = self.server.dir.with(|cluster| cluster.wal.end());
            self.server.flush_wal(end).await;
        }
    }

    fn start_receiver(&mut self, wanted: bool) {
        if !wanted || !self.receiver.is_empty() || Instant::now() < self.next_attempt {
            return;
        }
        let pid = self.server.fork();
        let mut state = self.server.state();
        if state.settings.primary_conninfo.is_empty() {
            return;
        }
        let start = self.server.dir.with(|cluster| cluster.wal.end());
        let tli = self.expected.tli_at(start);
        let settings = &state.settings;
        let slot = settings.get("primary_slot_name").to_owned();
        let conninfo = settings.primary_conninfo.clone();
        self.connected_as = (settings.get("primary_conninfo").to_owned(), slot.clone());
        self.next_attempt = Instant::now() + settings.wal_retrieve_retry_interval;
        let value = |name: &str| conninfo.get(name).cloned().unwrap_or_default();
        state.walreceiver = Some(crate::server::state::WalReceiver {
            pid,
            status: "starting",
            start_lsn: start,
            start_tli: tli,
            latest_end: start,
            host: value("host"),
            port: value("port").parse().unwrap_or(5432),
            conninfo: self.connected_as.0.clone(),
            slot: slot.clone(),
        });
        let request = Request { conninfo, slot, start, tli };
        self.receiver.spawn(walreceiver::run(Arc::clone(&self.server), self.net.clone(), request));
    }

    fn receiver_ended(&mut self, ended: Result<Ended, tokio::task::JoinError>) {
        self.server.state().walreceiver = None;
        let ended = ended.expect("a walreceiver neither panics nor is aborted while it is listened to");
        if let Ended::Failed(message) = &ended {
            self.server.log(format_args!("walreceiver: {message}"));
        }
        if self.rescan_latest_timeline() {
            // The stream ended where the new timeline begins: go on there at once.
            self.next_attempt = Instant::now();
        }
    }

    /// Lets clients in once everything up to the minimum recovery point was replayed.
    fn open_when_consistent(&self) {
        let mut state = self.server.state();
        if state.stage != Stage::Starting || !state.settings.is_on("hot_standby") {
            return;
        }
        let replayed = state.replayed;
        let consistent = self.server.dir.with(|cluster| {
            let control = &mut cluster.control;
            let reached =
                replayed >= control.min_recovery_point && control.backup_end.is_none_or(|end| replayed >= end);
            if reached {
                control.backup_end = None;
            }
            reached
        });
        if consistent {
            state.stage = Stage::Open;
            drop(state);
            self.server.dir.log(format!("LOG:  consistent recovery state reached at {replayed}"));
            self.server.dir.set_pid_status("standby");
        }
    }

    /// Ends recovery on a new timeline (`StartupXLOG` after a promotion).
    async fn end_of_standby(&mut self) -> Result<(), PgError> {
        let server = Arc::clone(&self.server);
        server.log("received promote request");
        tokio::time::sleep(crate::timings::seconds(server.timings.promote_s)).await;
        let previous_tli = server.state().tli;
        let tli = server.dir.with(|cluster| cluster.newest_timeline(previous_tli)) + 1;
        if server.dir.lock().full {
            let message =
                format!("could not create file \"pg_wal/xlogtemp\" for timeline {tli}: No space left on device");
            return Err(PgError::fatal("53100", message));
        }
        server.log(format_args!("selected new timeline ID: {tli}"));
        server.dir.with(|cluster| {
            let switch = cluster.wal.end();
            let timeline = cluster.timeline(previous_tli).fork(tli, switch);
            cluster.histories.insert(tli, timeline);
            cluster.standby_signal = false;
        });
        server.state().tli = tli;
        let record = server.write_wal(crate::disk::record::Body::EndOfRecovery { previous_tli }).await;
        server.dir.with(|cluster| {
            cluster.control.min_recovery_point = record.end;
            cluster.control.min_recovery_tli = tli;
        });
        self.finish(ClusterState::InProduction);
        // Walsenders of the old timeline must notice that it has ended.
        server.wal_ready.notify_waiters();
        Ok(())
    }

    fn finish(&self, control_state: ClusterState) {
        let mut state = self.server.state();
        self.server.dir.with(|cluster| {
            let control = &mut cluster.control;
            control.state = control_state;
            control.backup_end = None;
            let settings = &state.settings;
            control.wal_log_hints = settings.is_on("wal_log_hints");
            control.max_connections = settings.number("max_connections", 100);
            control.max_worker_processes = settings.number("max_worker_processes", 8);
            control.max_wal_senders = settings.number("max_wal_senders", 10);
            control.max_prepared_transactions = settings.number("max_prepared_transactions", 0);
            control.max_locks_per_transaction = settings.number("max_locks_per_transaction", 64);
        });
        state.in_recovery = false;
        state.promote_requested = false;
        state.replay_paused = false;
        if state.stage == Stage::Starting {
            state.stage = Stage::Open;
        }
        drop(state);
        self.server.dir.set_pid_status("ready");
        self.server.dir.log("LOG:  database system is ready to accept connections".to_owned());
    }
}
