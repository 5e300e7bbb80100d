//! Does our data directory fit the leader's history, and if not, how is it made to (`patroni/postgresql/rewind.py`)?

use super::Cycle;
use crate::Lsn;
use crate::config::remote_primary;
use crate::decision::{Action, Decision, Reason, Upstream};
use crate::memory::RewindState;
use crate::records::MemberRole;
use crate::view::{DbState, LeaderInspection};

/// Where our WAL ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LocalHistory {
    /// It replayed up to here.
    Replica {
        /// The timeline.
        timeline: u32,
        /// The replayed position.
        replayed: Lsn,
    },
    /// It was a primary and has written up to here by itself.
    FormerPrimary {
        /// The timeline.
        timeline: u32,
        /// The end of its shutdown checkpoint, if it had one.
        shutdown_checkpoint_end: Option<Lsn>,
    },
}

impl LocalHistory {
    const fn timeline(self) -> u32 {
        match self {
            Self::Replica { timeline, .. } | Self::FormerPrimary { timeline, .. } => timeline,
        }
    }

    /// The same beside a remote primary. A directory that is no standby's, and on the remote primary's own timeline, is a copy of
    /// a directory of that primary: its author is the remote primary itself.
    fn copied_from(self, remote_timeline: u32) -> Self {
        match self {
            Self::FormerPrimary { timeline, shutdown_checkpoint_end } if timeline == remote_timeline => {
                Self::Replica { timeline, replayed: shutdown_checkpoint_end.unwrap_or_default() }
            }
            other => other,
        }
    }
}

/// Compares histories (`_check_timeline_and_lsn`). `Some` says in words how they have diverged.
///
/// `own` and `history` say where each earlier timeline of ours and of the leader's ended.
pub fn diverged(
    local: LocalHistory,
    own: &[(u32, Lsn)],
    leader_timeline: u32,
    history: &[(u32, Lsn)],
) -> Option<String> {
    let timeline = local.timeline();
    // Two nodes that were promoted apart from each other take the same next number: one number, two histories. Patroni
    // compares numbers only.
    let elsewhere = |(ended, at): &&(u32, Lsn)| history.iter().any(|(other, end)| other == ended && end != at);
    if let Some((ended, at)) = own.iter().find(elsewhere) {
        return Some(format!("our timeline {timeline} left timeline {ended} at {at}, the leader's left it elsewhere"));
    }
    if timeline > leader_timeline {
        return Some(format!("we are on timeline {timeline}, the leader on {leader_timeline}"));
    }
    if timeline == leader_timeline {
        // Two nodes promoted at the same position even have the same history. But a timeline has one author: whoever was
        // a primary on it and now sees another one there has written another WAL. Positions are not compared: for a
        // replica, one timeline with one history is one WAL.
        let author = matches!(local, LocalHistory::FormerPrimary { .. });
        return author.then(|| format!("we were the primary of timeline {timeline}, and now the leader is"));
    }
    let Some((_, switchpoint)) = history.iter().find(|(ended, _)| *ended == timeline) else {
        return Some(format!("our timeline {timeline} is not in the history of the leader's {leader_timeline}"));
    };
    match local {
        LocalHistory::Replica { replayed, .. } => (replayed > *switchpoint)
            .then(|| format!("we replayed {replayed} of timeline {timeline}, which the leader left at {switchpoint}")),
        LocalHistory::FormerPrimary { shutdown_checkpoint_end: Some(end), .. } if end == *switchpoint => None,
        LocalHistory::FormerPrimary { shutdown_checkpoint_end, .. } => {
            let end = shutdown_checkpoint_end.map_or("an unknown position".into(), |end| end.to_string());
            Some(format!("we ended timeline {timeline} at {end}, the leader left it at {switchpoint}"))
        }
    }
}

