//! Replication slots (`patroni/postgresql/slots.py`): one for every member, so that none loses the WAL it needs.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::Cycle;
use crate::Lsn;
use crate::config::{Config, Tags, ignores_slot, is_logical_slot as is_logical, is_usable_slot};
use crate::decision::{Action, Slots};
use crate::records::MemberRecord;
use crate::view::{Cluster, Process, SlotView, TaskKind};

/// A member's slot: its name in lower case, with what a slot may not contain replaced (`slot_name_from_member_name`).
pub fn slot_name_from_member_name(member: &str) -> String {
    let mut slot = String::new();
    for c in member.to_lowercase().chars() {
        match c {
            'a'..='z' | '0'..='9' | '_' => slot.push(c),
            '-' | '.' | ' ' => slot.push('_'),
            other => slot.push_str(&format!("u{:04}", u32::from(other))),
        }
    }
    // Only ASCII is left: the cut is at a character.
    slot.truncate(63);
    slot
}

/// Whether a slot that is there is the configured one (`compare_slots`).
fn is_as_configured(found: &SlotView, slot: &Value) -> bool {
    let text = |name: &str| slot.get(name).and_then(Value::as_str);
    !found.physical && found.database.as_deref() == text("database") && found.plugin.as_deref() == text("plugin")
}

fn permanent_slots(config: &Config) -> impl Iterator<Item = (&String, &Value)> {
    let configured = config.dynamic.get("slots").and_then(Value::as_object);
    let cluster = if config.standby_cluster.is_some() { "standby" } else { "primary" };
    // `cluster_type` keeps a slot for one of two clusters that share a configuration.
    let here = move |slot: &Value| slot.get("cluster_type").and_then(Value::as_str).is_none_or(|kind| kind == cluster);
    configured.into_iter().flatten().filter(move |(name, slot)| here(slot) && is_usable_slot(name, slot))
}

/// Whether what a member replays comes from the primary by streaming alone (`get_slot_name_on_primary`): neither it nor anybody
/// between it and the primary is `nostream`, and the chain comes to an end.
fn streams_from_primary(cluster: &Cluster, name: &str, tags: &Tags) -> bool {
    let (mut name, mut tags) = (name, tags);
    let mut seen = BTreeSet::new();
    while seen.insert(name) {
        if tags.nostream() {
            return false;
        }
        let upstream = tags.replicatefrom().filter(|from| *from != name);
        let Some((from, member)) = upstream.and_then(|from| cluster.members.get_key_value(from)) else { return true };
        (name, tags) = (from, &member.tags);
    }
    false
}

/// Without feedback to the primary a logical slot on a replica is not safe, and a node that is never promoted needs none.
fn may_have_logical(cluster: &Cluster, config: &Config, name: &str, tags: &Tags) -> bool {
    let fit = config.use_slots && config.standby_cluster.is_none() && !tags.nofailover();
    fit && streams_from_primary(cluster, name, tags)
}

/// Whether `hot_standby_feedback` must be on for the sake of permanent logical slots: the primary must not remove what those on
/// this node, or on one that hangs on it, still need (`should_enforce_hot_standby_feedback`).
pub fn enforces_feedback(cluster: &Cluster, config: &Config, name: &str) -> bool {
    let enforces = permanent_slots(config).any(|(_, slot)| is_logical(slot));
    enforces && needs_feedback(cluster, config, name, &config.tags)
}

fn needs_feedback(cluster: &Cluster, config: &Config, name: &str, tags: &Tags) -> bool {
    if may_have_logical(cluster, config, name, tags) {
        return true;
    }
    let mut below = cluster.members.iter().filter(|(member, record)| {
        record.tags.replicatefrom() == Some(name) && cluster.leader_name() != Some(member) && *member != name
    });
    // A ring ends here: nobody in it streams from the primary.
    config.use_slots
        && streams_from_primary(cluster, name, tags)
        && below.any(|(member, record)| needs_feedback(cluster, config, member, &record.tags))
}

