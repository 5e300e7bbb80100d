//! Every parameter that the agent owns or replaces: what becomes of what users say, in both places.

use serde_json::json;

use super::*;
use crate::daemon::configure::remarks;

fn agent() -> AgentConfig {
    AgentConfig::new("demo", "pg1", "10.0.0.1", vec![])
}

/// The value in force when the dynamic configuration says `value` about `name`.
fn by_cluster(name: &str, value: &Value) -> Option<String> {
    let dynamic = json!({"postgresql": {"parameters": {name: value}}});
    parameters(&agent(), &dynamic, true).get(name.to_ascii_lowercase().as_str()).cloned()
}

/// The value in force when this node's own file says so.
fn by_node(name: &str, value: &Value) -> Option<String> {
    let mut config = agent();
    config.postgresql.parameters = json!({ name: value }).as_object().unwrap().clone();
    parameters(&config, &json!({}), true).get(name.to_ascii_lowercase().as_str()).cloned()
}

/// Parameter, what is said, what counts of it in `/config`, what of it in a node's own file. As Patroni 4.1.5 does it.
#[test]
fn what_counts_of_every_parameter_that_the_agent_owns() {
    const NONE: Option<&str> = None;
    let table: &[(&str, Value, Option<&str>, Option<&str>)] = &[
        // Follow from other settings.
        ("listen_addresses", json!("*"), Some("0.0.0.0"), Some("0.0.0.0")),
        ("port", json!(9), Some("5432"), Some("5432")),
        ("Port", json!(9), Some("5432"), Some("5432")),
        ("cluster_name", json!("x"), Some("demo"), Some("demo")),
        ("hot_standby", json!("off"), Some("on"), Some("on")),
        ("data_directory", json!("/elsewhere"), NONE, NONE),
        ("config_file", json!("/elsewhere"), NONE, NONE),
        ("include", json!("more.conf"), NONE, NONE),
        // Whom a standby follows and how far is not a user's.
        ("primary_conninfo", json!("host=x"), NONE, NONE),
        ("primary_slot_name", json!("x"), NONE, NONE),
        ("recovery_target_time", json!("2026-01-01"), NONE, NONE),
        ("recovery_target_timeline", json!("current"), NONE, NONE),
        ("recovery_target_action", json!("shutdown"), NONE, NONE),
        // Alike on all members, within what a cluster works with.
        ("max_connections", json!(300), Some("300"), Some("100")),
        ("Max_Connections", json!(300), Some("300"), Some("100")),
        ("max_connections", json!(24), Some("100"), Some("100")),
        ("max_connections", json!("many"), Some("100"), Some("100")),
        ("max_locks_per_transaction", json!(31), Some("64"), Some("64")),
        ("max_prepared_transactions", json!(0), Some("0"), Some("0")),
        ("max_prepared_transactions", json!(-1), Some("0"), Some("0")),
        ("max_replication_slots", json!(3), Some("10"), Some("10")),
        ("max_wal_senders", json!(2), Some("10"), Some("10")),
        ("max_worker_processes", json!(1), Some("8"), Some("8")),
        ("wal_level", json!("logical"), Some("logical"), Some("replica")),
        ("wal_level", json!("Hot_Standby"), Some("replica"), Some("replica")),
        ("wal_level", json!("minimal"), Some("replica"), Some("replica")),
        ("wal_log_hints", json!(false), Some("off"), Some("on")),
        ("wal_log_hints", json!("perhaps"), Some("on"), Some("on")),
        ("track_commit_timestamp", json!(true), Some("on"), Some("off")),
        ("track_commit_timestamp", json!(3), Some("off"), Some("off")),
        ("wal_keep_size", json!("1GB"), Some("1GB"), Some("128MB")),
        ("wal_keep_size", json!(64), Some("64"), Some("128MB")),
        ("wal_keep_size", json!("8MB"), Some("128MB"), Some("128MB")),
        ("wal_keep_segments", json!(8), NONE, NONE),
        // The user's own where the agent has no say.
        ("synchronous_standby_names", json!("*"), Some("*"), Some("*")),
        ("Synchronous_Standby_Names", json!("ANY 1 (*)"), Some("ANY 1 (*)"), Some("ANY 1 (*)")),
        ("synchronous_commit", json!("remote_apply"), Some("remote_apply"), Some("remote_apply")),
        ("hot_standby_feedback", json!("off"), Some("off"), Some("off")),
        ("fsync", json!(false), Some("off"), Some("off")),
        ("restore_command", json!("cp"), Some("cp"), Some("cp")),
        ("work_mem", json!(null), NONE, NONE),
    ];
    for (name, value, cluster, node) in table {
        assert_eq!(by_cluster(name, value).as_deref(), *cluster, "{name}: {value} in /config");
        assert_eq!(by_node(name, value).as_deref(), *node, "{name}: {value} in a node's own file");
    }
}

