//! The health checks: which node may say 200 to what. Pure, so that the whole truth table can be tested.
//!
//! The rule that matters most: `/primary` and `/leader` are 200 only while the lock's deadline, counted on the monotonic
//! clock from before the lock was last asked for, has not passed. Whether the loop still runs makes no difference.

use pgdrill_ha::{
    Lsn, Monotonic,
    records::{MemberRole, ReplicationState},
    view::{Cluster, PostgresRole, Process},
};
use serde_json::Value;

use super::quantity;
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
    /// Failsafe mode is at work here.
    pub failsafe_is_active: bool,
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
    /// The check behind a path. Patroni looks for words in it, in this order: `/standby-leader`, but also `/my-replica`.
    pub fn from_path(path: &str) -> Option<Self> {
        let has = |word: &str| path.contains(word);
        Some(match path {
            "/" => Self::Primary,
            "/liveness" => Self::Liveness,
            "/readiness" => Self::Readiness,
            _ if has("standby_leader") || has("standby-leader") => Self::StandbyLeader,
            _ if has("leader") => Self::Leader,
            _ if has("master") || has("primary") || has("read-write") => Self::Primary,
            _ if has("replica") => Self::Replica,
            _ if has("read-only") && !has("sync") && !has("quorum") => Self::ReadOnly,
            _ if has("health") => Self::Health,
            "/sync" | "/synchronous" => Self::Synchronous,
            "/async" | "/asynchronous" => Self::Asynchronous,
            "/quorum" => Self::Quorum,
            "/read-only-sync" | "/read-only-synchronous" => Self::ReadOnlySynchronous,
            "/read-only-quorum" => Self::ReadOnlyQuorum,
            _ => return None,
        })
    }

    /// Whether the answer is 200.
    pub fn holds(self, node: &Node<'_>, query: &Query) -> bool {
        // Whoever asks for the leader or for this node itself gets it whatever its tags are.
        let ignores_tags =
            matches!(self, Self::Primary | Self::Leader | Self::StandbyLeader | Self::Liveness | Self::Readiness);
        let leads = || node.is_primary() || node.is_standby_leader();
        let holds = match self {
            Self::Primary => node.is_primary(),
            Self::Leader => node.is_leader() || node.undisputed_role().is_some(),
            Self::StandbyLeader => node.is_standby_leader(),
            Self::Replica => node.is_replica(query),
            Self::ReadOnly => leads() || node.is_replica(query),
            Self::Synchronous => node.is_replica(query) && node.is_synchronous(),
            Self::Asynchronous => node.is_replica(query) && node.is_asynchronous(),
            Self::Quorum => node.is_replica(query) && node.is_voter(),
            Self::ReadOnlySynchronous => {
                node.cluster().is_some() && (leads() || node.is_replica(query) && node.is_synchronous())
            }
            Self::ReadOnlyQuorum => node.cluster().is_some() && (leads() || node.is_replica(query) && node.is_voter()),
            Self::Health => node.is_running(),
            Self::Liveness => node.is_alive(),
            Self::Readiness => node.is_ready(query),
        };
        holds && (ignores_tags || node.has_tags(query))
    }
}

