//! Being a replica: of whom, and how it is told (`Ha.follow`, `_get_node_to_follow`).

use super::{Cycle, demote};
use crate::config::{remote_follows, remote_primary};
use crate::decision::{Action, Decision, Reason, Upstream};
use crate::memory::RewindState;
use crate::view::{Follows, PostgresRole, Process};

/// What a comparison of histories found, when it is not them that keep a replica from streaming.
const FITS: &str = "our histories fit, so it is something that PostgreSQL's log tells: a slot or WAL that is not there any more, a \
                    password, pg_hba.conf";

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
        self.follow_upstream()
    }

    /// Follows whom we should follow now, once our history is known to fit.
    pub(super) fn follow_upstream(&mut self) -> Decision {
        if !self.config.paused {
            self.notice_old_timeline();
            self.notice_missing_stream();
            if let Some(decision) = self.rewind_step() {
                return decision;
            }
        }
        let upstream = self.upstream();
        let name = upstream_name(&upstream);
        self.follow(upstream, &name)
    }

    /// Not the leader, and nobody else is one that we know of.
    pub(super) fn stay_behind(&mut self, reason: Reason) -> Decision {
        // `primary_conninfo` stays: the leader may be back in a moment (Patroni issues 3717, 3686 and 3675).
        if self.local.postgres.is_running_primary() && !self.config.paused {
            return demote::nolock("must not be the leader", self.memory);
        }
        // A standby leader that has ended streams no more, and the remote primary still does.
        let alone =
            self.memory.streaming.missing_since.is_some_and(|since| self.has_passed(since, self.config.loop_wait));
        if self.follows_remote() && alone {
            return self.follow_upstream();
        }
        Decision::rest(reason)
    }

    /// Whether it is the remote primary of a standby cluster that we should follow: as its leader, or while there is none
    /// (`_get_node_to_follow`).
    fn follows_remote(&self) -> bool {
        self.is_standby_cluster() && (self.holds_lock() || (self.cluster.is_unlocked() && !self.config.paused))
    }

    /// Whom we should follow now: the remote primary in a standby cluster's leader, else whom our tag names if it runs, else
    /// the leader.
    pub(super) fn upstream(&self) -> Upstream {
        if self.config.tags.nostream() {
            return Upstream::ArchiveOnly;
        }
        if let Some(section) = self.config.standby_cluster.as_ref().filter(|_| self.follows_remote()) {
            return Upstream::Remote(section.clone());
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
            return self.following(upstream, name, actions);
        }
        if upstream == Upstream::Unchanged {
            return Decision::last(actions, Reason::NoLeaderToFollow);
        }
        // Whoever is followed anew may have another history.
        let state = self.memory.rewind.state;
        let settled = matches!(state, RewindState::Initial | RewindState::NotNeed | RewindState::Success);
        if settled && matches!(upstream, Upstream::Member { .. } | Upstream::Remote(_)) {
            self.memory.rewind.state = RewindState::Check;
        }
        let restart = postgres.server_version < RELOADS_CONNINFO;
        actions.push(Action::Follow { upstream, restart });
        Decision::last(actions, Reason::ChangingUpstream(name.to_owned()))
    }

    /// The configuration is as it should be. Whether WAL arrives is another question.
    fn following(&mut self, upstream: Upstream, name: &str, mut actions: Vec<Action>) -> Decision {
        let missing = self.memory.streaming.missing_since.filter(|_| self.streams_from(&upstream));
        let Some(since) = missing else { return Decision::last(actions, Reason::Following(name.to_owned())) };
        let streaming = &mut self.memory.streaming;
        if streaming.looked_at.is_some() && !streaming.settings_renewed && !self.config.paused {
            // The histories fit: perhaps the server does not have the settings that we believe it to have.
            streaming.settings_renewed = true;
            actions.push(Action::Follow { upstream, restart: self.local.postgres.server_version < RELOADS_CONNINFO });
        }
        let found = self.memory.rewind.finding.clone().or_else(|| self.memory.streaming.trouble.clone());
        let reason = Reason::NotStreaming {
            from: name.to_owned(),
            missing: self.now.since(since),
            restores: self.config.restores(),
            finding: found.or_else(|| self.memory.streaming.compared.then(|| FITS.to_owned())),
        };
        Decision::last(actions, reason)
    }

    /// Whether WAL is to be streamed from an upstream, rather than to be taken from the archive alone.
    fn streams_from(&self, upstream: &Upstream) -> bool {
        match upstream {
            Upstream::Member { .. } => true,
            Upstream::Remote(section) => remote_follows(section, self.config.use_slots).is_some(),
            Upstream::Unchanged | Upstream::ArchiveOnly => false,
        }
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
            // No host: it takes its WAL from `restore_command`.
            Upstream::Remote(remote) => follows == remote_follows(remote, self.config.use_slots).as_ref(),
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

    /// A replica that should stream and does not for two turns of the loop is compared with its upstream, and then again from
    /// time to time: a walreceiver tries every 5 s, so by now something keeps it away.
    fn notice_missing_stream(&mut self) {
        let Some(since) = self.memory.streaming.missing_since.filter(|_| self.streams_from(&self.upstream())) else {
            return;
        };
        let due = match self.memory.streaming.looked_at {
            None => self.has_passed(since, self.config.loop_wait * 2),
            Some(before) => self.has_passed(before, self.config.loop_wait * 6),
        };
        if !due {
            return;
        }
        self.memory.streaming.looked_at = Some(self.now);
        let state = self.memory.rewind.state;
        if matches!(state, RewindState::Initial | RewindState::NotNeed | RewindState::Success) {
            self.memory.rewind.state = RewindState::Check;
        }
    }
}

/// How an upstream is called in a reason.
pub(super) fn upstream_name(upstream: &Upstream) -> String {
    match upstream {
        Upstream::Member { name, .. } => name.clone(),
        Upstream::Remote(section) => match remote_primary(section) {
            Some((host, port)) => format!("the remote primary {host}:{port}"),
            None => "the remote primary's archive".into(),
        },
        Upstream::Unchanged => "its present upstream".into(),
        Upstream::ArchiveOnly => "the archive".into(),
    }
}
