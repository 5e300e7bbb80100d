//! The health checks: which node may say 200 to what. Pure, so that the whole truth table can be tested.
//!
//! The rule that matters most: `/primary` and `/leader` are 200 only while the lock's deadline, counted on the monotonic
//! clock from before the lock was last asked for, has not passed. Whether the loop still runs makes no difference.

use pgdrill_ha::{
    Lsn, Monotonic,
    records::{MemberRole, ReplicationState},
    view::{PostgresRole, Process},
};

use crate::daemon::{Published, member::replication_state};

/// A check that a path stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Check {
    Primary,
    Leader,
    StandbyLeader,
    Replica,
    ReadOnly,
    Synchronous,
    Asynchronous,
    Quorum,
    ReadOnlySynchronous,
    ReadOnlyQuorum,
    Health,
    Liveness,
    Readiness,
}

/// Everything a check looks at.
pub(crate) struct Node<'a> {
    /// Our member name.
    pub name: &'a str,
    /// The loop's latest view.
    pub published: &'a Published,
    /// Now, on the clock of the lock's deadline.
    pub now: Monotonic,
}

/// The query parameters that checks know.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Query {
    /// `lag`: how far behind a replica may be, in bytes.
    lag_bytes: Option<u64>,
    /// `mode=write`: readiness looks at what was received rather than at what was replayed.
    by_received: bool,
    /// `tag_<name>=<value>`: the tag must have that value.
    tags: Vec<(String, String)>,
}

impl Check {
    pub fn from_path(path: &str) -> Option<Self> {
        Some(match path {
            "primary" | "master" | "read-write" => Self::Primary,
            "leader" => Self::Leader,
            "standby-leader" | "standby_leader" => Self::StandbyLeader,
            "replica" => Self::Replica,
            "read-only" => Self::ReadOnly,
            "synchronous" | "sync" => Self::Synchronous,
            "asynchronous" | "async" => Self::Asynchronous,
            "quorum" => Self::Quorum,
            "read-only-sync" => Self::ReadOnlySynchronous,
            "read-only-quorum" => Self::ReadOnlyQuorum,
            "health" => Self::Health,
            "liveness" => Self::Liveness,
            "readiness" => Self::Readiness,
            _ => return None,
        })
    }

    /// Whether the answer is 200.
    pub fn holds(self, node: &Node<'_>, query: &Query) -> bool {
        match self {
            Self::Primary => node.is_primary() && node.has_tags(query),
            Self::Leader => node.is_leader(),
            Self::StandbyLeader => node.is_leader() && node.published.config.standby_cluster.is_some(),
            Self::Replica => node.is_replica(query),
            Self::ReadOnly => node.is_primary() || node.is_replica(query),
            Self::Synchronous => node.is_replica(query) && node.is_synchronous(),
            Self::Asynchronous => node.is_replica(query) && node.is_asynchronous(),
            Self::Quorum => node.is_replica(query) && node.is_voter(),
            Self::ReadOnlySynchronous => node.is_primary() || node.is_replica(query) && node.is_synchronous(),
            Self::ReadOnlyQuorum => node.is_primary() || node.is_replica(query) && node.is_voter(),
            Self::Health => node.is_running(),
            Self::Liveness => node.is_alive(),
            Self::Readiness => node.is_ready(query),
        }
    }
}

impl Node<'_> {
    fn is_leader(&self) -> bool {
        self.published.is_leader(self.now)
    }

    fn is_running(&self) -> bool {
        self.published.postgres.process == Process::Running
    }

    /// Holds the lock and accepts writes. Patroni says 200 from the moment it holds the lock; until the promotion is
    /// through, that sends writes to a server that refuses them.
    fn is_primary(&self) -> bool {
        let published = self.published;
        let accepts_writes = self.is_running() && published.postgres.role == PostgresRole::Primary;
        // In pause nobody takes over: a primary that cannot see the DCS is still the one.
        let undisputed = published.config.paused && published.dcs_unreachable;
        accepts_writes && published.config.standby_cluster.is_none() && (self.is_leader() || undisputed)
    }

    fn is_replica(&self, query: &Query) -> bool {
        let published = self.published;
        self.is_running()
            && published.role == Some(MemberRole::Replica)
            && !published.config.tags.noloadbalance()
            && self.has_tags(query)
            && query.lag_bytes.is_none_or(|limit| self.lag_bytes(published.postgres.replayed_lsn) <= limit)
    }

    /// How far `position` is behind the furthest that is known of the leader.
    fn lag_bytes(&self, position: Option<Lsn>) -> u64 {
        let published = self.published;
        let optime = published.cluster.as_ref().and_then(|cluster| cluster.status.value.optime);
        let server = published.server.as_ref();
        let seen = server.and_then(|server| server.walreceiver.as_ref()?.latest_end_lsn);
        optime.max(seen).map_or(0, |ahead| position.unwrap_or_default().bytes_behind(ahead))
    }

    fn has_tags(&self, query: &Query) -> bool {
        let text = |value: &serde_json::Value| match value {
            serde_json::Value::String(text) => text.to_lowercase(),
            other => other.to_string().to_lowercase(),
        };
        query.tags.iter().all(|(name, wanted)| {
            self.published.config.tags.0.get(name).is_some_and(|value| text(value) == wanted.to_lowercase())
        })
    }

    fn is_named_in_sync(&self) -> Option<bool> {
        // Without a view of the DCS nobody knows who is synchronous.
        let cluster = self.published.cluster.as_ref().filter(|_| !self.published.dcs_unreachable)?;
        Some(cluster.sync.value.is_standby(self.name))
    }

    fn is_synchronous(&self) -> bool {
        !self.published.config.is_quorum() && self.is_named_in_sync() == Some(true)
    }

    fn is_voter(&self) -> bool {
        self.published.config.is_quorum() && self.is_named_in_sync() == Some(true)
    }

    fn is_asynchronous(&self) -> bool {
        self.is_named_in_sync() == Some(false)
    }

    /// The loop has begun a cycle not too long ago.
    fn is_alive(&self) -> bool {
        let config = &self.published.config;
        let limit = if self.published.postgres.role == PostgresRole::Primary { config.ttl } else { config.ttl * 2 };
        config.paused || self.now.since(self.published.cycle_started) < limit
    }

    fn is_ready(&self, query: &Query) -> bool {
        if self.is_leader() && self.is_running() {
            return true;
        }
        let published = self.published;
        let streams = replication_state(published) == Some(ReplicationState::Streaming);
        let position = match query.by_received {
            true => published.postgres.received_lsn,
            false => published.postgres.replayed_lsn,
        };
        let limit = query.lag_bytes.unwrap_or(published.config.maximum_lag_on_failover_bytes);
        self.is_running() && streams && self.lag_bytes(position) <= limit
    }
}

impl Query {
    /// Reads a query string; what is not known is ignored, as in Patroni.
    pub fn parse(text: &str) -> Self {
        let mut query = Self::default();
        for part in text.split('&') {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            match name {
                "lag" => query.lag_bytes = bytes(value),
                "mode" => query.by_received = value == "write",
                _ => {
                    if let Some(tag) = name.strip_prefix("tag_") {
                        query.tags.push((tag.to_owned(), value.to_owned()));
                    }
                }
            }
        }
        query
    }
}

/// A size with PostgreSQL's units: `1048576`, `16kB`, `10MB`.
fn bytes(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kb" => 1 << 10,
        "mb" => 1 << 20,
        "gb" => 1 << 30,
        "tb" => 1 << 40,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

#[cfg(test)]
#[path = "checks_tests.rs"]
mod tests;
