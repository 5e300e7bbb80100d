//! YAML that no reader takes for anything else: blocks, with every text in double quotes, as JSON writes it. `on`, `off` and
//! `0755` are other things to a YAML 1.1 reader such as Patroni's than to others.

use serde_json::Value;

/// A mapping as a document.
pub(super) fn document(value: &Value) -> String {
    let mut text = String::new();
    put(&mut text, value, 0);
    text
}

fn put(text: &mut String, value: &Value, depth: usize) {
    let indent = "  ".repeat(depth);
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                if is_block(value) {
                    *text += &format!("{indent}{name}:\n");
                    put(text, value, depth + 1);
                } else {
                    *text += &format!("{indent}{name}: {value}\n");
                }
            }
        }
        Value::Array(items) => {
            for item in items {
                *text += &format!("{indent}- {item}\n");
            }
        }
        scalar => *text += &format!("{indent}{scalar}\n"),
    }
}

/// What is empty is written in its line: a block of nothing would be `null`.
fn is_block(value: &Value) -> bool {
    match value {
        Value::Object(fields) => !fields.is_empty(),
        Value::Array(items) => !items.is_empty(),
        _ => false,
    }
}
