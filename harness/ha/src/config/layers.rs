//! How the layers stack: defaults < dynamic (`/config`) < local (`patroni.yml`) < environment (`PATRONI_*`).

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value};

use super::remote::standby_section;
use super::settings::{Config, FencingMode, SynchronousMode, WatchdogMode};
use super::{Tags, Timing, adjust_timing};

/// Settings that the whole cluster must agree on: they count only from the dynamic layer, wherever else they stand
/// (documentation "Dynamic Configuration Settings"). Everything else a local file says wins over `/config`. The last two are
/// the names that Patroni 3 renamed.
pub const DYNAMIC_ONLY: [&str; 20] = [
    "ttl",
    "loop_wait",
    "retry_timeout",
    "maximum_lag_on_failover",
    "maximum_lag_on_syncnode",
    "check_timeline",
    "max_timelines_history",
    "primary_start_timeout",
    "primary_stop_timeout",
    "synchronous_mode",
    "synchronous_mode_strict",
    "synchronous_node_count",
    "failsafe_mode",
    "member_slots_ttl",
    "slots",
    "ignore_slots",
    "standby_cluster",
    "pause",
    "master_start_timeout",
    "master_stop_timeout",
];

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
/// the timings are adjusted, as Patroni does; [`check`](super::check) tells what is wrong.
///
/// `dynamic` is `/config`, `local` the node's own file, `env` the environment (only names starting with `PATRONI_`
/// matter).
pub fn resolve(dynamic: &Value, local: &Value, env: &BTreeMap<String, String>) -> Config {
    let mut own = local.as_object().cloned().unwrap_or_default();
    own.retain(|name, _| !DYNAMIC_ONLY.contains(&name.as_str()));
    let document = merge(&merge(dynamic, &Value::Object(own)), &environment(env));
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
    let seconds = |names: &[&str], default: Duration| {
        names.iter().find_map(|name| seconds_value(get(name)?)).map_or(default, Duration::from_secs)
    };
    let flag = |name: &str| get(name).and_then(bool_value).unwrap_or(false);
    let postgresql = |name: &str| document.get("postgresql").and_then(|section| section.get(name));
    let pg_flag = |name: &str, default: bool| postgresql(name).and_then(bool_value).unwrap_or(default);
    let timing = adjust_timing(Timing {
        ttl: get("ttl").and_then(seconds_value).unwrap_or(Timing::DEFAULT.ttl),
        loop_wait: get("loop_wait").and_then(seconds_value).unwrap_or(Timing::DEFAULT.loop_wait),
        retry_timeout: get("retry_timeout").and_then(seconds_value).unwrap_or(Timing::DEFAULT.retry_timeout),
    });
    let standby_cluster = standby_section(document);
    Config {
        ttl: Duration::from_secs(timing.ttl),
        loop_wait: Duration::from_secs(timing.loop_wait),
        retry_timeout: Duration::from_secs(timing.retry_timeout),
        maximum_lag_on_failover_bytes: get("maximum_lag_on_failover")
            .and_then(bytes_value)
            .unwrap_or(default.maximum_lag_on_failover_bytes),
        maximum_lag_on_syncnode_bytes: get("maximum_lag_on_syncnode").and_then(bytes_value).filter(|bytes| *bytes > 0),
        check_timeline: flag("check_timeline"),
        max_timelines_history: get("max_timelines_history").and_then(Value::as_u64).unwrap_or(0) as usize,
        primary_start_timeout: seconds(
            &["primary_start_timeout", "master_start_timeout"],
            default.primary_start_timeout,
        ),
        primary_stop_timeout: seconds(&["primary_stop_timeout", "master_stop_timeout"], default.primary_stop_timeout),
        synchronous_mode: get("synchronous_mode").map_or(SynchronousMode::Off, synchronous_mode),
        synchronous_mode_strict: flag("synchronous_mode_strict"),
        synchronous_node_count: get("synchronous_node_count")
            .and_then(Value::as_u64)
            .map_or(1, |n| u32::try_from(n.max(1)).unwrap_or(u32::MAX)),
        failsafe_mode: flag("failsafe_mode"),
        member_slots_ttl: seconds(&["member_slots_ttl"], default.member_slots_ttl),
        paused: flag("pause"),
        use_slots: pg_flag("use_slots", true),
        use_pg_rewind: pg_flag("use_pg_rewind", false),
        remove_data_directory_on_diverged_timelines: pg_flag("remove_data_directory_on_diverged_timelines", false),
        remove_data_directory_on_rewind_failure: pg_flag("remove_data_directory_on_rewind_failure", false),
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

fn synchronous_mode(value: &Value) -> SynchronousMode {
    match (value.as_str(), bool_value(value)) {
        (Some(word), _) if word.eq_ignore_ascii_case("quorum") => SynchronousMode::Quorum,
        (_, Some(true)) => SynchronousMode::On,
        _ => SynchronousMode::Off,
    }
}

fn watchdog_mode(value: &Value) -> WatchdogMode {
    match (value.as_str(), bool_value(value)) {
        (Some(word), _) if word.eq_ignore_ascii_case("required") || word.eq_ignore_ascii_case("require") => {
            WatchdogMode::Required
        }
        // YAML 1.1 reads a bare `off` as false.
        (_, Some(false)) => WatchdogMode::Off,
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

/// `true`, `"on"`, `"yes"` and the like (`parse_bool`).
pub(super) fn bool_value(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(flag) => Some(*flag),
        Value::String(text) => match text.to_ascii_lowercase().as_str() {
            "on" | "true" | "yes" | "1" => Some(true),
            "off" | "false" | "no" | "0" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

/// A time in whole seconds: a number, or text with PostgreSQL's units (`30min`).
pub(super) fn seconds_value(value: &Value) -> Option<u64> {
    const UNITS: &[(&str, u64)] =
        &[("", 1000), ("ms", 1), ("s", 1000), ("min", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
    // PostgreSQL's parse rounds to the setting's unit.
    value.as_u64().or_else(|| quantity(value.as_str()?, UNITS).map(|ms| (ms + 500) / 1000))
}

/// A size in bytes: a number, or text with PostgreSQL's units (`1MB`).
pub(super) fn bytes_value(value: &Value) -> Option<u64> {
    const UNITS: &[(&str, u64)] =
        &[("", 1), ("b", 1), ("kb", 1 << 10), ("mb", 1 << 20), ("gb", 1 << 30), ("tb", 1 << 40)];
    value.as_u64().or_else(|| quantity(value.as_str()?, UNITS))
}

fn quantity(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor = units.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit.trim()))?.1;
    number.parse::<u64>().ok()?.checked_mul(factor)
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
    fn modes_units_and_aliases_are_understood() {
        let dynamic = json!({"synchronous_mode": "quorum", "maximum_lag_on_failover": "2MB",
            "master_start_timeout": "5min", "member_slots_ttl": 0});
        let config = resolve(&dynamic, &json!({"watchdog": {"mode": false}}), &env(&[]));
        assert!(config.is_quorum());
        assert_eq!(config.maximum_lag_on_failover_bytes, 2 << 20);
        assert_eq!(config.primary_start_timeout, Duration::from_secs(300));
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
