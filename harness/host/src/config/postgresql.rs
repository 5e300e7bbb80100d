//! `postgresql`: the local server.

use std::{collections::BTreeSet, time::Duration};

use pgdrill_agent::config::{PostgresqlConfig, tcp_local_address};
use pgdrill_settings::postgresql as parameters;
use pgdrill_yaml::{At, Fields, Node, Reader, Value, patroni as warts};

use super::{
    authentication, methods, required,
    value::{command, connect_address, host_port, options, path, reachable, settings, switch, texts, whole, word},
};
use crate::own_options;

const PORT: u16 = 5432;

/// PostgreSQL's programs that may be called otherwise.
pub(super) const PROGRAMS: [&str; 7] =
    ["pg_ctl", "initdb", "pg_controldata", "pg_basebackup", "postgres", "pg_isready", "pg_rewind"];

/// The section.
pub(super) fn postgresql(reader: &mut Reader<'_>, at: &At<'_>, root: &Node) -> Option<PostgresqlConfig> {
    let mut fields = reader.fields(at);
    let mut it = PostgresqlConfig::new("");
    let addresses = addresses(reader, &mut fields, &mut it);
    let data_dir = required(reader, &mut fields, "data_dir", "the data directory: /var/lib/postgresql/16/main");
    let data_dir = data_dir.and_then(|at| absolute(reader, &at));
    let users = required(reader, &mut fields, "authentication", "the users: { superuser: ..., replication: ... }");
    let users = users.and_then(|at| authentication::authentication(reader, &at));
    for (name, place) in [("config_dir", &mut it.config_dir), ("pgpass", &mut it.pgpass)] {
        *place = fields.take_set(name).and_then(|at| path(reader, &at));
    }
    own_server(reader, &mut fields);
    it.given = shared(reader, &mut fields, &mut it, root);
    if it.use_unix_socket {
        it.local_address.host = it.sockets(None);
    }
    warts::finish(reader, &fields);
    addresses?;
    let users = users?;
    (it.superuser, it.replication, it.rewind) = (users.superuser, users.replication, users.rewind);
    it.connection = users.connection;
    it.data_dir = data_dir?;
    Some(it)
}

/// What counts in the dynamic configuration, too, for every node whose own file does not say it. Returns which of it was said.
pub(super) fn shared(
    reader: &mut Reader<'_>,
    fields: &mut Fields<'_>,
    it: &mut PostgresqlConfig,
    root: &Node,
) -> BTreeSet<String> {
    let given = fields.rest().iter().filter(|(_, node)| node.value != Value::Null);
    let given = given.map(|(key, _)| key.name.clone()).collect();
    for (name, flag) in
        [("use_unix_socket", &mut it.use_unix_socket), ("use_unix_socket_repl", &mut it.use_unix_socket_repl)]
    {
        *flag = fields.take_set(name).and_then(|at| switch(reader, &at)).unwrap_or(false);
    }
    places(reader, fields, it);
    server(reader, fields, it);
    rejoining(reader, fields, it);
    commands(reader, fields, it, root);
    given
}

fn addresses(reader: &mut Reader<'_>, fields: &mut Fields<'_>, it: &mut PostgresqlConfig) -> Option<()> {
    let listen = required(reader, fields, "listen", "where it listens, such as 0.0.0.0:5432");
    let parsed = listen.as_ref().and_then(|at| host_port(reader, at, PORT));
    let connect = connect_address(reader, fields, listen.as_ref().filter(|_| parsed.is_some()), PORT);
    let listen = parsed;
    it.proxy_address = fields.take_set("proxy_address").and_then(|at| reachable(reader, &at, PORT));
    it.listen = listen?;
    it.local_address = tcp_local_address(&it.listen);
    it.connect_address = connect?;
    Some(())
}

fn absolute(reader: &mut Reader<'_>, at: &At<'_>) -> Option<String> {
    let text = word(reader, at, "a path")?;
    if !text.starts_with('/') {
        reader.warning(|reader| {
            reader.wrong(at, "a path from the root, such as /var/lib/postgresql/16/main").help =
                "it depends on where the agent is started".into();
        });
    }
    Some(text)
}

fn places(reader: &mut Reader<'_>, fields: &mut Fields<'_>, it: &mut PostgresqlConfig) {
    for (name, place) in [("bin_dir", &mut it.bin_dir), ("custom_conf", &mut it.custom_conf)] {
        *place = fields.take_set(name).and_then(|at| path(reader, &at));
    }
    if let Some(at) = fields.take_set("bin_name") {
        let mut names = reader.fields(&at);
        for program in PROGRAMS {
            let name = names.take_set(program).and_then(|at| word(reader, &at, "the name of a program"));
            it.bin_name.extend(name.map(|name| (program.to_owned(), name)));
        }
        warts::finish(reader, &names);
    }
}

