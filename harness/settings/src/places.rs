//! Where a known name belongs: who writes `slots` below `postgresql` is told that it is one level up, instead of every name that
//! would be known there.

use serde_json::Value;

use crate::postgresql;

/// Settings of the whole cluster: they count only from the dynamic configuration, wherever else they stand (documentation
/// "Dynamic Configuration Settings"). The last four are names that Patroni has renamed.
pub const CLUSTER_WIDE: [&str; 22] = [
    "ttl",
    "loop_wait",
    "retry_timeout",
    "maximum_lag_on_failover",
    "maximum_lag_on_syncnode",
    "check_timeline",
    "max_timelines_history",
    "primary_start_timeout",
    "primary_stop_timeout",
    "synchronous_mode",
    "synchronous_mode_strict",
    "synchronous_node_count",
    "failsafe_mode",
    "member_slots_ttl",
    "slots",
    "ignore_slots",
    "standby_cluster",
    "pause",
    "master_start_timeout",
    "master_stop_timeout",
    "permanent_slots",
    "permanent_replication_slots",
];

/// The top level of a dynamic configuration.
#[must_use]
pub fn dynamic() -> Vec<&'static str> {
    CLUSTER_WIDE.into_iter().chain(["postgresql"]).collect()
}

/// `standby_cluster`.
pub const STANDBY_CLUSTER: [&str; 7] = [
    "host",
    "port",
    "primary_slot_name",
    "create_replica_methods",
    "restore_command",
    "archive_cleanup_command",
    "recovery_min_apply_delay",
];

/// Fields of `postgresql` that count in the dynamic configuration: every one that is not a node's own
/// (`Config._safe_copy_dynamic_configuration`). Beside them the sections of `create_replica_methods`.
pub const DYNAMIC_POSTGRESQL: [&str; 21] = [
    "parameters",
    "recovery_conf",
    "pg_hba",
    "pg_ident",
    "use_pg_rewind",
    "use_slots",
    "remove_data_directory_on_rewind_failure",
    "remove_data_directory_on_diverged_timelines",
    "pg_ctl_timeout",
    "callbacks",
    "create_replica_methods",
    "create_replica_method",
    "basebackup",
    "rewind",
    "pre_promote",
    "before_stop",
    "bin_dir",
    "bin_name",
    "custom_conf",
    "use_unix_socket",
    "use_unix_socket_repl",
];

/// Fields of `postgresql` that are a node's own.
pub const NODES_OWN_POSTGRESQL: [&str; 7] =
    ["connect_address", "proxy_address", "listen", "config_dir", "data_dir", "pgpass", "authentication"];

/// Whether a field of `postgresql` is a node's own.
#[must_use]
pub fn is_nodes_own(name: &str) -> bool {
    NODES_OWN_POSTGRESQL.contains(&name)
}

/// Sections of a `patroni.yml` with their fields, as far as a field's name says where it belongs. A name such as `host` or
/// `certfile` belongs to several and is told with all of them.
const SECTIONS: &[(&str, &[&str])] = &[
    (
        "",
        &[
            "name",
            "scope",
            "namespace",
            "restapi",
            "ctl",
            "etcd3",
            "bootstrap",
            "postgresql",
            "watchdog",
            "tags",
            "log",
        ],
    ),
    ("bootstrap", &["dcs", "initdb", "method", "post_bootstrap", "post_init", "users"]),
    ("bootstrap.dcs", &CLUSTER_WIDE),
    ("bootstrap.dcs.standby_cluster", &["primary_slot_name", "restore_command", "archive_cleanup_command"]),
    ("bootstrap.dcs.postgresql", &DYNAMIC_POSTGRESQL),
    ("postgresql", &NODES_OWN_POSTGRESQL),
    ("postgresql", &DYNAMIC_POSTGRESQL),
    ("postgresql.authentication", &["superuser", "replication"]),
    ("postgresql.callbacks", &["on_start", "on_stop", "on_restart", "on_reload", "on_role_change"]),
    (
        "restapi",
        &[
            "listen",
            "connect_address",
            "authentication",
            "certfile",
            "keyfile",
            "cafile",
            "verify_client",
            "ciphers",
            "allowlist",
            "allowlist_include_members",
            "http_extra_headers",
            "https_extra_headers",
            "server_tokens",
            "request_queue_size",
        ],
    ),
    ("ctl", &["insecure", "cacert", "certfile", "keyfile", "authentication"]),
    ("etcd3", &["host", "hosts", "url", "protocol", "cacert", "cert", "key", "srv", "username"]),
    ("watchdog", &["mode", "device", "safety_margin"]),
    (
        "tags",
        &[
            "nofailover",
            "nosync",
            "noloadbalance",
            "clonefrom",
            "nostream",
            "failover_priority",
            "sync_priority",
            "replicatefrom",
        ],
    ),
    (
        "log",
        &[
            "level",
            "traceback_level",
            "format",
            "dateformat",
            "dir",
            "file_num",
            "file_size",
            "loggers",
            "static_fields",
            "max_queue_size",
            "deduplicate_heartbeat_logs",
        ],
    ),
    ("pgdrill", &["fencing"]),
];

/// Which of the two kinds of document is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Document {
    /// A `patroni.yml`.
    File,
    /// `/config`, of which `bootstrap.dcs` is the first content.
    Dynamic,
}

