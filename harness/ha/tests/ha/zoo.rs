//! Patroni's known bugs and hazards, each with the number of its issue: here it goes right.

use pgdrill_ha::config::SynchronousMode;
use pgdrill_ha::records::FailoverRecord;
use pgdrill_ha::view::{LockOutcome, PeerAnswer, Versioned};
use pgdrill_ha::{Lsn, Monotonic, RewindState};

use crate::fixture::{END, NOW, actions, answer, replica, scene, standby};

/// Issues 3717, 3686, 3675: the replica dropped `primary_conninfo` and was without upstream for hours.
#[test]
fn zoo_1_to_3_a_replica_that_sees_no_leader_keeps_its_primary_conninfo() {
    let mut scene = scene("pg2").without_leader().tag("nofailover", true.into());
    assert!(!actions(&scene.decide()).contains(&"follow"));
    scene.local.postgres.is_streaming = false;
    scene.memory.rewind.state = RewindState::Check;
    assert!(!actions(&scene.decide()).contains(&"follow"));
}

/// Issue 2779: a thawed primary re-created its expired lock while another had been promoted and was frozen.
#[test]
fn zoo_4_an_expired_lock_is_not_silently_recreated() {
    let mut scene = scene("pg1").holding();
    scene.decide();
    scene.next_cycle(40);
    scene.cluster.leader = None;
    let decision = scene.decide();
    assert_eq!(actions(&decision), ["stop", "watchdog_disable"]);
    assert_eq!(decision.reason.to_string(), "demoting (immediate-nolock): our leader lock has expired");
}

/// The same, with a deadline that has not passed: the other one's trace in `/status` is enough.
#[test]
fn zoo_4_another_leaders_trace_in_status_stops_the_former_one() {
    let mut scene = scene("pg1").holding();
    let (requested_at, ttl) = (scene.now, scene.config.ttl);
    scene.local.round.lock = Some(LockOutcome::Held { requested_at, ttl, status_revision: Some(90) });
    scene.decide();
    scene.next_cycle(10);
    scene.cluster.leader = None;
    assert_eq!(actions(&scene.clone().decide()), ["acquire_lock"]);
    scene.cluster.status.mod_revision = 101;
    assert_eq!(scene.decide().reason.code(), "demoting");
}

/// Issues 308, 3314, 3359: decisions on what a lagging etcd member said.
#[test]
fn zoo_7_to_9_a_view_older_than_one_seen_before_is_not_acted_upon() {
    let mut scene = scene("pg1").holding();
    scene.decide();
    scene.next_cycle(10);
    (scene.cluster.revision, scene.cluster.leader.as_mut().unwrap().name) = (42, "pg3".into());
    let decision = scene.decide();
    assert_eq!((decision.reason.code(), actions(&decision)), ("stale_view", vec!["renew_lock"]));
    scene.local.round.lock = Some(scene.held());
    assert_eq!(actions(&scene.decide()), Vec::<&str>::new());
    (scene.cluster.revision, scene.cluster.raft_term) = (500, 1);
    assert_eq!(scene.decide().reason.code(), "stale_view");
}

/// etcd restored from a backup has another cluster id, and its terms and revisions start over.
#[test]
fn a_store_that_was_set_up_anew_is_no_stale_view() {
    let mut scene = scene("pg1").holding();
    scene.cluster.cluster_id = 7;
    scene.decide();
    scene.memory.own_status_revision = Some(90);
    scene.next_cycle(10);
    (scene.cluster.cluster_id, scene.cluster.raft_term, scene.cluster.revision) = (8, 1, 3);
    assert_eq!(scene.decide().reason.code(), "renewing_lock");
    assert_eq!(scene.memory.own_status_revision, None, "a revision of the old store");
    scene.next_cycle(10);
    scene.cluster.revision = 2;
    assert_eq!(scene.decide().reason.code(), "stale_view", "within the new store the rule is the same");
}

/// Issues 251, 2070 and 1588: the old primary, cut from the DCS and a few bytes ahead, kept everybody from leading.
#[test]
fn zoo_26_a_former_leader_without_dcs_does_not_block_the_race_by_being_ahead() {
    let ahead = Some(answer(Lsn(END.0 + 200)));
    let mut scene = scene("pg2").without_leader().peers(&[("pg1", ahead), ("pg3", Some(answer(END)))]);
    assert_eq!(actions(&scene.decide()), ["acquire_lock"]);
}

/// The other half: back in touch with the DCS it is the healthiest, and everybody lets it win.
#[test]
fn zoo_26_a_former_leader_that_is_ahead_and_reaches_the_dcs_wins() {
    let mut former = scene("pg1").without_leader().peers(&[("pg2", Some(answer(END))), ("pg3", Some(answer(END)))]);
    former.local.postgres = replica();
    former.local.postgres.replayed_lsn = Some(Lsn(END.0 + 200));
    former.memory.demoted = true;
    assert_eq!(actions(&former.decide()), ["acquire_lock"]);
    let ahead = Some(answer(Lsn(END.0 + 200)));
    let mut other = scene("pg2").without_leader().peers(&[("pg1", ahead)]);
    other.cluster.members = scene("pg1").cluster.members;
    assert_eq!(other.decide().reason.to_string(), "not promoting: pg1 is 200 B ahead");
}

/// Issue 1054: in synchronous mode what the former leader has more was never acknowledged.
#[test]
fn zoo_27_a_synchronous_standby_does_not_defer_to_the_former_leader() {
    let ahead = Some(answer(Lsn(END.0 + 200)));
    let mut scene = scene("pg2").without_leader().peers(&[("pg1", ahead), ("pg3", None)]).sync("pg1", &["pg2"], 0);
    scene.cluster.members = crate::fixture::scene("pg1").cluster.members;
    scene.config.synchronous_mode = SynchronousMode::On;
    assert_eq!(actions(&scene.decide()), ["acquire_lock"]);
}

