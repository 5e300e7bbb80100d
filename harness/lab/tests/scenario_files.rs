//! The scenario files that ship with the lab: all of them can be read, written back and described.

use std::{collections::BTreeSet, path::PathBuf};

use pgdrill_lab::{
    oracle::Broken,
    scenario::{SHOWABLE, load_all, load_text},
};

fn shipped() -> Vec<pgdrill_lab::scenario::Scenario> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../scenarios");
    load_all(&[folder]).unwrap_or_else(|problems| {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        panic!("{}", lines.join("\n"))
    })
}

#[test]
fn every_shipped_scenario_is_right_and_says_what_it_expects() {
    let scenarios = shipped();
    assert!(scenarios.len() >= 49, "only {} scenarios", scenarios.len());
    for scenario in &scenarios {
        assert!(scenario.expect.end.is_some(), "{} does not say how it ends", scenario.name);
        assert!(scenario.expect.leader_changes.is_some(), "{} does not count changes of leader", scenario.name);
        assert!(!scenario.timeline.is_empty(), "{} does nothing", scenario.name);
    }
}

#[test]
fn every_violation_that_can_be_shown_is_one_that_the_oracles_know() {
    for code in SHOWABLE {
        assert!(Broken::CODES.contains(&code), "no oracle reports {code}");
    }
}

#[test]
fn no_two_shipped_scenarios_share_a_name() {
    let scenarios = shipped();
    let names: BTreeSet<&str> = scenarios.iter().map(|scenario| scenario.name.as_str()).collect();
    assert_eq!(names.len(), scenarios.len());
}

#[test]
fn a_shipped_scenario_that_is_written_back_reads_the_same() {
    for scenario in shipped() {
        let text = scenario.to_yaml();
        let again = load_text(&scenario.source, &text).unwrap_or_else(|problems| panic!("{text}\n{problems:#?}"));
        assert_eq!(again.scenario, scenario, "{text}");
    }
}
