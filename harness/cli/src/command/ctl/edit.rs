//! Changes of the dynamic configuration, before they are written: pairs on the command line, YAML files, and what differs.

use std::path::Path;

use pgdrill_yaml::{Document, parse as parse_yaml, without_secrets};
use serde_json::{Map, Value};
use similar::TextDiff;

use super::{Stop, failed, invalid, usage};

/// What is expected of a document of somebody.
const SETTINGS: Document = Document { what: "configuration", fields: "settings such as ttl: 30", yaml_1_1: true };

/// Sets `a.b.c=value`, its value read as YAML; `null` removes. PostgreSQL's parameters keep the dots of their names
/// (`postgresql.parameters.pg_stat_statements.max`).
pub(super) fn set(config: &mut Map<String, Value>, pair: &str) -> Result<(), Stop> {
    let (path, value) = pair
        .split_once('=')
        .ok_or_else(|| usage(format!("Invalid parameter setting {}: expected NAME=VALUE", without_secrets(pair))))?;
    let value: Value = match value.trim().is_empty() {
        true => Value::Null,
        // What it is may be a secret, and the parser's message shows it.
        false => serde_saphyr::from_str(value).map_err(|_| usage(format!("{}: the value is no YAML", path.trim())))?,
    };
    let path: Vec<&str> = match path.trim().strip_prefix("postgresql.parameters.") {
        Some(name) => vec!["postgresql", "parameters", name],
        None => path.trim().split('.').collect(),
    };
    put(config, &path, value);
    Ok(())
}

fn put(config: &mut Map<String, Value>, path: &[&str], value: Value) {
    match path {
        [] => {}
        [name] if value.is_null() => {
            config.shift_remove(*name);
        }
        [name] => {
            config.insert((*name).to_owned(), value);
        }
        [name, rest @ ..] => {
            let inner = config.entry(*name).or_insert_with(|| Value::Object(Map::new()));
            if !inner.is_object() {
                *inner = Value::Object(Map::new());
            }
            if let Value::Object(inner) = inner {
                put(inner, rest, value);
                if inner.is_empty() {
                    config.shift_remove(*name);
                }
            }
        }
    }
}

/// Reads a document that someone has written: a mapping, or nothing.
pub(super) fn parse(text: &str, from: &str) -> Result<Map<String, Value>, Stop> {
    if text.trim().is_empty() {
        return Ok(Map::new());
    }
    match serde_saphyr::from_str(text) {
        Ok(Value::Object(config)) => Ok(config),
        Ok(Value::Null) => Ok(Map::new()),
        Ok(Value::Array(_)) => Err(failed(format!("{from}: found a list, expected settings such as ttl: 30"))),
        Ok(_) => Err(failed(format!("{from}: found a single value, expected settings such as ttl: 30"))),
        Err(_) => Err(match parse_yaml(Path::new(from), text, SETTINGS) {
            Err(problem) => invalid(vec![*problem]),
            Ok(_) => failed(format!("{from}: found a value that no setting has, expected settings such as ttl: 30")),
        }),
    }
}

/// What differs, as `diff -u` says it; empty for nothing.
pub(super) fn difference(before: &str, after: &str) -> String {
    TextDiff::from_lines(before, after)
        .unified_diff()
        .context_radius(3)
        .header("", "")
        .to_string()
        .replace("--- \n+++ \n", "--- \n\n+++ \n\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn pairs_change_settings_wherever_they_are() {
        let mut config = json!({"ttl": 30, "postgresql": {"parameters": {"a": 1}}}).as_object().unwrap().clone();
        for pair in [
            "ttl=20",
            "synchronous_mode=true",
            "postgresql.parameters.pg_stat_statements.max=5000",
            "postgresql.parameters.a=null",
            "slots.mine.type=physical",
            "standby_cluster.host=",
        ] {
            set(&mut config, pair).unwrap();
        }
        let expected = json!({"ttl": 20, "postgresql": {"parameters": {"pg_stat_statements.max": 5000}},
            "synchronous_mode": true, "slots": {"mine": {"type": "physical"}}});
        assert_eq!(Value::Object(config), expected);
        assert!(set(&mut Map::new(), "ttl").is_err());
    }

    #[test]
    fn only_a_mapping_is_a_configuration() {
        assert!(parse("", "file").unwrap().is_empty());
        assert_eq!(parse("ttl: 20\n", "file").unwrap().get("ttl"), Some(&json!(20)));
        assert!(parse("- 1\n", "file").is_err() && parse("a: [", "file").is_err());
    }
}
