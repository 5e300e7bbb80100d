//! Switchover and failover on request (`process_manual_failover_from_leader`, `manual_failover_process_no_leader`).

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::SignedDuration;

use super::Cycle;
use super::race::Obstacle;
use crate::Lsn;
use crate::decision::{Decision, EarlyRelease, Reason, Unfit};
use crate::records::FailoverRecord;
use crate::view::{PeerAnswer, PeerStatus, PostgresRole};

/// Whether a request's time has come.
enum Due {
    Now,
    In(Duration),
    TooLate,
}

impl Cycle<'_> {
    fn request(&self) -> Option<&FailoverRecord> {
        self.cluster.failover.as_ref().map(|request| &request.value)
    }

    /// The request, unless it is for a later time.
    pub(super) fn unscheduled_request(&self) -> Option<&FailoverRecord> {
        self.request().filter(|request| request.scheduled_at.is_none())
    }

    /// Whether we are the node a request names as the next leader.
    pub(super) fn is_manual_candidate(&self) -> bool {
        self.unscheduled_request().and_then(|request| request.candidate.as_deref()) == Some(&self.local.name)
    }

    /// What the lock holder does with a request; `None` if there is none, or none yet. A standby leader hands over as a primary
    /// does.
    pub(super) fn manual_from_leader(&mut self) -> Option<Decision> {
        let request = self.request()?.clone();
        if self.local.postgres.role == PostgresRole::Replica && (!self.is_standby_cluster() || self.config.paused) {
            // We are the one it made the leader: the promotion clears it.
            return None;
        }
        if let Some(scheduled_at) = request.scheduled_at {
            if self.config.paused {
                return None;
            }
            match self.due(scheduled_at) {
                Due::Now => {}
                Due::TooLate => return Some(self.reject("its scheduled time has passed".into())),
                Due::In(left) if left > self.config.loop_wait => return None,
                Due::In(left) => {
                    return Some(Decision::soon(Vec::new(), Reason::SwitchoverLater(left), left));
                }
            }
        }
        if let Err(why) = self.acceptable(&request) {
            return Some(self.reject(why));
        }
        match self.handover_candidates(&request) {
            Err(ask) => Some(ask),
            Ok(candidates) if candidates.is_empty() => Some(self.reject("no candidate is healthy".into())),
            Ok(candidates) => Some(self.demote_graceful(EarlyRelease { candidates })),
        }
    }

    /// The window of `should_run_scheduled_action`. The wall clock is the only one a human can mean; a step of it moves the
    /// switchover and nothing else.
    fn due(&self, scheduled_at: jiff::Timestamp) -> Due {
        let delta = scheduled_at.duration_since(self.local.wall);
        let limit = SignedDuration::try_from(self.config.loop_wait * 3 / 2).unwrap_or(SignedDuration::MAX);
        if delta < -limit {
            Due::TooLate
        } else if delta.is_positive() {
            Due::In(delta.unsigned_abs())
        } else {
            Due::Now
        }
    }

    fn acceptable(&self, request: &FailoverRecord) -> Result<(), String> {
        let me = &self.local.name;
        if let Some(leader) = request.leader.as_ref().filter(|leader| *leader != me) {
            return Err(format!("the leader is {me}, not {leader}"));
        }
        if request.candidate.as_ref() == Some(me) {
            return Err(format!("{me} is the leader already"));
        }
        if self.config.paused && request.candidate.is_none() {
            return Err("a switchover in maintenance mode needs a candidate".into());
        }
        let sync = &self.cluster.sync.value;
        let bound_to_sync = request.is_switchover() && self.sync_decides();
        match &request.candidate {
            Some(candidate) if bound_to_sync && !sync.is_standby(candidate) => {
                Err(format!("{candidate} is not a synchronous standby"))
            }
            _ => Ok(()),
        }
    }

    /// Who could take over (`is_failover_possible`, `get_failover_candidates`).
    fn handover_candidates(&self, request: &FailoverRecord) -> Result<BTreeSet<String>, Decision> {
        let sync = &self.cluster.sync.value;
        let bound_to_sync = self.sync_decides() && request.candidate.is_none();
        let timeline = self.cluster.timeline();
        // As in the race that comes then (`is_failover_possible`).
        let too_old =
            |answer: &PeerAnswer| self.config.check_timeline && answer.timeline.is_none_or(|own| own < timeline);
        let answers = self.peers()?;
        let healthy = answers.iter().filter(|(name, status)| {
            let wanted = request.candidate.as_ref().is_none_or(|candidate| candidate == *name);
            // Without a named candidate an asynchronous node must not win (Patroni issue 2405).
            let eligible = !bound_to_sync || sync.is_standby(name);
            let ignore_lag = !request.is_switchover();
            let fits = !matches!(status, PeerStatus::Answered(answer) if too_old(answer));
            wanted
                && eligible
                && fits
                && self.cluster.members.contains_key(*name)
                && self.could_lead(status, ignore_lag)
        });
        let healthy: BTreeSet<String> = healthy.map(|(name, _)| name.clone()).collect();
        // A named candidate waits for what it lacks; without one the votes must suffice (Patroni issue 3307).
        let enough = request.candidate.is_some()
            || !(self.sync_decides() && self.config.is_quorum())
            || healthy.len() > sync.quorum as usize;
        Ok(if enough { healthy } else { BTreeSet::new() })
    }

    fn could_lead(&self, status: &PeerStatus, ignore_lag: bool) -> bool {
        let PeerStatus::Answered(answer) = status else { return false };
        let limit = self.config.maximum_lag_on_failover_bytes;
        let lag_bytes = answer.position.bytes_behind(self.leader_position());
        self.is_able(answer) && (ignore_lag || lag_bytes <= limit)
    }

    fn is_able(&self, answer: &PeerAnswer) -> bool {
        answer.in_recovery && !answer.nofailover && !answer.watchdog_failed && answer.position > Lsn(0)
    }

    fn leader_position(&self) -> Lsn {
        let postgres = &self.local.postgres;
        let own = if self.is_standby_cluster() { postgres.position() } else { postgres.current_lsn };
        own.or(self.cluster.status.value.optime).unwrap_or_default()
    }

    /// Whether anybody could take over from a holder that is in trouble (`is_failover_possible`).
    pub(super) fn can_hand_over(&self) -> Result<bool, Decision> {
        let limit = self.config.maximum_lag_on_failover_bytes;
        let optime = self.cluster.status.value.optime.unwrap_or_default();
        let sync = &self.cluster.sync.value;
        Ok(self.peers()?.iter().any(|(name, status)| {
            let PeerStatus::Answered(answer) = status else { return false };
            let eligible = !self.sync_decides() || sync.is_standby(name);
            eligible && self.is_able(answer) && answer.position.bytes_behind(optime) <= limit
        }))
    }

    fn reject(&self, why: String) -> Decision {
        Decision::last(self.clear_failover().into_iter().collect(), Reason::RejectingFailover(why))
    }

    /// A request while nobody leads.
    pub(super) fn manual_without_leader(&self) -> Result<(), Obstacle> {
        let request = self.request().cloned().unwrap_or_default();
        let me = &self.local.name;
        if let Some(candidate) = &request.candidate {
            if candidate == me {
                return self.named_may_take_over(&request);
            }
            if self.config.paused || self.is_candidate_healthy(candidate).map_err(Obstacle::Ask)? {
                return Err(Unfit::OtherCandidate { name: candidate.clone() }.into());
            }
        } else if self.config.paused {
            return Err(Unfit::Paused.into());
        }
        if request.leader.as_ref() == Some(me) {
            let others = self.others_can_take_over(&request).map_err(Obstacle::Ask)?;
            return if others { Err(Unfit::FormerLeader.into()) } else { Ok(()) };
        }
        self.may_take_over(&request)?;
        // The lag is no matter, since somebody wants it; who has most still goes first.
        self.healthiest(false, &request.leader.iter().cloned().collect())
    }

    /// In synchronous mode a switchover is for members of `/sync` alone; a failover may name anybody.
    fn may_take_over(&self, request: &FailoverRecord) -> Result<(), Obstacle> {
        let sync = &self.cluster.sync.value;
        let named = request.candidate.as_deref() == Some(&*self.local.name);
        if named && !request.is_switchover() {
            return Ok(());
        }
        let bound_to_sync = self.sync_decides() && (request.is_switchover() || !self.config.is_quorum());
        if bound_to_sync && !sync.names(&self.local.name) {
            return Err(Unfit::NotSynchronous.into());
        }
        Ok(())
    }

    /// The node that a request names. Patroni lets it go on without asking anybody.
    fn named_may_take_over(&self, request: &FailoverRecord) -> Result<(), Obstacle> {
        self.may_take_over(request)?;
        if self.config.failsafe_mode && !self.config.paused {
            self.nobody_leads_without_dcs()?;
        }
        if self.is_quorum_switchover(request) {
            self.has_everything()?;
        }
        Ok(())
    }

    /// A leader may go on by the members' word, and our own word may be forgotten: we were started anew since.
    fn nobody_leads_without_dcs(&self) -> Result<(), Obstacle> {
        if self.is_left_out_of_failsafe() {
            return Err(Unfit::NotInFailsafe.into());
        }
        let answers = self.peers().map_err(Obstacle::Ask)?;
        let alive = |status: &PeerStatus| matches!(status, PeerStatus::Answered(answer) if !answer.in_recovery);
        match answers.iter().find(|(_, status)| alive(status)) {
            Some((name, _)) => Err(Unfit::PrimaryAlive { name: name.clone() }.into()),
            None => Ok(()),
        }
    }

    fn is_quorum_switchover(&self, request: &FailoverRecord) -> bool {
        request.is_switchover() && self.sync_decides() && self.config.is_quorum()
    }

    /// In quorum mode any voter may lack what was acknowledged. A switchover loses nothing: either the votes suffice, or the leader
    /// of before says that it has no more than we have.
    fn has_everything(&self) -> Result<(), Obstacle> {
        let Some(ours) = self.local.postgres.position() else { return Err(Unfit::UnknownPosition.into()) };
        let answers = self.peers().map_err(Obstacle::Ask)?;
        let vouches = |answer: &PeerAnswer| answer.in_recovery && answer.position > Lsn(0) && answer.position <= ours;
        let vouched = answers.iter().any(|(name, status)| {
            let is_leader = self.cluster.sync.value.is_leader(name);
            is_leader && matches!(status, PeerStatus::Answered(answer) if vouches(answer))
        });
        if vouched { Ok(()) } else { self.has_quorum(answers, ours) }
    }

    fn is_candidate_healthy(&self, candidate: &str) -> Result<bool, Decision> {
        if !self.cluster.members.contains_key(candidate) {
            return Ok(false);
        }
        // Nobody waits for a candidate that lacks what we have, and that may be refused the votes for it.
        let least = self.request().filter(|request| self.is_quorum_switchover(request));
        let least = least.and_then(|_| self.local.postgres.position()).unwrap_or_default();
        let answer = self.peers()?.get(candidate);
        Ok(matches!(answer, Some(PeerStatus::Answered(answer)) if self.is_able(answer) && answer.position >= least))
    }

    fn others_can_take_over(&self, request: &FailoverRecord) -> Result<bool, Decision> {
        let sync = &self.cluster.sync.value;
        Ok(self.peers()?.iter().any(|(name, status)| {
            let eligible = !self.sync_decides() || sync.is_standby(name);
            request.candidate.as_ref() != Some(name) && eligible && self.could_lead(status, false)
        }))
    }
}
