//! **Eligibility.** Whoever took the leader key from another node was allowed to.
//!
//! Source: Patroni's leader race (`is_healthiest_node`; documentation, "Replication modes", "Tags settings"):
//! - not a node with the tag `nofailover`;
//! - not one that lags behind the published `status.optime` by more than `maximum_lag_on_failover`;
//! - with `check_timeline`, not one of an older timeline than the cluster's `history`;
//! - under synchronous (not quorum) replication only the leader and the standbys that the `sync` key names.
//!
//! A `failover` request that names the node exempts it from lag, timeline, and (without `leader`) from `sync`; a node that
//! was still running as primary takes its key back without a race.
//!
//! Only what is certain counts. How far a node had come when it took the key is bounded from above by where its new timeline
//! branched off, or by a later probe while it was still in recovery; without either, its lag is not judged. That the winner
//! was the *most* advanced node is not judged: the others' positions at that moment cannot be seen from outside.

use serde_json::Value;

use super::{Broken, Finding, Violation, earlier, violation};
use crate::{
    history::{History, Term},
    rules::Rules,
    scenario::SynchronousMode,
};

/// Judges the rule.
#[must_use]
pub fn judge(rules: &Rules, history: &History<'_>) -> Finding {
    if history.keys.terms().is_empty() {
        return Finding::unknown("the leader key was never seen");
    }
    let violations: Vec<Violation> =
        history.keys.leader_changes().flat_map(|term| Promotion::of(rules, history, term).judge()).collect();
    if violations.is_empty() && history.keys.leader_changes().next().is_none() {
        return Finding::not_applicable("the leader key never passed to another node");
    }
    Finding::of(violations)
}

/// How a `failover` key asked for this promotion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Request {
    /// Not at all.
    None,
    /// A switchover: the key names a leader.
    Switchover,
    /// A failover by hand: anything goes but `nofailover`.
    Failover,
}

/// A node that took the leader key from another.
struct Promotion<'r, 'h, 'a> {
    rules: &'r Rules,
    history: &'h History<'a>,
    term: &'h Term<'a>,
    request: Request,
}

impl<'r, 'h, 'a> Promotion<'r, 'h, 'a> {
    fn of(rules: &'r Rules, history: &'h History<'a>, term: &'h Term<'a>) -> Self {
        Self { rules, history, term, request: requested(rules, history, term) }
    }

    fn judge(&self) -> Vec<Violation> {
        // A primary that runs on keeps what it has: it neither lags behind itself nor is it promoted.
        let last = self.history.probes.sql_before(self.term.holder, self.term.from);
        if last.and_then(|probe| probe.state).is_some_and(|state| !state.in_recovery) {
            return Vec::new();
        }
        [self.nofailover(), self.lag(), self.old_timeline(), self.not_synchronous()].into_iter().flatten().collect()
    }

    fn broken(&self, shown_by: Option<u64>, why: String) -> Violation {
        let ordinals = shown_by.into_iter().chain([self.term.taken]).collect();
        violation(self.term.from, ordinals, Broken::IneligiblePromoted { node: self.term.holder.to_owned(), why })
    }

    /// A key's value as JSON right before the node took the leader key, with the ordinal of its event.
    fn before(&self, key: &str) -> Option<(Value, u64)> {
        let version = self.history.keys.before(key, self.term.from, self.term.taken)?;
        Some((version.json()?, version.ordinal))
    }

    fn nofailover(&self) -> Option<Violation> {
        let member = self.before(&format!("members/{}", self.term.holder));
        let tagged = match &member {
            // The member's own word is newer than the configuration it was started with.
            Some((member, _)) => forbidden(member.get("tags")),
            None => !self.rules.tags_of(self.term.holder).may_lead(),
        };
        tagged.then(|| self.broken(member.map(|(_, ordinal)| ordinal), "it is tagged nofailover".to_owned()))
    }

    fn lag(&self) -> Option<Violation> {
        if self.request == Request::Failover {
            return None;
        }
        let (status, ordinal) = self.before("status")?;
        let optime = status.get("optime").and_then(Value::as_u64)?;
        let lag = optime.saturating_sub(self.furthest_lsn()?);
        let limit = self.rules.maximum_lag_on_failover;
        (lag > limit).then(|| {
            let why = format!(
                "it was at least {lag} bytes behind the last known leader position {optime} \
                 (maximum_lag_on_failover {limit})"
            );
            self.broken(Some(ordinal), why)
        })
    }

