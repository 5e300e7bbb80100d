//! Ceasing to be the primary (`Ha.demote` in Patroni; its table of modes is `DemoteMode::plan`).

use std::collections::BTreeSet;

use super::Cycle;
use crate::Monotonic;
use crate::decision::{Action, Decision, DemoteMode, EarlyRelease, Reason, StartAs, StopRequest, Upstream};
use crate::memory::{Memory, RewindState};

/// Stops at once, keeping the lock as it is: somebody else's, or nobody's.
pub(super) fn nolock(because: &'static str, memory: &mut Memory) -> Decision {
    let mode = DemoteMode::ImmediateNolock;
    left_office(memory);
    memory.lock_deadline = None;
    memory.failsafe.agreed_until = None;
    // The next round starts it as a replica, if there is reason to.
    Decision::observe(vec![Action::Stop(stop(mode, None)), Action::WatchdogDisable], Reason::Demoting { mode, because })
}

/// Stops because the DCS cannot be reached. The stop must have ended before somebody else can have the lock: half of the
/// time that is left goes to a clean shutdown, then it is made harder.
pub(super) fn offline(deadline: Option<Monotonic>, memory: &mut Memory, now: Monotonic) -> Decision {
    let left = deadline.map(|deadline| deadline.since(now)).filter(|left| !left.is_zero());
    let mode = if left.is_some() { DemoteMode::Offline } else { DemoteMode::ImmediateNolock };
    left_office(memory);
    let actions = vec![
        Action::Stop(stop(mode, left.map(|left| now + left / 2))),
        Action::WatchdogDisable,
        Action::Start(StartAs::Replica(Upstream::Unchanged)),
    ];
    Decision::last(actions, Reason::Demoting { mode, because: "the DCS is not accessible" })
}

/// Whoever was primary must compare histories before following another.
fn left_office(memory: &mut Memory) {
    memory.demoted = true;
    memory.given_up = memory.leadership_deadline();
    memory.checkpoint_pending = false;
    memory.rewind.state = RewindState::Check;
}

fn stop(mode: DemoteMode, escalate_at: Option<Monotonic>) -> StopRequest {
    let plan = mode.plan();
    StopRequest {
        mode: plan.stop,
        checkpoint_first: plan.checkpoint_first,
        escalate_at,
        early_release: None,
        watchdog_off_at_safepoint: true,
    }
}

impl Cycle<'_> {
    /// Stops and gives the lock away.
    pub(super) fn demote_immediate(&mut self, because: &'static str) -> Decision {
        let mode = DemoteMode::Immediate;
        left_office(self.memory);
        let mut actions = Vec::new();
        if !self.local.postgres.is_absent() {
            actions.push(Action::Stop(stop(mode, None)));
        }
        actions.push(Action::WatchdogDisable);
        actions.push(Action::ReleaseLock { optime: None });
        Decision::last(actions, Reason::Demoting { mode, because })
    }

    /// The cluster has become a standby cluster: a clean stop, then the remote primary is followed.
    pub(super) fn demote_cluster(&mut self) -> Decision {
        let mode = DemoteMode::DemoteCluster;
        left_office(self.memory);
        // As a task: the lock is renewed while it takes its time, and released when it has ended.
        let request =
            StopRequest { early_release: Some(EarlyRelease { candidates: BTreeSet::new() }), ..stop(mode, None) };
        Decision::last(vec![Action::Stop(request)], Reason::Demoting { mode, because: "standby_cluster is configured" })
    }

    /// Stops for a switchover: everything reaches the candidates before the lock does.
    pub(super) fn demote_graceful(&mut self, candidates: EarlyRelease) -> Decision {
        left_office(self.memory);
        let reason = Reason::HandingOver { candidates: candidates.candidates.clone() };
        // `primary_stop_timeout` is for synchronous mode alone: elsewhere a hard stop could lose what was acknowledged.
        let limit = self.config.primary_stop_timeout;
        let escalate_at = (self.config.is_synchronous() && !limit.is_zero()).then(|| self.now + limit);
        // A server that starts answers no CHECKPOINT.
        let checkpoint_first = self.local.postgres.is_running();
        let stop = stop(DemoteMode::Graceful, escalate_at);
        let request = StopRequest { early_release: Some(candidates), checkpoint_first, ..stop };
        Decision::last(vec![Action::Stop(request)], reason)
    }
}
