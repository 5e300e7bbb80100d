//! What travels in Raft entries, in snapshots and between members: own messages in etcd's spirit (`InternalRaftRequest`).

use etcd_client::proto::{
    PbCompactionRequest, PbDeleteRequest, PbLeaseGrantRequest, PbLeaseRevokeRequest, PbPutRequest, PbTxnRequest,
};

use crate::store::Saved;

/// One entry of the log.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct InternalRaftRequest {
    /// Names the waiting request on the member that proposed it.
    #[prost(uint64, tag = "1")]
    pub id: u64,
    #[prost(oneof = "Op", tags = "2, 3, 4, 5, 6, 7")]
    pub op: Option<Op>,
}

/// What to do to the state machine.
#[derive(Clone, PartialEq, prost::Oneof)]
pub(crate) enum Op {
    #[prost(message, tag = "2")]
    Put(PbPutRequest),
    #[prost(message, tag = "3")]
    DeleteRange(PbDeleteRequest),
    #[prost(message, tag = "4")]
    Txn(PbTxnRequest),
    #[prost(message, tag = "5")]
    Compaction(PbCompactionRequest),
    #[prost(message, tag = "6")]
    LeaseGrant(PbLeaseGrantRequest),
    #[prost(message, tag = "7")]
    LeaseRevoke(PbLeaseRevokeRequest),
}

/// The data of a Raft snapshot: the whole state machine.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct SavedMachine {
    #[prost(message, optional, tag = "1")]
    pub store: Option<Saved>,
    #[prost(message, repeated, tag = "2")]
    pub leases: Vec<SavedLease>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct SavedLease {
    #[prost(int64, tag = "1")]
    pub id: i64,
    #[prost(int64, tag = "2")]
    pub ttl: i64,
}

/// The first frame of a connection between members.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Hello {
    #[prost(uint64, tag = "1")]
    pub cluster_id: u64,
    #[prost(uint64, tag = "2")]
    pub from: u64,
    #[prost(uint64, tag = "3")]
    pub to: u64,
    /// How often the sender's disk was wiped.
    #[prost(uint64, tag = "4")]
    pub incarnation: u64,
    /// Set: one question to the leader about a lease instead of a stream of Raft messages.
    #[prost(message, optional, tag = "5")]
    pub lease: Option<LeaseQuestion>,
}

/// What only the leader's lessor can answer (etcd asks it over HTTP: `leasehttp`).
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub(crate) struct LeaseQuestion {
    #[prost(int64, tag = "1")]
    pub id: i64,
    /// A keepalive; else how long it lives.
    #[prost(bool, tag = "2")]
    pub renew: bool,
}

/// The leader's answer.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct LeaseAnswer {
    #[prost(enumeration = "LeaseVerdict", tag = "1")]
    pub verdict: i32,
    /// Seconds left.
    #[prost(int64, tag = "2")]
    pub ttl: i64,
    #[prost(int64, tag = "3")]
    pub granted_ttl: i64,
    #[prost(bytes = "vec", repeated, tag = "4")]
    pub keys: Vec<Vec<u8>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub(crate) enum LeaseVerdict {
    /// Not answered: the caller asks again.
    Failed = 0,
    Found = 1,
    NotFound = 2,
}
