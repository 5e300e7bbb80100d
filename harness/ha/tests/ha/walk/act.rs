//! Carrying out a decision's actions, in order, as the agent's `daemon::act` does.

use std::collections::{BTreeMap, VecDeque};

use pgdrill_ha::decision::{Action, StartAs, StopMode, StopRequest, Then, Upstream};
use pgdrill_ha::records::StatusRecord;
use pgdrill_ha::view::{
    FailedAction, FailsafeAnswer, LeaderInspection, PeerStatus, SynchronousStandbyNames, TaskKind, WriteOutcome,
};
use pgdrill_ha::{Lsn, Monotonic};

use super::dcs::{Answer, Request};
use super::link::{Said, patience};
use super::lock::Stage;
use super::node::Place;
use super::postgres::Server;
use super::task::Work;
use super::world::World;
use super::{Ms, NAMES, RETRY_TIMEOUT};

/// An action that takes its time.
#[derive(Debug, Clone)]
pub enum Doing {
    Lock { acquire: bool, status: Option<StatusRecord>, requested_at: Monotonic, stage: Stage, id: u64, until: Ms },
    Write { name: &'static str, id: u64, until: Ms },
    Release { status: Option<StatusRecord>, id: u64, until: Ms },
    Ask { ids: BTreeMap<u64, String>, is_failsafe: bool, until: Ms },
    Stop(StopRequest),
}

impl Doing {
    pub fn awaited(&self) -> Option<u64> {
        match self {
            Doing::Lock { id, .. } | Doing::Write { id, .. } | Doing::Release { id, .. } => Some(*id),
            _ => None,
        }
    }
}

/// What came of looking after an action.
pub enum Progress {
    Waits(Doing),
    Goes(Doing),
    Done,
    /// The list ends here.
    Ends,
}

impl World {
    /// One step of the list. Whether something was done.
    pub fn act(&mut self, n: usize, mut left: VecDeque<Action>, then: Then, doing: Option<Doing>) -> bool {
        let progress = match doing {
            Some(doing) => self.look_after(n, doing),
            None => match left.pop_front() {
                Some(action) => self.begin(n, action),
                None => {
                    self.go_on(n, then);
                    return true;
                }
            },
        };
        let (doing, moved) = match progress {
            Progress::Waits(doing) => (Some(doing), false),
            Progress::Goes(doing) => (Some(doing), true),
            Progress::Done => (None, true),
            Progress::Ends => {
                left.clear();
                (None, true)
            }
        };
        self.nodes[n].place = Place::Acting { left, then, doing };
        moved
    }

    fn begin(&mut self, n: usize, action: Action) -> Progress {
        let now = self.now;
        match action {
            Action::RenewLock { status } => return self.ask_for_lock(n, false, status),
            Action::AcquireLock { status } => return self.ask_for_lock(n, true, Some(status)),
            Action::ReleaseLock { optime } => {
                let known = match &self.nodes[n].view {
                    pgdrill_ha::view::ClusterView::Known(cluster) => cluster.status.value.clone(),
                    _ => StatusRecord::default(),
                };
                let status = optime.map(|optime| StatusRecord { optime: Some(optime), ..known });
                (self.nodes[n].round.released, self.nodes[n].claim) = (true, None);
                return self.release(n, self.nodes[n].lock_revision, status);
            }
            Action::WriteSync { record, expected } => {
                let record = record.unwrap_or_default();
                return self.write(n, "write_sync", Request::Sync { record, expected });
            }
            Action::WriteFailsafe(record) => return self.write(n, "write_failsafe", Request::Failsafe(record)),
            Action::WriteHistory(history) => return self.write(n, "write_history", Request::History(history)),
            Action::ClearFailover { expected } => {
                return self.write(n, "clear_failover", Request::ClearFailover { expected });
            }
            Action::AskPeers { peers, .. } => {
                let ids = self.call(n, &peers, false);
                return Progress::Goes(Doing::Ask { ids, is_failsafe: false, until: now + patience(false) });
            }
            Action::AskFailsafe(peers) => {
                self.nodes[n].round.failsafe_asked_at = self.nodes[n].clock(now);
                let ids = self.call(n, &peers, true);
                return Progress::Goes(Doing::Ask { ids, is_failsafe: true, until: now + patience(true) });
            }
            Action::InspectLeader(upstream) => self.nodes[n].round.leader = Some(self.inspect(n, &upstream)),
            Action::Stop(request) => return self.stop(n, request),
            other => self.operate(n, other),
        }
        Progress::Done
    }

