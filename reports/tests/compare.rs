//! One scenario in several worlds as people and machines see it.

mod story;

use pgdrill_lab::{
    event::{At, What},
    verdict::Verdict,
};
use pgdrill_reports::{Comparison, Run, Seen, compare, comparison_page, comparison_text};
use story::{bare, run};

/// A run of a world whose failover takes so much longer than the story's.
fn played(world: Option<&str>, seed: u64, verdict: Verdict, later_ms: u64) -> Seen {
    let mut run: Run = run("crash/leader-killed", seed, verdict, 20_000 + later_ms);
    run.reproduce.world = world.map(str::to_owned);
    for event in run.events.iter_mut().filter(|event| event.at > At::from_secs(60)) {
        event.at.0 += later_ms * 1_000_000;
        if let What::Sql { asked_at, .. } = &mut event.what {
            asked_at.0 += later_ms * 1_000_000;
        }
    }
    Seen::of(run)
}

fn comparison() -> Comparison {
    let mut seen: Vec<Seen> = (0..5).map(|seed| played(None, seed, Verdict::Pass, seed * 700)).collect();
    seen.push(played(Some("containers"), 1, Verdict::Pass, 900));
    seen.push(played(Some("containers"), 2, Verdict::Pass, 4_300));
    seen.push(played(Some("patroni"), 1, Verdict::Fail, 1_500));
    let why = pgdrill_reports::Ending::Unsupported(vec!["this kernel has no netem".to_owned()]);
    let mut unsupported = bare("crash/leader-killed", 2, why);
    unsupported.reproduce.world = Some("patroni".to_owned());
    seen.push(Seen::of(unsupported));
    compare("The leader's host is lost.", "2026-01-31", "PostgreSQL 16 on a test bench", "0.0.0", &seen)
}

#[test]
fn the_table_shows_the_simulators_range_beside_every_world_and_how_far_it_is_off() {
    let text = comparison_text(&comparison(), 140);
    insta::assert_snapshot!(anstream::adapter::strip_str(&text).to_string());
}

#[test]
fn the_document_for_machines_keeps_its_fields() {
    insta::assert_json_snapshot!(comparison());
}

#[test]
fn the_page_stands_alone_and_draws_every_measurement() {
    let page = comparison_page(&comparison()).expect("memory can be written");
    assert!(!page.contains("http://") && !page.contains("https://") && !page.contains("<script"), "it loads nothing");
    let dots = page.matches("<circle").count();
    let reached: usize = comparison()
        .incidents
        .iter()
        .flat_map(|incident| &incident.phases)
        .flat_map(|phase| &phase.real)
        .map(|real| real.times_ms.len())
        .sum();
    assert!(reached > 0);
    assert_eq!(dots, reached);
}

#[test]
fn on_a_narrow_terminal_the_worlds_stand_below_each_other() {
    let text = anstream::adapter::strip_str(&comparison_text(&comparison(), 80)).to_string();
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    insta::assert_snapshot!(text);
}
