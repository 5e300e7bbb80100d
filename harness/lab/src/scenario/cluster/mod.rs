//! The cluster that a scenario is played on.

mod etcd;
mod fencing;
mod postgresql;
mod process;
mod size;
mod watchdog;

use std::collections::BTreeMap;

pub use etcd::{Etcd, EtcdHosts};
pub(in crate::scenario) use etcd::{MEMBERS, PLACES};
pub use fencing::Fencing;
pub use postgresql::PostgresqlMajor;
pub use process::Process;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
pub use size::Need;
pub use watchdog::{Devices, Watchdog};

use super::{
    patroni::{Patroni, Tags, WatchdogMode},
    quantity::{Latency, Size},
};

/// The cluster: its hosts, what runs on them, and the network between them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Cluster {
    /// PostgreSQL nodes, `pg1` to `pgN`, each with its agent; 1 to 99.
    #[schemars(schema_with = "crate::scenario::schema::nodes")]
    pub nodes: u16,
    /// The etcd cluster: how many members, and where they run.
    pub etcd: Etcd,
    /// PostgreSQL's major version, 15 to 18.
    pub postgresql: PostgresqlMajor,
    /// How clients find the primary.
    pub router: Router,
    /// Patroni's settings, the same on every node.
    pub patroni: Patroni,
    /// Tags of single nodes, on top of those in `patroni.tags`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "crate::scenario::schema::fields_of_tags")]
    pub tags: BTreeMap<String, Tags>,
    /// Hosts by zone, for selectors and for the latency between zones. A host is in one zone at most.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "crate::scenario::schema::zones")]
    pub zones: BTreeMap<String, Vec<String>>,
    /// The network when nothing is wrong with it.
    pub network: Network,
    /// The watchdog. Without it: Patroni's default mode, and no device on any node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub watchdog: Option<Watchdog>,
    /// The dead-man process that stops PostgreSQL when its agent no longer can. Of pgdrill's agent only: the real Patroni has
    /// none; see [`Fencing`]. Without it `automatic`, or what a user's own file says.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::scenario::schema::fencing")]
    pub fencing: Option<Fencing>,
    /// How much a base backup has to copy.
    pub data_size: Size,
}

impl Default for Cluster {
    fn default() -> Self {
        Self {
            nodes: 3,
            etcd: Etcd::default(),
            postgresql: PostgresqlMajor::default(),
            router: Router::Haproxy,
            patroni: Patroni::default(),
            tags: BTreeMap::new(),
            zones: BTreeMap::new(),
            network: Network::default(),
            watchdog: None,
            fencing: None,
            data_size: Size::from_mib(64),
        }
    }
}

/// How clients find the primary.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Router {
    /// Through HAProxy on a host of its own, which asks every agent's `/primary` every 3 s (3 failures, 2 successes) and closes
    /// the sessions of a node that it marks down.
    #[default]
    Haproxy,
    /// libpq tries every node and keeps the first with `target_session_attrs=read-write`: nobody closes its sessions.
    Direct,
}

/// The network when nothing is wrong with it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Network {
    /// Between any two hosts, one way.
    pub latency: Latency,
    /// Between hosts of different zones, one way; without it as between any two.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub between_zones: Option<Latency>,
}

impl Cluster {
    /// `pg1` to `pgN`.
    #[must_use]
    pub fn node_names(&self) -> Vec<String> {
        (1..=self.nodes).map(|n| format!("pg{n}")).collect()
    }

    /// The host of each etcd member, in the members' order: `etcd1` to `etcdN`, or the nodes that they run on. A member has the
    /// name of its host.
    #[must_use]
    pub fn etcd_hosts(&self) -> Vec<String> {
        let on_node = |n: u16| self.etcd.on == EtcdHosts::Nodes && n <= self.nodes;
        (1..=self.etcd.members).map(|n| if on_node(n) { format!("pg{n}") } else { format!("etcd{n}") }).collect()
    }

    /// The host of the etcd member with this name: `pg2` of `etcd2`, where members run on nodes.
    #[must_use]
    pub fn etcd_host(&self, member: &str) -> Option<String> {
        let number: usize = member.strip_prefix("etcd")?.parse().ok()?;
        self.etcd_hosts().get(number.checked_sub(1)?).cloned()
    }

    /// Every host but the clients': nodes, etcd members that have hosts of their own, the router.
    #[must_use]
    pub fn hosts(&self) -> Vec<String> {
        let mut hosts = self.node_names();
        let own = self.etcd_hosts().into_iter().filter(|host| !hosts.contains(host)).collect::<Vec<_>>();
        hosts.extend(own);
        if self.router == Router::Haproxy {
            hosts.push("haproxy".into());
        }
        hosts
    }

    /// The zone a host is in.
    #[must_use]
    pub fn zone_of(&self, host: &str) -> Option<&str> {
        self.zones.iter().find(|(_, hosts)| hosts.iter().any(|h| h == host)).map(|(zone, _)| zone.as_str())
    }

    /// How long packets travel from one host to another when nothing is wrong.
    #[must_use]
    pub fn latency_between(&self, from: &str, to: &str) -> Latency {
        match (self.network.between_zones, self.zone_of(from), self.zone_of(to)) {
            (Some(latency), Some(a), Some(b)) if a != b => latency,
            _ => self.network.latency,
        }
    }

    /// A node's tags: its own over those of `patroni.tags`.
    #[must_use]
    pub fn tags_of(&self, node: &str) -> Tags {
        let general = &self.patroni.tags;
        self.tags.get(node).map_or_else(|| general.clone(), |own| own.over(general))
    }

    /// The watchdog mode in force: the cluster's own over `patroni.watchdog.mode`.
    #[must_use]
    pub fn watchdog_mode(&self) -> WatchdogMode {
        self.watchdog.as_ref().map_or(self.patroni.watchdog.mode, |watchdog| watchdog.mode)
    }

    /// The dead-man processes' mode in force.
    #[must_use]
    pub fn fencing_mode(&self) -> Fencing {
        self.fencing.unwrap_or_default()
    }

    /// Whether there is a watchdog device on a node.
    #[must_use]
    pub fn has_watchdog_device(&self, node: &str) -> bool {
        match self.watchdog.as_ref().map(|watchdog| &watchdog.device) {
            None | Some(Devices::OnNone) => false,
            Some(Devices::OnAll) => true,
            Some(Devices::On(nodes)) => nodes.iter().any(|n| n == node),
        }
    }
}
