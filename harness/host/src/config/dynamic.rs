//! `bootstrap.dcs`: the first dynamic configuration. Which values are legal is said by the state machine that uses them.

use pgdrill_ha::config::{DYNAMIC_ONLY, DYNAMIC_POSTGRESQL, Problem as Illegal, Timing, adjust_timing, check};
use pgdrill_yaml::{At, Fields, Reader, did_you_mean, one_of, patroni as warts};
use serde_json::Value as Json;

use super::value::{settings, texts};

const STANDBY_CLUSTER: [&str; 7] = [
    "host",
    "port",
    "primary_slot_name",
    "create_replica_methods",
    "restore_command",
    "archive_cleanup_command",
    "recovery_min_apply_delay",
];

/// Fields of `postgresql` that Patroni takes from either place, and pgdrill from the local one.
const LOCAL: [&str; 11] = [
    "pg_ctl_timeout",
    "callbacks",
    "create_replica_methods",
    "basebackup",
    "rewind",
    "pre_promote",
    "before_stop",
    "remove_data_directory_on_rewind_failure",
    "remove_data_directory_on_diverged_timelines",
    "use_unix_socket",
    "custom_conf",
];

/// The section, as it is written to `/config`.
pub(super) fn dcs(reader: &mut Reader<'_>, at: &At<'_>) -> Json {
    let mut fields = reader.fields(at);
    for name in DYNAMIC_ONLY {
        fields.take(name);
    }
    if let Some(at) = fields.take_set("postgresql") {
        postgresql(reader, &at);
    }
    if let Some(at) = at.node.get("standby_cluster").map(|node| At { node, path: at.field("standby_cluster") }) {
        let mut standby = reader.fields(&at);
        for name in STANDBY_CLUSTER {
            standby.take(name);
        }
        standby.finish(reader);
    }
    fields.finish(reader);
    let mut dcs = at.node.to_json();
    illegal(reader, at, &dcs);
    if let Some(parameters) = dcs.pointer_mut("/postgresql/parameters").and_then(Json::as_object_mut) {
        warts::leave_out_removed(parameters);
    }
    dcs
}

fn postgresql(reader: &mut Reader<'_>, at: &At<'_>) {
    let mut fields = reader.fields(at);
    for name in ["parameters", "recovery_conf"] {
        if let Some(at) = fields.take_set(name) {
            settings(reader, &at);
        }
    }
    for name in ["pg_hba", "pg_ident"] {
        if let Some(at) = fields.take_set(name) {
            texts(reader, &at, "a line of the file");
        }
    }
    for name in ["use_pg_rewind", "use_slots"] {
        fields.take(name);
    }
    for (key, _) in fields.rest() {
        let path = reader.field(at, key);
        let local = LOCAL.contains(&key.name.as_str());
        let expected =
            if local { format!("postgresql.{} of every node", key.name) } else { one_of(&DYNAMIC_POSTGRESQL) };
        let found = format!("the field {}", reader.name(key));
        let problem = reader.problem(key.place, &path, found, expected);
        problem.help = if local {
            "pgdrill takes it from each node's own section".into()
        } else {
            did_you_mean(&key.name, DYNAMIC_POSTGRESQL.into_iter())
        };
    }
}

/// What is illegal. Times that are only too short or break the rule are raised and lowered, as Patroni does.
fn illegal(reader: &mut Reader<'_>, at: &At<'_>, dcs: &Json) {
    for Illegal { field, found, expected } in check(dcs) {
        let path = at.field(&field);
        let place = at.node.locate(&field).place;
        let time = matches!(field.as_str(), "ttl" | "loop_wait" | "retry_timeout");
        let number = dcs.get(&field).is_none_or(Json::is_number);
        if time && number {
            reader.warning(|reader| reader.problem(place, &path, found, expected).help = used(dcs));
        } else {
            reader.problem(place, &path, found, expected);
        }
    }
}

/// What Patroni makes of times that are too short or break its rule.
fn used(dcs: &Json) -> String {
    let read = |name: &str, default: u64| dcs.get(name).and_then(Json::as_u64).unwrap_or(default);
    let Timing { ttl, loop_wait, retry_timeout } = adjust_timing(Timing {
        ttl: read("ttl", Timing::DEFAULT.ttl),
        loop_wait: read("loop_wait", Timing::DEFAULT.loop_wait),
        retry_timeout: read("retry_timeout", Timing::DEFAULT.retry_timeout),
    });
    format!(
        "pgdrill runs, as Patroni would, with ttl {ttl}, loop_wait {loop_wait}, retry_timeout {retry_timeout}: a full wait, a \
         failed read and a failed renewal must fit into one lease"
    )
}

/// Dynamic settings at the top level: Patroni ignores them there.
pub(super) fn misplaced(reader: &mut Reader<'_>, fields: &mut Fields<'_>) {
    for at in fields.take_where(|name, _| DYNAMIC_ONLY.contains(&name)) {
        let found = format!("the setting {:?} at the top level", at.path);
        reader.problem(at.node.place, &at.path, found, format!("bootstrap.dcs.{}", at.path)).help =
            "Patroni ignores it where it is: it is a setting of the whole cluster".into();
    }
}
