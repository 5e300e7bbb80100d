//! The dynamic configuration: spellings, what waits for a restart, whose parameters count.

use serde_json::{Value, json};

use super::{Situation, set};
use crate::stage::Stage;

pub(super) const SITUATIONS: [Situation; 5] = [
    Situation::new("settings_are_spelt_as_text", spellings).short(),
    Situation::new("a_parameter_that_needs_a_restart_is_changed", pending_restart).short(),
    Situation::new("a_parameter_is_changed_by_alter_system", alter_system),
    Situation::new("postgresqls_own_synchronous_replication", own_synchronous),
    Situation::new("parameters_that_the_agent_owns_are_set_by_the_user", owned).short(),
];

fn spellings(stage: &mut Stage) {
    stage.cluster(1, |file| {
        for (name, value) in [
            ("ttl", json!("40")),
            ("loop_wait", json!("1")),
            ("retry_timeout", json!("3")),
            ("maximum_lag_on_failover", json!("10485760")),
            ("synchronous_mode", json!("true")),
            ("synchronous_node_count", json!("2")),
            ("max_timelines_history", json!("5")),
            ("failsafe_mode", json!("On")),
            ("primary_start_timeout", json!("5min")),
            ("slots", json!({ "plain": 0, "named": { "type": "physical" } })),
        ] {
            set(file, &format!("bootstrap.dcs.{name}"), value);
        }
        set(file, "bootstrap.dcs.postgresql.use_slots", json!("Yes"));
        set(file, "tags", json!({ "failover_priority": "1", "sync_priority": "0", "clonefrom": "true", "mine": "x" }));
    });
    stage.record("settled");
    let patch = json!({ "maximum_lag_on_failover": "2097152", "postgresql": { "parameters": { "work_mem": "8MB" } } });
    stage.request("PATCH", "pg1", "PATCH /config", &patch);
    stage.until("it is in force", |stage| stage.of("pg1").sql("SHOW work_mem") == Ok("8MB".into()));
    stage.record("patched");
}

fn pending_restart(stage: &mut Stage) {
    stage.cluster(2, |_| {});
    stage.until_streaming(&["pg2"]);
    let patch = json!({ "postgresql": { "parameters": { "max_connections": 60, "wal_level": "logical" } } });
    stage.request("PATCH", "pg1", "PATCH /config", &patch);
    let pending = |name: &'static str| move |stage: &Stage| stage.of(name).state()["pending_restart"] == true;
    stage.until("pg1 waits for a restart", pending("pg1"));
    stage.until("pg2 waits for a restart", pending("pg2"));
    stage.record("waiting");
    stage.request("restart of the leader", "pg1", "POST /restart", &json!({ "restart_pending": true }));
    stage.request("restart of the replica", "pg2", "POST /restart", &json!({}));
    stage.until("nobody waits", |stage| stage.members().all(|member| member.state()["pending_restart"].is_null()));
    stage.until_streaming(&["pg2"]);
    stage.record("restarted");
}

fn alter_system(stage: &mut Stage) {
    stage.cluster(1, |_| {});
    stage.of("pg1").run("ALTER SYSTEM SET shared_buffers = '48MB'");
    stage.request("reload", "pg1", "POST /reload", &Value::Null);
    stage.until("it waits for a restart", |stage| stage.of("pg1").state()["pending_restart"] == true);
    stage.record("waiting");
}

fn own_synchronous(stage: &mut Stage) {
    stage.cluster(2, |file| {
        set(file, "bootstrap.dcs.postgresql.parameters.synchronous_standby_names", json!("*"));
    });
    stage.until_streaming(&["pg2"]);
    stage.record("settled");
}

fn owned(stage: &mut Stage) {
    stage.cluster(2, |file| {
        for (name, value) in [
            ("max_connections", json!(20)),
            ("max_worker_processes", json!(1)),
            ("wal_level", json!("minimal")),
            ("max_wal_senders", json!(2)),
            ("max_replication_slots", json!(2)),
            ("hot_standby", json!("off")),
            ("wal_log_hints", json!("off")),
            ("track_commit_timestamp", json!("on")),
            ("port", json!(7777)),
            ("listen_addresses", json!("localhost")),
            ("cluster_name", json!("mine")),
            ("archive_mode", json!("on")),
            ("archive_command", json!("true")),
            ("recovery_min_apply_delay", json!("1s")),
            ("hot_standby_feedback", json!("on")),
            ("wal_keep_segments", json!(8)),
            ("no_such_parameter", json!("1")),
        ] {
            set(file, &format!("bootstrap.dcs.postgresql.parameters.{name}"), value);
        }
    });
    stage.until_streaming(&["pg2"]);
    stage.record("settled");
}
