//! What of a user's own `patroni.yml` is played, and what is not: nothing that somebody has set is passed over in silence.

use pgdrill_settings::postgresql::{FROM_DCS_ONLY, follows};
use pgdrill_yaml::{Node, Value};

/// What becomes of a setting of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    /// It is played as it is.
    Played,
    /// It is written to PostgreSQL's configuration on real nodes; the simulated PostgreSQL knows nothing of it.
    OnlyOnRealNodes,
    /// The lab has its own: it is about the user's machines, networks and people.
    TheLabsOwn,
    /// A command or a program of the user's machines: no world of the lab runs it.
    NotRun,
    /// It is one node's, and not taken over for all.
    OneNodes,
    /// It does not count where it stands, for Patroni either.
    Ignored,
}

impl Fate {
    const ALL: [Self; 6] =
        [Self::Played, Self::OnlyOnRealNodes, Self::TheLabsOwn, Self::NotRun, Self::OneNodes, Self::Ignored];

    const fn heading(self) -> &'static str {
        match self {
            Self::Played => "played",
            Self::OnlyOnRealNodes => "only on real nodes, without effect in the simulator",
            Self::TheLabsOwn => "not taken, since the lab has its own",
            Self::NotRun => "not played: what your machines run does not run in the lab",
            Self::OneNodes => "not taken: it is this one node's",
            Self::Ignored => "without effect where it stands, for Patroni, too",
        }
    }
}

/// The settings of a file, each with what becomes of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account(Vec<(Fate, String)>);

impl Account {
    /// Of every setting of the file.
    pub(super) fn of(root: &Node) -> Self {
        let mut all = Self::default();
        all.walk(root, "");
        all
    }

    /// The settings with this fate, in the order of the file: `bootstrap.dcs.ttl`.
    pub fn with(&self, fate: Fate) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(found, _)| *found == fate).map(|(_, path)| path.as_str())
    }

    /// One paragraph for each fate that a setting of the file has.
    #[must_use]
    pub fn paragraphs(&self) -> Vec<String> {
        let paragraph = |fate: Fate| {
            let settings: Vec<&str> = self.with(fate).collect();
            (!settings.is_empty()).then(|| format!("{}: {}", fate.heading(), settings.join(", ")))
        };
        Fate::ALL.into_iter().filter_map(paragraph).collect()
    }

    fn walk(&mut self, node: &Node, path: &str) {
        let Value::Map(fields) = &node.value else { return };
        for (key, node) in fields.iter().filter(|(_, node)| node.value != Value::Null) {
            let at = if path.is_empty() { key.name.clone() } else { format!("{path}.{}", key.name) };
            if at == "bootstrap.initdb" && node.to_json().to_string().contains("\"data-checksums\"") {
                self.0.push((Fate::Played, format!("{at} data-checksums")));
                continue;
            }
            match fate(&at) {
                Some(fate) => self.0.push((fate, shown(&at, node, fate))),
                None => self.walk(node, &at),
            }
        }
    }
}

/// A setting that is played, with its value where that is a short one.
fn shown(path: &str, node: &Node, fate: Fate) -> String {
    let path = path.trim_start_matches("bootstrap.dcs.");
    let value = match &node.value {
        Value::Text(text) if text.len() <= 12 => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Bool(flag) => flag.to_string(),
        _ => return path.to_owned(),
    };
    if fate == Fate::Played { format!("{path} {value}") } else { path.to_owned() }
}

/// What becomes of the setting at a path; `None`: of each field in it something of its own. What is known nowhere is told by the
/// reader.
fn fate(path: &str) -> Option<Fate> {
    let dcs = path.strip_prefix("bootstrap.dcs.");
    match dcs.unwrap_or(path) {
        "scope" | "namespace" => Some(Fate::Played),
        "bootstrap"
        | "bootstrap.dcs"
        | "postgresql"
        | "postgresql.parameters"
        | "postgresql.recovery_conf"
        | "watchdog"
        | "pgdrill"
        | "pgdrill.fencing" => None,
        path if path.strip_prefix("postgresql.parameters.").is_some_and(|name| is_ignored(name, dcs.is_some())) => {
            Some(Fate::Ignored)
        }
        "bootstrap.initdb" => Some(Fate::TheLabsOwn),
        "bootstrap.pg_hba" => Some(Fate::TheLabsOwn),
        "tags" => Some(Fate::OneNodes),
        "watchdog.device" => Some(Fate::TheLabsOwn),
        "watchdog.mode" | "watchdog.safety_margin" | "pgdrill.fencing.mode" => Some(Fate::Played),
        other => Some(match other.split_once('.') {
            Some(("postgresql", field)) => postgresql(field),
            Some(("bootstrap", _)) => Fate::NotRun,
            None if dcs.is_some() => Fate::Played,
            _ => Fate::TheLabsOwn,
        }),
    }
}

fn postgresql(field: &str) -> Fate {
    match field.split_once('.') {
        Some(("parameters", name)) => fate_of_parameter(name),
        Some(("recovery_conf", name)) if name.ends_with("_command") => Fate::NotRun,
        Some(("recovery_conf", _)) => Fate::Played,
        _ => match field {
            "use_pg_rewind"
            | "use_slots"
            | "pg_ctl_timeout"
            | "remove_data_directory_on_rewind_failure"
            | "remove_data_directory_on_diverged_timelines" => Fate::Played,
            "callbacks"
            | "create_replica_methods"
            | "create_replica_method"
            | "basebackup"
            | "rewind"
            | "pre_promote"
            | "before_stop" => Fate::NotRun,
            "listen"
            | "connect_address"
            | "proxy_address"
            | "data_dir"
            | "config_dir"
            | "bin_dir"
            | "bin_name"
            | "pgpass"
            | "authentication"
            | "pg_hba"
            | "pg_ident"
            | "custom_conf"
            | "use_unix_socket"
            | "use_unix_socket_repl"
            | "name"
            | "scope" => Fate::TheLabsOwn,
            // The section of a method.
            _ => Fate::NotRun,
        },
    }
}

