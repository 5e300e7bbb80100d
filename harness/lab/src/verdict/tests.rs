//! Whole runs judged: a simulated cluster of one register, and what breaks it. How fast runs are judged is told by the benchmark of
//! the simulator.

use proptest::prelude::*;

use super::{ExitCode, Judgement, Verdict, explain, judge};
use crate::{
    event::{Action, FaultPhase, Outcome, Slot, What},
    history::script::{Script, primary, standby},
    rules::Rules,
    scenario::{Bounds, Expect},
};

/// What one client does next in the cluster of one register: writes, reads, or loses the answer of a write, which then was
/// applied or not.
#[derive(Clone, Copy, Debug)]
enum Next {
    Write,
    Read,
    Lost { applied: bool },
    Refused,
}

/// Plays operations one after the other against a register that one leader keeps, without faults. Returns the script and
/// the ids of the acknowledged writes.
fn one_register(ops: &[Next]) -> (Script, Vec<u64>, Vec<u64>) {
    let mut script = Script::new().leader(0.1, "pg1").dcs(0.2, "initialize", "7412345678901234567");
    let (mut rows, mut acknowledged) = (Vec::new(), Vec::new());
    for (i, next) in ops.iter().enumerate() {
        let (id, from) = (i as u64, 1.0 + i as f64 / 10.0);
        let (action, outcome) = match next {
            Next::Write => (Action::Write { id, key: (id % 4) as u32 }, Outcome::Acknowledged { value: None }),
            Next::Lost { .. } => (Action::Write { id, key: (id % 4) as u32 }, Outcome::Unknown { why: "cut".into() }),
            Next::Refused => (Action::Write { id, key: (id % 4) as u32 }, Outcome::Refused { why: "no".into() }),
            Next::Read => {
                let key = (id % 4) as u32;
                let value = rows.iter().copied().filter(|row| row % 4 == u64::from(key)).max();
                (Action::Read { key }, Outcome::Acknowledged { value })
            }
        };
        if matches!(next, Next::Write | Next::Lost { applied: true }) {
            rows.push(id);
        }
        if matches!(next, Next::Write) {
            acknowledged.push(id);
        }
        script = script.operation(from, from + 0.05, action, outcome, Some("pg1"));
        if i % 10 == 0 {
            script = probed(script, from);
        }
    }
    (script, rows, acknowledged)
}

/// Everybody is asked and well.
fn probed(script: Script, seconds: f64) -> Script {
    let state = |node: &str| if node == "pg1" { primary(1, 9_000) } else { standby(1, 9_000, "pg1") };
    ["pg1", "pg2", "pg3"].into_iter().fold(script, |script, node| {
        let path = if node == "pg1" { "/primary" } else { "/replica" };
        script.sql(seconds, node, Some(state(node))).rest(seconds, node, path, Some(200))
    })
}

/// The end of a run in which nothing went wrong.
fn settled(script: Script, seconds: f64, rows: &[u64]) -> Script {
    let script = probed(script, seconds);
    let script = ["pg1", "pg2", "pg3"]
        .into_iter()
        .fold(script, |script, node| script.rows(seconds, node, node == "pg1", rows.iter().copied()));
    let keys = [("initialize", "7412345678901234567"), ("leader", "pg1"), ("members/pg1", "{}"), ("members/pg2", "{}")];
    let dcs = keys.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    let slot = Slot { name: "pg2".into(), active: true, restart_lsn: None };
    script.push(seconds, "lab", What::End { dcs, slots: [("pg1".to_owned(), vec![slot])].into() })
}

fn a_run(ops: &[Next]) -> Script {
    let (script, rows, _) = one_register(ops);
    settled(script, 400.0, &rows)
}

fn judged(expect: Expect, script: &Script) -> Judgement {
    judge(&Rules { expect, ..Rules::default() }, &script.events)
}

