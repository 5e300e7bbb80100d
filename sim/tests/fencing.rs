//! The dead-man process acts when its agent cannot, and never on a healthy agent.
//!
//! `PGDRILL_FENCING_SEEDS=200 cargo test -p pgdrill-sim --test fencing` plays that many seeds of every quiet and operator
//! scenario; without it a few.

use std::{collections::BTreeSet, time::Duration};

use pgdrill_lab::{
    event::{At, Event, ProcessState, What},
    scenario,
    world::World,
};
use pgdrill_sim::SimWorld;

fn play(text: &str, seed: u64) -> Vec<Event> {
    let loaded = scenario::load_text("fencing.yaml".as_ref(), text).unwrap_or_else(|e| panic!("{e:?}"));
    SimWorld.play(&loaded.scenario, seed).unwrap_or_else(|e| panic!("{e}")).events
}

fn seeds() -> u64 {
    let asked = std::env::var("PGDRILL_FENCING_SEEDS").ok();
    asked.map_or(2, |seeds| seeds.parse().expect("PGDRILL_FENCING_SEEDS is a number of seeds"))
}

/// Where and when a dead-man process has acted.
fn fired(events: &[Event]) -> Vec<(At, String)> {
    let fires = |e: &&Event| matches!(&e.what, What::Note { text } if text.starts_with("the dead-man process fires"));
    events.iter().filter(fires).map(|e| (e.at, e.node.clone())).collect()
}

fn states(events: &[Event], wanted: &str, state: ProcessState) -> usize {
    let is =
        |e: &&Event| matches!(&e.what, What::Process { process, state: s, .. } if process == wanted && *s == state);
    events.iter().filter(is).count()
}

/// What healthy agents live through: nothing at all, slow networks, and everything operators do.
const HEALTHY: &[(&str, &str, &str)] = &[
    ("quiet", "", ""),
    ("required", "fencing: required", ""),
    ("synchronous", "patroni: { synchronous_mode: true }", ""),
    ("short times", "patroni: { ttl: 20, loop_wait: 5, retry_timeout: 5 }", ""),
    ("switchover", "", "  - { at: 20s, switchover: {} }\n  - { at: 70s, switchover: {} }\n"),
    ("failover", "", "  - { at: 20s, failover: { candidate: any replica } }\n"),
    ("restart", "", "  - { at: 20s, restart: leader }\n  - { at: 60s, restart: replicas }\n"),
    ("reinitialize", "", "  - { at: 20s, reinitialize: any replica }\n"),
    ("pause", "", "  - { at: 20s, pause: cluster, for: 60s }\n"),
    (
        "agent restarted in pause",
        "",
        "  - { at: 20s, pause: cluster, for: 80s }\n  - { at: 40s, kill: { process: agent, on: leader }, for: 45s }\n",
    ),
    ("agents stopped and started", "", "  - { at: 20s, stop: { process: agent, on: leader }, for: 30s }\n"),
    ("agent killed and back", "", "  - { at: 20s, kill: { process: agent, on: leader }, for: 8s }\n"),
    ("ttl edited", "", "  - { at: 20s, edit_config: { ttl: 60 } }\n  - { at: 70s, edit_config: { ttl: 30 } }\n"),
    ("PostgreSQL killed", "", "  - { at: 20s, kill: { process: postgres, on: leader } }\n"),
    ("dead-man killed", "", "  - { at: 20s, kill: { process: deadman, on: nodes } }\n"),
    ("dead-man frozen", "", "  - { at: 20s, freeze: { process: deadman, on: nodes }, for: 60s }\n"),
    ("agent frozen shortly", "", "  - { at: 20s, freeze: { process: agent, on: leader }, for: 15s }\n"),
    ("etcd leader killed", "", "  - { at: 20s, kill: { process: etcd, on: etcd leader }, for: 40s }\n"),
    ("slow etcd", "", "  - { at: 20s, delay: { between: [nodes, etcd], add: 300ms }, for: 60s }\n"),
];

#[test]
fn a_healthy_agent_is_never_fenced() {
    for (name, cluster, timeline) in HEALTHY {
        let timeline = if timeline.is_empty() { String::new() } else { format!("timeline:\n{timeline}") };
        let text =
            format!("name: fencing\nabout: Healthy, {name}.\ncluster: {{ {cluster} }}\n{timeline}duration: 130s\n");
        for seed in 0..seeds() {
            let events = play(&text, seed);
            assert!(states(&events, "deadman", ProcessState::Started) >= 3, "{name}: no dead-man process runs");
            assert_eq!(fired(&events), [], "{name}, seed {seed}");
        }
    }
}

/// The last time before which the lock was renewed cannot be more than `ttl` before the stop, nor the stop before its end.
#[test]
fn a_frozen_or_killed_agents_postgresql_is_stopped_when_its_lease_ends() {
    for fault in ["freeze", "kill"] {
        let text = format!(
            "name: fencing\nabout: The agent of the leader is gone.\ncluster: {{ router: direct }}\n\
             timeline:\n  - {{ at: 40s, {fault}: {{ process: agent, on: leader }} }}\nduration: 100s\n"
        );
        for seed in 0..seeds() {
            let events = play(&text, seed);
            let fired = fired(&events);
            let [(at, node)] = &fired[..] else { panic!("{fault}, seed {seed}: {fired:?}") };
            let at = Duration::from_nanos(at.0);
            let lease = Duration::from_secs(60)..Duration::from_millis(70_100);
            assert!(lease.contains(&at), "{fault}, seed {seed}: at {at:?}");
            let lost = |e: &&Event| matches!(&e.what, What::Dcs { key, value: None, .. } if key == "leader");
            let gone = events.iter().find(lost).expect("the lease ends").at;
            assert!(at <= Duration::from_nanos(gone.0), "{fault}, seed {seed}: {at:?} is after the lock was free");
            let stopped = |e: &&Event| {
                let ended = |s: ProcessState| matches!(s, ProcessState::Exited | ProcessState::Killed);
                e.node == *node
                    && matches!(&e.what, What::Process { process, state, .. } if process == "postgres" && ended(*state))
            };
            let stopped = events.iter().find(stopped).expect("PostgreSQL ends").at;
            assert!(Duration::from_nanos(stopped.0) < at + Duration::from_millis(600), "{fault}, seed {seed}");
        }
    }
}

#[test]
fn a_postmaster_that_stands_still_itself_is_killed() {
    let text = "name: fencing\nabout: Agent and postmaster stand still.\ncluster: { router: direct }\ntimeline:\n\
                \x20 - { at: 40s, freeze: { process: agent, on: leader }, as: old }\n\
                \x20 - { at: 41s, freeze: { process: postgres, on: old } }\nduration: 100s\n";
    for seed in 0..seeds() {
        let events = play(text, seed);
        let nodes: BTreeSet<String> = fired(&events).into_iter().map(|(_, node)| node).collect();
        assert_eq!(nodes.len(), 1, "seed {seed}");
        assert_eq!(states(&events, "postgres", ProcessState::Killed), 1, "seed {seed}");
    }
}

#[test]
fn off_is_off() {
    let text = "name: fencing\nabout: Nobody stops PostgreSQL.\ncluster: { router: direct, fencing: off }\ntimeline:\n\
                \x20 - { at: 40s, freeze: { process: agent, on: leader } }\nduration: 100s\n";
    let events = play(text, 1);
    assert_eq!(fired(&events), []);
    assert_eq!(states(&events, "deadman", ProcessState::Started), 0);
}
