//! Leaving one line out of a scenario draws nothing anew of what has nothing to do with it.
//!
//! Promised is that every draw depends on the seed, on what it is for, and on a count that only its owner moves. Until the left-out
//! line would have begun, two runs are therefore the same; afterwards they differ by what the line causes and by nothing else. What is
//! caused goes far: a write that comes later is streamed later, and a loop that took longer begins the next one later. The lines
//! here are chosen to cause nothing beyond the client that they slow.

use pgdrill_lab::{
    event::{At, Event, What},
    scenario,
    world::World,
};
use pgdrill_sim::SimWorld;

/// The reader: what happens to it is seen by nobody else.
const READER: &str = "client5";

const SLOW: &str = "  - { at: 20s, delay: { between: [client5, nodes], add: 150ms, jitter: 50ms }, for: 30s }\n";
const LOSSY: &str = "  - { at: 20s, loss: { between: [client5, nodes], probability: 0.3 }, for: 30s }\n";
const FROZEN: &str = "  - { at: 30s, freeze: { process: postgres, on: any replica }, for: 8s }\n";
const KILLED: &str = "  - { at: 30s, power_off: leader, for: 10s }\n";

fn play(lines: &[&str], seed: u64) -> Vec<Event> {
    let text = format!(
        "name: keyed\nabout: Lines that have nothing to do with each other.\ncluster: {{ nodes: 3, router: direct }}\n\
         timeline:\n{}duration: 70s\n",
        lines.concat()
    );
    let loaded = scenario::load_text("keyed.yaml".as_ref(), &text).unwrap_or_else(|e| panic!("{e:?}"));
    SimWorld.play(&loaded.scenario, seed).unwrap_or_else(|e| panic!("{e}")).events
}

/// What can be compared of events before `end`: operations are numbered through all clients, and events through all of them.
fn seen(events: &[Event], end: At, of: impl Fn(&Event) -> bool) -> Vec<String> {
    let line = |event: &Event| {
        let what = match &event.what {
            What::Invoke { .. } => "asks".to_owned(),
            What::Return { outcome, server, .. } => format!("{:?} by {server:?}", std::mem::discriminant(outcome)),
            What::Fault { text, phase, targets, .. } => format!("{text} {phase:?} {targets:?}"),
            other => format!("{other:?}"),
        };
        format!("{} {} {what}", event.at.0, event.node)
    };
    events.iter().filter(|event| event.at < end && of(event)).map(line).collect()
}

#[track_caller]
fn assert_same(what: &str, a: &[String], b: &[String]) {
    assert_eq!(a.iter().zip(b).find(|(x, y)| x != y), None, "{what}: the first difference");
    assert_eq!(a.len(), b.len(), "{what}");
}

#[test]
fn until_a_left_out_line_would_have_begun_everything_is_the_same() {
    for (seed, line) in [(1, SLOW), (2, LOSSY), (3, KILLED)] {
        let begins = At::from_secs(if line == KILLED { 30 } else { 20 });
        let (with, without) = (play(&[line, FROZEN], seed), play(&[FROZEN], seed));
        let before = |events: &[Event]| seen(events, begins, |_| true);
        assert!(before(&with).len() > 300, "{} events", before(&with).len());
        assert_same(line, &before(&with), &before(&without));
        assert_ne!(seen(&with, At(u64::MAX), |_| true), seen(&without, At(u64::MAX), |_| true), "{line} had no effect");
    }
}

#[test]
fn what_a_left_out_line_does_not_cause_is_the_same_to_the_nanosecond() {
    let others = |event: &Event| {
        let of_the_line = matches!(&event.what, What::Fault { text, .. } if text.contains(READER));
        // The end of the run is read when all is settled, and tells how many operations there were.
        event.node != READER && !of_the_line
    };
    for seed in 1..4 {
        for line in [SLOW, LOSSY] {
            let (with, without) = (play(&[line, FROZEN], seed), play(&[FROZEN], seed));
            let others = |events: &[Event]| seen(events, At::from_secs(70), others);
            assert!(others(&with).len() > 900, "{} events", others(&with).len());
            assert_same(&format!("seed {seed}, without {line}"), &others(&with), &others(&without));
        }
    }
}
