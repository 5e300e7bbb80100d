//! **Vacuity.** Every event of the timeline was carried out and had an effect; operator actions were answered as expected.
//!
//! Source: a test that could not fail proves nothing. A fault that matched no host, cut no packet or never showed an effect
//! makes the run *vacuous*, never passed. An operator action (switchover, restart, ...) that was refused although the
//! scenario did not expect it is a violation: the cluster was asked and said no.
//!
//! Limits: an event of the timeline that was never reported at all is not missed here; the world that plays it owes the
//! report.

use super::{Broken, Finding, violation};
use crate::{history::History, rules::Rules};

/// Judges the rule.
#[must_use]
pub fn judge(rules: &Rules, history: &History<'_>) -> Finding {
    let mut violations = Vec::new();
    let mut vacuous = Vec::new();
    for (index, fault) in history.faults.all() {
        let expected_refusal = rules.refused.contains(&index);
        match (fault.refused, expected_refusal) {
            (Some((at, ordinal, why)), false) => {
                let broken = Broken::OperatorRefused { text: fault.text.to_owned(), why: why.to_owned() };
                violations.push(violation(at, vec![ordinal], broken));
            }
            (None, true) => {
                let broken = Broken::OperatorNotRefused { text: fault.text.to_owned() };
                let ordinals = fault.applied.iter().map(|(_, ordinal)| *ordinal).collect();
                violations.push(violation(fault.last_seen, ordinals, broken));
            }
            // Refused as expected: there is no effect to be proven.
            (Some(_), true) => continue,
            (None, false) => {}
        }
        // Of a repeated fault one repetition with an effect is enough: an idle link cannot be cut visibly.
        if let Some((_, _, why)) = fault.vacuous.filter(|_| fault.verified == 0) {
            vacuous.push(format!("`{}` had no effect: {why}", fault.text));
        } else if !fault.applied.is_empty() && fault.verified == 0 && fault.refused.is_none() {
            vacuous.push(format!("nothing proves that `{}` had an effect", fault.text));
        }
    }
    match Finding::of(violations) {
        Finding::Pass if !vacuous.is_empty() => Finding::Vacuous { why: vacuous.join("; ") },
        finding => finding,
    }
}

#[cfg(test)]
mod tests {
    use super::judge;
    use crate::{
        event::FaultPhase::{Applied, Ended, Refused, Vacuous, Verified},
        history::script::Script,
        oracle::Finding,
        rules::Rules,
    };

    fn expecting_refusal() -> Rules {
        Rules { refused: [0].into(), ..Rules::default() }
    }

    #[test]
    fn a_fault_with_a_proven_effect_passes() {
        let script =
            Script::new().fault(1.0, Applied).fault(2.0, Verified { evidence: "3 packets".into() }).fault(3.0, Ended);
        assert_eq!(judge(&Rules::default(), &script.history()), Finding::Pass);
    }

    #[test]
    fn a_fault_without_a_proven_effect_is_vacuous() {
        for script in [
            Script::new().fault(1.0, Applied).fault(2.0, Ended),
            Script::new().fault(1.0, Vacuous { why: "nothing matched".into() }),
            Script::new().fault(1.0, Applied).fault(2.0, Vacuous { why: "no packet".into() }),
        ] {
            assert!(matches!(judge(&Rules::default(), &script.history()), Finding::Vacuous { .. }));
        }
    }

    #[test]
    fn a_repeated_fault_with_an_effect_at_least_once_passes() {
        let script = Script::new()
            .fault(1.0, Applied)
            .fault(2.0, Vacuous { why: "no packet".into() })
            .fault(3.0, Applied)
            .fault(4.0, Verified { evidence: "3 packets".into() });
        assert_eq!(judge(&Rules::default(), &script.history()), Finding::Pass);
    }

    #[test]
    fn a_refused_action_is_a_violation_unless_it_was_to_be_refused() {
        let script = Script::new().fault(1.0, Refused { why: "412".into() });
        let finding = judge(&Rules::default(), &script.history());
        assert_eq!(finding.violations()[0].code(), "operator_refused");
        assert_eq!(judge(&expecting_refusal(), &script.history()), Finding::Pass);
    }

    #[test]
    fn an_action_that_was_to_be_refused_and_was_not_is_a_violation() {
        let script = Script::new().fault(1.0, Applied).fault(1.0, Verified { evidence: "200".into() });
        let finding = judge(&expecting_refusal(), &script.history());
        assert_eq!(finding.violations()[0].code(), "operator_not_refused");
    }
}
