//! Mistakes, a table of them: each answer names line, column, field, what was found and what would be right.

use super::{HEAD, broken::MISTAKES, problems, read};

#[test]
fn every_mistake_is_named_with_its_place_and_what_would_be_right() {
    let mut answers = String::new();
    for (mistake, text) in MISTAKES {
        let found = problems(&format!("{HEAD}{text}"));
        assert_ne!(found, "no problem", "{mistake}");
        answers += &format!("# {mistake}\n{found}\n\n");
    }
    insta::assert_snapshot!(answers);
}

#[test]
fn all_mistakes_of_a_file_are_named_at_once() {
    let text = format!("{HEAD}cluster: {{ nodes: many, roter: direct }}\nworkload: {{ rate: 5 }}\nduration: never\n");
    let found = read(&text).expect_err("four mistakes");
    let fields: Vec<&str> = found.iter().map(|problem| problem.field.as_str()).collect();
    assert_eq!(fields, ["cluster.nodes", "cluster.roter", "workload.rate", "duration"]);
}

#[test]
fn a_mistake_is_drawn_with_its_line_and_a_mark() {
    let text = format!("{HEAD}timeline:\n  - {{ at: 40s, cut: {{ between: [leadr, etcd] }} }}\nduration: 100s\n");
    let problem = read(&text).expect_err("a misspelt selector").remove(0);
    let handler = miette::GraphicalReportHandler::new_themed(miette::GraphicalTheme::unicode_nocolor()).with_width(120);
    let mut drawn = String::new();
    let report = problem.report();
    handler.render_report(&mut drawn, report.as_ref()).expect("a text takes every character");
    insta::assert_snapshot!(drawn);
}

#[test]
fn the_name_must_be_that_of_the_file() {
    let found = problems("name: other\nabout: Shows something.\nduration: 10s\n");
    assert!(found.starts_with("drill.yaml:1:7: name: found \"other\", expected \"drill\""), "{found}");
}

#[test]
fn a_timeline_may_be_empty() {
    for timeline in ["", "timeline: []\n", "timeline:\n"] {
        let scenario = read(&format!("{HEAD}{timeline}duration: 10s\n")).expect("nothing is wrong");
        assert!(scenario.timeline.is_empty());
    }
}
