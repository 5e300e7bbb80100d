//! **End state.** When everything has settled: replication slots as they should be, the `sync` key and
//! `synchronous_standby_names` in agreement with what streams, no key left over.
//!
//! Source: Patroni's documentation, "Dynamic Configuration Settings" (`use_slots`, `member_slots_ttl`), "Replication modes",
//! and the DCS layout. A slot without a user keeps WAL until the disk is full; a `sync` key that names the wrong nodes lets
//! the wrong node be promoted next time.
//!
//! Limits: slots are judged on the leader only; replicas keep slots for each other whose advance is a matter of turns of the
//! loop. Synchronous states are judged only if a SQL probe of the leader is newer than the last change of the `sync` key. A
//! paused cluster and other ends than a healthy one are not judged.

use std::collections::{BTreeMap, BTreeSet};

use pgdrill_settings::value::switch;
use serde_json::Value;

use super::{Broken, Finding, Violation, later, own_names, violation};
use crate::{
    event::{Slot, SqlState},
    history::{History, ending::Settled},
    rules::Rules,
    scenario::{End, SynchronousMode, Tags},
};

/// Judges the rule.
#[must_use]
pub fn judge(rules: &Rules, history: &History<'_>) -> Finding {
    if rules.expected_end() != End::Healthy {
        return Finding::not_applicable("the scenario does not expect a healthy end");
    }
    let Some(settled) = history.ending.settled else {
        return Finding::unknown("the settled state was not read at the end");
    };
    let state = EndState { rules, history, settled };
    if state.json("config").is_some_and(|config| config.get("pause").and_then(switch) == Some(true)) {
        return Finding::not_applicable("the cluster is paused at the end");
    }
    let mut broken = state.keys();
    broken.extend(state.slots());
    broken.extend(state.sync());
    let violations: Vec<Violation> =
        broken.into_iter().map(|broken| violation(settled.at, vec![settled.ordinal], broken)).collect();
    Finding::of(violations)
}

struct EndState<'r, 'h, 'a> {
    rules: &'r Rules,
    history: &'h History<'a>,
    settled: Settled<'a>,
}

