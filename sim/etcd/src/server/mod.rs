//! etcd's gRPC services on one member.

mod cluster;
pub(crate) mod incoming;
mod kv;
pub(crate) mod lease;
mod maintenance;
pub(crate) mod watch;

use std::sync::Arc;

use tonic::{Status, metadata::MetadataMap};

use crate::{error::EtcdError, member::Member};

/// Implements all services of one member; `N` is how it reaches the leader about leases.
#[derive(Clone)]
pub(crate) struct Server<N> {
    pub member: Arc<Member>,
    pub net: N,
}

/// Whether the client set `hasleader` (clientv3's `WithRequireLeader`): then a member that has no leader refuses at once.
fn requires_leader(metadata: &MetadataMap) -> bool {
    metadata.get("hasleader").is_some_and(|v| v == "true")
}

impl<N> Server<N> {
    /// What etcd's interceptor does before every request.
    fn admit(&self, metadata: &MetadataMap) -> Result<(), Status> {
        if requires_leader(metadata) && self.member.peek.leader() == 0 {
            return Err(EtcdError::NoLeader.into());
        }
        Ok(())
    }
}
