//! What settings cost, as people and spreadsheets see it.

mod story;

use pgdrill_lab::{
    event::At,
    oracle::{Broken, Violation},
    verdict::Verdict,
};
use pgdrill_reports::{
    Cell, CellFigures, Ending, Interrupted, Run, Sample, Setting, Skipped, Sweep, sweep_csv, sweep_text,
};
use story::{bare, run};

const SCENARIO: &str = "etcd/quorum-lost";
const DURATION_MS: u64 = 130_000;

fn settings(ttl: u32, loop_wait: u32) -> Vec<Setting> {
    let setting = |field: &str, value: u32| Setting { field: field.to_owned(), value: value.to_string() };
    vec![setting("ttl", ttl), setting("loop_wait", loop_wait)]
}

/// Eight runs with outages around this one.
fn samples(outage_ms: u64) -> Vec<Sample> {
    let run = |seed| Sample::of(&run(SCENARIO, seed, Verdict::Pass, outage_ms + seed * 250), DURATION_MS, seed % 2);
    (0..8).map(run).collect()
}

fn broken(seed: u64) -> Run {
    let mut run = run(SCENARIO, seed, Verdict::Fail, 90_000);
    let Ending::Judged(judgement) = &mut run.ending else { unreachable!("it was judged") };
    let broken = Broken::PhantomWrite { node: "pg1".into(), id: 1, key: 1 };
    judgement.violations.push(Violation { at: At(0), ordinals: vec![], broken });
    run
}

fn sweep(wants: &[&str]) -> Sweep {
    let first = samples(20_000);
    let cell = |ttl, loop_wait, samples: &[Sample], missed: &[&str]| Cell {
        scenario: SCENARIO.to_owned(),
        settings: settings(ttl, loop_wait),
        figures: CellFigures::of(samples, &first),
        missed: missed.iter().map(|&missed| missed.to_owned()).collect(),
    };
    let mut unknown = samples(30_000);
    unknown[3] = Sample::of(&bare(SCENARIO, 3, Ending::Unplayable("no cluster came up".into())), DURATION_MS, 0);
    let mut violated = samples(40_000);
    violated[5] = Sample::of(&broken(5), DURATION_MS, 0);
    let mut sweep = Sweep {
        format: "pgdrill-sweep-1",
        version: "0.1.0",
        fields: vec!["ttl".into(), "loop_wait".into()],
        wants: wants.iter().map(|&want| want.to_owned()).collect(),
        cells: vec![
            cell(20, 5, &first, &[]),
            cell(20, 10, &samples(21_000), &[]),
            cell(40, 5, &unknown, &["violations=0: only 7 of 8 runs could be judged"]),
            cell(40, 10, &violated, &["violations=0: it is 1"]),
        ],
        skipped: vec![Skipped {
            settings: settings(15, 10),
            scenario: SCENARIO.to_owned(),
            why: "loop_wait 10 + 2 * retry_timeout 5 = 20, above ttl 15: expected ttl of at least 20".into(),
        }],
        best: None,
        interrupted: None,
    };
    sweep.best = sweep.find_best();
    sweep
}

fn plain(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}

#[test]
fn a_table_a_map_and_what_is_as_wanted() {
    insta::assert_snapshot!(plain(&sweep_text(&sweep(&["violations=0"]), 100)));
}

#[test]
fn a_narrow_table_keeps_to_its_width() {
    let told = plain(&sweep_text(&sweep(&["violations=0"]), 80));
    assert!(told.lines().all(|line| line.chars().count() <= 80), "{told}");
    assert!(told.contains("p50") && told.contains("broken") && told.contains("as wanted"), "{told}");
}

#[test]
fn what_was_ended_early_says_so_and_proposes_nothing_that_nobody_wanted() {
    let sweep = Sweep { interrupted: Interrupted::when(true, 20, 40), ..sweep(&[]) };
    let told = plain(&sweep_text(&sweep, 100));
    assert!(told.ends_with("interrupted: 20 of 40 runs were played\n") && !told.contains("best:"), "{told}");
}

#[test]
fn a_spreadsheet_has_a_line_for_each_combination() {
    insta::assert_snapshot!(sweep_csv(&sweep(&["violations=0"])));
}

#[test]
fn the_best_is_the_shortest_of_what_qualifies_everywhere() {
    let mut sweep = sweep(&["violations=0"]);
    assert_eq!(sweep.best, Some(settings(20, 5)));
    // In another scenario it cannot even be played.
    let why = "too small".to_owned();
    sweep.skipped.push(Skipped { settings: settings(20, 5), scenario: "another".into(), why });
    assert_eq!(sweep.find_best(), Some(settings(20, 10)));
    sweep.cells.iter_mut().for_each(|cell| cell.missed.push("anything".into()));
    assert_eq!(sweep.find_best(), None);
}

#[test]
fn figures_are_those_of_all_runs() {
    let figures = CellFigures::of(&samples(21_000), &samples(20_000));
    assert_eq!((figures.runs, figures.judged, figures.needless_changes), (8, 8, 4));
    assert_eq!(figures.outage_p50.map(|quantile| quantile.ms), Some(21_750));
    assert_eq!(figures.outage_max_ms, Some(22_750));
    // Seed by seed the same second.
    let than = figures.than_first.expect("the seeds are the same");
    assert_eq!((than.ms, than.interval_ms), (1_000, Some((1_000, 1_000))));
}
