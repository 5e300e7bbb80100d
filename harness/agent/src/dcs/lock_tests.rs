//! The lock and the compare-and-set records against an etcd that loses answers.

use std::{sync::Arc, time::Duration};

use pgdrill_ha::records::{Keys, MemberRecord};

use super::*;
use crate::{
    clock::Clock,
    fixtures::{FakeKv, Lose},
};

const TTL: Duration = Duration::from_secs(30);
const LEADER: &str = "/service/demo/leader";
const MEMBER: &str = "/service/demo/members/pg1";

fn dcs(kv: &FakeKv, name: &str) -> Dcs<FakeKv> {
    Dcs::new(Arc::new(kv.clone()), Keys::new("service", "demo"), name, Clock::new())
}

fn is_held(outcome: &LockOutcome) -> bool {
    matches!(outcome, LockOutcome::Held { .. })
}

async fn touch(dcs: &Dcs<FakeKv>, ttl: Duration, keep_alive: bool) {
    let record = MemberRecord { version: Some("4.1.5".into()), ..MemberRecord::default() };
    dcs.touch_member(&record, ttl, Instant::now(), keep_alive).await.expect("etcd answers");
}

#[tokio::test]
async fn only_one_of_two_gets_a_free_lock_and_only_the_holder_can_release_it() {
    let kv = FakeKv::default();
    let (one, two) = (dcs(&kv, "pg1"), dcs(&kv, "pg2"));
    assert!(is_held(&one.acquire_lock(TTL, &StatusRecord::default()).await));
    assert_eq!(two.acquire_lock(TTL, &StatusRecord::default()).await, LockOutcome::Lost);
    two.release_lock(None).await;
    assert_eq!(kv.get(LEADER).unwrap().value, "pg1");
    one.release_lock(Some("{\"optime\":7}".into())).await;
    assert_eq!(kv.get(LEADER), None);
    assert_eq!(kv.get("/service/demo/status").unwrap().value, "{\"optime\":7}");
}

#[tokio::test]
async fn a_release_that_arrives_late_does_not_free_a_lock_that_was_renewed_since() {
    let kv = FakeKv::default();
    let one = dcs(&kv, "pg1");
    for round in 0..2 {
        if round == 0 {
            one.acquire_lock(TTL, &StatusRecord::default()).await;
        }
        one.load().await.unwrap();
        kv.lose(Lose::Late);
        assert!(matches!(one.release_lock(None).await, WriteOutcome::Unknown { .. }));
        kv.lose(Lose::Nothing);
        one.load().await.unwrap();
        assert!(is_held(&one.renew_lock(TTL, &[]).await));
        kv.arrive_late();
        assert!(kv.get(LEADER).is_some(), "round {round}: we have just renewed it");
        assert!(is_held(&one.renew_lock(TTL, &[]).await));
    }
    // What was put without our knowing is found and released all the same.
    kv.set(LEADER, "pg1");
    assert!(matches!(one.release_lock(None).await, WriteOutcome::Written { .. }));
    assert_eq!(kv.get(LEADER), None);
}

#[tokio::test]
async fn a_lock_taken_by_a_try_whose_answer_was_lost_is_recognised_as_ours() {
    let kv = FakeKv::default();
    let one = dcs(&kv, "pg1");
    touch(&one, TTL, true).await;
    kv.lose(Lose::FirstAnswers);
    assert!(is_held(&one.acquire_lock(TTL, &StatusRecord::default()).await));
}

#[tokio::test]
async fn without_any_answer_nobody_knows_whether_the_lock_is_ours() {
    for lose in [Lose::Requests, Lose::Answers] {
        let kv = FakeKv::default();
        let one = dcs(&kv, "pg1");
        touch(&one, TTL, true).await;
        kv.lose(lose);
        let outcome = one.acquire_lock(TTL, &StatusRecord::default()).await;
        assert!(matches!(outcome, LockOutcome::Unknown { .. }), "{lose:?}: {outcome:?}");
    }
}

#[tokio::test]
async fn the_deadline_counts_from_before_the_request() {
    let kv = FakeKv::default();
    let one = dcs(&kv, "pg1");
    let before = one.clock.now();
    let LockOutcome::Held { requested_at, ttl, .. } = one.acquire_lock(TTL, &StatusRecord::default()).await else {
        panic!("the lock is free");
    };
    assert_eq!(ttl, TTL);
    assert!(requested_at >= before && requested_at <= one.clock.now());
}

#[tokio::test]
async fn an_expired_lock_is_not_created_again_by_renewing_it() {
    let kv = FakeKv::default();
    let one = dcs(&kv, "pg1");
    one.acquire_lock(TTL, &StatusRecord::default()).await;
    kv.expire(kv.get(LEADER).unwrap().lease);
    assert_eq!(one.renew_lock(TTL, &[]).await, LockOutcome::Lost);
    assert_eq!(kv.get(LEADER), None);
}

