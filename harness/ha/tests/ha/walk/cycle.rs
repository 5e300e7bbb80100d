//! One node's loop in steps, as the agent's `daemon::cycle` goes through them.

use std::mem;

use pgdrill_ha::decide;
use pgdrill_ha::decision::{Decision, Then};
use pgdrill_ha::records::{MemberRecord, MemberRole, MemberState};
use pgdrill_ha::view::{ClusterView, LocalView, LockOutcome};

use super::dcs::{Answer, Request};
use super::judge::Violation;
use super::node::{Place, Published};
use super::world::World;
use super::{LOOP_WAIT, Ms, NAMES, RETRY_TIMEOUT};
use crate::fixture::scene;

/// More rounds than any sequence of questions has.
const MAX_ROUNDS: u32 = 24;

impl World {
    /// The node's next step, of its task or of its loop. Whether there was one to be taken now.
    pub fn turn(&mut self, n: usize) -> bool {
        if self.nodes[n].is_frozen() {
            return false;
        }
        let moved = self.work(n) || (self.nodes[n].still.is_none() && self.step(n));
        let node = &mut self.nodes[n];
        if let Some((still, left)) = node.still_after.filter(|_| moved) {
            node.still_after = (left > 1).then(|| (still, left - 1));
            if left <= 1 {
                node.stand_still(still);
                self.tell(|| format!("{}: {still:?} now", NAMES[n]));
            }
        }
        moved
    }

    fn step(&mut self, n: usize) -> bool {
        let idle = Place::Asleep { until: Ms::MAX };
        match mem::replace(&mut self.nodes[n].place, idle) {
            Place::Asleep { until } => {
                let node = &self.nodes[n];
                let is_woken = node.is_woken && self.now > node.cycle_began;
                if self.now < until && !is_woken {
                    return self.stay(n, Place::Asleep { until });
                }
                self.begin_cycle(n);
            }
            Place::Reading { id, until } => {
                let view = match self.answers.remove(&id) {
                    Some(Answer::Cluster(cluster)) => ClusterView::Known(*cluster),
                    Some(answer) => unreachable!("a read was answered by {answer:?}"),
                    None if self.now >= until => ClusterView::Unreachable { reason: "no answer in time".into() },
                    None => return self.stay(n, Place::Reading { id, until }),
                };
                self.give_up(id);
                if let ClusterView::Known(cluster) = &view
                    && let Some(leader) = cluster.leader.as_ref().filter(|leader| leader.name == NAMES[n])
                {
                    self.nodes[n].lock_revision = leader.mod_revision;
                }
                (self.nodes[n].view, self.nodes[n].place) = (view, Place::Looking);
            }
            Place::Looking => {
                let mut seen = self.nodes[n].look(self.now);
                seen.standbys = self.standbys_of(n);
                let node = &mut self.nodes[n];
                node.seen = seen;
                if node.rounds == 0 {
                    node.tend_fence(self.now);
                }
                node.place = Place::Viewing;
            }
            Place::Viewing => self.nodes[n].place = Place::Deciding(Box::new(self.nodes[n].local_view())),
            Place::Deciding(local) => self.decide(n, *local),
            Place::Acting { left, then, doing } => return self.act(n, left, then, doing),
            Place::Ending { id, until, lease, keep } => return self.end_cycle(n, id, until, lease, keep),
        }
        true
    }

    pub fn stay(&mut self, n: usize, place: Place) -> bool {
        self.nodes[n].place = place;
        false
    }

    fn begin_cycle(&mut self, n: usize) {
        let id = self.send(n, Request::Read);
        let now = self.now;
        let node = &mut self.nodes[n];
        (node.cycle_began, node.is_woken, node.rounds) = (now, false, 0);
        node.next_run = node.next_run.min(now);
        node.round = Default::default();
        match &mut node.task {
            Some(task) if task.is_shown => node.task = None,
            Some(task) => task.is_shown = task.outcome.is_some(),
            None => {}
        }
        node.place = Place::Reading { id, until: now + RETRY_TIMEOUT };
    }

    fn decide(&mut self, n: usize, local: LocalView) {
        let now = self.now;
        let node = &mut self.nodes[n];
        (node.rounds, node.has_decided) = (node.rounds + 1, true);
        let (before, clock) = (node.memory.clone(), node.clock(now));
        let decision = decide(&node.view, &local, &node.config, &mut node.memory, clock);
        node.claim = node.memory.claimed_until();
        node.published = Some(Published { local: local.clone(), memory: node.memory.clone() });
        // `has_given_its_word_since`
        if self.minds_its_word && node.ping != local.failsafe_ping {
            // In the same moment: nobody has time to ask for what was published meanwhile.
            node.memory = before;
            let local = node.local_view();
            return self.decide(n, local);
        }
        node.extend_fence();
        node.round.failed = None;
        let rounds = node.rounds;
        self.tell_decision(n, &decision);
        if rounds > MAX_ROUNDS {
            self.judge.found(Violation::Circles { node: n, reason: decision.reason.to_string() });
        }
        let Decision { actions, then, .. } = decision;
        self.nodes[n].place = Place::Acting { left: actions.into(), then, doing: None };
    }

