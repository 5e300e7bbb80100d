//! Somebody holds the lock.

use pgdrill_ha::config::WatchdogMode;
use pgdrill_ha::decision::{Action, StopMode, Then, Upstream};
use pgdrill_ha::view::{LockOutcome, Process, Round, TaskKind, TaskProgress, TaskView};
use pgdrill_ha::{Monotonic, RewindState};

use crate::fixture::{NOW, Scene, actions, scene};

fn stop_mode(scene: &mut Scene) -> Option<StopMode> {
    scene.decide().actions.iter().find_map(|action| match action {
        Action::Stop(stop) => Some(stop.mode),
        _ => None,
    })
}

#[test]
fn lock_mine_postgres_running_primary_renews_and_stays() {
    let mut scene = scene("pg1");
    let first = scene.decide();
    assert_eq!((actions(&first), first.then), (vec!["renew_lock"], Then::DecideAgain));
    let Action::RenewLock { status: Some(status) } = &first.actions[0] else { panic!("no status: {first:?}") };
    assert_eq!(status.optime, Some(crate::fixture::END));
    scene.local.round.lock = Some(scene.held());
    let second = scene.decide();
    assert_eq!((second.reason.code(), actions(&second)), ("leader_with_lock", vec![]));
    assert_eq!(scene.memory.lock_deadline, Some(NOW + scene.config.ttl));
}

#[test]
fn the_deadline_is_counted_from_before_the_request() {
    let mut scene = scene("pg1").holding();
    let requested_at = Monotonic::from_secs(993);
    let ttl = scene.config.ttl;
    scene.local.round.lock = Some(LockOutcome::Held { requested_at, ttl, status_revision: None });
    scene.decide();
    assert_eq!(scene.memory.lock_deadline, Some(Monotonic::from_secs(1023)));
    assert!(scene.memory.may_lead(Monotonic::from_secs(1022)));
    assert!(!scene.memory.may_lead(Monotonic::from_secs(1023)));
}

#[test]
fn lock_mine_a_primary_without_a_sign_of_life_is_asked_again_soon_and_its_lock_not_renewed() {
    let mut scene = scene("pg1");
    scene.local.postgres.is_silent = true;
    let decision = scene.decide();
    assert_eq!((decision.reason.code(), actions(&decision)), ("no_sign_of_life", vec![]));
    assert!(matches!(decision.then, Then::Sleep { at_most: Some(pause) } if pause < scene.config.loop_wait));
    // In pause nobody takes over: what is not renewed would only be lost.
    scene.config.paused = true;
    assert_eq!(actions(&scene.decide()), ["renew_lock"]);
    // It answers again before the lease has ended.
    (scene.config.paused, scene.local.postgres.is_silent) = (false, false);
    assert_eq!(actions(&scene.decide()), ["renew_lock"]);
}

#[test]
fn lock_mine_postgres_running_replica_promotes() {
    let mut scene = scene("pg2").holding();
    let decision = scene.decide();
    assert_eq!(actions(&decision), ["promote"]);
    assert_eq!(decision.actions[0], Action::Promote { still_allowed_until: NOW + scene.config.ttl });
}

#[test]
fn lock_mine_renewal_refused_primary_demotes_immediate_nolock() {
    let mut scene = scene("pg1").holding();
    scene.local.round.lock = Some(LockOutcome::Lost);
    let decision = scene.decide();
    assert_eq!(actions(&decision), ["stop", "watchdog_disable"]);
    assert_eq!(stop_mode(&mut scene), Some(StopMode::Immediate));
    assert_eq!(scene.memory.rewind.state, RewindState::Check);
}

#[test]
fn lock_mine_renewal_refused_replica_does_nothing() {
    let mut scene = scene("pg2").holding();
    scene.local.round.lock = Some(LockOutcome::Lost);
    assert_eq!(actions(&scene.decide()), Vec::<&str>::new());
}

