//! Warts of a `patroni.yml` that are about the store: how many members are named, and where the keys are.

use super::at;
use crate::{Node, Reader, Value};

/// A namespace that is written with slashes.
pub fn slashes(reader: &mut Reader<'_>, root: &Node) {
    if let Some(namespace) = at(root, "namespace")
        && let Value::Text(text) = &namespace.node.value
        && text.contains('/')
    {
        let plain = text.trim_matches('/').to_owned();
        reader.wrong(&namespace, format!("{plain:?}")).help =
            "Patroni strips the slashes; exporters and scripts that put /namespace/scope/ together do not".into();
    }
}

/// One address is no list: when that member is down, so is the DCS for this node.
pub fn one_member_only(reader: &mut Reader<'_>, root: &Node, store: &str) {
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
