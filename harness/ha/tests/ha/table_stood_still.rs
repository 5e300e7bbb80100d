//! An agent that stood still in the middle of a cycle, and what the walks have found besides.

use std::time::Duration;

use pgdrill_ha::config::{FencingMode, SynchronousMode};
use pgdrill_ha::decision::{Action, StartAs};
use pgdrill_ha::records::FailoverRecord;
use pgdrill_ha::view::{
    DbState, FailsafeAnswer, LockOutcome, PostgresRole, Process, TaskKind, TaskProgress, TaskView, Versioned,
};

use crate::fixture::{END, NOW, Scene, actions, answer, control, primary, scene};

/// Long enough for the lease to be over.
const LONG: Duration = Duration::from_secs(31);

fn with_failsafe(mut scene: Scene, names: &[&str]) -> Scene {
    scene.config.failsafe_mode = true;
    let url = |name: &&str| ((*name).to_owned(), format!("http://{name}:8008/patroni"));
    scene.cluster.failsafe = Some(names.iter().map(url).collect());
    scene
}

#[test]
fn a_renewal_that_was_answered_too_long_ago_is_asked_for_again() {
    let mut primary = scene("pg1").holding();
    primary.now = primary.now + LONG;
    assert_eq!(actions(&primary.decide()), ["renew_lock"]);
    let mut replica = scene("pg2").holding();
    replica.now = replica.now + LONG;
    assert_eq!(actions(&replica.decide()), ["renew_lock"]);
}

#[test]
fn the_members_word_that_was_given_too_long_ago_is_none() {
    let yes = || FailsafeAnswer::Accepted { lsn: None };
    let mut scene = with_failsafe(scene("pg1"), &["pg1", "pg2", "pg3"]);
    scene.memory.failsafe.record = scene.cluster.failsafe.clone().unwrap();
    scene.local.round.failsafe = Some([("pg2".to_owned(), yes()), ("pg3".to_owned(), yes())].into());
    scene.local.round.failsafe_asked_at = NOW;
    assert_eq!(scene.clone().decide_without_dcs().reason.code(), "failsafe_active");
    scene.now = scene.now + LONG;
    assert_eq!(scene.decide_without_dcs().reason.code(), "demoting");
}

/// From the moment of the write on the others may race, although this node has not read it back.
#[test]
fn whoever_is_about_to_be_named_in_failsafe_must_agree_at_once() {
    let mut scene = with_failsafe(scene("pg1").holding(), &["pg1"]);
    assert_eq!(actions(&scene.decide()), ["write_failsafe"]);
    scene.next_cycle(10);
    let Action::AskFailsafe(peers) = &scene.decide_without_dcs().actions[0] else { panic!("nobody is asked") };
    assert_eq!(peers.iter().map(|peer| peer.name.as_str()).collect::<Vec<_>>(), ["pg2", "pg3"]);
}

#[test]
fn failsafe_is_not_written_on_a_renewal_that_may_have_failed() {
    let mut scene = with_failsafe(scene("pg1").holding(), &["pg1"]);
    scene.memory.lock_deadline = Some(NOW + scene.config.ttl);
    scene.memory.failsafe.record = scene.cluster.failsafe.clone().unwrap();
    scene.local.round.lock = Some(LockOutcome::Unknown { reason: "timed out".into() });
    let decision = scene.decide();
    assert!(!actions(&decision).contains(&"write_failsafe"), "{decision:?}");
}

/// It decided to race on a view of before, and a leader who was in office since goes on without asking it.
#[test]
fn a_lock_that_was_won_while_failsafe_names_others_only_is_given_back() {
    let mut scene = with_failsafe(scene("pg2").holding(), &["pg1", "pg3"]);
    assert_eq!(actions(&scene.clone().decide()), ["release_lock"]);
    scene.local.postgres.process = Process::Stopped;
    assert_eq!(actions(&scene.decide()), ["release_lock"], "before it is started, too");
    let mut named = with_failsafe(self::scene("pg2").holding(), &["pg1", "pg2", "pg3"]);
    assert!(actions(&named.decide()).contains(&"promote"));
}

#[test]
fn a_lock_that_was_won_on_what_sync_said_before_is_given_back() {
    let race = || {
        let mut scene = scene("pg2").without_leader().sync("pg1", &["pg2"], 0).peers(&[("pg1", None), ("pg3", None)]);
        scene.config.synchronous_mode = SynchronousMode::On;
        assert_eq!(actions(&scene.decide()), ["acquire_lock"]);
        scene.holding()
    };
    assert_eq!(actions(&race().decide()), ["write_sync"]);
    let mut late = race().sync("pg3", &["pg1"], 0);
    late.cluster.sync.mod_revision += 1;
    assert_eq!(actions(&late.decide()), ["release_lock"]);
}

#[test]
fn a_switchover_to_anybody_does_not_go_to_a_node_that_has_never_heard_of_the_clusters_timeline() {
    let mut scene = scene("pg2").without_leader().peers(&[("pg3", Some(answer(END)))]);
    let record = FailoverRecord { leader: Some("pg1".into()), ..FailoverRecord::default() };
    scene.cluster.failover = Some(Versioned::new(record, 99));
    assert_eq!(actions(&scene.clone().decide()), ["acquire_lock"]);
    (scene.local.postgres.timeline, scene.local.postgres.newest_timeline) = (Some(1), Some(1));
    assert_eq!(scene.decide().reason.code(), "unfit_old_timeline");
}

/// The task's end is seen in the next cycle only: until then there is nothing left to be stopped.
#[test]
fn a_promoted_server_that_is_stopped_already_is_not_stopped_again() {
    let mut scene = scene("pg2");
    let progress = TaskProgress::Running { past_point_of_no_return: true };
    scene.local.task = Some(TaskView { id: 1, kind: TaskKind::Promote, started: NOW, progress });
    assert_eq!(actions(&scene.clone().decide()), ["cancel_task", "stop", "watchdog_disable"]);
    scene.local.postgres.process = Process::Stopped;
    assert_eq!(actions(&scene.decide()), Vec::<&str>::new());
}

/// A dead-man process that has stopped the server holds nothing any more, and the agent may freeze while it starts.
#[test]
fn a_primary_is_started_again_only_when_the_dead_man_process_holds_the_end_of_the_lock() {
    let mut scene = scene("pg1").holding();
    scene.config.fencing = FencingMode::Required;
    scene.memory.was_primary = true;
    scene.local.postgres = primary();
    (scene.local.postgres.process, scene.local.postgres.role) = (Process::Crashed, PostgresRole::Primary);
    scene.local.postgres.control = Some(control(DbState::InProduction));
    let still_allowed_until = NOW + scene.config.ttl;
    assert_eq!(scene.decide().actions, [Action::FenceArm { until: still_allowed_until }]);
    (scene.local.round.fence, scene.local.fence.is_armed) = (Some(true), true);
    assert_eq!(scene.decide().actions, [Action::Start(StartAs::Primary { still_allowed_until })]);
}
