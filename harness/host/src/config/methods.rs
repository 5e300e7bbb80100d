//! Commands of the user's own: callbacks, and methods that make a replica or a cluster.

use std::collections::BTreeMap;

use pgdrill_agent::config::{BootstrapMethod, Callbacks, ReplicaMethod};
use pgdrill_yaml::{At, Fields, Node, Reader, Value, patroni as warts};

use super::{
    required,
    value::{command, scalar, settings, switch},
};

/// `callbacks`.
pub(super) fn callbacks(reader: &mut Reader<'_>, at: &At<'_>) -> Callbacks {
    let mut it = Callbacks::default();
    let mut fields = reader.fields(at);
    for (name, callback) in [
        ("on_start", &mut it.on_start),
        ("on_stop", &mut it.on_stop),
        ("on_restart", &mut it.on_restart),
        ("on_reload", &mut it.on_reload),
        ("on_role_change", &mut it.on_role_change),
    ] {
        *callback = fields.take_set(name).and_then(|at| command(reader, &at));
    }
    warts::finish(reader, &fields);
    it
}

/// The sections of `postgresql` that are methods: those that are named, and those that look like one.
pub(super) fn replica_methods(
    reader: &mut Reader<'_>,
    fields: &mut Fields<'_>,
    root: &Node,
    named: &[String],
) -> BTreeMap<String, ReplicaMethod> {
    let mut names: Vec<String> = named.to_vec();
    for path in
        ["bootstrap.dcs.postgresql.create_replica_methods", "bootstrap.dcs.standby_cluster.create_replica_methods"]
    {
        if let Some(Value::List(items)) = root.at(path).map(|node| &node.value) {
            names.extend(items.iter().filter_map(scalar));
        }
    }
    let mut methods = BTreeMap::new();
    let is_method = |name: &str, node: &Node| names.iter().any(|n| n == name) || node.get("command").is_some();
    let sections = fields.take_where(|name, node| is_method(name, node));
    for at in sections {
        let name = at.path.rsplit('.').next().unwrap_or_default().to_owned();
        methods.insert(name, replica_method(reader, &at));
    }
    methods
}

fn replica_method(reader: &mut Reader<'_>, at: &At<'_>) -> ReplicaMethod {
    let mut fields = reader.fields(at);
    let run = fields.take_set("command").and_then(|at| command(reader, &at));
    let params = params(reader, &fields);
    let no_leader = fields.take_set("no_leader");
    let no_leader = no_leader.or_else(|| fields.take_set("no_master"));
    ReplicaMethod {
        command: run,
        keep_data: fields.take_set("keep_data").and_then(|at| switch(reader, &at)).unwrap_or(false),
        no_params: fields.take_set("no_params").and_then(|at| switch(reader, &at)).unwrap_or(false),
        no_leader: no_leader.and_then(|at| switch(reader, &at)).unwrap_or(false),
        params,
    }
}

/// `bootstrap.method`, with the section of its name.
pub(super) fn bootstrap_method(
    reader: &mut Reader<'_>,
    fields: &mut Fields<'_>,
    method: &At<'_>,
) -> Option<BootstrapMethod> {
    let name = super::value::word(reader, method, "initdb, or the name of a section with a command")?;
    if name == "initdb" {
        return None;
    }
    let section = fields.take_where(|field, _| field == name).pop();
    let Some(at) = section else {
        reader.wrong(method, format!("the section bootstrap.{name} with its command, or initdb")).help =
            "Patroni would silently use initdb".into();
        return None;
    };
    let mut fields = reader.fields(&at);
    let run = required(reader, &mut fields, "command", "the command that makes the data directory");
    Some(BootstrapMethod {
        name,
        command: run.and_then(|at| command(reader, &at)).unwrap_or_default(),
        no_params: fields.take_set("no_params").and_then(|at| switch(reader, &at)).unwrap_or(false),
        keep_existing_recovery_conf: fields
            .take_set("keep_existing_recovery_conf")
            .and_then(|at| switch(reader, &at))
            .unwrap_or(false),
        recovery_conf: fields.take_set("recovery_conf").map(|at| settings(reader, &at)).unwrap_or_default(),
        params: params(reader, &fields),
    })
}

/// Everything else: passed on as Python would write it.
fn params(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (key, node) in fields.rest() {
        let value = match node.value {
            Value::Bool(true) => Some("True".into()),
            Value::Bool(false) => Some("False".into()),
            _ => scalar(node),
        };
        match value {
            Some(value) => found.push((key.name.clone(), value)),
            None if node.value == Value::Null => {}
            None => {
                _ = reader
                    .wrong(&At { node, path: fields.at.field(&key.name) }, "a single value: it becomes --name=value")
            }
        }
    }
    found
}
