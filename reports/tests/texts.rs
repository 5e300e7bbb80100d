//! The table, the explanation, the JUnit document and the summary as people and machines see them.

mod story;

use pgdrill_lab::{event::Event, verdict::Verdict};
use pgdrill_reports::{Ending, Run, explanation, junit, read_events, summary, table, write_events};
use story::{bare, failover, run};

fn plain(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}

fn runs() -> Vec<Run> {
    let mut runs: Vec<Run> =
        (0..4).map(|seed| run("crash/leader-killed", seed, Verdict::Pass, 20_000 + seed * 900)).collect();
    runs.push(run("partition/leader-cut-from-etcd", 0, Verdict::Pass, 19_000));
    runs.push(run("partition/leader-cut-from-etcd", 1, Verdict::Fail, 30_210));
    runs.push(run("partition/one-way", 0, Verdict::Vacuous, 0));
    let why = "the sim has no packet-level TLS".to_owned();
    runs.push(bare("tls/expired", 0, Ending::Unsupported(vec![why])));
    runs.push(bare("tls/renewed", 0, Ending::Crashed("index out of bounds".into())));
    runs
}

#[test]
fn the_table_has_a_line_for_each_scenario_over_all_its_seeds() {
    insta::assert_snapshot!(plain(&table(&runs())));
}

#[test]
fn real_runs_are_told_with_the_time_they_took() {
    let mut real = run("crash/leader-killed", 0, Verdict::Pass, 20_000);
    real.reproduce.world = Some("containers".to_owned());
    real.took = std::time::Duration::from_secs(163);
    let told = plain(&table(&[real]));
    assert!(told.contains("real time") && told.contains("2 min 43 s") && !told.contains("sim"), "{told}");
}

#[test]
fn a_violation_is_explained_by_the_events_that_lead_to_it_and_ends_with_the_command() {
    let told = plain(&explanation(&run("partition/leader-cut-from-etcd", 1, Verdict::Fail, 30_210), 100));
    assert!(told.ends_with("reproduce: pgdrill run scenarios/partition/leader-cut-from-etcd.yaml --seed 1\n"));
    insta::assert_snapshot!(told);
}

#[test]
fn endings_without_a_violation_are_explained_too() {
    let told: String = runs()[6..].iter().map(|run| plain(&explanation(run, 100))).collect::<Vec<_>>().join("\n");
    insta::assert_snapshot!(told);
}

#[test]
fn junit_tells_failures_errors_and_skipped_runs_apart() {
    let document = junit(&runs(), |_| None).expect("plain text is XML");
    insta::assert_snapshot!(document);
}

#[test]
fn the_summary_for_machines_keeps_its_fields() {
    let runs = &runs()[4..6];
    insta::assert_json_snapshot!(summary(runs, "0.0.0", false));
}

#[test]
fn an_interrupted_summary_says_so_and_carries_its_exit_code() {
    let runs = runs();
    let summary = summary(&runs[..1], "0.0.0", true);
    assert!(summary.interrupted);
    assert_eq!(summary.exit_code, 130);
}

#[test]
fn events_written_as_json_lines_are_read_back_the_same() {
    let events = failover(3);
    let mut file = Vec::new();
    write_events(&mut file, &events).expect("memory can be written");
    let read: Vec<Event> = read_events(&file[..]).expect("our own lines");
    assert_eq!(read, events);
    let broken = read_events(&b"{\"at\":1}\n"[..]).expect_err("no event");
    assert!(broken.to_string().starts_with("line 1:"), "{broken}");
}
