//! The one lease of a node, which both its member key and the leader lock hang on.

use std::time::Duration;

use tokio::time::Instant;

use super::LeaseId;

/// The node's lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lease {
    /// etcd's id.
    pub id: LeaseId,
    /// Its time to live as granted.
    pub ttl: Duration,
    /// Taken before the last successful grant or keepalive was sent: the server's countdown started no earlier.
    pub refreshed: Instant,
}

/// What the node remembers of its lease and its member key between cycles.
#[derive(Clone, Debug, Default)]
pub(super) struct LeaseState {
    /// The lease in use.
    pub current: Option<Lease>,
    /// After a change of `ttl`: the lease before, to be revoked once no key of ours hangs on it any more.
    pub retired: Option<LeaseId>,
    /// What the member key holds and which lease it hangs on, as of our last write or look.
    pub member: Option<(String, LeaseId)>,
    /// The latest leases that were granted to this agent, the newest last.
    pub granted: Vec<LeaseId>,
    /// The member key was written by this agent since it was started.
    pub has_written: bool,
    /// The `mod_revision` of `leader` when it was last seen to carry our name, or put by us; 0: never.
    pub lock_revision: i64,
    /// The revision of `leader` that a release was last sent for; 0: never. It may still arrive.
    pub release_sent: i64,
}

/// So many leases are remembered as ours; all but the last two have ended.
const REMEMBERED: usize = 16;

impl LeaseState {
    /// Takes note of a new lease.
    pub fn grant(&mut self, lease: Lease) {
        if self.granted.len() == REMEMBERED {
            self.granted.remove(0);
        }
        self.granted.push(lease.id);
        self.current = Some(lease);
    }

    /// Whether the member key hangs on somebody else's lease although this agent has written it: another one of its name has
    /// written it since. What hangs on no lease was written by hand.
    pub fn is_taken_over(&self) -> bool {
        let foreign = |lease: LeaseId| lease != 0 && !self.granted.contains(&lease);
        self.has_written && self.member.as_ref().is_some_and(|(_, lease)| foreign(*lease))
    }

    /// Whether a release that was sent for the lock as it is now may still arrive.
    pub fn may_be_released(&self) -> bool {
        self.release_sent != 0 && self.release_sent >= self.lock_revision
    }

    /// Forgets a lease that etcd does not know any more, and the keys that went with it.
    pub fn lost(&mut self, id: LeaseId) {
        if self.current.is_some_and(|lease| lease.id == id) {
            self.current = None;
        }
        if self.member.as_ref().is_some_and(|(_, lease)| *lease == id) {
            self.member = None;
        }
    }
}
