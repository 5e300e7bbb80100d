//! The ports that things listen on, each the usual one.

/// etcd, for clients.
pub(crate) const ETCD_CLIENT: u16 = 2379;
/// etcd, for its peers.
pub(crate) const ETCD_PEER: u16 = 2380;
/// PostgreSQL.
pub(crate) const POSTGRESQL: u16 = 5432;
/// The agent's REST API.
pub(crate) const REST: u16 = 8008;
/// HAProxy's way to the primary.
pub(crate) const PRIMARY: u16 = 5000;
