//! Replay of WAL: applying records in order, at a calibrated rate, with pauses and delays.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{
    checkpointer::checkpoint_of,
    state::{Server, Stage, State, now_us},
};
use crate::{
    disk::record::{Body, Record},
    timings::transfer,
};

/// How long replay may run ahead of its calibrated duration before it sleeps.
const REPLAY_SLICE: Duration = Duration::from_millis(10);

/// Why replay stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Replayed {
    /// There is no more WAL here.
    Everything,
    /// `pg_wal_replay_pause()`.
    Paused,
    /// `recovery_min_apply_delay` holds the next commit back until then.
    DelayedUntil(Instant),
    /// Some WAL; look around and call again.
    Some,
}

/// Applies records and keeps account of the time that takes.
pub(crate) struct Replayer {
    server: Arc<Server>,
    /// Replay time not slept yet.
    debt: Duration,
}

/// Records replayed before other processes get a turn.
const BATCH_RECORDS: usize = 512;

impl Replayer {
    pub fn new(server: Arc<Server>) -> Self {
        Self { server, debt: Duration::ZERO }
    }

    /// Replays what is there, in batches. `crash_recovery` knows neither pause nor delay.
    pub async fn replay(&mut self, crash_recovery: bool) -> Replayed {
        let outcome = self.batch(crash_recovery);
        if self.server.state().walsenders.is_empty() {
            // Nobody cascades from here.
        } else {
            self.server.wal_ready.notify_waiters();
        }
        if self.debt >= REPLAY_SLICE {
            tokio::time::sleep(std::mem::take(&mut self.debt)).await;
        }
        // A batch that was cut short has more to do.
        if outcome == Replayed::Some { Box::pin(self.replay(crash_recovery)).await } else { outcome }
    }

    fn batch(&mut self, crash_recovery: bool) -> Replayed {
        let server = Arc::clone(&self.server);
        let mut state = server.state();
        for _ in 0..BATCH_RECORDS {
            if state.replay_paused && !state.promote_requested && !crash_recovery {
                return Replayed::Paused;
            }
            let next = server.dir.with(|cluster| {
                // Only durable WAL is replayed on a standby: the walreceiver flushes before it reports.
                let limit = if crash_recovery { cluster.wal.end() } else { cluster.wal.flushed() };
                cluster.wal.next_after(state.replayed).filter(|record| record.end <= limit).cloned()
            });
            let Some(record) = next else { return Replayed::Everything };
            if !crash_recovery && let Some(until) = apply_at(&state, &record) {
                return Replayed::DelayedUntil(until);
            }
            self.apply(&mut state, &record);
            if self.debt >= REPLAY_SLICE {
                return Replayed::Some;
            }
        }
        Replayed::Some
    }

    fn apply(&mut self, state: &mut State, record: &Record) {
        state.db.apply(record);
        state.replayed = record.end;
        state.tli = record.tli;
        // A segment switch is mostly empty space: nothing to replay.
        let bytes = if record.body == Body::Switch { 0 } else { record.end.since(record.start) };
        self.debt += transfer(bytes, self.server.timings.replay_bytes_per_s);
        match &record.body {
            Body::Transaction { commit_us, .. } => state.last_xact_us = Some(*commit_us),
            Body::CheckpointShutdown => self.restartpoint(state, record, record.start),
            Body::CheckpointOnline { redo } => self.restartpoint(state, record, *redo),
            Body::EndOfRecovery { .. } | Body::Switch => {}
        }
    }

    /// A checkpoint record was replayed: a standby could restart from there.
    ///
    /// PostgreSQL lets up to `checkpoint_timeout` pass between restartpoints; the model makes one for each checkpoint.
    fn restartpoint(&self, state: &State, record: &Record, redo: crate::Lsn) {
        let known = self.server.dir.with(|cluster| cluster.control.checkpoint.location);
        if record.start <= known || state.stage == Stage::Starting {
            return;
        }
        self.server.dir.with(|cluster| {
            let previous_tli = cluster.control.checkpoint.tli;
            cluster.checkpointed(checkpoint_of(record, redo, previous_tli), &state.settings);
            let control = &mut cluster.control;
            control.min_recovery_point = control.min_recovery_point.max(record.end);
            control.min_recovery_tli = record.tli;
        });
    }
}

/// When `recovery_min_apply_delay` allows `record` to be replayed; `None`: now.
fn apply_at(state: &State, record: &Record) -> Option<Instant> {
    let delay = state.settings.recovery_min_apply_delay;
    let Body::Transaction { commit_us, .. } = &record.body else { return None };
    if delay.is_zero() || state.promote_requested || state.stage == Stage::Starting {
        return None;
    }
    let due_us = commit_us + i64::try_from(delay.as_micros()).unwrap_or(i64::MAX);
    let wait = u64::try_from(due_us - now_us()).ok().filter(|wait| *wait > 0)?;
    Some(Instant::now() + Duration::from_micros(wait))
}
