//! The alarm rings: scenarios in which PostgreSQL's and Patroni's own limits break a rule must fail, with the right word.
//!
//! Nothing is planted here. Each scenario does what its documentation warns of, and says that it expects no such thing; a lab
//! in which these pass could not be believed when it says that others do.

use std::collections::BTreeSet;

use pgdrill_lab::{
    rules::Rules,
    scenario,
    verdict::{Judgement, Verdict, judge},
    world::World,
};
use pgdrill_sim::SimWorld;

fn judged(text: &str, seed: u64) -> Judgement {
    let loaded = scenario::load_text("alarm.yaml".as_ref(), text).unwrap_or_else(|e| panic!("{e:?}"));
    let recording = SimWorld.play(&loaded.scenario, seed).unwrap_or_else(|e| panic!("{e}"));
    judge(&Rules::from(&loaded.scenario), &recording.events)
}

/// Every seed fails, and for these reasons among others.
fn rings(text: &str, expected: &[&str]) {
    for seed in 1..3 {
        let judgement = judged(text, seed);
        let codes: BTreeSet<&str> = judgement.violations.iter().map(|violation| violation.code()).collect();
        assert_eq!(judgement.verdict, Verdict::Fail, "seed {seed}: {}", judgement.reason);
        let missed: Vec<&&str> = expected.iter().filter(|code| !codes.contains(**code)).collect();
        assert!(missed.is_empty(), "seed {seed}: no {missed:?} among {codes:?}");
    }
}

/// Patroni's documentation, "Watchdog support": without one, a frozen agent leaves a primary that takes writes. Patroni has no
/// dead-man process, so there is none here.
#[test]
fn a_frozen_agent_without_a_watchdog_makes_two_writers() {
    let text = "
name: alarm
about: The leader's agent stands still, and nothing resets its host.
cluster: { nodes: 3, etcd: 3, router: direct, watchdog: off, fencing: off }
timeline:
  - { at: 20s, freeze: { process: agent, on: leader }, as: old }
  - { at: 70s, cut: { between: [old, client1 + client2] }, for: 20s }
  - { at: 110s, thaw: { process: agent, on: old } }
expect: { lost_writes: 0, end: healthy }
duration: 150s
";
    rings(text, &["two_writers", "fencing_margin", "lost_writes_over_budget"]);
}

/// Patroni's documentation, "Replication modes": asynchronous replication loses what had not left the primary.
#[test]
fn a_replica_that_lags_behind_a_lost_leader_loses_writes() {
    let text = "
name: alarm
about: The replicas get no WAL for twenty seconds, then the leader dies for good.
cluster: { nodes: 3, etcd: 3, router: haproxy }
timeline:
  - { at: 20s, cut: { between: [leader, replicas] } }
  - { at: 40s, power_off: leader }
expect: { lost_writes: 0, leader_changes: 0, end: writable }
duration: 110s
";
    rings(text, &["lost_writes_over_budget", "leader_changes_off_budget"]);
}

/// A cluster that has lost its quorum for good is not well at the end.
#[test]
fn a_cluster_that_cannot_recover_is_told_apart_from_one_that_can() {
    let text = "
name: alarm
about: Two of three etcd members never come back.
cluster: { nodes: 3, etcd: 3, router: haproxy, patroni: { ttl: 20, loop_wait: 5, retry_timeout: 5 } }
timeline:
  - { at: 20s, power_off: etcd followers }
expect: { outage: { max: 60s }, end: healthy }
duration: 140s
";
    rings(text, &["not_recovered", "outage_over_budget"]);
}

/// A test whose fault hits nobody proves nothing, however well the cluster looks.
#[test]
fn a_fault_without_an_effect_does_not_pass() {
    let text = "
name: alarm
about: An etcd member is cut off from a client that never speaks to it.
cluster: { nodes: 3, etcd: 3, router: haproxy }
timeline:
  - { at: 20s, cut: { between: [etcd1, client1] }, for: 10s }
expect: { end: healthy }
duration: 60s
";
    let judgement = judged(text, 1);
    assert_eq!(judgement.verdict, Verdict::Vacuous, "{}", judgement.reason);
}
