//! What agents, etcd and HAProxy are told: one generator for both real worlds, so that their settings are the same.

mod haproxy;
mod passwords;
mod patroni;
mod yaml;

use std::{collections::BTreeMap, net::Ipv4Addr, sync::Arc};

pub(crate) use passwords::Passwords;
use pgdrill_lab::scenario::Scenario;
use pgdrill_probe::Login;

use crate::{paths::ETCD_DATA, ports};

/// PostgreSQL's superuser, which agents, observers and clients use.
const SUPERUSER: &str = "postgres";

/// A scenario's settings, with the addresses and passwords of one run.
pub struct Settings {
    scenario: Arc<Scenario>,
    addresses: BTreeMap<String, Ipv4Addr>,
    subnet: String,
    passwords: Passwords,
}

impl Settings {
    /// `subnet` is the run's network, as `198.18.0.0/24`.
    pub(crate) const fn new(
        scenario: Arc<Scenario>,
        addresses: BTreeMap<String, Ipv4Addr>,
        subnet: String,
        passwords: Passwords,
    ) -> Self {
        Self { scenario, addresses, subnet, passwords }
    }

    /// How observers and clients log in.
    pub(crate) fn login(&self) -> Login {
        Login {
            user: SUPERUSER.to_owned(),
            password: Some(self.passwords.superuser.clone()),
            dbname: "postgres".to_owned(),
        }
    }

    fn address(&self, host: &str) -> String {
        self.addresses.get(host).map(ToString::to_string).expect("every host of a scenario has an address")
    }

    /// The command line of an etcd member. `existing`: it joins a cluster that has been told of it (`member add`).
    pub(crate) fn etcd_command(&self, member: &str, existing: bool) -> Vec<String> {
        let members = self.scenario.cluster.etcd_hosts();
        let peers: Vec<String> =
            members.iter().map(|m| format!("{m}=http://{}:{}", self.address(m), ports::ETCD_PEER)).collect();
        let own = self.address(member);
        let (client, peer) =
            (format!("http://{own}:{}", ports::ETCD_CLIENT), format!("http://{own}:{}", ports::ETCD_PEER));
        [
            "etcd",
            "--name",
            member,
            "--data-dir",
            ETCD_DATA,
            "--listen-client-urls",
            &format!("http://0.0.0.0:{}", ports::ETCD_CLIENT),
            "--advertise-client-urls",
            &client,
            "--listen-peer-urls",
            &format!("http://0.0.0.0:{}", ports::ETCD_PEER),
            "--initial-advertise-peer-urls",
            &peer,
            "--initial-cluster",
            &peers.join(","),
            "--initial-cluster-token",
            &self.scenario.cluster.patroni.scope,
            "--initial-cluster-state",
            if existing { "existing" } else { "new" },
        ]
        .map(str::to_owned)
        .to_vec()
    }
}

#[cfg(test)]
mod tests {
    use pgdrill_lab::scenario::load_text;

    use super::*;

    pub(super) fn settings(cluster: &str) -> Settings {
        let text = format!("name: it\nabout: It is.\nduration: 10s\ncluster:\n{cluster}\n");
        let scenario = load_text("it.yaml".as_ref(), &text).expect("it is a scenario").scenario;
        let own = scenario.cluster.etcd_hosts().into_iter().filter(|host| host.starts_with("etcd"));
        let addresses = (10..)
            .zip(own.chain(scenario.cluster.node_names()))
            .map(|(n, host)| (host, Ipv4Addr::new(198, 18, 0, n)))
            .collect();
        let passwords = Passwords { superuser: "S".into(), replication: "R".into(), rewind: "W".into() };
        Settings::new(Arc::new(scenario), addresses, "198.18.0.0/24".into(), passwords)
    }

    #[test]
    fn an_agent_is_told_everything_by_address() {
        insta::assert_snapshot!(settings("  nodes: 2\n  etcd: 1").patroni_yml("pg1"));
    }

    #[test]
    fn what_a_scenario_sets_is_what_the_agent_is_told() {
        let cluster = "  nodes: 2\n  etcd: 3\n  watchdog: required\n  tags: { pg2: { nofailover: true } }\n  \
            patroni: { ttl: 20, loop_wait: 2, retry_timeout: 5, synchronous_mode: on, data_checksums: false,\n    \
            postgresql: { parameters: { wal_keep_size: 1GB, max_connections: 50 } } }";
        insta::assert_snapshot!(settings(cluster).patroni_yml("pg2"));
    }

    #[test]
    fn haproxy_asks_every_agent_as_deployments_do() {
        insta::assert_snapshot!(settings("  nodes: 3").haproxy_cfg());
    }

    #[test]
    fn etcd_on_the_nodes_is_reached_at_their_addresses() {
        let settings = settings("  nodes: 2\n  etcd: { on: nodes }");
        let agent = settings.patroni_yml("pg2");
        for member in ["198.18.0.11:2379", "198.18.0.12:2379", "198.18.0.10:2379"] {
            assert!(agent.contains(member), "{agent}");
        }
        let command = settings.etcd_command("pg2", false).join(" ");
        assert!(command.contains("--name pg2 ") && command.contains("pg1=http://198.18.0.11:2380"), "{command}");
        assert!(command.contains("etcd3=http://198.18.0.10:2380"), "the third one is a witness: {command}");
    }

    #[test]
    fn an_etcd_member_knows_all_members_by_address() {
        insta::assert_snapshot!(settings("  etcd: 3").etcd_command("etcd2", false).join("\n"));
    }
}
