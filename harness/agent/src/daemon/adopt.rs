//! Taking over a PostgreSQL that is already there: its data and configuration stay, and nobody else may manage it.
//!
//! A second process manager would start what the agent stops, and stop what it starts: with it there can be two primaries. So
//! the agent looks where a running server comes from before it does anything, and says what to do.

use std::collections::BTreeMap;

use pgdrill_ha::{
    config::{ignores_slot, standby_section},
    view::SlotView,
};
use pgdrill_net::Net;
use serde_json::{Map, Value, json};

use super::{
    parts::{Parts, Ports},
    pending,
};
use crate::{
    config::AgentConfig,
    ports::Origin,
    postgres::{Parameter, Reachability, Sql, SqlError, number, slots, statements},
};

/// `wal_level`, the least first.
const WAL_LEVELS: [&str; 3] = ["minimal", "replica", "logical"];

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
    "wal_keep_size",
    "wal_level",
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
        Err(SqlError::NotConnected(Reachability::TlsFailed, why)) => Some(format!(
            "the running PostgreSQL is not connected to: {why}; this is what sslmode and its like in \
             postgresql.authentication.superuser ask for"
        )),
        _ => None,
    }
}

/// The first dynamic configuration of a cluster that has none: what `bootstrap.dcs` says, and below it what the running server
/// has and must not lose: settings at its next restart, slots in the next cycle.
///
/// # Errors
/// The server cannot be asked now.
pub(crate) async fn first_config<T: Ports>(parts: &Parts<T>) -> Result<Value, SqlError> {
    let dcs = parts.config().bootstrap.as_ref().map(|bootstrap| bootstrap.dcs.clone());
    let dcs = dcs.filter(Value::is_object).unwrap_or_else(|| json!({}));
    let parameters = pending::read(&parts.sql.query(statements::ADOPTED_PARAMETERS).await?);
    let found = slots(&parts.sql.query(statements::SLOTS).await?);
    let first = kept(&parameters, &found, dcs);
    // A standby of another cluster has that cluster's slots: here they would keep WAL back for nobody.
    let found = if standby_section(&first).is_some() { BTreeMap::new() } else { found };
    let first = with_slots(&found, first);
    if let Some(permanent) = first.get("slots").and_then(Value::as_object).filter(|_| !found.is_empty()) {
        let names: Vec<_> = permanent.keys().map(String::as_str).collect();
        let names = names.join(", ");
        parts.trouble(
            "config",
            format!("permanent slots of the new cluster: {names}; drop what nobody uses from `slots`"),
        );
    }
    Ok(first)
}

fn kept(parameters: &[Parameter], slots: &BTreeMap<String, SlotView>, mut dcs: Value) -> Value {
    let own: Vec<_> = parameters
        .iter()
        .filter(|parameter| KEPT.contains(&parameter.name.as_str()))
        .filter(|parameter| {
            let default = pgdrill_settings::postgresql::default_of(&parameter.name);
            default.is_some_and(|default| is_more(parameter, default))
        })
        .map(|parameter| (parameter.name.clone(), Value::from(parameter.shown())))
        .collect();
    if own.is_empty() {
        return dcs;
    }
    section(&mut dcs, "postgresql");
    let configured = section(&mut dcs["postgresql"], "parameters");
    let needs_logical = slots.values().any(|slot| !slot.physical);
    for (name, value) in own {
        // With a logical slot and less than that the server would not start again, whoever says so.
        if name == "wal_level" && needs_logical {
            configured.insert(name, value);
        } else {
            configured.entry(name).or_insert(value);
        }
    }
    dcs
}

/// Whether a server has more of something than `default`.
fn is_more(parameter: &Parameter, default: &str) -> bool {
    let level = |name: &str| WAL_LEVELS.iter().position(|level| level.eq_ignore_ascii_case(name));
    if let (Some(has), Some(default)) = (level(&parameter.setting), level(default)) {
        return has > default;
    }
    match (number(&parameter.setting, None), number(default, parameter.unit.as_deref())) {
        (Some(has), Some(default)) => has > default,
        _ => parameter.setting != default,
    }
}

