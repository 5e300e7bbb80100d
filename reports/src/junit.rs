//! JUnit XML for CI systems: a suite for each scenario, a test case for each seed.

use pgdrill_lab::verdict::Verdict;
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use crate::{
    explain::explanation,
    run::{Ending, Run},
};

/// Explanations in XML are wrapped to this many columns.
const WIDTH: usize = 100;

/// The document. Failures carry their explanation, so the runs' events must still be there, or `explained` must have it.
///
/// What could not be judged is an *error*, not a failure, and what the world cannot play is *skipped*: CI systems show
/// both apart from the cluster's own failures.
///
/// # Errors
/// When a text cannot be written as XML.
pub fn junit(runs: &[Run], explained: impl Fn(&Run) -> Option<String>) -> Result<String, quick_junit::SerializeError> {
    let mut report = Report::new("pgdrill");
    for group in runs.chunk_by(|a, b| a.scenario == b.scenario) {
        let mut suite = TestSuite::new(&group[0].scenario);
        for run in group {
            let mut case = TestCase::new(format!("seed {}", run.seed), status(run, &explained));
            case.set_classname(&run.scenario).set_time(run.took);
            suite.add_test_case(case);
        }
        report.add_test_suite(suite);
    }
    report.to_string()
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
