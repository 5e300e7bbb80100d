//! The table, the explanation, the JUnit document and the summary as people and machines see them.

mod story;

use pgdrill_lab::{event::Event, verdict::Verdict};
use pgdrill_reports::{
    Ending, EventsHeader, Interrupted, Run, explanation, junit, read_events, summary, table, write_events,
};
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
    insta::assert_snapshot!(plain(&table(&runs(), 120)));
}

#[test]
fn a_narrow_table_fits_and_keeps_verdicts_and_figures() {
    let mut runs = runs();
    runs.push(run("etcd/quorum-lost-shorter-than-retry-timeout", 0, Verdict::Pass, 1_339));
    insta::assert_snapshot!(plain(&table(&runs, 80)));
    for width in [48, 60, 72, 80, 100] {
        let told = plain(&table(&runs, width));
        let table = told.lines().take_while(|line| !line.is_empty());
        assert!(table.clone().all(|line| line.chars().count() <= width), "{width}: {told}");
        assert!(table.clone().any(|line| line.contains("fail 1/2") && line.contains("30.2 s")), "{width}: {told}");
    }
}

#[test]
fn real_runs_are_told_with_the_time_they_took() {
    let mut real = run("crash/leader-killed", 0, Verdict::Pass, 20_000);
    real.reproduce.world = Some("containers".to_owned());
    real.took = std::time::Duration::from_secs(163);
    let told = plain(&table(&[real], 120));
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
    let document = junit(&runs(), None, |_| None).expect("plain text is XML");
    insta::assert_snapshot!(document);
}

#[test]
fn an_interrupted_junit_document_is_never_green() {
    let passed: Vec<Run> = runs().drain(..4).collect();
    let interrupted = Some(Interrupted { played: 4, planned: 400 });
    let document = junit(&passed, interrupted, |_| None).expect("plain text is XML");
    let root = document.lines().find(|line| line.starts_with("<testsuites")).expect("a root");
    assert!(root.contains("errors=\"1\"") && root.contains("tests=\"5\""), "{root}");
    assert!(document.contains("interrupted: 4 of 400 runs were played"), "{document}");
}

/// What `junit-10.xsd` allows: of each element its attributes, of which those with `!` are required, and its children.
const SCHEMA: &[(&str, &[&str], &[&str])] = &[
    ("testsuites", &["name", "time", "tests", "failures", "errors"], &["testsuite"]),
    (
        "testsuite",
        &[
            "name!",
            "tests!",
            "failures!",
            "errors!",
            "time",
            "skipped",
            "timestamp",
            "hostname",
            "id",
            "package",
            "file",
        ],
        &["testsuite", "properties", "testcase", "system-out", "system-err"],
    ),
    (
        "testcase",
        &["name!", "time", "classname", "group"],
        &["skipped", "error", "failure", "system-out", "system-err"],
    ),
    ("properties", &[], &["property"]),
    ("property", &["name!", "value!"], &[]),
    ("failure", &["type", "message"], &[]),
    ("error", &["type", "message"], &[]),
    ("skipped", &["type", "message"], &[]),
    ("system-out", &[], &[]),
];

/// The tags of a document, in order: name, attributes, whether it opens, closes, or both.
fn tags(document: &str) -> Vec<(String, Vec<String>, bool, bool)> {
    let tags = document.split('<').skip(1).filter(|tag| !tag.starts_with('?'));
    tags.map(|tag| {
        let tag = tag.split_once('>').expect("a tag ends").0;
        let (opens, closes) = (!tag.starts_with('/'), tag.starts_with('/') || tag.ends_with('/'));
        let tag = tag.trim_matches('/');
        let name = tag.split_whitespace().next().expect("a tag has a name").to_owned();
        // Every second part stands within quotes.
        let outside = tag[name.len()..].split('"').step_by(2);
        let attributes = outside.filter_map(|part| part.trim().strip_suffix('=').map(str::to_owned));
        (name, attributes.collect(), opens, closes)
    })
    .collect()
}

#[test]
fn junit_has_only_what_its_schema_allows() {
    let interrupted = Some(Interrupted { played: 9, planned: 10 });
    let document = junit(&runs(), interrupted, |_| None).expect("plain text is XML");
    let mut open: Vec<String> = vec![];
    let mut seen = std::collections::BTreeSet::new();
    for (name, attributes, opens, closes) in tags(&document) {
        if opens {
            let (_, allowed, _) =
                SCHEMA.iter().find(|(known, ..)| *known == name).unwrap_or_else(|| panic!("<{name}>"));
            let is = |rule: &&str, attribute: &str| rule.trim_end_matches('!') == attribute;
            for attribute in &attributes {
                assert!(allowed.iter().any(|rule| is(rule, attribute)), "{attribute} of <{name}>");
            }
            for required in allowed.iter().filter(|rule| rule.ends_with('!')) {
                assert!(attributes.iter().any(|attribute| is(required, attribute)), "<{name}> without {required}");
            }
            if let Some(parent) = open.last() {
                let (.., children) = SCHEMA.iter().find(|(known, ..)| known == parent).expect("it was looked up");
                assert!(children.contains(&name.as_str()), "<{name}> in <{parent}>");
            }
            seen.insert(name.clone());
            open.push(name);
        }
        if closes {
            open.pop();
        }
    }
    assert!(open.is_empty(), "{open:?}");
    assert_eq!(seen.len(), SCHEMA.len(), "every rule was met: {seen:?}");
}

#[test]
fn the_summary_for_machines_keeps_its_fields() {
    let runs = &runs()[4..6];
    insta::assert_json_snapshot!(summary(runs, "0.0.0", None));
}

#[test]
fn an_interrupted_summary_says_so_and_carries_its_exit_code() {
    let runs = runs();
    let summary = summary(&runs[..1], "0.0.0", Some(Interrupted { played: 1, planned: 9 }));
    assert!(summary.interrupted);
    assert_eq!((summary.exit_code, summary.played, summary.planned), (130, 1, 9));
    assert_eq!(summary.verdict, Verdict::Unknown, "what was not played did not pass");
}

#[test]
fn events_written_as_json_lines_are_read_back_the_same() {
    let events = failover(3);
    let mut file = Vec::new();
    let header = EventsHeader::of(&run("crash/leader-killed", 3, Verdict::Pass, 20_000), "0.0.0");
    write_events(&mut file, &header, &events).expect("memory can be written");
    let (told, read): (_, Vec<Event>) = read_events(&file[..]).expect("our own lines");
    assert_eq!((told, &read), (Some(header), &events));
    let text = String::from_utf8(file).expect("JSON is text");
    let (first, rest) = text.split_once('\n').expect("lines");
    insta::assert_snapshot!(first);
    assert_eq!(read_events(rest.as_bytes()).expect("files of earlier versions are read, too"), (None, read));
    let newer = first.replace("events-1", "events-2");
    let newer = read_events(newer.as_bytes()).expect_err("another format");
    assert!(newer.to_string().contains("expected \"pgdrill-events-1\""), "{newer}");
    let broken = read_events(&b"{\"at\":1}\n"[..]).expect_err("no event");
    assert!(broken.to_string().starts_with("line 1:"), "{broken}");
}
