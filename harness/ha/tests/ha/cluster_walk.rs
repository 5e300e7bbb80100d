//! Three state machines on one perfect DCS, walked through the cycles of a failover and a switchover.
//!
//! The tables show single decisions; this shows that they lead somewhere: every action is carried out at once on a
//! toy PostgreSQL, tasks end within the cycle.

use std::collections::BTreeMap;

use pgdrill_ha::decision::{Action, Decision, StartAs, Then, Upstream};
use pgdrill_ha::records::{FailoverRecord, MemberRole};
use pgdrill_ha::view::{
    DbState, Follows, Leader, LeaderInspection, LockOutcome, PeerAnswer, PeerStatus, PostgresRole, Process, Round,
    TaskKind, TaskProgress, TaskView, Versioned, WriteOutcome,
};
use pgdrill_ha::{Config, Monotonic};

use crate::fixture::{END, Scene, control, scene};

struct Walk {
    /// By name; each has its own copy of the cluster, refreshed from `dcs` whenever it reads.
    nodes: BTreeMap<String, Scene>,
    dcs: Scene,
    now: Monotonic,
    dead: Vec<String>,
    tasks: u64,
}

impl Walk {
    fn new(change: impl Fn(&mut Config)) -> Self {
        let nodes = ["pg1", "pg2", "pg3"].map(|name| {
            let mut node = scene(name);
            change(&mut node.config);
            (name.to_owned(), node)
        });
        let dcs = scene("pg1");
        Walk { nodes: nodes.into(), now: dcs.now, dcs, dead: Vec::new(), tasks: 0 }
    }

    /// Ten seconds pass, and every living node has its cycle.
    fn cycle(&mut self) {
        self.now = self.now + std::time::Duration::from_secs(10);
        for name in ["pg1", "pg2", "pg3"] {
            if !self.dead.iter().any(|dead| dead == name) {
                self.cycle_of(name);
            }
        }
        let writable = self
            .nodes
            .iter()
            .filter(|(name, node)| !self.dead.contains(name) && node.local.postgres.is_running_primary());
        assert!(writable.count() <= 1, "two primaries");
    }

    fn cycle_of(&mut self, name: &str) {
        let mut node = self.nodes.remove(name).unwrap();
        node.now = self.now;
        node.local.round = Round::default();
        node.cluster = self.dcs.cluster.clone();
        for round in 0.. {
            assert!(round < 12, "{name} goes round in circles: {:?}", node.decide());
            let decision = node.decide();
            self.carry_out(&mut node, &decision);
            match decision.then {
                Then::DecideAgain => {}
                Then::ObserveAgain => node.cluster = self.dcs.cluster.clone(),
                Then::Sleep { .. } | Then::Exit => break,
            }
        }
        self.publish(name, &node);
        self.nodes.insert(name.to_owned(), node);
    }

    fn publish(&mut self, name: &str, node: &Scene) {
        let cluster = &mut self.dcs.cluster;
        let record =
            cluster.members.entry(name.to_owned()).or_insert_with(|| scene(name).cluster.members[name].clone());
        let primary = node.local.postgres.role == PostgresRole::Primary;
        record.role = Some(if primary { MemberRole::Primary } else { MemberRole::Replica });
        record.timeline = node.local.postgres.timeline;
        cluster.revision += 1;
    }

    fn carry_out(&mut self, node: &mut Scene, decision: &Decision) {
        // A task's outcome is reported in one cycle: the next one's rounds, here the same cycle's end.
        node.local.task = node.local.task.take().filter(|task| task.id > node.memory.task_seen);
        for action in &decision.actions {
            if !self.carry_out_one(node, action) {
                break;
            }
        }
        self.dcs.cluster.revision += 1;
    }

