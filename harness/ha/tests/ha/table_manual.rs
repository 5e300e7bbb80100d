//! Switchover and failover on request.

use pgdrill_ha::Lsn;
use pgdrill_ha::config::SynchronousMode;
use pgdrill_ha::decision::{Action, StopMode, Then};
use pgdrill_ha::records::FailoverRecord;
use pgdrill_ha::view::{DbState, Process, TaskKind, TaskProgress, TaskView, Versioned};

use crate::fixture::{END, NOW, Scene, actions, answer, control, scene};

fn request(mut scene: Scene, leader: Option<&str>, candidate: Option<&str>, at: Option<&str>) -> Scene {
    let record = FailoverRecord {
        leader: leader.map(str::to_owned),
        candidate: candidate.map(str::to_owned),
        scheduled_at: at.map(|at| at.parse().unwrap()),
    };
    scene.cluster.failover = Some(Versioned::new(record, 99));
    scene
}

fn leading() -> Scene {
    scene("pg1").holding().peers(&[("pg2", Some(answer(END))), ("pg3", Some(answer(END)))])
}

fn early_candidates(scene: &mut Scene) -> Vec<String> {
    let decision = scene.decide();
    let [Action::Stop(stop)] = &decision.actions[..] else { panic!("{decision:?}") };
    assert_eq!((stop.mode, stop.checkpoint_first), (StopMode::Fast, true));
    stop.early_release.as_ref().unwrap().candidates.iter().cloned().collect()
}

#[test]
fn a_switchover_stops_gracefully_for_the_candidate_or_for_all_healthy_ones() {
    assert_eq!(early_candidates(&mut request(leading(), Some("pg1"), Some("pg3"), None)), ["pg3"]);
    assert_eq!(early_candidates(&mut request(leading(), Some("pg1"), None, None)), ["pg2", "pg3"]);
}

#[test]
fn what_cannot_be_done_is_cleared_with_the_reason() {
    let cases = [
        (request(leading(), Some("pg9"), None, None), "the leader is pg1, not pg9"),
        (request(leading(), None, Some("pg1"), None), "pg1 is the leader already"),
        (request(leading(), Some("pg1"), Some("pg9"), None), "no candidate is healthy"),
        (request(leading().peers(&[("pg2", None), ("pg3", None)]), Some("pg1"), None, None), "no candidate is healthy"),
    ];
    for (mut scene, why) in cases {
        let decision = scene.decide();
        assert_eq!(actions(&decision), ["clear_failover"], "{why}");
        assert_eq!(decision.reason.to_string(), format!("clearing the failover request: {why}"));
        assert_eq!(decision.actions[0], Action::ClearFailover { expected: 99 });
    }
}

#[test]
fn a_failover_ignores_the_lag_a_switchover_does_not() {
    let lagging = leading().peers(&[("pg2", Some(answer(Lsn(8)))), ("pg3", None)]);
    assert_eq!(actions(&request(lagging.clone(), Some("pg1"), Some("pg2"), None).decide()), ["clear_failover"]);
    assert_eq!(early_candidates(&mut request(lagging, None, Some("pg2"), None)), ["pg2"]);
}

#[test]
fn a_scheduled_switchover_waits_sleeps_the_rest_goes_or_is_dropped() {
    // The wall clock says 10:00:00; loop_wait is 10 s.
    let at = |time: &str| request(leading(), Some("pg1"), Some("pg2"), Some(time)).decide();
    assert_eq!(at("2026-03-01T10:00:11Z").reason.code(), "leader_with_lock");
    let soon = at("2026-03-01T10:00:09Z");
    assert_eq!(soon.then, Then::Sleep { at_most: Some(std::time::Duration::from_secs(9)) });
    assert_eq!(at("2026-03-01T10:00:00Z").reason.code(), "handing_over");
    assert_eq!(at("2026-03-01T09:59:45Z").reason.code(), "handing_over");
    assert_eq!(at("2026-03-01T09:59:44Z").reason.code(), "rejecting_failover");
}

