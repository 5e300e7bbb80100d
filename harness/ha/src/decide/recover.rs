//! PostgreSQL does not run although it should (`Ha.recover`).

use super::Cycle;
use super::follow::upstream_name;
use crate::decision::{Action, Decision, Reason, StartAs, Upstream};
use crate::memory::RewindState;
use crate::view::{DbState, LockOutcome, Process};

impl Cycle<'_> {
    pub(super) fn recover(&mut self) -> Decision {
        if self.holds_lock() {
            if let Some(decision) = self.gives_way() {
                return decision;
            }
            match self.renewed() {
                Err(ask) => return ask,
                Ok(LockOutcome::Held { .. }) => {}
                Ok(LockOutcome::Unknown { reason }) => return Decision::rest(Reason::RenewalUnknown(reason)),
                Ok(LockOutcome::Lost) => return self.recover_as_replica(),
            }
            return self.recover_with_lock();
        }
        self.recover_as_replica()
    }

    fn recover_with_lock(&mut self) -> Decision {
        let began = *self.memory.start_began.get_or_insert(self.now);
        let led = self.memory.was_primary || self.is_standby_cluster();
        if led && self.config.primary_start_timeout.is_zero() {
            match self.can_hand_over() {
                Err(ask) => return ask,
                Ok(true) => return self.demote_immediate("it crashed and primary_start_timeout is 0"),
                Ok(false) => {}
            }
        } else if led && self.has_passed(began, self.config.primary_start_timeout) {
            match self.can_hand_over() {
                Err(ask) => return ask,
                Ok(true) => return self.demote_immediate("recovery takes longer than primary_start_timeout"),
                Ok(false) => {}
            }
        }
        if let Some(still_allowed_until) = self.memory.lock_deadline.filter(|_| self.may_start_as_primary()) {
            // A dead-man process that has stopped it holds nothing any more.
            if let Some(decision) = self.arm_fence() {
                return decision;
            }
            self.memory.recovering = true;
            let start = Action::Start(StartAs::Primary { still_allowed_until });
            return Decision::last(vec![start], Reason::StartingPostgres("as primary"));
        }
        if let Some(decision) = self.crash_recovery() {
            return decision;
        }
        if self.is_standby_cluster() {
            if let Some(decision) = self.check_before_start() {
                return decision;
            }
            return self.start_replica(self.upstream(), "as standby leader");
        }
        // Read-only first; the next cycles promote it. A timeline is cheap, two primaries are not.
        self.start_replica(Upstream::Unchanged, "read-only, to be promoted")
    }

    /// A primary that crashed under our eyes goes on where it was, without a new timeline (Patroni 3.0.4, issue 2720).
    fn may_start_as_primary(&self) -> bool {
        let postgres = &self.local.postgres;
        let state = postgres.control.as_ref().map(|control| control.state);
        let was_in_office = matches!(
            state,
            Some(DbState::InProduction | DbState::InCrashRecovery | DbState::ShuttingDown | DbState::ShutDown)
        );
        postgres.process == Process::Crashed
            && self.memory.was_primary
            && !self.memory.demoted
            && was_in_office
            && !postgres.has_standby_signal
            && !self.config.primary_start_timeout.is_zero()
            && !self.is_standby_cluster()
    }

    /// Gives a crashed primary's directory a clean end, which `pg_rewind` and a standby's start need.
    fn crash_recovery(&mut self) -> Option<Decision> {
        let postgres = &self.local.postgres;
        let state = postgres.control.as_ref().map(|control| control.state);
        let crashed = matches!(state, Some(DbState::InProduction | DbState::ShuttingDown | DbState::InCrashRecovery));
        // In a standby cluster it would give a copy of the remote primary's directory WAL of its own: as a standby it recovers from
        // what is there, and goes on with what it receives.
        let useful = self.cluster.is_unlocked() || self.can_rewind() || self.removes_diverged();
        let useful = useful && !self.is_standby_cluster();
        if !crashed || postgres.has_backup_label || self.memory.crash_recovery_tried || !useful {
            return None;
        }
        self.memory.crash_recovery_tried = true;
        let actions = vec![Action::WatchdogDisable, Action::CrashRecovery];
        Some(Decision::last(actions, Reason::RecoveringFromCrash))
    }

    fn recover_as_replica(&mut self) -> Decision {
        if let Some(decision) = self.crash_recovery() {
            return decision;
        }
        if let Some(decision) = self.check_before_start() {
            return decision;
        }
        let upstream = self.upstream();
        let how = if upstream == Upstream::Unchanged { "as replica, without a known leader" } else { "as replica" };
        self.start_replica(upstream, how)
    }

    /// Whether the directory fits the history of whom it will follow. A fresh copy has nothing of its own to compare. Any other
    /// directory has, also one that this agent has never started: its predecessor may have been the primary that lost.
    fn check_before_start(&mut self) -> Option<Decision> {
        let fresh_copy = !self.memory.ever_started && self.local.postgres.has_backup_label;
        if self.memory.rewind.state == RewindState::Initial && !fresh_copy {
            self.memory.rewind.state = RewindState::Check;
        }
        self.rewind_step()
    }

    fn start_replica(&mut self, upstream: Upstream, how: &'static str) -> Decision {
        self.memory.recovering = true;
        let mut actions = Vec::new();
        if self.is_fenced() && upstream_name(&upstream) != self.local.name {
            actions.push(Action::WatchdogDisable);
        }
        actions.push(Action::Start(StartAs::Replica(upstream)));
        Decision::last(actions, Reason::StartingPostgres(how))
    }
}
