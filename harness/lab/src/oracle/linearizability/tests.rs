//! Hand-made histories of one key, and the sweep against the search on random ones.

use proptest::prelude::*;

use super::{Check, judge, registers, search};
use crate::{
    event::{Action, Outcome},
    history::script::Script,
    oracle::Finding,
    rules::Rules,
    scenario::SynchronousMode,
};

fn write(script: Script, id: u64, from: f64, to: f64) -> Script {
    script.operation(from, to, Action::Write { id, key: 0 }, Outcome::Acknowledged { value: None }, Some("pg1"))
}

fn unknown_write(script: Script, id: u64, from: f64, to: f64) -> Script {
    script.operation(from, to, Action::Write { id, key: 0 }, Outcome::Unknown { why: "time".into() }, None)
}

fn read(script: Script, value: Option<u64>, from: f64, to: f64) -> Script {
    script.operation(from, to, Action::Read { key: 0 }, Outcome::Acknowledged { value }, Some("pg1"))
}

fn led() -> Script {
    Script::new().leader(0.1, "pg1")
}

fn passes(script: &Script) -> bool {
    match judge(&Rules::default(), &script.history()) {
        Finding::Pass => true,
        Finding::Violated { .. } => false,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_read_of_the_last_write_passes() {
    assert!(passes(&read(write(write(led(), 1, 1.0, 1.1), 2, 2.0, 2.1), Some(2), 3.0, 3.1)));
}

#[test]
fn a_read_may_return_either_value_while_a_write_is_under_way() {
    for value in [1, 2] {
        assert!(passes(&read(write(write(led(), 1, 1.0, 1.1), 2, 2.0, 5.0), Some(value), 3.0, 3.1)), "{value}");
    }
}

#[test]
fn a_read_of_less_than_what_was_acknowledged_is_not_linearizable() {
    assert!(!passes(&read(write(write(led(), 1, 1.0, 1.1), 2, 2.0, 2.1), Some(1), 3.0, 3.1)));
    assert!(!passes(&read(write(led(), 1, 1.0, 1.1), None, 3.0, 3.1)));
}

#[test]
fn a_value_once_read_cannot_vanish_even_if_its_write_is_unknown() {
    let seen = read(unknown_write(write(led(), 1, 1.0, 1.1), 2, 2.0, 2.1), Some(2), 3.0, 3.1);
    assert!(passes(&seen));
    assert!(!passes(&read(seen, Some(1), 4.0, 4.1)));
}

#[test]
fn an_unknown_write_may_appear_late_or_never() {
    let unknown = unknown_write(write(led(), 1, 1.0, 1.1), 2, 2.0, 2.1);
    assert!(passes(&read(read(unknown, Some(1), 3.0, 3.1), Some(2), 9.0, 9.1)));
}

#[test]
fn a_value_that_nobody_had_sent_yet_is_not_linearizable() {
    assert!(!passes(&read(led(), Some(7), 1.0, 1.1)));
    assert!(!passes(&write(read(led(), Some(7), 1.0, 1.1), 7, 2.0, 2.1)));
}

#[test]
fn asynchronous_replication_promises_nothing_across_a_change_of_leadership() {
    let script = read(write(led(), 1, 1.0, 1.1).leader(5.0, "pg2"), None, 6.0, 6.1);
    assert!(matches!(judge(&Rules::default(), &script.history()), Finding::NotApplicable { .. }));
}

#[test]
fn synchronous_replication_promises_it_across_a_change_of_leadership() {
    let script = led().dcs(0.2, "sync", r#"{"leader":"pg1","sync_standby":"pg2"}"#);
    let script = write(script, 1, 1.0, 1.1).leader(5.0, "pg2");
    let stale = |server: &str| {
        let outcome = Outcome::Acknowledged { value: None };
        script.clone().operation(6.0, 6.1, Action::Read { key: 0 }, outcome, Some(server))
    };
    let rules = Rules { synchronous_mode: SynchronousMode::On, ..Rules::default() };
    assert_eq!(judge(&rules, &stale("pg2").history()).violations().len(), 1);
    // The old leader's answer is a matter of fencing.
    assert!(judge(&rules, &stale("pg1").history()).violations().is_empty());
}

#[test]
fn ids_out_of_order_are_searched() {
    // 3 is sent after 5 was acknowledged: the register stays at 5.
    let both = write(write(led(), 5, 1.0, 1.1), 3, 2.0, 2.1);
    assert!(passes(&read(both.clone(), Some(5), 3.0, 3.1)));
    assert!(!passes(&read(both, Some(3), 3.0, 3.1)));
}

proptest! {
    #[test]
    fn the_sweep_agrees_with_the_search(
        ops in proptest::collection::vec((0u8..3, 0u64..5, 1u64..60), 1..14),
    ) {
        let mut script = led();
        for (i, (kind, value, length)) in ops.iter().enumerate() {
            let from = 1.0 + i as f64;
            let to = from + *length as f64 / 10.0;
            script = match kind {
                0 => write(script, i as u64, from, to),
                1 => unknown_write(script, i as u64, from, to),
                _ => read(script, (*value > 0).then(|| (*value * 2).min(i as u64)), from, to),
            };
        }
        let history = script.history();
        let registers = registers(&history, true);
        let register = &registers[&0];
        let swept = register.contradiction().is_none();
        prop_assert_eq!(swept, matches!(search::check(register), Check::Linearizable));
    }
}
