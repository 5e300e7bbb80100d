//! A user's own `patroni.yml`: read as Patroni reads it, so nothing in it is an error; what Patroni would ignore or adjust, and
//! what is known to hurt, becomes a warning with the reason and what would be right.

mod access;
mod dcs;
mod parameters;

use std::path::Path;

use super::{
    Patroni,
    read::{OWNED_BY_LAB, dynamic, initdb, postgresql_dynamic, postgresql_local, watchdog},
};
use crate::scenario::{
    problem::Problem,
    read::{At, Fields, Reader, Value, yaml},
};

/// Patroni's settings from a user's file, and the warnings.
///
/// # Errors
/// When the file cannot be read at all or is no YAML: then Patroni would not start either.
pub(in crate::scenario) fn read_patroni_yml(file: &Path) -> Result<(Patroni, Vec<Problem>), Vec<Problem>> {
    let text = crate::scenario::load::text_of(file).map_err(|problem| vec![*problem])?;
    let root = yaml::parse(file, &text).map_err(|problem| vec![*problem])?;
    let mut reader = Reader::of_patroni_yml(file.to_owned(), &text);
    let mut settings = settings(&mut reader, &root);
    settings.file = Some(file.display().to_string());
    access::warn(&mut reader, &root);
    dcs::warn(&mut reader, &root);
    parameters::warn(&mut reader, &root, &settings);
    reader.problems.sort_by_key(|problem| (problem.line, problem.column));
    Ok((settings, reader.problems))
}

fn settings(reader: &mut Reader<'_>, root: &crate::scenario::read::Node) -> Patroni {
    // Where Patroni's own default differs from a scenario's, a file means Patroni's.
    let mut it = Patroni { data_checksums: false, ..Patroni::default() };
    it.postgresql.use_pg_rewind = false;
    let mut fields = reader.fields(&At { node: root, path: String::new() });
    for (name, text) in [("scope", &mut it.scope), ("namespace", &mut it.namespace)] {
        if let Some(found) = fields.take(name).and_then(|at| reader.text(&at, "a name")) {
            *text = found.trim_matches('/').to_owned();
        }
    }
    if let Some(at) = fields.take("bootstrap") {
        bootstrap(reader, &at, &mut it);
    }
    if let Some(at) = fields.take("postgresql") {
        // Local settings are over dynamic ones; other fields (addresses, directories, passwords) are the lab's own.
        let mut postgresql = reader.fields(&at);
        postgresql_local(reader, &mut postgresql, &mut it.postgresql);
        let dynamic = it.postgresql.parameters.clone();
        postgresql_dynamic(reader, &mut postgresql, &mut it.postgresql);
        parameters::keep_dynamic_only(&dynamic, &mut it.postgresql.parameters);
    }
    if let Some(at) = fields.take("watchdog") {
        it.watchdog = watchdog(reader, &at);
    }
    if let Some(at) = fields.take("tags") {
        one_nodes_tags(reader, &at);
    }
    for name in OWNED_BY_LAB {
        fields.take(name);
    }
    parameters::leave_out_removed(&mut it.postgresql.parameters);
    // Their addresses are those of the user's networks, not of the lab's.
    it.postgresql.pg_hba = Vec::new();
    misplaced(reader, &fields);
    adjust(reader, root, &mut it);
    it
}

fn bootstrap(reader: &mut Reader<'_>, at: &At<'_>, it: &mut Patroni) {
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
}

/// The file is one node's: its tags are not every node's.
fn one_nodes_tags(reader: &mut Reader<'_>, at: &At<'_>) {
    for (key, node) in reader.fields(at).rest() {
        if node.value != Value::Bool(false) && node.value != Value::Null {
            let at = At { node, path: at.field(&key.name) };
            reader.wrong(&at, "a tag for this one node").help = format!(
                "it is not taken over for all nodes; say who has it: cluster.tags: {{ pg2: {{ {}: ... }} }}",
                key.name
            );
        }
    }
}

/// Dynamic settings outside `bootstrap.dcs`: Patroni starts, and takes its defaults.
fn misplaced(reader: &mut Reader<'_>, fields: &Fields<'_>) {
    for (key, _) in fields.rest() {
        let found = format!("the setting {:?} at the top level", key.name);
        let known = Patroni::default().dynamic_config().contains_key(&key.name);
        let expected =
            if known { format!("bootstrap.dcs.{}", key.name) } else { "a setting that Patroni knows".into() };
        reader.problem(key.place, &key.name, found, expected).help = "Patroni ignores it where it is".into();
    }
}

/// Times that break the rule: Patroni lowers them when it reads them.
fn adjust(reader: &mut Reader<'_>, root: &crate::scenario::read::Node, it: &mut Patroni) {
    let (asked, used) = (it.timing(), it.timing().adjusted());
    if asked == used {
        return;
    }
    let path = "bootstrap.dcs";
    let sum = u64::from(asked.loop_wait) + 2 * u64::from(asked.retry_timeout);
    let found = format!(
        "loop_wait {} + 2 * retry_timeout {} = {sum}, above ttl {}",
        asked.loop_wait, asked.retry_timeout, asked.ttl
    );
    reader.problem(root.locate(path).place, path, found, format!("ttl of at least {sum}")).help = format!(
        "Patroni would run with ttl {}, loop_wait {}, retry_timeout {}, and so does the lab: a full wait, a failed read and a \
         failed renewal must fit into one lease",
        used.ttl, used.loop_wait, used.retry_timeout
    );
    (it.ttl, it.loop_wait, it.retry_timeout) = (used.ttl, used.loop_wait, used.retry_timeout);
}
