//! `standby_cluster`: whether a cluster is one, and where its remote primary is.

use serde_json::Value;

use super::check::{Problem, problem};
use crate::decide::slot_name_from_member_name;
use crate::view::Follows;

/// PostgreSQL's port where none is given.
const PORT: u16 = 5432;

/// The `standby_cluster` section of a dynamic configuration, if it makes a standby cluster of it: one that names a host, a port or a
/// `restore_command` (`GlobalConfig.is_standby_cluster`).
pub fn standby_section(document: &Value) -> Option<&Value> {
    let section = document.get("standby_cluster")?;
    let says = |name: &str| match section.get(name) {
        Some(Value::String(text)) => !text.is_empty(),
        Some(Value::Number(number)) => number.as_u64() != Some(0),
        _ => false,
    };
    ["host", "port", "restore_command"].into_iter().any(says).then_some(section)
}

/// Whom a node that replicates from the remote primary follows; `None`: nobody, since no host is given. Its slot there is
/// `primary_slot_name`, if slots are used at all (`ConfigHandler.build_recovery_params`).
pub fn remote_follows(section: &Value, use_slots: bool) -> Option<Follows> {
    let (host, port) = remote_primary(section)?;
    let slot = section.get("primary_slot_name").and_then(Value::as_str).filter(|name| use_slots && !name.is_empty());
    Some(Follows { host: host.to_owned(), port, slot: slot.map(slot_name_from_member_name) })
}

/// Host and port of the remote primary. `None`: no host is given, so that WAL comes from `restore_command` alone; or the port is
/// none, which [`check`](super::check) tells: no other server is guessed.
pub fn remote_primary(section: &Value) -> Option<(&str, u16)> {
    let host = section.get("host").and_then(Value::as_str).filter(|host| !host.is_empty())?;
    Some((host, port(section)?))
}

fn port(section: &Value) -> Option<u16> {
    match section.get("port") {
        None | Some(Value::Null) => Some(PORT),
        Some(Value::Number(number)) => number.as_u64().and_then(|port| u16::try_from(port).ok()),
        // YAML with quotes around it, and `patronictl edit-config -s`.
        Some(Value::String(text)) => text.trim().parse().ok(),
        Some(_) => None,
    }
    .filter(|port| *port > 0)
}

pub(super) fn check_remote(document: &Value) -> Option<Problem> {
    let section = document.get("standby_cluster")?;
    if section.as_object().is_some_and(|fields| !fields.is_empty()) && standby_section(document).is_none() {
        let expected =
            "host, port or restore_command: without any of them this is no standby cluster, and its leader is promoted";
        return Some(problem("standby_cluster", section, expected.into()));
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
        let is_one = |section: Value| standby_section(&json!({ "standby_cluster": section })).is_some();
        for section in [json!({"host": "dc1"}), json!({"port": 5433}), json!({"restore_command": "cp %f %p"})] {
            assert!(is_one(section.clone()), "{section}");
        }
        for section in [
            Value::Null,
            json!({}),
            json!({"host": "", "port": "", "restore_command": null}),
            json!({"create_replica_methods": ["basebackup"]}),
            json!("dc1"),
        ] {
            assert!(!is_one(section.clone()), "{section}");
        }
        assert_eq!(standby_section(&json!({})), None);
        let half = json!({"standby_cluster": {"primary_slot_name": "dc2"}});
        assert!(check_remote(&half).is_some_and(|problem| problem.expected.contains("restore_command")));
        assert_eq!(check_remote(&json!({"standby_cluster": {}})), None);
    }

    #[test]
    fn the_slot_on_the_remote_primary_is_used_if_slots_are() {
        let section = json!({"host": "dc1", "port": 5433, "primary_slot_name": "DC-2"});
        let slot = |use_slots: bool| remote_follows(&section, use_slots).and_then(|follows| follows.slot);
        assert_eq!((slot(true).as_deref(), slot(false)), (Some("dc_2"), None));
        assert_eq!(remote_follows(&json!({"restore_command": "cp %f %p", "primary_slot_name": "x"}), true), None);
    }
}
