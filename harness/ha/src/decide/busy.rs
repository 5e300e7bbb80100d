//! While a long action runs (`Ha.handle_long_action_in_progress`) or PostgreSQL starts (`handle_starting_instance`).

use std::time::Duration;

use super::{Cycle, demote};
use crate::decision::{Action, Decision, DemoteMode, Reason, StopMode, StopRequest};
use crate::view::{DbState, LockOutcome, PostgresRole, Process, TaskKind, TaskProgress, TaskView};

impl Cycle<'_> {
    /// Keeps the lock alive during a task, and ends the task if the lock is gone.
    pub(super) fn while_busy(&mut self) -> Option<Decision> {
        // A checkpoint after promotion keeps nothing else from going on.
        let task = self.local.task.clone().filter(|task| task.is_running() && task.kind != TaskKind::Checkpoint)?;
        if !self.holds_lock() {
            return Some(self.busy_without_lock(&task));
        }
        let decision = match self.renewed() {
            Err(ask) => ask,
            Ok(LockOutcome::Held { .. }) => self.busy_with_lock(&task),
            Ok(LockOutcome::Unknown { .. }) if self.memory.may_lead(self.now) => {
                Decision::rest(Reason::TaskRunning(task.kind))
            }
            Ok(_) => self.busy_without_lock(&task),
        };
        Some(decision)
    }

    fn busy_with_lock(&mut self, task: &TaskView) -> Decision {
        let too_long = self.has_passed(task.started, self.config.primary_start_timeout);
        if task.kind == TaskKind::CrashRecovery && too_long && !self.config.paused {
            match self.can_hand_over() {
                Err(ask) => return ask,
                Ok(true) => {
                    let demote = self.demote_immediate("crash recovery takes longer than primary_start_timeout");
                    return demote.after(vec![Action::CancelTask]);
                }
                Ok(false) => {}
            }
        }
        Decision::rest(Reason::RenewedDuring(task.kind))
    }

    fn busy_without_lock(&mut self, task: &TaskView) -> Decision {
        let rest = Decision::rest(Reason::TaskRunning(task.kind));
        if self.config.paused || task.kind == TaskKind::Bootstrap {
            return rest;
        }
        // Neither PostgreSQL nor anybody else has seen anything of it yet.
        if task.kind == TaskKind::PrePromote {
            let reason = Reason::PostponingPromotion("the leader lock was lost".into());
            return Decision::last(vec![Action::CancelTask], reason);
        }
        let promoted = task.kind == TaskKind::Promote
            && task.progress == (TaskProgress::Running { past_point_of_no_return: true });
        if task.kind == TaskKind::Promote && !promoted {
            let reason = Reason::PostponingPromotion("the leader lock was lost".into());
            return Decision::last(vec![Action::CancelTask], reason);
        }
        // A switchover gives the lock away while the shutdown still runs: then all is written and nothing to be fenced.
        let shut_down = self.local.postgres.control.as_ref().is_some_and(|c| c.state == DbState::ShutDown);
        let handed_over = task.kind == TaskKind::Demote && shut_down;
        let is_primary = self.local.postgres.role == PostgresRole::Primary;
        // Once stopped there is nothing more to do: the end of the task is seen in the next cycle.
        if !self.local.postgres.is_absent() && (promoted || (is_primary && !handed_over)) {
            return demote::nolock("the leader lock was lost", self.memory).after(vec![Action::CancelTask]);
        }
        rest
    }

    /// Somebody else stops PostgreSQL: the lock is kept until it is down.
    pub(super) fn while_stopping(&mut self) -> Decision {
        match self.holds_lock().then(|| self.renewed()) {
            Some(Err(ask)) => ask,
            _ => Decision::rest(Reason::Stopping),
        }
    }

    /// While the holder's PostgreSQL starts, the lock is renewed, but not for ever.
    pub(super) fn while_starting(&mut self) -> Option<Decision> {
        let Process::Starting { since } = self.local.postgres.process else { return None };
        if self.config.paused || !self.holds_lock() {
            return None;
        }
        Some(match self.renewed() {
            Err(ask) => ask,
            Ok(LockOutcome::Held { .. }) => self.starting_with_lock(self.memory.start_began.unwrap_or(since)),
            Ok(LockOutcome::Unknown { reason }) if self.memory.may_lead(self.now) => {
                Decision::rest(Reason::RenewalUnknown(reason))
            }
            // A standby takes no writes, whoever leads: there is nothing to stop.
            Ok(_) if self.is_standby_cluster() && self.local.postgres.has_standby_signal => {
                Decision::rest(Reason::LostRace)
            }
            Ok(_) => demote::nolock("the leader lock was lost while starting", self.memory),
        })
    }

    fn starting_with_lock(&mut self, since: crate::Monotonic) -> Decision {
        let writable_soon = !self.local.postgres.has_standby_signal && self.local.round.fence.is_none();
        if writable_soon && let Some(ask) = self.arm_fence() {
            return ask;
        }
        if self.has_passed(since, self.config.primary_start_timeout) {
            match self.can_hand_over() {
                Err(ask) => return ask,
                Ok(true) => return self.demote_immediate("the start takes longer than primary_start_timeout"),
                Ok(false) => {}
            }
        } else if let Some(decision) = self.manual_from_leader() {
            return decision;
        }
        Decision::rest(Reason::Starting(self.now.since(since)))
    }

    /// After trying to start it, PostgreSQL does not run: the lock is better off with somebody else (`post_recover`).
    pub(super) fn after_failed_recovery(&mut self) -> Option<Decision> {
        // `recovering` is set when the start is asked for; the task's end is when it can be judged.
        if !self.memory.recovering || !self.task_ended(&[TaskKind::Start, TaskKind::CrashRecovery]) {
            return None;
        }
        self.memory.recovering = false;
        if !self.local.postgres.is_absent() || self.config.paused || !self.holds_lock() {
            return None;
        }
        let failed =
            self.local.task.as_ref().is_some_and(|task| {
                task.kind == TaskKind::Start && matches!(task.progress, TaskProgress::Failed { .. })
            });
        failed.then(|| {
            let actions = vec![Action::WatchdogDisable, Action::ReleaseLock { optime: None }];
            Decision::last(actions, Reason::ReleasingLock("tried and failed to start PostgreSQL"))
        })
    }

    /// Whether a task of one of these kinds has ended, by its report in this cycle.
    pub(super) fn task_ended(&self, kinds: &[TaskKind]) -> bool {
        self.local.task.as_ref().is_some_and(|task| !task.is_running() && kinds.contains(&task.kind))
    }

    /// A demotion's lock that could not be released early is released after it; then the others get a moment.
    pub(super) fn after_graceful_demote(&mut self) -> Option<Decision> {
        if !self.task_ended(&[TaskKind::Demote]) || !self.local.postgres.is_absent() || !self.holds_lock() {
            return None;
        }
        // Only a shutdown checkpoint is where the WAL ends: a standby's last restartpoint, or a checkpoint before a crash, is long
        // past, and a position that goes back would hide how much a candidate lacks.
        let clean = self.local.postgres.control.as_ref().filter(|control| control.state == DbState::ShutDown);
        let optime = clean.map(|control| control.checkpoint);
        let reason = Reason::ReleasingLock("PostgreSQL is stopped for a switchover");
        Some(Decision::soon(vec![Action::ReleaseLock { optime }], reason, Duration::from_secs(2)))
    }

    /// A stop that is no demotion: nothing of it is acknowledged by a primary.
    pub(super) fn plain_stop(&self) -> Option<Action> {
        (!self.local.postgres.is_absent()).then(|| {
            Action::Stop(StopRequest {
                mode: StopMode::Immediate,
                checkpoint_first: DemoteMode::Immediate.plan().checkpoint_first,
                escalate_at: None,
                early_release: None,
                watchdog_off_at_safepoint: false,
            })
        })
    }
}
