//! **Budgets.** The scenario's own `expect`: the longest outage, lost writes, changes of leadership.
//!
//! Source: the scenario. How each figure is measured is written in [`Measured`].
//!
//! Limits: a budget for lost writes cannot be judged without the tables of a primary at the end.

use super::{Broken, Finding, Violation, violation};
use crate::{event::millis, figures::Measured, history::History, rules::Rules};

impl Broken {
    /// Whether it is about what the scenario itself expects (`expect`, `refused`), which may not fit to settings that its author did
    /// not have in mind; everything else breaks a rule that holds with any settings.
    #[must_use]
    pub const fn is_expectation(&self) -> bool {
        matches!(
            self,
            Self::OutageOverBudget { .. }
                | Self::OutageUnderBudget { .. }
                | Self::LostWritesOverBudget { .. }
                | Self::LostWritesUnderBudget { .. }
                | Self::LeaderChangesOffBudget { .. }
                | Self::WrongEnd { .. }
                | Self::OperatorRefused { .. }
                | Self::OperatorNotRefused { .. }
                | Self::ExpectedViolationAbsent { .. }
        )
    }
}

/// Judges the rule.
#[must_use]
pub fn judge(rules: &Rules, history: &History<'_>, measured: &Measured) -> Finding {
    let expect = &rules.expect;
    let mut violations = outage(rules, history, measured);
    let mut unknown = None;
    match (measured.lost_rows, expect.lost_writes.is_some()) {
        (Some(rows), _) => violations.extend(lost_writes(rules, history, rows)),
        (None, true) => unknown = Some("the tables of the primary were not read at the end".to_owned()),
        (None, false) => {}
    }
    violations.extend(leader_changes(rules, history, measured));
    Finding::of_or_unknown(violations, unknown)
}

fn outage(rules: &Rules, history: &History<'_>, measured: &Measured) -> Vec<Violation> {
    let Some((budget, outage_ms)) = rules.expect.outage.zip(measured.outage_ms) else { return Vec::new() };
    // The outage becomes one too many when it is over.
    let longest = measured.outages.iter().max_by_key(|outage| outage.millis());
    let at = longest.map_or(history.end, |outage| outage.to);
    let mut violations = Vec::new();
    if let Some(max_ms) = budget.max.map(|max| millis(max.0)).filter(|max_ms| outage_ms > *max_ms) {
        violations.push(violation(at, Vec::new(), Broken::OutageOverBudget { outage_ms, max_ms }));
    }
    if let Some(min_ms) = budget.min.map(|min| millis(min.0)).filter(|min_ms| outage_ms < *min_ms) {
        violations.push(violation(at, Vec::new(), Broken::OutageUnderBudget { outage_ms, min_ms }));
    }
    violations
}

fn lost_writes(rules: &Rules, history: &History<'_>, rows: u64) -> Vec<Violation> {
    let Some(budget) = rules.expect.lost_writes else { return Vec::new() };
    let read = history.ending.authority(history.keys.last_holder()).map(|(_, read)| read.ordinal);
    let ordinals: Vec<u64> = read.into_iter().collect();
    let mut violations = Vec::new();
    if let Some(max) = budget.max.filter(|max| rows > *max) {
        violations.push(violation(history.end, ordinals.clone(), Broken::LostWritesOverBudget { rows, max }));
    }
    if let Some(min) = budget.min.filter(|min| rows < *min) {
        violations.push(violation(history.end, ordinals, Broken::LostWritesUnderBudget { rows, min }));
    }
    violations
}

fn leader_changes(rules: &Rules, history: &History<'_>, measured: &Measured) -> Option<Violation> {
    let changes = measured.leader_changes;
    let budget = rules.expect.leader_changes.filter(|budget| !budget.contains(changes))?;
    // The first change beyond the most allowed is the one to look at.
    let beyond = budget.max.and_then(|max| history.keys.leader_changes().nth(usize::try_from(max).ok()?));
    let at = beyond.map_or(history.end, |term| term.from);
    let ordinals = history.keys.leader_changes().map(|term| term.taken).collect();
    let expected = match (budget.min, budget.max) {
        (Some(min), Some(max)) if min == max => min.to_string(),
        (Some(min), Some(max)) => format!("{min} to {max}"),
        (Some(min), None) => format!("at least {min}"),
        (None, max) => format!("at most {}", max.unwrap_or(u64::MAX)),
    };
    let broken = Broken::LeaderChangesOffBudget { changes, expected };
    Some(violation(at, ordinals, broken))
}

