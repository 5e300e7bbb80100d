//! Two faults of one kind at a time: the end of the shorter one leaves the longer one standing.

use std::{collections::BTreeMap, time::Duration};

use pgdrill_lab::{
    event::{At, Event, Outcome, ProcessState, What},
    scenario,
    world::World,
};
use pgdrill_sim::SimWorld;

/// Plays a cluster of three whose clients connect directly, with two lines of a timeline.
fn play(lines: &str) -> Vec<Event> {
    let text = format!(
        "name: overlap\nabout: Two faults of one kind; the end of one leaves the other.\n\
         cluster: {{ nodes: 3, router: direct }}\ntimeline:\n{lines}duration: 100s\n"
    );
    let loaded = scenario::load_text("overlap.yaml".as_ref(), &text).unwrap_or_else(|e| panic!("{e:?}"));
    SimWorld.play(&loaded.scenario, 1).unwrap_or_else(|e| panic!("{e}")).events
}

/// How long each acknowledged operation took that was sent in this time, in seconds, the quickest first.
fn trips(events: &[Event], from_s: u64, to_s: u64) -> Vec<Duration> {
    let mut sent: BTreeMap<u64, At> = BTreeMap::new();
    let mut trips = vec![];
    for event in events {
        match &event.what {
            What::Invoke { op, .. } => _ = sent.insert(*op, event.at),
            What::Return { op, outcome: Outcome::Acknowledged { .. }, .. } => {
                let began = sent[op];
                if (At::from_secs(from_s)..At::from_secs(to_s)).contains(&began) {
                    trips.push(event.at.since(began));
                }
            }
            _ => {}
        }
    }
    trips.sort_unstable();
    assert!(trips.len() > 3, "{} operations from {from_s} to {to_s} s", trips.len());
    trips
}

fn median(trips: &[Duration]) -> Duration {
    trips[trips.len() / 2]
}

/// Each kind of fault that slows clients: the longer one, the shorter one, and how long an operation takes at least with the
/// longer one alone (half of them, where that is a matter of chance), in milliseconds.
const SLOW: &[(&str, &str, u64)] = &[
    ("delay: { between: [leader, clients], add: 700ms }", "delay: { between: [leader, clients], add: 300ms }", 1_400),
    ("delay: { between: [leader, clients], add: 300ms }", "delay: { between: [leader, clients], add: 700ms }", 600),
    (
        "bandwidth: { between: [leader, clients], rate: 1kB/s }",
        "bandwidth: { between: [leader, clients], rate: 500kB/s }",
        100,
    ),
    (
        "loss: { between: [leader, clients], probability: 0.5 }",
        "loss: { between: [leader, clients], probability: 0.1 }",
        100,
    ),
    ("slow_fsync: { on: leader, delay: 400ms }", "slow_fsync: { on: leader, delay: 50ms }", 100),
];

#[test]
fn the_end_of_a_shorter_fault_leaves_the_longer_one_standing() {
    for (long, short, least_ms) in SLOW {
        let events = play(&format!("  - {{ at: 20s, {long}, for: 60s }}\n  - {{ at: 25s, {short}, for: 5s }}\n"));
        let least = Duration::from_millis(*least_ms);
        let natural = median(&trips(&events, 2, 19));
        assert!(natural < least / 2, "{long}: {natural:?} before any fault");
        let alone = median(&trips(&events, 32, 75));
        assert!(alone >= least, "{long}: {alone:?} after the end of {short}");
        let healed = median(&trips(&events, 88, 98));
        assert!(healed < least / 2, "{long}: {healed:?} when all is over");
    }
}

#[test]
fn a_process_that_two_faults_keep_frozen_or_down_goes_on_when_both_are_over() {
    let cases = [
        ("freeze: { process: postgres, on: pg2 }", "freeze: { process: postgres, on: pg2 }", ProcessState::Thawed),
        ("freeze: { on: pg2 }", "freeze: { on: pg2 }", ProcessState::Thawed),
        // It ends when its PostgreSQL has, and is killed meanwhile.
        ("stop: { process: agent, on: leader }", "kill: { process: agent, on: leader }", ProcessState::Started),
    ];
    for (long, short, back) in cases {
        let events = play(&format!("  - {{ at: 20s, {long}, for: 60s }}\n  - {{ at: 20s, {short}, for: 5s }}\n"));
        let process = if short.contains("agent") { "agent" } else { "" };
        let back = |e: &&Event| match &e.what {
            What::Process { process: p, state, .. } => *state == back && p.contains(process) && e.at.secs() > 20.0,
            _ => false,
        };
        let went_on = events.iter().find(back).unwrap_or_else(|| panic!("{long}: it never went on"));
        assert!((80.0..90.0).contains(&went_on.at.secs()), "{long}: at {}", went_on.at);
    }
}

#[test]
fn maintenance_mode_and_paused_replay_last_until_the_longer_one_ends() {
    let events = play("  - { at: 20s, pause: cluster, for: 60s }\n  - { at: 25s, pause: cluster, for: 5s }\n");
    let unpaused = |e: &&Event| match &e.what {
        What::Dcs { key, value: Some(config), .. } => {
            key == "config" && !config.contains("pause") && e.at.secs() > 20.0
        }
        _ => false,
    };
    let ended = events.iter().find(unpaused).expect("it ends");
    assert!(ended.at.secs() >= 80.0, "maintenance mode ended at {}", ended.at);

    let events = play("  - { at: 20s, replay_pause: pg2, for: 60s }\n  - { at: 25s, replay_pause: pg2, for: 5s }\n");
    // The agent resumes paused replay in its next round, as Patroni does: what shows is who is told to resume, and when.
    let undone = |e: &&Event| matches!(&e.what, What::Note { text } if text.contains("pg_wal_replay_resume"));
    let undone: Vec<u64> = events.iter().filter(undone).map(|e| e.at.secs() as u64).collect();
    assert_eq!(undone, [80]);
}