    /// The furthest that the node can have come when it took the key.
    fn furthest_lsn(&self) -> Option<u64> {
        let before = self.history.probes.sql_before(self.term.holder, self.term.from)?.state?;
        for probe in self.history.probes.sql_after(self.term.holder, self.term.from) {
            // Another term of anybody may have moved it anywhere.
            if self.term.until.is_some_and(|(until, _)| probe.at > until) {
                return None;
            }
            let Some(state) = probe.state else { continue };
            if state.in_recovery && probe.asked_at >= self.term.from {
                return Some(state.lsn);
            }
            if !state.in_recovery {
                let branched = state.history.last().filter(|(timeline, _)| *timeline == before.timeline);
                return branched.map(|(_, switch_lsn)| *switch_lsn);
            }
        }
        None
    }

    fn old_timeline(&self) -> Option<Violation> {
        if !self.rules.check_timeline || self.request == Request::Failover {
            return None;
        }
        let (entries, ordinal) = self.before("history")?;
        let cluster_timeline = entries.as_array()?.last()?.get(0)?.as_u64()? + 1;
        // The timeline that it came from is written into the history of the one it started.
        let state = self
            .history
            .probes
            .sql_after(self.term.holder, self.term.from)
            .iter()
            .filter_map(|probe| probe.state)
            .find(|state| !state.in_recovery)?;
        let (came_from, _) = state.history.last()?;
        (u64::from(*came_from) < cluster_timeline).then(|| {
            let why = format!("it was on timeline {came_from}, the cluster on {cluster_timeline}");
            self.broken(Some(ordinal), why)
        })
    }

    fn not_synchronous(&self) -> Option<Violation> {
        if self.rules.synchronous_mode != SynchronousMode::On || self.request == Request::Failover {
            return None;
        }
        let (sync, ordinal) = self.before("sync")?;
        // Without a leader in it the key guards nothing yet.
        let leader = sync.get("leader").and_then(Value::as_str)?;
        let standbys = sync.get("sync_standby").and_then(Value::as_str).unwrap_or("");
        let named = leader == self.term.holder || standbys.split(',').any(|name| name.trim() == self.term.holder);
        (!named).then(|| {
            let why = format!("the sync key named only the leader {leader} and the standbys [{standbys}]");
            self.broken(Some(ordinal), why)
        })
    }
}

/// Whether tags forbid failover. `nofailover` wins over `failover_priority`, of which 0 or less forbids too.
fn forbidden(tags: Option<&Value>) -> bool {
    let tag = |name: &str| tags.and_then(|tags| tags.get(name));
    match tag("nofailover").and_then(Value::as_bool) {
        Some(nofailover) => nofailover,
        None => tag("failover_priority").and_then(Value::as_i64).is_some_and(|priority| priority <= 0),
    }
}

/// Whether a `failover` key was there for this promotion: at the moment, or so shortly before that its removal and the
/// taking of the key may be one and the same procedure.
fn requested(rules: &Rules, history: &History<'_>, term: &Term<'_>) -> Request {
    let since = earlier(term.from, rules.ttl);
    let recent = history.keys.versions("failover").iter().filter(|version| version.at <= term.from);
    let standing = history.keys.before("failover", since, 0);
    let mut request = Request::None;
    for version in standing.into_iter().chain(recent.filter(|version| version.at >= since)) {
        let Some(json) = version.json() else { continue };
        let names = |field: &str| json.get(field).and_then(Value::as_str);
        match (names("leader"), names("member")) {
            (None, Some(member)) if member == term.holder => return Request::Failover,
            (Some(_), _) => request = Request::Switchover,
            _ => {}
        }
    }
    request
}

#[cfg(test)]
mod tests {
    use super::judge;
    use crate::{
        event::SqlState,
        history::script::{Script, primary, standby},
        oracle::Finding,
        rules::Rules,
        scenario::SynchronousMode,
    };

