//! `patroni.yml` of a node.

use pgdrill_lab::scenario::{Fencing, WatchdogMode};
use serde_json::{Value, json};

use super::{SUPERUSER, Settings, yaml};
use crate::{
    paths::{PGDATA, bin_dir},
    ports,
};

impl Settings {
    /// The node's `patroni.yml`: what the scenario says, and where everything is. Hosts are known by address: with names each
    /// lookup is one more thing to stall (and its failure is a fault of its own).
    pub(crate) fn patroni_yml(&self, node: &str) -> String {
        let cluster = &self.scenario.cluster;
        let patroni = &cluster.patroni;
        let own = self.address(node);
        let etcd: Vec<String> =
            cluster.etcd_hosts().iter().map(|m| format!("{}:{}", self.address(m), ports::ETCD_CLIENT)).collect();
        let watchdog = match cluster.watchdog_mode() {
            WatchdogMode::Off => "off",
            WatchdogMode::Automatic => "automatic",
            WatchdogMode::Required => "required",
        };
        let mut document = json!({
            "scope": patroni.scope,
            "namespace": patroni.namespace.trim_matches('/'),
            "name": node,
            "restapi": {
                "listen": format!("{own}:{}", ports::REST),
                "connect_address": format!("{own}:{}", ports::REST),
            },
            "etcd3": { "hosts": etcd },
            "bootstrap": {
                "dcs": self.dynamic(),
                "initdb": self.initdb(),
                "pg_hba": self.pg_hba(),
            },
            "postgresql": self.postgresql(&own),
            "watchdog": { "mode": watchdog, "safety_margin": patroni.watchdog.safety_margin },
        });
        // pgdrill's own, which Patroni passes over. The default is not written, so that the file stays Patroni's.
        match cluster.fencing_mode() {
            Fencing::Off => document["pgdrill"] = json!({ "fencing": { "mode": "off" } }),
            Fencing::Required => document["pgdrill"] = json!({ "fencing": { "mode": "required" } }),
            Fencing::Automatic => {}
        }
        let tags = cluster.tags_of(node).to_json();
        if !tags.is_empty() {
            document["tags"] = tags.into();
        }
        yaml::document(&document)
    }

    /// The dynamic configuration. pg_rewind reads WAL since the last common checkpoint; without `wal_keep_size` the server
    /// that was promoted has often recycled it.
    fn dynamic(&self) -> Value {
        let mut dynamic = self.scenario.dynamic_config();
        let parameters = dynamic.get_mut("postgresql").and_then(|p| p.get_mut("parameters"));
        if let Some(Value::Object(parameters)) = parameters {
            parameters.entry("wal_keep_size").or_insert_with(|| "128MB".into());
        }
        dynamic.into()
    }

    fn initdb(&self) -> Value {
        let mut options = vec![json!({ "encoding": "UTF8" }), json!({ "locale": "C.UTF-8" })];
        if self.scenario.cluster.patroni.data_checksums {
            options.push(json!("data-checksums"));
        }
        options.into()
    }

    fn pg_hba(&self) -> Vec<String> {
        let subnet = &self.subnet;
        vec![
            "local all all scram-sha-256".to_owned(),
            "host all all 127.0.0.1/32 scram-sha-256".to_owned(),
            format!("host replication replicator {subnet} scram-sha-256"),
            format!("host all all {subnet} scram-sha-256"),
        ]
    }

    fn postgresql(&self, own: &str) -> Value {
        let local = &self.scenario.cluster.patroni.postgresql;
        let user = |name: &str, password: &str| json!({ "username": name, "password": password });
        json!({
            "listen": format!("0.0.0.0:{}", ports::POSTGRESQL),
            "connect_address": format!("{own}:{}", ports::POSTGRESQL),
            "data_dir": PGDATA,
            "bin_dir": bin_dir(self.scenario.cluster.postgresql),
            "pgpass": "/tmp/pgpass",
            "authentication": {
                "superuser": user(SUPERUSER, &self.passwords.superuser),
                "replication": user("replicator", &self.passwords.replication),
                "rewind": user("rewind", &self.passwords.rewind),
            },
            "parameters": { "unix_socket_directories": "/tmp" },
            // A copy that waited for the next spread checkpoint would take minutes of the scenario.
            "basebackup": [{ "checkpoint": "fast" }],
            "pg_ctl_timeout": local.pg_ctl_timeout,
            "remove_data_directory_on_rewind_failure": local.remove_data_directory_on_rewind_failure,
            "remove_data_directory_on_diverged_timelines": local.remove_data_directory_on_diverged_timelines,
        })
    }
}
