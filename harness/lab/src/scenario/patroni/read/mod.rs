//! Reads Patroni's settings: inline ones, tags, and patches for `edit_config`.

mod dynamic;
mod local;

use std::path::Path;

pub(in crate::scenario) use dynamic::{dynamic, postgresql_dynamic};
pub(in crate::scenario) use local::{initdb, postgresql_local, tags, watchdog};

use pgdrill_yaml::{At, Fields, Reader};
use serde_json::{Map, Value as Json};

use super::{Patroni, about::Said, own_file::read_patroni_yml};

/// What the lab sets itself, because it owns the hosts.
pub(in crate::scenario) const OWNED_BY_LAB: [&str; 14] = [
    "name",
    "log",
    "restapi",
    "ctl",
    "etcd",
    "etcd3",
    "consul",
    "zookeeper",
    "exhibitor",
    "kubernetes",
    "raft",
    "citus",
    "thread_pool_size",
    "thread_stack_size",
];

/// Settings written into the scenario: dynamic and local ones side by side.
pub(in crate::scenario) fn inline(reader: &mut Reader<'_>, at: &At<'_>) -> Patroni {
    let mut it = Patroni::default();
    let mut fields = reader.fields(at);
    if let Some(at) = fields.take("file") {
        it = own_file(reader, &at).unwrap_or_default();
    }
    overlay(reader, &mut fields, &mut it);
    fields.finish(reader);
    it.said = Said(Some(at.node.clone()));
    it
}

/// Takes the settings of a user's own file, which is looked for beside the scenario.
fn own_file(reader: &mut Reader<'_>, at: &At<'_>) -> Option<Patroni> {
    let expected = "the path of a patroni.yml, from the scenario's folder";
    let text = reader.text(at, expected)?;
    let path = reader.file().parent().unwrap_or(Path::new("")).join(&text);
    match read_patroni_yml(&path) {
        Ok(file) => {
            reader.problems.extend(file.warnings);
            Some(Patroni { file: Some(text), ..file.settings })
        }
        Err(problems) => {
            let why: Vec<String> = problems.iter().map(ToString::to_string).collect();
            reader.wrong(at, expected).help = why.join("; ");
            None
        }
    }
}

/// Reads inline settings over what is there already.
pub(in crate::scenario) fn overlay(reader: &mut Reader<'_>, fields: &mut Fields<'_>, it: &mut Patroni) {
    scope_and_namespace(reader, fields, it);
    if let Some(at) = fields.take("bootstrap") {
        bootstrap(reader, &at, it).finish(reader);
    }
    dynamic(reader, fields, it);
    if let Some(at) = fields.take("postgresql") {
        let mut postgresql = reader.fields(&at);
        postgresql_dynamic(reader, &mut postgresql, &mut it.postgresql);
        postgresql_local(reader, &mut postgresql, &mut it.postgresql);
        postgresql.finish(reader);
    }
    if let Some(at) = fields.take("tags") {
        it.tags = tags(reader, &at);
    }
    if let Some(at) = fields.take("watchdog") {
        it.watchdog = watchdog(reader, &at);
    }
    if let Some(at) = fields.take("data_checksums") {
        it.data_checksums = reader.boolean(&at).unwrap_or(true);
    }
    for name in OWNED_BY_LAB {
        if let Some(at) = fields.take_unlisted(name) {
            let found = format!("the setting {name:?}");
            reader.problem(at.node.place, &at.path, found, "settings of the cluster's behaviour").help =
                "the lab sets it itself, because it owns the hosts; in a `file:` it may stay".into();
        }
    }
}

/// Where the keys are.
pub(super) fn scope_and_namespace(reader: &mut Reader<'_>, fields: &mut Fields<'_>, it: &mut Patroni) {
    for (name, text) in [("scope", &mut it.scope), ("namespace", &mut it.namespace)] {
        if let Some(found) = fields.take(name).and_then(|at| reader.text(&at, "a name")) {
            *text = found.trim_matches('/').to_owned();
        }
    }
}

/// `bootstrap`: the dynamic settings that a new cluster starts with, and its checksums. Returns what else is in it.
pub(super) fn bootstrap<'n>(reader: &mut Reader<'_>, at: &At<'n>, it: &mut Patroni) -> Fields<'n> {
    let mut bootstrap = reader.fields(at);
    if let Some(at) = bootstrap.take("dcs") {
        let mut dcs = reader.fields(&at);
        dynamic(reader, &mut dcs, it);
        if let Some(at) = dcs.take("postgresql") {
            let mut postgresql = reader.fields(&at);
            postgresql_dynamic(reader, &mut postgresql, &mut it.postgresql);
            postgresql.finish(reader);
        }
        dcs.finish(reader);
    }
    if let Some(at) = bootstrap.take("initdb") {
        it.data_checksums = initdb(reader, &at);
    }
    bootstrap
}

/// Settings for `edit_config`: each must be legal by itself; `null` removes one.
pub(in crate::scenario) fn patch(reader: &mut Reader<'_>, at: &At<'_>) -> Option<Map<String, Json>> {
    let before = reader.problems.len();
    let mut fields = reader.fields(at);
    fields.skip_nulls();
    let mut scratch = Patroni::default();
    dynamic(reader, &mut fields, &mut scratch);
    if let Some(at) = fields.take("postgresql") {
        let mut postgresql = reader.fields(&at);
        postgresql.skip_nulls();
        postgresql_dynamic(reader, &mut postgresql, &mut scratch.postgresql);
        postgresql.finish(reader);
    }
    fields.finish(reader);
    if reader.problems.len() > before {
        return None;
    }
    match at.node.to_json() {
        Json::Object(map) if !map.is_empty() => Some(map),
        _ => {
            reader.wrong(at, "at least one setting, such as { ttl: 60 }");
            None
        }
    }
}