    fn codes(rules: &Rules, script: &Script) -> Vec<&'static str> {
        judge(rules, &script.history()).violations().iter().map(super::Violation::code).collect()
    }

    /// pg1 led up to position 5,000,000; pg2 takes the key at 40 s and branches off at `switch_lsn`.
    fn takeover(switch_lsn: u64) -> Script {
        let promoted = SqlState { history: vec![(1, switch_lsn)], ..primary(2, switch_lsn + 100) };
        Script::new()
            .leader(1.0, "pg1")
            .dcs(2.0, "status", r#"{"optime":5000000}"#)
            .sql(30.0, "pg2", Some(standby(1, switch_lsn, "pg1")))
            .no_leader(39.0)
            .leader(40.0, "pg2")
            .sql(45.0, "pg2", Some(promoted))
    }

    #[test]
    fn a_replica_within_the_lag_limit_may_be_promoted_and_one_beyond_may_not() {
        assert_eq!(judge(&Rules::default(), &takeover(5_000_000 - 1_048_576).history()), Finding::Pass);
        assert_eq!(codes(&Rules::default(), &takeover(5_000_000 - 1_048_577)), ["ineligible_promoted"]);
    }

    #[test]
    fn a_failover_by_hand_is_exempt_from_lag_but_not_from_nofailover() {
        let request = |member: &str| Script::new().dcs(0.5, "failover", &format!(r#"{{"member":"{member}"}}"#));
        let script = Script { events: [request("pg2").events, takeover(0).events].concat(), ..Script::new() };
        assert_eq!(judge(&Rules::default(), &script.history()), Finding::Pass);
        let other = Script { events: [request("pg3").events, takeover(0).events].concat(), ..Script::new() };
        assert_eq!(codes(&Rules::default(), &other), ["ineligible_promoted"]);
        let tagged = script.dcs(3.0, "members/pg2", r#"{"tags":{"nofailover":true}}"#);
        assert_eq!(codes(&Rules::default(), &tagged), ["ineligible_promoted"]);
    }

    #[test]
    fn without_a_position_the_lag_is_not_held_against_anybody() {
        let script = Script::new().leader(1.0, "pg1").dcs(2.0, "status", r#"{"optime":5000000}"#).leader(40.0, "pg2");
        assert_eq!(judge(&Rules::default(), &script.history()), Finding::Pass);
    }

    #[test]
    fn a_failover_priority_of_zero_forbids_too() {
        let script = takeover(5_000_000).dcs(3.0, "members/pg2", r#"{"tags":{"failover_priority":0}}"#);
        assert_eq!(codes(&Rules::default(), &script), ["ineligible_promoted"]);
    }

    #[test]
    fn under_synchronous_replication_only_those_in_the_sync_key_may_be_promoted() {
        let rules = |synchronous_mode| Rules { synchronous_mode, ..Rules::default() };
        let named = |standby: &str| {
            takeover(5_000_000).dcs(3.0, "sync", &format!(r#"{{"leader":"pg1","sync_standby":"{standby}"}}"#))
        };
        assert_eq!(judge(&rules(SynchronousMode::On), &named("pg2,pg3").history()), Finding::Pass);
        assert_eq!(codes(&rules(SynchronousMode::On), &named("pg3")), ["ineligible_promoted"]);
        assert_eq!(judge(&rules(SynchronousMode::Quorum), &named("pg3").history()), Finding::Pass);
    }

    #[test]
    fn an_old_timeline_is_held_against_it_only_with_check_timeline() {
        let script = takeover(5_000_000).dcs(3.0, "history", r#"[[1,900,"no reason"],[2,950,"no reason"]]"#);
        assert_eq!(judge(&Rules::default(), &script.history()), Finding::Pass);
        assert_eq!(codes(&Rules { check_timeline: true, ..Rules::default() }, &script), ["ineligible_promoted"]);
    }

    #[test]
    fn a_cluster_that_keeps_its_leader_is_not_judged() {
        let finding = judge(&Rules::default(), &Script::new().leader(1.0, "pg1").history());
        assert!(matches!(finding, Finding::NotApplicable { .. }), "{finding:?}");
    }
}
