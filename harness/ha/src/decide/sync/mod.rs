//! Synchronous replication (`Ha.process_sync_replication`): `/sync` and `synchronous_standby_names` in step.
//!
//! The one rule: at every moment, whoever `/sync` allows to be promoted has every commit that was acknowledged. Two
//! stores cannot be written at once, so the order of the writes is everything. Each call of `next_step` makes at most
//! one write; what is true after it is looked at before the next.
//!
//! A write of `/sync` without an answer may arrive late, and is safe then only under the setting that it was decided under. So
//! before the setting changes, `/sync` is written once more as it is: at another revision the late write changes nothing.

mod choice;
mod priority;
mod quorum;

pub use choice::{Candidate, choose};

use std::collections::BTreeSet;

use super::Cycle;
use crate::config::SynchronousMode;
use crate::decision::{Action, Decision, Reason};
use crate::records::{MemberRecord, SyncRecord};
use crate::view::{SynchronousStandbyNames, WriteOutcome};

/// What both modes look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncSituation {
    /// Our name: the primary's.
    pub leader: String,
    /// `/sync`.
    pub record: SyncRecord,
    /// `synchronous_standby_names` as in force.
    pub setting: SynchronousStandbyNames,
    /// The setting is one of ours, not what the user has configured.
    pub is_managed: bool,
    /// Who should be synchronous now.
    pub chosen: BTreeSet<String>,
    /// Who has flushed what was the primary's position when `setting` came into force: they have every commit that was
    /// acknowledged under any earlier setting.
    pub confirmed: BTreeSet<String>,
    /// `synchronous_node_count`.
    pub node_count: u32,
    /// `synchronous_mode_strict`.
    pub strict: bool,
}

/// The next write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SyncStep {
    /// All is as it should be, or waits for standbys.
    Rest,
    /// Compare-and-set `/sync`.
    Record(SyncRecord),
    /// Change the setting and look again once it is in force.
    Setting(SynchronousStandbyNames),
    /// Let the setting be the user's own.
    Reset,
}

/// The next step towards the situation as it should be.
pub fn next_step(mode: SynchronousMode, now: &SyncSituation) -> SyncStep {
    match mode {
        SynchronousMode::Off => off(now),
        // A record of somebody else says nothing about what *we* acknowledge. Nobody but we has that for sure.
        _ if !now.record.is_leader(&now.leader) => SyncStep::Record(SyncRecord::only(&now.leader)),
        SynchronousMode::On => priority::next_step(now),
        SynchronousMode::Quorum => quorum::next_step(now),
    }
}

/// Switched off: nobody may be promoted on the record's word any more before commits stop waiting for those it names. Then
/// the setting is what the user has configured: PostgreSQL's own synchronous replication, which Patroni leaves alone
/// (`disable_synchronous_replication`), or nothing.
fn off(now: &SyncSituation) -> SyncStep {
    if !now.record.is_empty() {
        SyncStep::Record(SyncRecord::default())
    } else if now.is_managed {
        SyncStep::Reset
    } else {
        SyncStep::Rest
    }
}

/// Strict, and all synchronous standbys have left with nobody to take their place: commits go on waiting for them by name. So they
/// still have every acknowledged commit when they return, and `/sync` may go on saying so, even if the primary is gone by then.
/// Patroni 4.1 forgets their names in `/sync` and waits for `*`: after a primary that ended, too, nobody may lead although a
/// node has everything.
fn waits_for_their_return(now: &SyncSituation) -> bool {
    now.strict && now.chosen.is_empty() && !now.record.standbys.is_empty() && !now.setting.names().is_empty()
}

/// What commits wait for while there is nobody to wait for.
fn nobody(strict: bool) -> SynchronousStandbyNames {
    if strict { SynchronousStandbyNames::Star } else { SynchronousStandbyNames::Off }
}

