//! Nobody holds the lock (`Ha.process_unhealthy_cluster`): who may take it (`is_healthiest_node`).

use std::collections::{BTreeMap, BTreeSet};

use super::{Cycle, demote};
use crate::Lsn;
use crate::config::{FencingMode, WatchdogMode, standby_section};
use crate::decision::{Action, Decision, Peer, PeerPurpose, Reason, Unfit};
use crate::view::{LockOutcome, PeerAnswer, PeerStatus, Process};

/// What stands between a node and the lock.
pub(super) enum Obstacle {
    /// It must not have it.
    Unfit(Unfit),
    /// It is not known yet.
    Ask(Decision),
}

impl From<Unfit> for Obstacle {
    fn from(unfit: Unfit) -> Self {
        Obstacle::Unfit(unfit)
    }
}

impl Cycle<'_> {
    pub(super) fn race(&mut self) -> Decision {
        if let Some(because) = self.must_be_fenced() {
            return demote::nolock(because, self.memory);
        }
        if self.local.postgres.is_silent {
            // It could not be promoted, and would not be a primary that anybody can use.
            return Decision::soon(Vec::new(), Reason::NotPromoting(Unfit::NoSignOfLife), super::healthy::ASK_AGAIN);
        }
        match &self.local.round.lock {
            Some(LockOutcome::Lost) => return self.stay_behind(Reason::LostRace),
            Some(LockOutcome::Unknown { reason }) => return Decision::rest(Reason::AcquireUnknown(reason.clone())),
            _ => {}
        }
        if self.local.round.released {
            return Decision::rest(Reason::ReleasingLock("given up in this cycle"));
        }
        match self.fitness() {
            Ok(()) => {
                let mut status = self.cluster.status.value.clone();
                status.optime = status.optime.max(self.status_to_publish().and_then(|status| status.optime));
                self.memory.raced_on_sync = Some(self.cluster.sync.mod_revision);
                let mut actions = vec![Action::AcquireLock { status }];
                // No promotion will do it; carried out only once the lock is ours.
                actions.extend(self.clear_failover().filter(|_| self.is_standby_cluster()));
                Decision::observe(actions, Reason::AcquiringLock)
            }
            Err(Obstacle::Ask(decision)) => decision,
            Err(Obstacle::Unfit(unfit)) => self.stay_behind(Reason::NotPromoting(unfit)),
        }
    }

    /// A primary without lock that has had it: does it have to stop before it may race?
    ///
    /// Patroni lets an ex-holder re-create its expired lock unseen (`update_leader`), which made a split brain when
    /// another had been promoted in between and was frozen (issue 2779). Here an expired deadline means stop first.
    fn must_be_fenced(&self) -> Option<&'static str> {
        if self.config.paused || !self.local.postgres.is_running_primary() {
            return None;
        }
        let expired = self.memory.leadership_deadline().is_some_and(|deadline| self.now >= deadline);
        let superseded = self.memory.own_status_revision.is_some_and(|own| own != self.cluster.status.mod_revision);
        match (superseded, expired) {
            (true, _) => Some("another leader was in office meanwhile"),
            (_, true) => Some("our leader lock has expired"),
            _ => None,
        }
    }

    /// `is_healthiest_node`: its order of questions.
    fn fitness(&self) -> Result<(), Obstacle> {
        if self.memory.pre_promote_failed.is_some_and(|at| !self.has_passed(at, self.config.ttl)) {
            return Err(Unfit::PrePromoteFailed.into());
        }
        if self.config.paused && self.unscheduled_request().is_some() && !self.config.tags.nofailover() {
            return self.manual_without_leader();
        }
        if matches!(self.local.postgres.process, Process::Starting { .. }) {
            return Err(Unfit::Starting.into());
        }
        if self.local.postgres.is_running_primary() {
            return self.fit_as_primary();
        }
        if self.config.paused {
            return Err(Unfit::Paused.into());
        }
        if self.config.tags.nofailover() {
            return Err(Unfit::Nofailover.into());
        }
        if self.is_disputed_standby_cluster() {
            return Err(Unfit::DisputedStandbyCluster.into());
        }
        if self.cluster.failover.is_some() {
            return self.manual_without_leader();
        }
        self.fit_as_replica()
    }

    /// A copy of another cluster's data directory brings that cluster's `patroni.dynamic.json` along, as `pg_basebackup` copies all
    /// files. Patroni believes it, and promotes what `bootstrap.dcs` says is to follow a remote primary. The other reading is
    /// possible as well: our own cluster has left its standby days behind and has lost its etcd. A promotion cannot be taken back.
    fn is_disputed_standby_cluster(&self) -> bool {
        let is_new =
            self.cluster.config.is_none() && self.cluster.initialize.is_none() && self.memory.last_led.is_none();
        let kept = self.local.postgres.was_managed && !self.is_standby_cluster();
        is_new && kept && standby_section(&self.config.bootstrap_dcs).is_some()
    }

    /// A primary is always the healthiest, unless a later timeline exists than its own.
    fn fit_as_primary(&self) -> Result<(), Obstacle> {
        if self.config.paused && !self.identity_matches() {
            return Err(Unfit::Paused.into());
        }
        let ours = self.local.postgres.timeline.unwrap_or(0);
        let cluster = self.cluster.timeline();
        if ours < cluster { Err(Unfit::OldTimeline { ours, cluster }.into()) } else { Ok(()) }
    }

    fn fit_as_replica(&self) -> Result<(), Obstacle> {
        if self.config.watchdog == WatchdogMode::Required && !self.local.watchdog.is_usable {
            return Err(Unfit::NoWatchdog.into());
        }
        if self.config.fencing == FencingMode::Required && !self.local.fence.is_usable {
            return Err(Unfit::NoFence.into());
        }
        if self.is_left_out_of_failsafe() {
            return Err(Unfit::NotInFailsafe.into());
        }
        let sync = &self.cluster.sync.value;
        if self.sync_decides() && !self.config.is_quorum() && !sync.names(&self.local.name) {
            return Err(Unfit::NotSynchronous.into());
        }
        self.healthiest(true, &BTreeSet::new())
    }

    /// Whether `/sync` limits who may be promoted.
    pub(super) fn sync_decides(&self) -> bool {
        self.config.is_synchronous() && !self.cluster.sync.value.is_empty()
    }

    /// `_is_healthiest_node`, without asking those in `excluded`. `by_itself`: nobody asked for a change, so the limit on lag
    /// holds.
    pub(super) fn healthiest(&self, by_itself: bool, excluded: &BTreeSet<String>) -> Result<(), Obstacle> {
        let Some(ours) = self.local.postgres.position() else { return Err(Unfit::UnknownPosition.into()) };
        if by_itself {
            self.within_lag_limit(ours)?;
        }
        self.within_timelines()?;
        let answers = self.peers().map_err(Obstacle::Ask)?;
        for (name, answer) in answers.iter().filter(|(name, _)| !excluded.contains(*name)) {
            if let PeerStatus::Answered(answer) = answer {
                self.compare_with(name, answer, ours)?;
            }
        }
        if self.sync_decides() && self.config.is_quorum() { self.has_quorum(answers, ours) } else { Ok(()) }
    }

    /// How far behind a node may be that nobody asked for.
    fn within_lag_limit(&self, ours: Lsn) -> Result<(), Obstacle> {
        let limit_bytes = self.config.maximum_lag_on_failover_bytes;
        let lag_bytes = ours.bytes_behind(self.last_optime());
        // What `/sync` vouches for has every acknowledged commit; what else the primary wrote need not keep it out
        // (Patroni issue 3703: a limit of 0 left the cluster without leader).
        if lag_bytes > limit_bytes && !self.sync_decides() {
            return Err(Unfit::Lagging { lag_bytes, limit_bytes }.into());
        }
        Ok(())
    }

    /// On which timeline a node may be that nobody asked for by its name.
    fn within_timelines(&self) -> Result<(), Obstacle> {
        let postgres = &self.local.postgres;
        let ours = postgres.timeline.unwrap_or(0);
        let cluster = self.cluster.timeline();
        // A node that has never heard of the cluster's timeline would begin one of the same number: two WALs of one name, and
        // what was acknowledged on the first is gone. Patroni does that unless `check_timeline` is on, which also bars who has
        // heard of it and not yet come there. An operator's `failover` to such a node still does. A standby cluster's timelines are
        // the remote primary's, and its own `/history` says nothing of them.
        let begins_anew = postgres.newest_timeline.max(postgres.timeline).is_some_and(|newest| newest < cluster);
        if !self.is_standby_cluster() && (begins_anew || (self.config.check_timeline && ours < cluster)) {
            return Err(Unfit::OldTimeline { ours, cluster }.into());
        }
        Ok(())
    }

    fn last_optime(&self) -> Lsn {
        let now = self.cluster.status.value.optime;
        let before = self.memory.last_led.as_ref().and_then(|led| led.status.optime);
        now.or(before).unwrap_or_default()
    }

    /// One peer's answer against ourselves.
    fn compare_with(&self, name: &str, answer: &PeerAnswer, ours: Lsn) -> Result<(), Obstacle> {
        let sync = &self.cluster.sync.value;
        let counts = match (self.sync_decides(), self.config.is_quorum()) {
            (true, true) => sync.is_standby(name) || sync.is_leader(name),
            (true, false) => sync.names(name),
            (false, _) => true,
        };
        if !answer.in_recovery {
            return Err(Unfit::PrimaryAlive { name: name.to_owned() }.into());
        }
        if !counts || answer.nofailover || answer.watchdog_failed {
            return Ok(());
        }
        // The former leader may be a few bytes ahead with what it never got acknowledged, or cut off from the DCS so
        // that it cannot become leader at all (Patroni issues 1054, 251, 2070).
        let excused = (self.sync_decides() && sync.is_leader(name)) || self.is_cut_off_former_leader(name);
        if answer.position > ours && !excused {
            let bytes = ours.bytes_behind(answer.position);
            return Err(Unfit::PeerAhead { name: name.to_owned(), bytes }.into());
        }
        // Deferring to a demoted leader that never comes left clusters without one (Patroni issue 3295).
        let preferred = answer.failover_priority > self.config.tags.failover_priority();
        if answer.position == ours && preferred && !self.is_former_leader(name) {
            return Err(Unfit::PeerPreferred { name: name.to_owned() }.into());
        }
        Ok(())
    }

    fn is_former_leader(&self, name: &str) -> bool {
        self.memory.last_led.as_ref().is_some_and(|led| led.leader == name)
    }

    /// The member key hangs on the same lease as the lock: without it, its owner does not reach the DCS.
    fn is_cut_off_former_leader(&self, name: &str) -> bool {
        self.is_former_leader(name) && !self.cluster.members.contains_key(name)
    }

    /// Quorum mode: among us and the voters not ahead of us there must be one with every acknowledged commit.
    pub(super) fn has_quorum(&self, answers: &BTreeMap<String, PeerStatus>, ours: Lsn) -> Result<(), Obstacle> {
        let sync = &self.cluster.sync.value;
        if sync.is_leader(&self.local.name) {
            // Nobody who counts is ahead of us, or we would not be here.
            return Ok(());
        }
        let own_vote = if sync.is_standby(&self.local.name) { 0 } else { -1 };
        let others = answers.iter().filter(|(name, status)| {
            // A voter whose PostgreSQL does not run has no position, and may have anything.
            let has_position = |answer: &PeerAnswer| answer.position > Lsn(0) && answer.position <= ours;
            sync.is_standby(name) && matches!(status, PeerStatus::Answered(answer) if has_position(answer))
        });
        let votes = own_vote + others.count() as i64;
        let needed = i64::from(sync.quorum);
        if votes >= needed { Ok(()) } else { Err(Unfit::NoQuorum { votes, needed }.into()) }
    }

    /// The peers' answers, or the decision that asks for them.
    pub(super) fn peers(&self) -> Result<&BTreeMap<String, PeerStatus>, Decision> {
        static NOBODY: BTreeMap<String, PeerStatus> = BTreeMap::new();
        if let Some(answers) = &self.local.round.peers {
            return Ok(answers);
        }
        let peers = self.peers_to_ask();
        if peers.is_empty() {
            return Ok(&NOBODY);
        }
        let purpose = if self.holds_lock() { PeerPurpose::Handover } else { PeerPurpose::Race };
        let count = peers.len();
        Err(Decision::ask(vec![Action::AskPeers { peers, purpose }], Reason::AskingPeers(count)))
    }

    /// Everybody we know to exist: those of the last cluster that had a leader, of `/failsafe`, and the present ones.
    fn peers_to_ask(&self) -> Vec<Peer> {
        let mut known: BTreeMap<&str, (&str, bool)> = BTreeMap::new();
        let before = self.memory.last_led.iter().flat_map(|led| &led.members);
        for (name, record) in before.chain(&self.cluster.members) {
            if let Some(api_url) = &record.api_url {
                known.insert(name, (api_url, record.tags.nofailover()));
            }
        }
        for (name, api_url) in self.cluster.failsafe.iter().flatten() {
            known.entry(name).or_insert((api_url, false));
        }
        let voter = |name: &str| self.sync_decides() && self.cluster.sync.value.is_standby(name);
        known
            .into_iter()
            .filter(|(name, (_, nofailover))| *name != self.local.name && (!nofailover || voter(name)))
            .map(|(name, (api_url, _))| Peer { name: name.to_owned(), api_url: api_url.to_owned() })
            .collect()
    }
}
