//! The oracles: rules that judge the events of a run, one file each.
//!
//! Every oracle reads the [`History`] and the [`Rules`], and answers *pass*, *violated* with the list, *unknown* or *not
//! applicable* with the reason. It reports only what is certain: where a probe's answer, a lagging watch or an open client
//! operation leaves doubt, the doubt is the cluster's. An oracle never panics and never asks who recorded the events.

pub mod budgets;
pub mod durability;
pub mod eligibility;
pub mod end_state;
pub mod expected_end;
pub mod linearizability;
pub mod liveness;
pub mod one_writer;
mod own_names;
pub mod phantoms;
pub mod recovery;
pub mod rest_truth;
pub mod standby_cluster;
pub mod timelines;
pub mod vacuity;
mod violation;

use serde::{Deserialize, Serialize};

use crate::{event::At, figures::Measured, history::History, rules::Rules};
pub use violation::{Broken, Violation};

/// What an oracle found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "finding")]
pub enum Finding {
    /// The rule held, as far as can be seen from outside.
    Pass,
    /// The rule was broken.
    Violated {
        /// How, in the order of time.
        violations: Vec<Violation>,
    },
    /// Nobody can say.
    Unknown {
        /// Why not.
        why: String,
    },
    /// The rule promises nothing for this cluster or this run.
    NotApplicable {
        /// Why not.
        why: String,
    },
    /// The run proves nothing: what it was to test did not happen.
    Vacuous {
        /// Why not.
        why: String,
    },
}

impl Finding {
    /// Pass when there are no violations.
    #[must_use]
    pub fn of(mut violations: Vec<Violation>) -> Self {
        violations.sort_by(|a, b| (a.at, &a.ordinals).cmp(&(b.at, &b.ordinals)));
        if violations.is_empty() { Self::Pass } else { Self::Violated { violations } }
    }

    /// Unknown, with the reason, unless something was broken for certain.
    #[must_use]
    pub fn of_or_unknown(violations: Vec<Violation>, why: Option<String>) -> Self {
        match (Self::of(violations), why) {
            (Self::Pass, Some(why)) => Self::Unknown { why },
            (finding, _) => finding,
        }
    }

    /// The violations, none unless violated.
    #[must_use]
    pub fn violations(&self) -> &[Violation] {
        match self {
            Self::Violated { violations } => violations,
            _ => &[],
        }
    }

    pub(crate) fn unknown(why: impl Into<String>) -> Self {
        Self::Unknown { why: why.into() }
    }

    pub(crate) fn not_applicable(why: impl Into<String>) -> Self {
        Self::NotApplicable { why: why.into() }
    }
}

/// One oracle's finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OracleResult {
    /// The oracle: `one_writer`.
    pub oracle: String,
    /// What it found.
    #[serde(flatten)]
    pub finding: Finding,
}

/// An oracle as a function of what is allowed and what was seen.
type Judge = fn(&Rules, &History<'_>, &Measured) -> Finding;

/// Every oracle, in the order in which reports list them.
const ORACLES: [(&str, Judge); 14] = [
    ("one_writer", |rules, history, _| one_writer::judge(rules, history)),
    ("durability", |rules, history, _| durability::judge(rules, history)),
    ("phantoms", |rules, history, _| phantoms::judge(rules, history)),
    ("linearizability", |rules, history, _| linearizability::judge(rules, history)),
    ("eligibility", |rules, history, _| eligibility::judge(rules, history)),
    ("timelines", |_, history, _| timelines::judge(history)),
    ("rest_truth", |rules, history, _| rest_truth::judge(rules, history)),
    ("recovery", |rules, history, _| recovery::judge(rules, history)),
    ("liveness", |rules, history, _| liveness::judge(rules, history)),
    ("standby_cluster", |rules, history, _| standby_cluster::judge(rules, history)),
    ("end_state", |rules, history, _| end_state::judge(rules, history)),
    ("expected_end", |rules, history, _| expected_end::judge(rules, history)),
    ("budgets", budgets::judge),
    ("vacuity", |rules, history, _| vacuity::judge(rules, history)),
];

/// Asks every oracle.
#[must_use]
pub fn ask_all(rules: &Rules, history: &History<'_>, measured: &Measured) -> Vec<OracleResult> {
    ORACLES
        .iter()
        .map(|(oracle, judge)| OracleResult { oracle: (*oracle).to_owned(), finding: judge(rules, history, measured) })
        .collect()
}

/// A violation at a time, shown by events.
pub(crate) fn violation(at: At, ordinals: Vec<u64>, broken: Broken) -> Violation {
    Violation { at, ordinals, broken }
}

/// `at` earlier by a duration, not before the start.
pub(crate) fn earlier(at: At, by: std::time::Duration) -> At {
    At(at.0.saturating_sub(u64::try_from(by.as_nanos()).unwrap_or(u64::MAX)))
}

/// `at` later by a duration.
pub(crate) fn later(at: At, by: std::time::Duration) -> At {
    At(at.0.saturating_add(u64::try_from(by.as_nanos()).unwrap_or(u64::MAX)))
}