impl<'a> EndState<'_, '_, 'a> {
    fn value(&self, key: &str) -> Option<&'a str> {
        self.settled.dcs.get(key).map(String::as_str)
    }

    fn json(&self, key: &str) -> Option<Value> {
        serde_json::from_str(self.value(key)?).ok()
    }

    fn leader(&self) -> Option<&'a str> {
        self.value("leader").filter(|leader| !leader.is_empty())
    }

    fn members(&self) -> impl Iterator<Item = &'a str> {
        self.settled.dcs.keys().filter_map(|key| key.strip_prefix("members/"))
    }

    /// What the leader said last, if it was after the last change of the `sync` key.
    fn leading(&self) -> Option<&'a SqlState> {
        let probe = self.history.probes.sql_before(self.leader()?, self.settled.at)?;
        let changed = self.history.keys.versions("sync").last().map(|version| version.at);
        let newer = changed.is_none_or(|changed| probe.asked_at > later(changed, self.rules.observation_slack));
        probe.state.filter(|state| newer && !state.in_recovery)
    }

    fn keys(&self) -> Vec<Broken> {
        let stale = |key: &str, why: String| Broken::StaleKey { key: key.to_owned(), why };
        let mut broken = Vec::new();
        match self.value("initialize") {
            Some(sysid) if sysid.len() >= 10 && sysid.bytes().all(|byte| byte.is_ascii_digit()) => {}
            Some(other) => broken.push(stale("initialize", format!("{other:?} is no system identifier"))),
            None => broken.push(stale("initialize", "it is missing".to_owned())),
        }
        // A scheduled switchover rightly waits for its time.
        let request = self.json("failover").and_then(|request| request.as_object().cloned()).unwrap_or_default();
        if !request.is_empty() && !request.contains_key("scheduled_at") {
            broken.push(stale("failover", format!("the request {} was left over", Value::from(request))));
        }
        if let Some(leader) = self.leader().filter(|leader| !self.members().any(|member| member == *leader)) {
            broken.push(stale("leader", format!("it names {leader}, which is no member")));
        }
        let guarded = self.json("sync").is_some_and(|sync| sync.get("leader").is_some_and(Value::is_string));
        if guarded && self.rules.synchronous_mode == SynchronousMode::Off {
            broken.push(stale("sync", "replication is not synchronous".to_owned()));
        }
        broken
    }

    fn slots(&self) -> Vec<Broken> {
        let Some((leader, slots)) = self.leader().and_then(|leader| Some((leader, self.settled.slots.get(leader)?)))
        else {
            return Vec::new();
        };
        if !self.rules.use_slots {
            return Vec::new();
        }
        let by_name: BTreeMap<&str, &Slot> = slots.iter().map(|slot| (slot.name.as_str(), slot)).collect();
        let wrong = |slot: String, why: &str| Broken::WrongSlots { node: leader.to_owned(), slot, why: why.to_owned() };
        let mut broken = Vec::new();
        for member in self.members().filter(|member| *member != leader) {
            let tags = self.rules.tags_of(member);
            // Neither streams from the leader, so neither needs a slot there.
            if tags.nostream == Some(true) || tags.replicatefrom.as_deref().is_some_and(|upstream| upstream != leader) {
                continue;
            }
            let name = slot_name(member);
            match by_name.get(name.as_str()) {
                None => broken.push(wrong(name, "it is missing although its member lives")),
                Some(slot) if !slot.active => {
                    broken.push(wrong(name, "nobody streams from it although its member lives"))
                }
                Some(_) => {}
            }
        }
        let left_over = slots.iter().filter(|slot| self.left_over(&slot.name));
        broken.extend(left_over.map(|slot| wrong(slot.name.clone(), "it was left over: its member is gone")));
        broken
    }

    /// Whether a slot belongs to nobody, and has for longer than `member_slots_ttl`.
    fn left_over(&self, slot: &str) -> bool {
        // Base backups make temporary slots, which vanish with their connections.
        if self.rules.permanent_slots.contains(slot) || slot.starts_with("pg_basebackup_") {
            return false;
        }
        if self.members().any(|member| slot_name(member) == slot) {
            return false;
        }
        let key =
            self.history.keys.names().find(|key| key.strip_prefix("members/").is_some_and(|m| slot_name(m) == slot));
        match key.and_then(|key| self.history.keys.versions(key).last()) {
            // Dropping it takes the leader a turn of the loop.
            Some(gone) if gone.value.is_none() => {
                self.settled.at > later(gone.at, self.rules.member_slots_ttl + self.rules.loop_wait)
            }
            // Its member's end was not seen: nobody can say for how long it has been gone.
            Some(_) => false,
            None => !self.rules.nodes.iter().any(|node| slot_name(node) == slot),
        }
    }

    fn sync(&self) -> Vec<Broken> {
        let wrong = |why: String| vec![Broken::WrongSync { why }];
        if self.rules.synchronous_mode == SynchronousMode::Off {
            let own = own_names::configured(self.rules, self.history, self.settled.at);
            let in_force = self.leading().map(|leading| leading.synchronous_standby_names.trim());
            let dropped = own.zip(in_force).filter(|(own, in_force)| own.trim() != *in_force);
            return dropped.map_or_else(Vec::new, |(own, in_force)| {
                wrong(format!("synchronous_standby_names is {in_force:?} although {own:?} is configured"))
            });
        }
        let Some(sync) = self.json("sync") else {
            return wrong("there is no sync key although replication is synchronous".to_owned());
        };
        let named = sync.get("leader").and_then(Value::as_str);
        if named != self.leader() {
            return wrong(format!("the sync key names the leader {named:?}, the leader key {:?}", self.leader()));
        }
        let Some(leading) = self.leading() else { return Vec::new() };
        let standbys = own_names::names(sync.get("sync_standby").and_then(Value::as_str).unwrap_or(""));
        let state_of: BTreeMap<&str, &str> =
            leading.standbys.iter().map(|(name, state)| (name.as_str(), state.as_str())).collect();
        let mut broken = Vec::new();
        let could = state_of
            .keys()
            .any(|name| self.members().any(|m| m == *name) && may_be_synchronous(&self.rules.tags_of(name)));
        // Strictly, commits may go on waiting by name for those that left, as long as nobody could take their place.
        let waits = self.rules.synchronous_mode_strict && !could;
        for standby in standbys.iter().filter(|_| !waits) {
            let state = state_of.get(standby.as_str()).copied();
            if !matches!(state, Some("sync" | "quorum")) {
                broken.extend(wrong(format!("the sync key names {standby}, whose sync_state is {state:?}")));
            }
        }
        let set = synchronous_standby_names(&leading.synchronous_standby_names);
        if set != standbys && !(standbys.is_empty() && set.contains("*")) {
            broken.extend(wrong(format!("the sync key names {standbys:?}, synchronous_standby_names {set:?}")));
        }
        if standbys.is_empty() && could {
            broken.extend(wrong("the sync key names no standby although one streams".to_owned()));
        }
        broken
    }
}

/// Whether tags allow a synchronous standby: `nosync` wins over `sync_priority`, of which 0 or less forbids too.
fn may_be_synchronous(tags: &Tags) -> bool {
    match tags.nosync {
        Some(nosync) => !nosync,
        None => tags.sync_priority.is_none_or(|priority| priority > 0),
    }
}

/// The names in `synchronous_standby_names`: `a, b`, `FIRST 1 (a, b)`, `ANY 1 (a)`, `1 (a)`, `*`.
fn synchronous_standby_names(setting: &str) -> BTreeSet<String> {
    match setting.split_once('(') {
        Some((_, list)) => own_names::names(list.trim_end().trim_end_matches(')')),
        None => own_names::names(setting),
    }
}

/// The slot of a member, as Patroni names it (`slot_name_from_member_name`): lower case, `-`, `.` and blanks become `_`,
/// other characters their code point, cut to PostgreSQL's 63 bytes.
fn slot_name(member: &str) -> String {
    let mut name = String::new();
    for character in member.to_lowercase().chars() {
        match character {
            'a'..='z' | '0'..='9' | '_' => name.push(character),
            '-' | '.' | ' ' => name.push('_'),
            other => name.push_str(&format!("u{:04}", u32::from(other))),
        }
    }
    name.truncate(63);
    name
}

#[cfg(test)]
mod tests;