#[tokio::test]
async fn status_is_written_by_the_lock_holder_alone() {
    let kv = FakeKv::default();
    let (one, two) = (dcs(&kv, "pg1"), dcs(&kv, "pg2"));
    one.acquire_lock(TTL, &StatusRecord::default()).await;
    let records = [(Key::Status, "{\"optime\":9}".to_owned())];
    assert_eq!(two.renew_lock(TTL, &records).await, LockOutcome::Lost);
    assert_eq!(kv.get("/service/demo/status").unwrap().value, "{\"optime\":0}");
    assert!(is_held(&one.renew_lock(TTL, &records).await));
    assert_eq!(kv.get("/service/demo/status").unwrap().value, "{\"optime\":9}");
}

#[tokio::test]
async fn what_only_the_holder_may_write_is_written_by_nobody_else() {
    let kv = FakeKv::default();
    let (one, two) = (dcs(&kv, "pg1"), dcs(&kv, "pg2"));
    assert!(is_held(&one.acquire_lock(TTL, &StatusRecord::default()).await));
    assert!(matches!(one.put_as_holder(&Key::Failsafe, "{}").await, WriteOutcome::Written { .. }));
    assert_eq!(two.put_as_holder(&Key::Failsafe, "late").await, WriteOutcome::Conflict);
    assert_eq!(kv.get("/service/demo/failsafe").unwrap().value, "{}");
}

#[tokio::test]
async fn a_changed_ttl_moves_lock_and_member_key_to_a_new_lease_without_losing_them() {
    let kv = FakeKv::default();
    let one = dcs(&kv, "pg1");
    one.acquire_lock(TTL, &StatusRecord::default()).await;
    touch(&one, TTL, true).await;
    let old = kv.get(LEADER).unwrap().lease;
    let longer = TTL * 2;
    assert!(is_held(&one.renew_lock(longer, &[]).await));
    touch(&one, longer, true).await;
    let lease = kv.get(LEADER).unwrap().lease;
    assert_ne!(lease, old);
    assert_eq!(kv.get(MEMBER).unwrap().lease, lease);
    assert_eq!(kv.leases().into_iter().collect::<Vec<_>>(), [(lease, 60)], "the old lease is revoked");
}

#[tokio::test]
async fn a_restarted_agent_takes_its_own_lock_over() {
    let kv = FakeKv::default();
    dcs(&kv, "pg1").acquire_lock(TTL, &StatusRecord::default()).await;
    let old = kv.get(LEADER).unwrap().lease;
    assert!(is_held(&dcs(&kv, "pg1").renew_lock(TTL, &[]).await));
    assert_ne!(kv.get(LEADER).unwrap().lease, old);
}

#[tokio::test]
async fn the_member_key_is_written_only_when_it_changed_and_never_keeps_a_doubtful_lock_alive() {
    let kv = FakeKv::default();
    let one = dcs(&kv, "pg1");
    touch(&one, TTL, true).await;
    kv.requests();
    touch(&one, TTL, true).await;
    assert_eq!(kv.requests(), ["lease_keepalive"]);
    touch(&one, TTL, false).await;
    assert_eq!(kv.requests(), Vec::<&str>::new());
}

#[tokio::test]
async fn a_member_key_that_vanished_is_written_again() {
    let kv = FakeKv::default();
    let one = dcs(&kv, "pg1");
    touch(&one, TTL, true).await;
    kv.expire(kv.get(MEMBER).unwrap().lease);
    one.load().await.unwrap();
    touch(&one, TTL, true).await;
    assert!(kv.get(MEMBER).is_some());
}

#[tokio::test]
async fn a_compare_and_set_whose_answer_was_lost_is_no_conflict() {
    let kv = FakeKv::default();
    let one = dcs(&kv, "pg1");
    kv.lose(Lose::FirstAnswers);
    let written = one.compare_and_set(&Key::Sync, 0, "{}").await;
    let WriteOutcome::Written { mod_revision } = written else { panic!("{written:?}") };
    kv.lose(Lose::Nothing);
    kv.set("/service/demo/sync", "{\"leader\":\"pg2\"}");
    assert_eq!(one.compare_and_set(&Key::Sync, mod_revision, "{\"leader\":\"pg1\"}").await, WriteOutcome::Conflict);
    kv.lose(Lose::Requests);
    assert!(matches!(one.compare_and_delete(&Key::Sync, 1).await, WriteOutcome::Unknown { .. }));
}

#[tokio::test]
async fn a_bootstrap_claim_found_after_a_lost_answer_may_be_somebody_elses() {
    let kv = FakeKv::default();
    kv.lose(Lose::FirstAnswers);
    assert_eq!(dcs(&kv, "pg1").create_once(&Key::Initialize, "").await, WriteOutcome::Conflict);
}
