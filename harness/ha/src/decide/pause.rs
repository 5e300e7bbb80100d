//! Maintenance mode: the lock is kept where it makes sense, and PostgreSQL is left to the operator.

use super::Cycle;
use crate::decision::{Action, Decision, Reason};

impl Cycle<'_> {
    /// PostgreSQL does not run and the cluster is paused: it is not started, and a lock without primary is of no use.
    pub(super) fn paused_without_postgres(&mut self) -> Decision {
        if self.holds_lock() {
            let reason = Reason::ReleasingLock("the cluster is paused and PostgreSQL is not running");
            return Decision::last(vec![Action::ReleaseLock { optime: None }], reason);
        }
        Decision::rest(Reason::Paused("PostgreSQL is not running"))
    }
}
