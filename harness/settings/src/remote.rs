//! `standby_cluster`: where the remote primary is.

use serde_json::Value;

use crate::{
    problem::{Problem, problem},
    value,
};

/// PostgreSQL's port where none is given.
const PORT: u16 = 5432;

/// Host and port of the remote primary. `None`: no host is given, so that WAL comes from `restore_command` alone; or the port is
/// none, which [`check`](crate::check::check) tells: no other server is guessed.
#[must_use]
pub fn remote_primary(section: &Value) -> Option<(&str, u16)> {
    let host = section.get("host").and_then(Value::as_str).filter(|host| !host.is_empty())?;
    Some((host, port(section)?))
}

/// Whether the section makes a standby cluster: one of `host`, `port` and `restore_command` is set
/// (`GlobalConfig.is_standby_cluster`).
#[must_use]
pub fn is_standby_cluster(section: &Value) -> bool {
    let set = |name: &&str| match section.get(*name) {
        None | Some(Value::Null | Value::Bool(false)) => false,
        Some(Value::String(text)) => !text.is_empty(),
        Some(Value::Number(number)) => number.as_f64() != Some(0.0),
        Some(_) => true,
    };
    ["host", "port", "restore_command"].iter().any(set)
}

fn port(section: &Value) -> Option<u16> {
    match section.get("port") {
        None | Some(Value::Null) => Some(PORT),
        Some(port) => value::integer(port, None).and_then(|port| u16::try_from(port).ok()),
    }
    .filter(|port| *port > 0)
}

pub(crate) fn check_remote(document: &Value) -> Option<Problem> {
    let section = document.get("standby_cluster")?;
    if section.as_object().is_some_and(|fields| !fields.is_empty()) && !is_standby_cluster(section) {
        let expected =
            "host, port or restore_command: without any of them this is no standby cluster, and its leader is promoted";
        // Its commands may hold a password.
        return Some(Problem { found: "none of them".into(), ..problem("standby_cluster", section, expected.into()) });
    }
    let found = section.get("port").filter(|_| port(section).is_none())?;
    Some(problem("standby_cluster.port", found, "a port: a number from 1 to 65535".into()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_port_may_be_text_and_is_never_guessed() {
        let found = |port: Value| remote_primary(&json!({"host": "dc1", "port": port})).map(|(_, port)| port);
        assert_eq!(found(json!(5433)), Some(5433));
        assert_eq!(found(json!("5433")), Some(5433));
        assert_eq!(found(Value::Null), Some(5432));
        for wrong in [json!("x"), json!(0), json!(70_000), json!([5433])] {
            assert_eq!(found(wrong.clone()), None);
            let document = json!({"standby_cluster": {"host": "dc1", "port": wrong}});
            assert!(check_remote(&document).is_some(), "{document}");
        }
        assert_eq!(remote_primary(&json!({"restore_command": "cp"})), None);
        assert_eq!(remote_primary(&json!({"host": "dc1"})), Some(("dc1", 5432)));
    }

    #[test]
    fn a_standby_cluster_is_one_that_says_where_its_wal_comes_from() {
        for section in [json!({"host": "dc1"}), json!({"port": 5433}), json!({"restore_command": "cp %f %p"})] {
            assert!(is_standby_cluster(&section), "{section}");
        }
        for section in [
            Value::Null,
            json!({}),
            json!({"host": "", "port": "", "restore_command": null}),
            json!({"create_replica_methods": ["basebackup"]}),
            json!("dc1"),
        ] {
            assert!(!is_standby_cluster(&section), "{section}");
        }
        let half = json!({"standby_cluster": {"primary_slot_name": "dc2"}});
        assert!(check_remote(&half).is_some_and(|problem| problem.expected.contains("restore_command")));
        assert_eq!(check_remote(&json!({"standby_cluster": {}})), None);
    }
}
