//! **No phantoms.** No write is there twice, none that nobody sent, none that was refused; and when everything has settled
//! the replicas hold what the primary holds.
//!
//! Source: what a database promises its clients. A write whose outcome is unknown may be there or not.
//!
//! Limits: judged on the tables as they were read at the end, so what came and went in between is not seen. Replicas are
//! compared with the primary only when the scenario expects a healthy end, and not those that replay from an archive
//! (`nostream`), which may lag by a WAL segment for ever.

use std::collections::{BTreeMap, BTreeSet};

use super::{Broken, Finding, Violation, violation};
use crate::{
    history::{Answer, History, NodeRows},
    rules::Rules,
    scenario::End,
};

/// One wrong row says enough, a thousand of them hide everything else.
const VIOLATIONS_A_NODE: usize = 5;

/// Judges the rule.
#[must_use]
pub fn judge(rules: &Rules, history: &History<'_>) -> Finding {
    if history.ending.rows.is_empty() {
        return Finding::unknown("no node's tables were read at the end");
    }
    let sent: BTreeMap<u64, (u32, Answer)> = history
        .operations
        .writes()
        .filter_map(|operation| operation.write().map(|(id, key)| (id, (key, operation.answer))))
        .collect();
    let mut violations = Vec::new();
    for (node, read) in &history.ending.rows {
        violations.extend(wrong_rows(node, read, &sent));
    }
    if rules.expected_end() == End::Healthy {
        violations.extend(diverged(rules, history));
    }
    Finding::of(violations)
}

fn wrong_rows(node: &str, read: &NodeRows<'_>, sent: &BTreeMap<u64, (u32, Answer)>) -> Vec<Violation> {
    let node = || node.to_owned();
    let mut rows = read.rows.to_vec();
    rows.sort_unstable();
    let mut broken = Vec::new();
    for same in rows.chunk_by(|(id, _), (next, _)| id == next) {
        let (id, key) = same[0];
        match sent.get(&id) {
            Some((sent_key, answer)) if *sent_key == key => {
                if matches!(answer, Answer::Refused) {
                    broken.push(Broken::RefusedWriteApplied { node: node(), id });
                }
                if same.len() > 1 {
                    broken.push(Broken::DuplicateWrite { node: node(), id, times: same.len() });
                }
            }
            _ => broken.push(Broken::PhantomWrite { node: node(), id, key }),
        }
    }
    broken.into_iter().take(VIOLATIONS_A_NODE).map(|broken| violation(read.at, vec![read.ordinal], broken)).collect()
}

fn diverged(rules: &Rules, history: &History<'_>) -> Vec<Violation> {
    let Some((primary, authority)) = history.ending.authority(history.keys.last_holder()) else { return Vec::new() };
    let ids = |read: &NodeRows<'_>| read.rows.iter().map(|(id, _)| *id).collect::<BTreeSet<u64>>();
    let expected = ids(&authority);
    let mut violations = Vec::new();
    for (node, read) in &history.ending.rows {
        // The same rows in the same order need no closer look.
        if *node == primary || read.rows == authority.rows || rules.tags_of(node).nostream == Some(true) {
            continue;
        }
        let found = ids(read);
        let missing = expected.difference(&found).count();
        let extra = found.difference(&expected).count();
        if missing + extra > 0 {
            let broken =
                Broken::DivergedReplica { node: (*node).to_owned(), primary: primary.to_owned(), missing, extra };
            violations.push(violation(read.at, vec![authority.ordinal, read.ordinal], broken));
        }
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::judge;
    use crate::{
        history::script::Script,
        oracle::Finding,
        rules::Rules,
        scenario::{End, Expect},
    };

    /// Ten acknowledged writes 0 to 9, a refused 10, an unknown 11.
    fn workload() -> Script {
        Script::new().writes("pg1", 1.0, 10.5).refused(11.0, 11.1).unknown(12.0, 13.0)
    }

    fn codes(script: &Script) -> Vec<&'static str> {
        judge(&Rules::default(), &script.history()).violations().iter().map(super::Violation::code).collect()
    }

    #[test]
    fn rows_that_were_sent_pass_with_and_without_the_unknown_one() {
        assert_eq!(codes(&workload().rows(20.0, "pg1", true, 0..10)), [""; 0]);
        assert_eq!(codes(&workload().rows(20.0, "pg1", true, (0..10).chain([11]))), [""; 0]);
    }

    #[test]
    fn a_row_that_is_there_twice_is_a_duplicate() {
        assert_eq!(codes(&workload().rows(20.0, "pg1", true, (0..10).chain([3]))), ["duplicate_write"]);
    }

    #[test]
    fn a_row_that_nobody_sent_is_a_phantom() {
        assert_eq!(codes(&workload().rows(20.0, "pg1", true, (0..10).chain([99]))), ["phantom_write"]);
    }

    #[test]
    fn a_refused_write_must_not_be_there() {
        assert_eq!(codes(&workload().rows(20.0, "pg1", true, 0..11)), ["refused_write_applied"]);
    }

    #[test]
    fn a_replica_must_hold_what_the_primary_holds_at_a_healthy_end() {
        let script = workload().rows(20.0, "pg1", true, 0..10).rows(20.0, "pg2", false, 0..9);
        assert_eq!(codes(&script), ["diverged_replica"]);
        let expect = Expect { end: Some(End::Unavailable), ..Expect::default() };
        assert_eq!(judge(&Rules { expect, ..Rules::default() }, &script.history()), Finding::Pass);
    }

    #[test]
    fn without_tables_nobody_can_say() {
        let finding = judge(&Rules::default(), &workload().history());
        assert!(matches!(finding, Finding::Unknown { .. }), "{finding:?}");
    }
}
