//! A standby cluster: its leader follows a remote primary, and everything that a leader does but for writing is done.

use std::time::Duration;

use pgdrill_ha::config::{SynchronousMode, WatchdogMode};
use pgdrill_ha::decision::{Action, StartAs, Upstream};
use pgdrill_ha::records::{FailoverRecord, Initialize, StatusRecord};
use pgdrill_ha::view::{
    DbState, Follows, LeaderInspection, LockOutcome, PeerAnswer, Process, SlotView, TaskKind, TaskProgress, TaskView,
    Versioned,
};
use pgdrill_ha::{Lsn, RewindState};
use serde_json::json;

use crate::fixture::{END, NOW, Scene, actions, answer, control, primary, replica, scene};

/// pg1 leads a standby cluster; this node is `name`, and streams from whom it should.
fn standby(name: &str) -> Scene {
    let mut scene = scene(name);
    scene.config.use_slots = true;
    scene.config.member_slots_ttl = Duration::ZERO;
    scene.config.standby_cluster = Some(json!({"host": "10.9.0.1", "port": 5433, "primary_slot_name": "dc2"}));
    scene.local.postgres = replica();
    scene.local.postgres.follows = Some(match name {
        "pg1" => remote(),
        _ => Follows { host: "10.0.0.1".into(), port: 5432, slot: Some(name.into()) },
    });
    for other in ["pg1", "pg2", "pg3"].iter().filter(|other| **other != name) {
        scene
            .local
            .postgres
            .slots
            .insert((*other).into(), SlotView { physical: true, active: true, ..SlotView::default() });
    }
    scene
}

fn remote() -> Follows {
    Follows { host: "10.9.0.1".into(), port: 5433, slot: Some("dc2".into()) }
}

fn leading() -> Scene {
    standby("pg1").holding().peers(&[("pg2", Some(answer(END))), ("pg3", Some(answer(END)))])
}

fn request(mut scene: Scene, leader: Option<&str>, candidate: Option<&str>) -> Scene {
    let record = FailoverRecord {
        leader: leader.map(str::to_owned),
        candidate: candidate.map(str::to_owned),
        scheduled_at: None,
    };
    scene.cluster.failover = Some(Versioned::new(record, 99));
    scene
}

fn remote_says(timeline: u32, history: &[(u32, Lsn)]) -> LeaderInspection {
    LeaderInspection::Answered { in_recovery: false, timeline, history: history.to_vec() }
}

#[test]
fn the_leader_that_streams_from_the_remote_primary_rests_and_says_whom_it_follows() {
    let decision = leading().decide();
    assert_eq!(actions(&decision), Vec::<&str>::new());
    assert_eq!(decision.reason.to_string(), "no action: I am following the remote primary 10.9.0.1:5433");
}

#[test]
fn the_leader_publishes_its_position_and_slots() {
    let mut scene = standby("pg1");
    scene.cluster.status = Versioned::new(StatusRecord { optime: Some(Lsn(7)), ..StatusRecord::default() }, 90);
    let decision = scene.decide();
    let [Action::RenewLock { status: Some(status) }, ..] = &decision.actions[..] else { panic!("{decision:?}") };
    assert_eq!((status.optime, status.slots.get("pg1")), (Some(END), Some(&END)));
}

#[test]
fn a_directory_of_any_state_is_started_as_a_standby_of_the_remote_primary_and_never_promoted() {
    for (state, backup_label) in [
        (DbState::ShutDownInRecovery, false),
        (DbState::ShutDown, false),
        (DbState::InProduction, false),
        (DbState::InProduction, true),
        (DbState::InArchiveRecovery, false),
    ] {
        let mut scene = leading();
        scene.local.postgres = pgdrill_ha::view::PostgresView {
            process: Process::Stopped,
            control: Some(control(state)),
            has_backup_label: backup_label,
            follows: None,
            is_streaming: false,
            ..scene.local.postgres
        };
        scene.local.round.leader = Some(remote_says(2, &[(1, Lsn(100))]));
        let decision = scene.decide();
        let [Action::Start(StartAs::Replica(Upstream::Remote(section)))] = &decision.actions[..] else {
            panic!("{state:?} {backup_label}: {decision:?}");
        };
        assert_eq!(section["primary_slot_name"], "dc2");
    }
}

