//! Warts of a `patroni.yml` in PostgreSQL's parameters.

use serde_json::{Map, Value as Json};

use super::at;
use crate::{At, Node, Reader, Value};

/// Parameters that Patroni passes on the command line and takes from the DCS only (documentation, "Important rules").
pub const FROM_DCS_ONLY: [&str; 11] = [
    "max_connections",
    "max_locks_per_transaction",
    "max_worker_processes",
    "max_prepared_transactions",
    "wal_level",
    "track_commit_timestamp",
    "max_wal_senders",
    "max_replication_slots",
    "wal_log_hints",
    "wal_keep_size",
    "wal_keep_segments",
];

/// Parameters that no supported PostgreSQL has any more: name, since which version, what to write instead and why. Of the first
/// Patroni, and the agent, make what PostgreSQL has instead of it.
const REMOVED: [(&str, u8, &str, &str); 5] = [
    ("wal_keep_segments", 13, "wal_keep_size", "a segment is 16 MB: 8 segments are wal_keep_size: 128MB"),
    ("checkpoint_segments", 10, "max_wal_size", "three segments of 16 MB per checkpoint_segments"),
    ("replacement_sort_tuples", 11, "nothing", "sorts have no such mode any more"),
    ("vacuum_cleanup_index_scale_factor", 14, "nothing", "vacuum decides by itself"),
    ("operator_precedence_warning", 14, "nothing", "it only warned of changes in 9.5"),
];

/// What the whole file comes to, local settings over dynamic ones.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// `parameters`.
    pub parameters: &'a Map<String, Json>,
    /// `use_pg_rewind`.
    pub use_pg_rewind: bool,
    /// Whether `initdb` is told to keep data checksums.
    pub data_checksums: bool,
}

/// Warns of each.
pub fn warn(reader: &mut Reader<'_>, root: &Node, facts: Facts<'_>) {
    for path in ["bootstrap.dcs.postgresql.parameters", "postgresql.parameters"] {
        let Some(parameters) = at(root, path) else { continue };
        removed(reader, &parameters);
        if path.starts_with("postgresql") {
            dcs_only(reader, &parameters);
        }
    }
    archive(reader, root, facts.parameters);
    rewind(reader, root, facts);
    wal_senders(reader, root);
    standby_names(reader, root);
}

/// Patroni names the synchronous standbys by itself while `synchronous_mode` is on.
fn standby_names(reader: &mut Reader<'_>, root: &Node) {
    let mode = at(root, "bootstrap.dcs.synchronous_mode").map(|mode| match &mode.node.value {
        Value::Bool(on) => *on,
        Value::Text(word) => !["off", "false", "no", "0"].iter().any(|off| word.eq_ignore_ascii_case(off)),
        _ => false,
    });
    let Some(names) = parameter(root, "synchronous_standby_names").filter(|_| mode == Some(true)) else { return };
    reader.wrong(&names, "synchronous_node_count beside synchronous_mode").help =
        "with synchronous_mode Patroni names the standbys by itself, and the parameter does not count".into();
}

/// Undoes what a local section says about parameters that only the DCS may set.
pub fn keep_dynamic_only(dynamic: &Map<String, Json>, merged: &mut Map<String, Json>) {
    for name in FROM_DCS_ONLY {
        match dynamic.get(name) {
            Some(value) => _ = merged.insert(name.into(), value.clone()),
            None => _ = merged.remove(name),
        }
    }
}

/// Leaves out what no supported PostgreSQL starts with, as Patroni does. WAL that is to be kept is kept: segments of 16 MB become
/// their size, unless that is given, too.
pub fn leave_out_removed(parameters: &mut Map<String, Json>) {
    let segments = parameters.get("wal_keep_segments").and_then(|segments| match segments {
        Json::String(text) => text.trim().parse::<u64>().ok(),
        other => other.as_u64(),
    });
    if let Some(size) = segments.and_then(|segments| segments.checked_mul(16)).filter(|size| *size > 0) {
        parameters.entry("wal_keep_size").or_insert_with(|| format!("{size}MB").into());
    }
    parameters.retain(|name, _| !REMOVED.iter().any(|(removed, ..)| removed == name));
}

