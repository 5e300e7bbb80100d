//! **One writer.** No two nodes acknowledge writes in overlapping intervals, and no node acknowledges writes after its
//! leader key has been gone for longer than the fencing margin.
//!
//! Source: the leader lock's purpose (Patroni's documentation, "Replication modes" and "Watchdog support").
//!
//! `two_writers` needs three writes in certain order, seen from the clients alone:
//!
//! ```text
//!   pg1  |--b1--|                    |--b2--|        pg1 did not take the leader key after b1:
//!   pg2            |---a---|                         writing came back to it without leadership
//!   time ---------------------------------------->
//! ```
//!
//! Each `|--|` is `[invocation, return]`; the server said yes at some moment within it. Only gaps between them order two
//! writes for certain, so a write that merely overlaps another one is never held against a node.
//!
//! `fencing_margin` compares a single write with the terms of the leader key: the node held it at no moment from one margin
//! before the invocation until the return. Its limits: a paused cluster may have a primary without the key, so writes sent
//! during a pause are not held against it; nor are writes under `failsafe_mode` while nobody else holds the key. Writes
//! whose server did not name itself are not judged.

use std::collections::{BTreeMap, BTreeSet};

use super::{Broken, Finding, Violation, earlier, later, violation};
use crate::{
    event::{At, millis},
    history::{History, Keys, Operation},
    rules::Rules,
};

/// Judges the rule.
#[must_use]
pub fn judge(rules: &Rules, history: &History<'_>) -> Finding {
    let spans: Vec<Span<'_>> = history.operations.acknowledged_writes().filter_map(Span::of).collect();
    if spans.is_empty() {
        return Finding::not_applicable("no acknowledged write names the node that acknowledged it");
    }
    if history.keys.terms().is_empty() {
        return Finding::unknown("the leader key was never seen");
    }
    let mut violations: Vec<Violation> = returns_without_leadership(rules, &history.keys, &spans, At(0))
        .into_iter()
        .map(|back| {
            let broken = Broken::TwoWriters {
                node: back.node.to_owned(),
                other: back.other.to_owned(),
                writes: back.offences.len(),
            };
            violation(back.at, back.ordinals, broken)
        })
        .collect();
    violations.extend(unfenced(rules, history, &spans));
    Finding::of(violations)
}

/// Something that a node certainly did at some moment of an interval.
#[derive(Clone, Debug)]
pub(super) struct Span<'a> {
    pub(super) node: &'a str,
    pub(super) from: At,
    pub(super) to: At,
    /// Ordinal of the event that ends it.
    pub(super) ordinal: u64,
}

impl<'a> Span<'a> {
    fn of(write: &Operation<'a>) -> Option<Self> {
        let (to, ordinal) = write.returned?;
        Some(Self { node: write.server?, from: write.invoked_at, to, ordinal })
    }
}

/// A node acted while another one was acting, and did not take the leader key in between.
pub(super) struct Back<'a> {
    /// The one of the two that does not hold the key.
    pub(super) node: &'a str,
    pub(super) other: &'a str,
    pub(super) at: At,
    pub(super) ordinals: Vec<u64>,
    /// The ordinals of what `node` did.
    pub(super) offences: BTreeSet<u64>,
}

