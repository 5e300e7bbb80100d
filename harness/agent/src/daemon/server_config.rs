//! PostgreSQL's configuration as it should be: Patroni's defaults, below the dynamic configuration, below this node's own.

use std::{collections::BTreeMap, time::Duration};

use pgdrill_ha::{
    Config,
    config::remote_follows,
    decision::Upstream as Followed,
    view::{Follows, SynchronousStandbyNames},
};
use serde_json::{Map, Value};

use super::parameters::{manages_standby_names, parameters, recovery_parameters, setting};
use crate::{
    AgentConfig,
    ports::{PrimaryConninfo, Recovery, ServerConfig, Upstream},
};

/// What a configuration is made of, beside the static part.
#[derive(Clone, Debug, Default)]
pub(crate) struct Desired {
    /// `synchronous_standby_names` by the management of synchronous replication; `None`: what the user has configured.
    pub standby_names: Option<String>,
    /// `hot_standby_feedback` is on for the sake of permanent logical slots.
    pub enforces_feedback: bool,
    /// `Some`: a standby.
    pub recovery: Option<Recovery>,
    /// A primary that was promoted: the settings that it had as a standby. They stay in its file, as Patroni leaves them there, or
    /// PostgreSQL says at every reload that they cannot be changed without a restart.
    past_recovery: Option<Recovery>,
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
        // Until the members are known a node may have to keep what logical slots need.
        let mut desired = Self { enforces_feedback: true, ..Self::default() };
        desired.apply(config, &Value::Object(Map::new()));
        desired
    }

    /// Takes over a dynamic configuration; tells whether anything changed.
    pub fn apply(&mut self, config: &AgentConfig, dynamic: &Value) -> bool {
        let section = dynamic.get("postgresql");
        let lines = |name: &str| section.and_then(|s| s.get(name)).and_then(strings);
        // `bootstrap.pg_hba` is for a cluster that is being made; an instance that was there keeps its own.
        let hba = config.postgresql.pg_hba.clone().or_else(|| lines("pg_hba"));
        let parameters = self.parameters(config, dynamic);
        let ident = config.postgresql.pg_ident.clone().or_else(|| lines("pg_ident"));
        let changed = (&self.parameters, &self.hba, &self.ident) != (&parameters, &hba, &ident);
        (self.parameters, self.hba, self.ident) = (parameters, hba, ident);
        changed
    }

    /// The parameters of a configuration. A change of the user's own `synchronous_standby_names` never lets go of a promise by
    /// itself: when synchronous mode is switched on, the old value stays until the management sets its own, and one that
    /// PostgreSQL does not take replaces none that it has taken.
    fn parameters(&mut self, config: &AgentConfig, dynamic: &Value) -> BTreeMap<String, String> {
        const NAMES: &str = "synchronous_standby_names";
        let mut wanted = parameters(config, dynamic, self.enforces_feedback);
        let before = self.parameters.get(NAMES);
        if manages_standby_names(dynamic) {
            self.standby_names = self.standby_names.take().or_else(|| before.cloned());
        } else if let (Some(new), Some(before)) = (wanted.get_mut(NAMES), before)
            && !SynchronousStandbyNames::is_legal(new)
        {
            new.clone_from(before);
        }
        wanted
    }

    /// Gives a standby the recovery settings that are configured now; tells whether anything changed. One that recovers to a
    /// target has its own.
    pub fn apply_recovery(&mut self, config: &AgentConfig, ha: &Config) -> bool {
        let Some(recovery) = self.recovery.as_mut().filter(|recovery| !recovery.ends_at_target) else { return false };
        let mut parameters = standby_parameters(config, ha);
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
        self.past_recovery = self.recovery.take().or_else(|| self.past_recovery.take());
    }

    /// The server is about to be started anew: a target that it has once recovered to is of no use any more.
    pub fn starts(&mut self) {
        self.past_recovery = self.past_recovery.take().filter(|recovery| !recovery.ends_at_target);
    }

    /// Who is let in, if nothing else says so: of a cluster that is being made.
    pub fn default_hba(&mut self, lines: Option<Vec<String>>) {
        self.hba = self.hba.take().or(lines);
    }

    /// The whole configuration.
    pub fn server_config(&self) -> ServerConfig {
        let mut parameters = self.parameters.clone();
        if let Some(names) = &self.standby_names {
            parameters.insert("synchronous_standby_names".into(), names.clone());
        }
        if self.open_for.is_some() {
            // The doors are opened in our own file.
            parameters.remove("hba_file");
        }
        ServerConfig {
            parameters,
            hba: self.hba_lines(),
            ident: self.ident.clone(),
            recovery: self.recovery.clone(),
            past_recovery: self.past_recovery.clone().filter(|_| self.recovery.is_none() && !self.keep_recovery),
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
        Followed::ArchiveOnly => Recovery { parameters: standby_parameters(config, ha), ..Recovery::default() },
        Followed::Remote(section) => {
            let mut recovery = match remote_follows(section, ha.use_slots) {
                Some(follows) => follow(config, ha, &follows),
                None => Recovery { parameters: standby_parameters(config, ha), ..Recovery::default() },
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
        parameters: standby_parameters(config, ha),
        ends_at_target: false,
    }
}

/// The recovery settings of every standby, whomever it follows.
fn standby_parameters(config: &AgentConfig, ha: &Config) -> BTreeMap<String, String> {
    let mut parameters = recovery_parameters(config, &ha.dynamic);
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
    fn a_change_of_mode_never_lets_go_of_whom_commits_wait_for() {
        let config = AgentConfig::new("demo", "pg1", "10.0.0.1", vec![]);
        let dynamic = |mode: bool, names: &str| json!({"synchronous_mode": mode, "postgresql": {"parameters": {"synchronous_standby_names": names}}});
        let names = |desired: &Desired| desired.server_config().parameters.remove("synchronous_standby_names");
        let mut desired = Desired::new(&config);
        assert_eq!(names(&desired), None, "nothing is configured: what the user's own postgresql.conf says counts");
        assert!(desired.apply(&config, &dynamic(false, "*")));
        assert_eq!(names(&desired).as_deref(), Some("*"));
        // Written by hand, and not to be read: what was promised stays.
        assert!(!desired.apply(&config, &dynamic(false, "ANY (")));
        assert_eq!(names(&desired).as_deref(), Some("*"));
        // Until the state machine has named standbys of its own.
        desired.apply(&config, &dynamic(true, "*"));
        assert_eq!(names(&desired).as_deref(), Some("*"));
        desired.standby_names = Some("pg2".into());
        desired.apply(&config, &dynamic(false, "2 (*)"));
        assert_eq!(names(&desired).as_deref(), Some("pg2"), "until /sync is gone");
        desired.standby_names = None;
        assert_eq!(names(&desired).as_deref(), Some("2 (*)"));
    }

    #[test]
    fn a_promoted_primarys_file_keeps_what_only_a_restart_changes() {
        let config = AgentConfig::new("demo", "pg1", "10.0.0.1", vec![]);
        let mut desired = Desired::new(&config);
        let kept = |desired: &Desired| desired.server_config().past_recovery;
        assert_eq!(kept(&desired), None, "it was never a standby");
        let parameters = BTreeMap::from([("recovery_target_time".to_owned(), "2026-11-30 12:00:00+00".to_owned())]);
        for ends_at_target in [false, true] {
            let recovery = Recovery { parameters: parameters.clone(), ends_at_target, ..Recovery::default() };
            desired.recovery = Some(recovery.clone());
            desired.past_recovery = None;
            assert_eq!(kept(&desired), None, "they are the recovery's while it lasts");
            desired.promoted();
            assert_eq!(kept(&desired), Some(recovery.clone()));
            assert_eq!(desired.server_config().recovery, None);
            desired.starts();
            assert_eq!(kept(&desired), Some(recovery.clone()).filter(|_| !ends_at_target));
            desired.recovery = Some(recovery);
            assert_eq!(kept(&desired), None, "it is a standby again");
        }
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
        assert!(!desired.apply_recovery(&config, &ha(&config)), "a primary has no recovery settings");
        desired.recovery = Some(Recovery::default());
        assert!(desired.apply_recovery(&config, &ha(&config)) && !desired.apply_recovery(&config, &ha(&config)));
        config.postgresql.pg_ident = Some(vec!["own c d".into()]);
        config.postgresql.recovery_conf.insert("restore_command".into(), "own".into());
        desired.apply(&config, &dynamic);
        assert!(desired.apply_recovery(&config, &ha(&config)));
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
            assert!(!desired.apply_recovery(&config, &ha("1")), "nothing has changed");
            assert!(desired.apply_recovery(&config, &ha("2")));
            let parameters = desired.recovery.expect("it is a standby").parameters;
            let get = |name: &str| parameters.get(name).map(String::as_str);
            assert_eq!((get("x"), get("restore_command")), (Some("2"), Some("cp /a/%f %p")));
            assert_eq!(get("recovery_min_apply_delay"), delayed.then_some("5min"));
            assert_eq!(get("archive_cleanup_command"), None);
        }
    }
}
