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
    /// What the member key holds and which lease it hangs on, as of our last write.
    pub member: Option<(String, LeaseId)>,
}

impl LeaseState {
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