#[test]
fn whom_the_leader_follows_is_corrected_by_the_slot_too() {
    let mut scene = leading();
    scene.local.postgres.follows.as_mut().unwrap().slot = None;
    assert!(matches!(&scene.clone().decide().actions[..], [Action::Follow { upstream: Upstream::Remote(_), .. }]));
    scene.config.use_slots = false;
    assert_eq!(scene.decide().reason.code(), "following", "without slots none is asked for");
}

#[test]
fn a_switchover_is_carried_out_by_the_leader_with_and_without_synchronous_mode() {
    for mode in [SynchronousMode::Off, SynchronousMode::On, SynchronousMode::Quorum] {
        for (candidate, expected) in [(Some("pg3"), vec!["pg3"]), (None, vec!["pg2", "pg3"])] {
            // A `/sync` of the days as a primary's cluster says nothing about who may lead now.
            let mut scene = request(leading(), Some("pg1"), candidate).sync("pg1", &["pg9"], 5);
            scene.config.synchronous_mode = mode;
            let decision = scene.decide();
            let [Action::Stop(stop)] = &decision.actions[..] else { panic!("{mode:?} {candidate:?}: {decision:?}") };
            let candidates = &stop.early_release.as_ref().unwrap().candidates;
            assert_eq!(candidates.iter().map(String::as_str).collect::<Vec<_>>(), expected);
        }
    }
}

#[test]
fn what_cannot_be_done_is_cleared_by_the_leader() {
    let nobody = leading().peers(&[("pg2", None), ("pg3", None)]);
    let lagging = leading().peers(&[("pg2", Some(answer(Lsn(8)))), ("pg3", None)]);
    for (mut scene, why) in [
        (request(leading(), Some("pg2"), None), "the leader is pg1, not pg2"),
        (request(leading(), None, Some("pg1")), "pg1 is the leader already"),
        (request(nobody, Some("pg1"), None), "no candidate is healthy"),
        (request(lagging, Some("pg1"), None), "no candidate is healthy"),
    ] {
        let decision = scene.decide();
        assert_eq!(decision.actions, [Action::ClearFailover { expected: 99 }], "{why}");
        assert_eq!(decision.reason.to_string(), format!("clearing the failover request: {why}"));
    }
}

#[test]
fn the_lock_is_released_after_the_stop_and_the_position_does_not_go_back() {
    let mut scene = leading();
    scene.local.postgres.process = Process::Stopped;
    scene.local.postgres.control = Some(control(DbState::ShutDownInRecovery));
    scene.local.task = Some(TaskView { id: 1, kind: TaskKind::Demote, started: NOW, progress: TaskProgress::Done });
    assert_eq!(scene.decide().actions, [Action::ReleaseLock { optime: None }]);
}

#[test]
fn whoever_takes_the_lock_clears_the_request_with_it_also_one_for_a_leader_that_has_ended() {
    let racing = |name: &str| standby(name).without_leader().peers(&[("pg1", None), ("pg3", Some(answer(END)))]);
    for (leader, candidate) in
        [(Some("pg1"), Some("pg2")), (Some("pg1"), None), (None, Some("pg2")), (None, Some("pg9"))]
    {
        let decision = request(racing("pg2"), leader, candidate).decide();
        assert_eq!(actions(&decision), ["acquire_lock", "clear_failover"], "{leader:?} {candidate:?}");
    }
    let mut deferring = request(racing("pg2"), Some("pg1"), Some("pg3"));
    assert_eq!(deferring.decide().reason.to_string(), "not promoting: pg3 was asked for");
    let mut primary_cluster = request(racing("pg2"), Some("pg1"), Some("pg2"));
    primary_cluster.config.standby_cluster = None;
    assert_eq!(actions(&primary_cluster.decide()), ["acquire_lock"], "there the promotion clears it");
}

