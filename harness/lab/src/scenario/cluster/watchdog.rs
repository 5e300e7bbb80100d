//! The watchdog of the nodes: what Patroni is told about it, and whether there is a device.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::scenario::patroni::WatchdogMode;

/// The watchdog; `watchdog: required` is short for that mode with a device on every node (`off`: on none).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Watchdog {
    /// Patroni's `watchdog.mode`.
    pub mode: WatchdogMode,
    /// Where there is a device.
    pub device: Devices,
}

impl JsonSchema for Watchdog {
    fn schema_name() -> Cow<'static, str> {
        "Watchdog".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        // `false` is what another YAML tool makes of `off`.
        let mode = serde_json::json!({ "enum": ["off", "automatic", "required", false] });
        json_schema!({
            "description": "The watchdog: a mode, with a device on every node (off: on none), or { mode, device }",
            "if": { "type": "object" },
            "then": {
                "properties": { "mode": mode, "device": generator.subschema_for::<Devices>() },
                "required": ["mode", "device"],
                "additionalProperties": false
            },
            "else": mode
        })
    }
}

/// On which nodes there is a watchdog device: `true`, `false`, or a list of nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Devices {
    /// On every node.
    OnAll,
    /// On none.
    OnNone,
    /// On these.
    On(Vec<String>),
}

impl Serialize for Devices {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::OnAll => serializer.serialize_bool(true),
            Self::OnNone => serializer.serialize_bool(false),
            Self::On(nodes) => nodes.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Devices {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Spelled {
            Everywhere(bool),
            On(Vec<String>),
        }
        Ok(match Spelled::deserialize(deserializer)? {
            Spelled::Everywhere(true) => Self::OnAll,
            Spelled::Everywhere(false) => Self::OnNone,
            Spelled::On(nodes) => Self::On(nodes),
        })
    }
}

impl JsonSchema for Devices {
    fn schema_name() -> Cow<'static, str> {
        "WatchdogDevices".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "On which nodes there is a watchdog device: true, false, or a list of nodes",
            "anyOf": [{ "type": "boolean" }, { "type": "array", "items": { "type": "string", "pattern": "^pg[1-9][0-9]?$" } }]
        })
    }
}
