//! Members that are not like the others: tags, cascades, archives, copies made anew.

use serde_json::json;

use super::{Situation, set};
use crate::stage::Stage;

pub(super) const SITUATIONS: [Situation; 4] = [
    Situation::new("tags_of_all_kinds", tags),
    Situation::new("a_replica_of_a_replica", cascade),
    Situation::new("a_nostream_member_lives_on_the_archive", nostream),
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
    let archive = stage.place.folder("archive").to_string_lossy().into_owned();
    for number in 1..=2 {
        let archive = &archive;
        stage.add(number, |file| {
            let parameters = "bootstrap.dcs.postgresql.parameters";
            set(file, &format!("{parameters}.archive_mode"), json!("on"));
            set(file, &format!("{parameters}.archive_command"), json!(format!("cp %p {archive}/%f")));
            set(file, "postgresql.recovery_conf", json!({ "restore_command": format!("cp {archive}/%f %p") }));
            if number == 2 {
                set(file, "tags", json!({ "nostream": true }));
            }
        });
    }
    stage.start_all();
    let archived = "SELECT archived_count > 0 FROM pg_stat_archiver";
    stage.of("pg1").run("CREATE TABLE t (n int)");
    stage.of("pg1").run("SELECT pg_switch_wal()");
    stage.until("WAL is archived", |stage| stage.of("pg1").sql(archived) == Ok("t".into()));
    let there = "SELECT count(*) FROM pg_class WHERE relname = 't'";
    stage.until("the archive was read", |stage| stage.of("pg2").sql(there) == Ok("1".into()));
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
