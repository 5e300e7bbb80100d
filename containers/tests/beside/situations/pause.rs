//! Maintenance mode.

use serde_json::json;

use super::Situation;
use crate::stage::Stage;

pub(super) const SITUATIONS: [Situation; 3] = [
    Situation::new("paused_and_the_replicas_postmaster_is_gone", replica),
    Situation::new("paused_and_the_leaders_postmaster_is_gone", leader),
    Situation::new("paused_and_the_agents_restart", agents).short(),
];

fn paused(stage: &mut Stage) {
    stage.cluster(2, |_| {});
    stage.until_streaming(&["pg2"]);
    stage.request("pause", "pg1", "PATCH /config", &json!({ "pause": true }));
    stage.until("all know it", |stage| stage.members().all(|member| member.state()["pause"] == true));
    // Whatever the agents do in a cycle is done.
    stage.record("paused");
}

fn resumed(stage: &mut Stage) {
    stage.request("resume", "pg1", "PATCH /config", &json!({ "pause": null }));
    stage.until("one leads", |stage| stage.members().any(|member| member.is_primary()));
    stage.until("one streams", |stage| stage.members().any(|member| member.is_streaming()));
    stage.record("resumed");
}

fn replica(stage: &mut Stage) {
    paused(stage);
    stage.of("pg2").signal_postmaster(libc::SIGQUIT);
    stage.until("it is gone", |stage| stage.of("pg2").postmaster().is_none());
    stage.record("gone");
    resumed(stage);
}

fn leader(stage: &mut Stage) {
    paused(stage);
    stage.of("pg1").signal_postmaster(libc::SIGINT);
    stage.until("it is gone", |stage| stage.of("pg1").postmaster().is_none());
    stage.record("gone");
    resumed(stage);
}

fn agents(stage: &mut Stage) {
    paused(stage);
    let before = [1, 2].map(|number| stage.of(&format!("pg{number}")).postmaster());
    stage.end("pg2", libc::SIGTERM);
    stage.end("pg1", libc::SIGTERM);
    stage.until_gone("pg1");
    stage.until_gone("pg2");
    stage.record("without agents");
    stage.start("pg1");
    stage.start("pg2");
    stage.until_primary("pg1");
    stage.until_streaming(&["pg2"]);
    let after = [1, 2].map(|number| stage.of(&format!("pg{number}")).postmaster());
    stage.note("the same servers run", json!(before == after));
    stage.record("with agents");
}
