//! The etcd cluster: how many members it has, and on which machines they run.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// How many members an etcd cluster may have: an even number survives no more failures than one member less.
pub(in crate::scenario) const MEMBERS: [u16; 3] = [1, 3, 5];

/// The words for [`EtcdHosts`].
pub(in crate::scenario) const PLACES: [(&str, EtcdHosts); 2] =
    [("own_hosts", EtcdHosts::OwnHosts), ("nodes", EtcdHosts::Nodes)];

/// The etcd cluster. `etcd: 3` is short for three members on hosts of their own; `etcd: { on: nodes }` puts the members on the
/// PostgreSQL nodes, the commonest layout of three machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Etcd {
    /// Members; 1, 3 or 5.
    pub members: u16,
    /// Where they run.
    pub on: EtcdHosts,
}

/// Where etcd's members run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EtcdHosts {
    /// Each on a host of its own, `etcd1` to `etcdN`.
    #[default]
    OwnHosts,
    /// The first one on `pg1`, the second on `pg2`, and so on: what is done to a node is done to its member, too, but
    /// for its disk: etcd keeps its data on a disk of its own, as its manual advises. Members beyond
    /// the last node have hosts of their own, as the witness of a cluster of two nodes has (`etcd3`).
    Nodes,
}

impl Default for Etcd {
    fn default() -> Self {
        Self { members: 3, on: EtcdHosts::OwnHosts }
    }
}

/// The long spelling.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Spelled {
    #[serde(default = "default_members")]
    members: u16,
    #[serde(default)]
    on: EtcdHosts,
}

fn default_members() -> u16 {
    Etcd::default().members
}

impl Serialize for Etcd {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match *self {
            Self { members, on: EtcdHosts::OwnHosts } => serializer.serialize_u16(members),
            Self { members, on } => Spelled { members, on }.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Etcd {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either {
            Short(u16),
            Long(Spelled),
        }
        Ok(match Either::deserialize(deserializer)? {
            Either::Short(members) => Self { members, on: EtcdHosts::OwnHosts },
            Either::Long(Spelled { members, on }) => Self { members, on },
        })
    }
}

impl JsonSchema for Etcd {
    fn schema_name() -> Cow<'static, str> {
        "Etcd".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let members = serde_json::json!({ "enum": MEMBERS, "description": "Members; 1, 3 or 5", "default": 3 });
        let places = PLACES.map(|(word, _)| word);
        json_schema!({
            "description": "The etcd cluster: its members on hosts of their own, or { on: nodes }: on the PostgreSQL nodes",
            "if": { "type": "object" },
            "then": {
                "properties": {
                    "members": members,
                    "on": { "enum": places, "description": "Where the members run", "default": "own_hosts" }
                },
                "additionalProperties": false
            },
            "else": { "enum": MEMBERS }
        })
    }
}
