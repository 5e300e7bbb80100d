//! `standby_cluster`: whether a cluster is one, and whom its leader follows.

use pgdrill_settings::{is_standby_cluster, remote_primary};
use serde_json::Value;

use crate::decide::slot_name_from_member_name;
use crate::view::Follows;

/// The `standby_cluster` section of a dynamic configuration, if it makes a standby cluster of it: one that names a host, a port or a
/// `restore_command` (`GlobalConfig.is_standby_cluster`).
pub fn standby_section(document: &Value) -> Option<&Value> {
    document.get("standby_cluster").filter(|section| is_standby_cluster(section))
}

/// Whom a node that replicates from the remote primary follows; `None`: nobody, since no host is given. Its slot there is
/// `primary_slot_name`, if slots are used at all (`ConfigHandler.build_recovery_params`).
pub fn remote_follows(section: &Value, use_slots: bool) -> Option<Follows> {
    let (host, port) = remote_primary(section)?;
    let slot = section.get("primary_slot_name").and_then(Value::as_str).filter(|name| use_slots && !name.is_empty());
    Some(Follows { host: host.to_owned(), port, slot: slot.map(slot_name_from_member_name) })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_slot_on_the_remote_primary_is_used_if_slots_are() {
        let section = json!({"host": "dc1", "port": 5433, "primary_slot_name": "DC-2"});
        let slot = |use_slots: bool| remote_follows(&section, use_slots).and_then(|follows| follows.slot);
        assert_eq!((slot(true).as_deref(), slot(false)), (Some("dc_2"), None));
        assert_eq!(remote_follows(&json!({"restore_command": "cp %f %p", "primary_slot_name": "x"}), true), None);
    }
}