impl Cycle<'_> {
    /// The next step of checking or mending; `None` if there is nothing to do about it now.
    pub(super) fn rewind_step(&mut self) -> Option<Decision> {
        match self.memory.rewind.state {
            RewindState::Check | RewindState::Checkpoint => self.check_history(),
            RewindState::Need => self.mend(),
            RewindState::Failed => self.after_failed_rewind(),
            RewindState::Initial | RewindState::NotNeed | RewindState::Success => None,
        }
    }

    /// The leader, if it is fit to be compared with: a primary that we can reach. In a standby cluster that is the remote primary,
    /// for every member (`_handle_rewind_or_reinitialize`).
    fn reference(&self) -> Option<Upstream> {
        if let Some(section) = &self.config.standby_cluster {
            return remote_primary(section).map(|_| Upstream::Remote(section.clone()));
        }
        let record = self.cluster.leader_record()?;
        if self.holds_lock() || !record.is_running() || record.role != Some(MemberRole::Primary) {
            return None;
        }
        self.upstream_member(self.cluster.leader_name()?)
    }

    fn check_history(&mut self) -> Option<Decision> {
        let leader = self.reference()?;
        let local = self.local_history()?;
        match &self.local.round.leader {
            None => Some(Decision::ask(vec![Action::InspectLeader(leader)], Reason::CheckingRewind)),
            Some(LeaderInspection::Answered { in_recovery: false, timeline, history }) => {
                let local = if self.is_standby_cluster() { local.copied_from(*timeline) } else { local };
                let lines = &self.local.postgres.history;
                let own: Vec<(u32, Lsn)> = lines.iter().map(|line| (line.timeline, line.switchpoint)).collect();
                let finding = diverged(local, &own, *timeline, history);
                let need = finding.is_some();
                self.memory.rewind.beyond_rewind = need && local.timeline() == *timeline;
                self.memory.rewind.state = if need { RewindState::Need } else { RewindState::NotNeed };
                self.memory.rewind.finding = finding;
                if need { self.mend() } else { None }
            }
            // Not in office yet, or not to be reached: what we have now is no worse than before.
            Some(_) => None,
        }
    }

    fn local_history(&self) -> Option<LocalHistory> {
        let postgres = &self.local.postgres;
        if postgres.is_running() {
            return Some(LocalHistory::Replica { timeline: postgres.timeline?, replayed: postgres.replayed_lsn? });
        }
        let control = postgres.control.as_ref()?;
        match control.state {
            DbState::ShutDownInRecovery | DbState::InArchiveRecovery => {
                let (timeline, replayed) = control.min_recovery_end.unwrap_or((control.timeline, control.checkpoint));
                Some(LocalHistory::Replica { timeline, replayed })
            }
            _ => Some(LocalHistory::FormerPrimary {
                timeline: control.timeline,
                shutdown_checkpoint_end: control.checkpoint_end.filter(|_| control.state == DbState::ShutDown),
            }),
        }
    }

    pub(super) fn can_rewind(&self) -> bool {
        self.config.use_pg_rewind && self.local.postgres.supports_rewind()
    }

    pub(super) fn removes_diverged(&self) -> bool {
        self.config.remove_data_directory_on_diverged_timelines && !self.is_standby_cluster()
    }

    /// `pg_rewind`, a new copy, or neither, as the configuration allows.
    fn mend(&mut self) -> Option<Decision> {
        let finding = self.memory.rewind.finding.clone().unwrap_or_else(|| "histories have diverged".into());
        if self.memory.rewind.beyond_rewind {
            return self.copy_anew(finding);
        }
        if self.can_rewind() {
            let leader = self.reference()?;
            let pending = self.cluster.leader_record().and_then(|record| record.checkpoint_after_promote);
            if pending == Some(false) {
                // Until then its pg_control still tells of the old timeline (Patroni issues 3367 and 2073).
                return Some(Decision::rest(Reason::WaitingForLeaderCheckpoint));
            }
            return Some(Decision::last(vec![Action::Rewind(leader)], Reason::Rewinding(finding)));
        }
        if self.removes_diverged() && self.reference().is_some() {
            return Some(self.reinitialize(finding));
        }
        // Nothing is allowed: it follows, and PostgreSQL will say why it cannot.
        self.memory.rewind.state = RewindState::NotNeed;
        None
    }

    /// Only a new copy helps. Without leave to remove the data directory it is an operator's to reinitialize: following
    /// the leader would put its WAL on top of another history.
    fn copy_anew(&mut self, finding: String) -> Option<Decision> {
        self.reference()?;
        if self.config.remove_data_directory_on_rewind_failure || self.removes_diverged() {
            return Some(self.reinitialize(finding));
        }
        Some(Decision::rest(Reason::NeedsReinitialize(finding)))
    }

    fn after_failed_rewind(&mut self) -> Option<Decision> {
        // Perhaps it was the leader that failed: then it is worth another try (Patroni issues 3648 and 3652).
        let reference = self.reference();
        let allowed = self.config.remove_data_directory_on_rewind_failure || self.removes_diverged();
        match reference {
            Some(_) if allowed => Some(self.reinitialize("pg_rewind failed".into())),
            Some(_) => {
                self.memory.rewind.state = RewindState::Check;
                Some(Decision::rest(Reason::CheckingRewind))
            }
            // A directory that pg_rewind has left half-done must not be started.
            None => Some(Decision::rest(Reason::WaitingForLeader)),
        }
    }

    fn reinitialize(&mut self, finding: String) -> Decision {
        self.memory.rewind = Default::default();
        let mut actions: Vec<Action> = self.plain_stop().into_iter().collect();
        actions.push(Action::RemoveDataDir);
        Decision::observe(actions, Reason::Reinitializing(finding))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HISTORY: &[(u32, Lsn)] = &[(1, Lsn(100)), (2, Lsn(200))];

    fn replica(timeline: u32, lsn: u64) -> LocalHistory {
        LocalHistory::Replica { timeline, replayed: Lsn(lsn) }
    }

    fn former(timeline: u32, end: Option<u64>) -> LocalHistory {
        LocalHistory::FormerPrimary { timeline, shutdown_checkpoint_end: end.map(Lsn) }
    }

    #[test]
    fn the_rewind_decision_table() {
        let cases = [
            ("a later timeline than the leader's", replica(4, 1), true),
            ("the leader's timeline, further on", replica(3, 900), false),
            ("a replica that stopped before the switchpoint", replica(2, 199), false),
            ("a replica at the switchpoint", replica(2, 200), false),
            ("a replica beyond the switchpoint", replica(2, 201), true),
            ("a former primary that ended at the switchpoint", former(2, Some(200)), false),
            ("a former primary that wrote more", former(2, Some(208)), true),
            ("a former primary that crashed", former(2, None), true),
        ];
        for (what, local, expected) in cases {
            assert_eq!(diverged(local, &[], 3, HISTORY).is_some(), expected, "{what}");
        }
    }

    #[test]
    fn a_timeline_missing_in_the_leaders_history_needs_a_rewind() {
        // Patroni issues 2118 and 2124: it was taken for no need, and the start failed for ever.
        assert!(diverged(replica(2, 10), &[], 3, &[(1, Lsn(100))]).is_some());
    }

    #[test]
    fn the_same_timeline_number_with_another_history_has_diverged() {
        let own = |at| [(1, Lsn(100)), (2, Lsn(at))];
        assert_eq!(diverged(replica(3, 900), &own(200), 3, HISTORY), None);
        assert!(diverged(replica(3, 900), &own(150), 3, HISTORY).is_some());
        assert!(diverged(former(2, Some(200)), &[(1, Lsn(90))], 3, HISTORY).is_some());
        // Promoted at the same position: the histories are equal, the authors are not.
        assert!(diverged(former(3, Some(300)), &own(200), 3, HISTORY).is_some());
    }
}
