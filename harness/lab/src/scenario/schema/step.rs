//! A line of the timeline: one flat group of fields, of which exactly one is an action. So an editor complains about the field
//! that is wrong, where a choice between 28 groups would only say that none of them fits.

use serde_json::{Map, Value, json};

use super::{
    forms::{group, group_or, integer, of, positive_of},
    settings,
};
use crate::scenario::{
    limits,
    read::{KEYWORDS, PROCESSES, STARTABLE},
};

/// The schema; `described` is that of the types, whose descriptions are taken over.
pub(super) fn schema(described: &Value) -> Value {
    let said = descriptions(described);
    let mut properties = Map::new();
    for (name, field) in modifiers() {
        properties.insert(name.to_owned(), with(field, described["properties"][name].get("description")));
    }
    for keyword in KEYWORDS {
        properties.insert(keyword.to_owned(), with(value_of(keyword), said.get(keyword)));
    }
    let one_action: Vec<Value> = KEYWORDS.iter().map(|keyword| json!({ "required": [keyword] })).collect();
    json!({
        "type": "object",
        "description": described["description"],
        "properties": properties,
        "required": ["at"],
        "additionalProperties": false,
        "oneOf": one_action,
        "errorMessage": format!("at, and exactly one action: {}", KEYWORDS.join(", "))
    })
}

fn modifiers() -> [(&'static str, Value); 5] {
    let repeat = [("every", positive_of(of("Duration"))), ("times", integer(&limits::TIMES))];
    [
        ("at", of("Duration")),
        ("as", label()),
        ("for", positive_of(of("Duration"))),
        ("refused", json!({ "type": "boolean", "default": false })),
        ("repeat", group(&repeat, &["every", "times"])),
    ]
}

/// A word that is no selector.
fn label() -> Value {
    let phrases: Vec<&str> = crate::scenario::Selector::phrases().filter(|phrase| !phrase.contains(' ')).collect();
    let taken = format!("^({}|all|(pg|etcd|client)[1-9][0-9]*)$", phrases.join("|"));
    json!({ "type": "string", "pattern": "^[a-z][a-z0-9_-]*$", "not": { "pattern": taken } })
}

/// The description of each action, by its keyword.
fn descriptions(described: &Value) -> Map<String, Value> {
    let mut said = Map::new();
    for action in described["oneOf"].as_array().into_iter().flatten() {
        if let Some(Value::Object(properties)) = action.get("properties") {
            said.extend(properties.keys().map(|keyword| (keyword.clone(), action["description"].clone())));
        }
    }
    said
}

fn with(mut schema: Value, description: Option<&Value>) -> Value {
    if let (Value::Object(fields), Some(text)) = (&mut schema, description) {
        fields.insert("description".into(), text.clone());
    }
    schema
}

/// What stands behind an action's keyword.
fn value_of(keyword: &str) -> Value {
    let selector = || of("Selector");
    match keyword {
        "cut" => json!({
            "if": { "type": "array" },
            "then": sides(),
            "else": group_or(links(&[], &[]), selector())
        }),
        "heal" => group_or(links(&[], &[]), json!({ "anyOf": [{ "type": "string" }, { "const": true }] })),
        "delay" => links(&[("add", positive_of(of("Duration"))), ("jitter", of("Duration"))], &["add"]),
        "loss" => links(&[("probability", share())], &["probability"]),
        "bandwidth" => links(&[("rate", of("Throughput"))], &["rate"]),
        "kill" | "stop" => group_or(process(&PROCESSES, &[]), its_only_process()),
        "start" => {
            let wipe = json!({ "type": "boolean", "default": false, "description": "On an empty disk" });
            group_or(process(STARTABLE, &[("wipe", wipe)]), its_only_process())
        }
        "freeze" | "thaw" => {
            let fields = [("process", words(&PROCESSES)), ("on", selector())];
            group_or(group(&fields, &["on"]), selector())
        }
        "clock_step" => group(&[("on", selector()), ("by", of("ClockStep"))], &["on", "by"]),
        "clock_drift" => group(&[("on", selector()), ("rate", of("ClockRate"))], &["on", "rate"]),
        "slow_fsync" => group(&[("on", selector()), ("delay", positive_of(of("Duration")))], &["on", "delay"]),
        "compact" => json!({ "enum": ["etcd", true] }),
        "pause" | "resume" => json!({ "enum": ["cluster", true] }),
        "switchover" => {
            let after = positive_of(of("Duration"));
            let fields = [("leader", selector()), ("candidate", selector()), ("after", after)];
            group_or(group(&fields, &[]), json!({ "const": true }))
        }
        "failover" => group_or(group(&[("candidate", selector())], &["candidate"]), selector()),
        "edit_config" => settings::patch(),
        "power_off" | "power_on" | "disk_full" | "disk_free" | "replay_pause" | "replay_resume" | "dns_fail"
        | "restart" | "reinitialize" => group_or(group(&[("on", selector())], &["on"]), selector()),
        other => unreachable!("{other} is no action"),
    }
}

/// The fields of a link and some more: `between`, or `from` and `to`, or `isolate`.
fn links(more: &[(&str, Value)], required: &[&str]) -> Value {
    let only = json!({ "enum": ["inbound", "outbound"], "description": "One direction, seen from the isolated side" });
    let mut fields = vec![
        ("between", with(sides(), Some(&json!("Both ways between two sides")))),
        ("from", with(of("Selector"), Some(&json!("One way: who sends")))),
        ("to", with(of("Selector"), Some(&json!("One way: who receives")))),
        ("isolate", with(of("Selector"), Some(&json!("Between these hosts and everything else")))),
        ("only", only),
    ];
    fields.extend(more.iter().cloned());
    let mut schema = group(&fields, required);
    schema["oneOf"] = json!([{ "required": ["between"] }, { "anyOf": [{ "required": ["from"] }, { "required": ["to"] }] }, { "required": ["isolate"] }]);
    schema["dependentRequired"] = json!({ "from": ["to"], "to": ["from"], "only": ["isolate"] });
    schema["errorMessage"] = json!("between: [A, B], or from: A and to: B, or isolate: A");
    schema
}

fn sides() -> Value {
    json!({ "type": "array", "items": of("Selector"), "minItems": 2, "maxItems": 2 })
}

/// A share of the packets.
fn share() -> Value {
    let percent = r"^(100(\.0+)?|[0-9]{1,2}(\.[0-9]+)?) ?%$";
    json!({
        "description": "A share of the packets, more than 0 and at most all: 0.3 or 30%",
        "anyOf": [
            { "type": "number", "exclusiveMinimum": 0, "maximum": 1 },
            { "type": "string", "allOf": [{ "pattern": percent }, { "pattern": "[1-9]" }] }
        ]
    })
}

fn words<T>(table: &[(&str, T)]) -> Value {
    json!({ "enum": table.iter().map(|(word, _)| *word).collect::<Vec<_>>() })
}

fn process<T>(table: &[(&str, T)], more: &[(&str, Value)]) -> Value {
    let mut fields = vec![("process", words(table)), ("on", of("Selector"))];
    fields.extend(more.iter().cloned());
    group(&fields, &["process", "on"])
}

/// Hosts of which there is no doubt which process is meant.
fn its_only_process() -> Value {
    let etcd = "(etcd|etcd leader|etcd followers|majority|minority|etcd[1-9][0-9]*)";
    json!({
        "type": "string",
        "pattern": format!(r"^( *{etcd} *(\+ *{etcd} *)*| *haproxy *(\+ *haproxy *)*)$"),
        "patternErrorMessage": "which process, and whose: { process: postgres, on: leader }"
    })
}
