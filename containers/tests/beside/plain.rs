//! What differs from run to run by nature (positions, times, identifiers, folders), made equal.

use serde_json::{Map, Value, json};

use crate::stage::Stage;

/// Fields that are a position in the WAL, or a time.
const POSITIONS: [&str; 13] = [
    "xlog_location",
    "location",
    "received_location",
    "replayed_location",
    "receive_lsn",
    "replay_lsn",
    "lsn",
    "optime",
    "latest_end_lsn",
    "slots_lsn",
    "restart_lsn",
    "optime/leader",
    "dcs_last_seen",
];

/// Fields that are a difference of positions.
const LAGS: [&str; 3] = ["lag", "receive_lag", "replay_lag"];

/// Makes equal what differs from run to run by nature.
pub(crate) fn plain(stage: &Stage, value: Value) -> Value {
    plain_field(stage, "", value)
}

fn plain_field(stage: &Stage, name: &str, value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let keep = |(field, value): (String, Value)| {
                // In `/status` the slots' values are positions.
                let under = if name == "slots" && value.is_number() { "lsn" } else { field.as_str() };
                let value = plain_field(stage, under, value);
                (plain_text(stage, &field), value)
            };
            fields.into_iter().map(keep).collect::<Map<_, _>>().into()
        }
        Value::Array(mut items) => {
            // PostgreSQL tells of its standbys in the order in which it finds them.
            if name == "replication" {
                // Patroni asks its own server for its timeline by a replication connection, which is seen at times.
                items.retain(|standby| standby["application_name"] != "" || standby["state"] != "startup");
                items.sort_by_key(|standby| standby["application_name"].to_string());
            }
            // An entry of the history: timeline, position, reason, time, leader.
            let history = items.len() >= 3 && items[0].is_number() && items[1].is_number();
            let item =
                |(n, item): (usize, Value)| plain_field(stage, if history && n == 1 { "lsn" } else { name }, item);
            items.into_iter().enumerate().map(item).collect::<Vec<_>>().into()
        }
        Value::Number(number) if POSITIONS.contains(&name) || is_position(name) => {
            if number.as_f64() == Some(0.0) {
                json!(0)
            } else {
                json!("<number>")
            }
        }
        // How much somebody is behind depends on how much was written; that he is does not.
        Value::Number(number) if LAGS.contains(&name) && number.as_f64() != Some(0.0) => json!("<bytes>"),
        Value::String(text) => plain_text(stage, &text).into(),
        other => other,
    }
}

/// Metrics that are positions or times.
fn is_position(name: &str) -> bool {
    let metric = name.split('{').next().unwrap_or_default();
    metric.starts_with("patroni_")
        && ["location", "time", "timestamp", "last_seen"].iter().any(|end| metric.ends_with(end))
}

/// Addresses, folders, identifiers, times and positions of this run in a text.
pub(crate) fn plain_text(stage: &Stage, text: &str) -> String {
    let dir = stage.place.path().to_string_lossy().into_owned();
    let text = text.replace(&dir, "<dir>");
    let mut plain = String::new();
    for word in text.split_inclusive([' ', ',', '(', ')', '"', '\'', ';', '|']) {
        let end = word.len() - usize::from(word.ends_with([' ', ',', '(', ')', '"', '\'', ';', '|']));
        let (core, rest) = word.split_at(end);
        plain += if is_time(core) {
            "<time>"
        } else if is_lsn(core) {
            "<lsn>"
        } else if core.len() >= 18 && core.bytes().all(|byte| byte.is_ascii_digit()) {
            "<system identifier>"
        } else if core.len() >= 8 && core.bytes().all(|byte| byte.is_ascii_digit()) {
            "<number>"
        } else {
            core
        };
        plain += rest;
    }
    // A date and a time of day with a space between them, as PostgreSQL writes them.
    plain.replace("<time> <time>", "<time>")
}

/// `2026-11-30`, `2026-11-30T17:40:01.123+00:00`, `17:40:01.12+00`.
fn is_time(word: &str) -> bool {
    let date = word.len() >= 10 && word.as_bytes()[4] == b'-' && word.as_bytes()[7] == b'-' && word.starts_with("20");
    let clock = word.len() >= 8 && word.as_bytes()[2] == b':' && word.as_bytes()[5] == b':' && !word.contains('.');
    let fraction =
        word.len() >= 9 && word.as_bytes()[2] == b':' && word.as_bytes()[5] == b':' && word.as_bytes()[8] == b'.';
    date || ((clock || fraction) && word.bytes().take(2).all(|byte| byte.is_ascii_digit()))
}

/// `0/3000148`.
fn is_lsn(word: &str) -> bool {
    let hex = |part: &str| !part.is_empty() && part.len() <= 8 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    word.split_once('/').is_some_and(|(high, low)| hex(high) && hex(low) && low.len() >= 5)
}