#[test]
fn in_pause_a_switchover_needs_a_candidate_and_no_schedule() {
    let mut paused = leading();
    paused.config.paused = true;
    assert_eq!(actions(&request(paused.clone(), Some("pg1"), None, None).decide()), ["clear_failover"]);
    assert_eq!(early_candidates(&mut request(paused.clone(), Some("pg1"), Some("pg2"), None)), ["pg2"]);
    let mut later = request(paused, Some("pg1"), Some("pg2"), Some("2026-03-01T10:00:00Z"));
    assert_eq!(later.decide().reason.code(), "leader_with_lock");
}

#[test]
fn in_synchronous_mode_a_switchover_is_for_synchronous_standbys() {
    let mut scene = leading().sync("pg1", &["pg2"], 0);
    scene.config.synchronous_mode = SynchronousMode::On;
    assert_eq!(actions(&request(scene.clone(), Some("pg1"), Some("pg3"), None).decide()), ["clear_failover"]);
    assert_eq!(early_candidates(&mut request(scene.clone(), None, Some("pg3"), None)), ["pg3"]);
    assert_eq!(early_candidates(&mut request(scene, Some("pg1"), None, None)), ["pg2"]);
}

#[test]
fn a_lock_that_was_not_released_early_is_released_after_the_stop() {
    let mut scene = leading();
    scene.local.postgres.process = Process::Stopped;
    scene.local.postgres.control = Some(control(DbState::ShutDown));
    scene.local.task = Some(TaskView { id: 1, kind: TaskKind::Demote, started: NOW, progress: TaskProgress::Done });
    let decision = scene.decide();
    assert_eq!(decision.actions, [Action::ReleaseLock { optime: Some(END) }]);
}

#[test]
fn without_leader_the_named_node_wins_and_others_defer_while_it_is_healthy() {
    let racing = |name: &str| scene(name).without_leader();
    let mut named = request(racing("pg2"), Some("pg1"), Some("pg2"), None);
    assert_eq!(actions(&named.decide()), ["acquire_lock"]);
    let other = request(racing("pg2"), Some("pg1"), Some("pg3"), None);
    let mut healthy = other.clone().peers(&[("pg1", None), ("pg3", Some(answer(END)))]);
    assert_eq!(healthy.decide().reason.to_string(), "not promoting: pg3 was asked for");
    let mut dead = other.peers(&[("pg1", None), ("pg3", None)]);
    assert_eq!(actions(&dead.decide()), ["acquire_lock"]);
}

#[test]
fn the_former_leader_of_a_switchover_defers_unless_nobody_else_can() {
    let mut former = request(scene("pg1").without_leader(), Some("pg1"), None, None);
    former.local.postgres = crate::fixture::replica();
    let mut others = former.clone().peers(&[("pg2", Some(answer(END))), ("pg3", None)]);
    assert_eq!(others.decide().reason.code(), "unfit_former_leader");
    let mut alone = former.peers(&[("pg2", None), ("pg3", None)]);
    assert_eq!(actions(&alone.decide()), ["acquire_lock"]);
}

#[test]
fn the_request_is_cleared_with_the_promotion_it_led_to() {
    let mut scene = request(scene("pg2").holding(), Some("pg1"), Some("pg2"), None);
    assert_eq!(actions(&scene.decide()), ["clear_failover", "promote"]);
}

#[test]
fn a_primary_that_is_still_starting_hands_over_too() {
    let mut scene = request(leading(), Some("pg1"), Some("pg2"), None);
    scene.local.postgres.process = Process::Starting { since: NOW };
    let decision = scene.decide();
    let [Action::Stop(stop)] = &decision.actions[..] else { panic!("{decision:?}") };
    assert!(!stop.checkpoint_first, "nobody would answer it");
    scene.local.postgres.process = Process::Stopped;
    scene.local.postgres.control = Some(control(DbState::InCrashRecovery));
    scene.local.task = Some(TaskView { id: 1, kind: TaskKind::Demote, started: NOW, progress: TaskProgress::Done });
    assert_eq!(
        scene.decide().actions,
        [Action::ReleaseLock { optime: None }],
        "its WAL does not end at that checkpoint"
    );
}

