//! A cheap look at a server from outside, without a connection: for selectors such as "the primary", never for judging.

use super::state::Stage;
use crate::{DataDir, Lsn};

/// What a server is at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inspection {
    /// A process has the data directory open.
    pub running: bool,
    /// It accepts connections.
    pub accepting: bool,
    /// It runs and is out of recovery.
    pub is_primary: bool,
    /// Timeline of the running server, or of the checkpoint in `pg_control`.
    pub tli: u32,
    /// End of the WAL that is written.
    pub written: Lsn,
    /// End of the WAL that is durable.
    pub flushed: Lsn,
    /// A running standby's replay position.
    pub replayed: Option<Lsn>,
    /// How many standbys stream from it.
    pub walsenders: usize,
    /// It streams from another server.
    pub streaming: bool,
}

impl DataDir {
    /// Looks at the server in this directory; `None` when the directory is not initialised.
    #[must_use]
    pub fn inspect(&self) -> Option<Inspection> {
        let server = self.lock().server.upgrade();
        let running = self.lock().running;
        let mut inspection = {
            let disk = self.lock();
            let cluster = disk.cluster.as_ref()?;
            let (written, flushed) = (cluster.wal.end(), cluster.wal.flushed());
            Inspection { running, tli: cluster.control.own_tli(), written, flushed, ..Inspection::default() }
        };
        if let Some(server) = server.filter(|_| running) {
            let state = server.state();
            inspection.accepting = matches!(state.stage, Stage::Open);
            inspection.is_primary = !state.in_recovery;
            inspection.tli = state.tli;
            inspection.replayed = state.in_recovery.then_some(state.replayed);
            inspection.walsenders = state.walsenders.values().filter(|sender| sender.state == "streaming").count();
            inspection.streaming = state.walreceiver.as_ref().is_some_and(|receiver| receiver.status == "streaming");
        }
        Some(inspection)
    }

    /// The last lines of the server log, oldest first.
    #[must_use]
    pub fn server_log(&self) -> Vec<String> {
        self.lock().log.iter().cloned().collect()
    }
}