#[cfg(test)]
mod tests {
    use super::judge;
    use crate::{
        figures::Measured,
        history::script::Script,
        oracle::Finding,
        rules::Rules,
        scenario::{Bounds, Expect, Span},
    };

    fn codes(expect: Expect, script: &Script) -> Vec<&'static str> {
        let rules = Rules { expect, ..Rules::default() };
        let history = script.history();
        let measured = Measured::of(&history);
        judge(&rules, &history, &measured).violations().iter().map(super::Violation::code).collect()
    }

    /// Writes until 10 s, a refused try each second, writes again from 40 s; two rows are lost.
    fn outage_of_thirty_seconds() -> Script {
        let mut script = Script::new().leader(0.5, "pg1").writes("pg1", 1.0, 10.5);
        for second in 11..40 {
            script = script.refused(f64::from(second), f64::from(second) + 0.1);
        }
        let script = script.leader(35.0, "pg2").writes("pg2", 40.0, 45.5);
        let end = script.next_id();
        script.rows(60.0, "pg2", true, (0..8).chain(39..end))
    }

    #[test]
    fn an_outage_is_measured_from_the_first_try_until_the_next_acknowledgement() {
        // From the first try after the last acknowledgement (11 s) until 40.01 s.
        let over = |max| Expect { outage: Some(Bounds::at_most(Span::from_millis(max))), ..Expect::default() };
        assert_eq!(codes(over(29_010), &outage_of_thirty_seconds()), [""; 0]);
        assert_eq!(codes(over(29_009), &outage_of_thirty_seconds()), ["outage_over_budget"]);
    }

    #[test]
    fn idle_writers_notice_no_outage() {
        let script = Script::new().writes("pg1", 1.0, 5.5).writes("pg1", 100.0, 105.5);
        let expect = Expect { outage: Some(Bounds::at_most(Span::from_secs(2))), ..Expect::default() };
        assert_eq!(codes(expect, &script), [""; 0]);
    }

    #[test]
    fn an_outage_that_never_ends_counts_until_the_last_try() {
        let mut script = Script::new().writes("pg1", 1.0, 5.5);
        for second in 6..60 {
            script = script.unknown(f64::from(second), f64::from(second) + 0.9);
        }
        let expect = Expect { outage: Some(Bounds::at_most(Span::from_secs(50))), ..Expect::default() };
        assert_eq!(codes(expect, &script), ["outage_over_budget"]);
    }

    #[test]
    fn lost_writes_and_leader_changes_have_budgets_on_both_sides() {
        let script = outage_of_thirty_seconds();
        for (lost, changes, expected) in [
            (Some(Bounds::exactly(2)), Some(Bounds::exactly(1)), vec![]),
            (Some(Bounds::at_most(1)), Some(Bounds::exactly(1)), vec!["lost_writes_over_budget"]),
            (Some(Bounds { min: Some(3), max: None }), Some(Bounds::exactly(1)), vec!["lost_writes_under_budget"]),
            (None, Some(Bounds::at_most(0)), vec!["leader_changes_off_budget"]),
            (None, Some(Bounds::exactly(2)), vec!["leader_changes_off_budget"]),
        ] {
            let expect = Expect { lost_writes: lost, leader_changes: changes, ..Expect::default() };
            assert_eq!(codes(expect, &script), expected, "{lost:?} {changes:?}");
        }
    }

    #[test]
    fn a_budget_for_lost_writes_needs_the_tables() {
        let rules =
            Rules { expect: Expect { lost_writes: Some(Bounds::at_most(0)), ..Expect::default() }, ..Rules::default() };
        let script = Script::new().writes("pg1", 1.0, 3.0);
        let history = script.history();
        let measured = Measured::of(&history);
        assert!(matches!(judge(&rules, &history, &measured), Finding::Unknown { .. }));
    }
}
