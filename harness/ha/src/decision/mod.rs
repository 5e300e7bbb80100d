//! Decisions are data: what to do, why, and what comes next. Logs, reports and tests read the same value.

mod action;
mod demote;
mod reason;
mod sentence;

pub use action::{
    Action, ConfigWrite, EarlyRelease, InitializeWrite, Peer, PeerPurpose, Slots, StartAs, StopMode, StopRequest,
    Upstream,
};
pub use demote::{DemoteMode, DemotePlan};
pub use reason::{Reason, Unfit};

use std::time::Duration;

/// What [`decide`](crate::decide) says.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// To be executed in this order. The first one that fails ends the list; it is reported in
    /// [`Round::failed`](crate::view::Round::failed) and the rest is not executed.
    pub actions: Vec<Action>,
    /// Why.
    pub reason: Reason,
    /// What comes after the actions.
    pub then: Then,
}

/// What comes after a decision's actions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// Put the outcomes into [`LocalView::round`](crate::view::LocalView::round) and decide again on the same views.
    DecideAgain,
    /// As `DecideAgain`, but read the DCS and look at PostgreSQL anew first: both may have changed.
    ObserveAgain,
    /// The cycle is over. The agent writes its member record and waits.
    Sleep {
        /// How long at most; `None` means until the regular start of the next cycle (`loop_wait`).
        at_most: Option<Duration>,
    },
    /// The agent must end: it serves another cluster's data directory, or its bootstrap has failed.
    Exit,
}

impl Decision {
    /// Nothing to be done in this cycle.
    pub(crate) fn rest(reason: Reason) -> Self {
        Decision::last(Vec::new(), reason)
    }

    /// The cycle's last actions.
    pub(crate) fn last(actions: Vec<Action>, reason: Reason) -> Self {
        Decision { actions, reason, then: Then::Sleep { at_most: None } }
    }

    /// The cycle's last actions, with the next cycle due early.
    pub(crate) fn soon(actions: Vec<Action>, reason: Reason, at_most: Duration) -> Self {
        Decision { actions, reason, then: Then::Sleep { at_most: Some(at_most) } }
    }

    /// Actions whose outcome is needed to go on.
    pub(crate) fn ask(actions: Vec<Action>, reason: Reason) -> Self {
        Decision { actions, reason, then: Then::DecideAgain }
    }

    /// Actions that change what there is to see.
    pub(crate) fn observe(actions: Vec<Action>, reason: Reason) -> Self {
        Decision { actions, reason, then: Then::ObserveAgain }
    }

    /// Puts actions in front of the decision's own.
    pub(crate) fn after(mut self, mut first: Vec<Action>) -> Self {
        first.append(&mut self.actions);
        self.actions = first;
        self
    }
}
