//! Moments, and what ends what.

use std::time::Duration;

use super::{Kind, Ledger, Line, conclusion, done_on};
use crate::{
    event::{At, FaultPhase},
    scenario::{Action, Facts, HealSpec, Link, OnProcess, Process, Route, Selector, Span, Step},
};

fn facts() -> Facts {
    Facts { nodes: vec!["pg1".into(), "pg2".into()], leader: Some("pg1".into()), ..Facts::default() }
}

fn cut() -> Step {
    let link = Link::Between { between: [Selector::Leader, Selector::Host("pg2".into())] };
    Step { label: Some("old".into()), ..Step::new(Span::from_secs(1), Action::Cut(link)) }
}

fn route(from: &str, to: &str) -> Route {
    Route { from: from.into(), to: to.into() }
}

#[test]
fn a_label_names_what_the_selector_meant_then() {
    let mut ledger = Ledger::new(1);
    let step = cut();
    let hosts = ledger.targets(&step.action, &facts());
    ledger.bind(&step, &hosts);
    let later = Facts { leader: Some("pg2".into()), labels: ledger.labels().clone(), ..facts() };
    assert_eq!(ledger.resolve(&Selector::Label("old".into()), &later), ["pg1"]);
}

#[test]
fn heal_ends_what_it_names_and_nothing_else() {
    let mut ledger = Ledger::new(1);
    let step = cut();
    let line = Line { index: 0, repetition: 0, step: &step };
    ledger.stand(&line, Kind::Cut(vec![route("pg1", "pg2")]), At(0), 0, false);
    let unnamed = Step { label: None, ..cut() };
    ledger.stand(&Line { index: 1, step: &unnamed, ..line }, Kind::Full(vec!["pg1".into()]), At(0), 0, false);
    let other = HealSpec::Links(Link::OneWay { from: Selector::Host("pg2".into()), to: Selector::Leader });
    assert!(ledger.take_healed(&other, &facts()).is_empty(), "the way back was not cut");
    assert_eq!(ledger.take_healed(&HealSpec::Named("old".into()), &facts()).len(), 1);
    assert!(
        ledger.take_healed(&HealSpec::Named("all".into()), &facts()).is_empty(),
        "a full disk is not the network's"
    );
    assert_eq!(ledger.standing().len(), 1);
}

#[test]
fn what_was_started_by_a_line_of_its_own_is_no_longer_down() {
    let mut ledger = Ledger::new(1);
    let step = Step::new(Span::ZERO, Action::Kill(OnProcess { process: Process::Etcd, on: Selector::Etcd }));
    let line = Line { index: 0, repetition: 0, step: &step };
    ledger.stand(&line, Kind::Down(Process::Etcd, vec!["etcd1".into(), "etcd2".into()]), At(0), 0, true);
    ledger.forget(&Kind::Down(Process::Agent, vec![]), &["etcd1".into()]);
    ledger.forget(&Kind::Down(Process::Etcd, vec![]), &["etcd1".into()]);
    assert_eq!(ledger.standing()[0].kind, Kind::Down(Process::Etcd, vec!["etcd2".into()]));
    ledger.forget_host("etcd2");
    assert!(ledger.standing().is_empty());
}

#[test]
fn no_effect_is_vacuous() {
    let cut = Kind::Cut(vec![route("pg1", "pg2")]);
    let lasted = Duration::from_millis(1_500);
    let evidence = "17 packets held in 1.5 s".to_owned();
    assert_eq!(conclusion(&cut, 17, lasted), FaultPhase::Verified { evidence });
    assert_eq!(conclusion(&cut, 0, lasted), FaultPhase::Vacuous { why: "no packet was affected".into() });
    assert!(matches!(done_on(&[], "gone"), FaultPhase::Vacuous { .. }));
}