    fn tell_decision(&mut self, n: usize, decision: &Decision) {
        let names: Vec<_> = decision.actions.iter().map(pgdrill_ha::Action::name).collect();
        self.tell(|| format!("{}: {} {names:?}", NAMES[n], decision.reason));
    }

    /// What comes after the actions.
    pub fn go_on(&mut self, n: usize, then: Then) {
        match then {
            Then::DecideAgain => self.nodes[n].place = Place::Viewing,
            Then::ObserveAgain => {
                let id = self.send(n, Request::Read);
                self.nodes[n].place = Place::Reading { id, until: self.now + RETRY_TIMEOUT };
            }
            Then::Sleep { at_most } => {
                let node = &mut self.nodes[n];
                let now = self.now;
                node.is_late &= !node.has_decided;
                node.next_run = (node.next_run + LOOP_WAIT).max(now);
                let at_most = at_most.map_or(Ms::MAX, |most| now + most.as_millis() as Ms);
                let regular = node.next_run + if node.memory.may_lead(node.clock(now)) { 0 } else { 500 };
                node.wakes_at = regular.min(at_most);
                self.write_member(n);
            }
            Then::Exit => self.judge.found(Violation::Exits { node: n }),
        }
    }

    /// The end of a cycle that could read the DCS (`touch_member`): nobody keeps the lease of a lock alive that was not renewed.
    fn write_member(&mut self, n: usize) {
        let node = &self.nodes[n];
        let ClusterView::Known(cluster) = &node.view else {
            self.nodes[n].place = Place::Asleep { until: self.nodes[n].wakes_at };
            return;
        };
        let renewed = matches!(node.round.lock, Some(LockOutcome::Held { .. }));
        let keep = !renewed && (node.round.released || !cluster.is_leader(NAMES[n]));
        let lease = node.lease;
        if lease.is_none() && !keep {
            self.nodes[n].place = Place::Asleep { until: node.wakes_at };
            return;
        }
        self.touch(n, lease, keep);
    }

    fn touch(&mut self, n: usize, lease: Option<i64>, keep: bool) {
        let request = match lease {
            Some(lease) => Request::Touch { lease, keep, record: Box::new(self.member_record(n)) },
            None => Request::Grant,
        };
        let id = self.send(n, request);
        self.nodes[n].place = Place::Ending { id, until: self.now + RETRY_TIMEOUT, lease, keep };
    }

    fn member_record(&self, n: usize) -> MemberRecord {
        let node = &self.nodes[n];
        let seen = &node.seen;
        let promoting = node.task.as_ref().is_some_and(|task| task.is_promoting() && task.is_busy());
        let role = match (seen.is_running_primary(), promoting) {
            (_, true) => MemberRole::Promoted,
            (true, _) => MemberRole::Primary,
            _ => MemberRole::Replica,
        };
        MemberRecord {
            state: Some(if seen.is_running() { MemberState::Running } else { MemberState::Stopped }),
            role: Some(role),
            timeline: seen.timeline,
            xlog_location: seen.position(),
            ..scene(NAMES[n]).cluster.members[NAMES[n]].clone()
        }
    }

    fn end_cycle(&mut self, n: usize, id: u64, until: Ms, lease: Option<i64>, keep: bool) -> bool {
        match self.answers.remove(&id) {
            Some(Answer::Granted(lease)) => {
                self.nodes[n].lease = Some(lease);
                self.touch(n, Some(lease), keep);
                return true;
            }
            Some(Answer::Refused) => self.nodes[n].lease = None,
            Some(_) => {}
            None if self.now >= until => {}
            None => return self.stay(n, Place::Ending { id, until, lease, keep }),
        }
        self.give_up(id);
        self.nodes[n].place = Place::Asleep { until: self.nodes[n].wakes_at };
        true
    }
}

impl super::node::Node {
    /// The request that the loop waits for.
    pub fn awaited(&self) -> Option<u64> {
        match &self.place {
            Place::Reading { id, .. } | Place::Ending { id, .. } => Some(*id),
            Place::Acting { doing: Some(doing), .. } => doing.awaited(),
            _ => None,
        }
    }
}
