//! Reads the local settings that a scenario can say something about.

use pgdrill_yaml::{
    At, Fields, Reader, Value,
    patroni::{switch, whole},
};

use super::dynamic::seconds_of;
use crate::scenario::patroni::{Postgresql, Tags, WatchdogMode, WatchdogSettings};

/// `tags`.
pub(in crate::scenario) fn tags(reader: &mut Reader<'_>, at: &At<'_>) -> Tags {
    let mut it = Tags::default();
    let mut fields = reader.fields(at);
    for (name, flag) in [
        ("nofailover", &mut it.nofailover),
        ("nosync", &mut it.nosync),
        ("noloadbalance", &mut it.noloadbalance),
        ("clonefrom", &mut it.clonefrom),
        ("nostream", &mut it.nostream),
    ] {
        *flag = fields.take(name).and_then(|at| switch(reader, &at));
    }
    for (name, number) in [("failover_priority", &mut it.failover_priority), ("sync_priority", &mut it.sync_priority)] {
        *number = fields.take(name).and_then(|at| whole(reader, &at, -1_000_000..=1_000_000, ""));
    }
    it.replicatefrom = fields.take("replicatefrom").and_then(|at| reader.text(&at, "a node"));
    if let Some(at) = fields.take("custom") {
        match at.node.to_json() {
            serde_json::Value::Object(custom) => it.custom = custom,
            _ => _ = reader.wrong(&at, "a group of fields"),
        }
    }
    fields.finish(reader);
    it
}

/// `watchdog`.
pub(in crate::scenario) fn watchdog(reader: &mut Reader<'_>, at: &At<'_>) -> WatchdogSettings {
    let mut it = WatchdogSettings::default();
    let mut fields = reader.fields(at);
    let modes =
        [("off", WatchdogMode::Off), ("automatic", WatchdogMode::Automatic), ("required", WatchdogMode::Required)];
    if let Some(mode) = fields.take("mode").and_then(|at| reader.word(&at, &modes)) {
        it.mode = mode;
    }
    if let Some(margin) =
        fields.take("safety_margin").and_then(|at| whole(reader, &at, -1..=86_400, "seconds; -1: half the ttl"))
    {
        it.safety_margin = margin;
    }
    // The device's name means nothing here: `cluster.watchdog` says where there is one.
    fields.take("device");
    fields.finish(reader);
    it
}

/// `bootstrap.initdb`: whether it asks for data checksums.
pub(in crate::scenario) fn initdb(reader: &mut Reader<'_>, at: &At<'_>) -> bool {
    let items = reader.items(at);
    items.iter().any(|item| match &item.node.value {
        Value::Text(option) => option == "data-checksums",
        Value::Map(_) => item.node.get("data-checksums").is_some(),
        _ => false,
    })
}

/// The local part of `postgresql`. What belongs to the hosts is the lab's own and passed over.
pub(in crate::scenario) fn postgresql_local(reader: &mut Reader<'_>, fields: &mut Fields<'_>, it: &mut Postgresql) {
    if let Some(found) = fields.take("pg_ctl_timeout").and_then(|at| seconds_of(reader, &at, 1)) {
        it.pg_ctl_timeout = found;
    }
    for (name, flag) in [
        ("remove_data_directory_on_rewind_failure", &mut it.remove_data_directory_on_rewind_failure),
        ("remove_data_directory_on_diverged_timelines", &mut it.remove_data_directory_on_diverged_timelines),
    ] {
        if let Some(found) = fields.take(name).and_then(|at| switch(reader, &at)) {
            *flag = found;
        }
    }
}
