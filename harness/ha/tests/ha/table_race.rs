//! Nobody holds the lock: who may take it.

use pgdrill_ha::Lsn;
use pgdrill_ha::config::{SynchronousMode, WatchdogMode};
use pgdrill_ha::decision::{Action, PeerPurpose, Then};
use pgdrill_ha::records::{FailoverRecord, HistoryRecord};
use pgdrill_ha::view::{
    FailsafePing, Leader, LockOutcome, PeerAnswer, PeerStatus, Process, TaskKind, TaskProgress, TaskView, Versioned,
};

use crate::fixture::{END, NOW, Scene, actions, answer, scene};

/// pg2 in a race in which pg1 is dead and pg3 is level.
fn racing() -> Scene {
    scene("pg2").without_leader().peers(&[("pg1", None), ("pg3", Some(answer(END)))])
}

fn sync_racing(mode: SynchronousMode, standbys: &[&str], quorum: u32) -> Scene {
    let mut scene = racing().sync("pg1", standbys, quorum);
    scene.config.synchronous_mode = mode;
    scene
}

fn with_peer(mut scene: Scene, name: &str, peer: PeerAnswer) -> Scene {
    scene.local.round.peers.as_mut().unwrap().insert(name.into(), PeerStatus::Answered(peer));
    scene
}

/// What the node says, and that it then does nothing at all.
fn refusal(mut scene: Scene) -> String {
    let decision = scene.decide();
    assert_eq!(actions(&decision), Vec::<&str>::new(), "{decision:?}");
    decision.reason.to_string()
}

#[test]
fn the_healthiest_asks_its_peers_takes_the_lock_and_promotes_in_one_cycle() {
    let mut scene = scene("pg2").without_leader();
    let first = scene.decide();
    let Action::AskPeers { peers, purpose: PeerPurpose::Race } = &first.actions[0] else { panic!("{first:?}") };
    assert_eq!(peers.iter().map(|peer| peer.name.as_str()).collect::<Vec<_>>(), ["pg1", "pg3"]);
    let mut scene = scene.peers(&[("pg1", None), ("pg3", Some(answer(END)))]);
    let second = scene.decide();
    assert_eq!((actions(&second), second.then), (vec!["acquire_lock"], Then::ObserveAgain));
    assert_eq!(actions(&scene.holding().decide()), ["promote"]);
}

/// The leader that asks goes on for ttl because of the answer, so nobody may be promoted who has given it.
#[test]
fn a_word_given_while_the_lock_was_being_taken_is_kept() {
    let mut scene = racing();
    scene.config.failsafe_mode = true;
    assert_eq!(actions(&scene.decide()), ["acquire_lock"]);
    let ping =
        FailsafePing { leader: "pg1".into(), conn_url: None, api_url: None, slots: Default::default(), received: NOW };
    scene.local.failsafe_ping = Some(ping);
    let decision = scene.clone().holding().decide();
    assert_eq!(actions(&decision), ["release_lock"]);
    assert_eq!(decision.reason.to_string(), "releasing the leader lock: another leader has our word in failsafe mode");
    // An attempt whose outcome was unknown has succeeded after all, as the next reading shows.
    scene.cluster.leader = Some(Leader { name: "pg2".into(), mod_revision: 101, lease_id: 9 });
    assert_eq!(actions(&scene.clone().decide()), ["release_lock"]);
    scene.now = NOW + scene.config.ttl;
    assert!(actions(&scene.holding().decide()).contains(&"promote"));
}

#[test]
fn the_loser_of_the_create_stays_as_it_is() {
    let mut scene = racing();
    scene.local.round.lock = Some(LockOutcome::Lost);
    assert_eq!(refusal(scene.clone()), "another node acquired the leader lock first");
    scene.local.round.lock = Some(LockOutcome::Unknown { reason: "timeout".into() });
    assert_eq!(scene.decide().reason.code(), "acquire_unknown");
    assert!(!scene.memory.may_lead(NOW));
}

#[test]
fn one_whose_postgres_gives_no_sign_of_life_does_not_race_and_looks_again_soon() {
    let mut scene = racing();
    scene.local.postgres.is_silent = true;
    assert_eq!(refusal(scene.clone()), "not promoting: PostgreSQL gives no sign of life");
    assert!(matches!(scene.decide().then, Then::Sleep { at_most: Some(_) }));
}

