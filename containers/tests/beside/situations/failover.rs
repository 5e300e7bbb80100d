//! Leadership that moves: by request, by a crash, by priorities; and etcd that is gone.

use serde_json::{Value, json};

use super::{Situation, set};
use crate::stage::Stage;

pub(super) const SITUATIONS: [Situation; 7] = [
    Situation::new("a_switchover_to_a_candidate", switchover).short(),
    Situation::new("the_leader_loses_power_and_comes_back", power).short(),
    Situation::new("the_postmaster_is_killed", postmaster),
    Situation::new("priorities_decide_who_leads", priorities),
    Situation::new("failsafe_mode_with_slots_outlives_etcd", failsafe).short(),
    Situation::new("without_failsafe_mode_etcd_is_gone", without_etcd),
    Situation::new("a_scheduled_switchover_and_restart_are_listed_and_cancelled", scheduled),
];

fn switchover(stage: &mut Stage) {
    stage.cluster(3, |_| {});
    stage.until_streaming(&["pg2", "pg3"]);
    stage.request("asked", "pg1", "POST /switchover", &json!({ "leader": "pg1", "candidate": "pg3" }));
    stage.until_primary("pg3");
    stage.until_streaming(&["pg1", "pg2"]);
    stage.request("reload of the old leader", "pg1", "POST /reload", &Value::Null);
    stage.request("reload of the new leader", "pg3", "POST /reload", &Value::Null);
    stage.record("settled");
    for (label, body) in [
        ("to itself", json!({ "leader": "pg3", "candidate": "pg3" })),
        ("to nobody known", json!({ "leader": "pg3", "candidate": "pg9" })),
        ("from another", json!({ "leader": "pg1" })),
        ("without a leader", json!({ "candidate": "pg1" })),
        ("at a wrong time", json!({ "leader": "pg3", "scheduled_at": "soon" })),
        ("in the past", json!({ "leader": "pg3", "scheduled_at": "2020-01-01T00:00:00+00:00" })),
    ] {
        stage.request(label, "pg3", "POST /switchover", &body);
    }
    stage.request("a failover without a candidate", "pg3", "POST /failover", &json!({}));
}

fn power(stage: &mut Stage) {
    stage.cluster(2, |_| {});
    stage.until_streaming(&["pg2"]);
    stage.of("pg1").run("CREATE TABLE t (n int)");
    stage.crash("pg1");
    stage.until_primary("pg2");
    stage.record("another leads");
    stage.start("pg1");
    stage.until_streaming(&["pg1"]);
    stage.record("the old one is back");
}

fn postmaster(stage: &mut Stage) {
    stage.cluster(2, |_| {});
    stage.until_streaming(&["pg2"]);
    let before = stage.of("pg1").postmaster();
    stage.of("pg1").signal_postmaster(libc::SIGKILL);
    stage.until("another postmaster runs", |stage| stage.of("pg1").postmaster().is_some_and(|pid| Some(pid) != before));
    stage.until_primary("pg1");
    stage.until_streaming(&["pg2"]);
    stage.record("settled");
}

fn priorities(stage: &mut Stage) {
    for number in 1..=4 {
        stage.add(number, |file| {
            let tags = [
                json!({}),
                json!({ "failover_priority": 1 }),
                json!({ "failover_priority": "2" }),
                json!({ "nofailover": true }),
            ];
            set(file, "tags", tags[number - 1].clone());
        });
    }
    stage.start_all();
    stage.until_streaming(&["pg2", "pg3", "pg4"]);
    stage.record("before");
    stage.crash("pg1");
    stage.until("somebody leads", |stage| ["pg2", "pg3", "pg4"].iter().any(|name| stage.of(name).is_primary()));
    stage.record("after");
}