fn next() -> impl Strategy<Value = Next> {
    prop_oneof![
        6 => Just(Next::Write),
        3 => Just(Next::Read),
        1 => any::<bool>().prop_map(|applied| Next::Lost { applied }),
        1 => Just(Next::Refused),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn one_register_without_faults_always_passes(ops in proptest::collection::vec(next(), 1..120)) {
        // The last try is answered: a run that ends in refusals has not recovered.
        let ops = [ops, vec![Next::Write]].concat();
        let judgement = judged(Expect { lost_writes: Some(Bounds::at_most(0)), ..Expect::default() }, &a_run(&ops));
        prop_assert_eq!(judgement.verdict, Verdict::Pass, "{}", judgement.reason);
    }

    #[test]
    fn dropping_an_acknowledged_row_always_fails(
        ops in proptest::collection::vec(next(), 1..120), which in any::<prop::sample::Index>(),
    ) {
        let ops = [ops, vec![Next::Write]].concat();
        let (script, mut rows, acknowledged) = one_register(&ops);
        let dropped = *which.get(&acknowledged);
        rows.retain(|id| *id != dropped);
        let expect = Expect { lost_writes: Some(Bounds::at_most(0)), ..Expect::default() };
        prop_assert_eq!(judged(expect, &settled(script, 400.0, &rows)).verdict, Verdict::Fail);
    }

    #[test]
    fn odd_histories_are_judged_without_a_panic(
        keep in proptest::collection::vec(any::<bool>(), 400), turn in any::<bool>(),
    ) {
        let mut script = a_run(&[Next::Write; 60]);
        let mut keep = keep.into_iter();
        script.events.retain(|_| keep.next().unwrap_or(true));
        if turn {
            script.events.reverse();
        }
        let judgement = judged(Expect::default(), &script);
        prop_assert!(ExitCode::from(judgement.verdict).number() < 5);
    }
}

#[test]
fn an_empty_run_proves_nothing() {
    assert_eq!(judge(&Rules::default(), &[]).verdict, Verdict::Unknown);
}

#[test]
fn a_fault_without_effect_makes_a_run_vacuous_that_would_have_passed() {
    let script = probed(a_run(&[Next::Write; 20]), 50.0).fault(5.0, FaultPhase::Applied);
    let judgement = judged(Expect::default(), &script);
    assert_eq!(judgement.verdict, Verdict::Vacuous);
    assert!(judgement.reason.contains("nothing proves that `kill pg1` had an effect"), "{}", judgement.reason);
}

#[test]
fn what_a_scenario_is_there_to_show_must_appear_and_nothing_else() {
    let shows = |code: &str| Expect { shows: vec![code.to_owned()], ..Expect::default() };
    let diverged = a_run(&[Next::Write; 20]).rows(400.0, "pg2", false, 0..19);
    let shown = judged(shows("diverged_replica"), &diverged);
    assert_eq!((shown.verdict, shown.shown.len()), (Verdict::Pass, 1), "{}", shown.reason);
    assert_eq!(judged(Expect::default(), &diverged).verdict, Verdict::Fail);

    let absent = judged(shows("two_writers"), &a_run(&[Next::Write; 20]));
    assert_eq!(absent.verdict, Verdict::Fail);
    assert_eq!(absent.violations[0].code(), "expected_violation_absent");
    let other = judged(shows("two_writers"), &diverged);
    assert!(other.violations.iter().any(|violation| violation.code() == "diverged_replica"));
}

#[test]
fn violations_are_sorted_by_time_and_the_first_one_is_the_reason() {
    let script = a_run(&[Next::Write; 20]).rows(400.0, "pg2", false, 0..19).write("pg3", 2.01, 2.02);
    let judgement = judged(Expect::default(), &script);
    assert!(judgement.violations.is_sorted_by_key(|violation| violation.at));
    assert_eq!(judgement.reason, judgement.violations[0].to_string());
}

#[test]
fn a_judgement_survives_the_way_through_json() {
    let script = a_run(&[Next::Write; 20]).rows(400.0, "pg2", false, 0..19).fault(5.0, FaultPhase::Applied);
    let judgement = judged(Expect::default(), &script);
    let json = serde_json::to_string(&judgement).expect("a judgement is plain data");
    assert!(json.contains(r#""code":"diverged_replica""#), "{json}");
    assert_eq!(serde_json::from_str::<Judgement>(&json).expect("what was written can be read"), judgement);
}

#[test]
fn an_explanation_holds_the_evidence_and_the_nearest_changes_in_order() {
    let script = a_run(&[Next::Write; 20]).fault(1.5, FaultPhase::Applied).rows(400.0, "pg2", false, 0..19);
    let judgement = judged(Expect::default(), &script);
    let events = explain(&judgement.violations[0], &script.events);
    assert!(events.is_sorted_by_key(|event| event.at));
    for wanted in ["fault", "dcs", "rows"] {
        let found = events.iter().any(|event| {
            serde_json::to_value(&event.what).is_ok_and(|what| what.get("kind").is_some_and(|kind| kind == wanted))
        });
        assert!(found, "{wanted} in {events:?}");
    }
}

#[test]
fn a_run_of_twenty_thousand_events_is_judged() {
    let (script, rows, _) = one_register(&[[Next::Write; 3].as_slice(), &[Next::Read]].concat().repeat(2_000));
    let script = settled(script, 900.0, &rows);
    assert!(script.events.len() > 20_000);
    assert_eq!(judged(Expect::default(), &script).verdict, Verdict::Pass);
}

#[test]
fn the_worst_of_many_runs_counts_and_a_failure_outranks_everything() {
    use Verdict::{Fail, Pass, Unknown, Unsupported, Vacuous};
    for (verdicts, expected) in [
        (vec![Pass, Pass], Pass),
        (vec![Pass, Unsupported], Unsupported),
        (vec![Unknown, Unsupported, Pass], Unknown),
        (vec![Vacuous, Unknown], Vacuous),
        (vec![Pass, Fail, Vacuous, Unknown], Fail),
        (vec![], Unknown),
    ] {
        assert_eq!(Verdict::combine(verdicts.clone()), expected, "{verdicts:?}");
    }
}

#[test]
fn nothing_but_a_pass_exits_with_zero() {
    use Verdict::{Fail, Pass, Unknown, Unsupported, Vacuous};
    let codes = [Pass, Fail, Unknown, Vacuous, Unsupported].map(|verdict| ExitCode::from(verdict).number());
    assert_eq!(codes, [0, 1, 3, 3, 4]);
}
