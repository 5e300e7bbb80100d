//! **Liveness.** Whoever may lead does, and what an operator asks for is carried out or refused.
//!
//! Source: what the leader lock is for. Patroni's race (`is_healthiest_node`) leaves it to the nodes to say that they must not; a
//! cluster that stays without a leader although a node may lead is as bad as one that is down. And `process_manual_failover_from_leader`
//! clears every request that it does not carry out: one that stays in `/failover` is an answer that never comes, and it skews the
//! next election. The bound is [`Rules::election_bound`].
//!
//! A node may lead while all of this is so, by what can be seen from outside:
//! - its agent runs and its member key is there; its PostgreSQL answers as a standby; it is not tagged `nofailover`;
//! - asynchronous: it lags behind `status.optime` by no more than `maximum_lag_on_failover`, and with `check_timeline` its timeline
//!   is not older than the cluster's `history`;
//! - synchronous: `/sync` names it. Under `synchronous_mode_strict` also one that `/sync` named until the last standby was taken out
//!   of it, if nobody else was there to confirm what was acknowledged since: strictly no commit goes on without a standby;
//! - quorum: it is a voter, and so many voters are well that any `quorum + 1` of them are;
//! - nobody else answers out of recovery, the cluster is not paused, and no fault stands but for processes and hosts that have ended.
//!
//! Limits: faults of the network, of clocks and disks, frozen processes, and all that touches etcd keep agents from acting in ways
//! that cannot be seen; while one stands, and for `ttl` afterwards, nothing is judged. With `watchdog: required` whether a node's
//! device works cannot be seen either. Scheduled requests wait for the operator's clock and are not judged.

mod fitness;
mod request;

use super::{Broken, Finding, Violation, later, violation};
use crate::{
    event::{At, millis},
    history::History,
    rules::Rules,
    scenario::WatchdogMode,
};
use fitness::Fitness;

/// Judges the rule.
#[must_use]
pub fn judge(rules: &Rules, history: &History<'_>) -> Finding {
    if history.keys.terms().is_empty() {
        return Finding::unknown("the leader key was never seen");
    }
    if rules.watchdog == WatchdogMode::Required {
        return Finding::not_applicable("whether a node's required watchdog works cannot be seen from outside");
    }
    let leaderless = gaps(history).filter_map(|(from, until)| Leaderless { rules, history, from, until }.judge());
    Finding::of(leaderless.chain(request::judge(rules, history)).collect())
}

/// The times between terms of the leader key. Before the first one the cluster is being made.
fn gaps<'h>(history: &'h History<'_>) -> impl Iterator<Item = (At, At)> + 'h {
    let terms = history.keys.terms();
    terms.iter().enumerate().filter_map(|(n, term)| {
        let next = terms.get(n + 1).map_or(history.end, |next| next.from);
        Some((term.until?.0, next))
    })
}

/// A time without a leader.
struct Leaderless<'r, 'h, 'a> {
    rules: &'r Rules,
    history: &'h History<'a>,
    from: At,
    until: At,
}

impl Leaderless<'_, '_, '_> {
    fn judge(&self) -> Option<Violation> {
        if later(self.from, self.rules.election_bound()) > self.until {
            return None;
        }
        let nodes = self.rules.nodes.iter();
        nodes.filter_map(|node| self.overlooked(node)).min_by_key(|violation| violation.at)
    }

    /// Whether a node might have led for longer than the bound, and nobody did.
    fn overlooked(&self, node: &str) -> Option<Violation> {
        let (rules, history) = (self.rules, self.history);
        let fitness = Fitness { rules, history };
        let mut since = None;
        let probes = history.probes.sql_after(node, self.from).iter().take_while(|probe| probe.at <= self.until);
        for probe in probes {
            let Some(why) = fitness.of(node, probe) else {
                since = None;
                continue;
            };
            let fit_since = *since.get_or_insert(probe.at);
            let Some(quiet_since) = fitness.undisturbed_since(fit_since, probe.at) else { continue };
            let waited = probe.at.since(quiet_since.max(self.from));
            if waited > rules.election_bound() {
                let gone = history.keys.overlapping(self.from, self.from).filter_map(|term| Some(term.until?.1));
                let shown = gone.chain([probe.ordinal]).collect();
                let broken = Broken::NobodyLeads {
                    node: node.to_owned(),
                    why,
                    waited_ms: millis(waited),
                    bound_ms: millis(rules.election_bound()),
                };
                return Some(violation(probe.at, shown, broken));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests;