/// Finds the pattern b1, a, b2 of the module comment, each pair of nodes once a term of either. `apart` is how long the third must
/// come after the second, in nanoseconds.
///
/// Sweeps the spans by their beginning; for every node it needs only the latest-begun span that has ended already, and for
/// the acting node the span that ended first since it took the key.
pub(super) fn returns_without_leadership<'a>(
    rules: &Rules,
    keys: &Keys<'a>,
    spans: &[Span<'a>],
    apart: At,
) -> Vec<Back<'a>> {
    let mut by_begin: Vec<&Span<'a>> = spans.iter().collect();
    by_begin.sort_by_key(|span| (span.from, span.ordinal));
    let mut by_end: Vec<&Span<'a>> = by_begin.clone();
    by_end.sort_by_key(|span| (span.to, span.ordinal));

    let mut ended = by_end.into_iter().peekable();
    let mut latest_begun: BTreeMap<&str, &Span<'a>> = BTreeMap::new();
    let mut ended_of: BTreeMap<&str, Vec<&Span<'a>>> = BTreeMap::new();
    let mut found: BTreeMap<((&str, &str), At), Back<'a>> = BTreeMap::new();
    for third in by_begin {
        while let Some(span) = ended.next_if(|span| span.to.0.saturating_add(apart.0) < third.from.0) {
            let latest = latest_begun.entry(span.node).or_insert(span);
            if span.from > latest.from {
                *latest = span;
            }
            ended_of.entry(span.node).or_default().push(span);
        }
        // Taking the key may have been recorded a little late: everything up to the end of the third span excuses it.
        let taken = keys.last_taken_by(third.node, later(third.to, rules.observation_slack)).map_or(At(0), |t| t.from);
        let own = ended_of.get(third.node).map_or(&[][..], Vec::as_slice);
        let Some(first) = own.get(own.partition_point(|span| span.to <= taken)) else { continue };
        let between =
            latest_begun.values().filter(|span| span.node != third.node && span.from > first.to).max_by_key(|s| s.from);
        if let Some(second) = between {
            // Whoever holds the key was in its right, so the other one is to blame.
            let third_holds = keys.held_within(third.node, third.from, third.to);
            let (offender, other) = if third_holds { (*second, third) } else { (third, *second) };
            let pair = (third.node.min(second.node), third.node.max(second.node));
            let other_taken = keys.last_taken_by(second.node, third.to).map_or(At(0), |term| term.from);
            let back = found.entry((pair, taken.max(other_taken))).or_insert_with(|| Back {
                node: offender.node,
                other: other.node,
                at: third.to,
                ordinals: vec![first.ordinal, second.ordinal, third.ordinal],
                offences: BTreeSet::new(),
            });
            if back.node == offender.node {
                back.offences.insert(offender.ordinal);
            }
        }
    }
    found.into_values().collect()
}

/// Writes that a node acknowledged without the key beyond the margin, each loss of the key once.
fn unfenced(rules: &Rules, history: &History<'_>, spans: &[Span<'_>]) -> Vec<Violation> {
    let margin = rules.fencing_margin();
    let mut found: BTreeMap<(&str, Option<u64>), Violation> = BTreeMap::new();
    for span in spans {
        let Some(gone) = gone(rules, &history.keys, span, margin) else { continue };
        if history.keys.paused_within(earlier(span.from, margin), span.to) {
            continue;
        }
        let entry = found.entry((span.node, gone.ordinal)).or_insert_with(|| {
            let broken = Broken::FencingMargin {
                node: span.node.to_owned(),
                holder: gone.holder.map(str::to_owned),
                gone_ms: None,
                margin_ms: millis(margin),
                writes: 0,
            };
            violation(span.to, gone.ordinal.into_iter().chain([span.ordinal]).collect(), broken)
        });
        if let Broken::FencingMargin { gone_ms, writes, .. } = &mut entry.broken {
            *gone_ms = gone.since.map(|since| millis(span.from.since(since)));
            *writes += 1;
        }
    }
    found.into_values().collect()
}

/// A node's key had certainly been gone.
pub(super) struct Gone<'a> {
    /// Since when; `None` when it never held it.
    pub(super) since: Option<At>,
    /// The event that says so.
    pub(super) ordinal: Option<u64>,
    /// Who held it at the end of the span.
    pub(super) holder: Option<&'a str>,
}

/// Whether the node had certainly been without the key from one margin before the span until its end.
pub(super) fn gone<'a>(
    rules: &Rules,
    keys: &Keys<'a>,
    span: &Span<'_>,
    margin: std::time::Duration,
) -> Option<Gone<'a>> {
    let until = later(span.to, rules.observation_slack);
    if keys.held_within(span.node, earlier(span.from, margin), until) {
        return None;
    }
    let holder = keys.overlapping(earlier(span.from, margin), span.to).last().map(|term| term.holder);
    // Failsafe mode lets a primary go on while every member agrees; that agreement ends when somebody takes the key.
    if rules.failsafe_mode && holder.is_none() {
        return None;
    }
    let lost = keys.last_taken_by(span.node, span.from).and_then(|term| term.until);
    // Before the first term was recorded the cluster is being set up, and nobody can have lost the key.
    if lost.is_none() && holder.is_none() {
        return None;
    }
    Some(Gone { since: lost.map(|(at, _)| at), ordinal: lost.map(|(_, ordinal)| ordinal), holder })
}

