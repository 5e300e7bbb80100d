//! Somebody holds the lock (`Ha.process_healthy_cluster`): keep it, or follow.

use std::time::Duration;

use super::{Cycle, demote, failsafe};
use crate::config::{FencingMode, WatchdogMode};
use crate::decision::{Action, Decision, Reason};
use crate::records::{HistoryRecord, StatusRecord};
use crate::view::{LockOutcome, PostgresRole, TaskView};

/// How soon a server that gave no sign of life is asked again.
pub(super) const ASK_AGAIN: Duration = Duration::from_secs(1);

impl Cycle<'_> {
    pub(super) fn healthy(&mut self) -> Decision {
        if self.holds_lock() { self.with_lock() } else { self.follow_leader() }
    }

    fn with_lock(&mut self) -> Decision {
        let is_primary = self.local.postgres.is_running_primary();
        if self.config.paused && !is_primary && !self.is_standby_cluster() && !self.is_manual_candidate() {
            let reason = Reason::ReleasingLock("the cluster is paused and PostgreSQL is not a primary");
            return Decision::last(vec![Action::ReleaseLock { optime: None }], reason);
        }
        if let Some(decision) = self.gives_way().filter(|_| !is_primary) {
            return decision;
        }
        if let Some(decision) = self.while_silent() {
            return decision;
        }
        match self.renewed() {
            Err(ask) => ask,
            Ok(LockOutcome::Held { .. }) => self.with_renewed_lock(),
            Ok(LockOutcome::Lost) if self.config.paused => Decision::rest(Reason::Paused("the lock was lost")),
            Ok(LockOutcome::Lost) if is_primary => demote::nolock("the leader lock was lost", self.memory),
            Ok(LockOutcome::Lost) => Decision::rest(Reason::LostRace),
            // An error is not a loss: it is the DCS that failed, and failsafe mode may help.
            Ok(LockOutcome::Unknown { reason }) => {
                failsafe::without_dcs(self.local, self.config, self.memory, self.now, &reason)
            }
        }
    }

    /// A primary that gives no sign of life does not keep others from leading. As in Patroni, which waits for the answer in the
    /// middle of its cycle: one that answers again before the lease ends leads on as if nothing had been. One that is merely slow
    /// says so itself, by its `statement_timeout`.
    fn while_silent(&self) -> Option<Decision> {
        let undecided = self.local.round.lock.is_none() && !self.config.paused;
        let hangs = self.local.postgres.is_running_primary() && self.local.postgres.is_silent;
        (undecided && hangs).then(|| Decision::soon(Vec::new(), Reason::NoSignOfLife, ASK_AGAIN))
    }

    fn with_renewed_lock(&mut self) -> Decision {
        if let Some(decision) = self.manual_from_leader() {
            return decision;
        }
        if let Some(decision) = self.arm_watchdog().or_else(|| self.arm_fence()) {
            return decision;
        }
        if self.local.postgres.role == PostgresRole::Replica {
            return self.promote_or_follow_remote();
        }
        if self.is_standby_cluster() {
            return self.demote_cluster();
        }
        if self.memory.pre_promote_failed.is_some_and(|at| !self.has_passed(at, self.config.ttl)) {
            let reason = Reason::ReleasingLock("pre_promote failed");
            return Decision::last(vec![Action::ReleaseLock { optime: None }], reason);
        }
        self.stay_primary()
    }

    /// Required and unusable: a primary that cannot be fenced must not be one (`enforce_primary_role`). With other timings the
    /// time-out is another one, too (`Watchdog.keepalive`): longer than the lease it is no fence, and shorter than `loop_wait`
    /// it resets a healthy machine. A standby leader takes no writes and needs none.
    fn arm_watchdog(&mut self) -> Option<Decision> {
        let mode = self.config.watchdog;
        let watchdog = &self.local.watchdog;
        let in_order = watchdog.is_active && !watchdog.is_outdated;
        if mode == WatchdogMode::Off || in_order || self.config.paused || self.is_standby_cluster() {
            return None;
        }
        match self.local.round.watchdog {
            None => {
                let until = self.memory.leadership_deadline();
                Some(Decision::ask(vec![Action::WatchdogActivate { until }], Reason::RenewingLock))
            }
            Some(false) if mode == WatchdogMode::Required => {
                if self.local.postgres.is_running_primary() {
                    return Some(self.demote_immediate("the watchdog could not be activated"));
                }
                let reason = Reason::ReleasingLock("the watchdog could not be activated");
                Some(Decision::last(vec![Action::ReleaseLock { optime: None }], reason))
            }
            Some(_) => None,
        }
    }

    /// Before the promotion and for as long as we are a primary, the dead-man process holds the end of our leadership. A
    /// standby leader takes no writes, so there is nothing to stop.
    pub(super) fn arm_fence(&mut self) -> Option<Decision> {
        let mode = self.config.fencing;
        let unasked = mode == FencingMode::Off || self.config.paused || self.is_standby_cluster();
        if unasked || self.local.fence.is_armed {
            return None;
        }
        match self.local.round.fence {
            None => {
                let until = self.memory.leadership_deadline()?;
                Some(Decision::ask(vec![Action::FenceArm { until }], Reason::RenewingLock))
            }
            Some(false) if mode == FencingMode::Required => {
                if self.local.postgres.is_running_primary() {
                    return Some(self.demote_immediate("the dead-man process could not be armed"));
                }
                let reason = Reason::ReleasingLock("the dead-man process could not be armed");
                Some(Decision::last(vec![Action::ReleaseLock { optime: None }], reason))
            }
            Some(_) => None,
        }
    }

    fn stay_primary(&mut self) -> Decision {
        let mut actions = Vec::new();
        let checkpoint_runs = self.local.task.as_ref().is_some_and(TaskView::is_running);
        if self.memory.checkpoint_pending && !checkpoint_runs {
            actions.push(Action::Checkpoint);
        }
        if let Some(history) = self.history_to_write() {
            actions.push(Action::WriteHistory(history));
        }
        match self.sync_step() {
            Some(decision) => decision.after(actions),
            None => Decision::last(actions, Reason::LeaderWithLock),
        }
    }

    /// `/history` when it does not end with our timeline's predecessor (`update_cluster_history`). Patroni looks at the number
    /// alone, and goes on to tell of a promotion that lost when ours took the same number; the place must be ours, too.
    fn history_to_write(&self) -> Option<HistoryRecord> {
        let timeline = self.local.postgres.timeline?;
        let known = self.cluster.history.as_ref();
        if timeline <= 1 {
            return known.is_some_and(|history| !history.lines.is_empty()).then(HistoryRecord::default);
        }
        let last = known.and_then(|history| history.lines.last());
        let ours = self.local.postgres.history.last().map(|line| line.switchpoint);
        let is_ours = |switchpoint| ours.is_none_or(|ours| ours == switchpoint);
        if last.is_some_and(|l| l.timeline == timeline - 1 && l.new_leader.is_some() && is_ours(l.switchpoint)) {
            return None;
        }
        let mut lines = self.local.postgres.history.clone();
        for line in &mut lines {
            // What the DCS knows of earlier promotions is kept: PostgreSQL's own file has no times.
            let told = known.and_then(|history| history.lines.iter().find(|old| old.timeline == line.timeline));
            if let Some(told) = told.filter(|old| old.switchpoint == line.switchpoint) {
                line.timestamp.clone_from(&told.timestamp);
                line.new_leader.clone_from(&told.new_leader);
            }
        }
        let latest = lines.last_mut()?;
        if latest.timestamp.is_none() {
            latest.timestamp = Some(self.local.wall.strftime("%Y-%m-%dT%H:%M:%S.%6f+00:00").to_string());
        }
        latest.new_leader.get_or_insert_with(|| self.local.name.clone());
        Some(HistoryRecord { lines }.truncated(self.config.max_timelines_history))
    }

    /// `/status` as a running primary or standby leader publishes it with the renewal (`update_lock`, `_write_status`).
    pub(super) fn status_to_publish(&self) -> Option<StatusRecord> {
        let postgres = &self.local.postgres;
        let leads_with = if self.is_standby_cluster() { postgres.is_running() } else { postgres.is_running_primary() };
        if !leads_with {
            return None;
        }
        let optime = postgres.position()?;
        let slots = postgres.slots.iter().filter_map(|(name, slot)| Some((name.clone(), slot.position?)));
        let mut status = StatusRecord { optime: Some(optime), slots: slots.collect(), retain_slots: Vec::new() };
        // Replicas' slots for us advance with our own position.
        status.slots.insert(super::slot_name_from_member_name(&self.local.name), optime);
        status.retain_slots = self.slots_to_retain(&status.slots);
        // Unchanged since we wrote it: nothing to write.
        let known = &self.cluster.status;
        let ours = self.memory.own_status_revision == Some(known.mod_revision);
        (!ours || known.value != status).then_some(status)
    }

    /// The moment between asking PostgreSQL for a new setting and looking whether it is in force.
    pub(super) const SETTLE: Duration = Duration::from_secs(2);
}
