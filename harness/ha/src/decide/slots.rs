//! Replication slots (`patroni/postgresql/slots.py`): one for every member, so that none loses the WAL it needs.

use std::collections::BTreeSet;

use serde_json::Value;

use super::Cycle;
use crate::Lsn;
use crate::decision::{Action, Slots};
use crate::view::{Process, TaskKind};

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
            || wanted.physical.iter().any(|(name, target)| self.physical_differs(name, *target))
            || wanted.logical.iter().any(|(name, (_, target))| self.physical_differs(name, *target));
        differs.then_some(Action::SyncSlots(wanted))
    }

    fn physical_differs(&self, name: &str, target: Option<Lsn>) -> bool {
        let Some(slot) = self.local.postgres.slots.get(name) else { return true };
        // Somebody who uses the slot advances it himself.
        !slot.active && target.is_some_and(|target| slot.position.is_none_or(|position| position < target))
    }

    fn wanted_slots(&self) -> Slots {
        let mut slots = Slots::default();
        let mut keep = BTreeSet::new();
        let is_primary = self.local.postgres.is_running_primary();
        let published = |name: &str| if is_primary { None } else { self.cluster.status.value.slots.get(name).copied() };
        for (name, permanent) in self.permanent_slots() {
            let logical = permanent.get("type").and_then(Value::as_str) == Some("logical");
            keep.insert(name.clone());
            if logical && (is_primary || self.local.postgres.slots.contains_key(&name)) {
                slots.logical.insert(name.clone(), (permanent, published(&name)));
            } else if !logical {
                slots.physical.insert(name.clone(), published(&name));
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
        if self.config.paused {
            return BTreeSet::new();
        }
        let unwanted = self.local.postgres.slots.iter().filter(|(name, slot)| {
            !slot.active && !self.is_ignored(name, slot.physical) && (slot.lost || !keep.contains(*name))
        });
        unwanted.map(|(name, _)| name.clone()).collect()
    }

    fn permanent_slots(&self) -> Vec<(String, Value)> {
        let configured = self.config.dynamic.get("slots").and_then(Value::as_object);
        configured.into_iter().flatten().map(|(name, slot)| (name.clone(), slot.clone())).collect()
    }

    /// `ignore_slots`: matchers, each of whose given fields must match.
    fn is_ignored(&self, name: &str, physical: bool) -> bool {
        let kind = if physical { "physical" } else { "logical" };
        let matchers = self.config.dynamic.get("ignore_slots").and_then(Value::as_array);
        let slot = self.local.postgres.slots.get(name);
        matchers.into_iter().flatten().any(|matcher| {
            let matches = |field: &str, value: Option<&str>| {
                matcher.get(field).and_then(Value::as_str).is_none_or(|wanted| Some(wanted) == value)
            };
            matches("name", Some(name))
                && matches("type", Some(kind))
                && matches("database", slot.and_then(|slot| slot.database.as_deref()))
                && matches("plugin", slot.and_then(|slot| slot.plugin.as_deref()))
        })
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
