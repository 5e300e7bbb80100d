//! Taking notice of outcomes: what the rounds and the background tasks brought becomes memory.

use super::Cycle;
use crate::config::Config;
use crate::memory::{FailsafeMemory, LedCluster, Memory, RewindState, StreamingMemory};
use crate::view::{FailsafeAnswer, LeaderInspection, LocalView, LockOutcome, TaskKind, TaskProgress, WriteOutcome};
use crate::{Lsn, Monotonic};

/// Applies everything that is true whatever the DCS says now. Idempotent: rounds repeat their predecessors' outcomes.
pub(super) fn outcomes(local: &LocalView, config: &Config, memory: &mut Memory, now: Monotonic) {
    lock(local, memory);
    failsafe(local, config, memory);
    task(local, memory, now);
    streaming(local, memory, now);
    if local.postgres.is_running() {
        memory.ever_started = true;
        memory.crash_recovery_tried = false;
        memory.was_primary = local.postgres.is_running_primary();
        memory.start_began = None;
        // Who streams has the leader's history: the next reason to look is a new one.
        let settled = matches!(memory.rewind.state, RewindState::Success | RewindState::NotNeed);
        if settled && local.postgres.is_streaming {
            memory.rewind.state = RewindState::Initial;
        }
    }
}

fn lock(local: &LocalView, memory: &mut Memory) {
    match &local.round.lock {
        Some(LockOutcome::Held { requested_at, ttl, status_revision }) => {
            // Counted from before the request: the lease cannot have begun earlier than that, only later.
            memory.lock_deadline = Some(*requested_at + *ttl);
            memory.failsafe.agreed_until = None;
            if status_revision.is_some() {
                memory.own_status_revision = *status_revision;
            }
        }
        Some(LockOutcome::Lost) => memory.lock_deadline = None,
        // Perhaps our own write went through: then `status` has a revision that we do not know.
        Some(LockOutcome::Unknown { .. }) => memory.own_status_revision = None,
        None => {}
    }
    if let Some(WriteOutcome::Written { mod_revision }) = &local.round.sync {
        // A read that does not show our own write is stale (Patroni issue 2972).
        memory.newest.revision = memory.newest.revision.max(*mod_revision);
        memory.sync.written = Some(*mod_revision);
    }
    if local.round.released {
        memory.lock_deadline = None;
        memory.own_status_revision = None;
    }
}

/// A replica that runs either streams or does not: what it is configured to do is no sign of it (Patroni issue 3717 reported
/// "following" for hours).
fn streaming(local: &LocalView, memory: &mut Memory, now: Monotonic) {
    let postgres = &local.postgres;
    let waits = postgres.is_running() && !postgres.is_running_primary() && !postgres.is_streaming;
    if !waits {
        memory.streaming = StreamingMemory::default();
        return;
    }
    memory.streaming.missing_since.get_or_insert(now);
    match &local.round.leader {
        Some(LeaderInspection::Unreachable { reason }) => memory.streaming.trouble = Some(reason.clone()),
        Some(LeaderInspection::Answered { in_recovery, .. }) => {
            memory.streaming.trouble = None;
            memory.streaming.compared = !in_recovery;
        }
        None => {}
    }
}

fn failsafe(local: &LocalView, config: &Config, memory: &mut Memory) {
    if let Some(answers) = &local.round.failsafe
        && answers.values().all(|answer| matches!(answer, FailsafeAnswer::Accepted { .. }))
    {
        memory.failsafe.agreed_until = Some(local.round.failsafe_asked_at + config.ttl);
    }
    if let Some(ping) = &local.failsafe_ping {
        memory.failsafe.promised = Some((ping.leader.clone(), ping.received + config.ttl));
    }
}

fn task(local: &LocalView, memory: &mut Memory, now: Monotonic) {
    let Some(task) = local.task.as_ref().filter(|task| !task.is_running() && task.id > memory.task_seen) else {
        return;
    };
    memory.task_seen = task.id;
    let done = task.progress == TaskProgress::Done;
    match task.kind {
        TaskKind::Promote if done => {
            memory.sync.promoted_at = Some(now);
            memory.checkpoint_pending = true;
            memory.demoted = false;
            memory.rewind = Default::default();
        }
        TaskKind::Checkpoint => memory.checkpoint_pending = !done,
        TaskKind::Rewind => {
            memory.rewind.state = if done { RewindState::Success } else { RewindState::Failed };
        }
        TaskKind::Clone if done => {
            // Another directory than the one that was started before: it has no history of its own to compare.
            memory.rewind = Default::default();
            memory.ever_started = false;
            memory.was_primary = false;
        }
        _ => {}
    }
}

impl Cycle<'_> {
    /// Applies what the DCS said.
    pub(super) fn remember(&mut self) {
        if self.memory.was_paused && !self.config.paused {
            // Whatever an operator did meanwhile, the directory's history is to be looked at again.
            self.memory.rewind = Default::default();
        }
        self.memory.was_paused = self.config.paused;
        for name in self.cluster.members.keys() {
            self.memory.members_seen.insert(name.clone(), self.now);
        }
        let ttl = self.config.member_slots_ttl;
        let now = self.now;
        self.memory.members_seen.retain(|_, seen| now.since(*seen) <= ttl);
        if !self.config.failsafe_mode {
            self.memory.failsafe = FailsafeMemory::default();
        } else if let Some(record) = &self.cluster.failsafe {
            self.memory.failsafe.record = record.clone();
        }
        self.remember_leader();
        self.remember_setting();
    }

    fn remember_leader(&mut self) {
        let Some(leader) = self.cluster.leader_name().map(str::to_owned) else { return };
        if leader != self.local.name && !self.holds_lock() {
            // Somebody else is in office: whatever we were told before is over.
            self.memory.lock_deadline = None;
            self.memory.failsafe.agreed_until = None;
            self.memory.own_status_revision = None;
            self.memory.demoted = false;
        }
        self.memory.last_led = Some(LedCluster {
            leader,
            members: self.cluster.members.clone(),
            status: self.cluster.status.value.clone(),
        });
    }

    /// Notes our position when a new `synchronous_standby_names` is first seen in force.
    fn remember_setting(&mut self) {
        let postgres = &self.local.postgres;
        let setting = &postgres.synchronous_standby_names;
        if !postgres.is_running_primary() {
            self.memory.sync.in_force = None;
        } else if self.memory.sync.in_force.as_ref().is_none_or(|(known, _)| known != setting) {
            // An unknown position is one that nobody has confirmed.
            let position = postgres.current_lsn.unwrap_or(Lsn(u64::MAX));
            self.memory.sync.in_force = Some((setting.clone(), position));
        }
    }
}
