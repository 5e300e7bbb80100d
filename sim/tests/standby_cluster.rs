//! A standby cluster in the simulator: its leader streams from the remote primary, is changed on request and by a failure, and nobody
//! is ever promoted.

use pgdrill_lab::{
    event::{Event, What},
    rules::Rules,
    scenario,
    verdict::{Judgement, Verdict, judge},
    world::World,
};
use pgdrill_sim::SimWorld;
use serde_json::Value;

fn scenario(settings: &str, timeline: &str) -> String {
    format!(
        "
name: standby-cluster
about: A second data centre follows the first.
cluster:
  router: direct
  patroni: {{ standby_cluster: {{ host: remote, primary_slot_name: dc2 }}{settings} }}
workload: {{ writers: 0, readers: 0 }}
timeline:
{timeline}
expect: {{ end: healthy }}
duration: 150s
"
    )
}

fn play(text: &str, seed: u64) -> (Judgement, Vec<Event>) {
    let loaded = scenario::load_text("standby-cluster.yaml".as_ref(), text).unwrap_or_else(|e| panic!("{e:?}"));
    let cannot = SimWorld.cannot(&loaded.scenario);
    assert!(cannot.is_empty(), "{cannot:?}");
    let recording = SimWorld.play(&loaded.scenario, seed).unwrap_or_else(|e| panic!("{e}"));
    (judge(&Rules::from(&loaded.scenario), &recording.events), recording.events)
}

/// The values that a key had, one after the other.
fn values<'e>(events: &'e [Event], wanted: &str) -> Vec<&'e str> {
    let value = |event: &'e Event| match &event.what {
        What::Dcs { key, value: Some(value), .. } if key == wanted => Some(value.as_str()),
        _ => None,
    };
    let mut values: Vec<_> = events.iter().filter_map(value).collect();
    values.dedup();
    values
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_default()
}

/// What holds of every run: the verdict, who led, that positions are published, and whom the leader streams from.
fn holds(text: &str, leaders: usize) {
    for seed in 1..3 {
        let (judgement, events) = play(text, seed);
        assert_eq!(judgement.verdict, Verdict::Pass, "seed {seed}: {} {:#?}", judgement.reason, judgement.violations);
        let led = values(&events, "leader");
        assert_eq!(led.len(), leaders, "seed {seed}: {led:?}");
        let optimes: Vec<_> =
            values(&events, "status").into_iter().filter_map(|status| json(status)["optime"].as_u64()).collect();
        assert!(optimes.len() > 3 && optimes.is_sorted(), "seed {seed}: {optimes:?}");
        let last = led.last().expect("somebody leads");
        let streams_from = events.iter().rev().find_map(|event| match &event.what {
            What::Sql { state: Some(state), .. } if event.node == **last => Some(state.streaming_from.clone()),
            _ => None,
        });
        assert_eq!(streams_from.flatten().as_deref(), Some("remote"), "seed {seed}");
        let roles: Vec<_> = ["pg1", "pg2", "pg3"]
            .map(|node| {
                json(values(&events, &format!("members/{node}")).last().copied().unwrap_or_default())["role"].clone()
            })
            .into_iter()
            .filter(|role| role == "standby_leader")
            .collect();
        assert_eq!(roles.len(), 1, "seed {seed}");
        assert!(values(&events, "history").is_empty() && values(&events, "sync").is_empty(), "seed {seed}");
    }
}

#[test]
fn a_switchover_is_carried_out_and_its_request_cleared_with_and_without_synchronous_mode() {
    for settings in ["", ", synchronous_mode: true"] {
        let text = scenario(
            settings,
            "  - { at: 30s, switchover: { candidate: any replica } }\n  - { at: 80s, switchover: {} }",
        );
        holds(&text, 3);
        let (_, events) = play(&text, 1);
        assert_eq!(values(&events, "failover").last(), Some(&"{}"), "{settings}");
    }
}

#[test]
fn another_member_leads_when_the_leader_ends_and_the_request_that_named_it_is_cleared() {
    let timeline = "  - { at: 30s, switchover: { after: 60s } }\n  - { at: 50s, stop: { process: agent, on: leader }, as: old }\n  \
                    - { at: 100s, start: { process: agent, on: old } }";
    holds(&scenario("", timeline), 2);
    let power = "  - { at: 30s, power_off: leader, as: old }\n  - { at: 90s, power_on: old }";
    holds(&scenario("", power), 2);
}

#[test]
fn a_leader_whose_server_crashes_starts_as_a_standby_again() {
    holds(&scenario("", "  - { at: 30s, kill: { process: postgres, on: leader } }"), 1);
}

#[test]
fn what_has_no_remote_primary_here_is_said_to_be_unsupported() {
    let elsewhere = scenario("", "  - { at: 30s, switchover: {} }").replace("host: remote", "host: dc1");
    let loaded = scenario::load_text("standby-cluster.yaml".as_ref(), &elsewhere).unwrap_or_else(|e| panic!("{e:?}"));
    assert!(SimWorld.cannot(&loaded.scenario)[0].contains("`host: remote`"));
}