/// Issue 2405: a switchover without candidate went to an asynchronous node.
#[test]
fn zoo_32_after_a_switchover_without_candidate_only_synchronous_nodes_race() {
    let mut scene = scene("pg3").without_leader().sync("pg1", &["pg2"], 0);
    scene.config.synchronous_mode = SynchronousMode::On;
    let record = FailoverRecord { leader: Some("pg1".into()), ..FailoverRecord::default() };
    scene.cluster.failover = Some(Versioned::new(record, 99));
    assert_eq!(scene.decide().reason.code(), "unfit_not_synchronous");
}

/// Issue 2819: with no standby streaming `/sync` was never created, and an asynchronous node was promoted.
#[test]
fn zoo_34_sync_is_created_even_if_nobody_streams() {
    let mut scene = scene("pg1").holding();
    scene.config.synchronous_mode = SynchronousMode::On;
    assert_eq!(actions(&scene.decide()), ["write_sync"]);
}

/// Issue 3307: a switchover with candidate was always refused in quorum mode.
#[test]
fn zoo_37_a_switchover_with_candidate_works_in_quorum_mode() {
    let mut scene = scene("pg1").holding().sync("pg1", &["pg2", "pg3"], 1);
    scene.config.synchronous_mode = SynchronousMode::Quorum;
    let record = FailoverRecord { leader: Some("pg1".into()), candidate: Some("pg2".into()), scheduled_at: None };
    scene.cluster.failover = Some(Versioned::new(record, 99));
    let mut scene = scene.peers(&[("pg2", Some(answer(END))), ("pg3", None)]);
    assert_eq!(scene.decide().reason.code(), "handing_over");
}

/// Issue 3496: among two synchronous standbys the priority did not count.
#[test]
fn zoo_38_failover_priority_counts_among_synchronous_standbys() {
    let preferred = Some(PeerAnswer { failover_priority: 2, ..answer(END) });
    let mut scene = scene("pg2").without_leader().sync("pg1", &["pg2", "pg3"], 0).peers(&[("pg3", preferred)]);
    scene.config.synchronous_mode = SynchronousMode::On;
    assert_eq!(scene.decide().reason.code(), "unfit_peer_preferred");
}

/// Issue 3295: replicas deferred to a demoted leader with higher priority that could not come back.
#[test]
fn zoo_39_nobody_defers_to_the_former_leaders_priority() {
    let preferred = Some(PeerAnswer { failover_priority: 9, ..answer(END) });
    let mut scene = scene("pg2").without_leader().peers(&[("pg1", preferred), ("pg3", None)]);
    assert_eq!(actions(&scene.decide()), ["acquire_lock"]);
}

/// Issue 3703: with a limit of 0 unreplicated internal WAL in `/status` left a strict cluster without leader.
#[test]
fn zoo_41_a_lag_limit_of_0_does_not_bar_a_synchronous_standby() {
    let mut scene = scene("pg2").without_leader().sync("pg1", &["pg2"], 0).peers(&[("pg1", None), ("pg3", None)]);
    scene.config.synchronous_mode = SynchronousMode::On;
    scene.config.synchronous_mode_strict = true;
    scene.config.maximum_lag_on_failover_bytes = 0;
    scene.cluster.status.value.optime = Some(Lsn(END.0 + 500));
    assert_eq!(actions(&scene.decide()), ["acquire_lock"]);
}

/// Issue 3449: `/sync` named a leader that had been renamed in pause, and after a restart nobody could be promoted.
#[test]
fn zoo_43_a_renamed_leader_writes_itself_into_sync_even_while_paused() {
    let mut scene = scene("pg1").holding().sync("old-name", &["pg2"], 0);
    scene.config.synchronous_mode = SynchronousMode::On;
    scene.config.paused = true;
    scene.local.postgres.standbys = vec![standby("pg2", END)];
    let decision = scene.decide();
    assert_eq!(actions(&decision), ["write_sync"]);
    assert!(decision.reason.to_string().contains(r#""leader":"pg1""#), "{}", decision.reason);
}

/// Issue 3560: a wall clock stepped back by minutes froze the loop until the lock was gone.
#[test]
fn zoo_60_a_step_of_the_wall_clock_changes_nothing_but_schedules() {
    let mut scene = scene("pg1").holding();
    let before = scene.decide();
    let deadline = scene.memory.lock_deadline;
    scene.local.wall = "2026-03-01T09:55:00Z".parse().unwrap();
    assert_eq!((scene.decide(), scene.memory.lock_deadline), (before, deadline));
}

/// Derived from the code: a cycle that goes wrong keeps the lock alive by the member key's lease.
#[test]
fn zombie_lock_a_holder_that_cannot_read_pg_control_gives_the_lock_away() {
    let mut scene = scene("pg2").holding();
    scene.local.postgres.system_identifier = None;
    assert_eq!(actions(&scene.decide()), ["release_lock"]);
}

/// Issue 3055 of the operator: failsafe was fine, and when the DCS came back without the lock the primary demoted itself.
#[test]
fn zoo_66_a_failsafe_leader_takes_the_vanished_lock_again_without_a_stop() {
    let mut scene = scene("pg1").without_leader();
    scene.config.failsafe_mode = true;
    scene.memory.lock_deadline = Some(Monotonic::from_secs(990));
    scene.memory.failsafe.agreed_until = Some(NOW + scene.config.ttl);
    assert_eq!(actions(&scene.decide()), ["acquire_lock"]);
}
