//! One cycle's order of questions (`Ha._run_cycle` in Patroni), one file per area.

mod bootstrap;
mod busy;
mod demote;
mod failsafe;
mod follow;
mod healthy;
mod manual;
mod notice;
mod pause;
mod promote;
mod race;
mod recover;
mod rewind;
mod slots;
pub mod sync;

pub use failsafe::{FailsafeVerdict, answer_failsafe};
pub use rewind::{LocalHistory, diverged};
pub use slots::{enforces_feedback, slot_name_from_member_name};

use std::borrow::Cow;
use std::time::Duration;

use crate::Monotonic;
use crate::config::Config;
use crate::decision::{Action, Decision, Reason, Then};
use crate::memory::{Freshness, Memory};
use crate::view::{Cluster, ClusterView, LocalView, LockOutcome, Process};

/// Decides what to do next. See the [crate's documentation](crate) for the protocol.
///
/// `now` must not go backwards between calls, and `memory` must be the one earlier calls have written.
pub fn decide(view: &ClusterView, local: &LocalView, config: &Config, memory: &mut Memory, now: Monotonic) -> Decision {
    notice::outcomes(local, config, memory, now);
    let cluster = match view {
        ClusterView::Unreachable { reason } => return failsafe::without_dcs(local, config, memory, now, reason),
        ClusterView::Known(cluster) => cluster,
    };
    let freshness =
        Freshness { cluster_id: cluster.cluster_id, raft_term: cluster.raft_term, revision: cluster.revision };
    if freshness.is_older_than(&memory.newest) {
        return stale(cluster.revision, local, config, memory, now);
    }
    if freshness.cluster_id != memory.newest.cluster_id {
        // etcd was set up anew: a revision of its predecessor says nothing about who wrote `status` there.
        memory.own_status_revision = None;
    }
    memory.newest = freshness;
    let cluster = failsafe::with_promised_leader(cluster, local, config, memory, now);
    let cluster = failsafe::with_told_positions(cluster, local, config, now);
    let decision = Cycle { cluster, local, config, memory: &mut *memory, now }.run();
    if decision.actions.iter().any(|action| matches!(action, Action::WriteSync { .. })) {
        // Until it is known to be done, it may be done at any time.
        memory.sync.written = None;
    }
    if decision.actions.iter().any(|action| matches!(action, Action::ReleaseLock { .. })) {
        // From the decision on, not from its success: nobody asks us again before the cycle ends.
        memory.lock_deadline = None;
        memory.failsafe.agreed_until = None;
        memory.own_status_revision = None;
    }
    decision
}

/// What a lagging etcd member says proves nothing (Patroni issues 308 and 3314). The lock can be renewed all the same,
/// since the renewal itself is a transaction.
fn stale(revision: i64, local: &LocalView, config: &Config, memory: &mut Memory, now: Monotonic) -> Decision {
    let newest = memory.newest.revision;
    let reason = Reason::StaleView { revision, newest };
    let leads = local.postgres.is_running_primary() && !config.paused;
    match &local.round.lock {
        None if leads && local.postgres.is_silent => Decision::rest(Reason::NoSignOfLife),
        None if leads && memory.may_lead(now) => Decision::ask(vec![Action::RenewLock { status: None }], reason),
        Some(LockOutcome::Lost) if leads => demote::nolock("the leader lock was lost", memory),
        Some(LockOutcome::Held { .. }) => Decision::rest(reason),
        _ if leads && !memory.may_lead(now) => demote::nolock("only stale views since the lock ended", memory),
        _ => Decision::rest(reason),
    }
}

/// Everything one round looks at.
struct Cycle<'a> {
    cluster: Cow<'a, Cluster>,
    local: &'a LocalView,
    config: &'a Config,
    memory: &'a mut Memory,
    now: Monotonic,
}