#[test]
fn lock_mine_a_watchdog_armed_under_other_timings_is_armed_anew_and_one_that_refuses_is_none() {
    for (mode, expected) in
        [(WatchdogMode::Required, vec!["stop", "watchdog_disable", "release_lock"]), (WatchdogMode::Automatic, vec![])]
    {
        let mut scene = scene("pg1").holding();
        scene.config.watchdog = mode;
        (scene.local.watchdog.is_active, scene.local.watchdog.is_outdated) = (true, true);
        assert_eq!(actions(&scene.decide()), ["watchdog_activate"]);
        scene.local.round.watchdog = Some(false);
        assert_eq!(actions(&scene.decide()), expected);
        (scene.local.round.watchdog, scene.local.watchdog.is_outdated) = (None, false);
        assert!(!actions(&scene.decide()).contains(&"watchdog_activate"));
    }
}

#[test]
fn lock_mine_watchdog_required_and_failing_demotes_a_primary_and_releases_a_replicas_lock() {
    for (name, expected) in [("pg1", vec!["stop", "watchdog_disable", "release_lock"]), ("pg2", vec!["release_lock"])] {
        let mut scene = scene(name).holding();
        scene.config.watchdog = WatchdogMode::Required;
        assert_eq!(actions(&scene.decide()), ["watchdog_activate"]);
        scene.local.round.watchdog = Some(false);
        assert_eq!(actions(&scene.decide()), expected, "{name}");
    }
}

#[test]
fn lock_mine_starting_waits_until_primary_start_timeout_and_then_hands_over_if_somebody_can() {
    let mut scene = scene("pg1").holding();
    scene.local.postgres.process = Process::Starting { since: NOW };
    assert_eq!(scene.decide().reason.code(), "starting");
    scene.next_cycle(300);
    scene.local.round.lock = Some(scene.held());
    assert_eq!(actions(&scene.decide()), ["ask_peers"]);
    let mut nobody = scene.clone().peers(&[("pg2", None), ("pg3", None)]);
    assert_eq!(nobody.decide().reason.code(), "starting");
    let mut somebody = scene.peers(&[("pg2", Some(crate::fixture::answer(crate::fixture::END))), ("pg3", None)]);
    assert_eq!(actions(&somebody.decide()), ["stop", "watchdog_disable", "release_lock"]);
}

#[test]
fn lock_other_postgres_running_primary_demotes_immediate_nolock() {
    let mut scene = scene("pg2");
    scene.local.postgres = crate::fixture::primary();
    assert_eq!(stop_mode(&mut scene), Some(StopMode::Immediate));
    assert_eq!(actions(&scene.decide()), ["stop", "watchdog_disable"]);
}

#[test]
fn lock_other_running_replica_that_follows_is_left_alone() {
    let decision = scene("pg2").decide();
    assert_eq!((decision.reason.code(), actions(&decision)), ("following", vec![]));
}

#[test]
fn lock_other_running_replica_of_somebody_else_is_redirected_by_reload() {
    let mut scene = scene("pg2");
    scene.local.postgres.follows.as_mut().unwrap().host = "10.0.0.3".into();
    let decision = scene.clone().decide();
    let Action::Follow { upstream: Upstream::Member { name, .. }, restart: false } = &decision.actions[0] else {
        panic!("{decision:?}");
    };
    assert_eq!(name, "pg1");
    scene.local.postgres.server_version = 120_000;
    assert!(matches!(scene.decide().actions[..], [.., Action::Follow { restart: true, .. }]));
}

#[test]
fn lock_other_replica_with_replicatefrom_follows_that_member_while_it_runs() {
    let mut scene = scene("pg2").tag("replicatefrom", "pg3".into());
    let decision = scene.clone().decide();
    assert!(
        matches!(&decision.actions[0], Action::Follow { upstream: Upstream::Member { name, .. }, .. } if name == "pg3")
    );
    scene.cluster.members.remove("pg3");
    assert_eq!(scene.decide().reason.code(), "following");
}

#[test]
fn lock_other_paused_replay_is_resumed() {
    let mut scene = scene("pg2");
    scene.local.postgres.replay_paused = true;
    assert_eq!(actions(&scene.decide()), ["resume_replay"]);
}

#[test]
fn a_lock_is_renewed_during_a_task_and_a_promotion_is_cancelled_without_it() {
    let mut scene = scene("pg2").holding();
    let running = |past| TaskView {
        id: 1,
        kind: TaskKind::Promote,
        started: NOW,
        progress: TaskProgress::Running { past_point_of_no_return: past },
    };
    scene.local.task = Some(running(false));
    assert_eq!(scene.decide().reason.code(), "renewed_during_task");
    scene.local.round.lock = Some(LockOutcome::Lost);
    assert_eq!(actions(&scene.decide()), ["cancel_task"]);
    scene.local.task = Some(running(true));
    assert_eq!(actions(&scene.decide()), ["cancel_task", "stop", "watchdog_disable"]);
}

