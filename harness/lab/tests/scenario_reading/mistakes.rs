//! Mistakes, a table of them: each answer names line, column, field, what was found and what would be right.

use super::{HEAD, problems, read};

/// (what is wrong, the text after `name` and `about`).
const MISTAKES: &[(&str, &str)] = &[
    ("an unknown field", "duration: 100s\nworkloads: {}\n"),
    ("an unknown field deep inside", "cluster: { patroni: { looop_wait: 5 } }\nduration: 100s\n"),
    ("a missing duration", "timeline: []\n"),
    ("a time without a unit", "duration: 100\n"),
    ("a time in an unknown unit", "duration: 3 fortnights\n"),
    ("ten years", "duration: 87600h\n"),
    ("a statement that is waited for ten years", "workload: { statement_timeout: 87600h }\nduration: 100s\n"),
    ("a network as slow as that", "cluster: { network: { latency: 1ms..25h } }\nduration: 100s\n"),
    (
        "fewer walsenders than nodes",
        "cluster: { nodes: 12, patroni: { postgresql: { parameters: { max_wal_senders: 10, max_connections: '26' } } } }\nworkload: { writers: 20 }\nduration: 100s\n",
    ),
    (
        "fewer slots than replicas",
        "cluster: { nodes: 12, patroni: { postgresql: { parameters: { \
         max_replication_slots: 5 } } } }\nduration: 100s\n",
    ),
    ("a negative time", "timeline:\n  - { at: -5s, compact: etcd }\nduration: 100s\n"),
    ("a text where a number belongs", "cluster: { nodes: three }\nduration: 100s\n"),
    ("a number out of range", "cluster: { nodes: 0, etcd: 2 }\nduration: 100s\n"),
    ("a rate without a unit", "workload: { rate: 5 }\nduration: 100s\n"),
    ("a size in a wrong unit", "cluster: { data_size: 5 parsecs }\nduration: 100s\n"),
    ("a field twice", "duration: 100s\nduration: 200s\n"),
    ("an unknown action", "timeline:\n  - { at: 5s, cutt: { between: [leader, etcd] } }\nduration: 100s\n"),
    ("no action", "timeline:\n  - { at: 5s }\nduration: 100s\n"),
    ("two actions in a line", "timeline:\n  - { at: 5s, power_off: pg1, compact: etcd }\nduration: 100s\n"),
    ("no time", "timeline:\n  - { compact: etcd }\nduration: 100s\n"),
    ("one side of a cut", "timeline:\n  - { at: 5s, cut: { between: [leader] } }\nduration: 100s\n"),
    ("the same side twice", "timeline:\n  - { at: 5s, cut: { between: [leader, leader] } }\nduration: 100s\n"),
    ("two spellings of a link", "timeline:\n  - { at: 5s, cut: { isolate: leader, from: pg1 } }\nduration: 100s\n"),
    ("a probability above 1", "timeline:\n  - { at: 5s, loss: { isolate: pg1, probability: 7 } }\nduration: 100s\n"),
    ("an event after the end", "timeline:\n  - { at: 500s, compact: etcd }\nduration: 100s\n"),
    ("an end after the end", "timeline:\n  - { at: 50s, cut: { isolate: pg1 }, for: 80s }\nduration: 100s\n"),
    (
        "events out of order",
        "timeline:\n  - { at: 50s, compact: etcd }\n  - { at: 40s, compact: etcd }\nduration: 100s\n",
    ),
    ("a node that is not there", "timeline:\n  - { at: 5s, power_off: pg7 }\nduration: 100s\n"),
    ("a zone that is not defined", "timeline:\n  - { at: 5s, power_off: zone b }\nduration: 100s\n"),
    (
        "a label never bound",
        "timeline:\n  - { at: 5s, power_off: pg1, as: old }\n  - { at: 9s, power_on: odl }\nduration: 100s\n",
    ),
    (
        "a label bound later",
        "timeline:\n  - { at: 5s, restart: old }\n  - { at: 9s, power_off: pg1, as: old }\nduration: 100s\n",
    ),
    ("a misspelt selector", "timeline:\n  - { at: 5s, power_off: leadr }\nduration: 100s\n"),
    ("no synchronous standby", "timeline:\n  - { at: 5s, power_off: sync standby }\nduration: 100s\n"),
    (
        "no router",
        "cluster: { router: direct }\ntimeline:\n  - { at: 5s, cut: { isolate: haproxy } }\nduration: 100s\n",
    ),
    ("etcd on a node", "timeline:\n  - { at: 5s, kill: { process: etcd, on: leader } }\nduration: 100s\n"),
    ("for on a switchover", "timeline:\n  - { at: 5s, switchover: {}, for: 5s }\nduration: 100s\n"),
    (
        "for on a killed PostgreSQL",
        "timeline:\n  - { at: 5s, kill: { process: postgres, on: pg1 }, for: 5s }\nduration: 100s\n",
    ),
    ("refused of a fault", "timeline:\n  - { at: 5s, power_off: pg1, refused: true }\nduration: 100s\n"),
    (
        "repeat shorter than for",
        "timeline:\n  - { at: 5s, cut: { isolate: pg1 }, for: 5s, repeat: { every: 3s, times: 2 } }\nduration: 100s\n",
    ),
    ("heal of nothing", "timeline:\n  - { at: 5s, heal: all }\nduration: 100s\n"),
    (
        "heal of something else",
        "timeline:\n  - { at: 5s, power_off: pg1, as: x }\n  - { at: 6s, heal: x }\nduration: 100s\n",
    ),
    ("min above max", "expect: { outage: { min: 9s, max: 5s } }\nduration: 100s\n"),
    ("an unknown violation", "expect: { shows: [two_writer] }\nduration: 100s\n"),
    ("loss shown and forbidden", "expect: { lost_writes: { max: 0 }, shows: [lost_writes] }\nduration: 100s\n"),
    (
        "healthy with a node off for ever",
        "timeline:\n  - { at: 5s, power_off: leader }\nexpect: { end: healthy }\nduration: 100s\n",
    ),
    ("paused without pause", "expect: { end: paused }\nduration: 100s\n"),
    ("an outage without writers", "workload: { writers: 0 }\nexpect: { outage: { max: 5s } }\nduration: 100s\n"),
    ("ttl below its minimum", "cluster: { patroni: { ttl: 10 } }\nduration: 100s\n"),
    ("the timing rule", "cluster: { patroni: { ttl: 25 } }\nduration: 100s\n"),
    ("the timing rule after an edit", "timeline:\n  - { at: 5s, edit_config: { loop_wait: 20 } }\nduration: 100s\n"),
    ("an unknown setting in an edit", "timeline:\n  - { at: 5s, edit_config: { tttl: 20 } }\nduration: 100s\n"),
    ("a setting of the lab's own", "cluster: { patroni: { etcd3: { host: a } } }\nduration: 100s\n"),
    ("nobody may lead", "cluster: { patroni: { tags: { nofailover: true } } }\nduration: 100s\n"),
    ("a host in two zones", "cluster: { zones: { a: [pg1], b: [pg1] } }\nduration: 100s\n"),
    ("a patroni.yml that is not there", "cluster: { patroni: { file: nowhere.yml } }\nduration: 100s\n"),
];

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
