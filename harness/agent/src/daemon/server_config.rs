//! PostgreSQL's configuration as it should be: Patroni's defaults, below the dynamic configuration, below this node's own.

use std::{collections::BTreeMap, time::Duration};

use pgdrill_ha::{
    Config,
    config::{remote_follows, standby_section},
    decision::Upstream as Followed,
    view::Follows,
};
use pgdrill_settings::postgresql::{self, Use};
use serde_json::{Map, Value};

use super::pending::is_for_recovery;
use crate::{
    AgentConfig,
    ports::{PrimaryConninfo, Recovery, ServerConfig, Upstream},
};

/// Settings that a server is given on its command line, so that `ALTER SYSTEM` cannot change them (Patroni's
/// `CMDLINE_OPTIONS`).
pub(crate) const ON_COMMAND_LINE: &[&str] = &[
    "cluster_name",
    "hot_standby",
    "listen_addresses",
    "max_connections",
    "max_locks_per_transaction",
    "max_prepared_transactions",
    "max_replication_slots",
    "max_wal_senders",
    "max_worker_processes",
    "port",
    "track_commit_timestamp",
    "wal_level",
    "wal_log_hints",
];

/// Patroni's default of a setting that must be alike on all members.
pub(crate) fn cluster_wide_default(name: &str) -> Option<&'static str> {
    postgresql::default_of(name)
}

/// Settings that follow from who and where the node is, and from what: nobody else may set them.
const OWN: &[(&str, &str)] = &[
    ("listen_addresses", "postgresql.listen in each node's own file"),
    ("port", "postgresql.listen in each node's own file"),
    ("cluster_name", "scope in each node's own file"),
    ("synchronous_standby_names", "synchronous_mode and synchronous_node_count"),
    ("hot_standby", "nothing, since it is always on"),
];

fn is_own(name: &str) -> bool {
    OWN.iter().any(|(own, _)| *own == name)
}

/// What a configuration is made of, beside the static part.
#[derive(Clone, Debug, Default)]
pub(crate) struct Desired {
    /// `synchronous_standby_names`.
    pub synchronous_standby_names: String,
    /// `Some`: a standby.
    pub recovery: Option<Recovery>,
    /// A primary that was promoted: recovery settings that it was started with and that only a restart changes. They stay in its
    /// file until then, or PostgreSQL says at every reload that they cannot be changed.
    started_with: BTreeMap<String, String>,
    /// The node's and the cluster's settings in the present configuration.
    parameters: BTreeMap<String, String>,
    hba: Option<Vec<String>>,
    ident: Option<Vec<String>>,
    /// The superuser who is let in from this machine without a password, while a restored cluster still knows another one.
    pub open_for: Option<String>,
    /// Signal files and recovery settings in the data directory stay as they are.
    pub keep_recovery: bool,
}

impl Desired {
    pub fn new(config: &AgentConfig) -> Self {
        let mut desired = Self::default();
        desired.apply(config, &Value::Object(Map::new()));
        desired
    }

    /// Takes over a dynamic configuration; tells whether anything changed.
    pub fn apply(&mut self, config: &AgentConfig, dynamic: &Value) -> bool {
        let section = dynamic.get("postgresql");
        let lines = |name: &str| section.and_then(|s| s.get(name)).and_then(strings);
        // `bootstrap.pg_hba` is for a cluster that is being made; an instance that was there keeps its own.
        let hba = config.postgresql.pg_hba.clone().or_else(|| lines("pg_hba"));
        let parameters = parameters(config, section.and_then(|s| s.get("parameters")), has_logical_slots(dynamic));
        let ident = config.postgresql.pg_ident.clone().or_else(|| lines("pg_ident"));
        let changed = (&self.parameters, &self.hba, &self.ident) != (&parameters, &hba, &ident);
        (self.parameters, self.hba, self.ident) = (parameters, hba, ident);
        changed
    }

