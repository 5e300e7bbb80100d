//! **Truth of REST.** `/primary` answers 200 only on the holder of the leader key, never on two nodes at once; `/replica`
//! answers 200 only on a node in recovery.
//!
//! Source: Patroni's documentation, "Patroni REST API": load balancers route writes by `/primary`, so an untrue answer is a
//! split brain in waiting.
//!
//! A probe's answer was true at some moment between question and answer, and the agent may not know yet that its key has
//! gone: the fencing margin is granted. During a pause a primary may lack the key, and under `failsafe_mode` while nobody
//! else holds it. Whether a node was in recovery is known only between two SQL probes that say the same of the same
//! timeline; a role may be one turn of the loop old. What lies between is not judged.

use std::collections::BTreeMap;

use super::{
    Broken, Finding, Violation, earlier,
    one_writer::{Span, gone, returns_without_leadership},
    violation,
};
use crate::{
    event::At,
    history::{History, RestProbe},
    rules::Rules,
};

/// Judges the rule.
#[must_use]
pub fn judge(rules: &Rules, history: &History<'_>) -> Finding {
    if history.probes.rest().is_empty() {
        return Finding::not_applicable("nobody asked the REST interfaces");
    }
    let yes = |path: &'static str| {
        history.probes.rest().iter().filter(move |probe| probe.path == path && probe.status == Some(200))
    };
    let primaries: Vec<Span<'_>> = yes("/primary").map(span).collect();
    if !primaries.is_empty() && history.keys.terms().is_empty() {
        return Finding::unknown("the leader key was never seen");
    }
    let mut violations = not_the_holder(rules, history, &primaries);
    violations.extend(two_primaries(rules, history, &primaries));
    violations.extend(not_in_recovery(rules, history, yes("/replica")));
    Finding::of(violations)
}

fn span<'a>(probe: &RestProbe<'a>) -> Span<'a> {
    Span { node: probe.node, from: probe.asked_at, to: probe.at, ordinal: probe.ordinal }
}

fn lied(node: &str, path: &str, why: String, answers: usize) -> Broken {
    Broken::RestLied { node: node.to_owned(), path: path.to_owned(), why, answers }
}

/// `/primary` said yes although the key had been gone beyond the margin, each loss of the key once.
fn not_the_holder(rules: &Rules, history: &History<'_>, primaries: &[Span<'_>]) -> Vec<Violation> {
    let margin = rules.fencing_margin();
    let mut found: BTreeMap<(&str, Option<u64>), Violation> = BTreeMap::new();
    for span in primaries {
        let Some(gone) = gone(rules, &history.keys, span, margin) else { continue };
        if history.keys.paused_within(earlier(span.from, margin), span.to) {
            continue;
        }
        let entry = found.entry((span.node, gone.ordinal)).or_insert_with(|| {
            let why = match gone.holder {
                Some(holder) => format!("{holder} held the leader key"),
                None => "nobody held the leader key".to_owned(),
            };
            let ordinals = gone.ordinal.into_iter().chain([span.ordinal]).collect();
            violation(span.to, ordinals, lied(span.node, "/primary", why, 0))
        });
        if let Broken::RestLied { answers, .. } = &mut entry.broken {
            *answers += 1;
        }
    }
    found.into_values().collect()
}

/// `/primary` said yes on one node, then on another, then on the first again, without the first having taken the key again.
fn two_primaries(rules: &Rules, history: &History<'_>, primaries: &[Span<'_>]) -> Vec<Violation> {
    let margin = At(u64::try_from(rules.fencing_margin().as_nanos()).unwrap_or(u64::MAX));
    returns_without_leadership(rules, &history.keys, primaries, margin)
        .into_iter()
        .filter(|back| !history.keys.paused_within(earlier(back.at, rules.fencing_margin()), back.at))
        .map(|back| {
            let why = format!("{} answered 200 as well, for longer than the margin", back.other);
            violation(back.at, back.ordinals, lied(back.node, "/primary", why, back.offences.len()))
        })
        .collect()
}

