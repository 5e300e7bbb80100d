//! What of a file may not be shown: passwords and their like, found by the place where they are, so that no text is searched for the
//! passwords themselves: whatever a password is, the words around it stay what they are.
//!
//! | look in | for |
//! |---|---|
//! | `name` | which names have secrets as their values |
//! | `within` | secrets inside of a text: URLs, connection strings, options of commands, headers |
//! | `structure` | secrets of a text that is YAML, by its structure |
//! | `lines` | the same for what is no YAML, line by line: rather too much than too little |

mod lines;
mod name;
mod structure;
mod within;

use std::ops::Range;

use serde_json::Value as Json;

pub(crate) use lines::lines;
pub(crate) use name::is_secret;
pub use within::without;

/// What stands for a secret, however long that is.
pub(crate) const HIDDEN: &str = "********";

/// The places of a text that may not be shown, in characters, in order and apart from each other.
pub(crate) fn places(text: &str, chars: &[char]) -> Vec<Range<usize>> {
    let (mut found, is_yaml) = structure::places(text, chars);
    if !is_yaml {
        found.extend(lines::places(chars));
    }
    merged(found)
}

/// Hides the secrets in settings that are only played with: the values of their names, and what is inside of a text.
pub fn hide_secrets(settings: &mut serde_json::Map<String, Json>) {
    for (name, value) in settings {
        match value {
            Json::Object(fields) => hide_secrets(fields),
            Json::Null | Json::Bool(_) => {}
            _ if is_secret(name) => *value = HIDDEN.into(),
            value => hide_inside(value),
        }
    }
}

fn hide_inside(value: &mut Json) {
    match value {
        Json::String(text) => *text = without(text).into_owned(),
        Json::Array(items) => items.iter_mut().for_each(hide_inside),
        Json::Object(fields) => hide_secrets(fields),
        _ => {}
    }
}

fn merged(mut ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    ranges.retain(|range| range.start < range.end);
    ranges.sort_by_key(|range| (range.start, range.end));
    let mut merged: Vec<Range<usize>> = Vec::new();
    for range in ranges {
        match merged.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    merged
}
