//! The ports that things listen on, each the usual one.

/// etcd, for clients.
pub const ETCD_CLIENT: u16 = 2379;
/// etcd, for its peers.
pub const ETCD_PEER: u16 = 2380;
/// PostgreSQL.
pub const POSTGRESQL: u16 = 5432;
/// The agent's REST API.
pub const REST: u16 = 8008;
/// HAProxy's way to the primary.
pub const PRIMARY: u16 = 5000;
/// HAProxy's own statistics.
pub const STATISTICS: u16 = 7000;
