//! Warts of a `patroni.yml` that are about the store: how many members are named, which API, where the keys are.

use super::access::at;
use crate::scenario::read::{Node, Reader, Value};

/// Warns of each.
pub(super) fn warn(reader: &mut Reader<'_>, root: &Node) {
    for store in ["etcd3", "etcd"] {
        if let Some(section) = at(root, store) {
            one_member_only(reader, root, store);
            if store == "etcd" {
                reader.problem(section.node.place, store, "etcd's API v2", "etcd3").help =
                    "etcd 3.4 switched it off, etcd 3.6 has removed it".into();
            }
        }
    }
    for store in ["consul", "zookeeper", "exhibitor", "kubernetes", "raft"] {
        if let Some(section) = at(root, store) {
            let found = format!("{store} as the store");
            reader.problem(section.node.place, store, found, "etcd3").help =
                "the lab plays every scenario on etcd: what is special about this store is not tested".into();
        }
    }
    if let Some(namespace) = at(root, "namespace")
        && let Value::Text(text) = &namespace.node.value
        && text.contains('/')
    {
        let plain = text.trim_matches('/').to_owned();
        reader.wrong(&namespace, format!("{plain:?}")).help =
            "Patroni strips the slashes; exporters and scripts that put /namespace/scope/ together do not".into();
    }
    if at(root, "watchdog").is_none() {
        reader.problem(root.place, "watchdog", "no watchdog section", "watchdog: { mode: required }").help =
            "the default, automatic, goes on without a device and says so once in the log; then a frozen or killed agent \
             leaves a primary that takes writes beside the new one"
                .into();
    }
}

/// One address is no list: when that member is down, so is the DCS for this node.
fn one_member_only(reader: &mut Reader<'_>, root: &Node, store: &str) {
    let only = match (at(root, &format!("{store}.hosts")), at(root, &format!("{store}.host"))) {
        (Some(hosts), _) => match &hosts.node.value {
            Value::List(members) => (members.len() == 1).then_some(hosts),
            Value::Text(text) => (!text.contains(',')).then_some(hosts),
            _ => None,
        },
        (None, host) => host,
    };
    if let Some(only) = only {
        reader.wrong(&only, format!("{store}.hosts with every member")).help =
            "when that one member is down at the agent's start, the agent finds no other: a single point of failure"
                .into();
    }
}
