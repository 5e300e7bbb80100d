//! Clusters that follow another cluster.

use serde_json::json;

use super::{Situation, set};
use crate::stage::Stage;

pub(super) const SITUATIONS: [Situation; 3] = [
    Situation::new("a_standby_cluster_is_made_and_switched_over", made),
    Situation::new("a_stopped_replica_becomes_a_standby_cluster", from_a_replica),
    Situation::new("a_standby_cluster_in_synchronous_mode_is_promoted", promoted).short(),
];

/// The cluster that is followed: pg1 of the scope `remote`.
fn remote(stage: &mut Stage) {
    stage.add_to("remote", 1, |file| {
        set(file, "bootstrap.dcs.slots", json!({ "standby": { "type": "physical" } }));
    });
    stage.start("pg1");
    stage.until_primary("pg1");
}

/// A member of the cluster that follows.
fn follower(stage: &mut Stage, number: usize, change: impl Fn(&mut serde_json::Value)) {
    let host = stage.place.address(1);
    stage.add(number, |file| {
        let section = json!({ "host": host, "port": 5432, "primary_slot_name": "standby",
            "create_replica_methods": ["basebackup"] });
        set(file, "bootstrap.dcs.standby_cluster", section);
        change(file);
    });
    stage.start(&format!("pg{number}"));
}

fn until_standby_leader(stage: &Stage, name: &str) {
    stage.until(&format!("{name} is the standby leader"), |stage| {
        stage.of(name).status("/standby-leader") == Some(200) && stage.of(name).is_streaming()
    });
}

fn made(stage: &mut Stage) {
    remote(stage);
    follower(stage, 2, |_| {});
    until_standby_leader(stage, "pg2");
    follower(stage, 3, |_| {});
    stage.until_streaming(&["pg3"]);
    stage.record("made");
    stage.request("switchover", "pg2", "POST /switchover", &json!({ "leader": "pg2", "candidate": "pg3" }));
    until_standby_leader(stage, "pg3");
    stage.until_streaming(&["pg2"]);
    stage.record("switched over");
    stage.end("pg3", libc::SIGTERM);
    until_standby_leader(stage, "pg2");
    stage.record("its leader was stopped");
}

fn from_a_replica(stage: &mut Stage) {
    remote(stage);
    stage.add_to("remote", 2, |_| {});
    stage.start("pg2");
    stage.until_streaming(&["pg2"]);
    stage.end("pg2", libc::SIGTERM);
    let dir = stage.of("pg2").data_dir();
    std::fs::remove_file(dir.join("patroni.dynamic.json")).expect("it is there");
    follower(stage, 2, |_| {});
    until_standby_leader(stage, "pg2");
    stage.record("settled");
}

fn promoted(stage: &mut Stage) {
    remote(stage);
    let synchronous = |file: &mut serde_json::Value| set(file, "bootstrap.dcs.synchronous_mode", json!(true));
    follower(stage, 2, synchronous);
    until_standby_leader(stage, "pg2");
    follower(stage, 3, synchronous);
    stage.until_streaming(&["pg3"]);
    stage.record("following");
    stage.request("switchover", "pg2", "POST /switchover", &json!({ "leader": "pg2" }));
    until_standby_leader(stage, "pg3");
    stage.until_streaming(&["pg2"]);
    stage.record("switched over");
    stage.request("promotion", "pg3", "PATCH /config", &json!({ "standby_cluster": null }));
    stage.until_primary("pg3");
    stage.until("pg2 is synchronous", |stage| stage.of("pg2").status("/sync") == Some(200));
    stage.record("promoted");
}