#[test]
fn the_new_leader_follows_the_remote_primary() {
    let mut scene = standby("pg2").holding();
    let decision = scene.decide();
    assert!(
        matches!(&decision.actions[..], [Action::Follow { upstream: Upstream::Remote(_), restart: false }]),
        "{decision:?}"
    );
    assert_eq!(scene.memory.rewind.state, RewindState::Check, "its history may be another one");
}

#[test]
fn check_timeline_does_not_count_where_history_is_not_kept() {
    let mut scene =
        standby("pg2").without_leader().peers(&[("pg3", Some(PeerAnswer { timeline: Some(1), ..answer(END) }))]);
    (scene.config.check_timeline, scene.local.postgres.timeline) = (true, Some(1));
    assert_eq!(actions(&scene.decide()), ["acquire_lock"]);
}

#[test]
fn while_nobody_leads_a_member_that_streams_stays_and_one_that_does_not_turns_to_the_remote_primary() {
    let mut scene = standby("pg2").without_leader().tag("nofailover", true.into());
    assert_eq!(scene.decide().reason.code(), "unfit_nofailover");
    scene.local.postgres.is_streaming = false;
    assert_eq!(scene.decide().reason.code(), "unfit_nofailover", "a moment without is no reason yet");
    scene.next_cycle(10);
    assert!(matches!(&scene.decide().actions[..], [Action::Follow { upstream: Upstream::Remote(_), .. }]));
    scene.config.paused = true;
    assert_eq!(actions(&scene.decide()), Vec::<&str>::new());
}

#[test]
fn a_standby_leader_needs_no_watchdog() {
    let mut scene = leading();
    scene.config.watchdog = WatchdogMode::Required;
    assert_eq!(scene.decide().reason.code(), "following");
}

#[test]
fn a_starting_standby_leader_without_its_lock_is_not_stopped() {
    let mut scene = leading();
    scene.local.postgres.process = Process::Starting { since: NOW };
    scene.local.round.lock = Some(LockOutcome::Lost);
    assert_eq!(actions(&scene.decide()), Vec::<&str>::new());
}

#[test]
fn in_pause_the_leader_keeps_its_lock_as_long_as_its_server_runs() {
    let mut scene = leading();
    scene.config.paused = true;
    assert_eq!(scene.decide().reason.code(), "following");
    assert_eq!(request(scene.clone(), Some("pg1"), Some("pg2")).decide().reason.code(), "following");
    scene.local.postgres.process = Process::Stopped;
    assert_eq!(actions(&scene.decide()), ["release_lock"]);
}

#[test]
fn the_leader_waits_for_primary_start_timeout_as_a_primary_does() {
    let mut scene = leading();
    scene.local.postgres.process = Process::Crashed;
    scene.config.primary_start_timeout = Duration::ZERO;
    assert_eq!(actions(&scene.decide()), ["watchdog_disable", "release_lock"]);
}

/// Streams nothing for `seconds`, with a cycle each ten.
fn silent(mut scene: Scene, seconds: u64) -> Scene {
    scene.local.postgres.is_streaming = false;
    scene.decide();
    let (lock, inspection) = (scene.local.round.lock.clone(), scene.local.round.leader.clone());
    for _ in 0..seconds / 10 {
        scene.next_cycle(10);
        scene.local.round.lock = lock.is_some().then(|| scene.held());
        scene.local.round.leader.clone_from(&inspection);
        scene.decide();
    }
    scene
}

#[test]
fn a_follower_that_does_not_stream_says_so_and_compares_its_history() {
    for mut scene in [leading(), scene("pg2")] {
        let who = if scene.cluster.is_leader("pg1") && scene.local.name == "pg1" {
            "the remote primary 10.9.0.1:5433"
        } else {
            "pg1"
        };
        scene.local.postgres.is_streaming = false;
        assert_eq!(scene.decide().reason.to_string(), format!("not streaming from {who} for 0 s"));
        let mut later = silent(scene.clone(), 10);
        assert_eq!((actions(&later.decide()), later.decide().reason.code()), (vec![], "not_streaming"));
        scene = silent(scene, 20);
        let decision = scene.decide();
        assert_eq!((actions(&decision), decision.reason.code()), (vec!["inspect_leader"], "checking_rewind"));
    }
}

