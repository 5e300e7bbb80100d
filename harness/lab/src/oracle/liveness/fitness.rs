//! Whether a node may lead at the moment of one of its answers, by what could be seen from outside.

use serde_json::Value;

use crate::{
    event::{At, ProcessState},
    history::{History, SqlProbe, Version},
    oracle::{earlier, later},
    rules::Rules,
    scenario::SynchronousMode,
};

pub(super) struct Fitness<'r, 'h, 'a> {
    pub(super) rules: &'r Rules,
    pub(super) history: &'h History<'a>,
}

impl Fitness<'_, '_, '_> {
    /// Why the node may lead; `None`: it may not, or nobody can say.
    pub(super) fn of(&self, node: &str, probe: &SqlProbe<'_>) -> Option<String> {
        let at = probe.at;
        let state = probe.state.filter(|state| state.in_recovery)?;
        if !self.is_well(node, at) || !self.may_be_asked(node, at) || self.history.keys.paused_within(at, at) {
            return None;
        }
        if self.others(node).any(|other| self.is_primary(other, at)) {
            return None;
        }
        match self.mode_at(at) {
            SynchronousMode::Off => self.within_limits(state.lsn, state.timeline, at),
            SynchronousMode::On => self.has_everything(node, at),
            SynchronousMode::Quorum => self.has_quorum(node, at),
        }
    }

    /// The first moment, not before `from`, from which on nothing else has disturbed the cluster until `at`; `None`: something
    /// does at `at`.
    pub(super) fn undisturbed_since(&self, from: At, at: At) -> Option<At> {
        let mut since = from;
        for (index, fault) in self.history.faults.all() {
            let ends_only = fault.targets.iter().all(|target| self.rules.nodes.iter().any(|node| node == target));
            if ends_only && !self.rules.hindering.contains(&index) {
                continue;
            }
            let Some((first, _)) = fault.applied.first().filter(|(first, _)| *first <= at) else { continue };
            match fault.ended.filter(|ended| ended >= first) {
                // One that does something once and does not last.
                None if self.rules.momentary.contains(&index) => since = since.max(fault.last_seen),
                None => return None,
                Some(ended) if ended > at => return None,
                Some(ended) => since = since.max(later(ended, self.rules.ttl)),
            }
        }
        (since <= at).then_some(since)
    }

    fn others<'s>(&'s self, node: &'s str) -> impl Iterator<Item = &'s str> {
        self.rules.nodes.iter().map(String::as_str).filter(move |other| *other != node)
    }

    /// Its agent runs, and says so in the DCS.
    pub(super) fn is_well(&self, node: &str, at: At) -> bool {
        let states = self.history.processes.of(node, "agent");
        let last = states.iter().take_while(|(when, _)| *when <= at).last();
        let runs = last.is_none_or(|(_, state)| matches!(state, ProcessState::Started | ProcessState::Thawed));
        runs && self.json(&format!("members/{node}"), at).is_some()
    }

    fn may_be_asked(&self, node: &str, at: At) -> bool {
        let failsafe = self.json("failsafe", at).filter(|_| self.rules.failsafe_mode);
        let named = failsafe.is_none_or(|names| names.as_object().is_none_or(|n| n.is_empty() || n.contains_key(node)));
        named && self.rules.tags_of(node).may_lead()
    }

    fn is_primary(&self, node: &str, at: At) -> bool {
        let last = self.history.probes.sql_before(node, at).and_then(|probe| probe.state);
        last.is_some_and(|state| !state.in_recovery)
    }

    /// A key's value as JSON at a time.
    fn json(&self, key: &str, at: At) -> Option<Value> {
        self.history.keys.at(key, at).and_then(Version::json)
    }

    /// `synchronous_mode` in force: an operator may have changed it.
    fn mode_at(&self, at: At) -> SynchronousMode {
        if self.rules.standby_cluster {
            return SynchronousMode::Off;
        }
        let config = self.json("config", at);
        match config.as_ref().map(|config| config.get("synchronous_mode")) {
            None => self.rules.synchronous_mode,
            Some(Some(Value::Bool(true))) => SynchronousMode::On,
            Some(Some(Value::String(word))) if word == "quorum" => SynchronousMode::Quorum,
            Some(Some(Value::String(word))) if matches!(word.as_str(), "on" | "true" | "yes" | "1") => {
                SynchronousMode::On
            }
            Some(_) => SynchronousMode::Off,
        }
    }

    fn within_limits(&self, lsn: u64, timeline: u32, at: At) -> Option<String> {
        let optime = self.json("status", at)?.get("optime")?.as_u64()?;
        let lag = optime.saturating_sub(lsn);
        let limit = self.rules.maximum_lag_on_failover;
        let history = self.json("history", at);
        let last = history.as_ref().and_then(|lines| lines.as_array()?.last()?.get(0)?.as_u64());
        let old = self.rules.check_timeline && last.is_some_and(|last| u64::from(timeline) <= last);
        (lag <= limit && !old).then(|| {
            format!("it lags {lag} bytes behind the last known leader position (maximum_lag_on_failover {limit})")
        })
    }

    /// Synchronous: whoever `/sync` names, or named last before it named nobody.
    fn has_everything(&self, node: &str, at: At) -> Option<String> {
        let now = self.json("sync", at)?;
        if names(&now).any(|name| name == node) {
            return Some("/sync names it".to_owned());
        }
        if !self.rules.synchronous_mode_strict || names(&now).count() > 1 {
            return None;
        }
        let leader = now.get("leader")?.as_str()?;
        let versions = self.history.keys.versions("sync");
        let before = &versions[..versions.partition_point(|version| version.at <= at)];
        let last = before.iter().rposition(|version| version.json().is_some_and(|sync| names(&sync).count() > 1))?;
        let sync = before[last].json()?;
        if sync.get("leader")?.as_str()? != leader || !names(&sync).any(|name| name == node) {
            return None;
        }
        let left = before.get(last + 1)?.at;
        let acknowledged = self.history.operations.acknowledged_writes().filter_map(|write| write.acknowledged_at());
        let newest = acknowledged.filter(|when| *when > left && *when <= at).max();
        // Until it stops it goes on confirming, named or not; nobody else did if nobody else was there.
        let alone = newest.is_none_or(|newest| self.alone(node, leader, left, newest));
        alone.then(|| {
            format!("it was the last synchronous standby, until {left}, and no other has confirmed a write since")
        })
    }

    /// Whether of all but two nodes none answered from a moment to another, with an observation's slack on both sides.
    fn alone(&self, node: &str, leader: &str, from: At, until: At) -> bool {
        let slack = self.rules.observation_slack;
        let (from, until) = (earlier(from, slack), later(until, slack));
        self.others(node).filter(|other| *other != leader).all(|other| {
            let probes = self.history.probes.sql_after(other, from);
            let within = &probes[..probes.partition_point(|probe| probe.at <= until)];
            !within.is_empty() && within.iter().all(|probe| probe.state.is_none())
        })
    }

    fn has_quorum(&self, node: &str, at: At) -> Option<String> {
        let sync = self.json("sync", at)?;
        let quorum = sync.get("quorum")?.as_u64()?;
        let voters: Vec<&str> = names(&sync).skip(1).collect();
        let standing = |voter: &&&str| {
            let state = self.history.probes.sql_before(voter, at).and_then(|probe| probe.state);
            self.is_well(voter, at) && state.is_some_and(|state| state.in_recovery)
        };
        let well = voters.iter().filter(standing).count() as u64;
        (voters.contains(&node) && well > quorum)
            .then(|| format!("{well} of {} voters are well, {} are needed", voters.len(), quorum + 1))
    }
}

/// The leader and the standbys that a `/sync` record names, the leader first.
fn names(sync: &Value) -> impl Iterator<Item = &str> {
    let text = |field: &str| sync.get(field).and_then(Value::as_str).unwrap_or_default();
    let standbys = text("sync_standby").split(',').map(str::trim);
    [text("leader")].into_iter().chain(standbys).filter(|name| !name.is_empty())
}
