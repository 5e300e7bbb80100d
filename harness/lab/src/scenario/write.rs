//! A scenario back as YAML that people like to read: what is at its default is left out, a line of the timeline is one line.

use serde_json::{Map, Value};

use super::{Cluster, Scenario, Workload};

impl Scenario {
    /// Its file's text. Reading it again gives the same scenario, but for `patroni.file`: the settings that came from there are
    /// written out, so that the text needs no other file.
    #[must_use]
    pub fn to_yaml(&self) -> String {
        let mut cluster = json(&self.cluster);
        if let Some(Value::Object(patroni)) = cluster.get_mut("patroni") {
            patroni.remove("file");
        }
        let mut text = String::new();
        for (name, value) in [("name", json(&self.name)), ("about", json(&self.about))] {
            text += &format!("{name}: {}\n", flow(&value));
        }
        for (name, value, default) in [
            ("cluster", cluster, json(&Cluster::default())),
            ("workload", json(&self.workload), json(&Workload::default())),
            ("expect", json(&self.expect), Value::Object(Map::new())),
        ] {
            // The timeline stands between what is played on and what is expected.
            if name == "expect" {
                text += &self.timeline_yaml();
            }
            if let Some(Value::Object(changed)) = difference(&value, &default) {
                text += &format!("{name}:\n");
                block(&mut text, &changed, 1);
            }
        }
        text + &format!("duration: {}\n", self.duration)
    }

    fn timeline_yaml(&self) -> String {
        if self.timeline.is_empty() {
            return String::new();
        }
        let lines = self.timeline.iter().map(|step| format!("  - {}\n", flow(&json(step))));
        lines.fold("timeline:\n".to_owned(), |text, line| text + &line)
    }
}

fn json(value: &impl serde::Serialize) -> Value {
    serde_json::to_value(value).expect("a scenario is plain data with names as keys")
}

/// What of a value differs from its default; `None` when nothing does.
fn difference(value: &Value, default: &Value) -> Option<Value> {
    match (value, default) {
        (Value::Object(fields), Value::Object(defaults)) => {
            let mut changed = Map::new();
            for (name, field) in fields {
                let different = match defaults.get(name) {
                    Some(default) => difference(field, default),
                    None => Some(field.clone()),
                };
                changed.extend(different.map(|field| (name.clone(), field)));
            }
            (!changed.is_empty()).then_some(Value::Object(changed))
        }
        _ => (value != default).then(|| value.clone()),
    }
}

/// Fields one below the other.
fn block(text: &mut String, fields: &Map<String, Value>, depth: usize) {
    for (name, value) in fields {
        let indent = "  ".repeat(depth);
        match value {
            // What fits into a line is read faster there.
            Value::Object(inner) if flow(value).len() > 80 => {
                *text += &format!("{indent}{}:\n", key(name));
                block(text, inner, depth + 1);
            }
            value => *text += &format!("{indent}{}: {}\n", key(name), flow(value)),
        }
    }
}

/// A value in one line.
fn flow(value: &Value) -> String {
    match value {
        Value::Object(fields) if fields.is_empty() => "{}".into(),
        Value::Object(fields) => {
            let fields = fields.iter().map(|(name, value)| format!("{}: {}", key(name), flow(value)));
            format!("{{ {} }}", fields.collect::<Vec<_>>().join(", "))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Value::String(text) => scalar(text),
        other => other.to_string(),
    }
}

/// A field's name: as a text, but `on` stays bare. A name is never taken for a boolean.
fn key(name: &str) -> String {
    if name == "on" { name.to_owned() } else { scalar(name) }
}

/// A text, in quotes only where YAML would take it for something else. JSON's quoting is legal YAML.
fn scalar(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || " _-./+".contains(c);
    let word = text.starts_with(|c: char| c.is_ascii_alphanumeric()) && !text.ends_with(' ') && text.chars().all(plain);
    let reserved = ["true", "false", "null", "yes", "no", "on", "off", "y", "n", "inf", "nan"];
    // Anything that could be a number to some reader (`1e5`, `0x1f`, `12-30`) has a digit first; times are safe: `30s`.
    let number = text.starts_with(|c: char| c.is_ascii_digit()) && !is_quantity(text);
    if word && !number && !reserved.contains(&text.to_ascii_lowercase().as_str()) {
        text.to_owned()
    } else {
        Value::String(text.to_owned()).to_string()
    }
}

/// Whether it is a number with a unit that no YAML reader takes for a plain number.
fn is_quantity(text: &str) -> bool {
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    ["ns", "us", "ms", "s", "m", "h", "/s", "B", "KiB", "MiB", "GiB", "TiB"].contains(&unit)
        || text.parse::<super::Latency>().is_ok()
}
