//! We hold the lock and PostgreSQL is a replica (`Ha.enforce_primary_role`, or in a standby cluster
//! `enforce_follow_remote_member`).

use super::Cycle;
use crate::config::SynchronousMode;
use crate::decision::{Action, Decision, Reason};
use crate::records::SyncRecord;
use crate::view::{SynchronousStandbyNames, TaskKind, TaskProgress, WriteOutcome};

impl Cycle<'_> {
    pub(super) fn promote_or_follow_remote(&mut self) -> Decision {
        if self.is_standby_cluster() {
            return self.follow_upstream();
        }
        if !self.local.postgres.is_running() {
            return Decision::rest(Reason::PostponingPromotion("PostgreSQL is not running".into()));
        }
        match self.promotion_steps() {
            Ok(decision) | Err(decision) => decision,
        }
    }

    fn promotion_steps(&mut self) -> Result<Decision, Decision> {
        let deadline = self.memory.lock_deadline.filter(|deadline| self.now < *deadline);
        let Some(deadline) = deadline else {
            return Err(Decision::rest(Reason::PostponingPromotion("the leader lock has expired".into())));
        };
        if self.config.has_pre_promote {
            let ended = self.local.task.as_ref().filter(|task| task.kind == TaskKind::PrePromote);
            match ended.map(|task| &task.progress) {
                Some(TaskProgress::Done) => {}
                Some(TaskProgress::Failed { .. }) => return Err(self.pre_promote_failed()),
                _ => return Err(Decision::last(vec![Action::RunPrePromote], Reason::RunningPrePromote)),
            }
        }
        let mut actions = self.claim_sync()?;
        // The request that made us leader is done with; so is any other that found no leader.
        actions.extend(self.clear_failover());
        actions.push(Action::Promote { still_allowed_until: deadline });
        self.memory.failsafe = Default::default();
        self.memory.was_primary = true;
        Ok(Decision::last(actions, Reason::Promoting))
    }

    fn pre_promote_failed(&mut self) -> Decision {
        self.memory.pre_promote_failed = Some(self.now);
        let reason = Reason::ReleasingLock("pre_promote failed");
        Decision::last(vec![Action::ReleaseLock { optime: None }], reason)
    }

    /// Before the promotion `/sync` must say that we alone have everything, since from then on we may acknowledge commits
    /// that nobody else has. Somebody else's change of `/sync` may mean that we have lost the lock: wait a cycle.
    fn claim_sync(&self) -> Result<Vec<Action>, Decision> {
        if !self.config.is_synchronous() {
            // From its first moment the primary is to wait for whom the user has named.
            let managed = self.local.postgres.manages_standby_names;
            return Ok(managed.then_some(Action::ResetSynchronousStandbyNames).into_iter().collect());
        }
        let alone = SyncRecord::only(&self.local.name);
        let postpone = |why: String| Err(Decision::rest(Reason::PostponingPromotion(why)));
        let is_alone = self.cluster.sync.value == alone;
        // A late write of ours, of an earlier time in office, must not add to the record while nobody else has what we acknowledge.
        if !is_alone || !self.is_sync_settled() {
            match &self.local.round.sync {
                // We stood still between the look and the attempt, and another leader was in office: who may be promoted now?
                None if !is_alone
                    && self.memory.raced_on_sync.is_some_and(|then| then != self.cluster.sync.mod_revision) =>
                {
                    let reason = Reason::ReleasingLock("/sync has changed since we raced");
                    return Err(Decision::last(vec![Action::ReleaseLock { optime: None }], reason));
                }
                None => {
                    let write = Action::WriteSync { record: Some(alone), expected: self.cluster.sync.mod_revision };
                    return Err(Decision::observe(vec![write], Reason::Promoting));
                }
                Some(WriteOutcome::Written { .. }) => return postpone("/sync was overwritten by somebody else".into()),
                Some(WriteOutcome::Conflict) => return postpone("/sync was updated by somebody else".into()),
                Some(WriteOutcome::Unknown { reason }) => return postpone(format!("writing /sync: {reason}")),
            }
        }
        let strict = self.config.synchronous_mode_strict && self.config.synchronous_mode != SynchronousMode::Off;
        let setting = if strict { SynchronousStandbyNames::Star } else { SynchronousStandbyNames::Off };
        let change = self.local.postgres.synchronous_standby_names != setting;
        Ok(change.then_some(Action::SetSynchronousStandbyNames(setting)).into_iter().collect())
    }

    /// Clears `/failover`, if it holds a request.
    pub(super) fn clear_failover(&self) -> Option<Action> {
        let request = self.cluster.failover.as_ref()?;
        Some(Action::ClearFailover { expected: request.mod_revision })
    }
}
