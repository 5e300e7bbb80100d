//! Taking over a PostgreSQL that is already there: its data and configuration stay, and nobody else may manage it.
//!
//! A second process manager would start what the agent stops, and stop what it starts: with it there can be two primaries. So
//! the agent looks where a running server comes from before it does anything, and says what to do.

use pgdrill_net::Net;
use serde_json::{Map, Value, json};

use super::pending;
use crate::{
    config::AgentConfig,
    ports::Origin,
    postgres::{Parameter, Reachability, Sql, SqlError, statements},
};

/// Limits that a standby must have at least as high as its primary, and switches that a running instance must not lose: those
/// of a converted instance become the cluster's.
const KEPT: &[&str] = &[
    "max_connections",
    "max_locks_per_transaction",
    "max_prepared_transactions",
    "max_replication_slots",
    "max_wal_senders",
    "max_worker_processes",
    "track_commit_timestamp",
];

/// Processes that adopt orphans and manage nothing: whoever has one of them as its parent has none.
const INITS: &[&str] = &["systemd", "init", "tini", "docker-init", "dumb-init", "catatonit"];

/// Why a running server must not be taken over; `None`: it may.
pub(crate) fn objection(origin: &Origin, data_dir: &str) -> Option<String> {
    let pid = origin.pid;
    let foreign_unit = origin.unit.as_ref().filter(|unit| origin.own_unit.as_ref() != Some(unit));
    if let Some(unit) = foreign_unit {
        let name = unit.strip_suffix(".service").unwrap_or(unit);
        return Some(format!(
            "PostgreSQL (pid {pid}) on {data_dir} runs in the systemd unit {unit}, which would start and stop it beside \
             this agent. End that first, data and configuration stay: `systemctl disable --now {name}`; then start the \
             agent again"
        ));
    }
    let (parent, name) = origin.parent.as_ref().filter(|(parent, _)| *parent > 1)?;
    if INITS.contains(&name.as_str()) {
        return None;
    }
    Some(format!(
        "PostgreSQL (pid {pid}) on {data_dir} was started by {name} (pid {parent}), which still runs and may start and stop \
         it beside this agent. End that first (PostgreSQL may go on running), then start the agent again"
    ))
}

/// Whether the superuser of the configuration gets in; a server that does not answer yet is no objection.
pub(crate) async fn login_objection<N: Net>(sql: &Sql<N>, config: &AgentConfig) -> Option<String> {
    match sql.query(statements::STATE).await {
        Err(SqlError::NotConnected(Reachability::LoginRejected, why)) => Some(format!(
            "the running PostgreSQL at {} does not let the agent in: {why}; postgresql.authentication.superuser must name a \
             superuser of it ({} is configured) and its password",
            config.postgresql.local_address, config.postgresql.superuser.username
        )),
        _ => None,
    }
}

/// The first dynamic configuration of a cluster that has none: what `bootstrap.dcs` says, and below it what the running server
/// has and must not lose at its next restart.
pub(crate) async fn first_config<N: Net>(sql: &Sql<N>, config: &AgentConfig) -> Value {
    let dcs = config.bootstrap.as_ref().map(|bootstrap| bootstrap.dcs.clone());
    let dcs = dcs.filter(Value::is_object).unwrap_or_else(|| json!({}));
    // A server that cannot be asked now has nothing to say: the defaults are Patroni's.
    kept(&pending::parameters(sql).await.unwrap_or_default(), dcs)
}

fn kept(parameters: &[Parameter], mut dcs: Value) -> Value {
    let default = |name: &str| super::server_config::cluster_wide_default(name);
    let worth_keeping = |parameter: &&Parameter| match parameter.setting.parse::<u64>() {
        Ok(number) => default(&parameter.name).is_some_and(|least| number > least.parse().unwrap_or(0)),
        Err(_) => default(&parameter.name).is_some_and(|value| value != parameter.setting),
    };
    let own = parameters.iter().filter(|parameter| KEPT.contains(&parameter.name.as_str())).filter(worth_keeping);
    let own: Vec<_> = own.map(|parameter| (parameter.name.clone(), Value::from(parameter.shown()))).collect();
    if own.is_empty() {
        return dcs;
    }
    let section = |value: &mut Value, name: &str| {
        if !value.get(name).is_some_and(Value::is_object) {
            value[name] = Value::Object(Map::new());
        }
    };
    section(&mut dcs, "postgresql");
    section(&mut dcs["postgresql"], "parameters");
    for (name, value) in own {
        if let Some(configured) = dcs["postgresql"]["parameters"].as_object_mut() {
            configured.entry(name).or_insert(value);
        }
    }
    dcs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(parent: Option<(u32, &str)>, unit: Option<&str>) -> Origin {
        Origin {
            pid: 812,
            parent: parent.map(|(pid, name)| (pid, name.to_owned())),
            unit: unit.map(str::to_owned),
            own_unit: Some("pgdrill.service".into()),
        }
    }

    #[test]
    fn a_server_of_another_manager_is_refused_with_what_to_do() {
        let debian = objection(&origin(Some((1, "systemd")), Some("postgresql@16-main.service")), "/data");
        let debian = debian.expect("refused");
        assert!(debian.contains("systemctl disable --now postgresql@16-main`"), "{debian}");
        let patroni = objection(&origin(Some((77, "patroni")), None), "/data").expect("refused");
        assert!(patroni.contains("started by patroni (pid 77)"), "{patroni}");
        assert!(objection(&origin(Some((9, "supervisord")), None), "/data").is_some());
        let twin = origin(Some((44, "pgdrill")), Some("pgdrill.service"));
        assert!(objection(&twin, "/data").is_some(), "an agent before us that still lives");
    }

    #[test]
    fn an_orphan_and_a_server_of_an_agent_before_us_may_be_taken_over() {
        for may in [
            origin(Some((1, "sleep")), None),
            origin(None, None),
            origin(Some((5, "tini")), None),
            origin(Some((1, "systemd")), Some("pgdrill.service")),
        ] {
            assert_eq!(objection(&may, "/data"), None, "{may:?}");
        }
    }

    #[test]
    fn a_converted_instance_keeps_limits_that_the_configuration_does_not_name() {
        let parameter = |name: &str, setting: &str, vartype: &str| Parameter {
            name: name.into(),
            setting: setting.into(),
            vartype: vartype.into(),
            ..Parameter::default()
        };
        let running = [
            parameter("max_connections", "500", "integer"),
            parameter("max_worker_processes", "4", "integer"),
            parameter("max_wal_senders", "20", "integer"),
            parameter("track_commit_timestamp", "on", "bool"),
            parameter("shared_buffers", "16384", "integer"),
        ];
        let dcs = json!({"ttl": 30, "postgresql": {"parameters": {"max_wal_senders": 15}}});
        let expected = json!({"ttl": 30, "postgresql": {"parameters":
            {"max_wal_senders": 15, "max_connections": "500", "track_commit_timestamp": "on"}}});
        assert_eq!(kept(&running, dcs), expected);
        assert_eq!(kept(&running[1..2], json!({})), json!({}));
    }
}
