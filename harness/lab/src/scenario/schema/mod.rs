//! The JSON Schema of scenario files, for editors.
//!
//! Names, words, patterns and limits are those that the reader goes by; the descriptions are the doc comments of the types. A
//! test reads thousands of files that are right and wrong in one place both ways: what the reader takes the schema takes, and
//! what the reader refuses the schema refuses, but for what only holds for a file as a whole.
//!
//! | look in | for |
//! |---|---|
//! | `step` | a line of the timeline |
//! | `settings` | Patroni's settings |
//! | `forms` | values that can be written in several ways |
//! | `prose` | descriptions without rustdoc's links |

mod forms;
mod prose;
mod settings;
mod step;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod validator;

use schemars::{Schema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

pub(super) use forms::{clients, codes, fencing, fields_of_tags, keys, name, nodes, positive, sentence, zones};

use super::Scenario;

/// The JSON Schema of a scenario file (draft 2020-12). What only holds for a file as a whole (labels, times, what a selector can
/// match) is checked by [`load`](super::load).
#[must_use]
pub fn json_schema() -> Schema {
    let generator = SchemaGenerator::new(SchemaSettings::draft2020_12());
    let mut schema = generator.into_root_schema_for::<Scenario>();
    let root = schema.as_object_mut().expect("the schema of a group of fields");
    let mut definitions = match root.remove("$defs") {
        Some(Value::Object(definitions)) => definitions,
        _ => Map::new(),
    };
    let actions = definitions.remove("Step").unwrap_or_default();
    definitions.insert("Step".into(), step::schema(&actions));
    settings::describe(&mut definitions);
    // `timeline:` with nothing behind it is a run in which nothing goes wrong.
    root["properties"]["timeline"]["type"] = json!(["array", "null"]);
    root["properties"]["timeline"]["x-null"] = json!(true);
    let mut whole = Value::Object(std::mem::take(root));
    whole["$defs"] = Value::Object(definitions);
    tidy(&mut whole);
    whole["$id"] = json!("https://pgdrill/scenario.schema.json");
    Schema::try_from(whole).expect("it is a group of fields still")
}

/// A field that may be left out may not be `null`: only there the types' schema and the reader differ in principle. And no
/// description has the links of rustdoc.
fn tidy(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(tidy),
        Value::Object(fields) => {
            if fields.get("x-null") != Some(&Value::Bool(true)) {
                without_null(fields);
            }
            fields.remove("x-null");
            // `format: uint16` says nothing that `minimum` and `maximum` do not say.
            if fields.get("type") == Some(&json!("integer")) {
                fields.remove("format");
            }
            if let Some(Value::String(text)) = fields.get_mut("description") {
                *text = prose::plain(text);
            }
            fields.values_mut().for_each(tidy);
        }
        _ => {}
    }
}

fn without_null(fields: &mut Map<String, Value>) {
    if let Some(Value::Array(types)) = fields.get_mut("type") {
        types.retain(|name| name != "null");
        if let [one] = types.as_slice() {
            let one = one.clone();
            fields.insert("type".into(), one);
        }
    }
    let Some(Value::Array(choices)) = fields.get_mut("anyOf") else { return };
    let before = choices.len();
    choices.retain(|choice| choice != &json!({ "type": "null" }));
    if choices.len() < before && choices.len() == 1 {
        let only = choices.remove(0);
        fields.remove("anyOf");
        if let Value::Object(only) = only {
            fields.extend(only);
        }
    }
}
