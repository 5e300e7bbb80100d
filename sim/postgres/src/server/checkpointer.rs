//! Checkpoints and restartpoints.

use std::sync::Arc;

use super::state::{Server, now_us};
use crate::{
    Lsn,
    disk::{
        control::Checkpoint,
        record::{Body, Record},
    },
    timings::seconds,
};

impl Server {
    /// Makes a checkpoint (a restartpoint on a standby). Without `force` only when WAL was written since the last one.
    pub async fn checkpoint(self: &Arc<Self>, force: bool) {
        let _one_at_a_time = self.checkpoint_lock.lock().await;
        let (in_recovery, tli) = {
            let state = self.state();
            (state.in_recovery, state.tli)
        };
        let (redo, last_end) = self.dir.with(|cluster| (cluster.wal.end(), cluster.control.checkpoint.end));
        if redo == last_end && !force {
            return;
        }
        tokio::time::sleep(seconds(self.timings.checkpoint_s)).await;
        if in_recovery {
            // Restartpoints are made as checkpoint records are replayed: there is no newer one.
            return;
        }
        let record = self.write_wal(Body::CheckpointOnline { redo }).await;
        self.fsync().await;
        self.record_checkpoint(&record, redo, tli);
    }

    /// The checkpoint at the end of a primary's fast shutdown, or at the end of its crash recovery.
    pub async fn shutdown_checkpoint(self: &Arc<Self>) {
        let _one_at_a_time = self.checkpoint_lock.lock().await;
        tokio::time::sleep(seconds(self.timings.checkpoint_s)).await;
        let record = self.write_wal(Body::CheckpointShutdown).await;
        self.fsync().await;
        self.record_checkpoint(&record, record.start, record.tli);
    }

    fn record_checkpoint(&self, record: &Record, redo: Lsn, tli: u32) {
        let state = self.state();
        self.dir.with(|cluster| {
            let previous_tli = tli;
            let checkpoint = checkpoint_of(record, redo, previous_tli);
            cluster.checkpointed(checkpoint, &state.settings);
        });
    }

    /// Checkpoints every `checkpoint_timeout`.
    pub async fn run_checkpointer(self: Arc<Self>) {
        loop {
            tokio::time::sleep(seconds(self.timings.checkpoint_timeout_s)).await;
            if !self.state().in_recovery {
                self.checkpoint(false).await;
            }
        }
    }
}

/// What `pg_control` remembers of a checkpoint record.
pub(crate) fn checkpoint_of(record: &Record, redo: Lsn, previous_tli: u32) -> Checkpoint {
    let time_s = now_us() / 1_000_000;
    Checkpoint { location: record.start, end: record.end, redo, tli: record.tli, previous_tli, time_s }
}
