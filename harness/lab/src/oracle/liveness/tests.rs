//! Hand-made histories: one that passes, one that fails, one that nobody can judge.

use super::judge;
use crate::{
    event::{FaultPhase, ProcessState, What},
    history::script::{Script, primary, standby},
    oracle::Finding,
    rules::Rules,
    scenario::{SynchronousMode, Tags, WatchdogMode},
};

/// The default bound is 2 * 10 + 10 + 2 + 1 = 33 s.
fn why(rules: &Rules, script: &Script) -> Option<String> {
    match judge(rules, &script.history()) {
        Finding::Pass => None,
        Finding::Violated { violations } => Some(violations[0].to_string()),
        other => panic!("{other:?}"),
    }
}

fn synchronous(strict: bool) -> Rules {
    Rules { synchronous_mode: SynchronousMode::On, synchronous_mode_strict: strict, ..Rules::default() }
}

/// pg1 leads with `optime`, and loses the key at 50 s. Everybody has a member key.
fn lost_at_50(optime: u64) -> Script {
    let members = ["pg1", "pg2", "pg3"];
    let script = members.iter().fold(Script::new(), |script, name| script.dcs(1.0, &format!("members/{name}"), "{}"));
    script.leader(1.0, "pg1").dcs(2.0, "status", &format!(r#"{{"optime":{optime}}}"#)).no_leader(50.0)
}

/// A node answers as a standby at this position, each second.
fn answers(script: Script, node: &str, lsn: u64, from: u32, until: u32) -> Script {
    (from..until).fold(script, |script, second| script.sql(second.into(), node, Some(standby(1, lsn, ""))))
}

fn sync(script: Script, seconds: f64, leader: &str, standbys: &str) -> Script {
    script.dcs(seconds, "sync", &format!(r#"{{"leader":"{leader}","quorum":0,"sync_standby":"{standbys}"}}"#))
}

#[test]
fn a_node_that_may_lead_and_does_not_for_longer_than_the_bound_is_a_violation() {
    let script = answers(lost_at_50(5_000), "pg2", 4_000, 50, 90);
    let said = why(&Rules::default(), &script).expect("nobody led");
    assert!(said.starts_with("85.000s nobody_leads: nobody leads for 33000 ms although pg2 may"), "{said}");
    assert!(said.contains("lags 1000 bytes"), "{said}");
}

#[test]
fn somebody_who_leads_in_time_ends_the_question() {
    let script = answers(lost_at_50(5_000), "pg2", 4_000, 50, 90).leader(80.0, "pg3");
    assert_eq!(why(&Rules::default(), &script), None);
    assert_eq!(why(&Rules::default(), &answers(lost_at_50(5_000), "pg2", 4_000, 50, 80)), None, "the run ended before");
}

#[test]
fn a_node_that_must_not_lead_need_not() {
    let fit = |script: Script| answers(script, "pg2", 4_000, 50, 120);
    let rules = Rules::default();
    assert_eq!(why(&rules, &fit(lost_at_50(9_000_000))), None, "it lags too far");
    assert_eq!(why(&rules, &fit(lost_at_50(5_000)).dcs(3.0, "config", r#"{"pause":true}"#)), None);
    assert_eq!(why(&rules, &fit(lost_at_50(5_000)).process(40.0, "pg2", "agent", ProcessState::Killed)), None);
    assert_eq!(why(&rules, &fit(lost_at_50(5_000)).key(51.0, "members/pg2", None)), None);
    assert_eq!(
        why(&rules, &fit(lost_at_50(5_000)).sql(45.0, "pg3", Some(primary(1, 5_000)))),
        None,
        "a primary is alive"
    );
    let nofailover = Tags { nofailover: Some(true), ..Tags::default() };
    let rules = Rules { tags: [("pg2".to_owned(), nofailover)].into(), ..rules };
    assert_eq!(why(&rules, &fit(lost_at_50(5_000))), None);
}

#[test]
fn the_time_counts_from_when_the_node_was_fit() {
    let interrupted = answers(lost_at_50(5_000), "pg2", 4_000, 50, 75).sql(75.0, "pg2", None);
    let script = answers(interrupted, "pg2", 4_000, 76, 105);
    assert_eq!(why(&Rules::default(), &script), None);
    let started = answers(lost_at_50(5_000), "pg2", 4_000, 50, 130)
        .process(30.0, "pg2", "agent", ProcessState::Killed)
        .process(90.0, "pg2", "agent", ProcessState::Started);
    assert!(why(&Rules::default(), &started).is_some_and(|why| why.starts_with("124.000s")), "its agent came at 90 s");
}

#[test]
fn a_fault_that_hinders_in_unseen_ways_is_not_judged_but_what_has_ended_is_seen() {
    let fit = answers(lost_at_50(5_000), "pg2", 4_000, 50, 200);
    let killed = fit.clone().fault(49.0, FaultPhase::Applied);
    assert!(why(&Rules::default(), &killed).is_some());
    let cut = Rules { hindering: [0].into(), ..Rules::default() };
    assert_eq!(why(&cut, &killed), None, "it stands");
    let healed = killed.fault(100.0, FaultPhase::Ended);
    assert!(why(&cut, &healed).is_some_and(|why| why.starts_with("164.000s")), "ttl after its end");
    let etcd = fit.push(
        49.0,
        "lab",
        What::Fault { index: 0, text: "stop etcd1".into(), phase: FaultPhase::Applied, targets: vec!["etcd1".into()] },
    );
    assert_eq!(why(&Rules::default(), &etcd), None, "without etcd nobody can");
}

#[test]
fn in_synchronous_mode_it_is_for_those_that_sync_names() {
    let fit = |script| answers(answers(script, "pg2", 4_000, 50, 100), "pg3", 4_000, 50, 100);
    let named = sync(fit(lost_at_50(5_000)), 3.0, "pg1", "pg3");
    assert!(why(&synchronous(false), &named).is_some_and(|why| why.contains("pg3 may: /sync names it")));
    assert_eq!(why(&synchronous(false), &sync(fit(lost_at_50(5_000)), 3.0, "pg1", "pg9")), None);
    let switched = sync(fit(lost_at_50(5_000)), 3.0, "pg1", "").dcs(4.0, "config", r#"{"synchronous_mode":false}"#);
    assert!(why(&synchronous(false), &switched).is_some(), "the mode in force counts");
}

/// Three nodes: pg2, pg3, then pg1 are stopped, and pg2 and pg3 are started.
#[test]
fn strict_the_standby_that_left_last_has_everything() {
    let stopped = sync(sync(lost_at_50(5_000), 3.0, "pg1", "pg2"), 20.0, "pg1", "pg3").write("pg1", 29.0, 29.1);
    let stopped = sync(stopped, 30.0, "pg1", "").refused(31.0, 40.0);
    let script = answers(answers(stopped, "pg2", 4_000, 60, 120), "pg3", 5_000, 60, 120);
    let said = why(&synchronous(true), &script).expect("pg3 has everything");
    assert!(said.contains("pg3 may: it was the last synchronous standby, until 30.000s"), "{said}");
    assert_eq!(why(&synchronous(false), &script), None, "not strict, the primary went on alone");
    let one_more = script.write("pg1", 32.0, 32.1);
    assert_eq!(why(&synchronous(true), &one_more), None, "perhaps somebody else confirmed that one");
    let alone = (28..36).fold(one_more, |script, second| script.sql(second.into(), "pg2", None));
    assert!(why(&synchronous(true), &alone).is_some(), "nobody else was there");
    assert_eq!(why(&synchronous(true), &alone.sql(31.5, "pg2", Some(standby(1, 5_000, "pg1")))), None);
}

#[test]
fn in_quorum_mode_so_many_voters_must_be_well_that_one_has_everything() {
    let rules = Rules { synchronous_mode: SynchronousMode::Quorum, ..Rules::default() };
    let script = lost_at_50(5_000).dcs(3.0, "sync", r#"{"leader":"pg1","quorum":1,"sync_standby":"pg2,pg3"}"#);
    let one = answers(script, "pg2", 4_000, 50, 100);
    assert_eq!(why(&rules, &one), None);
    assert!(
        why(&rules, &answers(one, "pg3", 4_000, 50, 100)).is_some_and(|why| why.contains("2 of 2 voters are well"))
    );
}

#[test]
fn a_request_that_is_neither_carried_out_nor_refused_is_a_violation() {
    let led = |until: u32| {
        let script = Script::new().leader(1.0, "pg1").dcs(1.0, "members/pg1", "{}");
        answers(script, "pg1", 9, 10, until).dcs(20.0, "failover", r#"{"leader":"pg1","member":"pg2"}"#)
    };
    let said = why(&Rules::default(), &led(60)).expect("it stays");
    assert!(
        said.contains("request_ignored: the request from pg1 to pg2 is neither carried out nor cleared by pg1"),
        "{said}"
    );
    assert_eq!(why(&Rules::default(), &led(50)), None, "there was no time for it");
    assert_eq!(why(&Rules::default(), &led(60).dcs(30.0, "failover", "{}")), None, "cleared");
    let scheduled = r#"{"leader":"pg1","scheduled_at":"2026-12-01T00:00:00+00:00"}"#;
    assert_eq!(why(&Rules::default(), &led(60).dcs(21.0, "failover", scheduled)), None);
    let paused = led(60).dcs(15.0, "config", r#"{"pause":true}"#);
    assert_eq!(why(&Rules::default(), &paused), None);
}

#[test]
fn what_cannot_be_seen_is_not_judged() {
    assert!(matches!(judge(&Rules::default(), &Script::new().history()), Finding::Unknown { .. }));
    let rules = Rules { watchdog: WatchdogMode::Required, ..Rules::default() };
    assert!(matches!(judge(&rules, &lost_at_50(5_000).history()), Finding::NotApplicable { .. }));
}