    /// What is done at once, or by a task.
    fn operate(&mut self, n: usize, action: Action) {
        let now = self.now;
        let node = &mut self.nodes[n];
        match action {
            Action::WatchdogActivate { until } => {
                node.round.watchdog = Some(true);
                node.feed(until, now);
            }
            Action::WatchdogKeepalive { until } if node.watchdog.is_some() => {
                node.feed(until.or(node.round.lock_lasts_until()), now);
            }
            Action::WatchdogKeepalive { .. } => {}
            Action::WatchdogDisable => node.disarm(),
            Action::FenceArm { until } => {
                node.hold(until);
                node.round.fence = Some(true);
            }
            Action::Start(start_as) => {
                node.prepare(&start_as);
                node.stopped_on_purpose = false;
                let until = match start_as {
                    StartAs::Primary { still_allowed_until } => Some(still_allowed_until),
                    StartAs::Replica(_) => None,
                };
                node.start_task(TaskKind::Start, now, Work::Start { until, checked: false, ordered: false });
            }
            Action::Promote { still_allowed_until } => {
                let work = Work::Promote { until: still_allowed_until, checked: false, ordered: false };
                node.start_task(TaskKind::Promote, now, work);
            }
            Action::Follow { upstream, .. } => node.follow(&upstream),
            Action::Checkpoint => node.start_task(TaskKind::Checkpoint, now, Work::Checkpoint),
            Action::Rewind(from) => {
                node.stopped_on_purpose = true;
                node.start_task(TaskKind::Rewind, now, Work::Copy { from: member(&from), since: None, anew: false });
            }
            Action::Clone { from } => {
                node.stopped_on_purpose = true;
                let from = from.as_ref().and_then(member);
                node.start_task(TaskKind::Clone, now, Work::Copy { from, since: None, anew: true });
            }
            Action::CrashRecovery => node.start_task(TaskKind::CrashRecovery, now, Work::Recover { since: None }),
            Action::CancelTask => node.cancel_task(),
            Action::RemoveDataDir => node.postgres.wal.clear(),
            Action::SetSynchronousStandbyNames(names) => {
                (node.postgres.names, node.postgres.manages_names) = (names, true);
            }
            Action::ResetSynchronousStandbyNames => {
                (node.postgres.names, node.postgres.manages_names) = (SynchronousStandbyNames::Off, false);
            }
            Action::SyncSlots(_) | Action::ResumeReplay => {}
            other => unreachable!("no walk should come to {}", other.name()),
        }
    }

    fn write(&mut self, n: usize, name: &'static str, request: Request) -> Progress {
        let id = self.send(n, request);
        Progress::Goes(Doing::Write { name, id, until: self.now + RETRY_TIMEOUT })
    }

    fn release(&mut self, n: usize, expected: i64, status: Option<StatusRecord>) -> Progress {
        self.nodes[n].release_sent = expected;
        let id = self.send(n, Request::Release { status: status.clone(), expected });
        Progress::Goes(Doing::Release { status, id, until: self.now + RETRY_TIMEOUT })
    }

    fn look_after(&mut self, n: usize, doing: Doing) -> Progress {
        match doing {
            Doing::Lock { .. } => self.look_after_lock(n, doing),
            Doing::Release { status, id, until } => {
                let answer = self.answers.remove(&id);
                if answer.is_none() && self.now < until {
                    return Progress::Waits(Doing::Release { status, id, until });
                }
                self.give_up(id);
                match answer {
                    // It was put since we last saw it.
                    Some(Answer::Ours { mod_revision, .. }) => self.release(n, mod_revision, status),
                    // Not ours to release is as good as done.
                    Some(_) => Progress::Done,
                    None => self.written(n, "release_lock", None),
                }
            }
            Doing::Write { name, id, until } => {
                let answer = self.answers.remove(&id);
                if answer.is_none() && self.now < until {
                    return Progress::Waits(Doing::Write { name, id, until });
                }
                self.give_up(id);
                self.written(n, name, answer)
            }
            Doing::Ask { ids, is_failsafe, until } => {
                if self.now < until && !ids.keys().all(|id| self.said.contains_key(id)) {
                    return Progress::Waits(Doing::Ask { ids, is_failsafe, until });
                }
                self.collect(n, &ids, is_failsafe);
                self.hang_up(&ids);
                Progress::Done
            }
            Doing::Stop(request) => self.look_after_stop(n, request),
        }
    }