#[test]
fn with_check_timeline_nobody_of_an_older_timeline_is_handed_over_to() {
    let old = pgdrill_ha::view::PeerAnswer { timeline: Some(1), ..answer(END) };
    let mut scene =
        request(leading().peers(&[("pg2", Some(old)), ("pg3", Some(answer(END)))]), Some("pg1"), None, None);
    scene.config.check_timeline = true;
    assert_eq!(early_candidates(&mut scene), ["pg3"]);
}

/// pg2 is a voter, and pg3's vote is needed.
fn quorum_candidate(leader: Option<&str>) -> Scene {
    let mut scene = request(scene("pg2").without_leader(), leader, Some("pg2"), None).sync("pg1", &["pg2", "pg3"], 1);
    scene.config.synchronous_mode = SynchronousMode::Quorum;
    scene
}

#[test]
fn in_quorum_mode_the_candidate_of_a_switchover_needs_votes_or_the_former_leaders_word() {
    assert_eq!(actions(&quorum_candidate(Some("pg1")).decide()), ["ask_peers"]);
    let beyond = Lsn(END.0 + 8);
    for (pg1, pg3, expected) in [
        (None, Some(END), "acquiring_lock"),
        (Some(END), None, "acquiring_lock"),
        (None, None, "unfit_no_quorum"),
        (Some(beyond), None, "unfit_no_quorum"),
        (None, Some(beyond), "unfit_no_quorum"),
    ] {
        let peers = [("pg1", pg1.map(answer)), ("pg3", pg3.map(answer))];
        let decision = quorum_candidate(Some("pg1")).peers(&peers).decide();
        assert_eq!(decision.reason.code(), expected, "pg1 {pg1:?}, pg3 {pg3:?}");
    }
    // A failover is the operator's own risk (`is_failover_possible`, `check_quorum`).
    assert_eq!(actions(&quorum_candidate(None).decide()), ["acquire_lock"]);
}

#[test]
fn in_quorum_mode_a_switchover_is_for_voters() {
    let mut leader = leading().sync("pg1", &["pg2"], 0);
    leader.config.synchronous_mode = SynchronousMode::Quorum;
    assert_eq!(actions(&request(leader, Some("pg1"), Some("pg3"), None).decide()), ["clear_failover"]);
    let candidate = quorum_candidate(Some("pg1")).sync("pg1", &["pg3"], 0).decide();
    assert_eq!(candidate.reason.code(), "unfit_not_synchronous");
}

#[test]
fn in_quorum_mode_nobody_waits_for_a_candidate_that_has_less() {
    let waiting = |theirs: Lsn| {
        let mut scene = request(scene("pg3").without_leader(), Some("pg1"), Some("pg2"), None);
        scene = scene.sync("pg1", &["pg2", "pg3"], 1).peers(&[("pg1", None), ("pg2", Some(answer(theirs)))]);
        scene.config.synchronous_mode = SynchronousMode::Quorum;
        actions(&scene.decide())
    };
    assert_eq!(waiting(END), [""; 0]);
    assert_eq!(waiting(Lsn(END.0 - 8)), ["acquire_lock"]);
}

#[test]
fn in_failsafe_mode_a_candidate_asks_whether_somebody_leads_without_dcs() {
    let mut scene = request(scene("pg2").without_leader(), Some("pg1"), Some("pg2"), None);
    scene.config.failsafe_mode = true;
    assert_eq!(actions(&scene.clone().decide()), ["ask_peers"]);
    let leads = pgdrill_ha::view::PeerAnswer { in_recovery: false, ..answer(END) };
    let mut led = scene.clone().peers(&[("pg1", Some(leads)), ("pg3", Some(answer(END)))]);
    assert_eq!(led.decide().reason.code(), "unfit_primary_alive");
    let mut alone = scene.clone().peers(&[("pg1", None), ("pg3", None)]);
    assert_eq!(actions(&alone.decide()), ["acquire_lock"]);
    scene.cluster.failsafe = Some([("pg1".to_owned(), "http://10.0.0.1:8008/patroni".to_owned())].into());
    assert_eq!(scene.decide().reason.code(), "unfit_not_in_failsafe");
}
