//! Warts of a `patroni.yml` in PostgreSQL's parameters.

use pgdrill_settings::{
    postgresql,
    value::{integer, switch},
};
use serde_json::{Map, Value as Json};

use super::at;
use crate::{At, Key, Node, Reader, Value};

/// What to write instead of a parameter that no supported PostgreSQL has any more, and why.
const INSTEAD: [(&str, &str, &str); 5] = [
    (
        "wal_keep_segments",
        "wal_keep_size",
        "a segment is 16 MB: 8 segments are wal_keep_size: 128MB, as which Patroni takes them",
    ),
    ("checkpoint_segments", "max_wal_size", "three segments of 16 MB per checkpoint_segments"),
    ("replacement_sort_tuples", "nothing", "sorts have no such mode any more"),
    ("vacuum_cleanup_index_scale_factor", "nothing", "vacuum decides by itself"),
    ("operator_precedence_warning", "nothing", "it only warned of changes in 9.5"),
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
        if let Some(parameters) = at(root, path) {
            removed(reader, &parameters);
        }
    }
    if let Some(parameters) = at(root, "postgresql.parameters") {
        dcs_only(reader, &parameters);
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

fn removed(reader: &mut Reader<'_>, parameters: &At<'_>) {
    for (key, node) in fields(parameters) {
        let name = key.name.as_str();
        let Some(version) = postgresql::removed_in(name) else { continue };
        let known = INSTEAD.iter().find(|(removed, ..)| *removed == name);
        let (instead, why) = known.map_or(("nothing", ""), |(_, instead, why)| (*instead, *why));
        let found = format!("{name}, which PostgreSQL {version} has removed");
        let left_out = if name == "wal_keep_segments" { "" } else { ", so it is left out" };
        let why = if why.is_empty() { String::new() } else { format!("; {why}") };
        reader.problem(node.place, &parameters.field(name), found, instead).help =
            format!("PostgreSQL {version} and later do not start with it{left_out}{why}");
    }
}

fn dcs_only(reader: &mut Reader<'_>, parameters: &At<'_>) {
    for (key, node) in fields(parameters) {
        let name = key.name.as_str();
        if postgresql::FROM_DCS_ONLY.contains(&name) {
            let expected = format!("bootstrap.dcs.postgresql.parameters.{name}");
            reader.problem(node.place, &parameters.field(name), format!("{name} in a local section"), expected).help =
                "it must be the same on every node, so Patroni takes it from the DCS only and ignores it here".into();
        }
    }
}

/// Values of a node's own `recovery_conf` that are no values of theirs.
pub fn local_recovery(reader: &mut Reader<'_>, parameters: &At<'_>) {
    for (key, node) in fields(parameters) {
        let (name, value) = (key.name.as_str(), node.to_json());
        if let Some(judgement) = postgresql::judge_recovery(name, &value) {
            super::dynamic::tell(reader, parameters, &judgement.problem(name, &value));
        }
    }
}

/// Values of a node's own parameters that are no values of theirs.
pub fn local_values(reader: &mut Reader<'_>, parameters: &At<'_>) {
    for (key, node) in fields(parameters) {
        let (name, value) = (key.name.as_str(), node.to_json());
        let told_elsewhere = postgresql::FROM_DCS_ONLY.contains(&name)
            || postgresql::removed_in(name).is_some()
            || postgresql::follows(name).is_some();
        if let Some(judgement) = postgresql::judge(name, &value).filter(|_| !told_elsewhere) {
            super::dynamic::tell(reader, parameters, &judgement.problem(name, &value));
        }
    }
}

fn fields<'n>(at: &At<'n>) -> impl Iterator<Item = &'n (Key, Node)> + use<'n> {
    let fields: &[(Key, Node)] = if let Value::Map(fields) = &at.node.value { fields } else { &[] };
    // A parameter that is null is none, and what is no single value is told by whoever reads it.
    fields.iter().filter(|(_, node)| !matches!(node.value, Value::Null | Value::List(_) | Value::Map(_)))
}

fn is_on(parameters: &Map<String, Json>, name: &str) -> bool {
    let always = |value: &Json| value.as_str().is_some_and(|word| word.eq_ignore_ascii_case("always"));
    parameters.get(name).is_some_and(|value| switch(value) == Some(true) || always(value))
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
    const DEFAULT: i128 = 10;
    let Some(found) = parameter(root, "max_wal_senders") else { return };
    let value = found.node.to_json();
    // What is replaced is told as such.
    if postgresql::judge("max_wal_senders", &value).is_some() {
        return;
    }
    let count = integer(&value, None);
    if count.is_some_and(|count| count < DEFAULT) {
        reader.wrong(&found, format!("at least {DEFAULT}, Patroni's default")).help =
            "after a cut, senders of dead connections hold their places for wal_sender_timeout (60 s), and a base backup \
             takes two: replicas that come back are turned away"
                .into();
    }
}