    /// Gives a standby the recovery settings that are configured now; tells whether anything changed. One that recovers to a
    /// target has its own.
    pub fn apply_recovery(&mut self, ha: &Config) -> bool {
        let Some(recovery) = self.recovery.as_mut().filter(|recovery| !recovery.ends_at_target) else { return false };
        let mut parameters = recovery_parameters(ha);
        let follows = |follows: Follows| {
            recovery.primary_conninfo.as_ref().is_some_and(|now| (&now.host, now.port) == (&follows.host, follows.port))
        };
        if let Some(section) = &ha.standby_cluster
            && remote_follows(section, ha.use_slots).map_or(recovery.primary_conninfo.is_none(), follows)
        {
            parameters.extend(section_parameters(section, &REMOTE_ONLY));
        }
        let changed = recovery.parameters != parameters;
        recovery.parameters = parameters;
        changed
    }

    /// The standby, or the server that recovered to a target, is a primary now.
    pub fn promoted(&mut self) {
        let settings = self.recovery.take().map(|recovery| recovery.parameters).unwrap_or_default();
        self.started_with = settings.into_iter().filter(|(name, _)| is_for_recovery(name)).collect();
    }

    /// The server is about to be started anew.
    pub fn starts(&mut self) {
        self.started_with.clear();
    }

    /// Who is let in, if nothing else says so: of a cluster that is being made.
    pub fn default_hba(&mut self, lines: Option<Vec<String>>) {
        self.hba = self.hba.take().or(lines);
    }

    /// The whole configuration.
    pub fn server_config(&self) -> ServerConfig {
        let mut parameters = self.parameters.clone();
        if self.recovery.is_none() && !self.keep_recovery {
            // As a standby has it, and as PostgreSQL does by itself: what is in the file all the time is no change.
            parameters.entry("recovery_target_timeline".into()).or_insert_with(|| "latest".into());
            parameters.extend(self.started_with.clone());
        }
        parameters.insert("synchronous_standby_names".into(), self.synchronous_standby_names.clone());
        ServerConfig {
            parameters,
            hba: self.hba_lines(),
            ident: self.ident.clone(),
            recovery: self.recovery.clone(),
            keep_recovery: self.keep_recovery,
        }
    }
}

impl Desired {
    fn hba_lines(&self) -> Option<Vec<String>> {
        let Some(superuser) = &self.open_for else { return self.hba.clone() };
        let user = superuser.replace('"', "\"\"");
        let mut lines = vec![format!("local all \"{user}\" trust"), format!("host all \"{user}\" samehost trust")];
        lines.extend(self.hba.clone().unwrap_or_default());
        Some(lines)
    }
}

/// Whether permanent logical slots are configured.
fn has_logical_slots(dynamic: &Value) -> bool {
    let slots = dynamic.get("slots").and_then(Value::as_object);
    let is_logical = |slot: &Value| match slot.get("type").and_then(Value::as_str) {
        Some(kind) => kind == "logical",
        None => slot.get("database").is_some() && slot.get("plugin").is_some(),
    };
    slots.is_some_and(|slots| slots.values().any(is_logical)) && standby_section(dynamic).is_none()
}

fn parameters(config: &AgentConfig, dynamic: Option<&Value>, has_logical_slots: bool) -> BTreeMap<String, String> {
    let defaults = postgresql::cluster_wide().chain([("hot_standby", "on")]);
    let mut all: BTreeMap<String, String> = defaults.map(|(name, value)| (name.into(), value.into())).collect();
    let own = config.postgresql.parameters.iter();
    let own = own.filter(|(name, _)| !postgresql::FROM_DCS_ONLY.contains(&name.as_str()));
    let mut shared = dynamic.and_then(Value::as_object).cloned().unwrap_or_default();
    postgresql::rename(&mut shared);
    for (name, value) in shared.iter().chain(own) {
        if is_own(name) || value.is_null() {
            continue;
        }
        // What PostgreSQL would not take would keep it from starting, and from taking any other change.
        match postgresql::judge(name, value).map(|judgement| judgement.used) {
            None | Some(Use::AsItIs) => _ = all.insert(name.clone(), setting(value)),
            Some(Use::Instead(other)) => _ = all.insert(name.clone(), other),
            Some(Use::LeftOut) => {}
        }
    }
    if has_logical_slots {
        // The primary must not remove what a replica's logical slots still need (Patroni forces it as well).
        all.insert("hot_standby_feedback".into(), "on".into());
    }
    let address = &config.postgresql.listen;
    all.insert("listen_addresses".into(), address.host.clone());
    all.insert("port".into(), address.port.to_string());
    all.insert("cluster_name".into(), config.scope.clone());
    all
}

