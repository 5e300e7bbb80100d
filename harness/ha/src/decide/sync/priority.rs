//! `synchronous_mode: on`: commits wait for *all* named standbys, so each of them may be promoted.
//!
//! Invariant: `/sync.standbys` is a subset of those that every acknowledged commit is on. Adding: setting first, then
//! the record, once the standby has confirmed. Removing: record first, then the setting.

use std::collections::BTreeSet;

use super::{SyncSituation, SyncStep, nobody, waits_for_their_return};
use crate::records::SyncRecord;
use crate::view::SynchronousStandbyNames;

pub(super) fn next_step(now: &SyncSituation) -> SyncStep {
    let vouched = vouched_by(&now.setting);
    if waits_for_their_return(now) && now.record.standbys.is_subset(&vouched) {
        return SyncStep::Rest;
    }
    let record = |standbys: BTreeSet<String>| {
        SyncStep::Record(SyncRecord { leader: Some(now.leader.clone()), standbys, quorum: 0 })
    };
    let kept: BTreeSet<String> = now
        .record
        .standbys
        .iter()
        .filter(|name| now.chosen.contains(*name) && vouched.contains(*name))
        .cloned()
        .collect();
    if kept != now.record.standbys || now.record.quorum != 0 {
        return record(kept);
    }
    let wanted = match now.chosen.is_empty() {
        true => nobody(now.strict),
        false => SynchronousStandbyNames::all_of(now.chosen.clone()),
    };
    if now.setting != wanted {
        return SyncStep::Setting(wanted);
    }
    let confirmed: BTreeSet<String> = now.chosen.intersection(&now.confirmed).cloned().collect();
    let grown: BTreeSet<String> = kept.union(&confirmed).cloned().collect();
    if grown != kept { record(grown) } else { SyncStep::Rest }
}

/// Those that every commit waits for under a setting: all of its names, if it waits for as many as it names.
fn vouched_by(setting: &SynchronousStandbyNames) -> BTreeSet<String> {
    let names = setting.names();
    if setting.num_sync() as usize >= names.len() { names } else { BTreeSet::new() }
}
