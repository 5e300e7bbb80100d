//! **Durability.** No acknowledged write is lost under synchronous and quorum replication; under asynchronous replication
//! the loss is at most what `maximum_lag_on_failover` and `ttl` allow.
//!
//! Source: Patroni's documentation, "Replication modes": with `maximum_lag_on_failover` "the worst-case amount of data lost
//! is bounded by maximum_lag_on_failover bytes of transaction log plus the amount that is written in the last ttl seconds".
//!
//! A write was *protected* if the `sync` key named its server as leader from the invocation until the return: only then did
//! the cluster promise to keep it. With `synchronous_mode` off the user's own `synchronous_standby_names` promise it, where a
//! failover cannot miss who has it (module `own_names`). With `synchronous_commit` off or local nothing is promised. A `failover` request (one without `leader`) may go to an asynchronous node and lose
//! anything; writes acknowledged before one are not held against the cluster.
//!
//! The asynchronous bound is judged in bytes, and only where it is certain: the old leader published its position at least
//! once in the `ttl` plus a turn of the loop before the key changed hands, so its successor has everything but
//! `maximum_lag_on_failover` of what a probe saw before that. Writes between the last two probes are not judged.
//!
//! Limits: without the tables of a primary at the end, or with several primaries of which none holds the leader key, nobody
//! can say. Loss is counted on the surviving primary only. Budgets for the loss are the scenario's (`expect.lost_writes`).

use std::time::Duration;

use super::{Broken, Finding, Violation, earlier, own_names, violation};
use crate::{
    event::At,
    figures::lost,
    history::{History, Operation, Term},
    rules::Rules,
    scenario::SynchronousMode,
};

/// Reports name so many ids.
const IDS_NAMED: usize = 10;

/// Judges the rule.
#[must_use]
pub fn judge(rules: &Rules, history: &History<'_>) -> Finding {
    if history.operations.acknowledged_writes().next().is_none() {
        return Finding::not_applicable("no write was acknowledged");
    }
    let Some(lost) = lost(history) else {
        return Finding::unknown("the tables of the primary were not read at the end");
    };
    let exempt_until = last_manual_failover(history);
    let (protected, rest): (Vec<&Operation<'_>>, Vec<&Operation<'_>>) = lost
        .writes
        .iter()
        .copied()
        .filter(|write| exempt_until.is_none_or(|until| write.invoked_at > until))
        .partition(|write| protected(rules, history, write) || own_names::winner_has(rules, history, write));
    let mut violations = Vec::new();
    if !protected.is_empty() {
        let mut ids: Vec<u64> = protected.iter().filter_map(|write| Some(write.write()?.0)).collect();
        ids.sort_unstable();
        ids.truncate(IDS_NAMED);
        let ordinals =
            protected.iter().take(IDS_NAMED).flat_map(|write| write.ordinals()).chain([lost.read.ordinal]).collect();
        let broken = Broken::LostWrites { node: lost.node.to_owned(), ids, rows: protected.len() };
        violations.push(violation(lost.read.at, ordinals, broken));
    }
    violations.extend(beyond_bound(rules, history, &rest));
    Finding::of(violations)
}

/// Whether the cluster promised to keep a write whatever happens: the `sync` key named its server all along, or everybody who may
/// lead had to have it.
#[must_use]
pub fn protected(rules: &Rules, history: &History<'_>, write: &Operation<'_>) -> bool {
    let Some(acknowledged_at) = write.acknowledged_at() else { return false };
    if rules.synchronous_mode == SynchronousMode::Off {
        return own_names::everybody_has(rules, history, write);
    }
    if !own_names::commits_wait(rules, history, write.invoked_at) {
        return false;
    }
    let names_server = |value: Option<serde_json::Value>| {
        let leader = value.as_ref().and_then(|sync| sync.get("leader")).and_then(|leader| leader.as_str());
        leader.is_some_and(|leader| write.server.is_none_or(|server| server == leader))
    };
    let versions = history.keys.versions("sync");
    let first = versions.partition_point(|version| version.at <= write.invoked_at);
    let within = versions[first..].iter().take_while(|version| version.at <= acknowledged_at);
    first > 0 && versions[first - 1..first].iter().chain(within).all(|version| names_server(version.json()))
}

/// When a `failover` request without `leader` was last seen.
fn last_manual_failover(history: &History<'_>) -> Option<At> {
    let manual = |version: &&crate::history::Version<'_>| {
        version.json().is_some_and(|request| request.get("member").is_some() && request.get("leader").is_none())
    };
    history.keys.versions("failover").iter().rev().find(manual).map(|version| version.at)
}

