//! The timeline as people see it: three and nine nodes, narrow and wide terminals, every detail.

mod story;

use pgdrill_reports::{Detail, timeline};
use story::{failover, outage};

fn drawn(nodes: usize, detail: Detail, width: usize) -> String {
    let styled = timeline(&failover(nodes), &[outage()], detail, width);
    anstream::adapter::strip_str(&styled).to_string()
}

#[test]
fn a_failover_of_three_nodes_is_told_by_its_changes() {
    insta::assert_snapshot!(drawn(3, Detail::Changes, 110));
}

#[test]
fn nodes_are_named_and_not_addressed() {
    let told = drawn(3, Detail::Everything, 200);
    assert!(told.contains("pg3 streams from pg2 on timeline 2"), "{told}");
    let addressed = told.lines().find(|line| line.contains("198.18.") && !line.contains("conn_url"));
    assert_eq!(addressed, None);
}

#[test]
fn decisions_come_with_their_reasons_once_each() {
    let told = drawn(3, Detail::Decisions, 110);
    assert_eq!(told.matches("no action. I am (pg1)").count(), 1);
    insta::assert_snapshot!(told);
}

#[test]
fn nine_nodes_keep_their_lanes_on_a_narrow_terminal() {
    let told = drawn(9, Detail::Changes, 90);
    let widest = told.lines().map(|line| line.chars().count()).max();
    assert!(widest <= Some(90), "{widest:?} columns:\n{told}");
    insta::assert_snapshot!(told);
}

#[test]
fn everything_means_every_event_has_its_line() {
    let events = failover(3);
    let told = drawn(3, Detail::Everything, 140);
    for event in &events {
        assert!(told.contains(&format!("#{} ", event.ordinal)), "event {} is missing:\n{told}", event.ordinal);
    }
}

#[test]
fn the_count_of_v_chooses_the_detail() {
    let chosen = [0, 1, 2, 3, 9].map(Detail::from_count);
    let expected = [None, Some(Detail::Changes), Some(Detail::Decisions), Some(Detail::Everything)];
    assert_eq!(chosen[..4], expected);
    assert_eq!(chosen[4], Some(Detail::Everything));
}

#[test]
fn a_run_without_events_says_so() {
    assert_eq!(timeline(&[], &[], Detail::Changes, 80), "nothing was recorded\n");
}
