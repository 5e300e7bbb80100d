//! Judging one run: all oracles, the figures, and the verdict they amount to.

use serde::{Deserialize, Serialize};

use super::Verdict;
use crate::{
    event::Event,
    figures::Measured,
    history::History,
    oracle::{self, Broken, Finding, OracleResult, Violation},
    rules::Rules,
};

/// What one run proves, with everything that leads to it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Judgement {
    /// The verdict.
    pub verdict: Verdict,
    /// Why, in a sentence: the first unexpected violation, or what could not be judged.
    pub reason: String,
    /// The violations that count against the run, first one first.
    pub violations: Vec<Violation>,
    /// The violations that the scenario is there to show.
    pub shown: Vec<Violation>,
    /// Every oracle's finding.
    pub results: Vec<OracleResult>,
    /// The figures.
    pub measured: Measured,
}

/// Judges the events of one run.
#[must_use]
pub fn judge(rules: &Rules, events: &[Event]) -> Judgement {
    let history = History::of(events);
    let measured = Measured::of(&history);
    let results = oracle::ask_all(rules, &history, &measured);

    let mut all: Vec<Violation> = results.iter().flat_map(|result| result.finding.violations()).cloned().collect();
    all.sort_by(|a, b| (a.at, &a.ordinals).cmp(&(b.at, &b.ordinals)));
    let (shown, mut violations): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|violation| rules.expect.shows.iter().any(|code| code == violation.code()));

    let vacuous = reasons(&results, |finding| match finding {
        Finding::Vacuous { why } => Some(why),
        _ => None,
    });
    let unknown = reasons(&results, |finding| match finding {
        Finding::Unknown { why } => Some(why),
        _ => None,
    });
    // A vacuous run could not show anything: asking it for the violations that it was to show would blame the wrong thing.
    if vacuous.is_none() {
        violations.extend(absent(rules, &shown, &history));
    }

    let (verdict, reason) = match (violations.first(), vacuous, unknown) {
        (Some(first), _, _) => (Verdict::Fail, first.to_string()),
        (None, Some(why), _) => (Verdict::Vacuous, why),
        (None, None, Some(why)) => (Verdict::Unknown, why),
        (None, None, None) => (Verdict::Pass, "every rule held".to_owned()),
    };
    Judgement { verdict, reason, violations, shown, results, measured }
}

/// The reasons of the oracles that say so, each with the oracle's name.
fn reasons(results: &[OracleResult], pick: impl Fn(&Finding) -> Option<&String>) -> Option<String> {
    let reasons: Vec<String> = results
        .iter()
        .filter_map(|result| pick(&result.finding).map(|why| format!("{}: {why}", result.oracle)))
        .collect();
    (!reasons.is_empty()).then(|| reasons.join("; "))
}

/// Violations that the scenario is there to show and that did not appear in this run.
fn absent(rules: &Rules, shown: &[Violation], history: &History<'_>) -> Vec<Violation> {
    rules
        .expect
        .shows
        .iter()
        .filter(|code| !shown.iter().any(|violation| violation.code() == code.as_str()))
        .map(|code| Violation {
            at: history.end,
            ordinals: Vec::new(),
            broken: Broken::ExpectedViolationAbsent { expected: code.clone() },
        })
        .collect()
}