/// Everywhere that a name is known in a `patroni.yml`, but not at `here`, the section that it was found in.
#[must_use]
pub fn belongs(here: &str, name: &str) -> Vec<String> {
    match name {
        "listen_addresses" => return vec!["postgresql.listen".into()],
        "port" if here.starts_with("postgresql") => return vec!["postgresql.listen".into()],
        "cluster_name" => return vec!["scope".into()],
        _ => {}
    }
    let sections = SECTIONS.iter().filter(|(_, fields)| fields.contains(&name)).map(|(section, _)| *section);
    let mut sections: Vec<&str> =
        sections.chain(postgresql::sections_of(name)).filter(|section| *section != here).collect();
    if name == "use_slots" {
        // It must be the same on every node, and is passed over in a node's own section.
        sections.retain(|section| *section != "postgresql");
    }
    // `authentication` below `bootstrap.dcs.postgresql` is not meant for `restapi`.
    let own = last(here);
    if !own.is_empty() && sections.iter().any(|section| last(section) == own) {
        sections.retain(|section| last(section) == own);
    }
    sections
        .into_iter()
        .map(|section| if section.is_empty() { name.to_owned() } else { format!("{section}.{name}") })
        .collect()
}

/// What would be right in place of a name that is not known at `here`: where it belongs, or the name that was meant. `None`: nobody
/// knows it anywhere.
#[must_use]
pub fn known_as(here: &str, name: &str, known: &[&str], document: Document) -> Option<String> {
    let places = match document {
        Document::File => belongs(here, name),
        Document::Dynamic => in_dynamic(belongs(format!("bootstrap.dcs.{here}").trim_end_matches('.'), name)),
    };
    if places.is_empty() { meant(name, known).map(str::to_owned) } else { Some(places.join(" or ")) }
}

/// The name that is so near to what was written that it was meant.
#[must_use]
pub fn meant<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    /// Nobody means a name with something so long.
    const LONGEST: usize = 64;
    if name.len() > LONGEST {
        return None;
    }
    let (distance, best) = known.iter().map(|known| (strsim::damerau_levenshtein(name, known), *known)).min()?;
    (distance > 0 && distance <= 1 + best.len() / 4).then_some(best)
}

/// Places of a file as they are called in `/config`. What is in no dynamic configuration is in each node's own file.
fn in_dynamic(places: Vec<String>) -> Vec<String> {
    let (dynamic, own): (Vec<_>, Vec<_>) = places.into_iter().partition(|path| path.starts_with("bootstrap.dcs."));
    if dynamic.is_empty() {
        return own.into_iter().map(|path| format!("{path} in each node's own file")).collect();
    }
    let called = |path: &String| match path.trim_start_matches("bootstrap.dcs.") {
        name if name.contains('.') => name.to_owned(),
        name => format!("{name} at the top level"),
    };
    dynamic.iter().map(called).collect()
}

fn last(section: &str) -> &str {
    section.rsplit('.').next().unwrap_or_default()
}

/// Whether a value may hold a secret: it, or something in it, is called a password.
pub(crate) fn is_secret(name: &str, value: &Value) -> bool {
    name.contains("password")
        || name == "authentication"
        || match value {
            Value::Object(fields) => fields.iter().any(|(name, value)| is_secret(name, value)),
            Value::Array(items) => items.iter().any(|item| is_secret("", item)),
            _ => false,
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_name_is_told_where_it_belongs() {
        let both = |name: &str| format!("bootstrap.dcs.postgresql.{name} or postgresql.{name}");
        for (here, name, expected) in [
            ("bootstrap.dcs.postgresql", "slots", "bootstrap.dcs.slots".to_owned()),
            ("bootstrap.dcs.postgresql", "ignore_slots", "bootstrap.dcs.ignore_slots".into()),
            ("bootstrap.dcs.postgresql", "authentication", "postgresql.authentication".into()),
            ("postgresql", "slots", "bootstrap.dcs.slots".into()),
            ("postgresql", "use_slots", "bootstrap.dcs.postgresql.use_slots".into()),
            ("", "ttl", "bootstrap.dcs.ttl".into()),
            ("bootstrap.dcs", "callbacks", both("callbacks")),
            ("bootstrap.dcs", "nofailover", "tags.nofailover".into()),
            ("restapi", "work_mem", both("parameters.work_mem")),
            ("postgresql", "max_connections", "bootstrap.dcs.postgresql.parameters.max_connections".into()),
            ("postgresql", "port", "postgresql.listen".into()),
            ("bootstrap", "certfile", "restapi.certfile or ctl.certfile".into()),
        ] {
            assert_eq!(known_as(here, name, &[], Document::File), Some(expected), "{here} {name}");
        }
        assert_eq!(known_as("", "ttl_", &["ttl", "tags"], Document::File).as_deref(), Some("ttl"));
        assert_eq!(known_as("", "nonsense", &["ttl", "tags"], Document::File), None);
    }

    #[test]
    fn in_the_dynamic_configuration_places_are_called_as_they_are_there() {
        for (here, name, expected) in [
            ("postgresql", "slots", "slots at the top level"),
            ("", "use_slots", "postgresql.use_slots"),
            ("", "work_mem", "postgresql.parameters.work_mem"),
            ("postgresql", "data_dir", "postgresql.data_dir in each node's own file"),
            ("", "restapi", "restapi in each node's own file"),
        ] {
            assert_eq!(known_as(here, name, &[], Document::Dynamic).as_deref(), Some(expected), "{here} {name}");
        }
    }
}