#[test]
fn a_replica_behind_the_lag_limit_is_not_promoted() {
    let mut scene = racing();
    scene.local.postgres.received_lsn = Some(Lsn(END.0 - 2_411_725));
    scene.local.postgres.replayed_lsn = Some(Lsn(0x100));
    assert_eq!(refusal(scene), "not promoting: 2.3 MiB behind the last known leader position (limit 1.0 MiB)");
}

#[test]
fn a_replica_exactly_at_the_lag_limit_is_promoted() {
    let mut scene = with_peer(racing(), "pg3", answer(Lsn(1)));
    scene.local.postgres.received_lsn = Some(Lsn(END.0 - 1_048_576));
    scene.local.postgres.replayed_lsn = None;
    assert_eq!(actions(&scene.decide()), ["acquire_lock"]);
}

#[test]
fn whoever_has_more_wal_goes_first() {
    let scene = with_peer(racing(), "pg3", answer(Lsn(END.0 + 8)));
    assert_eq!(refusal(scene), "not promoting: pg3 is 8 B ahead");
}

#[test]
fn a_peer_that_must_not_lead_is_no_competitor() {
    for peer in [
        PeerAnswer { nofailover: true, ..answer(Lsn(END.0 + 8)) },
        PeerAnswer { watchdog_failed: true, ..answer(Lsn(END.0 + 8)) },
    ] {
        assert_eq!(actions(&with_peer(racing(), "pg3", peer).decide()), ["acquire_lock"]);
    }
}

#[test]
fn a_primary_that_answers_stops_the_race() {
    let scene = with_peer(racing(), "pg1", PeerAnswer { in_recovery: false, ..answer(END) });
    assert_eq!(refusal(scene), "not promoting: primary pg1 is still alive");
}

#[test]
fn among_equals_the_higher_failover_priority_goes_first() {
    let preferred = PeerAnswer { failover_priority: 2, ..answer(END) };
    assert_eq!(
        refusal(with_peer(racing(), "pg3", preferred.clone())),
        "not promoting: pg3 has as much WAL and a higher failover_priority"
    );
    let mut equal = with_peer(racing().tag("failover_priority", 2.into()), "pg3", preferred);
    assert_eq!(actions(&equal.decide()), ["acquire_lock"]);
}

#[test]
fn nodes_that_must_not_lead_say_why() {
    let mut starting = racing();
    starting.local.postgres.process = Process::Starting { since: NOW };
    assert_eq!(refusal(starting), "not promoting: PostgreSQL is still starting");
    assert_eq!(refusal(racing().tag("nofailover", true.into())), "not promoting: tagged nofailover");
    let mut watchdog = racing();
    watchdog.config.watchdog = WatchdogMode::Required;
    watchdog.local.watchdog.is_usable = false;
    assert_eq!(refusal(watchdog), "not promoting: the watchdog is required and cannot be used");
    let mut pre_promote = racing();
    pre_promote.memory.pre_promote_failed = Some(NOW);
    assert_eq!(refusal(pre_promote), "not promoting: pre_promote failed less than ttl ago");
    let mut failsafe = racing();
    failsafe.config.failsafe_mode = true;
    failsafe.cluster.failsafe = Some([("pg1".to_owned(), "http://x/patroni".to_owned())].into());
    assert_eq!(refusal(failsafe), "not promoting: not one of the members in /failsafe");
}

