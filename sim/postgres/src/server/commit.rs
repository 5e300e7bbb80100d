//! Writing WAL: commits, group commit, and waiting for standbys.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use tokio::sync::Notify;

use super::state::{Server, Stop, now_us};
use crate::{
    Lsn, PgError,
    disk::{
        record::{Body, Change},
        tables::Database,
    },
    replication::syncrep::WaitMode,
    timings::seconds,
};

/// How a commit ended for the client.
#[derive(Debug)]
pub(crate) enum Committed {
    /// To be acknowledged, perhaps after a warning.
    Acknowledge(Option<PgError>),
    /// The connection must be closed after this warning, without an acknowledgement.
    Close(PgError),
}

const LOCALLY_COMMITTED: &str =
    "The transaction has already committed locally, but might not have been replicated to the standby.";

impl Server {
    /// Ends the current WAL segment, as `pg_switch_wal` and the end of a base backup do. Where what was written ends.
    pub(crate) fn switch_segment(&self) -> Lsn {
        let state = self.state();
        let end = self.dir.with(|cluster| {
            let end = cluster.wal.end();
            // At a segment boundary there is nothing to switch.
            if end.0 % crate::lsn::SEGMENT_BYTES != 0 {
                let record = cluster.wal.append(state.tli, Body::Switch);
                cluster.wal.flush(record.end);
                return record.start + record.body.bytes();
            }
            end
        });
        self.wal_ready.notify_waiters();
        end
    }

    /// Commits `changes`: WAL is written, flushed as `synchronous_commit` asks, and the standbys are waited for.
    ///
    /// # Errors
    /// 53100 when the disk is full; nothing was changed then.
    pub async fn commit(
        &self,
        changes: Vec<Change>,
        synchronous_commit: &str,
        cancel: &Notify,
    ) -> Result<Committed, PgError> {
        let mode = WaitMode::from_setting(synchronous_commit);
        let end = self.insert_transaction(changes, mode.is_some())?;
        if synchronous_commit == "off" {
            // The WAL writer flushes later; it does so here at the next flush of anybody, at the latest at a checkpoint.
            return Ok(Committed::Acknowledge(None));
        }
        self.flush_wal(end).await;
        let ended = match mode {
            Some(mode) => self.wait_for_standbys(end, mode, cancel).await,
            None => Committed::Acknowledge(None),
        };
        self.state().invisible.remove(&end);
        Ok(ended)
    }

    fn insert_transaction(&self, changes: Vec<Change>, may_wait: bool) -> Result<Lsn, PgError> {
        let mut state = self.state();
        let mut disk = self.dir.lock();
        let full = disk.full;
        let wal = &mut disk.cluster.as_mut().expect("a running server has its data directory").wal;
        if full && changes.iter().any(|change| !matches!(change, Change::DropTable { .. })) {
            // PostgreSQL would first fill the free space of existing pages; the model's tables have none.
            disk.refused_for_space += 1;
            let message = "could not extend file \"base/5/16384\": No space left on device";
            return Err(PgError::error("53100", message).detail("Check free disk space."));
        }
        check_still_valid(&state.db, &changes)?;
        let body = Body::Transaction { changes, commit_us: now_us() };
        if full && wal.needs_segment_for(body.bytes()) {
            let message = "could not write to file \"pg_wal/xlogtemp\": No space left on device";
            let panic = PgError::panic("53100", message);
            // The receiver lives as long as the postmaster does.
            let _ = self.crash.send(panic.clone());
            return Err(panic);
        }
        let record = wal.append(state.tli, body);
        state.db.apply(&record);
        // Others see the transaction only when its wait is over (ProcArrayEndTransaction comes after SyncRepWaitForLSN).
        if may_wait && !state.settings.get("synchronous_standby_names").is_empty() {
            state.invisible.insert(record.end);
        }
        Ok(record.end)
    }

    /// Makes WAL up to `lsn` durable. Commits that arrive during an fsync share the next one.
    pub async fn flush_wal(&self, lsn: Lsn) {
        if self.dir.with(|cluster| cluster.wal.flushed()) >= lsn {
            return;
        }
        let _writing = self.wal_write_lock.lock().await;
        let (target, flushed) = self.dir.with(|cluster| (cluster.wal.end(), cluster.wal.flushed()));
        if flushed >= lsn {
            return;
        }
        self.fsync().await;
        self.dir.with(|cluster| cluster.wal.flush(target));
        self.wal_ready.notify_waiters();
    }

    /// One fsync of the disk as it behaves now.
    pub async fn fsync(&self) {
        let delay = seconds(self.timings.fsync_s) + self.dir.lock().fsync_delay;
        if delay > Duration::ZERO {
            tokio::time::sleep(delay).await;
        }
    }

    /// `SyncRepWaitForLSN`. `statement_timeout` does not end it: PostgreSQL disables that timer before it commits. A
    /// cancel request does, and then the commit *is* acknowledged, with a warning.
    async fn wait_for_standbys(&self, lsn: Lsn, mode: WaitMode, cancel: &Notify) -> Committed {
        let Some(released) = self.enqueue_waiter(lsn, mode) else {
            return Committed::Acknowledge(None);
        };
        let mut stop = self.stop.subscribe();
        tokio::select! {
            biased;
            // A dropped sender means that the whole server is going down around us.
            result = released => match result {
                Ok(()) => Committed::Acknowledge(None),
                Err(_) => Committed::Close(terminated()),
            },
            _ = stop.wait_for(|stop| *stop >= Stop::Backends) => Committed::Close(terminated()),
            () = cancel.notified() => {
                let message = "canceling wait for synchronous replication due to user request";
                Committed::Acknowledge(Some(PgError::warning("01000", message).detail(LOCALLY_COMMITTED)))
            }
        }
    }

    /// Appends a body to the WAL on the current timeline and flushes it.
    pub async fn write_wal(self: &Arc<Self>, body: Body) -> Arc<crate::disk::record::Record> {
        let record = {
            let mut state = self.state();
            let record = self.dir.with(|cluster| cluster.wal.append(state.tli, body));
            state.replayed = record.end;
            record
        };
        self.flush_wal(record.end).await;
        record
    }
}

/// A transaction block was checked statement by statement; others may have committed since. PostgreSQL would have locked
/// the table and waited for the other key; the model fails the commit instead.
fn check_still_valid(db: &Database, changes: &[Change]) -> Result<(), PgError> {
    let mut keys = BTreeSet::new();
    for change in changes {
        let Change::Insert { table: name, rows } = change else { continue };
        let Some(table) = db.tables.get(name) else {
            return Err(PgError::error("42P01", format!("relation \"{name}\" does not exist")));
        };
        let Some(key) = table.primary_key else { continue };
        if rows.iter().any(|row| table.keys.contains(&row[key]) || !keys.insert((name, &row[key]))) {
            let message = format!("duplicate key value violates unique constraint \"{name}_pkey\"");
            return Err(PgError::error("23505", message));
        }
    }
    Ok(())
}

fn terminated() -> PgError {
    let message = "canceling the wait for synchronous replication and terminating connection";
    PgError::warning("57P01", message).detail(LOCALLY_COMMITTED)
}
