//! Being a replica: of whom, and how it is told (`Ha.follow`, `_get_node_to_follow`).

use super::{Cycle, demote};
use crate::config::remote_primary;
use crate::decision::{Action, Decision, Reason, Upstream};
use crate::memory::RewindState;
use crate::view::{Follows, PostgresRole, Process};

/// From this version on `primary_conninfo` can be changed by a reload.
const RELOADS_CONNINFO: u32 = 130_000;

impl Cycle<'_> {
    /// Somebody else holds the lock.
    pub(super) fn follow_leader(&mut self) -> Decision {
        if self.local.postgres.is_running_primary() {
            if self.config.paused {
                return Decision::rest(Reason::Paused("continue to run as primary without lock"));
            }
            return demote::nolock("another node holds the leader lock", self.memory);
        }
        if matches!(self.local.postgres.process, Process::Starting { .. }) {
            return Decision::rest(Reason::Starting(Default::default()));
        }
        let upstream = self.upstream();
        let name = upstream_name(&upstream).to_owned();
        if !self.config.paused {
            self.notice_old_timeline();
            if let Some(decision) = self.rewind_step() {
                return decision;
            }
        }
        self.follow(upstream, &name)
    }

    /// Not the leader, and nobody else is one that we know of.
    pub(super) fn stay_behind(&mut self, reason: Reason) -> Decision {
        // `primary_conninfo` stays: the leader may be back in a moment (Patroni issues 3717, 3686 and 3675).
        if self.local.postgres.is_running_primary() && !self.config.paused {
            return demote::nolock("must not be the leader", self.memory);
        }
        Decision::rest(reason)
    }

    /// Whom we should follow now: whom our tag names if it runs, else the leader.
    pub(super) fn upstream(&self) -> Upstream {
        if self.config.tags.nostream() {
            return Upstream::ArchiveOnly;
        }
        let me = &self.local.name;
        let wanted = self.config.tags.replicatefrom().filter(|name| name != me);
        let cascade = wanted.filter(|name| self.cluster.members.get(*name).is_some_and(|member| member.is_running()));
        cascade
            .and_then(|name| self.upstream_member(name))
            .or_else(|| self.upstream_member(self.cluster.leader_name()?))
            .unwrap_or(Upstream::Unchanged)
    }

    pub(super) fn upstream_member(&self, name: &str) -> Option<Upstream> {
        if name == self.local.name {
            return None;
        }
        let (host, port) = self.cluster.members.get(name)?.conn_address()?;
        let slot = self.config.use_slots.then(|| super::slot_name_from_member_name(&self.local.name));
        Some(Upstream::Member { name: name.to_owned(), host, port, slot })
    }

    /// Makes a running replica follow `upstream`, if it does not yet.
    pub(super) fn follow(&mut self, upstream: Upstream, name: &str) -> Decision {
        let postgres = &self.local.postgres;
        if postgres.role != PostgresRole::Replica || !postgres.is_running() {
            return Decision::rest(Reason::NoLeaderToFollow);
        }
        let mut actions = Vec::new();
        if postgres.replay_paused && postgres.server_version >= 140_000 && !self.config.paused {
            // Replay pauses by itself when a setting on the primary outgrew ours; a restart is pending then.
            actions.push(Action::ResumeReplay);
        }
        if self.follows_already(&upstream) {
            return Decision::last(actions, Reason::Following(name.to_owned()));
        }
        if upstream == Upstream::Unchanged {
            return Decision::last(actions, Reason::NoLeaderToFollow);
        }
        // Whoever is followed anew may have another history.
        let state = self.memory.rewind.state;
        let settled = matches!(state, RewindState::Initial | RewindState::NotNeed | RewindState::Success);
        if settled && matches!(upstream, Upstream::Member { .. }) {
            self.memory.rewind.state = RewindState::Check;
        }
        let restart = postgres.server_version < RELOADS_CONNINFO;
        actions.push(Action::Follow { upstream, restart });
        Decision::last(actions, Reason::ChangingUpstream(name.to_owned()))
    }

    fn follows_already(&self, upstream: &Upstream) -> bool {
        let follows = self.local.postgres.follows.as_ref();
        match upstream {
            Upstream::Unchanged => false,
            Upstream::ArchiveOnly => follows.is_none(),
            Upstream::Member { host, port, slot, .. } => follows.is_some_and(|current| {
                let wanted = Follows { host: host.clone(), port: *port, slot: slot.clone() };
                *current == wanted
            }),
            Upstream::Remote(remote) => {
                let slot = remote.get("primary_slot_name").and_then(|slot| slot.as_str());
                match (follows, remote_primary(remote)) {
                    // No host: it takes its WAL from `restore_command`.
                    (None, None) => true,
                    (Some(current), Some((host, port))) => {
                        current.host == host && current.port == port && current.slot.as_deref() == slot
                    }
                    _ => false,
                }
            }
        }
    }

    /// A replica that is behind the leader's timeline and does not stream is looked at again (Patroni 4.1.1).
    fn notice_old_timeline(&mut self) {
        let postgres = &self.local.postgres;
        let leaders = self.cluster.leader_record().and_then(|leader| leader.timeline);
        let behind = matches!((postgres.timeline, leaders), (Some(ours), Some(leaders)) if ours < leaders);
        let settled = matches!(self.memory.rewind.state, RewindState::Initial | RewindState::NotNeed);
        if behind && !postgres.is_streaming && settled {
            self.memory.rewind.state = RewindState::Check;
        }
    }
}

/// How an upstream is called in a reason.
pub(super) fn upstream_name(upstream: &Upstream) -> &str {
    match upstream {
        Upstream::Member { name, .. } => name,
        Upstream::Remote(_) => "the remote primary",
        Upstream::Unchanged => "its present upstream",
        Upstream::ArchiveOnly => "the archive",
    }
}
