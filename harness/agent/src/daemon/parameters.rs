//! PostgreSQL's parameters of which the agent does not leave the last word to users: what becomes of what a configuration says
//! about them (Patroni's `CMDLINE_OPTIONS`, `_process_postgresql_parameters`, `get_server_parameters`, `build_recovery_params`).
//! Which they are is said by `pgdrill_settings::postgresql`; here is what depends on the cluster besides. What is replaced or does
//! not count is told; everything else is PostgreSQL's matter.

use std::collections::BTreeMap;

use pgdrill_ha::{config as ha_config, view::SynchronousStandbyNames};
use pgdrill_settings::{
    postgresql::{self as settings, Use},
    value::switch,
};
use serde_json::{Map, Value};

use crate::{AgentConfig, config::PostgresqlConfig};

/// Settings that a server is given on its command line, so that `ALTER SYSTEM` cannot change them (Patroni's
/// `CMDLINE_OPTIONS`).
pub const ON_COMMAND_LINE: &[&str] = &[
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

/// Settings of a standby's recovery that a user may set, there or in `recovery_conf`.
const OF_RECOVERY: &[&str] = &[
    "archive_cleanup_command",
    "promote_trigger_file",
    "recovery_end_command",
    "recovery_min_apply_delay",
    "restore_command",
];

/// What PostgreSQL 13 and later no longer know, in segments of 16 MB each; `wal_keep_size` says the same.
const WAL_KEEP_SEGMENTS: &str = "wal_keep_segments";

/// What is said, by PostgreSQL's own spelling of each name: case does not matter there, nor does a null count as a value.
fn said(parameters: Option<&Map<String, Value>>) -> Vec<(String, String)> {
    let all = parameters.into_iter().flatten().filter(|(_, value)| !value.is_null());
    all.map(|(name, value)| (name.to_ascii_lowercase(), setting(value))).collect()
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

/// PostgreSQL's parameters by the dynamic configuration and this node's own.
pub(super) fn parameters(config: &AgentConfig, dynamic: &Value, enforces_feedback: bool) -> BTreeMap<String, String> {
    let defaults = settings::cluster_wide().map(|(name, default)| (name.to_owned(), default.to_owned()));
    let mut all: BTreeMap<String, String> = defaults.collect();
    let postgresql = &config.postgresql;
    let of_cluster = said(dynamic.pointer("/postgresql/parameters").and_then(Value::as_object));
    let segments = of_cluster.iter().find(|(name, _)| name == WAL_KEEP_SEGMENTS);
    if let Some(size) = segments.and_then(|(_, segments)| settings::size_of_segments(&text(segments))) {
        all.insert("wal_keep_size".into(), size);
    }
    for (name, value) in of_cluster {
        all.extend(counting(&name, value, true).map(|value| (name, value)));
    }
    for (name, value) in said(Some(&postgresql.parameters)) {
        all.extend(counting(&name, value, false).map(|value| (name, value)));
    }
    if manages_standby_names(dynamic) {
        all.remove("synchronous_standby_names");
    }
    if enforces_feedback && has_logical_slots(dynamic) {
        all.insert("hot_standby_feedback".into(), "on".into());
    }
    for name in ["hba_file", "ident_file"] {
        if let Some(file) = all.get_mut(name) {
            *file = beside_configuration(postgresql, file);
        }
    }
    all.insert("hot_standby".into(), "on".into());
    all.insert("listen_addresses".into(), postgresql.listen.host.clone());
    all.insert("port".into(), postgresql.listen.port.to_string());
    all.insert("cluster_name".into(), config.scope.clone());
    all
}

/// The value that counts of what one place says about a parameter. What PostgreSQL would not take would keep it from starting,
/// and from taking any other change.
fn counting(name: &str, value: String, of_cluster: bool) -> Option<String> {
    let for_all = settings::default_of(name).is_some();
    // A standby has them as its recovery settings. `pg_rewind` reads one of them in the file of what was a primary.
    let of_recovery = OF_RECOVERY.contains(&name) && name != "restore_command";
    if name == WAL_KEEP_SEGMENTS || settings::follows(name).is_some() || (for_all && !of_cluster) || of_recovery {
        return None;
    }
    match settings::judge(name, &text(&value)).map(|judgement| judgement.used) {
        // The older of two words for one level. PostgreSQL would take it, and then show the other.
        None if name == "wal_level" && value.eq_ignore_ascii_case("hot_standby") => Some("replica".into()),
        None | Some(Use::IfKnown) => Some(value),
        Some(Use::Instead(other)) => Some(other),
        Some(Use::LeftOut) => None,
    }
}

fn text(value: &str) -> Value {
    Value::String(value.trim().to_owned())
}

/// PostgreSQL looks for a file without a path from the root in its data directory; Patroni means the folder of
/// `postgresql.conf`.
fn beside_configuration(postgresql: &PostgresqlConfig, file: &str) -> String {
    match &postgresql.config_dir {
        Some(dir) => dir.join(file).to_string_lossy().into_owned(),
        None => file.to_owned(),
    }
}

/// Whether `synchronous_standby_names` is not the user's.
pub(super) fn manages_standby_names(dynamic: &Value) -> bool {
    ha_config::resolve(dynamic, &Value::Null, &BTreeMap::new()).is_synchronous()
}

/// Whether permanent logical slots are configured.
fn has_logical_slots(dynamic: &Value) -> bool {
    let slots = dynamic.get("slots").and_then(Value::as_object);
    slots.is_some_and(|slots| slots.values().any(ha_config::is_logical_slot))
        && ha_config::standby_section(dynamic).is_none()
}

/// A standby's recovery settings: `recovery_conf`, and what `parameters` say of the same (Patroni's
/// `_adjust_recovery_parameters`), without those that say whom it follows and how far.
pub(super) fn recovery_parameters(config: &AgentConfig, document: &Value) -> BTreeMap<String, String> {
    let recovery_conf = said(document.pointer("/postgresql/recovery_conf").and_then(Value::as_object));
    let mut all: BTreeMap<String, String> = recovery_conf.into_iter().collect();
    let of_cluster = said(document.pointer("/postgresql/parameters").and_then(Value::as_object));
    let own = said(Some(&config.postgresql.parameters));
    all.extend(of_cluster.into_iter().chain(own).filter(|(name, _)| OF_RECOVERY.contains(&name.as_str())));
    all.retain(|name, _| settings::follows(name).is_none() && settings::default_of(name).is_none());
    all
}

/// What of the dynamic configuration's parameters does not count because of the cluster's other settings, as sentences. What
/// never counts is said by `pgdrill_settings::check`.
pub(crate) fn replaced_parameters(dynamic: &Value) -> Vec<String> {
    let parameters = dynamic.pointer("/postgresql/parameters").and_then(Value::as_object);
    let told = |(name, value): (String, String)| {
        Some(format!("postgresql.parameters.{name}: {}", replaced(&name, &value, dynamic)?))
    };
    said(parameters).into_iter().filter_map(told).collect()
}

/// The same of this node's own parameters.
pub(super) fn replaced_own(config: &AgentConfig, dynamic: &Value) -> Vec<String> {
    let told = |(name, value): (String, String)| {
        Some(format!("this node's own postgresql.parameters.{name}: {}", replaced(&name, &value, dynamic)?))
    };
    said(Some(&config.postgresql.parameters)).into_iter().filter_map(told).collect()
}

/// Why a value is not the one that counts; `None`: the value counts.
fn replaced(name: &str, value: &str, dynamic: &Value) -> Option<String> {
    match name {
        "synchronous_standby_names" if manages_standby_names(dynamic) => Some(format!(
            "found {value}, expected synchronous_mode off, or synchronous_node_count beside synchronous_mode: the parameter is \
             ignored here"
        )),
        "synchronous_standby_names" if !SynchronousStandbyNames::is_legal(value) => Some(format!(
            "found {value}, expected names as PostgreSQL reads them, such as ANY 1 (pg2, pg3): it takes no other"
        )),
        "hot_standby_feedback" if switch(&text(value)) != Some(true) && has_logical_slots(dynamic) => Some(format!(
            "found {value}, expected on beside permanent logical slots: on is used where a node has them, since the primary must \
             not remove what they still need"
        )),
        _ => None,
    }
}

#[cfg(test)]
#[path = "parameters_tests.rs"]
mod tests;
