//! The DCS cannot be reached.

use std::collections::BTreeMap;
use std::time::Duration;

use pgdrill_ha::decision::{Action, StopMode, Then};
use pgdrill_ha::view::{FailsafeAnswer, FailsafePing, LockOutcome, Process, TaskKind, TaskProgress, TaskView};
use pgdrill_ha::{FailsafeVerdict, Memory, Monotonic, answer_failsafe};

use crate::fixture::{NOW, Scene, actions, scene};

fn leading_since(now: u64) -> Scene {
    let mut scene = scene("pg1");
    scene.memory.lock_deadline = Some(Monotonic::from_secs(now) + scene.config.ttl);
    scene
}

fn with_failsafe(mut scene: Scene) -> Scene {
    scene.config.failsafe_mode = true;
    let url = |n: &str| (n.to_owned(), format!("http://{n}:8008/patroni"));
    scene.memory.failsafe.record = ["pg1", "pg2", "pg3"].map(url).into();
    scene
}

fn answered(mut scene: Scene, answers: [FailsafeAnswer; 2]) -> Scene {
    let [a, b] = answers;
    scene.local.round.failsafe = Some(BTreeMap::from([("pg2".into(), a), ("pg3".into(), b)]));
    scene.local.round.failsafe_asked_at = scene.now;
    scene
}

const YES: FailsafeAnswer = FailsafeAnswer::Accepted { lsn: None };

#[test]
fn a_primary_without_dcs_is_stopped_well_before_its_deadline() {
    // Renewed at 980: the deadline is 1010, ten seconds from now.
    let decision = leading_since(980).decide_without_dcs();
    assert_eq!(actions(&decision), ["stop", "watchdog_disable", "start"]);
    let Action::Stop(stop) = &decision.actions[0] else { panic!("{decision:?}") };
    assert_eq!((stop.mode, stop.escalate_at), (StopMode::Fast, Some(Monotonic::from_secs(1005))));
}

/// `Ha.demote` in Patroni ends with `set_is_leader(False)`, and a renewal says `set_is_leader(True)`: also of the leader of a
/// standby cluster, who is never promoted.
#[test]
fn whoever_has_demoted_itself_claims_nothing_until_its_lock_is_renewed() {
    let mut scene = leading_since(980);
    assert_eq!(scene.memory.claimed_until(), Some(Monotonic::from_secs(1010)));
    scene.decide_without_dcs();
    assert!(scene.memory.may_lead(NOW), "the lease lasts, and nobody else can lead");
    assert_eq!(scene.memory.claimed_until(), None);
    let mut back = scene.holding();
    back.decide();
    assert_eq!(back.memory.claimed_until(), Some(NOW + back.config.ttl));
}

#[test]
fn a_primary_past_its_deadline_is_stopped_the_hard_way() {
    let decision = leading_since(960).decide_without_dcs();
    assert!(matches!(&decision.actions[0], Action::Stop(stop) if stop.mode == StopMode::Immediate));
}

/// An agent that starts while etcd is away beside a primary that serves.
fn found_running(was_managed: bool) -> Scene {
    let mut scene = scene("pg1");
    scene.local.postgres.was_managed = was_managed;
    scene
}

#[test]
fn a_primary_that_an_agent_finds_without_dcs_goes_on_for_as_long_as_a_lease_of_before_may_last() {
    let mut scene = found_running(true);
    let first = scene.decide_without_dcs();
    assert_eq!((first.reason.code(), actions(&first)), ("waiting_for_dcs", vec![]));
    assert_eq!(first.then, Then::Sleep { at_most: Some(Duration::from_secs(20)) }, "a look takes retry_timeout");
    insta::assert_snapshot!(first.reason, @"the DCS was never accessible since the agent started: this primary may go on for 30 s, as long as a lease of before may last");
    scene.next_cycle(29);
    assert_eq!(actions(&scene.decide_without_dcs()), Vec::<&str>::new());
    scene.next_cycle(1);
    let over = scene.decide_without_dcs();
    assert_eq!(actions(&over), ["stop", "watchdog_disable", "start"]);
    assert!(matches!(&over.actions[0], Action::Stop(stop) if stop.mode == StopMode::Immediate));
}

#[test]
fn a_primary_that_was_never_in_a_cluster_is_left_alone_without_dcs() {
    let mut scene = found_running(false);
    for _ in 0..10 {
        assert_eq!(actions(&scene.decide_without_dcs()), Vec::<&str>::new());
        scene.next_cycle(30);
    }
    insta::assert_snapshot!(scene.decide_without_dcs().reason, @"the DCS was never accessible since the agent started: this primary was never a cluster's and is left alone");
}

