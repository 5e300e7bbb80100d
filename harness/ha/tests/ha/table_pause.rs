//! Maintenance mode.

use pgdrill_ha::records::FailoverRecord;
use pgdrill_ha::view::{LockOutcome, Process, Versioned};

use crate::fixture::{Scene, actions, primary, scene};

fn paused(name: &str) -> Scene {
    let mut scene = scene(name);
    scene.config.paused = true;
    scene
}

fn nothing() -> Vec<&'static str> {
    Vec::new()
}

#[test]
fn a_stopped_postgres_is_not_started_and_a_lock_without_primary_is_released() {
    let mut replica = paused("pg2");
    replica.local.postgres.process = Process::Stopped;
    assert_eq!(actions(&replica.decide()), nothing());
    let mut holder = paused("pg1").holding();
    holder.local.postgres.process = Process::Crashed;
    assert_eq!(actions(&holder.decide()), ["release_lock"]);
}

#[test]
fn a_holder_that_is_no_primary_releases_the_lock() {
    assert_eq!(actions(&paused("pg2").holding().decide()), ["release_lock"]);
}

#[test]
fn a_primary_that_cannot_renew_or_has_no_lock_goes_on() {
    let mut lost = paused("pg1").holding();
    lost.local.round.lock = Some(LockOutcome::Lost);
    assert_eq!(actions(&lost.decide()), nothing());
    let mut parallel = paused("pg2");
    parallel.local.postgres = primary();
    assert_eq!(actions(&parallel.decide()), nothing());
    assert_eq!(actions(&paused("pg1").decide_without_dcs()), nothing());
}

#[test]
fn only_a_running_primary_of_this_cluster_takes_a_free_lock() {
    assert_eq!(actions(&paused("pg1").without_leader().decide()), ["acquire_lock"]);
    assert_eq!(paused("pg2").without_leader().decide().reason.code(), "unfit_paused");
}

#[test]
fn a_replica_takes_a_free_lock_only_as_the_named_candidate() {
    let mut scene = paused("pg2").without_leader();
    let record = FailoverRecord { candidate: Some("pg2".into()), ..FailoverRecord::default() };
    scene.cluster.failover = Some(Versioned::new(record, 99));
    assert_eq!(actions(&scene.decide()), ["acquire_lock"]);
    assert_eq!(actions(&scene.holding().decide()), ["clear_failover", "promote"]);
}

#[test]
fn the_watchdog_is_off_while_paused() {
    let mut scene = paused("pg1").holding();
    scene.local.watchdog.is_active = true;
    assert_eq!(actions(&scene.decide()), ["watchdog_disable"]);
}

#[test]
fn an_empty_directory_is_left_empty() {
    let mut scene = paused("pg2");
    scene.local.postgres = Default::default();
    assert_eq!(actions(&scene.decide()), nothing());
}
