//! PostgreSQL's parameters of which the agent does not leave the last word to users: one table, and what becomes of what a
//! configuration says about them. What is replaced or does not count is told (Patroni's `CMDLINE_OPTIONS`,
//! `_process_postgresql_parameters`, `get_server_parameters`, `build_recovery_params`); everything else is PostgreSQL's matter.

use std::collections::BTreeMap;

use pgdrill_ha::{config as ha_config, view::SynchronousStandbyNames};
use pgdrill_settings::postgresql::{self, Use};
use serde_json::{Map, Value};

use crate::{AgentConfig, config::PostgresqlConfig, postgres::number};

/// What a parameter that the agent owns follows from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owned {
    /// Other settings: whatever is said about the parameter does not count.
    Follows(&'static str),
    /// It is always on, and may be said to be.
    AlwaysOn,
    /// It must be alike on all members: only the dynamic configuration may set it, to something that a cluster works with.
    /// Otherwise it is this.
    ClusterWide(&'static str, Legal),
    /// The management of synchronous replication, while that is switched on.
    Synchronous,
}

/// What a cluster works with (Patroni's `IntValidator`, `EnumValidator`, `_bool_validator`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Legal {
    AtLeast(u64),
    /// Megabytes.
    AtLeastMegabytes(u64),
    Flag,
    WalLevel,
}

use Legal::{AtLeast, AtLeastMegabytes, Flag, WalLevel};
use Owned::{AlwaysOn, ClusterWide, Follows, Synchronous};

const RECOVERY: &str = "nothing: a member follows the leader, to the end of its latest timeline";

/// The parameters that the agent owns.
const OWNED: &[(&str, Owned)] = &[
    ("cluster_name", Follows("scope in each node's own file")),
    ("config_file", Follows("postgresql.config_dir in each node's own file")),
    ("data_directory", Follows("postgresql.data_dir in each node's own file")),
    ("hot_standby", AlwaysOn),
    ("include", Follows("postgresql.custom_conf in each node's own file")),
    ("include_dir", Follows("postgresql.custom_conf in each node's own file")),
    ("include_if_exists", Follows("postgresql.custom_conf in each node's own file")),
    ("listen_addresses", Follows("postgresql.listen in each node's own file")),
    ("max_connections", ClusterWide("100", AtLeast(25))),
    ("max_locks_per_transaction", ClusterWide("64", AtLeast(32))),
    ("max_prepared_transactions", ClusterWide("0", AtLeast(0))),
    ("max_replication_slots", ClusterWide("10", AtLeast(4))),
    ("max_wal_senders", ClusterWide("10", AtLeast(3))),
    ("max_worker_processes", ClusterWide("8", AtLeast(2))),
    ("port", Follows("postgresql.listen in each node's own file")),
    ("primary_conninfo", Follows(RECOVERY)),
    ("primary_slot_name", Follows(RECOVERY)),
    ("recovery_target", Follows(RECOVERY)),
    ("recovery_target_action", Follows(RECOVERY)),
    ("recovery_target_inclusive", Follows(RECOVERY)),
    ("recovery_target_lsn", Follows(RECOVERY)),
    ("recovery_target_name", Follows(RECOVERY)),
    ("recovery_target_time", Follows(RECOVERY)),
    ("recovery_target_timeline", Follows(RECOVERY)),
    ("recovery_target_xid", Follows(RECOVERY)),
    ("synchronous_standby_names", Synchronous),
    ("track_commit_timestamp", ClusterWide("off", Flag)),
    ("wal_keep_size", ClusterWide("128MB", AtLeastMegabytes(16))),
    ("wal_level", ClusterWide("replica", WalLevel)),
    ("wal_log_hints", ClusterWide("on", Flag)),
];

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

fn owned(name: &str) -> Option<Owned> {
    OWNED.iter().find(|(owned, _)| *owned == name).map(|(_, by)| *by)
}

/// Patroni's default of a setting that must be alike on all members.
pub(crate) fn cluster_wide_default(name: &str) -> Option<&'static str> {
    match owned(name)? {
        ClusterWide(default, _) => Some(default),
        _ => None,
    }
}