impl Cycle<'_> {
    /// The slots' change for this cycle, if PostgreSQL can be asked for it and something differs.
    pub(super) fn slots_to_sync(&self) -> Option<Action> {
        let postgres = &self.local.postgres;
        let busy =
            self.local.task.as_ref().is_some_and(|task| {
                task.is_running() && !matches!(task.kind, TaskKind::Checkpoint | TaskKind::Promote)
            });
        if postgres.process != Process::Running || busy || !self.config.use_slots {
            return None;
        }
        let wanted = self.wanted_slots();
        let differs = !wanted.drop.is_empty()
            || wanted.physical.iter().any(|(name, target)| self.is_behind(name, *target))
            || wanted.logical.iter().any(|(name, (_, target))| self.is_behind(name, *target));
        differs.then_some(Action::SyncSlots(wanted))
    }

    /// Logical slots that the leader has and this replica has not. Only those with a published position: the leader's are
    /// copied, not made (`_ensure_logical_slots_replica`). Never of a leader who has lost the DCS and may be gone soon.
    pub(super) fn slots_to_copy(&self) -> Option<Action> {
        let postgres = &self.local.postgres;
        let idle = self.local.task.as_ref().is_none_or(|task| !task.is_running());
        if !idle || !postgres.is_streaming || self.config.paused || self.holds_lock() || !self.may_have_logical() {
            return None;
        }
        if super::failsafe::failsafe_ping(self.local, self.config, self.now).is_some() {
            return None;
        }
        let from = self.upstream_member(self.cluster.leader_name()?)?;
        let published = &self.cluster.status.value.slots;
        let missing = |(name, _): &(String, Value)| published.contains_key(name) && !postgres.slots.contains_key(name);
        let slots: BTreeMap<_, _> =
            self.permanent_slots().into_iter().filter(|(_, slot)| is_logical(slot)).filter(missing).collect();
        (!slots.is_empty()).then_some(Action::CopySlots { slots, from })
    }

    fn may_have_logical(&self) -> bool {
        may_have_logical(&self.cluster, self.config, &self.local.name, &self.config.tags)
    }

    fn is_behind(&self, name: &str, target: Option<Lsn>) -> bool {
        let Some(slot) = self.local.postgres.slots.get(name) else { return true };
        // Somebody who uses the slot advances it himself.
        !slot.active && target.is_some_and(|target| slot.position.is_some_and(|position| position < target))
    }

    /// Whether this node's standbys are those that name no other upstream.
    fn acts_as_leader(&self) -> bool {
        self.local.postgres.is_running_primary() || (self.is_standby_cluster() && self.holds_lock())
    }

    fn wanted_slots(&self) -> Slots {
        let mut slots = Slots::default();
        let mut keep = BTreeSet::new();
        // What `/status` tells of slots is what the leader itself has written there.
        let is_primary = self.local.postgres.is_running_primary() || (self.is_standby_cluster() && self.holds_lock());
        let published = |name: &str| if is_primary { None } else { self.cluster.status.value.slots.get(name).copied() };
        let own = slot_name_from_member_name(&self.local.name);
        // A node that is never promoted has no permanent slots.
        let permanent = if is_primary || !self.config.tags.nofailover() { self.permanent_slots() } else { Vec::new() };
        // Slots that nobody is expected to stream from: their restart_lsn moves only if we move it.
        let mut idle = BTreeSet::new();
        for (name, permanent) in permanent {
            if !is_logical(&permanent) {
                // Nobody streams from himself.
                if name != own {
                    idle.extend((!self.acts_as_leader()).then(|| name.clone()));
                    slots.physical.insert(name.clone(), published(&name));
                }
                continue;
            }
            let fits = self.local.postgres.slots.get(&name).map(|slot| is_as_configured(slot, &permanent));
            // One of another plugin or database is in its way, and dropped; on a replica it is copied, not made.
            if fits != Some(false) && (is_primary || self.may_have_logical()) {
                keep.insert(name.clone());
                // A replica's slot cannot go further than what was replayed.
                let target = published(&name).min(self.local.postgres.replayed_lsn);
                if is_primary || fits == Some(true) {
                    slots.logical.insert(name, (permanent, target));
                }
            }
        }
        for (name, member) in self.members_with_slots() {
            let slot = slot_name_from_member_name(name);
            if slots.logical.contains_key(&slot) {
                continue;
            }
            let is_expected = self.is_expected_to_stream_from_us(name, member);
            let target = if is_expected { None } else { self.position_of(&slot, member) };
            if is_expected {
                idle.remove(&slot)
            } else {
                idle.insert(slot.clone())
            };
            slots.physical.insert(slot, target);
        }
        keep.extend(slots.physical.keys().cloned());
        keep.extend(self.retained_slots());
        let retained = self.cluster.status.value.retain_slots.iter().filter(|name| !is_primary && **name != own);
        keep.extend(retained.cloned());
        slots.drop = self.slots_to_drop(&keep, &slots, &idle);
        slots
    }

    /// The other members that have a slot here. A node that can never be promoted has slots only for those that follow it.
    fn members_with_slots(&self) -> impl Iterator<Item = (&String, &MemberRecord)> {
        let electable = self.local.postgres.is_running_primary() || !self.config.tags.nofailover();
        let others = self.cluster.members.iter().filter(|(name, _)| **name != self.local.name);
        others.filter(move |(_, member)| {
            let follows_me = member.tags.replicatefrom() == Some(&*self.local.name);
            !member.tags.nostream() && (electable || follows_me)
        })
    }

    /// Whether a member's slot here should be in use (`_get_members_slots`: `leader_filter`, `replica_filter`).
    fn is_expected_to_stream_from_us(&self, name: &str, member: &MemberRecord) -> bool {
        let from = member.tags.replicatefrom();
        let follows_me = from == Some(&*self.local.name);
        if self.acts_as_leader() {
            return follows_me || from.is_none_or(|from| !self.cluster.members.contains_key(from));
        }
        follows_me && self.cluster.leader_name() != Some(name)
    }

    /// How far a member is that streams from somebody else: by the leader's slot for it, as published. Who streams from
    /// another replica tells by itself, since the leader's slot for it is as idle as ours; and a leader older than Patroni 4
    /// publishes no positions of members (Patroni issue 3171).
    fn position_of(&self, slot: &str, member: &MemberRecord) -> Option<Lsn> {
        let published = self.cluster.status.value.slots.get(slot).copied();
        let version = |leader: &MemberRecord| leader.version.as_deref()?.split('.').next()?.parse::<u32>().ok();
        let is_old = self.cluster.leader_record().and_then(version).is_some_and(|major| major < 4);
        let tells = member.tags.replicatefrom().is_some() || is_old;
        published.max(member.xlog_location.filter(|_| tells))
    }

    /// The inactive and unknown ones, and those whose WAL is gone: they block nothing but a new start of their owner. In
    /// maintenance mode an operator may have reasons of his own.
    ///
    /// Of the wanted ones those go, to be made anew, that are in nobody's use and cannot be kept in step: of another kind than
    /// is wanted, without a position, or with an `xmin` that would hold vacuum back for ever (`_ensure_physical_slots`). Not
    /// while nobody leads, nor on a leader that is yet to be promoted: those may be in use again in a moment.
    fn slots_to_drop(&self, keep: &BTreeSet<String>, wanted: &Slots, idle: &BTreeSet<String>) -> BTreeSet<String> {
        // Which slots are permanent or to be left alone is said in `/config`: a cluster that has none yet has slots from before.
        if self.config.paused || self.cluster.config.is_none() {
            return BTreeSet::new();
        }
        let ignored = self.config.dynamic.get("ignore_slots").unwrap_or(&Value::Null);
        let settled = match self.cluster.leader_name() {
            None => false,
            Some(leader) => leader != self.local.name || self.local.postgres.is_running_primary(),
        };
        let unfit = |name: &String, slot: &SlotView| {
            let is_idle = idle.contains(name);
            let is_stuck = slot.physical && is_idle && (slot.position.is_none() || (slot.has_xmin && settled));
            (wanted.physical.contains_key(name) && !slot.physical) || is_stuck
        };
        let unwanted = self.local.postgres.slots.iter().filter(|(name, slot)| {
            let goes = slot.lost || !keep.contains(*name) || unfit(name, slot);
            !slot.active && !ignores_slot(ignored, name, slot) && goes
        });
        unwanted.map(|(name, _)| name.clone()).collect()
    }

    fn permanent_slots(&self) -> Vec<(String, Value)> {
        permanent_slots(self.config).map(|(name, slot)| (name.clone(), slot.clone())).collect()
    }

    /// The members' slots as `/status` tells whoever leads next to keep them: of those that are there, with the leader's own,
    /// and of those that are gone for not too long (`_build_retain_slots`). Permanent slots need no such word.
    pub(super) fn slots_to_retain(&self, present: &BTreeMap<String, Lsn>) -> Vec<String> {
        let permanent = self.permanent_slots();
        let is_permanent = |slot: &String| permanent.iter().any(|(name, section)| name == slot && !is_logical(section));
        let members = self.cluster.members.iter().filter(|(_, member)| !member.tags.nostream());
        let members = members.map(|(name, _)| slot_name_from_member_name(name));
        let known = members.chain([slot_name_from_member_name(&self.local.name)]);
        let mut all: BTreeSet<String> =
            known.filter(|slot| present.contains_key(slot) && !is_permanent(slot)).collect();
        all.extend(self.retained_slots());
        all.into_iter().collect()
    }

    /// Slots of members whose key is gone for less than `member_slots_ttl`.
    pub(super) fn retained_slots(&self) -> Vec<String> {
        let gone = self.memory.members_seen.keys();
        let gone = gone.filter(|name| !self.cluster.members.contains_key(*name) && **name != self.local.name);
        gone.map(|name| slot_name_from_member_name(name)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slot_names_are_patronis() {
        assert_eq!(slot_name_from_member_name("PG-node.1"), "pg_node_1");
        assert_eq!(slot_name_from_member_name("a:b"), "au0058b");
        assert_eq!(slot_name_from_member_name(&"x".repeat(80)).len(), 63);
    }
}