/// `/replica` said yes although the node had certainly been a primary for a turn of the loop.
fn not_in_recovery<'p>(
    rules: &Rules,
    history: &History<'_>,
    answers: impl Iterator<Item = &'p RestProbe<'p>>,
) -> Vec<Violation> {
    let mut found: BTreeMap<&str, Violation> = BTreeMap::new();
    for answer in answers {
        let Some(shown_by) = certainly_primary(rules, history, answer) else { continue };
        let entry = found.entry(answer.node).or_insert_with(|| {
            let why = "it was not in recovery".to_owned();
            violation(answer.at, vec![shown_by.0, answer.ordinal, shown_by.1], lied(answer.node, "/replica", why, 0))
        });
        if let Broken::RestLied { answers, .. } = &mut entry.broken {
            *answers += 1;
        }
    }
    found.into_values().collect()
}

/// The SQL probes around an answer that show the node out of recovery all the while, on one timeline.
fn certainly_primary(rules: &Rules, history: &History<'_>, answer: &RestProbe<'_>) -> Option<(u64, u64)> {
    let before = history.probes.sql_before(answer.node, earlier(answer.asked_at, rules.loop_wait))?;
    let after = history.probes.sql_after(answer.node, answer.at).iter().find(|probe| probe.asked_at >= answer.at)?;
    // A primary that became a replica and a primary again is on a new timeline.
    let same = before.state.zip(after.state).is_some_and(|(before, after)| {
        !before.in_recovery && !after.in_recovery && before.timeline == after.timeline && before.timeline > 0
    });
    same.then_some((before.ordinal, after.ordinal))
}

#[cfg(test)]
mod tests {
    use super::judge;
    use crate::{
        history::script::{Script, primary, standby},
        oracle::Finding,
        rules::Rules,
    };

    fn codes(script: &Script) -> Vec<&'static str> {
        judge(&Rules::default(), &script.history()).violations().iter().map(super::Violation::code).collect()
    }

    fn asked(mut script: Script, node: &str, path: &str, from: u32, to: u32) -> Script {
        for second in from..to {
            script = script.rest(f64::from(second), node, path, Some(200));
        }
        script
    }

    #[test]
    fn primary_on_the_holder_passes_and_its_successor_too() {
        let script = Script::new().leader(1.0, "pg1").no_leader(30.0).leader(31.0, "pg2");
        let script = asked(asked(script, "pg1", "/primary", 2, 30), "pg2", "/primary", 32, 60);
        assert_eq!(judge(&Rules::default(), &script.history()), Finding::Pass);
    }

    #[test]
    fn primary_on_a_node_that_lost_the_key_beyond_the_margin_is_a_lie() {
        let script = Script::new().leader(1.0, "pg1").leader(30.0, "pg2");
        assert_eq!(codes(&asked(script.clone(), "pg1", "/primary", 2, 41)), [""; 0]);
        assert_eq!(codes(&asked(script, "pg1", "/primary", 2, 44)), ["rest_lied"]);
    }

    #[test]
    fn primary_without_any_leader_key_cannot_be_judged() {
        let finding = judge(&Rules::default(), &asked(Script::new(), "pg1", "/primary", 1, 3).history());
        assert!(matches!(finding, Finding::Unknown { .. }), "{finding:?}");
    }

    #[test]
    fn replica_on_a_node_that_was_a_primary_all_the_while_is_a_lie() {
        let script = Script::new().leader(1.0, "pg1").sql(2.0, "pg1", Some(primary(1, 10)));
        let script = script.rest(20.0, "pg1", "/replica", Some(200));
        assert_eq!(codes(&script.clone().sql(21.0, "pg1", Some(primary(1, 20)))), ["rest_lied"]);
        // In between it may have been a replica, then promoted; or nobody knows.
        assert_eq!(codes(&script.clone().sql(21.0, "pg1", Some(primary(2, 20)))), [""; 0]);
        assert_eq!(codes(&script), [""; 0]);
    }

    #[test]
    fn replica_on_a_standby_passes() {
        let script = Script::new().leader(1.0, "pg1").sql(2.0, "pg2", Some(standby(1, 10, "pg1")));
        let script = script.rest(20.0, "pg2", "/replica", Some(200)).sql(21.0, "pg2", Some(standby(1, 10, "pg1")));
        assert_eq!(judge(&Rules::default(), &script.history()), Finding::Pass);
    }
}