#[test]
fn after_a_promotion_a_checkpoint_is_run_once() {
    let mut scene = scene("pg1").holding();
    let task = |kind, progress, id| Some(TaskView { id, kind, started: NOW, progress });
    scene.local.task = task(TaskKind::Promote, TaskProgress::Done, 1);
    assert_eq!(actions(&scene.decide()), ["checkpoint"]);
    let running = TaskProgress::Running { past_point_of_no_return: false };
    scene.local.task = task(TaskKind::Checkpoint, running, 2);
    assert_eq!(actions(&scene.decide()), Vec::<&str>::new());
    assert!(scene.memory.checkpoint_pending);
    scene.local.task = task(TaskKind::Checkpoint, TaskProgress::Done, 2);
    assert_eq!(actions(&scene.decide()), Vec::<&str>::new());
    assert!(!scene.memory.checkpoint_pending);
}

#[test]
fn history_is_written_when_it_does_not_end_with_our_timelines_predecessor() {
    let mut scene = scene("pg1").holding();
    scene.local.postgres.timeline = Some(3);
    scene.local.postgres.history =
        pgdrill_ha::records::HistoryRecord::parse(r#"[[1,100,"r"],[2,200,"no recovery target specified"]]"#).lines;
    let decision = scene.decide();
    let Action::WriteHistory(history) = &decision.actions[0] else { panic!("{decision:?}") };
    insta::assert_snapshot!(history.to_json(), @r#"[[1,100,"r","2026-01-01T00:00:00+00:00","pg1"],[2,200,"no recovery target specified","2026-03-01T10:00:00.000000+00:00","pg1"]]"#);
    scene.cluster.history = Some(history.clone());
    assert_eq!(actions(&scene.decide()), Vec::<&str>::new());
}

/// Two replicas that do not see each other may be promoted to the same timeline number at different places.
#[test]
fn a_history_that_tells_of_another_promotion_to_our_timeline_is_written_anew() {
    let mut scene = scene("pg1").holding();
    let history = |lsn: u64| {
        let line = format!(r#"[[1,{lsn},"no recovery target specified","2026-01-01T00:00:00+00:00","pg2"]]"#);
        pgdrill_ha::records::HistoryRecord::parse(&line)
    };
    scene.local.postgres.timeline = Some(2);
    scene.local.postgres.history = history(300).lines;
    scene.cluster.history = Some(history(412));
    let decision = scene.decide();
    let [Action::WriteHistory(written)] = &decision.actions[..] else { panic!("{decision:?}") };
    assert_eq!(written.lines[0].switchpoint, pgdrill_ha::Lsn(300));
    scene.cluster.history = Some(history(300));
    assert_eq!(actions(&scene.decide()), Vec::<&str>::new(), "that one is ours");
    (scene.cluster.history, scene.local.postgres.history) = (Some(history(412)), vec![]);
    assert_eq!(actions(&scene.decide()), Vec::<&str>::new(), "our own history is not known");
}

#[test]
fn the_holder_restores_lost_keys_and_the_failsafe_list() {
    let mut scene = scene("pg1").holding();
    (scene.cluster.initialize, scene.cluster.config) = (None, None);
    scene.config.failsafe_mode = true;
    assert_eq!(actions(&scene.decide()), ["write_initialize", "write_config", "write_failsafe"]);
}

#[test]
fn whoever_was_refused_the_renewal_restores_nothing() {
    let mut scene = scene("pg2").holding();
    (scene.cluster.initialize, scene.cluster.config) = (None, None);
    scene.local.round.lock = Some(LockOutcome::Lost);
    assert_eq!(actions(&scene.decide()), Vec::<&str>::new());
}

#[test]
fn an_action_that_failed_ends_the_cycle() {
    let mut scene = scene("pg1");
    let failed = pgdrill_ha::view::FailedAction { action: "stop".into(), reason: "io".into(), unknown: false };
    scene.local.round = Round { failed: Some(failed), ..Round::default() };
    assert_eq!(scene.decide().reason.to_string(), "stop failed: io");
}