#[test]
fn nothing_that_the_agent_owns_is_replaced_without_a_word() {
    let owned =
        settings::following().map(|(name, _)| (name, if name == "hot_standby" { "off" } else { "x" }, json!({})));
    let owned = owned.chain(settings::cluster_wide().map(|(name, _)| (name, "none", json!({}))));
    for (name, value, also) in owned.chain([("synchronous_standby_names", "*", json!({"synchronous_mode": "quorum"}))])
    {
        let mut dynamic = also;
        dynamic["postgresql"] = json!({"parameters": {name: value}});
        let told = remarks(&dynamic);
        assert!(matches!(&told[..], [one] if one.contains(name)), "{name}: {told:?}");
        assert_ne!(parameters(&agent(), &dynamic, true).get(name).map(String::as_str), Some(value), "{name}");
    }
}

#[test]
fn postgresqls_own_synchronous_replication_is_honoured_while_synchronous_mode_is_off() {
    let names = |mode: Value, extra: Value| {
        let mut dynamic = json!({"synchronous_mode": mode,
            "postgresql": {"parameters": {"synchronous_standby_names": "2 (a, \"b\")"}}});
        dynamic.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        (parameters(&agent(), &dynamic, true).remove("synchronous_standby_names"), replaced_parameters(&dynamic))
    };
    for off in [json!(false), json!("off"), Value::Null] {
        assert_eq!(names(off, json!({})), (Some("2 (a, \"b\")".into()), vec![]));
    }
    for on in [json!(true), json!("on"), json!("quorum")] {
        let (value, told) = names(on, json!({}));
        assert_eq!((value, told.len()), (None, 1), "{told:?}");
    }
    // Synchronous mode has no say in a standby cluster (documentation "Standby cluster").
    let (value, told) = names(json!(true), json!({"standby_cluster": {"host": "dc1"}}));
    assert_eq!((value.is_some(), told), (true, vec![]));
    let wrong = json!({"postgresql": {"parameters": {"synchronous_standby_names": "ANY 0 (a)"}}});
    insta::assert_snapshot!(replaced_parameters(&wrong).join("\n"), @"postgresql.parameters.synchronous_standby_names: found ANY 0 (a), expected names as PostgreSQL reads them, such as ANY 1 (pg2, pg3): it takes no other");
}

