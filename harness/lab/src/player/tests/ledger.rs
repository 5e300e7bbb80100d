//! The ledger: what ends what; and how evidence is put.

use std::time::Duration;

use super::super::{
    Kind, Line, Standing,
    ledger::Ledger,
    words::{conclusion, done_on},
};
use crate::{
    event::{At, FaultPhase},
    scenario::{Action, Facts, HealSpec, Link, Process, Route, Selector, Span, Step},
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
    let line = Line { index: 0, repetition: 0 };
    let hosts = ledger.targets(&step, line, &facts());
    ledger.bind(&step, &hosts);
    let later = Facts { leader: Some("pg2".into()), labels: ledger.labels().clone(), ..facts() };
    assert_eq!(ledger.resolve(&Selector::Label("old".into()), &step, line, &later), ["pg1"]);
}

fn standing(line: Line, kind: Kind, label: Option<&str>) -> Standing {
    Standing { line, kind, label: label.map(str::to_owned), since: At(0), verified: true, mark: 0 }
}

fn line(index: usize) -> Line {
    Line { index, repetition: 0 }
}

#[test]
fn heal_ends_what_it_names_and_nothing_else() {
    let mut ledger = Ledger::new(1);
    ledger.stand(standing(line(0), Kind::Cut(vec![route("pg1", "pg2")]), Some("old")));
    ledger.stand(standing(line(1), Kind::Full(vec!["pg1".into()]), None));
    let mut healed = |spec| ledger.take_healed(&spec, &cut(), line(2), &facts()).len();
    let other = HealSpec::Links(Link::OneWay { from: Selector::Host("pg2".into()), to: Selector::Leader });
    assert_eq!(healed(other), 0, "the way back was not cut");
    assert_eq!(healed(HealSpec::Named("old".into())), 1);
    assert_eq!(healed(HealSpec::Named("all".into())), 0, "a full disk is not the network's");
    assert_eq!(ledger.standing().len(), 1);
}

#[test]
fn what_was_started_by_a_line_of_its_own_is_no_longer_down() {
    let mut ledger = Ledger::new(1);
    let down = Kind::Down(Process::Etcd, vec!["etcd1".into(), "etcd2".into()]);
    ledger.stand(standing(line(0), down, None));
    assert!(ledger.forget(&Kind::Down(Process::Agent, vec![]), &["etcd1".into()]).is_empty());
    assert!(ledger.forget(&Kind::Down(Process::Etcd, vec![]), &["etcd1".into()]).is_empty());
    assert_eq!(ledger.standing()[0].kind, Kind::Down(Process::Etcd, vec!["etcd2".into()]));
    ledger.stand(standing(line(1), Kind::Full(vec!["etcd2".into()]), None));
    ledger.was_reset("etcd2");
    assert_eq!(ledger.standing().len(), 1, "a machine that was reset runs; its disk is as full as before");
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