/// Parameters that the simulated PostgreSQL acts upon.
const SIMULATED: [&str; 20] = [
    "max_connections",
    "max_locks_per_transaction",
    "max_prepared_transactions",
    "max_replication_slots",
    "max_slot_wal_keep_size",
    "max_wal_senders",
    "max_worker_processes",
    "recovery_min_apply_delay",
    "statement_timeout",
    "synchronous_commit",
    "synchronous_standby_names",
    "track_commit_timestamp",
    "wal_keep_segments",
    "wal_keep_size",
    "wal_level",
    "wal_log_hints",
    "wal_receiver_status_interval",
    "wal_receiver_timeout",
    "wal_retrieve_retry_interval",
    "wal_sender_timeout",
];

/// Parameters that are about files, programs, memory or networks of the user's machines: on a machine of the lab PostgreSQL would not
/// start with them, or would do something else.
const MACHINES: [&str; 36] = [
    "archive_cleanup_command",
    "archive_library",
    "data_directory",
    "dynamic_library_path",
    "external_pid_file",
    "hba_file",
    "huge_page_size",
    "huge_pages",
    "ident_file",
    "jit_provider",
    "krb_server_keyfile",
    "listen_addresses",
    "local_preload_libraries",
    "log_directory",
    "log_destination",
    "logging_collector",
    "port",
    "session_preload_libraries",
    "shared_buffers",
    "shared_memory_type",
    "shared_preload_libraries",
    "ssl",
    "ssl_ca_file",
    "ssl_cert_file",
    "ssl_crl_dir",
    "ssl_crl_file",
    "ssl_dh_params_file",
    "ssl_key_file",
    "ssl_passphrase_command",
    "stats_temp_directory",
    "temp_tablespaces",
    "unix_socket_directories",
    "unix_socket_group",
    "unix_socket_permissions",
    "cluster_name",
    "bonjour",
];

/// Whether a parameter counts elsewhere only: what must be alike on all members in the dynamic configuration, and what follows from
/// other settings nowhere.
fn is_ignored(name: &str, dynamic: bool) -> bool {
    follows(name).is_some() || (!dynamic && FROM_DCS_ONLY.contains(&name))
}

/// What becomes of a parameter that counts where it stands.
pub(super) fn fate_of_parameter(name: &str) -> Fate {
    if SIMULATED.contains(&name) {
        Fate::Played
    } else if MACHINES.contains(&name) || name.contains('.') {
        Fate::TheLabsOwn
    } else if matches!(name, "archive_command" | "archive_mode" | "restore_command" | "recovery_end_command") {
        Fate::NotRun
    } else {
        Fate::OnlyOnRealNodes
    }
}

/// Whether a parameter of the file is given to the cluster that is played.
pub(super) fn is_taken(name: &str) -> bool {
    matches!(fate_of_parameter(name), Fate::Played | Fate::OnlyOnRealNodes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_of_a_file_has_a_fate() {
        let text = "
scope: shop
name: pg1
restapi: { listen: 'x' }
bootstrap:
  dcs:
    ttl: 40
    synchronous_mode: 'on'
    slots: { a: { type: physical } }
    postgresql:
      use_pg_rewind: true
      parameters: { max_connections: 200, work_mem: 4MB, shared_buffers: 8GB, archive_command: pgbackrest, auto_explain.log_analyze: on }
      recovery_conf: { restore_command: pgbackrest }
  initdb: [ data-checksums ]
  method: clone
  clone: { command: x }
postgresql:
  listen: x
  pg_ctl_timeout: 90
  callbacks: { on_start: x }
  create_replica_methods: [ pgbackrest ]
  pgbackrest: { command: x }
  parameters: { wal_sender_timeout: 5s, max_connections: 300, hot_standby: on, port: 5433 }
watchdog: { mode: required, device: /dev/watchdog }
tags: { clonefrom: true }
log: ~
";
        let document = pgdrill_yaml::Document { what: "file", fields: "fields", yaml_1_1: true };
        let root = pgdrill_yaml::parse(std::path::Path::new("patroni.yml"), text, document).expect("YAML");
        insta::assert_snapshot!(Account::of(&root).paragraphs().join("\n"), @r"
        played: scope shop, ttl 40, synchronous_mode on, slots, postgresql.use_pg_rewind true, postgresql.parameters.max_connections 200, bootstrap.initdb data-checksums, postgresql.pg_ctl_timeout 90, postgresql.parameters.wal_sender_timeout 5s, watchdog.mode required
        only on real nodes, without effect in the simulator: postgresql.parameters.work_mem
        not taken, since the lab has its own: name, restapi, postgresql.parameters.shared_buffers, postgresql.parameters.auto_explain.log_analyze, postgresql.listen, watchdog.device
        not played: what your machines run does not run in the lab: postgresql.parameters.archive_command, postgresql.recovery_conf.restore_command, bootstrap.method, bootstrap.clone, postgresql.callbacks, postgresql.create_replica_methods, postgresql.pgbackrest
        not taken: it is this one node's: tags
        without effect where it stands, for Patroni, too: postgresql.parameters.max_connections, postgresql.parameters.hot_standby, postgresql.parameters.port
        ");
    }
}
