//! The [`Kv`] port: etcd's v3 API as it is, cut down to what Patroni's keys need. Keys and values are UTF-8 strings, as all
//! of Patroni's are. Implemented by [`super::Etcd`]; a second store (Consul, Kubernetes) would be a second implementation.

use std::{collections::BTreeMap, future::Future, time::Duration};

/// A lease's id, as etcd assigns it. 0 means "no lease".
pub type LeaseId = i64;

/// One key as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyValue {
    /// Its value.
    pub value: String,
    /// Revision of its last change.
    pub mod_revision: i64,
    /// The lease it is attached to; 0: none.
    pub lease: LeaseId,
}

/// What a range returned: all keys under one prefix at one revision.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Range {
    /// The store's revision at which it was read.
    pub revision: i64,
    /// The answering member's Raft term.
    pub raft_term: u64,
    /// The id of the etcd cluster.
    pub cluster_id: u64,
    /// Full key to what it holds.
    pub keys: BTreeMap<String, KeyValue>,
}

/// A condition of a transaction; all are equalities, as Patroni needs no others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Compare {
    /// The key does not exist (`create_revision == 0`).
    Absent(String),
    /// The key was last changed at this revision.
    ModRevision(String, i64),
    /// The key holds this value.
    Value(String, String),
    /// The key is attached to this lease.
    Lease(String, LeaseId),
}

/// An operation of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// Writes a key, attached to a lease unless that is 0.
    Put(String, String, LeaseId),
    /// Deletes a key.
    Delete(String),
    /// Reads a key.
    Get(String),
    /// A transaction inside.
    Txn(Txn),
}

/// `If compare Then success Else failure`, atomically.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Txn {
    /// All must hold.
    pub compare: Vec<Compare>,
    /// Done when they do.
    pub success: Vec<Op>,
    /// Done when one does not.
    pub failure: Vec<Op>,
}

/// What a transaction did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TxnOutcome {
    /// The comparisons held.
    pub succeeded: bool,
    /// Revision after it.
    pub revision: i64,
    /// Result of the last operation of the branch if that was a transaction.
    pub inner_succeeded: Option<bool>,
    /// Keys that `Get` operations found.
    pub found: BTreeMap<String, KeyValue>,
}

/// Why a request brought no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KvError {
    /// The server answered that it did not and will not do it: no such lease, no space, not allowed.
    #[error("etcd refused: {0}")]
    Refused(String),
    /// The request left this machine for no server: it certainly had no effect.
    #[error("etcd cannot be reached: {0}")]
    NotSent(String),
    /// It was sent; whether it takes effect nobody knows. A later reply, a reset connection and an answer such as
    /// "no leader" or "request timed out" all leave the request possibly in some member's queue.
    #[error("etcd did not answer: {0}")]
    Unknown(String),
}

/// How hard to try within `retry_timeout`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tries {
    /// One member after the other until one answers or the time is up. Only for what may be done twice.
    Repeat,
    /// Further members only as long as the request was certainly not sent.
    Once,
}

/// etcd's API. Every call returns within the configured `retry_timeout`.
pub trait Kv: Send + Sync + 'static {
    /// An open watch.
    type Watch: KvWatch;

    /// Applies changed time limits (a changed dynamic configuration).
    fn set_timing(&self, ttl: Duration, loop_wait: Duration, retry_timeout: Duration);

    /// All keys that begin with `prefix`, linearizable.
    fn range(&self, prefix: &str) -> impl Future<Output = Result<Range, KvError>> + Send;

    /// Runs a transaction.
    fn txn(&self, txn: Txn, tries: Tries) -> impl Future<Output = Result<TxnOutcome, KvError>> + Send;

    /// Writes a key and returns the revision; attached to `lease` unless that is 0. Refused when there is no such lease.
    fn put(
        &self,
        key: &str,
        value: &str,
        lease: LeaseId,
        tries: Tries,
    ) -> impl Future<Output = Result<i64, KvError>> + Send;

    /// Deletes a key; tells whether it was there.
    fn delete(&self, key: &str, tries: Tries) -> impl Future<Output = Result<bool, KvError>> + Send;

    /// A new lease of `ttl_s` seconds.
    fn lease_grant(&self, ttl_s: i64) -> impl Future<Output = Result<LeaseId, KvError>> + Send;

    /// Sets a lease back to its full time; `false`: there is no such lease any more.
    fn lease_keepalive(&self, lease: LeaseId) -> impl Future<Output = Result<bool, KvError>> + Send;

    /// How long a lease still has, in whole seconds; `None`: there is no such lease any more.
    fn lease_time_to_live(&self, lease: LeaseId) -> impl Future<Output = Result<Option<i64>, KvError>> + Send;

    /// Ends a lease and deletes the keys attached to it.
    fn lease_revoke(&self, lease: LeaseId) -> impl Future<Output = Result<(), KvError>> + Send;

    /// Watches the keys under `prefix` from the present on.
    fn watch(&self, prefix: &str) -> impl Future<Output = Result<Self::Watch, KvError>> + Send;
}

/// Changes as they come. A hint to look, never a source of truth: a watch can die silently.
pub trait KvWatch: Send + 'static {
    /// The keys that changed next; an error when the watch ended. It cannot be used after that.
    fn changed(&mut self) -> impl Future<Output = Result<Vec<String>, KvError>> + Send;
}