/// Without etcd the leader tells the others with its `POST /failsafe` how far each slot is: permanent ones, and those of members.
fn failsafe(stage: &mut Stage) {
    stage.cluster(3, |file| {
        set(file, "bootstrap.dcs.failsafe_mode", json!(true));
        set(file, "bootstrap.dcs.postgresql.parameters.wal_level", json!("logical"));
        let logical = json!({ "type": "logical", "database": "postgres", "plugin": "pgoutput" });
        set(file, "bootstrap.dcs.slots", json!({ "kept": { "type": "physical" }, "events": logical }));
    });
    stage.until_streaming(&["pg2", "pg3"]);
    let advance = "SELECT pg_replication_slot_advance(slot_name, pg_current_wal_lsn()) FROM pg_replication_slots \
                   WHERE slot_name IN ('kept', 'events')";
    // The slot was made before the replicas were: it must need no WAL that they do not have. It goes on where it has seen, in what
    // a checkpoint writes, that no transaction runs.
    let since = stage.of("pg1").run("SELECT pg_current_wal_lsn()");
    let from = |name: &str, stage: &Stage| {
        let begins = format!("SELECT restart_lsn >= '{since}' FROM pg_replication_slots WHERE slot_name = 'events'");
        stage.of(name).sql(&begins) == Ok("t".into())
    };
    stage.until("the logical slot begins later", |stage| {
        stage.of("pg1").run("CHECKPOINT");
        stage.of("pg1").run(advance);
        from("pg1", stage)
    });
    let all = "SELECT count(*) FROM pg_replication_slots WHERE slot_name IN ('kept', 'events')";
    stage.until("the replicas have the slots", |stage| {
        ["pg2", "pg3"].iter().all(|name| stage.of(name).sql(all) == Ok("2".into()))
    });
    // A copy may be older than the WAL that its replica has, and is then made anew.
    let at = stage.of("pg1").run("SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = 'events'");
    let reached = format!("SELECT confirmed_flush_lsn >= '{at}' FROM pg_replication_slots WHERE slot_name = 'events'");
    stage.until("the replicas' logical slots have advanced", |stage| {
        ["pg2", "pg3"].iter().all(|name| stage.of(name).sql(&reached) == Ok("t".into()) && from(name, stage))
    });
    stage.record("with etcd");
    stage.place.stop_etcd();
    // First the leader's word is heard, then what was last seen of the cluster is too old.
    stage.until("it is failsafe", |stage| {
        let is = |state: Value| state["failsafe_mode_is_active"] == true && state["cluster_unlocked"] == true;
        stage.members().all(|member| is(member.state()))
    });
    stage.record("without etcd");
    stage.of("pg1").run("CREATE TABLE t AS SELECT generate_series(1, 1000) n");
    stage.of("pg1").run(advance);
    // The members' own slots advance as they stream.
    let at = stage.of("pg1").run("SELECT max(restart_lsn) FROM pg_replication_slots WHERE slot_name = 'kept'");
    let reached = format!(
        "SELECT string_agg(slot_name, ' ' ORDER BY slot_name) FROM pg_replication_slots \
         WHERE coalesce(confirmed_flush_lsn, restart_lsn) >= '{at}'"
    );
    let advanced = |name: &str, slots: &str| stage.of(name).sql(&reached) == Ok(slots.into());
    stage.until("the replicas' slots have advanced", |_| {
        advanced("pg2", "events kept pg1 pg3") && advanced("pg3", "events kept pg1 pg2")
    });
    stage.record("slots have advanced without etcd");
    stage.place.start_etcd();
    stage.until("it is not failsafe any more", |stage| {
        stage.members().all(|member| member.state()["failsafe_mode_is_active"].is_null())
    });
    stage.record("with etcd again");
}

fn without_etcd(stage: &mut Stage) {
    stage.cluster(2, |_| {});
    stage.until_streaming(&["pg2"]);
    stage.place.stop_etcd();
    stage.until("nobody is primary, and what was last seen of the cluster is too old", |stage| {
        let is_so = |member: &crate::member::Member| {
            member.sql("SELECT pg_is_in_recovery()") == Ok("t".into()) && member.state()["cluster_unlocked"] == true
        };
        stage.members().all(is_so)
    });
    stage.record("without etcd");
    stage.place.start_etcd();
    stage.until("somebody leads", |stage| stage.members().any(|member| member.is_primary()));
    stage.until("somebody streams", |stage| stage.members().any(|member| member.is_streaming()));
    stage.note("somebody leads again", json!(true));
}

fn scheduled(stage: &mut Stage) {
    stage.cluster(2, |_| {});
    stage.until_streaming(&["pg2"]);
    let at = "2099-01-01T12:00:00+00:00";
    let order = json!({ "leader": "pg1", "candidate": "pg2", "scheduled_at": at });
    stage.request("switchover asked", "pg1", "POST /switchover", &order);
    stage.request("restart asked", "pg2", "POST /restart", &json!({ "schedule": at, "restart_pending": true }));
    stage.request("restart asked again", "pg2", "POST /restart", &json!({ "schedule": at }));
    stage.record("scheduled");
    stage.request("switchover cancelled", "pg1", "DELETE /switchover", &Value::Null);
    stage.request("switchover cancelled again", "pg1", "DELETE /switchover", &Value::Null);
    stage.request("restart cancelled", "pg2", "DELETE /restart", &Value::Null);
    stage.request("restart cancelled again", "pg2", "DELETE /restart", &Value::Null);
    stage.record("cancelled");
}
