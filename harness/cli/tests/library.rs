//! The library as a test author meets it.

use std::{fs, panic};

/// A scenario on which no cluster can pass: where nothing happens, no lock changes hands seven times.
const NEVER: &str = "\
name: never
about: Cannot pass.
workload: { writers: 1, rate: 2/s, readers: 0 }
duration: 20s
expect: { leader_changes: 7 }
";

fn message(check: impl FnOnce() + panic::UnwindSafe) -> String {
    let payload = panic::catch_unwind(check).expect_err("it must not pass");
    payload.downcast_ref::<String>().cloned().unwrap_or_default()
}

#[test]
fn a_check_that_does_not_pass_panics_with_a_report_that_ends_with_the_command() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("never.yaml");
    fs::write(&file, NEVER).expect("can be written");
    let report = message(|| pgdrill::scenario(&file).seeds(3..5).check());
    let last = report.lines().last().unwrap_or_default();
    assert!(last.starts_with("  reproduce: pgdrill run ") && last.ends_with("never.yaml --seed 3"), "{report}");
    assert!(!report.contains('\u{1b}'), "no colours in a panic:\n{report}");
    let report = pgdrill::scenario(&file).seeds(3..5).run().expect("it can be played");
    assert_eq!(report.runs.iter().map(|run| run.seed).collect::<Vec<_>>(), [3, 4]);
    assert!(!report.passed() && report.worst().is_some());
}

#[test]
fn what_cannot_be_used_is_told_with_every_problem() {
    let missing = pgdrill::scenario("no/such.yaml").run().expect_err("there is none").to_string();
    assert!(missing.contains("no/such.yaml: "), "{missing}");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("bad.yaml");
    fs::write(&file, "name: bad\nabouts: Broken.\nduration: 20 parsecs\n").expect("can be written");
    let problems = message(|| pgdrill::scenario(&file).check());
    assert!(problems.contains("abouts") && problems.contains("parsecs"), "{problems}");
}
