//! When the dead-man process is armed, disarmed, and what its mode says of leading without it.

use pgdrill_ha::config::FencingMode;
use pgdrill_ha::decision::{Action, Reason, StopMode, Unfit};
use pgdrill_ha::view::{FenceView, LockOutcome, Process};

use super::fixture::{NOW, Scene, primary, scene};

fn fenced(name: &str, mode: FencingMode) -> Scene {
    let mut scene = scene(name);
    scene.config.fencing = mode;
    scene
}

fn names(actions: &[Action]) -> Vec<&'static str> {
    actions.iter().map(Action::name).collect()
}

#[test]
fn it_is_armed_with_the_end_of_the_lease_before_the_promotion_begins() {
    let mut scene = fenced("pg2", FencingMode::Automatic).holding();
    let asked = scene.decide();
    assert_eq!(asked.actions, [Action::FenceArm { until: NOW + scene.config.ttl }]);
    scene.local.fence.is_armed = true;
    scene.local.round.fence = Some(true);
    assert_eq!(names(&scene.decide().actions), ["promote"]);
}

#[test]
fn a_primary_that_is_found_running_is_guarded_too() {
    let mut scene = fenced("pg1", FencingMode::Automatic).holding();
    assert_eq!(names(&scene.decide().actions), ["fence_arm"]);
}

#[test]
fn one_that_comes_up_as_primary_is_guarded_before_it_accepts_writes() {
    let mut scene = fenced("pg1", FencingMode::Automatic).holding();
    scene.local.postgres.process = Process::Starting { since: NOW };
    assert_eq!(names(&scene.decide().actions), ["fence_arm"]);
    scene.local.postgres.has_standby_signal = true;
    scene.local.round.lock = Some(scene.held());
    assert!(scene.decide().actions.is_empty(), "a standby that starts takes no writes");
}

#[test]
fn an_armed_one_is_not_armed_again() {
    let mut scene = fenced("pg1", FencingMode::Required).holding();
    scene.local.fence.is_armed = true;
    assert!(!names(&scene.decide().actions).contains(&"fence_arm"));
}

#[test]
fn automatic_leads_without_it() {
    let mut scene = fenced("pg2", FencingMode::Automatic).holding();
    scene.local.round.fence = Some(false);
    assert_eq!(names(&scene.decide().actions), ["promote"]);
}

#[test]
fn required_does_not_promote_without_it_and_lets_the_lock_go() {
    let mut scene = fenced("pg2", FencingMode::Required).holding();
    scene.local.round.fence = Some(false);
    assert_eq!(names(&scene.decide().actions), ["release_lock"]);
}

#[test]
fn required_does_not_stay_primary_without_it() {
    let mut scene = fenced("pg1", FencingMode::Required).holding();
    scene.local.round.fence = Some(false);
    let decision = scene.decide();
    assert_eq!(names(&decision.actions), ["stop", "watchdog_disable", "release_lock"]);
    assert!(matches!(&decision.actions[0], Action::Stop(stop) if stop.mode == StopMode::Immediate));
}

#[test]
fn required_keeps_a_node_whose_dead_man_does_not_run_out_of_the_race() {
    let mut scene = fenced("pg2", FencingMode::Required).without_leader();
    scene.local.fence = FenceView { is_armed: false, is_usable: false };
    assert_eq!(scene.decide().reason, Reason::NotPromoting(Unfit::NoFence));
}

#[test]
fn off_never_asks_for_it() {
    for name in ["pg1", "pg2"] {
        let mut scene = fenced(name, FencingMode::Off).holding();
        assert!(!names(&scene.decide().actions).contains(&"fence_arm"), "{name}");
    }
}

#[test]
fn pause_takes_it_off_and_does_not_arm_it() {
    let mut scene = fenced("pg1", FencingMode::Required).holding();
    scene.config.paused = true;
    assert!(!names(&scene.decide().actions).contains(&"fence_arm"));
    scene.local.fence.is_armed = true;
    assert!(names(&scene.decide().actions).contains(&"watchdog_disable"));
}

#[test]
fn a_standby_leader_takes_no_writes_and_is_not_guarded() {
    let mut scene = fenced("pg2", FencingMode::Required).holding();
    scene.config.standby_cluster = Some(serde_json::json!({"host": "10.9.0.1", "port": 5432}));
    assert!(!names(&scene.decide().actions).contains(&"fence_arm"));
}

#[test]
fn whoever_lost_the_lock_stops_first_and_is_disarmed_after_that() {
    let mut scene = fenced("pg1", FencingMode::Automatic);
    scene.local.postgres = primary();
    scene.local.fence.is_armed = true;
    scene.local.round.lock = Some(LockOutcome::Lost);
    let actions = names(&scene.decide().actions);
    assert_eq!(actions[..2], ["stop", "watchdog_disable"]);
}
