//! `postgresql`: the local server.

use std::time::Duration;

use pgdrill_agent::{
    config::{HostPort, PostgresqlConfig},
    daemon::following_parameters,
};
use pgdrill_yaml::{At, Fields, Node, Reader, Value, patroni as warts};

use super::{
    authentication, methods, required,
    value::{command, connect_address, host_port, options, path, reachable, settings, switch, texts, word},
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
    places(reader, &mut fields, &mut it);
    server(reader, &mut fields, &mut it);
    rejoining(reader, &mut fields, &mut it);
    commands(reader, &mut fields, &mut it, root);
    if it.use_unix_socket {
        it.local_address.host = local_sockets(&it);
    }
    fields.finish(reader);
    addresses?;
    let users = users?;
    (it.superuser, it.replication, it.rewind) = (users.superuser, users.replication, users.rewind);
    it.connection = users.connection;
    it.data_dir = data_dir?;
    Some(it)
}

fn addresses(reader: &mut Reader<'_>, fields: &mut Fields<'_>, it: &mut PostgresqlConfig) -> Option<()> {
    let listen = required(reader, fields, "listen", "where it listens, such as 0.0.0.0:5432");
    let parsed = listen.as_ref().and_then(|at| host_port(reader, at, PORT));
    let connect = connect_address(reader, fields, listen.as_ref().filter(|_| parsed.is_some()), PORT);
    let listen = parsed;
    it.proxy_address = fields.take_set("proxy_address").and_then(|at| reachable(reader, &at, PORT));
    for (name, flag) in
        [("use_unix_socket", &mut it.use_unix_socket), ("use_unix_socket_repl", &mut it.use_unix_socket_repl)]
    {
        *flag = fields.take_set(name).and_then(|at| switch(reader, &at)).unwrap_or(false);
    }
    it.listen = listen?;
    it.local_address = local_address(&it.listen);
    it.connect_address = connect?;
    Some(())
}

/// As Patroni's `_get_tcp_local_address`: a loopback address if the server listens there, else the first of its addresses.
fn local_address(listen: &HostPort) -> HostPort {
    for host in listen.host.split(',') {
        match host {
            "localhost" => return HostPort::new("localhost", listen.port),
            "*" | "0.0.0.0" | "127.0.0.1" => return HostPort::new("127.0.0.1", listen.port),
            _ => {}
        }
    }
    HostPort::new(listen.host.split(',').next().unwrap_or_default(), listen.port)
}

/// Where PostgreSQL's builds have their socket when nobody says: Debian's and Red Hat's, and PostgreSQL's own.
const SOCKETS: &str = "/var/run/postgresql,/tmp";

/// As Patroni's `resolve_connection_addresses`: the folders of the server's socket, as libpq takes them for a host. It knows one
/// place where nobody says; here several are tried, and TCP in the end, since `/config` may name another one.
fn local_sockets(it: &PostgresqlConfig) -> String {
    let tcp = &it.local_address.host;
    match it.parameters.get("unix_socket_directories").and_then(|value| value.as_str()) {
        None => format!("{SOCKETS},{tcp}"),
        Some(configured) => {
            let folders: Vec<_> =
                configured.split(',').map(str::trim).filter(|folder| folder.starts_with('/')).collect();
            if folders.is_empty() { tcp.clone() } else { folders.join(",") }
        }
    }
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
    for (name, place) in [
        ("config_dir", &mut it.config_dir),
        ("bin_dir", &mut it.bin_dir),
        ("pgpass", &mut it.pgpass),
        ("custom_conf", &mut it.custom_conf),
    ] {
        *place = fields.take_set(name).and_then(|at| path(reader, &at));
    }
    if let Some(at) = fields.take_set("bin_name") {
        let mut names = reader.fields(&at);
        for program in PROGRAMS {
            let name = names.take_set(program).and_then(|at| word(reader, &at, "the name of a program"));
            it.bin_name.extend(name.map(|name| (program.to_owned(), name)));
        }
        names.finish(reader);
    }
}

fn server(reader: &mut Reader<'_>, fields: &mut Fields<'_>, it: &mut PostgresqlConfig) {
    if let Some(at) = fields.take_set("parameters") {
        it.parameters = settings(reader, &at);
        for (name, instead) in following_parameters() {
            if let Some(node) = at.node.get(name) {
                let instead = instead.strip_suffix(" in each node's own file").unwrap_or(instead);
                reader.warning(|reader| {
                    reader.problem(node.place, &at.field(name), format!("the parameter {name}"), instead).help =
                        "it follows from other settings and is ignored here".into();
                });
                it.parameters.remove(name);
            }
        }
        warts::leave_out_removed(&mut it.parameters);
    }
    if let Some(at) = fields.take_set("recovery_conf") {
        it.recovery_conf = settings(reader, &at);
    }
    it.pg_hba = fields.take_set("pg_hba").map(|at| texts(reader, &at, "a line of pg_hba.conf"));
    it.pg_ident = fields.take_set("pg_ident").map(|at| texts(reader, &at, "a line of pg_ident.conf"));
    if let Some(seconds) =
        fields.take_set("pg_ctl_timeout").and_then(|at| reader.integer::<u32>(&at, 0..=86_400, "seconds"))
    {
        it.pg_ctl_timeout = Duration::from_secs(seconds.into());
    }
    if let Some(at) = fields.take_set("use_slots") {
        reader.warning(|reader| {
            reader.wrong(&at, "bootstrap.dcs.postgresql.use_slots").help =
                "it must be the same on every node, so Patroni takes it from the DCS only and ignores it here".into();
        });
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
        if name != "basebackup" && !it.replica_methods.contains_key(name) {
            reader.wrong(&item, format!("the section postgresql.{name} with its command")).help =
                "every method but basebackup is a command of your own".into();
        }
    }
}
