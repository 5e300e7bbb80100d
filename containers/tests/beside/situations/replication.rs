//! Synchronous modes and slots.

use serde_json::json;

use super::{Situation, set};
use crate::{place::kill, stage::Stage};

pub(super) const SITUATIONS: [Situation; 6] = [
    Situation::new("synchronous_mode_with_two_standbys", synchronous).short(),
    Situation::new("strict_synchronous_mode_without_a_standby", strict),
    Situation::new("quorum_commit", quorum),
    Situation::new("remote_apply_and_a_standby_that_does_not_replay", remote_apply),
    Situation::new("permanent_slots_of_all_kinds", slots).short(),
    Situation::new("a_members_slot_outlives_its_member", member_slot),
];

fn synchronous(stage: &mut Stage) {
    stage.cluster(3, |file| {
        set(file, "bootstrap.dcs.synchronous_mode", json!(true));
        set(file, "bootstrap.dcs.synchronous_node_count", json!(2));
    });
    let names = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'";
    stage.until("two are synchronous", |stage| stage.of("pg1").sql(names) == Ok("2".into()));
    stage.record("two standbys");
    stage.end("pg3", libc::SIGTERM);
    stage.until_gone("pg3");
    stage.record("one standby");
    stage.request("switchover", "pg1", "POST /switchover", &json!({ "leader": "pg1", "candidate": "pg2" }));
    stage.until_primary("pg2");
    stage.until_streaming(&["pg1"]);
    stage.record("switched over");
}

fn strict(stage: &mut Stage) {
    stage.cluster(2, |file| {
        set(file, "bootstrap.dcs.synchronous_mode", json!(true));
        set(file, "bootstrap.dcs.synchronous_mode_strict", json!(true));
    });
    stage.until("pg2 is synchronous", |stage| stage.of("pg2").status("/sync") == Some(200));
    stage.record("with a standby");
    stage.end("pg2", libc::SIGTERM);
    stage.record("without a standby");
}

fn quorum(stage: &mut Stage) {
    stage.cluster(3, |file| {
        set(file, "bootstrap.dcs.synchronous_mode", json!("quorum"));
    });
    stage.until("both may be counted", |stage| {
        ["pg2", "pg3"].iter().all(|name| stage.of(name).status("/quorum") == Some(200))
    });
    stage.record("settled");
    stage.crash("pg1");
    stage.until("another leads", |stage| ["pg2", "pg3"].iter().any(|name| stage.of(name).is_primary()));
    let crowd = |stage: &Stage| ["pg2", "pg3"].iter().filter(|name| stage.of(name).is_streaming()).count() == 1;
    stage.until("the other one streams", crowd);
    stage.note("somebody leads", json!(true));
}

fn remote_apply(stage: &mut Stage) {
    stage.cluster(3, |file| {
        set(file, "bootstrap.dcs.synchronous_mode", json!(true));
        set(file, "bootstrap.dcs.maximum_lag_on_syncnode", json!(65536));
        set(file, "bootstrap.dcs.postgresql.parameters.synchronous_commit", json!("remote_apply"));
    });
    stage.until("one is synchronous", |stage| {
        ["pg2", "pg3"].iter().any(|name| stage.of(name).status("/sync") == Some(200))
    });
    let chosen = if stage.of("pg2").status("/sync") == Some(200) { "pg2" } else { "pg3" };
    let other = if chosen == "pg2" { "pg3" } else { "pg2" };
    stage.until_streaming(&["pg2", "pg3"]);
    // Not by `pg_wal_replay_pause`: both agents resume what was paused.
    let replaying = stage.of(chosen).startup_process().expect("a standby replays");
    kill(replaying, libc::SIGSTOP);
    let writing = "SET synchronous_commit = local; CREATE TABLE t AS SELECT generate_series(1, 5000) n";
    stage.of("pg1").run(writing);
    stage.until("the other standby is chosen", |stage| stage.of(other).status("/sync") == Some(200));
    stage.of("pg1").run("INSERT INTO t VALUES (0)");
    stage.note("commits go on", json!(true));
    kill(replaying, libc::SIGCONT);
}

fn slots(stage: &mut Stage) {
    stage.cluster(2, |file| {
        set(file, "bootstrap.dcs.postgresql.parameters.wal_level", json!("logical"));
        set(file, "bootstrap.dcs.ignore_slots", json!([{ "name": "foreign", "type": "physical" }]));
        let logical = json!({ "type": "logical", "database": "postgres", "plugin": "pgoutput" });
        set(file, "bootstrap.dcs.slots", json!({ "plain": 0, "physical": { "type": "physical" }, "logical": logical }));
    });
    stage.until_streaming(&["pg2"]);
    stage.of("pg1").run("SELECT pg_create_physical_replication_slot('foreign')");
    stage.of("pg1").run("SELECT pg_create_physical_replication_slot('unknown')");
    let count = "SELECT count(*) FROM pg_replication_slots WHERE slot_name IN ('plain', 'physical', 'logical')";
    stage.until("both have all", |stage| stage.members().all(|member| member.sql(count) == Ok("3".into())));
    stage.record("settled");
    stage.request("switchover", "pg1", "POST /switchover", &json!({ "leader": "pg1" }));
    stage.until_primary("pg2");
    stage.until_streaming(&["pg1"]);
    stage.until("both have all", |stage| stage.members().all(|member| member.sql(count) == Ok("3".into())));
    stage.record("after a switchover");
}

fn member_slot(stage: &mut Stage) {
    stage.cluster(3, |_| {});
    stage.until_streaming(&["pg2", "pg3"]);
    stage.end("pg3", libc::SIGTERM);
    stage.until_gone("pg3");
    stage.record("without pg3");
    stage.start("pg3");
    stage.until_streaming(&["pg3"]);
    stage.record("with pg3");
}
