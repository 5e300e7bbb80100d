//! Smart and fast shutdown (`PostmasterStateMachine`, `ShutdownXLOG`).

use std::sync::Arc;

use tokio::task::JoinSet;

use super::state::{Server, Stage, Stop};
use crate::{PgError, disk::control::ClusterState};

/// How to treat the clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Wait until they leave.
    Smart,
    /// Send them away.
    Fast,
}

/// Shuts the server down in order. Afterwards `pg_control` says so.
pub(crate) async fn shut_down(server: Arc<Server>, mode: Mode, mut recovery: JoinSet<Result<(), PgError>>) {
    if mode == Mode::Smart {
        server.log("received smart shutdown request");
        server.state().stage = Stage::Closing;
        server.wait_until(|state| state.backends.is_empty()).await;
    } else {
        server.log("received fast shutdown request");
    }
    server.state().stage = Stage::ShuttingDown;
    server.stop.send_replace(Stop::Backends);
    server.wait_until(|state| state.backends.is_empty()).await;
    recovery.shutdown().await;
    server.state().walreceiver = None;
    let in_recovery = server.state().in_recovery;
    if in_recovery {
        let end = server.dir.with(|cluster| cluster.wal.end());
        server.flush_wal(end).await;
        let (replayed, tli) = {
            let state = server.state();
            (state.replayed, state.tli)
        };
        server.dir.with(|cluster| {
            let control = &mut cluster.control;
            // Interrupted crash recovery is done again by the next start.
            if control.state != ClusterState::InArchiveRecovery {
                return;
            }
            control.state = ClusterState::ShutDownInRecovery;
            // The shutdown restartpoint remembers how far replay has come (`CreateRestartPoint`, `UpdateMinRecoveryPoint`):
            // `pg_rewind` takes that for the end of the WAL.
            if replayed > control.min_recovery_point {
                (control.min_recovery_point, control.min_recovery_tli) = (replayed, tli);
            }
        });
    } else {
        server.dir.with(|cluster| cluster.control.state = ClusterState::ShuttingDown);
        server.log("shutting down");
        server.shutdown_checkpoint().await;
        server.dir.with(|cluster| cluster.control.state = ClusterState::ShutDown);
    }
    // The standbys get everything including the shutdown checkpoint; each walsender waits at most wal_sender_timeout.
    server.stop.send_replace(Stop::WalSenders);
    server.wal_ready.notify_waiters();
    server.wait_until(|state| state.walsenders.is_empty()).await;
    server.log("database system is shut down");
}

impl Server {
    /// Waits until shared memory looks as wanted; looked at whenever a child ends.
    async fn wait_until(&self, reached: impl Fn(&super::state::State) -> bool) {
        loop {
            let gone = self.child_gone.notified();
            if reached(&self.state()) {
                return;
            }
            gone.await;
        }
    }
}