impl Node<'_> {
    fn is_leader(&self) -> bool {
        self.published.is_leader(self.now)
    }

    fn is_running(&self) -> bool {
        self.published.postgres.process == Process::Running
    }

    /// The DCS as last read, for as long as Patroni trusts its own reading: `ttl`.
    fn cluster(&self) -> Option<&Cluster> {
        self.published.known_cluster(self.now)
    }

    /// In pause nobody takes over: a leader that cannot see the DCS is still the one.
    fn undisputed_role(&self) -> Option<MemberRole> {
        let undisputed = self.published.config.paused && self.cluster().is_none();
        let leads = |role: &MemberRole| matches!(role, MemberRole::Primary | MemberRole::StandbyLeader);
        self.published.role.filter(|role| undisputed && leads(role))
    }

    /// Holds the lock and accepts writes. Patroni says 200 from the moment it holds the lock; until the promotion is
    /// through, that sends writes to a server that refuses them.
    fn is_primary(&self) -> bool {
        let published = self.published;
        let accepts_writes = self.is_running() && published.postgres.role == PostgresRole::Primary;
        let undisputed = self.undisputed_role() == Some(MemberRole::Primary);
        accepts_writes && published.config.standby_cluster.is_none() && (self.is_leader() || undisputed)
    }

    fn is_standby_leader(&self) -> bool {
        let published = self.published;
        let replicates = matches!(published.role, Some(MemberRole::Replica | MemberRole::StandbyLeader));
        let leads = self.is_leader() && published.config.standby_cluster.is_some() && replicates;
        leads || self.undisputed_role() == Some(MemberRole::StandbyLeader)
    }

    fn is_replica(&self, query: &Query) -> bool {
        let published = self.published;
        self.is_running()
            && published.role == Some(MemberRole::Replica)
            && !published.config.tags.noloadbalance()
            && query.lag_bytes.is_none_or(|limit| self.lag_bytes(published.postgres.replayed_lsn) <= limit)
    }

    /// How far the upstream was when it last spoke to our walreceiver.
    fn seen_upstream(&self) -> Option<Lsn> {
        self.published.server.as_ref()?.walreceiver.as_ref()?.latest_end_lsn
    }

    /// How far `position` is behind the furthest that is known of the leader.
    fn lag_bytes(&self, position: Option<Lsn>) -> u64 {
        let optime = self.cluster().and_then(|cluster| cluster.status.value.optime);
        optime.max(self.seen_upstream()).map_or(0, |ahead| position.unwrap_or_default().bytes_behind(ahead))
    }

    fn has_tags(&self, query: &Query) -> bool {
        // Python's `str(value).lower()` for what is no text.
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string().to_lowercase(), str::to_owned);
        let tags = self.published.config.tags.shown();
        query.tags.iter().all(|(name, wanted)| tags.0.get(name).is_some_and(|value| text(value) == *wanted))
    }

    /// Named in `/sync`; `None` without a view of the DCS: then nobody knows who is synchronous.
    fn is_named_in_sync(&self) -> Option<bool> {
        let cluster = self.cluster()?;
        Some(self.published.config.is_synchronous() && cluster.sync.value.is_standby(self.name))
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
        if !self.is_running() || replication_state(published) != Some(ReplicationState::Streaming) {
            return false;
        }
        if self.cluster().is_none() && self.seen_upstream().is_none() {
            // Nobody can tell how far behind we are; the members' word has to do.
            return self.failsafe_is_active;
        }
        let position = match query.by_received {
            true => published.postgres.received_lsn,
            false => published.postgres.replayed_lsn,
        };
        let limit = query.lag_bytes.unwrap_or(published.config.maximum_lag_on_failover_bytes);
        self.lag_bytes(position) <= limit
    }
}

impl Query {
    /// Reads the parameters; what is not known is ignored, and of a repeated one the first counts, as in Patroni.
    pub fn new(parameters: &[(String, String)]) -> Self {
        let first = |wanted: &str| parameters.iter().find(|(name, value)| name == wanted && !value.is_empty());
        let mut tags: Vec<(String, String)> = Vec::new();
        for (name, value) in parameters {
            if let Some(tag) = name.strip_prefix("tag_").filter(|_| !value.is_empty())
                && tags.iter().all(|(seen, _)| seen != tag)
            {
                tags.push((tag.to_owned(), value.clone()));
            }
        }
        Self {
            lag_bytes: first("lag").and_then(|(_, value)| quantity::bytes(value)),
            by_received: first("mode").is_some_and(|(_, value)| value == "write"),
            tags,
        }
    }
}

#[cfg(test)]
#[path = "checks_tests.rs"]
mod tests;
