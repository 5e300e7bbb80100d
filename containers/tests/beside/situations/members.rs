//! Members that are not like the others: tags, cascades, archives, copies made anew.

use serde_json::{Value, json};

use super::{Situation, set};
use crate::stage::Stage;

pub(super) const SITUATIONS: [Situation; 5] = [
    Situation::new("tags_of_all_kinds", tags).short(),
    Situation::new("a_replica_of_a_replica", cascade),
    Situation::new("a_nostream_member_lives_on_the_archive", nostream),
    Situation::new("no_logical_slot_where_no_feedback_comes_from", slots_without_feedback).short(),
    Situation::new("a_replica_is_made_anew", reinitialized),
];

fn tags(stage: &mut Stage) {
    for number in 1..=3 {
        stage.add(number, |file| {
            let tags = [
                json!({ "clonefrom": true }),
                json!({ "nofailover": true, "noloadbalance": true, "nosync": true, "datacenter": "x", "count": 3 }),
                json!({ "failover_priority": 0, "sync_priority": 2, "clonefrom": "on" }),
            ];
            set(file, "tags", tags[number - 1].clone());
        });
    }
    stage.start_all();
    stage.until_streaming(&["pg2", "pg3"]);
    stage.record("settled");
}

fn cascade(stage: &mut Stage) {
    for number in 1..=3 {
        stage.add(number, |file| {
            if number == 3 {
                set(file, "tags", json!({ "replicatefrom": "pg2" }));
            }
        });
    }
    stage.start_all();
    stage.until_streaming(&["pg2", "pg3"]);
    stage.record("settled");
}

fn nostream(stage: &mut Stage) {
    let archive = archive(stage);
    for number in 1..=2 {
        stage.add(number, |file| {
            archived(file, &archive);
            if number == 2 {
                set(file, "tags", json!({ "nostream": true }));
            }
        });
    }
    stage.start_all();
    written_and_read(stage, "pg2");
    stage.record("settled");
}

/// A folder for WAL.
fn archive(stage: &Stage) -> String {
    stage.place.folder("archive").to_string_lossy().into_owned()
}

/// A member that archives its WAL, and reads what others have archived.
fn archived(file: &mut Value, archive: &str) {
    let parameters = "bootstrap.dcs.postgresql.parameters";
    set(file, &format!("{parameters}.archive_mode"), json!("on"));
    set(file, &format!("{parameters}.archive_command"), json!(format!("cp %p {archive}/%f")));
    set(file, "postgresql.recovery_conf", json!({ "restore_command": format!("cp {archive}/%f %p") }));
}

/// Waits until something that pg1 has written was archived, and read by a replica.
fn written_and_read(stage: &Stage, replica: &str) {
    let archived = "SELECT archived_count > 0 FROM pg_stat_archiver";
    stage.of("pg1").run("CREATE TABLE t (n int)");
    stage.of("pg1").run("SELECT pg_switch_wal()");
    stage.until("WAL is archived", |stage| stage.of("pg1").sql(archived) == Ok("t".into()));
    let there = "SELECT count(*) FROM pg_class WHERE relname = 't'";
    stage.until("the archive was read", |stage| stage.of(replica).sql(there) == Ok("1".into()));
}

/// pg2 does not stream, pg3 streams from pg2, pg4 from the leader: of these only pg4 tells the leader what it still needs, and so
/// only there a copy of a logical slot would be of use. Physical ones are everywhere.
fn slots_without_feedback(stage: &mut Stage) {
    let archive = archive(stage);
    for number in 1..=4 {
        stage.add(number, |file| {
            archived(file, &archive);
            if number == 3 {
                // What pg2 has read in the archive it streams.
                set(file, "postgresql.recovery_conf", json!({}));
            }
            set(file, "bootstrap.dcs.postgresql.parameters.wal_level", json!("logical"));
            let logical = json!({ "type": "logical", "database": "postgres", "plugin": "pgoutput" });
            set(file, "bootstrap.dcs.slots", json!({ "kept": { "type": "physical" }, "events": logical }));
            match number {
                2 => set(file, "tags", json!({ "nostream": true })),
                3 => set(file, "tags", json!({ "replicatefrom": "pg2" })),
                _ => {}
            }
        });
    }
    stage.start_all();
    written_and_read(stage, "pg2");
    stage.until_streaming(&["pg3", "pg4"]);
    let there = "SELECT count(*) FROM pg_class WHERE relname = 't'";
    stage.until("all have replayed it", |stage| {
        ["pg3", "pg4"].iter().all(|name| stage.of(name).sql(there) == Ok("1".into()))
    });
    let has = |stage: &Stage, name: &str, slot: &str| {
        let there = format!("SELECT count(*) FROM pg_replication_slots WHERE slot_name = '{slot}'");
        stage.of(name).sql(&there) == Ok("1".into())
    };
    stage.until("pg4 has the logical slot", |stage| has(stage, "pg4", "events"));
    stage.until("all have the physical slot", |stage| {
        ["pg1", "pg2", "pg3", "pg4"].iter().all(|name| has(stage, name, "kept"))
    });
    stage.record("settled");
}

fn reinitialized(stage: &mut Stage) {
    stage.cluster(2, |_| {});
    stage.until_streaming(&["pg2"]);
    let before = stage.of("pg2").postmaster();
    stage.request("of the leader", "pg1", "POST /reinitialize", &json!({}));
    stage.request("of the replica", "pg2", "POST /reinitialize", &json!({ "force": true }));
    stage.until("another postmaster runs", |stage| stage.of("pg2").postmaster().is_some_and(|pid| Some(pid) != before));
    stage.until_streaming(&["pg2"]);
    stage.record("settled");
}
