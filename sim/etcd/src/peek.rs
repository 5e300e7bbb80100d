//! What the lab may see of a member from outside without asking it: for fault selectors such as "etcd leader".

use std::sync::{
    Arc,
    atomic::{AtomicI64, AtomicU64, Ordering::Relaxed},
};

/// A cheap, read-only view of one member, as that member sees itself. It outlives the process: of a dead or frozen member
/// it shows the last state.
#[derive(Clone, Debug, Default)]
pub struct Peek(Arc<Fields>);

#[derive(Debug, Default)]
struct Fields {
    leader: AtomicU64,
    term: AtomicU64,
    revision: AtomicI64,
    committed: AtomicU64,
    applied: AtomicU64,
}

impl Peek {
    /// A view that nobody has filled in yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Id of the member that this one takes for the leader; 0: none.
    #[must_use]
    pub fn leader(&self) -> u64 {
        self.0.leader.load(Relaxed)
    }

    /// Raft term.
    #[must_use]
    pub fn term(&self) -> u64 {
        self.0.term.load(Relaxed)
    }

    /// Newest applied revision.
    #[must_use]
    pub fn revision(&self) -> i64 {
        self.0.revision.load(Relaxed)
    }

    /// Index of the last entry known to be committed.
    #[must_use]
    pub fn committed_index(&self) -> u64 {
        self.0.committed.load(Relaxed)
    }

    /// Index of the last applied entry.
    #[must_use]
    pub fn applied_index(&self) -> u64 {
        self.0.applied.load(Relaxed)
    }

    pub(crate) fn set_raft(&self, leader: u64, term: u64, committed: u64) {
        self.0.leader.store(leader, Relaxed);
        self.0.term.store(term, Relaxed);
        self.0.committed.store(committed, Relaxed);
    }

    pub(crate) fn set_applied(&self, applied: u64, revision: i64) {
        self.0.applied.store(applied, Relaxed);
        self.0.revision.store(revision, Relaxed);
    }
}