/// The server's slots as permanent ones (`slots`), so that they are neither dropped as nobody's nor lost with a failover. Whatever
/// `bootstrap.dcs` says about a slot counts.
fn with_slots(found: &BTreeMap<String, SlotView>, mut dcs: Value) -> Value {
    let matchers = dcs.get("ignore_slots").cloned().unwrap_or_default();
    let own = found.iter().filter(|(name, slot)| !slot.lost && !ignores_slot(&matchers, name, slot));
    let own: Vec<_> = own.map(|(name, slot)| (name.clone(), permanent(slot))).collect();
    if own.is_empty() {
        return dcs;
    }
    let configured = section(&mut dcs, "slots");
    for (name, slot) in own {
        configured.entry(name).or_insert(slot);
    }
    dcs
}

fn permanent(slot: &SlotView) -> Value {
    match slot.physical {
        true => json!({ "type": "physical" }),
        false => json!({ "type": "logical", "database": slot.database, "plugin": slot.plugin }),
    }
}

/// The group of that name, made if there is none.
fn section<'v>(value: &'v mut Value, name: &str) -> &'v mut Map<String, Value> {
    let entry = value.as_object_mut().expect("it is asked of objects only").entry(name).or_insert(Value::Null);
    if !entry.is_object() {
        *entry = Value::Object(Map::new());
    }
    entry.as_object_mut().expect("it was made one")
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
            Parameter { unit: Some("MB".into()), ..parameter("wal_keep_size", "2048", "integer") },
            parameter("wal_level", "logical", "enum"),
        ];
        let dcs = json!({"ttl": 30, "postgresql": {"parameters": {"max_wal_senders": 15}}});
        let expected = json!({"ttl": 30, "postgresql": {"parameters": {
            "max_wal_senders": 15, "max_connections": "500", "track_commit_timestamp": "on", "wal_keep_size": "2GB",
            "wal_level": "logical",
        }}});
        let none = BTreeMap::new();
        assert_eq!(kept(&running, &none, dcs), expected);
        assert_eq!(kept(&running[1..2], &none, json!({})), json!({}));
        let less = [
            Parameter { unit: Some("MB".into()), ..parameter("wal_keep_size", "64", "integer") },
            parameter("wal_level", "minimal", "enum"),
        ];
        assert_eq!(kept(&less, &none, json!({})), json!({}), "the defaults are more");
        let modest = json!({"postgresql": {"parameters": {"wal_level": "replica"}}});
        assert_eq!(kept(&running[6..], &none, modest.clone()), modest, "who says so means it");
        let slots = BTreeMap::from([("events".to_owned(), SlotView::default())]);
        let forced = json!({"postgresql": {"parameters": {"wal_level": "logical"}}});
        assert_eq!(kept(&running[6..], &slots, modest), forced, "the server would not start again");
    }

    #[test]
    fn the_slots_of_a_converted_instance_become_permanent_ones() {
        let logical =
            SlotView { database: Some("shop".into()), plugin: Some("pgoutput".into()), ..SlotView::default() };
        let physical = SlotView { physical: true, ..SlotView::default() };
        let found = BTreeMap::from([
            ("barman".to_owned(), physical.clone()),
            ("events".to_owned(), logical),
            ("gone".to_owned(), SlotView { lost: true, ..physical.clone() }),
            ("mine".to_owned(), physical.clone()),
            ("other".to_owned(), physical),
        ]);
        let dcs = json!({"ttl": 30, "slots": {"other": {"type": "physical", "cluster_type": "primary"}},
            "ignore_slots": [{"name": "mine", "type": "physical"}]});
        let first = with_slots(&found, dcs.clone());
        let expected = json!({
            "barman": {"type": "physical"},
            "events": {"type": "logical", "database": "shop", "plugin": "pgoutput"},
            "other": {"type": "physical", "cluster_type": "primary"},
        });
        assert_eq!(first["slots"], expected);
        assert_eq!(with_slots(&BTreeMap::new(), dcs.clone()), dcs);
    }
}
