//! A DCS by etcd's rules: one revision for all keys, compare-and-swap, and keys that go with their lease.
//!
//! A lease lasts at least ttl since its last keepalive, by the DCS's own clock, and longer while etcd's leader does not look
//! ([`Etcd::is_lazy`]). What the network does to requests and answers is in `link`.

use std::collections::BTreeMap;

use pgdrill_ha::records::{
    FailoverRecord, FailsafeRecord, HistoryRecord, Initialize, MemberRecord, StatusRecord, SyncRecord,
};
use pgdrill_ha::view::{Cluster, Leader, Versioned};

use super::{Ms, NAMES, TTL};
use crate::fixture::SYSTEM_ID;

/// What a node asks of the DCS: the requests of the agent's `Dcs`, one for one.
#[derive(Debug, Clone)]
pub enum Request {
    Read,
    Grant,
    KeepAlive(i64),
    /// If nobody holds the lock, take it and write `status`.
    Acquire {
        lease: i64,
        status: StatusRecord,
    },
    /// If the lock is ours and on this lease, write `status`.
    Verify {
        lease: i64,
        status: Option<StatusRecord>,
    },
    /// If the lock carries our name, put it on this lease.
    Rebind {
        lease: i64,
        status: Option<StatusRecord>,
    },
    /// If the lock carries our name and was last put at this revision, delete it.
    Release {
        status: Option<StatusRecord>,
        expected: i64,
    },
    Sync {
        record: SyncRecord,
        expected: i64,
    },
    Failsafe(FailsafeRecord),
    History(HistoryRecord),
    ClearFailover {
        expected: i64,
    },
    /// Write our member key, and before that keep the lease alive, if asked to.
    Touch {
        lease: i64,
        keep: bool,
        record: Box<MemberRecord>,
    },
}

/// What it says.
#[derive(Debug, Clone)]
pub enum Answer {
    Cluster(Box<Cluster>),
    Granted(i64),
    Alive(bool),
    /// Done, at this revision.
    Done(i64),
    /// The comparison failed, and the lock is ours all the same: on this lease, with `status` at this revision.
    Ours {
        lease: i64,
        status: i64,
        mod_revision: i64,
    },
    /// The comparison failed.
    Failed,
    /// There is no such lease.
    Refused,
}

/// The `leader` key.
#[derive(Debug, Clone, PartialEq)]
pub struct Lock {
    pub holder: usize,
    pub lease: i64,
    pub mod_revision: i64,
}

#[derive(Debug, Clone)]
pub struct Etcd {
    pub revision: i64,
    pub lock: Option<Lock>,
    members: BTreeMap<usize, (MemberRecord, i64)>,
    pub status: Versioned<StatusRecord>,
    pub sync: Versioned<SyncRecord>,
    failsafe: Option<FailsafeRecord>,
    pub failover: Option<Versioned<FailoverRecord>>,
    history: HistoryRecord,
    /// When each lease was granted or last kept alive.
    leases: BTreeMap<i64, Ms>,
    /// No lease ends, however old, until etcd's leader looks again.
    pub is_lazy: bool,
}

impl Etcd {
    pub fn new(sync: Versioned<SyncRecord>) -> Self {
        Etcd {
            revision: 10,
            lock: None,
            members: BTreeMap::new(),
            status: Versioned::default(),
            sync,
            failsafe: None,
            failover: None,
            history: HistoryRecord::default(),
            leases: BTreeMap::new(),
            is_lazy: false,
        }
    }

    /// When somebody else may have the lock at the earliest, as long as its holder does nothing more; `None`: now.
    pub fn lock_lasts_until(&self, holder: usize) -> Option<Ms> {
        let lock = self.lock.as_ref().filter(|lock| lock.holder == holder)?;
        self.leases.get(&lock.lease).map(|refreshed| refreshed + TTL)
    }

    /// Ends the leases whose time is over, with their keys.
    pub fn expire(&mut self, now: Ms) {
        if self.is_lazy {
            return;
        }
        let ended: Vec<i64> =
            self.leases.iter().filter(|(_, refreshed)| now >= **refreshed + TTL).map(|(lease, _)| *lease).collect();
        for lease in ended {
            self.leases.remove(&lease);
            self.revision += 1;
            self.lock.take_if(|lock| lock.lease == lease);
            self.members.retain(|_, (_, of)| *of != lease);
        }
    }

    /// Asks for a switchover, as an operator does.
    pub fn ask_for(&mut self, record: FailoverRecord) {
        self.revision += 1;
        self.failover = Some(Versioned::new(record, self.revision));
    }

