//! Values that can be written in several ways, and the fields of the scenario's types that have limits of their own.

use std::ops::RangeInclusive;

use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

use crate::scenario::{SHOWABLE, limits, quantity::Span};

/// One way to write it where it is a group of fields, and another where it is not: an editor complains about the one that was
/// meant, and not about all.
pub(super) fn group_or(group: Value, other: Value) -> Value {
    json!({ "if": { "type": "object" }, "then": group, "else": other })
}

/// A definition by its name.
pub(super) fn of(name: &str) -> Value {
    json!({ "$ref": format!("#/$defs/{name}") })
}

/// A group with exactly these fields.
pub(super) fn group(fields: &[(&str, Value)], required: &[&str]) -> Value {
    let properties: serde_json::Map<String, Value> =
        fields.iter().map(|(name, schema)| ((*name).to_owned(), schema.clone())).collect();
    let mut schema = json!({ "type": "object", "properties": properties, "additionalProperties": false });
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}

/// A whole number within limits.
pub(super) fn integer(limits: &RangeInclusive<i64>) -> Value {
    let mut schema = json!({ "type": "integer", "minimum": limits.start() });
    if *limits.end() < i64::MAX {
        schema["maximum"] = json!(limits.end());
    }
    schema
}

fn schema(value: Value) -> Schema {
    Schema::try_from(value).expect("every schema here is a group of fields")
}

/// A time longer than nothing.
pub(in crate::scenario) fn positive(generator: &mut SchemaGenerator) -> Schema {
    schema(positive_of(generator.subschema_for::<Span>().to_value()))
}

/// As a time, but not `0s`.
pub(in crate::scenario) fn positive_of(time: Value) -> Value {
    json!({ "allOf": [time, { "pattern": "[1-9]" }] })
}

macro_rules! limited {
    ($($name:ident: $limits:ident),*) => {
        $(
            pub(in crate::scenario) fn $name(_: &mut SchemaGenerator) -> Schema {
                schema(integer(&limits::$limits))
            }
        )*
    };
}

limited!(nodes: NODES, clients: CLIENTS, keys: KEYS);

/// A scenario's name.
pub(in crate::scenario) fn name(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "pattern": "^[a-z][a-z0-9-]*$",
        "patternErrorMessage": "lower-case letters, digits and -, beginning with a letter: as the file is named"
    })
}

/// A text that says something.
pub(in crate::scenario) fn sentence(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "pattern": r"\S" })
}

/// Codes of violations.
pub(in crate::scenario) fn codes(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "array", "items": { "enum": SHOWABLE }, "uniqueItems": true })
}

/// The mode of the dead-man process; `false` is what another YAML tool makes of `off`.
pub(in crate::scenario) fn fencing(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "enum": ["off", "automatic", "required", false] })
}

/// Hosts by zone.
pub(in crate::scenario) fn zones(_: &mut SchemaGenerator) -> Schema {
    let host = json!({ "type": "string", "pattern": "^((pg|etcd)[1-9][0-9]?|client[0-9]+|haproxy)$" });
    json_schema!({
        "type": "object",
        "additionalProperties": { "type": "array", "items": host, "uniqueItems": true }
    })
}

/// Tags by node.
pub(in crate::scenario) fn fields_of_tags(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "patternProperties": { "^pg[1-9][0-9]?$": of("Tags") },
        "additionalProperties": false
    })
}
