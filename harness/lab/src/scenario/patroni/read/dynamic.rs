//! Reads the dynamic settings: what Patroni keeps in the DCS.

use pgdrill_settings::value;
use pgdrill_yaml::{
    At, Fields, Reader, Value,
    patroni::{switch, whole},
};
use serde_json::{Map, Value as Json};

use crate::scenario::{
    patroni::{Patroni, Postgresql, SynchronousMode},
    quantity::{Size, Span},
};

/// The dynamic settings at the top level; `postgresql` is left to the caller.
pub(in crate::scenario) fn dynamic(reader: &mut Reader<'_>, fields: &mut Fields<'_>, it: &mut Patroni) {
    // Legal minima: Patroni's documentation, "Dynamic Configuration Settings".
    for (name, least, seconds) in [
        ("ttl", 20, &mut it.ttl),
        ("loop_wait", 1, &mut it.loop_wait),
        ("retry_timeout", 3, &mut it.retry_timeout),
        ("primary_start_timeout", 0, &mut it.primary_start_timeout),
        ("primary_stop_timeout", 0, &mut it.primary_stop_timeout),
        ("member_slots_ttl", 0, &mut it.member_slots_ttl),
    ] {
        if let Some(found) = fields.take(name).and_then(|at| seconds_of(reader, &at, least)) {
            *seconds = found;
        }
    }
    if let Some(at) = fields.take("maximum_lag_on_failover") {
        it.maximum_lag_on_failover = bytes_of(reader, &at).unwrap_or(it.maximum_lag_on_failover);
    }
    if let Some(at) = fields.take("maximum_lag_on_syncnode") {
        let never = value::integer(&at.node.to_json(), None) == Some(-1);
        let found = if never { Some(-1) } else { bytes_of(reader, &at).and_then(|bytes| i64::try_from(bytes).ok()) };
        it.maximum_lag_on_syncnode = found.unwrap_or(it.maximum_lag_on_syncnode);
    }
    for (name, flag) in [
        ("check_timeline", &mut it.check_timeline),
        ("synchronous_mode_strict", &mut it.synchronous_mode_strict),
        ("failsafe_mode", &mut it.failsafe_mode),
        ("pause", &mut it.pause),
    ] {
        if let Some(found) = fields.take(name).and_then(|at| switch(reader, &at)) {
            *flag = found;
        }
    }
    if let Some(n) = fields.take("synchronous_node_count").and_then(|at| whole(reader, &at, 1..=99, "standbys")) {
        it.synchronous_node_count = n;
    }
    if let Some(n) = fields.take("max_timelines_history").and_then(|at| whole(reader, &at, 0..=1_000_000, "entries")) {
        it.max_timelines_history = n;
    }
    if let Some(mode) = fields.take("synchronous_mode").and_then(|at| synchronous_mode(reader, &at)) {
        it.synchronous_mode = mode;
    }
    it.slots = fields.take("slots").and_then(|at| object(reader, &at)).unwrap_or_else(|| it.slots.clone());
    it.ignore_slots =
        fields.take("ignore_slots").map(|at| list(reader, &at)).unwrap_or_else(|| it.ignore_slots.clone());
    if let Some(at) = fields.take("standby_cluster") {
        it.standby_cluster = object(reader, &at);
    }
}

/// The dynamic part of `postgresql`.
pub(in crate::scenario) fn postgresql_dynamic(reader: &mut Reader<'_>, fields: &mut Fields<'_>, it: &mut Postgresql) {
    for (name, flag) in [("use_pg_rewind", &mut it.use_pg_rewind), ("use_slots", &mut it.use_slots)] {
        if let Some(found) = fields.take(name).and_then(|at| switch(reader, &at)) {
            *flag = found;
        }
    }
    if let Some(at) = fields.take("parameters") {
        it.parameters.extend(parameters(reader, &at));
    }
    if let Some(found) = fields.take("recovery_conf").and_then(|at| object(reader, &at)) {
        it.recovery_conf = found;
    }
    for (name, lines) in [("pg_hba", &mut it.pg_hba), ("pg_ident", &mut it.pg_ident)] {
        if let Some(at) = fields.take(name) {
            *lines = reader.items(&at).iter().filter_map(|line| reader.text(line, "a line of the file")).collect();
        }
    }
}

/// Parameters of `postgresql.conf`: single values.
pub(in crate::scenario) fn parameters(reader: &mut Reader<'_>, at: &At<'_>) -> Map<String, Json> {
    let mut found = Map::new();
    for (key, node) in reader.fields(at).rest() {
        match &node.value {
            Value::List(_) | Value::Map(_) => {
                let at = At { node, path: at.field(&key.name) };
                reader.wrong(&at, "a single value");
            }
            _ => _ = found.insert(key.name.clone(), node.to_json()),
        }
    }
    found
}

/// Whole seconds, as Patroni writes them (`30`), or with a unit (`30s`, `5m`).
pub(in crate::scenario) fn seconds_of(reader: &mut Reader<'_>, at: &At<'_>, least: u32) -> Option<u32> {
    let expected = format!("whole seconds from {least} to 86400, such as {0} or {0}s", least.max(30));
    let number = value::integer(&at.node.to_json(), None).and_then(|number| i64::try_from(number).ok());
    let seconds = match &at.node.value {
        _ if number.is_some() => number,
        Value::Text(text) => match text.parse::<Span>() {
            Ok(span) if span.nanos() % 1_000_000_000 == 0 => i64::try_from(span.0.as_secs()).ok(),
            _ => None,
        },
        _ => None,
    };
    match seconds.map(u32::try_from) {
        Some(Ok(seconds)) if seconds >= least && seconds <= 86_400 => return Some(seconds),
        _ => _ = reader.wrong(at, expected),
    }
    // Where Patroni is given too small a value it takes the smallest legal one; after an error nobody asks.
    seconds.filter(|s| *s < i64::from(least)).map(|_| least)
}

/// Bytes, as Patroni writes them (`1048576`), or with a unit (`1MiB`).
fn bytes_of(reader: &mut Reader<'_>, at: &At<'_>) -> Option<u64> {
    let number = value::integer(&at.node.to_json(), None).and_then(|number| u64::try_from(number).ok());
    let found = match &at.node.value {
        _ if number.is_some() => number,
        Value::Text(text) => text.parse::<Size>().ok().map(|size| size.bytes),
        _ => None,
    };
    if found.is_none() {
        reader.wrong(at, "bytes: 1048576 or 1MiB");
    }
    found
}

fn synchronous_mode(reader: &mut Reader<'_>, at: &At<'_>) -> Option<SynchronousMode> {
    match value::switch(&at.node.to_json()) {
        Some(true) => Some(SynchronousMode::On),
        Some(false) => Some(SynchronousMode::Off),
        None => reader.word(
            at,
            &[("on", SynchronousMode::On), ("off", SynchronousMode::Off), ("quorum", SynchronousMode::Quorum)],
        ),
    }
}

/// A group that is passed on as it is.
fn object(reader: &mut Reader<'_>, at: &At<'_>) -> Option<Map<String, Json>> {
    match at.node.to_json() {
        Json::Object(map) => Some(map),
        _ => {
            reader.wrong(at, "a group of fields");
            None
        }
    }
}

fn list(reader: &mut Reader<'_>, at: &At<'_>) -> Vec<Json> {
    reader.items(at).iter().map(|item| item.node.to_json()).collect()
}
