//! **Recovery.** Within a bound after the last fault there is one leader, everybody else streams from it on its timeline,
//! and writes are acknowledged; and so it is at the end.
//!
//! Source: what high availability is for. The bound is [`Rules::recovery_bound`].
//!
//! The state at a moment is put together from each node's last SQL probe after the last fault and the leader key. Nodes whose
//! agent is not running at the end are not waited for: nobody would bring them back. A standby that streams from a host that
//! cannot be told to be a member is believed.
//!
//! Limits: a cluster that is paused without being expected to be does not heal itself and is not judged, nor is a run that
//! expects no recovery (`end: no_leader`). With `end: writable` the replicas are not judged. A run that ends before the bound
//! is over, still not well, cannot be judged, unless its scenario says how it is to end: then its time was up.

use std::collections::BTreeMap;

use super::{Broken, Finding, Violation, later, violation};
use crate::{
    event::{At, SqlState, millis},
    history::History,
    rules::Rules,
    scenario::End,
};

/// Judges the rule.
#[must_use]
pub fn judge(rules: &Rules, history: &History<'_>) -> Finding {
    let end = rules.expected_end();
    if !matches!(end, End::Healthy | End::Writable | End::Paused) {
        return Finding::not_applicable("the scenario does not expect the cluster to recover");
    }
    if end != End::Paused && history.keys.paused_within(history.end, history.end) {
        return Finding::not_applicable("the cluster is paused at the end");
    }
    if history.probes.sql_nodes().next().is_none() {
        return Finding::unknown("no node was asked by SQL");
    }
    Recovery::of(rules, history).judge()
}

struct Recovery<'r, 'h, 'a> {
    rules: &'r Rules,
    history: &'h History<'a>,
    /// When the last fault ended, or the run began.
    since: At,
    deadline: At,
    /// Members by the hosts that their `conn_url` names.
    hosts: BTreeMap<String, &'a str>,
}

impl<'r, 'h, 'a> Recovery<'r, 'h, 'a> {
    fn of(rules: &'r Rules, history: &'h History<'a>) -> Self {
        let since = history.faults.last_disturbance().unwrap_or(history.begin);
        Self {
            rules,
            history,
            since,
            deadline: later(since, rules.recovery_bound()),
            hosts: history.keys.member_hosts(),
        }
    }

    fn judge(&self) -> Finding {
        let well = self.first_well();
        let written = self.first_write();
        let in_time = |at: Option<At>| at.is_some_and(|at| at <= self.deadline);
        // Whoever writes down the end gives the cluster until then.
        let over = self.history.end >= self.deadline || self.rules.expect.end.is_some();
        let why = match (in_time(well), written) {
            (true, Written::At(at)) if at > self.deadline => Some("writes were not acknowledged".to_owned()),
            (true, Written::Never) => Some("no write was acknowledged".to_owned()),
            (true, _) => None,
            (false, _) => Some(self.wrong_at(self.deadline).unwrap_or_else(|| "it took longer".to_owned())),
        };
        match (why, over) {
            (Some(why), true) => Finding::of(vec![self.broken(self.deadline.min(self.history.end), why)]),
            (Some(why), false) => Finding::unknown(format!(
                "the run ended {:.3} s after the last fault, which is less than the bound of {:.3} s: {why}",
                self.history.end.since(self.since).as_secs_f64(),
                self.rules.recovery_bound().as_secs_f64(),
            )),
            (None, _) => Finding::of(self.wrong_at_the_end().into_iter().collect()),
        }
    }

    fn broken(&self, at: At, why: String) -> Violation {
        let holder = self.history.keys.terms().last().map(|term| term.taken);
        let probes = self.expected().filter_map(|node| Some(self.history.probes.sql_before(node, at)?.ordinal));
        let bound_ms = millis(self.rules.recovery_bound().min(at.since(self.since)));
        violation(at, holder.into_iter().chain(probes).collect(), Broken::NotRecovered { why, bound_ms })
    }

    fn wrong_at_the_end(&self) -> Option<Violation> {
        let end = self.history.end;
        let why = self.wrong_at(end).or_else(|| {
            // A write under way needs a moment: only tries all through a turn of the loop without an answer count.
            let last =
                self.history.operations.acknowledged_writes().filter_map(|write| write.acknowledged_at()).max()?;
            let tried = self.history.operations.writes().map(|write| write.invoked_at).max()?;
            (tried > later(last, self.rules.loop_wait)).then(|| format!("no write was acknowledged after {last}"))
        })?;
        Some(self.broken(end, format!("at the end, {why}")))
    }