#[test]
fn once_the_dcs_was_read_a_primary_without_a_lease_is_stopped_at_once() {
    let mut scene = found_running(true);
    scene.decide();
    scene.next_cycle(10);
    scene.memory.lock_deadline = None;
    assert_eq!(actions(&scene.decide_without_dcs()), ["stop", "watchdog_disable", "start"]);
}

#[test]
fn a_replica_without_dcs_stays_as_it_is() {
    assert_eq!(actions(&scene("pg2").decide_without_dcs()), Vec::<&str>::new());
}

#[test]
fn with_the_word_of_all_members_a_primary_goes_on() {
    let mut scene = with_failsafe(leading_since(980));
    let asked = scene.decide_without_dcs();
    let Action::AskFailsafe(peers) = &asked.actions[0] else { panic!("{asked:?}") };
    assert_eq!(peers.len(), 2);
    let mut agreed = answered(scene, [YES, YES]);
    let decision = agreed.decide_without_dcs();
    assert_eq!(decision.reason.code(), "failsafe_active");
    assert!(agreed.memory.may_lead(NOW + Duration::from_secs(29)));
}

#[test]
fn one_refusal_or_silence_is_enough_to_stop() {
    let refused = FailsafeAnswer::Refused { reason: "500".into() };
    let silent = FailsafeAnswer::Unreachable { reason: "timed out".into() };
    for answers in [[YES, refused], [silent, YES]] {
        let mut scene = answered(with_failsafe(leading_since(980)), answers);
        assert_eq!(actions(&scene.decide_without_dcs()), ["stop", "watchdog_disable", "start"]);
    }
}

#[test]
fn who_is_not_in_failsafe_stops_and_who_is_alone_there_goes_on() {
    let mut out = with_failsafe(leading_since(980));
    out.memory.failsafe.record.remove("pg1");
    assert_eq!(out.decide_without_dcs().reason.code(), "demoting");
    let mut alone = with_failsafe(leading_since(980));
    alone.memory.failsafe.record.retain(|name, _| name == "pg1");
    assert_eq!(alone.decide_without_dcs().reason.code(), "failsafe_active");
}

#[test]
fn an_expired_deadline_cannot_be_mended_by_asking() {
    assert_eq!(with_failsafe(leading_since(960)).decide_without_dcs().reason.code(), "demoting");
}

#[test]
fn an_unknown_renewal_is_a_missing_dcs_and_not_a_lost_lock() {
    let mut scene = with_failsafe(leading_since(980)).holding();
    scene.local.round.lock = Some(LockOutcome::Unknown { reason: "etcdserver: no leader".into() });
    assert_eq!(actions(&scene.decide()), ["ask_failsafe"]);
}

#[test]
fn a_replica_keeps_its_word_for_ttl_and_races_after_it() {
    let mut scene = scene("pg2").without_leader();
    scene.config.failsafe_mode = true;
    scene.local.failsafe_ping = Some(FailsafePing {
        leader: "pg1".into(),
        conn_url: Some("postgres://10.0.0.1:5432/postgres".into()),
        api_url: None,
        slots: BTreeMap::new(),
        received: NOW,
    });
    assert_eq!(scene.decide().reason.code(), "following");
    scene.next_cycle(30);
    assert_eq!(actions(&scene.decide()), ["ask_peers"]);
}

#[test]
fn a_node_that_has_the_lock_and_still_promotes_refuses_failsafe() {
    let mut scene = scene("pg2");
    let verdict = |scene: &Scene| answer_failsafe("pg1", &scene.local, &scene.memory, scene.now);
    assert_eq!(verdict(&scene), FailsafeVerdict::Accept);
    scene.memory.lock_deadline = Some(NOW + scene.config.ttl);
    assert!(matches!(verdict(&scene), FailsafeVerdict::Refuse(_)));
    scene.memory = Memory::default();
    let progress = TaskProgress::Running { past_point_of_no_return: true };
    scene.local.task = Some(TaskView { id: 1, kind: TaskKind::Promote, started: NOW, progress });
    assert!(matches!(verdict(&scene), FailsafeVerdict::Refuse(_)));
}

#[test]
fn a_postgres_we_stopped_ourselves_is_started_read_only_while_the_dcs_is_away_zoo_23() {
    let mut scene = leading_since(980);
    scene.decide_without_dcs();
    scene.next_cycle(10);
    scene.local.postgres.process = Process::Stopped;
    assert_eq!(actions(&scene.decide_without_dcs()), ["start"]);
}

#[test]
fn no_second_demotion_runs_beside_the_first_zoo_22() {
    let mut scene = leading_since(980);
    let progress = TaskProgress::Running { past_point_of_no_return: false };
    scene.local.task = Some(TaskView { id: 1, kind: TaskKind::Demote, started: NOW, progress });
    assert_eq!(actions(&scene.decide_without_dcs()), Vec::<&str>::new());
}
