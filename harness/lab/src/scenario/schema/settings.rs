//! Patroni's settings: those of the cluster, and those of a patch (`edit_config`).

use std::ops::RangeInclusive;

use serde_json::{Map, Value, json};

use super::forms::{group, of};
use crate::scenario::limits::{self, LONGEST, TIMES_OF_PATRONI};

/// The least of `pg_ctl_timeout`, in seconds.
const PG_CTL: u32 = 1;

/// Gives the settings in the types' definitions the spellings that the reader takes.
pub(super) fn describe(definitions: &mut Map<String, Value>) {
    for (definition, fields) in [("Patroni", dynamic()), ("Postgresql", of_postgresql()), ("Tags", tags())] {
        let Some(Value::Object(properties)) = definitions.get_mut(definition).and_then(|d| d.get_mut("properties"))
        else {
            continue;
        };
        for (name, mut schema) in fields {
            // What the type says of it stays: its description and its default.
            let before = properties.get(name).cloned().unwrap_or_default();
            for kept in ["description", "default"] {
                if let (Some(text), Value::Object(fields)) = (before.get(kept), &mut schema) {
                    fields.insert(kept.into(), text.clone());
                }
            }
            properties.insert(name.to_owned(), schema);
        }
    }
    if let Some(Value::Object(properties)) = definitions.get_mut("Patroni").and_then(|d| d.get_mut("properties")) {
        properties.insert("bootstrap".into(), bootstrap());
    }
    if let Some(Value::Object(properties)) =
        definitions.get_mut("WatchdogSettings").and_then(|d| d.get_mut("properties"))
    {
        properties.insert("mode".into(), json!({ "enum": ["off", "automatic", "required", false] }));
        properties.insert("safety_margin".into(), whole(&limits::MARGIN));
        properties.insert("device".into(), json!({ "description": "Means nothing here: see cluster.watchdog" }));
    }
}

/// What `edit_config` takes: the dynamic settings, each of which may be `null`.
pub(super) fn patch() -> Value {
    let mut postgresql = dynamic_of_postgresql();
    postgresql.iter_mut().for_each(|(_, schema)| *schema = nullable(schema.take()));
    let mut fields = dynamic();
    fields.push(("postgresql", group(&postgresql, &[])));
    fields.iter_mut().for_each(|(_, schema)| *schema = nullable(schema.take()));
    let mut schema = group(&fields, &[]);
    schema["minProperties"] = json!(1);
    schema
}

/// `null` takes a setting out.
fn nullable(schema: Value) -> Value {
    json!({ "x-null": true, "anyOf": [schema, { "type": "null" }] })
}

/// What Patroni keeps in the DCS.
fn dynamic() -> Vec<(&'static str, Value)> {
    let mut fields: Vec<(&str, Value)> =
        TIMES_OF_PATRONI.iter().map(|(name, least)| (*name, seconds(*least))).collect();
    fields.extend(["check_timeline", "synchronous_mode_strict", "failsafe_mode", "pause"].map(|name| (name, switch())));
    fields.extend([
        ("maximum_lag_on_failover", bytes(0)),
        ("maximum_lag_on_syncnode", bytes(-1)),
        ("synchronous_node_count", whole(&limits::STANDBYS)),
        ("max_timelines_history", whole(&limits::HISTORY)),
        ("synchronous_mode", json!({ "anyOf": [{ "enum": ["quorum"] }, switch()] })),
        ("slots", json!({ "type": "object" })),
        ("ignore_slots", json!({ "type": "array" })),
        ("standby_cluster", json!({ "type": "object" })),
    ]);
    fields
}

fn dynamic_of_postgresql() -> Vec<(&'static str, Value)> {
    let single = json!({ "type": "object", "additionalProperties": { "not": { "type": ["array", "object"] } } });
    let lines = json!({ "type": "array", "items": { "type": "string" } });
    vec![
        ("use_pg_rewind", switch()),
        ("use_slots", switch()),
        ("parameters", single),
        ("recovery_conf", json!({ "type": "object" })),
        ("pg_hba", lines.clone()),
        ("pg_ident", lines),
    ]
}

fn of_postgresql() -> Vec<(&'static str, Value)> {
    let mut fields = dynamic_of_postgresql();
    fields.extend([
        ("pg_ctl_timeout", seconds(PG_CTL)),
        ("remove_data_directory_on_rewind_failure", switch()),
        ("remove_data_directory_on_diverged_timelines", switch()),
    ]);
    fields
}

fn tags() -> Vec<(&'static str, Value)> {
    let mut fields: Vec<(&str, Value)> =
        ["nofailover", "nosync", "noloadbalance", "clonefrom", "nostream"].map(|name| (name, switch())).into();
    fields.extend(["failover_priority", "sync_priority"].map(|name| (name, whole(&limits::PRIORITY))));
    fields.extend([("replicatefrom", json!({ "type": "string" })), ("custom", json!({ "type": "object" }))]);
    fields
}

fn bootstrap() -> Value {
    let mut dcs = dynamic();
    dcs.push(("postgresql", group(&dynamic_of_postgresql(), &[])));
    let mut schema = group(&[("dcs", group(&dcs, &[])), ("initdb", json!({ "type": "array" }))], &[]);
    schema["description"] = json!("As in a patroni.yml: what a new cluster starts with");
    schema
}

/// Whole seconds, as Patroni reads them: a number, also as text, or with a unit.
fn seconds(least: u32) -> Value {
    // A sum of several units is beyond a pattern: that it is not below the least, only the reader knows.
    let some = if least > 0 { "[1-9]" } else { "[0-9]" };
    json!({
        "anyOf": [
            number(least.into(), LONGEST),
            text_of_at_least(least.into()),
            {
                "type": "string",
                "allOf": [{ "pattern": r"^\+?([0-9]+ ?(h|min|m|sec|s) ?)+$" }, { "pattern": some }],
                "patternErrorMessage": "whole seconds, such as 30 or 30s"
            }
        ]
    })
}

/// A whole number, as Patroni reads it: also as text.
fn whole(range: &RangeInclusive<i64>) -> Value {
    json!({ "anyOf": [number(*range.start(), *range.end()), text_of_at_least(*range.start())] })
}

/// Bytes, as Patroni writes them or with a unit.
fn bytes(least: i64) -> Value {
    json!({ "anyOf": [number(least, i64::MAX), text_of_at_least(least), of("Size")] })
}

/// Numbers that Patroni rounds to a whole one in these limits.
fn number(least: i64, most: i64) -> Value {
    let mut schema = json!({ "type": "number", "minimum": least as f64 - 0.5 });
    if most < i64::MAX {
        schema["maximum"] = json!(most);
    }
    schema
}

/// Such a number as text.
fn text_of_at_least(least: i64) -> Value {
    let digits = match least {
        ..0 => "(-?[0-9]|[1-9][0-9]+)".to_owned(),
        0 => "[0-9]+".to_owned(),
        1..10 => format!("([{least}-9]|[1-9][0-9]+)"),
        _ => format!("([{}-9][0-9]|[1-9][0-9][0-9]+)", least / 10),
    };
    json!({ "type": "string", "pattern": format!(r"^\+?{digits}(\.[0-9]+)?$") })
}

/// A boolean, as Patroni reads it: one of YAML, a number, or a word.
fn switch() -> Value {
    let words = "on|On|ON|off|Off|OFF|yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|0|1";
    json!({ "anyOf": [
        { "enum": [true, false, 0, 1] },
        { "type": "string", "pattern": format!("^({words})$") },
    ] })
}