    /// The nodes that are to be well: those whose agent runs.
    fn expected(&self) -> impl Iterator<Item = &'r str> {
        let runs = |node: &&str| self.history.processes.runs_at_end(node, "agent");
        self.rules.nodes.iter().map(String::as_str).filter(runs)
    }

    /// The first moment after the last fault at which everything is well.
    fn first_well(&self) -> Option<At> {
        let mut moments: Vec<At> = self
            .history
            .probes
            .sql_nodes()
            .flat_map(|node| self.history.probes.sql_after(node, self.since).iter().map(|probe| probe.at))
            .chain(self.history.keys.terms().iter().map(|term| term.from).filter(|at| *at >= self.since))
            .collect();
        moments.sort_unstable();
        moments.dedup();
        moments.into_iter().take_while(|at| *at <= self.deadline).find(|at| self.wrong_at(*at).is_none())
    }

    fn first_write(&self) -> Written {
        let after = || self.history.operations.writes().filter(|write| write.invoked_at >= self.since);
        if after().next().is_none() {
            return Written::NotTried;
        }
        after().filter_map(|write| write.acknowledged_at()).min().map_or(Written::Never, Written::At)
    }

    /// What is wrong at a moment; `None` when all is well.
    fn wrong_at(&self, at: At) -> Option<String> {
        let Some(leader) = self.history.keys.overlapping(at, at).last().map(|term| term.holder) else {
            return Some("nobody holds the leader key".to_owned());
        };
        let Some(state) = self.answer(leader, at) else {
            return Some(format!("the leader {leader} does not answer"));
        };
        if let Some(why) = self.wrong_leader(leader, state) {
            return Some(why);
        }
        if self.rules.expected_end() == End::Writable {
            return None;
        }
        self.expected().filter(|node| *node != leader).find_map(|node| self.wrong_replica(node, leader, state, at))
    }

    /// A standby cluster's leader is a standby of the remote primary.
    fn wrong_leader(&self, leader: &str, state: &SqlState) -> Option<String> {
        match (self.rules.standby_cluster, state.in_recovery, &state.streaming_from) {
            (false, true, _) => Some(format!("the leader {leader} is in recovery")),
            (true, false, _) => Some(format!("the standby leader {leader} is out of recovery")),
            (true, true, None) => Some(format!("the standby leader {leader} does not stream")),
            (true, true, Some(host)) => {
                let member = self.member(host)?;
                Some(format!("the standby leader {leader} streams from {member}, not from the remote primary"))
            }
            (false, false, _) => None,
        }
    }

    fn wrong_replica(&self, node: &str, leader: &str, leading: &SqlState, at: At) -> Option<String> {
        let Some(state) = self.answer(node, at) else { return Some(format!("{node} does not answer")) };
        let tags = self.rules.tags_of(node);
        if !state.in_recovery {
            return Some(format!("{node} is out of recovery while {leader} leads"));
        }
        if state.timeline != 0 && state.timeline != leading.timeline {
            return Some(format!("{node} is on timeline {}, the leader on {}", state.timeline, leading.timeline));
        }
        match &state.streaming_from {
            // It replays from the archive only.
            None if tags.nostream == Some(true) => None,
            None => Some(format!("{node} does not stream")),
            Some(host) => {
                let upstream = self.member(host)?;
                let allowed = upstream == leader || tags.replicatefrom.as_deref() == Some(upstream);
                (!allowed).then(|| format!("{node} streams from {upstream}, not from the leader {leader}"))
            }
        }
    }

    /// What a node said last, if that was after the last fault and it answered.
    fn answer(&self, node: &str, at: At) -> Option<&'a SqlState> {
        self.history.probes.sql_before(node, at).filter(|probe| probe.at >= self.since)?.state
    }

    /// The member at a host: by its name, or by what the member keys say.
    fn member<'s>(&'s self, host: &'s str) -> Option<&'s str> {
        let by_name = self.rules.nodes.iter().find(|node| node.as_str() == host).map(String::as_str);
        by_name.or_else(|| self.hosts.get(host).copied())
    }
}

/// When the first write after the last fault was acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Written {
    At(At),
    Never,
    NotTried,
}

#[cfg(test)]
mod tests {
    use super::judge;
    use crate::{
        event::{FaultPhase, ProcessState, SqlState},
        history::script::{Script, primary, standby},
        oracle::Finding,
        rules::Rules,
        scenario::{End, Expect},
    };

    fn why(script: &Script) -> Option<String> {
        match judge(&Rules::default(), &script.history()) {
            Finding::Pass => None,
            Finding::Violated { violations } => Some(violations[0].to_string()),
            other => panic!("{other:?}"),
        }
    }

    /// pg1 leads, the others stream, all seen at a time.
    fn well(script: Script, seconds: f64, leader: &str, timeline: u32) -> Script {
        ["pg1", "pg2", "pg3"].into_iter().fold(script, |script, node| {
            let state = if node == leader { primary(timeline, 9_000) } else { standby(timeline, 9_000, leader) };
            script.sql(seconds, node, Some(state))
        })
    }

    /// The default bound is 60 + 40 + 20 = 120 s, so until 160 s after a fault that ends at 40 s.
    fn fault() -> Script {
        Script::new().leader(1.0, "pg1").fault(30.0, FaultPhase::Applied).fault(40.0, FaultPhase::Ended)
    }

    #[test]
    fn a_cluster_that_is_well_in_time_and_at_the_end_passes() {
        let script = well(fault().leader(80.0, "pg2"), 100.0, "pg2", 2).write("pg2", 101.0, 101.1);
        assert_eq!(why(&well(script, 200.0, "pg2", 2)), None);
    }

