//! Replication slots (`patroni/postgresql/slots.py`): one for every member, so that none loses the WAL it needs.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::Cycle;
use crate::Lsn;
use crate::config::{ignores_slot, is_logical_slot as is_logical, is_usable_slot};
use crate::decision::{Action, Slots};
use crate::view::{Process, SlotView, TaskKind};

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
    /// copied, not made (`_ensure_logical_slots_replica`).
    pub(super) fn slots_to_copy(&self) -> Option<Action> {
        let postgres = &self.local.postgres;
        let idle = self.local.task.as_ref().is_none_or(|task| !task.is_running());
        if !idle || !postgres.is_streaming || self.config.paused || self.holds_lock() || !self.may_have_logical() {
            return None;
        }
        let from = self.upstream_member(self.cluster.leader_name()?)?;
        let published = &self.cluster.status.value.slots;
        let missing = |(name, _): &(String, Value)| published.contains_key(name) && !postgres.slots.contains_key(name);
        let slots: BTreeMap<_, _> =
            self.permanent_slots().into_iter().filter(|(_, slot)| is_logical(slot)).filter(missing).collect();
        (!slots.is_empty()).then_some(Action::CopySlots { slots, from })
    }

    /// Without feedback to the primary a logical slot on a replica is not safe, and a node that is never promoted needs none.
    fn may_have_logical(&self) -> bool {
        let tags = &self.config.tags;
        self.config.use_slots && !tags.nofailover() && !tags.nostream() && !self.is_standby_cluster()
    }

    fn is_behind(&self, name: &str, target: Option<Lsn>) -> bool {
        let Some(slot) = self.local.postgres.slots.get(name) else { return true };
        // Somebody who uses the slot advances it himself.
        !slot.active && target.is_some_and(|target| slot.position.is_none_or(|position| position < target))
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
        for (name, permanent) in permanent {
            if !is_logical(&permanent) {
                // Nobody streams from himself.
                slots.physical.extend((name != own).then(|| (name.clone(), published(&name))));
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
        // A node that can never be promoted needs slots only for those that follow it.
        let electable = is_primary || !self.config.tags.nofailover();
        for (name, member) in self.cluster.members.iter().filter(|(name, _)| **name != self.local.name) {
            let follows_me = member.tags.replicatefrom() == Some(&*self.local.name);
            let slot = slot_name_from_member_name(name);
            if !member.tags.nostream() && (electable || follows_me) && !slots.logical.contains_key(&slot) {
                slots.physical.insert(slot.clone(), published(&slot));
            }
        }
        keep.extend(slots.physical.keys().cloned());
        keep.extend(self.retained_slots());
        keep.extend(self.cluster.status.value.retain_slots.iter().filter(|_| !is_primary).cloned());
        slots.drop = self.slots_to_drop(&keep);
        slots
    }

    /// The inactive and unknown ones, and those whose WAL is gone: they block nothing but a new start of their owner. In
    /// maintenance mode an operator may have reasons of his own.
    fn slots_to_drop(&self, keep: &BTreeSet<String>) -> BTreeSet<String> {
        // Which slots are permanent or to be left alone is said in `/config`: a cluster that has none yet has slots from before.
        if self.config.paused || self.cluster.config.is_none() {
            return BTreeSet::new();
        }
        let ignored = self.config.dynamic.get("ignore_slots").unwrap_or(&Value::Null);
        let unwanted = self.local.postgres.slots.iter().filter(|(name, slot)| {
            !slot.active && !ignores_slot(ignored, name, slot) && (slot.lost || !keep.contains(*name))
        });
        unwanted.map(|(name, _)| name.clone()).collect()
    }

    fn permanent_slots(&self) -> Vec<(String, Value)> {
        let configured = self.config.dynamic.get("slots").and_then(Value::as_object);
        let cluster = if self.is_standby_cluster() { "standby" } else { "primary" };
        // `cluster_type` keeps a slot for one of two clusters that share a configuration.
        let here = |slot: &Value| slot.get("cluster_type").and_then(Value::as_str).is_none_or(|kind| kind == cluster);
        let all = configured.into_iter().flatten().filter(|(name, slot)| here(slot) && is_usable_slot(name, slot));
        all.map(|(name, slot)| (name.clone(), slot.clone())).collect()
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