/// Lost writes that a successor within the limits could not have lacked, one for each change of leadership.
fn beyond_bound(rules: &Rules, history: &History<'_>, lost: &[&Operation<'_>]) -> Vec<Violation> {
    let unpublished: Duration = rules.ttl + rules.loop_wait + rules.observation_slack;
    let mut violations = Vec::new();
    for change in history.keys.leader_changes() {
        let Some(old) = change.previous else { continue };
        let published_by = earlier(change.from, unpublished);
        // The earliest is the furthest behind: if it is within the bound, so are the others.
        let first = lost.iter().find(|write| {
            write.server == Some(old)
                && write.acknowledged_at().is_some_and(|at| at <= published_by)
                && first_change_after(history, write, change)
        });
        let Some((write, behind_bytes)) =
            first.and_then(|write| Some((write, behind(history, old, write.acknowledged_at()?, published_by)?)))
        else {
            continue;
        };
        let Some((id, _)) = write.write() else { continue };
        if behind_bytes > rules.maximum_lag_on_failover {
            let broken = Broken::LossBeyondBound {
                node: old.to_owned(),
                id,
                behind_bytes,
                allowed_bytes: rules.maximum_lag_on_failover,
            };
            let ordinals = write.ordinals().into_iter().chain([change.taken]).collect();
            violations.push(violation(change.from, ordinals, broken));
        }
    }
    violations
}

/// How many bytes a primary certainly wrote between a write's acknowledgement and `until`, on one timeline.
fn behind(history: &History<'_>, node: &str, acknowledged_at: At, until: At) -> Option<u64> {
    let after_write = history
        .probes
        .sql_after(node, acknowledged_at)
        .iter()
        .find(|probe| probe.asked_at >= acknowledged_at)?
        .state
        .filter(|state| !state.in_recovery)?;
    let published = history.probes.sql_before(node, until)?.state.filter(|state| !state.in_recovery)?;
    (published.timeline == after_write.timeline).then(|| published.lsn.saturating_sub(after_write.lsn))
}

/// Whether this is the first change of leadership after the write: only its winner can have lost it by lagging.
fn first_change_after(history: &History<'_>, write: &Operation<'_>, change: &Term<'_>) -> bool {
    history
        .keys
        .leader_changes()
        .find(|term| term.from >= write.invoked_at)
        .is_some_and(|term| term.taken == change.taken)
}

#[cfg(test)]
mod tests {
    use super::judge;
    use crate::{
        history::script::{Script, primary},
        oracle::Finding,
        rules::Rules,
        scenario::SynchronousMode,
    };

    fn synchronous() -> Rules {
        Rules { synchronous_mode: SynchronousMode::On, ..Rules::default() }
    }

    fn codes(rules: &Rules, script: &Script) -> Vec<&'static str> {
        judge(rules, &script.history()).violations().iter().map(super::Violation::code).collect()
    }

    /// pg1 acknowledges the writes 0 to 9 under synchronous replication, then pg2 takes over.
    fn failover() -> Script {
        Script::new()
            .leader(0.5, "pg1")
            .dcs(0.6, "sync", r#"{"leader":"pg1","sync_standby":"pg2"}"#)
            .writes("pg1", 1.0, 10.5)
            .leader(40.0, "pg2")
    }

    #[test]
    fn nothing_lost_passes() {
        let script = failover().rows(90.0, "pg2", true, 0..10);
        assert_eq!(judge(&synchronous(), &script.history()), Finding::Pass);
    }

    #[test]
    fn a_lost_write_breaks_the_promise_of_synchronous_replication() {
        let script = failover().rows(90.0, "pg2", true, 0..9);
        assert_eq!(codes(&synchronous(), &script), ["lost_writes"]);
    }

    #[test]
    fn an_unknown_write_may_be_lost() {
        let script = failover().unknown(11.0, 12.0).rows(90.0, "pg2", true, 0..10);
        assert_eq!(judge(&synchronous(), &script.history()), Finding::Pass);
    }

    #[test]
    fn a_write_before_the_sync_key_existed_was_not_promised() {
        let script =
            Script::new().leader(0.5, "pg1").write("pg1", 1.0, 1.1).leader(40.0, "pg2").rows(90.0, "pg2", true, []);
        assert_eq!(judge(&synchronous(), &script.history()), Finding::Pass);
    }

    #[test]
    fn a_failover_by_hand_may_lose_writes() {
        let script = failover().dcs(39.0, "failover", r#"{"member":"pg2"}"#).rows(90.0, "pg2", true, 0..5);
        assert_eq!(judge(&synchronous(), &script.history()), Finding::Pass);
    }

    #[test]
    fn without_the_primarys_tables_nobody_can_say() {
        let finding = judge(&synchronous(), &failover().rows(90.0, "pg2", false, 0..10).history());
        assert!(matches!(finding, Finding::Unknown { .. }), "{finding:?}");
    }

    #[test]
    fn asynchronous_loss_is_bounded_by_the_lag_limit_and_ttl() {
        let lossy = |written_bytes: u64| {
            Script::new()
                .leader(0.5, "pg1")
                .write("pg1", 1.0, 1.1)
                .sql(2.0, "pg1", Some(primary(1, 1_000)))
                .sql(30.0, "pg1", Some(primary(1, 1_000 + written_bytes)))
                .leader(80.0, "pg2")
                .rows(120.0, "pg2", true, [])
        };
        assert_eq!(codes(&Rules::default(), &lossy(1_048_576)), [""; 0]);
        assert_eq!(codes(&Rules::default(), &lossy(1_048_577)), ["loss_beyond_bound"]);
    }
}
