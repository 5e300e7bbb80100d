//! etcd's errors with the codes and texts that clients match on (`api/v3rpc/rpctypes/error.go`).

use std::fmt;

use tonic::{Code, Status};

/// Why a request was not answered.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the names are etcd's own; `parts` gives each its text")]
pub enum EtcdError {
    EmptyKey,
    KeyNotFound,
    ValueProvided,
    LeaseProvided,
    TooManyOps,
    DuplicateKey,
    RequestTooLarge,
    Compacted,
    FutureRev,
    LeaseNotFound,
    LeaseExists,
    LeaseTtlTooLarge,
    NoLeader,
    NotLeader,
    LeaderChanged,
    Stopped,
    Timeout,
    TimeoutDueToLeaderFail,
    TimeoutDueToConnectionLost,
    /// The proposal never reached Raft within the request time-out: nobody was leader.
    DeadlineExceeded,
    /// `lease.ErrNotPrimary` has no gRPC code of its own in etcd: clients see `Unknown`.
    NotPrimary,
    MemberNotFound,
    BadLeaderTransferee,
    ProposalDropped,
    /// A service of etcd that the model does not have.
    Unimplemented(&'static str),
}

impl EtcdError {
    fn parts(&self) -> (Code, &'static str) {
        match self {
            Self::EmptyKey => (Code::InvalidArgument, "etcdserver: key is not provided"),
            Self::KeyNotFound => (Code::InvalidArgument, "etcdserver: key not found"),
            Self::ValueProvided => (Code::InvalidArgument, "etcdserver: value is provided"),
            Self::LeaseProvided => (Code::InvalidArgument, "etcdserver: lease is provided"),
            Self::TooManyOps => (Code::InvalidArgument, "etcdserver: too many operations in txn request"),
            Self::DuplicateKey => (Code::InvalidArgument, "etcdserver: duplicate key given in txn request"),
            Self::RequestTooLarge => (Code::InvalidArgument, "etcdserver: request is too large"),
            Self::Compacted => (Code::OutOfRange, "etcdserver: mvcc: required revision has been compacted"),
            Self::FutureRev => (Code::OutOfRange, "etcdserver: mvcc: required revision is a future revision"),
            Self::LeaseNotFound => (Code::NotFound, "etcdserver: requested lease not found"),
            Self::LeaseExists => (Code::FailedPrecondition, "etcdserver: lease already exists"),
            Self::LeaseTtlTooLarge => (Code::OutOfRange, "etcdserver: too large lease TTL"),
            Self::NoLeader => (Code::Unavailable, "etcdserver: no leader"),
            Self::NotLeader => (Code::FailedPrecondition, "etcdserver: not leader"),
            Self::LeaderChanged => (Code::Unavailable, "etcdserver: leader changed"),
            Self::Stopped => (Code::Unavailable, "etcdserver: server stopped"),
            Self::Timeout => (Code::Unavailable, "etcdserver: request timed out"),
            Self::TimeoutDueToLeaderFail => {
                (Code::Unavailable, "etcdserver: request timed out, possibly due to previous leader failure")
            }
            Self::TimeoutDueToConnectionLost => {
                (Code::Unavailable, "etcdserver: request timed out, possibly due to connection lost")
            }
            Self::DeadlineExceeded => (Code::DeadlineExceeded, "context deadline exceeded"),
            Self::NotPrimary => (Code::Unknown, "not a primary lessor"),
            Self::MemberNotFound => (Code::NotFound, "etcdserver: member not found"),
            Self::BadLeaderTransferee => (Code::FailedPrecondition, "etcdserver: bad leader transferee"),
            Self::ProposalDropped => (Code::Unknown, "raft proposal dropped"),
            Self::Unimplemented(what) => (Code::Unimplemented, what),
        }
    }
}

impl fmt::Display for EtcdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.parts().1)
    }
}

impl std::error::Error for EtcdError {}

impl From<EtcdError> for Status {
    fn from(error: EtcdError) -> Self {
        let (code, text) = error.parts();
        Status::new(code, text)
    }
}
