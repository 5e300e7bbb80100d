//! What the earlier rounds of a cycle brought back.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::{Lsn, Monotonic};

/// The outcomes of this cycle's actions. The agent starts each cycle with `Round::default()` and, when the decision was
/// [`Then::DecideAgain`](crate::Then::DecideAgain) or `ObserveAgain`, adds what each executed action returned.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Round {
    /// Of `RenewLock` or `AcquireLock`, whichever was the last.
    pub lock: Option<LockOutcome>,
    /// `ReleaseLock` was executed in this cycle, whatever came of it.
    pub released: bool,
    /// Of `AskPeers`: every name that was asked has an entry.
    pub peers: Option<BTreeMap<String, PeerStatus>>,
    /// Of `AskFailsafe`: every name that was asked has an entry.
    pub failsafe: Option<BTreeMap<String, FailsafeAnswer>>,
    /// When the `AskFailsafe` requests were about to be sent.
    pub failsafe_asked_at: Monotonic,
    /// Of `InspectLeader`.
    pub leader: Option<LeaderInspection>,
    /// Of `WriteSync`.
    pub sync: Option<WriteOutcome>,
    /// Of `WriteInitialize(Create)`.
    pub initialize: Option<WriteOutcome>,
    /// Of `WatchdogActivate`: whether it is armed.
    pub watchdog: Option<bool>,
    /// Of `FenceArm`: whether the dead-man process has said that it holds the deadline.
    pub fence: Option<bool>,
    /// The action that failed and so ended the list it stood in. Cleared by the agent before the next list.
    pub failed: Option<FailedAction>,
}

impl Round {
    /// The end of the leadership that this cycle's request for the lock was answered with.
    pub fn lock_lasts_until(&self) -> Option<Monotonic> {
        match &self.lock {
            Some(LockOutcome::Held { requested_at, ttl, .. }) => Some(*requested_at + *ttl),
            _ => None,
        }
    }
}

/// What came of asking the DCS for the lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LockOutcome {
    /// We hold it.
    Held {
        /// Taken *before* the successful request was sent: the lease cannot have been granted earlier.
        requested_at: Monotonic,
        /// The lease's time to live as granted.
        ttl: Duration,
        /// The `mod_revision` that `status` has now, if this request wrote it.
        status_revision: Option<i64>,
    },
    /// The DCS says that somebody else holds it, or that our lease or key is gone and was not re-created.
    Lost,
    /// No answer: it may or may not have been done.
    Unknown {
        /// The last error, for people.
        reason: String,
    },
}

/// What came of a compare-and-set or create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WriteOutcome {
    /// Written; the key now has this `mod_revision`.
    Written {
        /// The new revision.
        mod_revision: i64,
    },
    /// The key had been changed by somebody else. (A write of our own whose answer was lost is found by reading back
    /// and counts as `Written`: Patroni issue 3035 took it for a conflict.)
    Conflict,
    /// No answer: it may or may not have been written.
    Unknown {
        /// The last error, for people.
        reason: String,
    },
}

/// What came of `GET api_url`.
#[derive(Debug, Clone, PartialEq)]
pub enum PeerStatus {
    /// It answered.
    Answered(PeerAnswer),
    /// It did not, within the 2 s of Patroni's `fetch_node_status`.
    Unreachable {
        /// The error, for people.
        reason: String,
    },
}

/// A peer's answer, as `/patroni` tells it (`_MemberStatus.from_api_response`).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PeerAnswer {
    /// `role` is replica or the answer has no `role`-independent sign of a primary.
    pub in_recovery: bool,
    /// `timeline`; `None` if not told.
    pub timeline: Option<u32>,
    /// `xlog.location`, or the later of received and replayed. 0 if PostgreSQL does not run.
    pub position: Lsn,
    /// `tags.nofailover` or a `failover_priority` of 0.
    pub nofailover: bool,
    /// `tags.failover_priority`, 1 if not told.
    pub failover_priority: i64,
    /// `watchdog_failed`.
    pub watchdog_failed: bool,
}

/// What a member said to `POST /failsafe`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FailsafeAnswer {
    /// 200 `Accepted`: it will not try to become the leader for ttl.
    Accepted {
        /// Its position, from the `lsn` header.
        lsn: Option<Lsn>,
    },
    /// Anything else it said.
    Refused {
        /// Status and body, for people.
        reason: String,
    },
    /// No answer.
    Unreachable {
        /// The error, for people.
        reason: String,
    },
}

/// What the leader told about its WAL over a replication connection (`Rewind._check_timeline_and_lsn`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeaderInspection {
    /// It answered.
    Answered {
        /// `pg_is_in_recovery()`.
        in_recovery: bool,
        /// `IDENTIFY_SYSTEM`'s timeline.
        timeline: u32,
        /// `TIMELINE_HISTORY`: where each earlier timeline ended, oldest first.
        history: Vec<(u32, Lsn)>,
    },
    /// It could not be asked.
    Unreachable {
        /// The error, for people.
        reason: String,
    },
}

/// The action that ended its list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedAction {
    /// [`Action::name`](crate::Action::name).
    pub action: String,
    /// The error, for people.
    pub reason: String,
    /// No answer rather than a refusal: it may have been done.
    pub unknown: bool,
}