/// What is wrong with a node's own settings of its server, beyond what is wrong with them anywhere.
fn own_server(reader: &mut Reader<'_>, fields: &mut Fields<'_>) {
    if let Some(at) = fields.get("parameters") {
        for (name, instead) in parameters::following() {
            if let Some(node) = at.node.get(name) {
                let instead = instead.strip_suffix(" in each node's own file").unwrap_or(instead);
                reader.warning(|reader| {
                    reader.problem(node.place, &at.field(name), format!("the parameter {name}"), instead).help =
                        "it follows from other settings and is ignored here".into();
                });
            }
        }
        warts::local_values(reader, &at);
    }
    if let Some(at) = fields.get("recovery_conf") {
        warts::local_recovery(reader, &at);
    }
    if let Some(at) = fields.take_set("use_slots") {
        reader.warning(|reader| {
            reader.wrong(&at, "bootstrap.dcs.postgresql.use_slots").help =
                "it must be the same on every node, so Patroni takes it from the DCS only and ignores it here".into();
        });
    }
}

fn server(reader: &mut Reader<'_>, fields: &mut Fields<'_>, it: &mut PostgresqlConfig) {
    if let Some(at) = fields.take_set("parameters") {
        it.parameters = settings(reader, &at);
        it.parameters.retain(|name, _| parameters::follows(name).is_none() && parameters::removed_in(name).is_none());
    }
    if let Some(at) = fields.take_set("recovery_conf") {
        it.recovery_conf = settings(reader, &at);
    }
    it.pg_hba = fields.take_set("pg_hba").map(|at| texts(reader, &at, "a line of pg_hba.conf"));
    it.pg_ident = fields.take_set("pg_ident").map(|at| texts(reader, &at, "a line of pg_ident.conf"));
    if let Some(seconds) =
        fields.take_set("pg_ctl_timeout").and_then(|at| whole::<u32>(reader, &at, 0..=86_400, "seconds"))
    {
        it.pg_ctl_timeout = Duration::from_secs(seconds.into());
    }
}

fn rejoining(reader: &mut Reader<'_>, fields: &mut Fields<'_>, it: &mut PostgresqlConfig) {
    it.use_pg_rewind = fields.take_set("use_pg_rewind").and_then(|at| switch(reader, &at));
    for (name, flag) in [
        ("remove_data_directory_on_rewind_failure", &mut it.remove_data_directory_on_rewind_failure),
        ("remove_data_directory_on_diverged_timelines", &mut it.remove_data_directory_on_diverged_timelines),
    ] {
        *flag = fields.take_set(name).and_then(|at| switch(reader, &at)).unwrap_or(false);
    }
    if let Some(at) = fields.take_set("basebackup") {
        it.basebackup = options(reader, &at, "pg_basebackup", own_options::BASEBACKUP);
    }
    if let Some(at) = fields.take_set("rewind") {
        it.rewind_options = options(reader, &at, "pg_rewind", own_options::REWIND);
    }
}

fn commands(reader: &mut Reader<'_>, fields: &mut Fields<'_>, it: &mut PostgresqlConfig, root: &Node) {
    it.callbacks = fields.take_set("callbacks").map(|at| methods::callbacks(reader, &at)).unwrap_or_default();
    for (name, script) in [("pre_promote", &mut it.pre_promote), ("before_stop", &mut it.before_stop)] {
        *script = fields.take_set(name).and_then(|at| command(reader, &at));
    }
    let list = fields.take_set("create_replica_methods");
    let list = list.or_else(|| fields.take_set("create_replica_method"));
    if let Some(at) = &list {
        it.create_replica_methods = texts(reader, at, "basebackup, or the name of a method");
    }
    it.replica_methods = methods::replica_methods(reader, fields, root, &it.create_replica_methods);
    let Some(at) = list else { return };
    for item in reader.items(&at) {
        let Value::Text(name) = &item.node.value else { continue };
        let shared = root.at(&format!("bootstrap.dcs.postgresql.{name}")).is_some();
        if name != "basebackup" && !shared && !it.replica_methods.contains_key(name) {
            // It may be in the configuration of a cluster that is already there.
            reader.warning(|reader| {
                reader.wrong(&item, format!("the section postgresql.{name} with its command")).help =
                    "every method but basebackup is a command of your own".into();
            });
        }
    }
}