    /// Whether the list goes on.
    fn carry_out_one(&mut self, node: &mut Scene, action: &Action) -> bool {
        let me = node.local.name.clone();
        let cluster = &mut self.dcs.cluster;
        let postgres = &mut node.local.postgres;
        match action {
            Action::RenewLock { .. } | Action::AcquireLock { .. } => {
                let may = match action {
                    Action::RenewLock { .. } => cluster.is_leader(&me),
                    _ => cluster.is_unlocked(),
                };
                let ttl = node.config.ttl;
                let held = LockOutcome::Held { requested_at: self.now, ttl, status_revision: None };
                node.local.round.lock = Some(if may { held } else { LockOutcome::Lost });
                if may {
                    cluster.leader = Some(Leader { name: me, mod_revision: cluster.revision, lease_id: 1 });
                }
                return may;
            }
            Action::ReleaseLock { .. } => {
                cluster.leader.take_if(|leader| leader.name == me);
                node.local.round.released = true;
            }
            Action::AskPeers { peers, .. } => {
                let nodes = &self.nodes;
                let dead = &self.dead;
                let answers = peers.iter().map(|peer| {
                    let answered = nodes.get(&peer.name).filter(|_| !dead.contains(&peer.name)).map(status_of);
                    let silent = PeerStatus::Unreachable { reason: "dead".into() };
                    (peer.name.clone(), answered.map_or(silent, PeerStatus::Answered))
                });
                node.local.round.peers = Some(answers.collect());
            }
            Action::InspectLeader(_) => {
                let history = vec![(1, pgdrill_ha::Lsn(100)), (2, END)];
                let answer = LeaderInspection::Answered { in_recovery: false, timeline: 3, history };
                node.local.round.leader = Some(answer);
            }
            Action::WriteSync { record, .. } => {
                cluster.sync = Versioned::new(record.clone().unwrap_or_default(), cluster.revision);
                node.local.round.sync = Some(WriteOutcome::Written { mod_revision: cluster.revision });
            }
            Action::WriteHistory(history) => cluster.history = Some(history.clone()),
            Action::ClearFailover { .. } => cluster.failover = None,
            Action::SetSynchronousStandbyNames(setting) => {
                postgres.synchronous_standby_names = setting.clone();
                postgres.manages_standby_names = true;
            }
            Action::ResetSynchronousStandbyNames => {
                postgres.synchronous_standby_names = Default::default();
                postgres.manages_standby_names = false;
            }
            Action::Stop(stop) => {
                postgres.process = Process::Stopped;
                postgres.control = Some(control(DbState::ShutDown));
                if stop.early_release.is_some() {
                    cluster.leader = None;
                    self.task(node, TaskKind::Demote);
                }
            }
            Action::Start(StartAs::Replica(upstream)) => {
                (postgres.process, postgres.role) = (Process::Running, PostgresRole::Replica);
                (postgres.received_lsn, postgres.replayed_lsn) = (Some(END), Some(END));
                postgres.has_standby_signal = true;
                follow(node, upstream);
                self.task(node, TaskKind::Start);
            }
            Action::Follow { upstream, .. } => follow(node, upstream),
            Action::Promote { still_allowed_until } => {
                assert!(self.now < *still_allowed_until && cluster.is_leader(&me), "{me} promotes without lock");
                (postgres.role, postgres.current_lsn) = (PostgresRole::Primary, Some(END));
                postgres.timeline = postgres.timeline.map(|timeline| timeline + 1);
                postgres.follows = None;
                self.task(node, TaskKind::Promote);
            }
            _ => {}
        }
        true
    }

    fn task(&mut self, node: &mut Scene, kind: TaskKind) {
        self.tasks += 1;
        let task = TaskView { id: self.tasks, kind, started: self.now, progress: TaskProgress::Done };
        node.local.task = Some(task);
    }

    fn primaries(&self) -> Vec<&str> {
        let alive = self.nodes.iter().filter(|(name, _)| !self.dead.contains(name));
        alive.filter(|(_, node)| node.local.postgres.is_running_primary()).map(|(name, _)| name.as_str()).collect()
    }

    fn host_followed_by(&self, name: &str) -> Option<String> {
        Some(self.nodes[name].local.postgres.follows.as_ref()?.host.clone())
    }
}

fn status_of(node: &Scene) -> PeerAnswer {
    let postgres = &node.local.postgres;
    PeerAnswer {
        in_recovery: postgres.role == PostgresRole::Replica || !postgres.is_running(),
        position: postgres.position().filter(|_| postgres.is_running()).unwrap_or_default(),
        ..crate::fixture::answer(END)
    }
}

fn follow(node: &mut Scene, upstream: &Upstream) {
    if let Upstream::Member { host, port, slot, .. } = upstream {
        node.local.postgres.follows = Some(Follows { host: host.clone(), port: *port, slot: slot.clone() });
    }
}

#[test]
fn after_the_leaders_death_one_replica_leads_and_the_other_follows_it() {
    let mut walk = Walk::new(|_| {});
    (0..3).for_each(|_| walk.cycle());
    assert_eq!(walk.primaries(), ["pg1"]);
    walk.dead.push("pg1".into());
    walk.dcs.cluster.leader = None;
    walk.dcs.cluster.members.remove("pg1");
    (0..4).for_each(|_| walk.cycle());
    assert_eq!(walk.primaries(), ["pg2"]);
    assert_eq!(walk.host_followed_by("pg3").as_deref(), Some("10.0.0.2"));
    assert_eq!(walk.dcs.cluster.leader_name(), Some("pg2"));
}

#[test]
fn after_a_switchover_the_candidate_leads_and_the_others_follow_it() {
    let mut walk = Walk::new(|_| {});
    walk.cycle();
    let request = FailoverRecord { leader: Some("pg1".into()), candidate: Some("pg3".into()), scheduled_at: None };
    walk.dcs.cluster.failover = Some(Versioned::new(request, 99));
    (0..6).for_each(|_| walk.cycle());
    assert_eq!(walk.primaries(), ["pg3"]);
    for replica in ["pg1", "pg2"] {
        assert_eq!(walk.host_followed_by(replica).as_deref(), Some("10.0.0.3"), "{replica}");
    }
    assert_eq!(walk.dcs.cluster.failover, None);
}

#[test]
fn a_deleted_lock_goes_back_to_its_running_primary() {
    let mut walk = Walk::new(|_| {});
    walk.cycle();
    walk.dcs.cluster.leader = None;
    (0..3).for_each(|_| walk.cycle());
    assert_eq!(walk.primaries(), ["pg1"]);
    assert_eq!(walk.dcs.cluster.leader_name(), Some("pg1"));
}