/// Parameters that do not count wherever they are set, with what is set instead.
pub fn following() -> impl Iterator<Item = (&'static str, &'static str)> {
    OWNED.iter().filter_map(|(name, by)| match by {
        Follows(instead) => Some((*name, *instead)),
        AlwaysOn => Some((*name, "nothing, since it is always on")),
        _ => None,
    })
}

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
    let defaults = OWNED.iter().filter_map(|(name, _)| Some(((*name).to_owned(), cluster_wide_default(name)?.into())));
    let mut all: BTreeMap<String, String> = defaults.collect();
    let postgresql = &config.postgresql;
    let of_cluster = said(dynamic.pointer("/postgresql/parameters").and_then(Value::as_object));
    let segments = of_cluster.iter().find(|(name, _)| name == WAL_KEEP_SEGMENTS);
    if let Some(size) = segments.and_then(|(_, segments)| megabytes_of(segments)) {
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

/// The value that counts of what one place says about a parameter.
fn counting(name: &str, value: String, of_cluster: bool) -> Option<String> {
    match owned(name) {
        _ if name == WAL_KEEP_SEGMENTS => None,
        Some(Follows(_) | AlwaysOn) => None,
        Some(ClusterWide(..)) if !of_cluster => None,
        Some(ClusterWide(_, legal)) => match legal.accepts(&value) {
            // The older of two words for one level. PostgreSQL would take it, and then show the other.
            true if legal == WalLevel && value.trim().eq_ignore_ascii_case("hot_standby") => Some("replica".into()),
            true => Some(value),
            false => None,
        },
        Some(Synchronous) => Some(value),
        // A standby has them as its recovery settings. `pg_rewind` reads one of them in the file of what was a primary.
        None if OF_RECOVERY.contains(&name) && name != "restore_command" => None,
        None => taken(name, value),
    }
}

/// What PostgreSQL would not take would keep it from starting, and from taking any other change.
fn taken(name: &str, value: String) -> Option<String> {
    match postgresql::judge(name, &Value::String(value.clone())).map(|judgement| judgement.used) {
        None | Some(Use::IfKnown) => Some(value),
        Some(Use::Instead(other)) => Some(other),
        Some(Use::LeftOut) => None,
    }
}

impl Legal {
    fn accepts(self, value: &str) -> bool {
        let at_least = |least: u64, unit: Option<&str>| {
            number(value, unit).is_some_and(|value| value.fract() == 0.0 && value >= least as f64)
        };
        match self {
            AtLeast(least) => at_least(least, None),
            AtLeastMegabytes(least) => at_least(least, Some("MB")),
            Flag => {
                let words = ["on", "off", "true", "false", "yes", "no", "1", "0"];
                words.iter().any(|word| value.trim().eq_ignore_ascii_case(word))
            }
            WalLevel => {
                ["replica", "hot_standby", "logical"].iter().any(|level| value.trim().eq_ignore_ascii_case(level))
            }
        }
    }

    fn expected(self) -> String {
        match self {
            AtLeast(least) => format!("a whole number of at least {least}"),
            AtLeastMegabytes(least) => format!("a size of at least {least}MB"),
            Flag => "on or off".into(),
            WalLevel => "replica or logical".into(),
        }
    }
}

/// `wal_keep_size` for a number of WAL segments of the usual size.
fn megabytes_of(segments: &str) -> Option<String> {
    let segments = number(segments, None).filter(|number| number.fract() == 0.0 && *number >= 1.0)?;
    Some(format!("{}MB", segments as u64 * 16))
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
    all.retain(|name, _| owned(name).is_none());
    all
}

/// What of the dynamic configuration's parameters is replaced or does not count, as sentences.
pub(crate) fn replaced_parameters(dynamic: &Value) -> Vec<String> {
    let parameters = dynamic.pointer("/postgresql/parameters").and_then(Value::as_object);
    let mut told: Vec<String> = said(parameters)
        .into_iter()
        .filter_map(|(name, value)| {
            Some(format!("postgresql.parameters.{name}: {}", replaced(&name, &value, dynamic)?))
        })
        .collect();
    let recovery_conf = said(dynamic.pointer("/postgresql/recovery_conf").and_then(Value::as_object));
    told.extend(recovery_conf.into_iter().filter_map(|(name, value)| {
        let Some(Follows(instead)) = owned(&name) else { return None };
        Some(format!("postgresql.recovery_conf.{name}: found {value}, expected {instead}: it is ignored here"))
    }));
    told
}

/// What of this node's own parameters does not count under a dynamic configuration, as sentences. What never counts there is said
/// when the file is read.
pub(super) fn replaced_own(config: &AgentConfig, dynamic: &Value) -> Vec<String> {
    let depends = |name: &str| matches!(owned(name), Some(Synchronous)) || name == "hot_standby_feedback";
    let own = said(Some(&config.postgresql.parameters)).into_iter().filter(|(name, _)| depends(name));
    own.filter_map(|(name, value)| {
        Some(format!("this node's own postgresql.parameters.{name}: {}", replaced(&name, &value, dynamic)?))
    })
    .collect()
}

/// Why a value is not the one that counts; `None`: it is.
fn replaced(name: &str, value: &str, dynamic: &Value) -> Option<String> {
    let ignored = |instead: &str| Some(format!("found {value}, expected {instead}: the parameter is ignored here"));
    match owned(name) {
        Some(Follows(instead)) => ignored(instead),
        Some(AlwaysOn) if Flag.accepts(value) && is_on(value) => None,
        Some(AlwaysOn) => ignored("nothing, since it is always on"),
        Some(ClusterWide(_, legal)) if legal.accepts(value) => None,
        Some(ClusterWide(default, legal)) => {
            Some(format!("found {value}, expected {}: {default} is used instead", legal.expected()))
        }
        Some(Synchronous) if manages_standby_names(dynamic) => {
            ignored("synchronous_mode off, or synchronous_node_count beside synchronous_mode")
        }
        Some(Synchronous) if !SynchronousStandbyNames::is_legal(value) => Some(format!(
            "found {value}, expected names as PostgreSQL reads them, such as ANY 1 (pg2, pg3): it takes no other"
        )),
        Some(Synchronous) => None,
        None if name == WAL_KEEP_SEGMENTS => Some(match megabytes_of(value) {
            Some(size) => {
                format!("found {value}, expected wal_keep_size: {size} is used as that, unless it is given, too")
            }
            None => format!("found {value}, expected wal_keep_size: the parameter is ignored here"),
        }),
        None if name == "hot_standby_feedback" && !is_on(value) && has_logical_slots(dynamic) => Some(format!(
            "found {value}, expected on beside permanent logical slots: on is used where a node has them, since the primary must \
             not remove what they still need"
        )),
        None => None,
    }
}

fn is_on(value: &str) -> bool {
    ["on", "true", "yes", "1"].iter().any(|word| value.trim().eq_ignore_ascii_case(word))
}

#[cfg(test)]
#[path = "parameters_tests.rs"]
mod tests;
