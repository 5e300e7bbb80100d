//! The processes that faults are done to.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A process, by the service it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Process {
    /// The HA agent (Patroni or pgdrill's) of a node.
    Agent,
    /// The dead-man process beside pgdrill's agent, see `cluster.fencing`. Its agent starts it again.
    Deadman,
    /// The PostgreSQL of a node.
    Postgres,
    /// An etcd member.
    Etcd,
    /// The router.
    Haproxy,
}

impl Process {
    /// Its name in the file and in events.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Deadman => "deadman",
            Self::Postgres => "postgres",
            Self::Etcd => "etcd",
            Self::Haproxy => "haproxy",
        }
    }
}

impl Process {
    /// Whether it is its agent's to start again, so that a kill is no lasting fault.
    #[must_use]
    pub const fn is_started_by_its_agent(self) -> bool {
        matches!(self, Self::Postgres | Self::Deadman)
    }
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