#[test]
fn timelines_count_only_with_check_timeline() {
    let mut scene = racing();
    scene.cluster.history = Some(HistoryRecord::parse(r#"[[1,100,"r"],[2,200,"r"]]"#));
    scene.local.postgres.newest_timeline = Some(3);
    assert_eq!(actions(&scene.clone().decide()), ["acquire_lock"]);
    scene.config.check_timeline = true;
    assert_eq!(refusal(scene), "not promoting: on timeline 2, the cluster is on 3");
}

/// Its promotion would begin a second timeline 3.
#[test]
fn a_node_that_has_never_heard_of_the_clusters_timeline_is_promoted_only_by_an_operator() {
    let mut scene = racing();
    scene.cluster.history = Some(HistoryRecord::parse(r#"[[1,100,"r"],[2,200,"r"]]"#));
    for newest in [None, Some(2)] {
        scene.local.postgres.newest_timeline = newest;
        assert_eq!(refusal(scene.clone()), "not promoting: on timeline 2, the cluster is on 3");
    }
    let request = FailoverRecord { candidate: Some("pg2".into()), ..Default::default() };
    scene.cluster.failover = Some(Versioned::new(request, 97));
    assert_eq!(actions(&scene.decide()), ["acquire_lock"]);
}

#[test]
fn lock_none_running_primary_of_the_latest_timeline_takes_the_lock_without_asking() {
    let mut scene = scene("pg1").without_leader();
    assert_eq!(actions(&scene.decide()), ["acquire_lock"]);
    scene.cluster.history = Some(HistoryRecord::parse(r#"[[1,100,"r"],[2,200,"r"]]"#));
    assert_eq!(scene.decide().reason.code(), "demoting");
}

#[test]
fn synchronous_mode_lets_only_members_of_sync_run() {
    assert_eq!(refusal(sync_racing(SynchronousMode::On, &["pg3"], 0)), "not promoting: not a synchronous standby");
    assert_eq!(actions(&sync_racing(SynchronousMode::On, &["pg2"], 0).decide()), ["acquire_lock"]);
}

#[test]
fn in_synchronous_mode_an_asynchronous_node_that_is_ahead_does_not_count() {
    let scene = sync_racing(SynchronousMode::On, &["pg2"], 0);
    assert_eq!(actions(&with_peer(scene, "pg3", answer(Lsn(END.0 + 8))).decide()), ["acquire_lock"]);
}

#[test]
fn quorum_mode_counts_voters_that_are_not_ahead() {
    // Two voters, one of which acknowledged: both must be seen.
    let scene = sync_racing(SynchronousMode::Quorum, &["pg2", "pg3"], 1);
    assert_eq!(actions(&scene.clone().decide()), ["acquire_lock"]);
    let alone = scene.peers(&[("pg1", None), ("pg3", None)]);
    assert_eq!(refusal(alone), "not promoting: 0 votes of the needed 1");
    let not_voter = sync_racing(SynchronousMode::Quorum, &["pg3"], 0);
    assert_eq!(actions(&not_voter.clone().decide()), ["acquire_lock"]);
    assert_eq!(refusal(not_voter.peers(&[("pg3", None)])), "not promoting: -1 votes of the needed 0");
}

#[test]
fn before_promoting_in_synchronous_mode_sync_is_claimed() {
    let mut scene = sync_racing(SynchronousMode::On, &["pg2"], 0).holding();
    let first = scene.decide();
    let Action::WriteSync { record: Some(record), expected: 80 } = &first.actions[0] else { panic!("{first:?}") };
    assert_eq!(record.to_json(), r#"{"leader":"pg2","quorum":0,"sync_standby":null}"#);
    scene.local.round.sync = Some(pgdrill_ha::view::WriteOutcome::Conflict);
    assert_eq!(scene.decide().reason.code(), "postponing_promotion");
    scene.local.round.sync = Some(pgdrill_ha::view::WriteOutcome::Written { mod_revision: 101 });
    assert_eq!(scene.decide().reason.code(), "stale_view", "our own write must be visible");
    scene = scene.sync("pg2", &[], 0);
    (scene.cluster.revision, scene.cluster.sync.mod_revision) = (101, 101);
    assert_eq!(actions(&scene.clone().decide()), ["promote"]);
    scene.config.synchronous_mode_strict = true;
    assert_eq!(actions(&scene.decide()), ["set_synchronous_standby_names", "promote"]);
    // What it says is right, and may be changed by a write of ours that is still on its way.
    (scene.local.round.sync, scene.memory.sync.written) = (None, None);
    assert_eq!(actions(&scene.decide()), ["write_sync"]);
}

#[test]
fn a_failed_pre_promote_gives_the_lock_back() {
    let mut scene = racing().holding();
    scene.config.has_pre_promote = true;
    assert_eq!(actions(&scene.decide()), ["run_pre_promote"]);
    let task = |progress| Some(TaskView { id: 1, kind: TaskKind::PrePromote, started: NOW, progress });
    scene.local.task = task(TaskProgress::Running { past_point_of_no_return: false });
    assert_eq!(scene.decide().reason.to_string(), "updated leader lock during pre_promote");
    let mut lost = scene.clone();
    lost.local.round.lock = Some(LockOutcome::Lost);
    assert_eq!(actions(&lost.decide()), ["cancel_task"]);
    let mut passed = scene.clone();
    passed.local.task = task(TaskProgress::Done);
    assert_eq!(actions(&passed.decide()), ["promote"]);
    scene.local.task = task(TaskProgress::Failed { reason: "exit code 1".into() });
    assert_eq!(actions(&scene.decide()), ["release_lock"]);
    assert_eq!(scene.memory.pre_promote_failed, Some(NOW));
}
