//! The library as a test author meets it.

use std::{fs, panic};

use pgdrill::{Check, ExitCode, Value, Verdict, What};

/// A scenario on which no cluster can pass: where nothing happens, no lock changes hands seven times.
const NEVER: &str = "\
name: never
about: Cannot pass.
workload: { writers: 1, rate: 2/s, readers: 0 }
duration: 20s
expect: { leader_changes: 7 }
";

/// As [`NEVER`], and as short as can be.
const QUIET: &str = "\
name: quiet
about: Cannot pass.
workload: { writers: 1, rate: 1/s, readers: 0 }
duration: 5s
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
fn a_scenario_in_a_test_can_be_played_again_by_the_command_that_is_told() {
    let report = pgdrill::scenario_text(NEVER).set("workload.rate", "3/s").seeds([7]).run().expect("it can be played");
    assert_eq!((report.verdict(), report.exit_code()), (Verdict::Fail, ExitCode::Fail));
    let kept = &report.runs[0].reproduce.file;
    let text = fs::read_to_string(kept).expect("what was played is kept");
    assert!(text.contains("leader_changes: 7") && text.contains("rate: 3/s"), "{text}");
    let command = format!("reproduce: pgdrill run {} --seed 7", kept.display());
    assert!(report.to_string().contains(&command), "{report}");
    let again = pgdrill::scenario(kept).seeds([7]).run().expect("the kept file can be played");
    assert_eq!(again.runs[0].trace_hash, report.runs[0].trace_hash, "it is the same run");
    fs::remove_dir_all(kept.parent().expect("it has a folder")).expect("it can be removed");
}

#[test]
fn one_field_can_be_set_and_the_last_word_is_the_tests() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let yml = folder.path().join("patroni.yml");
    fs::write(&yml, "bootstrap: { dcs: { ttl: 40, loop_wait: 5 } }\nwatchdog: { mode: off }\n")
        .expect("can be written");
    let config = |check: Check| {
        let report = check.twice().run().expect("it can be played");
        assert_eq!(report.verdict(), Verdict::Fail, "{report}");
        let events = &report.worst().expect("it failed").events;
        let config = events.iter().find_map(|event| match &event.what {
            What::Dcs { key, value: Some(value), .. } if key == "config" => serde_json::from_str::<Value>(value).ok(),
            _ => None,
        });
        let config = config.expect("the cluster's configuration was seen");
        (config["ttl"].clone(), config["loop_wait"].clone(), config["postgresql"]["parameters"]["work_mem"].clone())
    };
    let of = |ttl: u32, loop_wait: u32, work_mem: Value| (Value::from(ttl), Value::from(loop_wait), work_mem);
    let plain = || pgdrill::scenario_text(QUIET);
    assert_eq!(config(plain()), of(30, 10, Value::Null));
    assert_eq!(config(plain().patroni_file(&yml)), of(40, 5, Value::Null));
    let set = plain().patroni_file(&yml).set("cluster.patroni.ttl", 60);
    let set = set.set("cluster.patroni.postgresql.parameters.work_mem", "8MB");
    assert_eq!(config(set), of(60, 5, Value::from("8MB")));
}

#[test]
fn what_is_set_is_read_as_strictly_as_a_file() {
    for (field, value, expected) in [
        ("cluster.nodes", Value::from(0), "cluster.nodes: found 0"),
        ("cluster.nods", Value::from(3), "did you mean nodes?"),
        ("cluster.patroni.ttl", Value::from("long"), "cluster.patroni.ttl: found \"long\""),
        ("expect.leader_changes", Value::from("seven"), "expect.leader_changes"),
        ("duration", Value::Null, "duration: found nothing"),
    ] {
        let why = pgdrill::scenario_text(NEVER).set(field, value).run().expect_err(field).to_string();
        assert!(why.contains(expected), "{field}: {why}");
    }
    let why = pgdrill::scenario_text(NEVER).calibration("no/such.json").run().expect_err("there is none").to_string();
    assert!(why.contains("no/such.json"), "{why}");
}

#[test]
fn a_failing_check_is_told_at_the_line_of_the_test() {
    let seen = std::sync::Arc::new(std::sync::Mutex::new(None));
    let (before, seeing) = (panic::take_hook(), seen.clone());
    let this = std::thread::current().id();
    panic::set_hook(Box::new(move |info| {
        if std::thread::current().id() == this {
            *seeing.lock().expect("nobody panics with it") = info.location().map(|at| at.file().to_owned());
        }
    }));
    let failed = panic::catch_unwind(|| pgdrill::scenario_text(NEVER).check());
    panic::set_hook(before);
    assert!(failed.is_err());
    assert_eq!(seen.lock().expect("nobody panicked with it").as_deref(), Some(file!()));
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

/// With this seed the second leader freezes while a third node, which has never heard of its timeline, could be promoted.
#[test]
fn a_timeline_that_history_tells_of_is_begun_once() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scenarios/leader/frozen-one-after-the-other.yaml");
    pgdrill::scenario(file).seeds([6]).check();
}
