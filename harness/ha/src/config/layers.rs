//! How the layers stack: defaults < dynamic (`/config`) < local (`patroni.yml`) < environment (`PATRONI_*`).

use std::collections::BTreeMap;
use std::time::Duration;

use pgdrill_settings::{
    Dynamic,
    places::CLUSTER_WIDE,
    slots::permanent_slots,
    value::{self, switch},
};
use serde_json::{Map, Value};

use super::Tags;
use super::remote::standby_section;
use super::settings::{Config, FencingMode, WatchdogMode};

/// Puts `over` on top of `base`: mappings are merged, anything else replaced.
pub fn merge(base: &Value, over: &Value) -> Value {
    let (Value::Object(base), Value::Object(over)) = (base, over) else { return over.clone() };
    let mut merged = base.clone();
    for (name, value) in over {
        let below = merged.get(name).cloned().unwrap_or(Value::Null);
        merged.insert(name.clone(), merge(&below, value));
    }
    Value::Object(merged)
}

/// Applies a `PATCH /config` document: as [`merge`], but `null` removes a field (`patch_config`).
pub fn merge_patch(base: &Value, patch: &Value) -> Value {
    let Value::Object(patch) = patch else { return patch.clone() };
    let mut merged = base.as_object().cloned().unwrap_or_default();
    for (name, value) in patch {
        if value.is_null() {
            merged.shift_remove(name);
        } else {
            let below = merged.get(name).cloned().unwrap_or(Value::Null);
            merged.insert(name.clone(), merge_patch(&below, value));
        }
    }
    Value::Object(merged)
}

/// Makes the configuration of a node out of its layers. Never fails: what is not legal is replaced by its default, and
/// the timings are adjusted, as Patroni does; [`check`](pgdrill_settings::check()) tells what is wrong.
///
/// `dynamic` is `/config`, `local` the node's own file, `env` the environment (only names starting with `PATRONI_`
/// matter).
pub fn resolve(dynamic: &Value, local: &Value, env: &BTreeMap<String, String>) -> Config {
    let mut own = local.as_object().cloned().unwrap_or_default();
    own.retain(|name, _| !CLUSTER_WIDE.contains(&name.as_str()));
    let mut document = merge(&merge(dynamic, &Value::Object(own)), &environment(env));
    if let Some(permanent) = permanent_slots(&document).cloned() {
        // Whoever asks for them knows one name.
        document["slots"] = permanent.into();
    }
    let mut config = typed(&document);
    config.dynamic = document;
    config
}

/// The environment's layer, for the settings that decisions read. Patroni spells nested names with underscores.
fn environment(env: &BTreeMap<String, String>) -> Value {
    let mut document = Map::new();
    for (name, value) in env {
        let Some(name) = name.strip_prefix("PATRONI_") else { continue };
        let section = match name {
            "NAME" | "SCOPE" | "NAMESPACE" => {
                document.insert(name.to_ascii_lowercase(), Value::from(value.as_str()));
                continue;
            }
            _ => name.split_once('_'),
        };
        let Some((section @ ("TAGS" | "WATCHDOG"), field)) = section else { continue };
        let fields = document.entry(section.to_ascii_lowercase()).or_insert_with(|| Value::Object(Map::new()));
        if let Value::Object(fields) = fields {
            fields.insert(field.to_ascii_lowercase(), Value::from(value.as_str()));
        }
    }
    Value::Object(document)
}