impl Cycle<'_> {
    fn run(mut self) -> Decision {
        self.remember();
        if let Some(failed) = &self.local.round.failed {
            // Whatever it was, the next cycle starts from what is then the case.
            return Decision::rest(Reason::ActionFailed {
                action: failed.action.clone(),
                error: failed.reason.clone(),
            });
        }
        let decision = self.first_that_applies();
        self.with_duties(decision)
    }

    /// The cycle's order: the first area that has something to say decides.
    fn first_that_applies(&mut self) -> Decision {
        if let Some(decision) = self.while_busy() {
            return decision;
        }
        if let Some(decision) = self.while_starting() {
            return decision;
        }
        if let Some(decision) = self.after_graceful_demote() {
            return decision;
        }
        if let Some(decision) = self.after_bootstrap() {
            return decision;
        }
        if let Some(decision) = self.after_failed_recovery() {
            return decision;
        }
        if let Some(decision) = self.without_data_dir() {
            return decision;
        }
        if let Some(decision) = self.with_wrong_identity() {
            return decision;
        }
        if self.local.postgres.is_absent() {
            return if self.config.paused { self.paused_without_postgres() } else { self.recover() };
        }
        if self.local.postgres.process == Process::Stopping {
            return self.while_stopping();
        }
        if self.holds_lock() || !self.cluster.is_unlocked() { self.healthy() } else { self.race() }
    }

    /// Whether the lock is ours, by the view and by what this cycle has done since.
    fn holds_lock(&self) -> bool {
        let round = &self.local.round;
        match (&round.lock, round.released) {
            (_, true) | (Some(LockOutcome::Lost), _) => false,
            (Some(LockOutcome::Held { .. }), false) => true,
            _ => self.cluster.is_leader(&self.local.name),
        }
    }

    /// The renewal's outcome, or the decision that asks for it. The watchdog is kept alive right after the renewal and only
    /// if it succeeded: the list ends with a renewal that did not.
    fn renewed(&self) -> Result<LockOutcome, Decision> {
        match &self.local.round.lock {
            // We stood still since: that we held the lock then says nothing of now.
            Some(LockOutcome::Held { .. }) if !self.memory.may_lead(self.now) => {}
            Some(outcome) => return Ok(outcome.clone()),
            None => {}
        }
        let mut actions = vec![Action::RenewLock { status: self.status_to_publish() }];
        if self.local.watchdog.is_active {
            actions.push(Action::WatchdogKeepalive { until: None });
        }
        Err(Decision::ask(actions, Reason::RenewingLock))
    }

    /// What comes with the end of every cycle: repairs, failsafe's member list, slots.
    fn with_duties(&mut self, decision: Decision) -> Decision {
        if !matches!(decision.then, Then::Sleep { .. }) {
            return decision;
        }
        let mut first = Vec::new();
        if self.config.paused && self.is_fenced() {
            first.push(Action::WatchdogDisable);
        }
        // Repairs are the holder's; what gives leadership up has no time for them.
        if self.holds_lock() && !gives_up(&decision) {
            first.extend(self.repairs());
            // As `/status`: by who is known to hold the lock now.
            if matches!(self.local.round.lock, Some(LockOutcome::Held { .. })) {
                first.extend(self.failsafe_record_to_write());
            }
        }
        let mut decision = decision.after(first);
        if !gives_up(&decision) {
            decision.actions.extend(self.slots_to_sync());
            // With a restart: only of a replica that has nothing else to do.
            if matches!(decision.reason, Reason::Following(_)) {
                decision.actions.extend(self.slots_to_copy());
            }
        }
        decision
    }

    /// Whether something would stop this node if we did nothing from now on.
    fn is_fenced(&self) -> bool {
        self.local.watchdog.is_active || self.local.fence.is_armed
    }

    fn is_standby_cluster(&self) -> bool {
        self.config.standby_cluster.is_some()
    }

    fn has_passed(&self, since: Monotonic, time: Duration) -> bool {
        self.now.since(since) >= time
    }
}

/// Whether a decision stops PostgreSQL or lets the lock go.
fn gives_up(decision: &Decision) -> bool {
    decision.actions.iter().any(|action| matches!(action, Action::Stop(_) | Action::ReleaseLock { .. }))
}
