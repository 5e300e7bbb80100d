//! `bootstrap.dcs`: the first dynamic configuration. Which values are legal is said by `pgdrill_settings`.

use pgdrill_agent::config::PostgresqlConfig;
use pgdrill_settings::places::{CLUSTER_WIDE, STANDBY_CLUSTER};
use pgdrill_yaml::{At, Fields, Node, Reader, Value, patroni as warts};
use serde_json::Value as Json;

use super::{
    postgresql,
    value::{switch, texts},
};

/// The section, as it is written to `/config`.
pub(super) fn dcs(reader: &mut Reader<'_>, at: &At<'_>, root: &Node) -> Json {
    let mut fields = reader.fields(at);
    for name in CLUSTER_WIDE {
        fields.take(name);
    }
    for name in ["slots", "permanent_slots", "permanent_replication_slots"] {
        group(reader, at, name);
    }
    if let Some(at) = fields.take_set("postgresql") {
        postgresql(reader, &at, root);
    }
    if let Some(at) = group(reader, at, "standby_cluster") {
        standby_cluster(reader, &at);
    }
    warts::finish(reader, &fields);
    warts::dynamic_values(reader, at);
    at.node.to_json()
}

/// A field that must be a group of fields, where it is set.
fn group<'n>(reader: &mut Reader<'_>, at: &At<'n>, name: &str) -> Option<At<'n>> {
    let node = at.node.get(name).filter(|node| node.value != Value::Null)?;
    let at = At { node, path: at.field(name) };
    if !matches!(node.value, Value::Map(_)) {
        reader.wrong(&at, "a group of fields");
        return None;
    }
    Some(at)
}

fn standby_cluster(reader: &mut Reader<'_>, at: &At<'_>) {
    let mut fields = reader.fields(at);
    for name in STANDBY_CLUSTER {
        fields.take(name);
    }
    warts::finish(reader, &fields);
    if let Some(methods) = group_of(at, "create_replica_methods") {
        texts(reader, &methods, "basebackup, or the name of a method");
    }
}

fn group_of<'n>(at: &At<'n>, name: &str) -> Option<At<'n>> {
    let node = at.node.get(name).filter(|node| node.value != Value::Null)?;
    Some(At { node, path: at.field(name) })
}

/// Everything that is not a node's own counts here, too, below what each node's own file says. What it comes to is read again when
/// the cluster's configuration is known.
fn postgresql(reader: &mut Reader<'_>, at: &At<'_>, root: &Node) {
    let mut fields = reader.fields(at);
    let mut scratch = PostgresqlConfig::new("");
    fields.take_set("use_slots").and_then(|at| switch(reader, &at));
    postgresql::shared(reader, &mut fields, &mut scratch, root);
    warts::finish(reader, &fields);
}

/// Dynamic settings at the top level: Patroni ignores them there.
pub(super) fn misplaced(reader: &mut Reader<'_>, fields: &mut Fields<'_>) {
    for at in fields.take_where(|name, _| CLUSTER_WIDE.contains(&name)) {
        let found = format!("the setting {:?} at the top level", at.path);
        reader.problem(at.node.place, &at.path, found, format!("bootstrap.dcs.{}", at.path)).help =
            "Patroni ignores it where it is: it is a setting of the whole cluster".into();
    }
}
