//! From a scenario's settings to what one node's agent is told: the `patroni.yml` of the simulated node, as data.

use std::time::Duration;

use pgdrill_agent::config::{
    AgentConfig, BootstrapConfig, FencingConfig, FencingMode, HostPort, Password, User, WatchdogConfig,
    WatchdogMode as AgentWatchdogMode,
};
use pgdrill_lab::scenario::{Fencing, Scenario, WatchdogMode};
use serde_json::Value;

use crate::ports;

/// The configuration of `node`. Hosts are known by their names; the simulated DNS resolves them.
pub(crate) fn agent_config(scenario: &Scenario, node: &str, addresses: &Addresses) -> AgentConfig {
    let cluster = &scenario.cluster;
    let patroni = &cluster.patroni;
    let etcd = cluster.etcd_hosts().iter().map(|name| HostPort::new(addresses.of(name), ports::ETCD_CLIENT)).collect();
    let mut config = AgentConfig::new(&patroni.scope, node, &addresses.of(node), etcd);
    config.namespace.clone_from(&patroni.namespace);
    config.tags = cluster.tags_of(node).to_json();
    config.watchdog = watchdog(scenario);
    config.fencing = FencingConfig { mode: fencing(scenario.cluster.fencing_mode()), ..FencingConfig::default() };
    config.bootstrap = Some(BootstrapConfig {
        dcs: Value::Object(scenario.dynamic_config()),
        initdb: patroni.data_checksums.then(|| ("data-checksums".to_owned(), None)).into_iter().collect(),
        ..BootstrapConfig::default()
    });
    let postgresql = &mut config.postgresql;
    postgresql.superuser = User { username: SUPERUSER.into(), password: Some(Password::new("simulated")) };
    postgresql.replication = User { username: "replicator".into(), password: Some(Password::new("simulated")) };
    postgresql.pg_ctl_timeout = Duration::from_secs(patroni.postgresql.pg_ctl_timeout.into());
    postgresql.remove_data_directory_on_rewind_failure = patroni.postgresql.remove_data_directory_on_rewind_failure;
    postgresql.remove_data_directory_on_diverged_timelines =
        patroni.postgresql.remove_data_directory_on_diverged_timelines;
    config
}

/// PostgreSQL's superuser, which agents, observers and clients use.
pub(crate) const SUPERUSER: &str = "postgres";

/// How hosts are written in configuration: by address, as the measured real clusters are (a name adds DNS to every
/// connection, and its failure is a fault of its own), or by name.
pub(crate) struct Addresses {
    by_name: std::collections::BTreeMap<String, String>,
}

impl Addresses {
    /// From names to addresses.
    pub(crate) fn new(hosts: impl IntoIterator<Item = (String, String)>) -> Self {
        Self { by_name: hosts.into_iter().collect() }
    }

    /// The address of a host; a name that is no host stays as it is and will fail to resolve.
    pub(crate) fn of(&self, name: &str) -> String {
        self.by_name.get(name).cloned().unwrap_or_else(|| name.to_owned())
    }

    /// The host with this address.
    pub(crate) fn name_of(&self, address: &str) -> Option<String> {
        self.by_name.iter().find(|(_, a)| *a == address).map(|(name, _)| name.clone())
    }

    /// Address to name.
    pub(crate) fn reversed(&self) -> std::collections::BTreeMap<String, String> {
        self.by_name.iter().map(|(name, address)| (address.clone(), name.clone())).collect()
    }
}

fn fencing(mode: Fencing) -> FencingMode {
    match mode {
        Fencing::Off => FencingMode::Off,
        Fencing::Automatic => FencingMode::Automatic,
        Fencing::Required => FencingMode::Required,
    }
}

fn watchdog(scenario: &Scenario) -> WatchdogConfig {
    let margin = scenario.cluster.patroni.watchdog.safety_margin;
    WatchdogConfig {
        mode: match scenario.cluster.watchdog_mode() {
            WatchdogMode::Off => AgentWatchdogMode::Off,
            WatchdogMode::Automatic => AgentWatchdogMode::Automatic,
            WatchdogMode::Required => AgentWatchdogMode::Required,
        },
        // Patroni's -1: half of the ttl.
        safety_margin: u64::try_from(margin).ok().map(Duration::from_secs),
        ..WatchdogConfig::default()
    }
}
