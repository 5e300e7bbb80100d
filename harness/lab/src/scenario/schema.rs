//! The JSON Schema of scenario files, for editors.

use schemars::Schema;
use serde_json::{Value, json};

use super::Scenario;

/// The JSON Schema of a scenario file (draft 2020-12). It describes the fields; what only holds for a file as a whole (labels,
/// times, what a selector can match) is checked by [`load`](super::load).
#[must_use]
pub fn json_schema() -> Schema {
    let mut schema = schemars::schema_for!(Scenario);
    // Short spellings that the strict reader takes beside the one that the types describe.
    for (definition, short) in [
        ("FreezeSpec", json!({ "$ref": "#/$defs/Selector" })),
        ("Watchdog", json!({ "enum": ["off", "automatic", "required"] })),
    ] {
        if let Some(full) = schema.pointer_mut(&format!("/$defs/{definition}")) {
            let long = full.take();
            *full = json!({ "anyOf": [short, long] });
        }
    }
    on_or_bare(&mut schema);
    schema
}

/// `disk_full: leader` beside `disk_full: { on: leader }`, for every action that has only `on`.
fn on_or_bare(schema: &mut Schema) {
    let Some(Value::Array(actions)) = schema.pointer_mut("/$defs/Step/oneOf") else { return };
    for action in actions {
        let Some(Value::Object(properties)) = action.get_mut("properties") else { continue };
        for field in properties.values_mut() {
            if field["properties"].as_object().is_some_and(|fields| fields.len() == 1 && fields.contains_key("on")) {
                let long = field.take();
                *field = json!({ "anyOf": [{ "$ref": "#/$defs/Selector" }, long] });
            }
        }
    }
}