#[test]
fn a_nodes_own_names_are_told_not_to_count_under_synchronous_mode() {
    let mut config = agent();
    config.postgresql.parameters =
        json!({"synchronous_standby_names": "*", "hot_standby_feedback": "off"}).as_object().unwrap().clone();
    assert_eq!(replaced_own(&config, &json!({})), Vec::<String>::new());
    let dynamic =
        json!({"synchronous_mode": true, "slots": {"a": {"type": "logical", "database": "d", "plugin": "p"}}});
    insta::assert_snapshot!(replaced_own(&config, &dynamic).join("\n"), @r"
    this node's own postgresql.parameters.synchronous_standby_names: found *, expected synchronous_mode off, or synchronous_node_count beside synchronous_mode: the parameter is ignored here
    this node's own postgresql.parameters.hot_standby_feedback: found off, expected on beside permanent logical slots: on is used where a node has them, since the primary must not remove what they still need
    ");
}

#[test]
fn segments_that_are_to_be_kept_count_as_their_size_unless_a_size_is_given() {
    let size = |said: Value| {
        let dynamic = json!({"postgresql": {"parameters": said}});
        parameters(&agent(), &dynamic, true).remove("wal_keep_size")
    };
    assert_eq!(size(json!({"wal_keep_segments": 100})).as_deref(), Some("1600MB"));
    assert_eq!(size(json!({"wal_keep_segments": 100, "wal_keep_size": "1GB"})).as_deref(), Some("1GB"));
    assert_eq!(size(json!({"wal_keep_segments": "all"})).as_deref(), Some("128MB"));
}

#[test]
fn feedback_is_enforced_only_where_logical_slots_need_it() {
    let feedback = |enforces: bool, slots: Value| {
        let dynamic = json!({"slots": slots, "postgresql": {"parameters": {"hot_standby_feedback": "off"}}});
        parameters(&agent(), &dynamic, enforces).remove("hot_standby_feedback")
    };
    let logical = json!({"a": {"type": "logical", "database": "d", "plugin": "p"}});
    assert_eq!(feedback(true, logical.clone()).as_deref(), Some("on"));
    assert_eq!(feedback(false, logical).as_deref(), Some("off"));
    assert_eq!(feedback(true, json!({"a": {"type": "physical"}})).as_deref(), Some("off"));
}

#[test]
fn files_are_looked_for_beside_postgresql_conf() {
    let mut config = agent();
    config.postgresql.config_dir = Some("/etc/pg".into());
    let dynamic = json!({"postgresql": {"parameters": {"hba_file": "our_hba.conf", "ident_file": "/etc/ident"}}});
    let all = parameters(&config, &dynamic, true);
    assert_eq!((all["hba_file"].as_str(), all["ident_file"].as_str()), ("/etc/pg/our_hba.conf", "/etc/ident"));
}

#[test]
fn recovery_settings_count_in_either_place_and_never_say_whom_to_follow_or_how_far() {
    let mut config = agent();
    config.postgresql.parameters = json!({"Restore_Command": "own"}).as_object().unwrap().clone();
    let document = json!({"postgresql": {
        "recovery_conf": {"restore_command": "conf", "recovery_min_apply_delay": "5min", "primary_conninfo": "host=x",
            "recovery_target_lsn": "0/1", "primary_slot_name": "s", "recovery_target_timeline": "current"},
        "parameters": {"archive_cleanup_command": "clean", "restore_command": "cluster", "work_mem": "4MB"},
    }});
    let found = recovery_parameters(&config, &document);
    let expected =
        [("archive_cleanup_command", "clean"), ("recovery_min_apply_delay", "5min"), ("restore_command", "own")];
    assert_eq!(found, expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
    assert_eq!(remarks(&document).len(), 4, "{:?}", remarks(&document));
}

#[test]
fn less_than_a_cluster_works_with_is_replaced_and_told() {
    let dynamic = json!({"postgresql": {"parameters": {"max_connections": 10, "max_wal_senders": "0",
        "max_replication_slots": 4, "max_worker_processes": "many", "wal_level": "minimal", "work_mem": 1}}});
    let parameters = parameters(&agent(), &dynamic, true);
    for (name, value) in [
        ("max_connections", "100"),
        ("max_wal_senders", "10"),
        ("max_replication_slots", "4"),
        ("max_worker_processes", "8"),
        ("wal_level", "replica"),
        ("work_mem", "64kB"),
    ] {
        assert_eq!(parameters[name], value, "{name}");
    }
    insta::assert_snapshot!(remarks(&dynamic).join("\n"), @r#"
    postgresql.parameters.max_connections: found 10, expected a whole number of at least 25: 100 is used instead
    postgresql.parameters.max_wal_senders: found "0", expected a whole number of at least 3: 10 is used instead
    postgresql.parameters.max_worker_processes: found "many", expected a whole number of at least 2: 8 is used instead
    postgresql.parameters.wal_level: found "minimal", expected replica or logical: replica is used instead
    postgresql.parameters.work_mem: found 1, expected a whole number, at least 64 (in kB), or a size such as 64MB: 64kB is used instead
    "#);
    let own = json!({"postgresql": {"parameters":
        {"port": 5433, "hot_standby": "off", "synchronous_standby_names": "*", "cluster_name": null}}});
    insta::assert_snapshot!(remarks(&own).join("\n"), @r#"
    postgresql.parameters.port: found 5433, expected postgresql.listen in each node's own file: the parameter is ignored here
    postgresql.parameters.hot_standby: found "off", expected nothing, since it is always on: the parameter is ignored here
    "#);
    let logical = json!({"postgresql": {"parameters": {"wal_level": "Logical", "max_connections": 25}}});
    assert!(remarks(&logical).is_empty());
}
