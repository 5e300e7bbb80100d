//! Where programs, settings, data and logs are in every container.

use pgdrill_lab::scenario::{PostgresqlMajor, Process};

/// PostgreSQL's data directory.
pub const PGDATA: &str = "/var/lib/postgresql/data/pg";

/// An etcd member's data directory.
pub const ETCD_DATA: &str = "/var/lib/etcd/member";

/// Where the programs of a PostgreSQL are.
#[must_use]
pub fn bin_dir(postgresql: PostgresqlMajor) -> String {
    format!("/usr/lib/postgresql/{postgresql}/bin")
}

/// The settings of the agent.
pub const PATRONI_YML: &str = "/etc/pgdrill/patroni.yml";

/// The settings of HAProxy.
pub const HAPROXY_CFG: &str = "/etc/pgdrill/haproxy.cfg";

/// What a service writes.
#[must_use]
pub fn log_of(process: Process) -> String {
    format!("/var/log/pgdrill/{process}.log")
}