#[cfg(test)]
mod tests {
    use super::judge;
    use crate::{history::script::Script, oracle::Finding, rules::Rules};

    fn codes(finding: &Finding) -> Vec<&'static str> {
        finding.violations().iter().map(super::Violation::code).collect()
    }

    /// pg1 leads and writes until 30 s, pg2 from 40 s on.
    fn failover() -> Script {
        Script::new()
            .leader(1.0, "pg1")
            .writes("pg1", 2.0, 30.0)
            .no_leader(32.0)
            .leader(33.0, "pg2")
            .writes("pg2", 40.0, 50.0)
    }

    #[test]
    fn a_failover_passes() {
        assert_eq!(judge(&Rules::default(), &failover().history()), Finding::Pass);
    }

    #[test]
    fn a_failover_back_passes_when_the_key_came_back_too() {
        let script = failover().leader(55.0, "pg1").writes("pg1", 56.0, 60.0);
        assert_eq!(judge(&Rules::default(), &script.history()), Finding::Pass);
    }

    #[test]
    fn an_old_primary_that_goes_on_writing_is_a_second_writer_even_within_the_margin() {
        let script = failover().writes("pg1", 42.2, 42.3);
        assert_eq!(codes(&judge(&Rules::default(), &script.history())), ["two_writers"]);
    }

    #[test]
    fn a_single_write_that_another_node_took_while_the_holder_wrote_is_its_fault() {
        let finding = judge(&Rules::default(), &failover().write("pg3", 44.2, 44.3).history());
        let texts: Vec<String> = finding.violations().iter().map(super::Violation::to_string).collect();
        assert!(texts.iter().any(|text| text.contains("pg3 acknowledged 1 write(s) while pg2")), "{texts:?}");
    }

    #[test]
    fn writes_that_overlap_in_time_prove_nothing() {
        // pg1's write was under way all the time: the server may have said yes before pg2 took over.
        let script = failover().write("pg1", 29.0, 45.0);
        assert_eq!(judge(&Rules::default(), &script.history()), Finding::Pass);
    }

    #[test]
    fn writes_without_the_key_are_allowed_up_to_the_margin_and_not_beyond() {
        let until = |end: f64| {
            let script =
                Script::new().leader(1.0, "pg1").writes("pg1", 2.0, 20.0).no_leader(20.0).writes("pg1", 20.1, end);
            codes(&judge(&Rules::default(), &script.history()))
        };
        // One loop_wait of 10 s and 1 s of slack.
        assert_eq!(until(30.9), [""; 0]);
        assert_eq!(until(33.0), ["fencing_margin"]);
    }

    #[test]
    fn failsafe_mode_allows_writes_while_nobody_else_holds_the_key() {
        let rules = Rules { failsafe_mode: true, ..Rules::default() };
        let alone = Script::new().leader(1.0, "pg1").no_leader(20.0).writes("pg1", 2.0, 60.0);
        assert_eq!(judge(&rules, &alone.history()), Finding::Pass);
        let taken = Script::new().leader(1.0, "pg1").leader(20.0, "pg2").writes("pg1", 2.0, 60.0);
        assert_eq!(codes(&judge(&rules, &taken.history())), ["fencing_margin"]);
    }

    #[test]
    fn a_pause_removes_fencing_by_the_key() {
        let script = Script::new().leader(1.0, "pg1").dcs(5.0, "config", r#"{"pause": true}"#);
        let script = script.no_leader(20.0).writes("pg1", 2.0, 60.0);
        assert_eq!(judge(&Rules::default(), &script.history()), Finding::Pass);
    }

    #[test]
    fn without_the_leader_key_nobody_can_say() {
        let finding = judge(&Rules::default(), &Script::new().writes("pg1", 2.0, 3.0).history());
        assert!(matches!(finding, Finding::Unknown { .. }), "{finding:?}");
    }
}
