//! What the DCS said.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::records::{
    FailoverRecord, FailsafeRecord, HistoryRecord, Initialize, MemberRecord, StatusRecord, SyncRecord,
};

/// The DCS as this node saw it at the start of the cycle.
#[derive(Debug, Clone, PartialEq)]
#[allow(clippy::large_enum_variant)] // there is one of it at a time, and it is passed by reference
pub enum ClusterView {
    /// The read succeeded.
    Known(Cluster),
    /// The read failed, retries included (`DCSError`). Nothing may be concluded about the cluster's state.
    Unreachable {
        /// The last error, for people.
        reason: String,
    },
}

/// A value and the store's revision at which it was last changed; 0 if the key is absent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Versioned<T> {
    /// The parsed record; its default if the key is absent.
    pub value: T,
    /// etcd's `mod_revision`, what compare-and-set writes compare; 0 if the key is absent.
    pub mod_revision: i64,
}

impl<T> Versioned<T> {
    /// A value read at a revision.
    pub fn new(value: T, mod_revision: i64) -> Self {
        Versioned { value, mod_revision }
    }
}

/// The `leader` key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leader {
    /// Who holds the lock.
    pub name: String,
    /// When the key was last put.
    pub mod_revision: i64,
    /// The lease the key hangs on; 0 for none.
    pub lease_id: i64,
}

/// All of the cluster's keys, from one consistent read.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Cluster {
    /// The store's revision of the read. A view older than one seen before is stale and is not acted upon (Patroni issue
    /// 3314: a lagging etcd member showed a healthy leader its predecessor's name).
    pub revision: i64,
    /// The Raft term of the answering member.
    pub raft_term: u64,
    /// The id of the etcd cluster. Another one was set up anew: its terms and revisions start over.
    pub cluster_id: u64,
    /// The lock, if anybody holds it.
    pub leader: Option<Leader>,
    /// The members' records by name.
    pub members: BTreeMap<String, MemberRecord>,
    /// `/initialize`, if present.
    pub initialize: Option<Initialize>,
    /// `/config`, if present.
    pub config: Option<Versioned<Value>>,
    /// `/status`.
    pub status: Versioned<StatusRecord>,
    /// `/history`, if present.
    pub history: Option<HistoryRecord>,
    /// `/failover`, if it holds a request.
    pub failover: Option<Versioned<FailoverRecord>>,
    /// `/sync`.
    pub sync: Versioned<SyncRecord>,
    /// `/failsafe`, if present.
    pub failsafe: Option<FailsafeRecord>,
}

impl Cluster {
    /// Whether nobody holds the lock.
    pub fn is_unlocked(&self) -> bool {
        self.leader.is_none()
    }

    /// The lock holder's name.
    pub fn leader_name(&self) -> Option<&str> {
        self.leader.as_ref().map(|leader| leader.name.as_str())
    }

    /// Whether `name` holds the lock.
    pub fn is_leader(&self, name: &str) -> bool {
        self.leader_name() == Some(name)
    }

    /// The lock holder's member record, if it has one.
    pub fn leader_record(&self) -> Option<&MemberRecord> {
        self.members.get(self.leader_name()?)
    }

    /// The timeline that `/history` speaks of (`Cluster.timeline`); 0 if the key is absent.
    pub fn timeline(&self) -> u32 {
        self.history.as_ref().map_or(0, HistoryRecord::timeline)
    }
}