fn typed(document: &Value) -> Config {
    let default = Config::default();
    let get = |name: &str| document.get(name).filter(|value| !value.is_null());
    let postgresql = |name: &str| document.get("postgresql").and_then(|section| section.get(name));
    let pg_flag = |name: &str| postgresql(name).and_then(switch).unwrap_or(false);
    let standby_cluster = standby_section(document);
    let dynamic = Dynamic::of(document);
    Config {
        ttl: Duration::from_secs(dynamic.timing.ttl),
        loop_wait: Duration::from_secs(dynamic.timing.loop_wait),
        retry_timeout: Duration::from_secs(dynamic.timing.retry_timeout),
        maximum_lag_on_failover_bytes: dynamic.maximum_lag_on_failover,
        maximum_lag_on_syncnode_bytes: dynamic.maximum_lag_on_syncnode,
        check_timeline: dynamic.check_timeline,
        max_timelines_history: dynamic.max_timelines_history as usize,
        primary_start_timeout: Duration::from_secs(dynamic.primary_start_timeout),
        primary_stop_timeout: Duration::from_secs(dynamic.primary_stop_timeout),
        synchronous_mode: dynamic.synchronous_mode,
        synchronous_mode_strict: dynamic.synchronous_mode_strict,
        synchronous_node_count: dynamic.synchronous_node_count,
        failsafe_mode: dynamic.failsafe_mode,
        member_slots_ttl: Duration::from_secs(dynamic.member_slots_ttl),
        paused: dynamic.pause,
        use_slots: dynamic.use_slots,
        use_pg_rewind: pg_flag("use_pg_rewind"),
        remove_data_directory_on_diverged_timelines: pg_flag("remove_data_directory_on_diverged_timelines"),
        remove_data_directory_on_rewind_failure: pg_flag("remove_data_directory_on_rewind_failure"),
        has_pre_promote: postgresql("pre_promote").is_some_and(|script| !script.is_null()),
        clones_without_leader: clones_without_leader(
            standby_cluster.or(get("postgresql")).and_then(|section| section.get("create_replica_methods")),
            postgresql("methods_without_leader"),
        ),
        standby_cluster: standby_cluster.cloned(),
        may_bootstrap: get("bootstrap").is_some(),
        bootstrap_dcs: document.pointer("/bootstrap/dcs").cloned().unwrap_or(default.bootstrap_dcs),
        watchdog: document.pointer("/watchdog/mode").map_or(WatchdogMode::Automatic, watchdog_mode),
        fencing: document.pointer("/pgdrill/fencing/mode").map_or(FencingMode::Automatic, fencing_mode),
        tags: Tags(get("tags").and_then(Value::as_object).cloned().unwrap_or_default()),
        dynamic: Value::Null,
    }
}

/// Whether one of the methods in use is one of those that need no leader
/// (`can_create_replica_without_replication_connection`).
fn clones_without_leader(in_use: Option<&Value>, able: Option<&Value>) -> bool {
    let names = |list: Option<&Value>| list.and_then(Value::as_array).cloned().unwrap_or_default();
    let able = names(able);
    names(in_use).iter().any(|name| able.contains(name))
}

fn watchdog_mode(value: &Value) -> WatchdogMode {
    match value::watchdog_mode(value) {
        Some("required") => WatchdogMode::Required,
        Some("off") => WatchdogMode::Off,
        _ => WatchdogMode::Automatic,
    }
}

fn fencing_mode(value: &Value) -> FencingMode {
    match watchdog_mode(value) {
        WatchdogMode::Off => FencingMode::Off,
        WatchdogMode::Automatic => FencingMode::Automatic,
        WatchdogMode::Required => FencingMode::Required,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn env(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
    }

    #[test]
    fn later_layers_win() {
        let dynamic = json!({"ttl": 40, "postgresql": {"use_pg_rewind": true, "use_slots": false}});
        let local = json!({"postgresql": {"use_slots": true}, "tags": {"nosync": true}, "bootstrap": {}});
        let config = resolve(&dynamic, &local, &env(&[("PATRONI_TAGS_NOSYNC", "false"), ("PATRONI_SCOPE", "a")]));
        assert_eq!(config.ttl, Duration::from_secs(40));
        assert!(config.use_pg_rewind && config.use_slots && config.may_bootstrap);
        assert!(!config.tags.nosync());
        assert_eq!(config.dynamic["scope"], "a");
    }

    #[test]
    fn a_cluster_wide_setting_in_a_local_file_does_not_count() {
        let config = resolve(&json!({}), &json!({"ttl": 90, "synchronous_mode": true, "pause": true}), &env(&[]));
        assert_eq!(config.ttl, Duration::from_secs(30));
        assert!(!config.is_synchronous() && !config.paused);
    }

    #[test]
    fn modes_spellings_and_aliases_are_understood() {
        let dynamic = json!({"synchronous_mode": "quorum", "maximum_lag_on_failover": "2097152",
            "master_start_timeout": "600", "member_slots_ttl": "0"});
        let config = resolve(&dynamic, &json!({"watchdog": {"mode": false}}), &env(&[]));
        assert!(config.is_quorum());
        assert_eq!(config.maximum_lag_on_failover_bytes, 2 << 20);
        assert_eq!(config.primary_start_timeout, Duration::from_secs(600));
        assert_eq!(config.member_slots_ttl, Duration::ZERO);
        assert_eq!(config.watchdog, WatchdogMode::Off);
    }

    #[test]
    fn a_patch_with_null_removes_a_field() {
        let base = json!({"pause": true, "postgresql": {"parameters": {"a": 1, "b": 2}}});
        let patch = json!({"pause": null, "postgresql": {"parameters": {"b": null, "c": 3}}});
        assert_eq!(merge_patch(&base, &patch), json!({"postgresql": {"parameters": {"a": 1, "c": 3}}}));
    }
}
