//! Every way in which a run can end, with worlds made up for it.

use std::{cell::Cell, path::Path, sync::Arc};

use pgdrill_lab::{
    event::{At, Event, What},
    rules::Rules,
    scenario::{Scenario, load_text},
};
use pgdrill_reports::Reproduce;

use super::*;

/// A world that does what its closure says; the number tells the first time from the second.
struct Made<F>(F, Cell<u64>);

impl<F: Fn(u64) -> Result<Recording, PlayError>> World for Made<F> {
    fn name(&self) -> &'static str {
        "made"
    }

    fn cannot(&self, _: &Scenario) -> Vec<String> {
        Vec::new()
    }

    fn play(&self, _: &Scenario, _: u64) -> Result<Recording, PlayError> {
        self.1.set(self.1.get() + 1);
        (self.0)(self.1.get())
    }
}

fn recording(text: &str, trace_hash: u64) -> Recording {
    let what = What::Note { text: text.to_owned() };
    let events = vec![Event { at: At(0), ordinal: 0, node: "lab".into(), what }];
    Recording { events, played_ns: 5_000_000_000, trace_hash: Some(trace_hash) }
}

fn played(twice: bool, world: impl Fn(u64) -> Result<Recording, PlayError>) -> Run {
    let text = "name: made\nabout: Made up.\nduration: 20s\n";
    let scenario = load_text(Path::new("made.yaml"), text).expect("it is a scenario").scenario;
    let rules = Arc::new(Rules::from(&scenario));
    let reproduce = Reproduce { twice, ..Reproduce::new("made.yaml", 1) };
    let task = Task { label: "made".into(), scenario: Arc::new(scenario), rules, does_not_apply: None, reproduce };
    play(&Made(world, Cell::new(0)), &task)
}

#[test]
fn what_was_played_is_judged_with_its_events_and_times() {
    let run = played(false, |_| Ok(recording("a", 1)));
    assert!(matches!(run.ending, Ending::Judged(_)), "{:?}", run.ending);
    assert_eq!((run.events.len(), run.played, run.trace_hash), (1, Duration::from_secs(5), Some(1)));
}

#[test]
fn a_panic_of_the_lab_is_an_ending_with_its_words() {
    let run = played(false, |_| panic!("index {} is out of bounds", 7));
    assert!(matches!(&run.ending, Ending::Crashed(why) if why == "index 7 is out of bounds"), "{:?}", run.ending);
}

#[test]
fn what_could_not_be_played_keeps_what_was_seen_until_then() {
    let run = played(false, |_| Err(PlayError { message: "no memory".into(), events: recording("a", 1).events }));
    assert!(matches!(&run.ending, Ending::Unplayable(why) if why == "no memory"), "{:?}", run.ending);
    assert_eq!(run.events.len(), 1);
}

#[test]
fn twice_the_same_is_judged_and_any_difference_is_named() {
    assert!(matches!(played(true, |_| Ok(recording("a", 1))).ending, Ending::Judged(_)));
    let different = |world: fn(u64) -> Result<Recording, PlayError>| match played(true, world).ending {
        Ending::Unreproducible(why) => why,
        other => panic!("{other:?}"),
    };
    assert!(different(|time| Ok(recording(&time.to_string(), 1))).contains("the first difference is event 0"));
    assert!(different(|time| Ok(recording("a", time))).contains("trace hash 0000000000000001, then 0000000000000002"));
    let once = |time| if time == 1 { Ok(recording("a", 1)) } else { panic!("again") };
    assert!(different(once).contains("the second time the lab crashed: again"));
}

#[test]
fn without_twice_a_scenario_is_played_once() {
    let run = played(false, |time| if time == 1 { Ok(recording("a", 1)) } else { panic!("played again") });
    assert!(matches!(run.ending, Ending::Judged(_)), "{:?}", run.ending);
}
