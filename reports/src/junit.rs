//! JUnit XML for CI systems: a suite for each scenario, a test case for each seed.
//!
//! Valid by `junit-10.xsd` of Jenkins' xUnit plugin, which pytest's `xunit2` family follows. A test case has no `properties`
//! there: those of a run stand in its `system-out` as lines `[[PROPERTY|name=value]]`, which CI systems read as properties,
//! and those of all runs of a scenario in its suite's `properties`.

use std::time::Duration;

use pgdrill_lab::verdict::Verdict;
use quick_junit::{NonSuccessKind, Property, Report, SerializeError, TestCase, TestCaseStatus, TestSuite};

use crate::{
    compare::SIMULATOR,
    explain::explanation,
    interrupted::Interrupted,
    run::{Ending, Run},
};

/// Explanations in XML are wrapped to this many columns.
const WIDTH: usize = 100;

/// The document. Failures carry their explanation, so the runs' events must still be there, or `explained` must have it.
///
/// What could not be judged is an *error*, not a failure, and what the world cannot play is *skipped*: CI systems show
/// both apart from the cluster's own failures. What was interrupted has an error, too, whatever its runs amount to.
///
/// # Errors
/// When a text cannot be written as XML.
pub fn junit(
    runs: &[Run],
    interrupted: Option<Interrupted>,
    explained: impl Fn(&Run) -> Option<String>,
) -> Result<String, SerializeError> {
    let mut report = Report::new("pgdrill");
    report.set_time(runs.iter().map(|run| run.took).sum::<Duration>());
    for group in runs.chunk_by(|a, b| a.scenario == b.scenario) {
        report.add_test_suite(suite(group, &explained));
    }
    if let Some(interrupted) = interrupted {
        report.add_test_suite(unfinished(interrupted));
    }
    // `testsuites` has no `skipped` in the schema; each `testsuite` has.
    let skipped = format!(" skipped=\"{}\"", report.skipped);
    Ok(report.to_string()?.replacen(&skipped, "", 1))
}

/// The runs of one scenario.
fn suite(group: &[Run], explained: &impl Fn(&Run) -> Option<String>) -> TestSuite {
    let mut suite = TestSuite::new(&group[0].scenario);
    suite.set_time(group.iter().map(|run| run.took).sum::<Duration>());
    let most = |figure: fn(&Run) -> Option<u64>| group.iter().filter_map(figure).max();
    let figures = [
        ("outage_ms_max", most(|run| run.measured()?.outage_ms)),
        ("lost_rows_max", most(|run| run.measured()?.lost_rows)),
        ("leader_changes_max", most(|run| Some(run.measured()?.leader_changes))),
    ];
    suite.add_property(Property::new("file", group[0].reproduce.file.display().to_string()));
    suite.add_property(Property::new("world", world(&group[0])));
    for (name, figure) in figures {
        if let Some(figure) = figure {
            suite.add_property(Property::new(name, figure.to_string()));
        }
    }
    for run in group {
        let mut case = TestCase::new(format!("seed {}", run.seed), status(run, explained));
        case.set_classname(&run.scenario).set_time(run.took).set_system_out(properties(run));
        suite.add_test_case(case);
    }
    suite
}

fn world(run: &Run) -> &str {
    run.reproduce.world.as_deref().unwrap_or(SIMULATOR)
}

/// Seed and figures of a run.
fn properties(run: &Run) -> String {
    let measured = run.measured();
    let figures = [
        ("seed", Some(run.seed)),
        ("outage_ms", measured.and_then(|measured| measured.outage_ms)),
        ("rto_ms", measured.and_then(|measured| measured.rto_ms)),
        ("lost_rows", measured.and_then(|measured| measured.lost_rows)),
        ("leader_changes", measured.map(|measured| measured.leader_changes)),
        ("played_ms", Some(u64::try_from(run.played.as_millis()).unwrap_or(u64::MAX))),
    ];
    let known = figures.into_iter().filter_map(|(name, figure)| Some(format!("[[PROPERTY|{name}={}]]\n", figure?)));
    known.chain([format!("[[PROPERTY|world={}]]\n", world(run))]).collect()
}

/// What was not played is no success: a case of its own that ends in an error.
fn unfinished(interrupted: Interrupted) -> TestSuite {
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
    let left = interrupted.planned - interrupted.played.min(interrupted.planned);
    let description = format!("pgdrill was ended before all was played; of {left} runs nothing is known.");
    status.set_type("interrupted").set_message(interrupted.to_string()).set_description(description);
    let mut case = TestCase::new("all runs were played", status);
    case.set_classname("pgdrill").set_time(Duration::ZERO);
    let mut suite = TestSuite::new("pgdrill");
    suite.set_time(Duration::ZERO);
    suite.add_property(Property::new("played", interrupted.played.to_string()));
    suite.add_property(Property::new("planned", interrupted.planned.to_string()));
    suite.add_test_case(case);
    suite
}

fn status(run: &Run, explained: &impl Fn(&Run) -> Option<String>) -> TestCaseStatus {
    let kind = match (&run.ending, run.verdict()) {
        (Ending::Crashed(_) | Ending::Unplayable(_), _) => NonSuccessKind::Error,
        (_, Verdict::Pass) => return TestCaseStatus::success(),
        (_, Verdict::Unsupported | Verdict::NotApplicable) => {
            let mut skipped = TestCaseStatus::skipped();
            skipped.set_message(run.reason());
            return skipped;
        }
        (_, Verdict::Fail) => NonSuccessKind::Failure,
        (_, Verdict::Unknown | Verdict::Vacuous) => NonSuccessKind::Error,
    };
    let mut status = TestCaseStatus::non_success(kind);
    let text = explained(run).unwrap_or_else(|| explanation(run, WIDTH));
    status
        .set_type(kind_of(run))
        .set_message(run.reason())
        .set_description(anstream::adapter::strip_str(&text).to_string());
    status
}

/// What CI systems group by: the first violation's code, else the word for the ending.
fn kind_of(run: &Run) -> String {
    match &run.ending {
        Ending::Judged(judgement) => {
            judgement.violations.first().map_or_else(|| run.word(), |violation| violation.code().to_owned())
        }
        _ => run.word(),
    }
}
