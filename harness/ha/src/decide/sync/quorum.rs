//! `synchronous_mode: quorum`: commits wait for any `numsync` of the named standbys, and a node may be promoted if it and
//! `quorum` other voters, none of them ahead of it, are seen (`patroni/quorum.py`).
//!
//! Invariant: |voters ∪ sync| <= quorum + numsync. Then any `quorum + 1` voters and any `numsync` standbys that
//! acknowledged a commit have a node in common, so that the most advanced of the voters seen has the commit.
//! A change goes: raise `quorum` until both the old and the new setting obey the invariant; change the setting; wait
//! until as many as are to be waited for have what was acknowledged before; write the final record.

use std::collections::BTreeSet;

use super::{SyncSituation, SyncStep, nobody, waits_for_their_return};
use crate::records::SyncRecord;
use crate::view::SynchronousStandbyNames;

pub(super) fn next_step(now: &SyncSituation) -> SyncStep {
    if waits_for_their_return(now) {
        return SyncStep::Rest;
    }
    let size = now.chosen.len() as u32;
    let num_sync = now.node_count.min(size);
    let wanted = match num_sync {
        0 => nobody(now.strict),
        _ => SynchronousStandbyNames::any_of(num_sync, now.chosen.clone()),
    };
    let record = |standbys: &BTreeSet<String>, quorum: u32| {
        let record = SyncRecord { leader: Some(now.leader.clone()), standbys: standbys.clone(), quorum };
        if record == now.record { SyncStep::Rest } else { SyncStep::Record(record) }
    };
    if now.setting != wanted {
        let voters = &now.record.standbys;
        let needed = least_quorum(voters, &now.setting).max(least_quorum(voters, &wanted));
        return match now.record.quorum >= needed {
            true => SyncStep::Setting(wanted),
            false => record(voters, needed),
        };
    }
    let have_all = now.chosen.intersection(&now.confirmed).count() as u32;
    if have_all < num_sync {
        // Commits from before the setting may be on too few of them.
        return SyncStep::Rest;
    }
    record(&now.chosen, size - num_sync)
}

/// The smallest quorum with which `voters` obey the invariant under a setting.
fn least_quorum(voters: &BTreeSet<String>, setting: &SynchronousStandbyNames) -> u32 {
    let names = setting.names();
    // `n (a,b,c)` with n < 3 waits for particular ones, which is at least as much as for any n.
    (voters.union(&names).count() as u32).saturating_sub(setting.num_sync())
}