    /// What a request of `node` does.
    pub fn execute(&mut self, node: usize, request: &Request, now: Ms) -> Answer {
        match request {
            Request::Read => Answer::Cluster(Box::new(self.cluster())),
            Request::Grant => {
                self.revision += 1;
                self.leases.insert(self.revision, now);
                Answer::Granted(self.revision)
            }
            Request::KeepAlive(lease) => Answer::Alive(self.keep_alive(*lease, now)),
            Request::Acquire { .. } | Request::Verify { .. } | Request::Rebind { .. } | Request::Release { .. } => {
                self.lock_transaction(node, request)
            }
            Request::Sync { record, expected } => {
                if self.sync.mod_revision != *expected {
                    // A try of our own whose answer was lost is not a conflict.
                    let is_ours = self.sync.value == *record;
                    return if is_ours { Answer::Done(self.sync.mod_revision) } else { Answer::Failed };
                }
                self.revision += 1;
                self.sync = Versioned::new(record.clone(), self.revision);
                Answer::Done(self.revision)
            }
            // Both by the holder of the lock alone.
            Request::Failsafe(_) | Request::History(_) if self.lock.as_ref().is_none_or(|lock| lock.holder != node) => {
                Answer::Failed
            }
            Request::Failsafe(record) => self.put(|etcd| etcd.failsafe = Some(record.clone())),
            Request::History(record) => self.put(|etcd| etcd.history = record.clone()),
            Request::ClearFailover { expected } => {
                if self.failover.take_if(|request| request.mod_revision == *expected).is_some() {
                    self.revision += 1;
                }
                Answer::Done(self.revision)
            }
            Request::Touch { lease, keep, record } => {
                let alive = if *keep { self.keep_alive(*lease, now) } else { self.leases.contains_key(lease) };
                if !alive {
                    return Answer::Refused;
                }
                let record = (**record).clone();
                self.put(|etcd| drop(etcd.members.insert(node, (record, *lease))))
            }
        }
    }

    fn keep_alive(&mut self, lease: i64, now: Ms) -> bool {
        self.leases.get_mut(&lease).map(|refreshed| *refreshed = now).is_some()
    }

    fn put(&mut self, write: impl FnOnce(&mut Self)) -> Answer {
        self.revision += 1;
        write(self);
        Answer::Done(self.revision)
    }

    fn lock_transaction(&mut self, node: usize, request: &Request) -> Answer {
        let own = self.lock.as_ref().filter(|lock| lock.holder == node).map(|lock| (lock.lease, lock.mod_revision));
        let ours = own.map(|(lease, _)| lease);
        let (holds, lease, status) = match request {
            Request::Acquire { lease, status } => (self.lock.is_none(), Some(*lease), Some(status)),
            Request::Verify { lease, status } => (ours == Some(*lease), None, status.as_ref()),
            Request::Rebind { lease, status } => (ours.is_some(), Some(*lease), status.as_ref()),
            Request::Release { status, expected } => {
                (own.is_some_and(|(_, put)| put == *expected), None, status.as_ref())
            }
            _ => unreachable!("not about the lock"),
        };
        match (holds, own) {
            (false, Some((lease, mod_revision))) => {
                return Answer::Ours { lease, status: self.status.mod_revision, mod_revision };
            }
            (false, None) => return Answer::Failed,
            (true, _) => {}
        }
        if lease.is_some_and(|lease| !self.leases.contains_key(&lease)) {
            return Answer::Refused;
        }
        self.revision += 1;
        if let Some(lease) = lease {
            self.lock = Some(Lock { holder: node, lease, mod_revision: self.revision });
        }
        if matches!(request, Request::Release { .. }) {
            self.lock = None;
        }
        if let Some(status) = status {
            self.status = Versioned::new(status.clone(), self.revision);
        }
        Answer::Done(self.revision)
    }

    fn cluster(&self) -> Cluster {
        let name = |node: usize| NAMES[node].to_owned();
        Cluster {
            revision: self.revision,
            raft_term: 2,
            leader: self.lock.as_ref().map(|lock| Leader {
                name: name(lock.holder),
                mod_revision: lock.mod_revision,
                lease_id: lock.lease,
            }),
            members: self.members.iter().map(|(node, (record, _))| (name(*node), record.clone())).collect(),
            initialize: Some(Initialize::SystemIdentifier(SYSTEM_ID)),
            config: Some(Versioned::new(serde_json::json!({}), 3)),
            status: self.status.clone(),
            history: Some(self.history.clone()),
            failover: self.failover.clone(),
            sync: self.sync.clone(),
            failsafe: self.failsafe.clone(),
            ..Cluster::default()
        }
    }
}