/// What of the dynamic configuration's parameters does not count, as sentences, beside what [`pgdrill_settings::check()`] tells.
pub(crate) fn replaced_parameters(dynamic: &Value) -> Vec<String> {
    let configured = dynamic.pointer("/postgresql/parameters").and_then(Value::as_object);
    let set = configured.into_iter().flatten().filter(|(_, value)| !value.is_null());
    let told = |(name, value): (&String, &Value)| {
        let instead = OWN.iter().find(|(own, _)| own == name && postgresql::follows(name).is_none())?.1;
        let value = setting(value);
        Some(format!("postgresql.parameters.{name}: found {value}, expected {instead}: the parameter is ignored here"))
    };
    set.filter_map(told).collect()
}

/// A YAML value as `postgresql.conf` has it.
pub(crate) fn setting(value: &Value) -> String {
    match value {
        Value::Bool(true) => "on".into(),
        Value::Bool(false) => "off".into(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn strings(value: &Value) -> Option<Vec<String>> {
    value.as_array().map(|lines| lines.iter().filter_map(|line| line.as_str().map(str::to_owned)).collect())
}

/// The recovery settings for following `upstream`. `before` is what the standby has now.
pub(crate) fn recovery(config: &AgentConfig, ha: &Config, upstream: &Followed, before: Option<&Recovery>) -> Recovery {
    match upstream {
        Followed::Member { host, port, slot, .. } => {
            follow(config, ha, &Follows { host: host.clone(), port: *port, slot: slot.clone() })
        }
        Followed::Unchanged => before.cloned().unwrap_or_default(),
        Followed::ArchiveOnly => Recovery { parameters: recovery_parameters(ha), ..Recovery::default() },
        Followed::Remote(section) => {
            let mut recovery = match remote_follows(section, ha.use_slots) {
                Some(follows) => follow(config, ha, &follows),
                None => Recovery { parameters: recovery_parameters(ha), ..Recovery::default() },
            };
            recovery.parameters.extend(section_parameters(section, &IN_STANDBY_CLUSTER));
            recovery.parameters.extend(section_parameters(section, &REMOTE_ONLY));
            recovery
        }
    }
}

/// Fields of `standby_cluster` that are recovery settings of all its members, since the archive is the remote primary's.
const IN_STANDBY_CLUSTER: [&str; 2] = ["restore_command", "archive_cleanup_command"];
/// The same of the standby leader alone.
const REMOTE_ONLY: [&str; 1] = ["recovery_min_apply_delay"];

fn section_parameters(section: &Value, names: &[&str]) -> BTreeMap<String, String> {
    let set = |name: &&str| section.get(*name).filter(|value| !value.is_null() && value.as_str() != Some(""));
    names.iter().filter_map(|name| Some(((*name).to_owned(), setting(set(name)?)))).collect()
}

/// The recovery settings for streaming from a server.
pub(crate) fn follow(config: &AgentConfig, ha: &Config, follows: &Follows) -> Recovery {
    let user = &config.postgresql.replication;
    Recovery {
        primary_conninfo: Some(PrimaryConninfo {
            host: follows.host.clone(),
            port: follows.port,
            user: user.username.clone(),
            password: user.password.clone(),
            application_name: config.name.clone(),
            connect_timeout: Duration::from_secs(3).min(ha.retry_timeout),
        }),
        primary_slot_name: follows.slot.clone(),
        parameters: recovery_parameters(ha),
        ends_at_target: false,
    }
}

fn recovery_parameters(ha: &Config) -> BTreeMap<String, String> {
    let section = ha.dynamic.pointer("/postgresql/recovery_conf").and_then(Value::as_object);
    let mut parameters: BTreeMap<String, String> =
        section.into_iter().flatten().map(|(name, value)| (name.clone(), setting(value))).collect();
    if let Some(section) = &ha.standby_cluster {
        parameters.extend(section_parameters(section, &IN_STANDBY_CLUSTER));
    }
    parameters
}

/// Credentials and address for a base backup (`replication`) or a rewind.
pub(crate) fn source(config: &AgentConfig, host: &str, port: u16, for_rewind: bool) -> Upstream {
    let postgresql = &config.postgresql;
    let user = match for_rewind {
        true => postgresql.rewinder().0,
        false => &postgresql.replication,
    };
    Upstream {
        host: host.into(),
        port,
        user: user.username.clone(),
        password: user.password.clone(),
        dbname: "postgres".into(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_nodes_own_file_cannot_change_what_all_members_must_share() {
        let mut config = AgentConfig::new("demo", "pg1", "10.0.0.1", vec![]);
        config.postgresql.parameters = json!({"max_connections": 5, "work_mem": "8MB"}).as_object().unwrap().clone();
        let mut desired = Desired::new(&config);
        let dynamic = json!({"postgresql": {"parameters":
            {"max_connections": 300, "work_mem": "4MB", "port": 9, "fsync": false, "gone": null}}});
        assert!(desired.apply(&config, &dynamic));
        assert!(!desired.apply(&config, &dynamic), "the same again changes nothing");
        let parameters = desired.server_config().parameters;
        let get = |name: &str| parameters.get(name).map(String::as_str);
        assert_eq!(get("max_connections"), Some("300"));
        assert_eq!(get("work_mem"), Some("8MB"), "the node's own file wins for everything else");
        assert_eq!(get("port"), Some("5432"));
        assert_eq!(get("fsync"), Some("off"));
        assert_eq!(get("gone"), None);
    }

    #[test]
    fn less_than_a_cluster_works_with_is_replaced_and_told() {
        let config = AgentConfig::new("demo", "pg1", "10.0.0.1", vec![]);
        let mut desired = Desired::new(&config);
        let dynamic = json!({"postgresql": {"parameters": {"max_connections": 10, "max_wal_senders": "0",
            "max_replication_slots": 4, "max_worker_processes": "many", "wal_level": "minimal", "work_mem": 1,
            "maintenance_work_mem": "many", "shared_buffers": "8PB"}}});
        desired.apply(&config, &dynamic);
        let parameters = desired.server_config().parameters;
        for (name, value) in [
            ("max_connections", "100"),
            ("max_wal_senders", "10"),
            ("max_replication_slots", "4"),
            ("max_worker_processes", "8"),
            ("wal_level", "replica"),
            ("work_mem", "64kB"),
        ] {
            assert_eq!(parameters[name], value, "{name}");
        }
        // PostgreSQL takes neither, and with one of them in its file no other change.
        assert!(!parameters.contains_key("maintenance_work_mem") && !parameters.contains_key("shared_buffers"));
        let own = json!({"postgresql": {"parameters":
            {"port": 5433, "hot_standby": "off", "synchronous_standby_names": "*", "cluster_name": null}}});
        insta::assert_snapshot!(replaced_parameters(&own).join("\n"), @"postgresql.parameters.synchronous_standby_names: found *, expected synchronous_mode and synchronous_node_count: the parameter is ignored here");
        let logical = json!({"postgresql": {"parameters": {"wal_level": "Logical", "max_connections": 25}}});
        assert!(replaced_parameters(&logical).is_empty());
    }

    #[test]
    fn a_promoted_primarys_file_keeps_what_only_a_restart_changes() {
        let config = AgentConfig::new("demo", "pg1", "10.0.0.1", vec![]);
        let mut desired = Desired::new(&config);
        let of = |desired: &Desired, name: &str| desired.server_config().parameters.get(name).cloned();
        assert_eq!(of(&desired, "recovery_target_timeline").as_deref(), Some("latest"));
        let settings = [("recovery_target_time", "2026-11-30 12:00:00+00"), ("recovery_target_timeline", "3")];
        let parameters = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        desired.recovery = Some(Recovery { parameters, ends_at_target: true, ..Recovery::default() });
        assert_eq!(of(&desired, "recovery_target_time"), None, "they are the recovery's while it lasts");
        desired.promoted();
        for (name, value) in settings {
            assert_eq!(of(&desired, name).as_deref(), Some(value), "{name}");
        }
        assert_eq!(desired.server_config().recovery, None);
        desired.starts();
        assert_eq!(of(&desired, "recovery_target_time"), None);
        assert_eq!(of(&desired, "recovery_target_timeline").as_deref(), Some("latest"));
    }

    #[test]
    fn this_nodes_own_pg_ident_and_recovery_settings_win() {
        let mut config = AgentConfig::new("demo", "pg1", "10.0.0.1", vec![]);
        let dynamic =
            json!({"postgresql": {"pg_ident": ["all a b"], "recovery_conf": {"restore_command": "cp %f %p"}}});
        let ha = |config: &AgentConfig| {
            pgdrill_ha::config::resolve(&dynamic, &super::super::configure::local_layer(config), &Default::default())
        };
        let mut desired = Desired::new(&config);
        desired.apply(&config, &dynamic);
        assert_eq!(desired.server_config().ident, Some(vec!["all a b".to_owned()]));
        assert!(!desired.apply_recovery(&ha(&config)), "a primary has no recovery settings");
        desired.recovery = Some(Recovery::default());
        assert!(desired.apply_recovery(&ha(&config)) && !desired.apply_recovery(&ha(&config)));
        config.postgresql.pg_ident = Some(vec!["own c d".into()]);
        config.postgresql.recovery_conf.insert("restore_command".into(), "own".into());
        desired.apply(&config, &dynamic);
        assert!(desired.apply_recovery(&ha(&config)));
        let wanted = desired.server_config();
        assert_eq!(wanted.ident, Some(vec!["own c d".to_owned()]));
        assert_eq!(wanted.recovery.expect("a standby").parameters["restore_command"], "own");
    }

    #[test]
    fn a_leader_that_is_not_seen_is_no_reason_to_drop_primary_conninfo() {
        let config = AgentConfig::new("demo", "pg1", "10.0.0.1", vec![]);
        let ha = Config::default();
        let before = follow(&config, &ha, &Follows { host: "pg2".into(), port: 5432, slot: Some("pg1".into()) });
        assert_eq!(recovery(&config, &ha, &Followed::Unchanged, Some(&before)), before);
    }

    /// `restore_command` of a standby cluster is every member's, the delay its leader's alone; and a changed `/config` keeps both.
    #[test]
    fn the_settings_of_a_standby_cluster_survive_a_change_of_the_configuration() {
        let config = AgentConfig::new("demo", "pg1", "10.0.0.1", vec![]);
        let section = json!({"host": "dc1", "port": 5433, "primary_slot_name": "Dc-2", "restore_command": "cp /a/%f %p",
            "archive_cleanup_command": "", "recovery_min_apply_delay": "5min"});
        let ha = |work_mem: &str| {
            let dynamic = json!({"standby_cluster": section, "postgresql": {"recovery_conf": {"x": work_mem}}});
            pgdrill_ha::config::resolve(&dynamic, &json!({}), &BTreeMap::new())
        };
        let member = Followed::Member { name: "pg2".into(), host: "10.0.0.2".into(), port: 5432, slot: None };
        for (upstream, delayed) in [(Followed::Remote(section.clone()), true), (member, false)] {
            let mut desired =
                Desired { recovery: Some(recovery(&config, &ha("1"), &upstream, None)), ..Desired::new(&config) };
            let slot = desired.recovery.as_ref().and_then(|recovery| recovery.primary_slot_name.clone());
            assert_eq!(slot.as_deref(), delayed.then_some("dc_2"));
            assert!(!desired.apply_recovery(&ha("1")), "nothing has changed");
            assert!(desired.apply_recovery(&ha("2")));
            let parameters = desired.recovery.expect("it is a standby").parameters;
            let get = |name: &str| parameters.get(name).map(String::as_str);
            assert_eq!((get("x"), get("restore_command")), (Some("2"), Some("cp /a/%f %p")));
            assert_eq!(get("recovery_min_apply_delay"), delayed.then_some("5min"));
            assert_eq!(get("archive_cleanup_command"), None);
        }
    }
}
