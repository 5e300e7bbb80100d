//! A user's own `patroni.yml`: read as Patroni reads it, so nothing in it is an error; what Patroni would ignore or adjust, and
//! what is known to hurt, becomes a warning with the reason and what would be right.

use std::path::Path;

use pgdrill_yaml::{
    At, Document, Fields, Node, Problem, Reader, Value, first_of_each, hide_secrets, parse, patroni as warts, text_of,
};

use super::{
    Patroni,
    read::{OWNED_BY_LAB, bootstrap, postgresql_dynamic, postgresql_local, scope_and_namespace, watchdog},
};

/// What is expected at a path that is named as a user's own file.
const PATRONI_YML: Document = Document {
    what: "patroni.yml",
    fields: "fields: scope, name, etcd3, restapi, bootstrap, postgresql, ...",
    yaml_1_1: true,
};

/// Patroni's settings from a user's file, and the warnings.
///
/// # Errors
/// When the file cannot be read at all or is no YAML: then Patroni would not start either.
pub(in crate::scenario) fn read_patroni_yml(file: &Path) -> Result<(Patroni, Vec<Problem>), Vec<Problem>> {
    let text = text_of(file, PATRONI_YML.what).map_err(|problem| vec![*problem])?;
    let root = parse(file, &text, PATRONI_YML).map_err(|problem| vec![*problem])?;
    let mut reader = Reader::of_patroni_yml(file.to_owned(), &text);
    let mut settings = settings(&mut reader, &root);
    settings.file = Some(file.display().to_string());
    warts::hba(&mut reader, &root);
    warts::passwords(&mut reader, &root);
    warts::open_restapi(&mut reader, &root);
    warts::slashes(&mut reader, &root);
    let facts = warts::Facts {
        parameters: &settings.postgresql.parameters,
        use_pg_rewind: settings.postgresql.use_pg_rewind,
        data_checksums: settings.data_checksums,
    };
    warts::parameters(&mut reader, &root, facts);
    store(&mut reader, &root);
    watchdog_left_open(&mut reader, &root);
    reader.problems.sort_by_key(|problem| (problem.line, problem.column));
    Ok((settings, first_of_each(reader.problems)))
}

fn settings(reader: &mut Reader<'_>, root: &Node) -> Patroni {
    // Where Patroni's own default differs from a scenario's, a file means Patroni's.
    let mut it = Patroni { data_checksums: false, ..Patroni::default() };
    it.postgresql.use_pg_rewind = false;
    let mut fields = reader.fields(&At { node: root, path: String::new() });
    scope_and_namespace(reader, &mut fields, &mut it);
    if let Some(at) = fields.take("bootstrap") {
        // What else is in it (users, scripts) is for a real machine.
        bootstrap(reader, &at, &mut it);
    }
    if let Some(at) = fields.take("postgresql") {
        // Local settings are over dynamic ones; other fields (addresses, directories, passwords) are the lab's own.
        let mut postgresql = reader.fields(&at);
        postgresql_local(reader, &mut postgresql, &mut it.postgresql);
        let dynamic = it.postgresql.parameters.clone();
        postgresql_dynamic(reader, &mut postgresql, &mut it.postgresql);
        warts::keep_dynamic_only(&dynamic, &mut it.postgresql.parameters);
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
    warts::leave_out_removed(&mut it.postgresql.parameters);
    // Their addresses are those of the user's networks, not of the lab's.
    it.postgresql.pg_hba = Vec::new();
    without_secrets(&mut it);
    misplaced(reader, &fields);
    adjust(reader, root, &mut it);
    it
}

/// What the user's own programs and servers are told and no simulated one needs is kept out of events, reports and containers.
fn without_secrets(it: &mut Patroni) {
    let settings = [&mut it.postgresql.parameters, &mut it.postgresql.recovery_conf, &mut it.slots];
    settings.into_iter().chain(&mut it.standby_cluster).for_each(hide_secrets);
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
        let found = format!("the setting {} at the top level", reader.name(key));
        let known = Patroni::default().dynamic_config().contains_key(&key.name);
        let expected =
            if known { format!("bootstrap.dcs.{}", key.name) } else { "a setting that Patroni knows".into() };
        let path = reader.field(&fields.at, key);
        reader.problem(key.place, &path, found, expected).help = "Patroni ignores it where it is".into();
    }
}

/// Times that break the rule: Patroni lowers them when it reads them.
fn adjust(reader: &mut Reader<'_>, root: &Node, it: &mut Patroni) {
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

/// Which store, and how it is reached.
fn store(reader: &mut Reader<'_>, root: &Node) {
    for store in ["etcd3", "etcd"] {
        if let Some(section) = root.get(store) {
            warts::one_member_only(reader, root, store);
            if store == "etcd" {
                reader.problem(section.place, store, "etcd's API v2", "etcd3").help =
                    "etcd 3.4 switched it off, etcd 3.6 has removed it".into();
            }
        }
    }
    for store in ["consul", "zookeeper", "exhibitor", "kubernetes", "raft"] {
        if let Some(section) = root.get(store) {
            let found = format!("{store} as the store");
            reader.problem(section.place, store, found, "etcd3").help =
                "the lab plays every scenario on etcd: what is special about this store is not tested".into();
        }
    }
}

fn watchdog_left_open(reader: &mut Reader<'_>, root: &Node) {
    if root.get("watchdog").is_none() {
        reader.problem(root.place, "watchdog", "no watchdog section", "watchdog: { mode: required }").help =
            "the default, automatic, goes on without a device and says so once in the log; then a frozen or killed agent \
             leaves a primary that takes writes beside the new one"
                .into();
    }
}