    fn written(&mut self, n: usize, name: &'static str, answer: Option<Answer>) -> Progress {
        let round = &mut self.nodes[n].round;
        let outcome = match answer {
            Some(Answer::Done(mod_revision)) => WriteOutcome::Written { mod_revision },
            Some(_) => WriteOutcome::Conflict,
            None => WriteOutcome::Unknown { reason: "no answer in time".into() },
        };
        let done = matches!(outcome, WriteOutcome::Written { .. });
        if name == "write_sync" {
            round.sync = Some(outcome);
            return Progress::Done;
        }
        if !done {
            let reason = format!("{outcome:?}");
            round.failed = Some(FailedAction { action: name.into(), reason, unknown: true });
            return Progress::Ends;
        }
        Progress::Done
    }

    fn collect(&mut self, n: usize, ids: &BTreeMap<u64, String>, is_failsafe: bool) {
        let (mut peers, mut consents) = (BTreeMap::new(), BTreeMap::new());
        for (id, name) in ids {
            match self.said.remove(id) {
                Some(Said::Status(status)) => drop(peers.insert(name.clone(), status)),
                Some(Said::Failsafe(answer)) => drop(consents.insert(name.clone(), answer)),
                None => {
                    let reason = || "no answer in time".to_owned();
                    peers.insert(name.clone(), PeerStatus::Unreachable { reason: reason() });
                    consents.insert(name.clone(), FailsafeAnswer::Unreachable { reason: reason() });
                }
            }
        }
        let round = &mut self.nodes[n].round;
        if is_failsafe {
            round.failsafe = Some(consents);
        } else {
            round.peers = Some(peers);
        }
    }

    fn inspect(&self, n: usize, upstream: &Upstream) -> LeaderInspection {
        let leader = member(upstream).filter(|leader| !self.is_cut_off[n] && !self.is_cut_off[*leader]);
        let Some(leader) = leader.filter(|leader| self.nodes[*leader].postgres.server == Server::Running) else {
            return LeaderInspection::Unreachable { reason: "it does not answer".into() };
        };
        let postgres = &self.nodes[leader].postgres;
        let (last, before) = postgres.wal.split_last().expect("a server has WAL");
        LeaderInspection::Answered {
            in_recovery: !postgres.is_primary,
            timeline: last.timeline,
            history: before.iter().map(|segment| (segment.timeline, Lsn(segment.end))).collect(),
        }
    }

    fn stop(&mut self, n: usize, request: StopRequest) -> Progress {
        let now = self.now;
        let node = &mut self.nodes[n];
        node.stopped_on_purpose = true;
        if request.early_release.is_some() {
            node.start_task(TaskKind::Demote, now, Work::Demote { request, ordered: false });
            return Progress::Done;
        }
        match request.mode {
            StopMode::Fast => node.postgres.stop_fast(now),
            StopMode::Immediate => node.postgres.kill(),
        }
        Progress::Goes(Doing::Stop(request))
    }

    fn look_after_stop(&mut self, n: usize, request: StopRequest) -> Progress {
        let now = self.now;
        match self.nodes[n].stopped(&request, now) {
            true => Progress::Done,
            false => Progress::Waits(Doing::Stop(request)),
        }
    }
}

/// Which node an upstream is.
fn member(upstream: &Upstream) -> Option<usize> {
    match upstream {
        Upstream::Member { name, .. } => NAMES.iter().position(|known| known == name),
        _ => None,
    }
}

impl super::node::Node {
    /// Whether it is down; past the time that was given to a clean shutdown it is made to be.
    pub fn stopped(&mut self, request: &StopRequest, now: Ms) -> bool {
        if self.postgres.server != Server::Absent && request.escalate_at.is_some_and(|at| self.clock(now) >= at) {
            self.postgres.kill();
        }
        let is_down = self.postgres.server == Server::Absent;
        if is_down {
            self.claim = None;
            if request.watchdog_off_at_safepoint {
                self.disarm();
            }
        }
        is_down
    }

    fn prepare(&mut self, start_as: &StartAs) {
        let StartAs::Replica(upstream) = start_as else {
            (self.postgres.has_standby_signal, self.postgres.follows) = (false, None);
            return;
        };
        self.postgres.has_standby_signal = true;
        if self.config.is_synchronous() {
            (self.postgres.names, self.postgres.manages_names) = (SynchronousStandbyNames::Off, false);
        }
        self.follow(upstream);
    }

    fn follow(&mut self, upstream: &Upstream) {
        if *upstream != Upstream::Unchanged {
            self.postgres.follows = member(upstream);
        }
    }
}