    #[test]
    fn a_cluster_without_a_leader_at_the_bound_has_not_recovered() {
        let script = well(well(fault().no_leader(60.0), 100.0, "pg1", 1), 200.0, "pg1", 1);
        assert!(why(&script).is_some_and(|why| why.contains("nobody holds the leader key")));
    }

    #[test]
    fn being_well_later_than_the_bound_is_too_late() {
        let script = well(fault().no_leader(60.0).leader(161.0, "pg2"), 170.0, "pg2", 2);
        assert!(why(&script).is_some_and(|why| why.contains("not_recovered")));
    }

    #[test]
    fn a_replica_that_does_not_stream_has_not_recovered() {
        let script = well(fault(), 100.0, "pg1", 1);
        let script = script.sql(150.0, "pg3", Some(standby(1, 9_000, "")));
        let script = script.sql(200.0, "pg3", Some(standby(1, 9_000, "")));
        assert!(why(&script).is_some_and(|why| why.contains("pg3 does not stream")));
    }

    #[test]
    fn writes_must_be_acknowledged_again_if_anybody_tries() {
        let script = well(fault(), 100.0, "pg1", 1).refused(110.0, 110.1).refused(180.0, 180.1);
        assert!(why(&script).is_some_and(|why| why.contains("no write was acknowledged")));
    }

    #[test]
    fn a_node_whose_agent_the_scenario_left_dead_is_not_waited_for() {
        let script = fault().process(30.0, "pg3", "agent", ProcessState::Killed);
        let script =
            script.sql(100.0, "pg1", Some(primary(1, 9_000))).sql(100.0, "pg2", Some(standby(1, 9_000, "pg1")));
        assert_eq!(why(&script.sql(200.0, "pg3", None)), None);
    }

    #[test]
    fn a_standby_may_name_its_upstream_by_the_host_of_the_conn_url() {
        let from = |host: &str| {
            fault()
                .dcs(2.0, "members/pg1", r#"{"conn_url":"postgres://10.0.0.1:5432/postgres"}"#)
                .dcs(2.0, "members/pg3", r#"{"conn_url":"postgres://10.0.0.3:5432/postgres"}"#)
                .sql(100.0, "pg1", Some(primary(1, 9_000)))
                .sql(100.0, "pg2", Some(standby(1, 9_000, host)))
                .sql(100.0, "pg3", Some(standby(1, 9_000, "pg1")))
                .sql(200.0, "pg1", Some(primary(1, 9_000)))
        };
        assert_eq!(why(&from("10.0.0.1")), None);
        assert!(why(&from("10.0.0.3")).is_some_and(|why| why.contains("pg2 streams from pg3")));
    }

    #[test]
    fn a_run_that_ends_before_the_bound_cannot_be_judged() {
        let finding = judge(&Rules::default(), &well(fault().no_leader(60.0), 100.0, "pg1", 1).history());
        assert!(matches!(finding, Finding::Unknown { .. }), "{finding:?}");
    }

    #[test]
    fn a_run_that_says_how_it_ends_has_no_more_time_than_that() {
        let expect = Expect { end: Some(End::Healthy), ..Expect::default() };
        let script = well(fault().no_leader(60.0), 100.0, "pg1", 1);
        let finding = judge(&Rules { expect, ..Rules::default() }, &script.history());
        let said: Vec<String> = finding.violations().iter().map(ToString::to_string).collect();
        assert_eq!(said, ["100.000s not_recovered: not recovered within 60000 ms: nobody holds the leader key"]);
    }

    #[test]
    fn another_expected_end_is_not_judged() {
        let expect = Expect { end: Some(End::Unavailable), ..Expect::default() };
        let finding = judge(&Rules { expect, ..Rules::default() }, &fault().history());
        assert!(matches!(finding, Finding::NotApplicable { .. }), "{finding:?}");
    }

    #[test]
    fn a_standby_cluster_is_well_when_its_leader_streams_from_elsewhere() {
        let rules = Rules { standby_cluster: true, ..Rules::default() };
        let why = |leader: SqlState| {
            let seen = |script: Script, seconds: f64| {
                let script = script.sql(seconds, "pg1", Some(leader.clone()));
                ["pg2", "pg3"]
                    .into_iter()
                    .fold(script, |script, node| script.sql(seconds, node, Some(standby(1, 9, "pg1"))))
            };
            judge(&rules, &seen(seen(fault(), 100.0), 200.0).history()).violations().first().map(ToString::to_string)
        };
        let says = |leader, what: &str| why(leader).is_some_and(|why| why.contains(what));
        assert!(says(standby(1, 9, "pg2"), "streams from pg2, not from the remote primary"));
        assert!(says(standby(1, 9, ""), "the standby leader pg1 does not stream"));
        assert!(says(primary(1, 9), "the standby leader pg1 is out of recovery"));
        assert_eq!(why(standby(1, 9, "remote")), None);
    }
}