impl Cycle<'_> {
    /// The primary's part of a cycle; `None` if nothing changes.
    pub(super) fn sync_step(&mut self) -> Option<Decision> {
        match &self.local.round.sync {
            // Somebody else writes `/sync`, or we do not know whether we did: the next cycle reads it anew.
            Some(WriteOutcome::Conflict | WriteOutcome::Unknown { .. }) => return None,
            Some(WriteOutcome::Written { .. }) | None => {}
        }
        let mode = if self.config.is_synchronous() { self.config.synchronous_mode } else { SynchronousMode::Off };
        let situation = self.sync_situation();
        let may_change = mode == SynchronousMode::Off || self.is_sync_settled();
        let step = match next_step(mode, &situation) {
            SyncStep::Setting(_) | SyncStep::Reset if !may_change => SyncStep::Record(situation.record),
            step => step,
        };
        match step {
            SyncStep::Rest => None,
            SyncStep::Record(record) => {
                let said = Reason::ChangingSync(format!("writing /sync {}", record.to_json()));
                let record = (!record.is_empty()).then_some(record);
                let write = Action::WriteSync { record, expected: self.cluster.sync.mod_revision };
                Some(Decision::observe(vec![write], said))
            }
            SyncStep::Setting(setting) => {
                let said = Reason::ChangingSync(format!("setting synchronous_standby_names to '{setting}'"));
                Some(Decision::soon(vec![Action::SetSynchronousStandbyNames(setting)], said, Self::SETTLE))
            }
            SyncStep::Reset => {
                let said = Reason::ChangingSync("synchronous_standby_names is what is configured".into());
                Some(Decision::soon(vec![Action::ResetSynchronousStandbyNames], said, Self::SETTLE))
            }
        }
    }

    /// Whether no write of ours can change `/sync` any more as it is now.
    pub(super) fn is_sync_settled(&self) -> bool {
        self.memory.sync.written == Some(self.cluster.sync.mod_revision)
    }

    fn sync_situation(&self) -> SyncSituation {
        let postgres = &self.local.postgres;
        let setting = postgres.synchronous_standby_names.clone();
        let in_force = self.memory.sync.in_force.as_ref().filter(|(known, _)| *known == setting);
        let confirmed = postgres
            .standbys
            .iter()
            .filter(|standby| standby.streaming && in_force.is_some_and(|(_, since)| standby.flush_lsn >= *since));
        let record = self.cluster.sync.value.clone();
        SyncSituation {
            leader: self.local.name.clone(),
            chosen: choose(&self.sync_candidates(&record, &setting), self.config, postgres.current_lsn),
            confirmed: confirmed.map(|standby| standby.application_name.clone()).collect(),
            record,
            setting,
            is_managed: postgres.manages_standby_names,
            node_count: self.config.synchronous_node_count,
            strict: self.config.synchronous_mode_strict,
        }
    }

    /// The members that stream from us and may be synchronous.
    fn sync_candidates(&self, record: &SyncRecord, setting: &SynchronousStandbyNames) -> Vec<Candidate> {
        let named = setting.names();
        let awaited = self.local.postgres.awaited_position;
        let streaming = self.local.postgres.standbys.iter().filter(|standby| standby.streaming);
        let candidates = streaming.filter_map(|standby| {
            let name = &standby.application_name;
            // A standby under our own name would make us our own synchronous standby (Patroni issue 3111).
            let (name, member) = self.cluster.members.iter().find(|(member, _)| member.eq_ignore_ascii_case(name))?;
            let fit = *name != self.local.name && member.is_running() && !member.tags.nosync();
            // One that should stream from elsewhere is here by accident, and soon gone (Patroni issue 3369).
            (fit && !self.should_cascade(member)).then(|| Candidate {
                name: name.clone(),
                nofailover: member.tags.nofailover(),
                sync_priority: member.tags.sync_priority(),
                is_synchronous: record.is_standby(name) || named.contains(name),
                position: standby.position(awaited),
            })
        });
        candidates.collect()
    }

    /// Whether a member is to stream from another standby that is there for it: that streams from us, or is itself to stream
    /// from one that does (`_should_cascade`). One whose upstream is gone streams from us in earnest.
    fn should_cascade(&self, member: &MemberRecord) -> bool {
        let members = &self.cluster.members;
        let fit = |name: &str| members.get(name).filter(|member| member.is_running() && !member.tags.nosync());
        let mut seen = BTreeSet::new();
        let mut from = member.tags.replicatefrom();
        while let Some(name) = from.filter(|name| *name != self.local.name && seen.insert(*name)) {
            let Some(upstream) = fit(name) else { return false };
            from = upstream.tags.replicatefrom();
            if from.is_none() {
                let standbys = &self.local.postgres.standbys;
                return standbys.iter().any(|standby| standby.application_name.eq_ignore_ascii_case(name));
            }
        }
        false
    }
}