#[test]
fn a_history_that_fits_leaves_what_postgresql_knows_and_has_the_settings_written_once_more() {
    let mut scene = leading();
    scene.local.round.leader = Some(remote_says(2, &[(1, Lsn(100))]));
    let mut scene = silent(scene, 10);
    let mut follows = 0;
    for _ in 0..20 {
        scene.next_cycle(10);
        (scene.local.round.lock, scene.local.round.leader) =
            (Some(scene.held()), Some(remote_says(2, &[(1, Lsn(100))])));
        let decision = scene.decide();
        follows += actions(&decision).iter().filter(|action| **action == "follow").count();
        assert!(decision.reason.to_string().contains("our histories fit"), "{}", decision.reason);
    }
    assert_eq!(follows, 1);
    scene.local.postgres.is_streaming = true;
    assert_eq!(scene.decide().reason.code(), "following");
    assert_eq!(scene.memory.streaming, Default::default());
}

#[test]
fn an_upstream_that_cannot_be_asked_is_told() {
    let mut scene = leading();
    scene.local.round.leader = Some(LeaderInspection::Unreachable { reason: "connection refused".into() });
    let mut scene = silent(scene, 20);
    let said = scene.decide().reason.to_string();
    assert_eq!(said, "not streaming from the remote primary 10.9.0.1:5433 for 20 s: connection refused");
}

/// What an agent left that had promoted before it knew that it was a standby cluster's.
#[test]
fn a_directory_with_a_timeline_of_its_own_is_rewound_or_says_what_is_wrong_with_it() {
    let mut scene = leading();
    scene.local.postgres.timeline = Some(2);
    scene.local.round.leader = Some(remote_says(1, &[]));
    let mut says = silent(scene.clone(), 20);
    let said = says.decide().reason.to_string();
    assert!(said.contains("for 20 s: we are on timeline 2, the leader on 1"), "{said}");
    scene.config.remove_data_directory_on_diverged_timelines = true;
    assert!(silent(scene.clone(), 20).decide().reason.code() == "not_streaming", "the only copy here is not removed");
    scene.config.use_pg_rewind = true;
    let mut scene = silent(scene, 10);
    scene.next_cycle(10);
    (scene.local.round.lock, scene.local.round.leader) = (Some(scene.held()), Some(remote_says(1, &[])));
    assert!(matches!(&scene.decide().actions[..], [Action::Rewind(Upstream::Remote(_))]));
}

#[test]
fn without_a_host_wal_comes_from_the_archive_and_nothing_is_missed() {
    let mut scene = leading();
    scene.config.standby_cluster = Some(json!({"restore_command": "cp /archive/%f %p"}));
    scene.local.postgres.follows = None;
    let decision = silent(scene, 100).decide();
    assert_eq!((actions(&decision), decision.reason.code()), (vec![], "following"));
}

#[test]
fn whether_it_is_a_standby_cluster_must_be_certain_before_anybody_is_promoted() {
    let mut scene = scene("pg2");
    (scene.cluster.leader, scene.cluster.initialize, scene.cluster.config) = (None, None, None);
    scene.cluster.members.clear();
    scene.config.bootstrap_dcs = json!({"standby_cluster": {"host": "10.9.0.1"}});
    scene.local.postgres.was_managed = true;
    let decision = scene.clone().decide();
    assert_eq!(decision.reason.code(), "unfit_disputed_standby_cluster");
    assert!(decision.reason.to_string().contains("remove patroni.dynamic.json"), "{}", decision.reason);
    let mut known = scene.clone();
    known.cluster.initialize = Some(Initialize::SystemIdentifier(crate::fixture::SYSTEM_ID));
    assert_eq!(actions(&known.decide()), ["acquire_lock"]);
    let mut agreed = scene.clone();
    agreed.config.standby_cluster = Some(json!({"host": "10.9.0.1"}));
    assert_eq!(actions(&agreed.decide()), ["acquire_lock"]);
    scene.local.postgres = pgdrill_ha::view::PostgresView { was_managed: true, ..primary() };
    assert_eq!(actions(&scene.decide()), ["write_initialize"], "a primary says what its cluster is");
}