fn removed(reader: &mut Reader<'_>, parameters: &At<'_>) {
    for (name, version, instead, why) in REMOVED {
        if let Some(node) = parameters.node.get(name) {
            let found = format!("{name}, which PostgreSQL {version} has removed");
            let problem = reader.problem(node.place, &parameters.field(name), found, instead);
            let becomes = if name == REMOVED[0].0 { "takes it for the other" } else { "leaves it out" };
            problem.help = format!("PostgreSQL {version} and later do not start with it, so Patroni {becomes}; {why}");
        }
    }
}

fn dcs_only(reader: &mut Reader<'_>, parameters: &At<'_>) {
    for name in FROM_DCS_ONLY {
        if let Some(node) = parameters.node.get(name) {
            let expected = format!("bootstrap.dcs.postgresql.parameters.{name}");
            reader.problem(node.place, &parameters.field(name), format!("{name} in a local section"), expected).help =
                "it must be the same on every node, so Patroni takes it from the DCS only and ignores it here".into();
        }
    }
}

fn is_on(parameters: &Map<String, Json>, name: &str) -> bool {
    parameters.get(name).is_some_and(|value| match value {
        Json::Bool(flag) => *flag,
        Json::String(text) => matches!(text.as_str(), "on" | "true" | "yes" | "always" | "1"),
        Json::Number(number) => number.as_i64() == Some(1),
        _ => false,
    })
}

/// The node of a parameter, in the local section or the dynamic one.
fn parameter<'n>(root: &'n Node, name: &str) -> Option<At<'n>> {
    ["postgresql.parameters", "bootstrap.dcs.postgresql.parameters"]
        .into_iter()
        .find_map(|section| at(root, &format!("{section}.{name}")))
}

fn archive(reader: &mut Reader<'_>, root: &Node, parameters: &Map<String, Json>) {
    if !is_on(parameters, "archive_mode") {
        return;
    }
    let Some(command) = parameter(root, "archive_command") else {
        if let Some(mode) = parameter(root, "archive_mode").filter(|_| !parameters.contains_key("archive_library")) {
            reader.wrong(&mode, "an archive_command beside it").help =
                "without one, WAL that is to be archived is kept for ever and fills the disk".into();
        }
        return;
    };
    let Value::Text(text) = &command.node.value else { return };
    let does_nothing = matches!(text.trim(), "/bin/true" | "/usr/bin/true" | "true" | ":" | "exit 0" | "cd ." | "");
    if does_nothing {
        reader.wrong(&command, "a command that archives, or archive_mode: \"off\"").help =
            "it reports success and throws the WAL away: no point-in-time recovery, and a replica that falls behind or a \
             pg_rewind that needs old WAL finds nothing"
                .into();
    }
}

fn rewind(reader: &mut Reader<'_>, root: &Node, facts: Facts<'_>) {
    let hints = is_on(facts.parameters, "wal_log_hints");
    if facts.use_pg_rewind && !hints && !facts.data_checksums {
        let place = ["bootstrap.dcs.postgresql.use_pg_rewind", "postgresql.use_pg_rewind"];
        if let Some(found) = place.into_iter().find_map(|path| at(root, path)) {
            reader.wrong(&found, "wal_log_hints: \"on\" or initdb with data-checksums beside it").help =
                "pg_rewind needs one of them: without, a former primary stays out until it is copied anew".into();
        }
    }
}

fn wal_senders(reader: &mut Reader<'_>, root: &Node) {
    /// Patroni's own default.
    const DEFAULT: i64 = 10;
    let Some(found) = parameter(root, "max_wal_senders") else { return };
    let count = match &found.node.value {
        Value::Number(number) => number.as_i64(),
        Value::Text(text) => text.parse().ok(),
        _ => None,
    };
    if count.is_some_and(|count| count < DEFAULT) {
        reader.wrong(&found, format!("at least {DEFAULT}, Patroni's default")).help =
            "after a cut, senders of dead connections hold their places for wal_sender_timeout (60 s), and a base backup \
             takes two: replicas that come back are turned away"
                .into();
    }
}
