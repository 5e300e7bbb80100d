//! Time, and everything that goes by it: guards, leases, servers.

use std::collections::BTreeMap;

use pgdrill_ha::Config;
use pgdrill_ha::config::{FencingMode, SynchronousMode, WatchdogMode};
use pgdrill_ha::records::SyncRecord;
use pgdrill_ha::view::Versioned;

use super::dcs::{Answer, Etcd, Lock, Request};
use super::event::Event;
use super::judge::{Judge, Violation};
use super::link::{Call, Link, Said, Sent};
use super::node::Node;
use super::postgres::Server;
use super::{Guard, Ms, NAMES, QUANTUM, name};
use crate::fixture::scene;

/// More steps in one quantum than any node can have to do.
const MAX_STEPS: u32 = 2000;

/// What a walk is walked with.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    pub nodes: usize,
    pub failsafe: bool,
    pub mode: SynchronousMode,
    pub strict: bool,
    pub guard: Guard,
    /// Parts in a million by which the second node's clock is fast and the first one's slow.
    pub drift: i64,
}

impl Settings {
    pub const PLAIN: Settings = Settings {
        nodes: 3,
        failsafe: false,
        mode: SynchronousMode::Off,
        strict: false,
        guard: Guard::Fence,
        drift: 0,
    };

    pub fn config(&self) -> Config {
        Config {
            failsafe_mode: self.failsafe,
            synchronous_mode: self.mode,
            synchronous_mode_strict: self.strict,
            fencing: if self.guard == Guard::Fence { FencingMode::Required } else { FencingMode::Off },
            watchdog: if self.guard == Guard::Watchdog { WatchdogMode::Required } else { WatchdogMode::Off },
            use_slots: false,
            use_pg_rewind: true,
            remove_data_directory_on_diverged_timelines: true,
            ..Config::default()
        }
    }
}

#[derive(Debug, Clone)]
pub struct World {
    pub settings: Settings,
    pub now: Ms,
    pub etcd: Etcd,
    pub nodes: Vec<Node>,
    /// From each node to etcd.
    pub links: [Link; 3],
    /// From each node to each other's REST API.
    pub rest: [[Link; 3]; 3],
    /// No WAL goes to and from it.
    pub is_cut_off: [bool; 3],
    pub sent: Vec<Sent>,
    pub answers: BTreeMap<u64, Answer>,
    pub calls: Vec<Call>,
    pub said: BTreeMap<u64, Said>,
    pub ids: u64,
    /// Decisions are taken again when a word was given meanwhile, as the agent does.
    pub minds_its_word: bool,
    pub judge: Judge,
    /// What happened, for people; `None`: nobody reads it.
    pub log: Option<Vec<String>>,
}

impl World {
    /// The first node leads, the others follow; the agents have just been started.
    pub fn new(settings: Settings) -> Self {
        let sync = match settings.mode {
            SynchronousMode::Off => Versioned::default(),
            _ => Versioned::new(SyncRecord::only(NAMES[0]), 5),
        };
        let drifts = [-settings.drift, settings.drift, 0];
        let nodes = (0..settings.nodes).map(|n| Node::new(n, settings.config(), drifts[n])).collect();
        let mut world = World {
            settings,
            now: 0,
            etcd: Etcd::new(sync),
            nodes,
            links: [Link::Open; 3],
            rest: [[Link::Open; 3]; 3],
            is_cut_off: [false; 3],
            sent: Vec::new(),
            answers: BTreeMap::new(),
            calls: Vec::new(),
            said: BTreeMap::new(),
            ids: 0,
            minds_its_word: true,
            judge: Judge::default(),
            log: None,
        };
        for n in 0..settings.nodes {
            let Answer::Granted(lease) = world.etcd.execute(n, &Request::Grant, 0) else { unreachable!("a lease") };
            world.nodes[n].lease = Some(lease);
            if n == 0 {
                world.etcd.lock = Some(Lock { holder: 0, lease, mod_revision: world.etcd.revision });
            }
            let record = Box::new(scene(name(n)).cluster.members[name(n)].clone());
            world.etcd.execute(n, &Request::Touch { lease, keep: true, record }, 0);
        }
        world.pass(24_000);
        world
    }

    pub fn tell(&mut self, line: impl FnOnce() -> String) {
        if let Some(log) = &mut self.log {
            log.push(format!("{:>8.2} s  {}", self.now as f64 / 1000.0, line()));
        }
    }

    /// Lets the time go on.
    pub fn pass(&mut self, time: Ms) {
        let end = self.now + time;
        while self.now < end && self.judge.violation.is_none() {
            self.now += QUANTUM;
            self.guards_and_leases();
            self.write_and_stream();
            self.servers();
            self.settle();
        }
    }

    /// An event, and what the nodes make of it at once.
    pub fn play(&mut self, event: &Event) {
        self.tell(|| format!("--- {event}"));
        self.apply(event);
        self.settle();
    }

    fn guards_and_leases(&mut self) {
        for n in 0..self.nodes.len() {
            let now = self.now;
            let guard = self.settings.guard;
            if let Some(what) = self.nodes[n].guard(guard, now) {
                self.tell(|| format!("{}: {what}", name(n)));
                self.nodes[n].is_woken = true;
            }
            let node = &mut self.nodes[n];
            if node.boots_at.is_some_and(|at| now >= at) {
                node.boots_at = None;
            }
            node.notice_end(now);
        }
        let before = self.etcd.lock.clone();
        self.etcd.expire(self.now);
        if self.etcd.lock != before {
            self.tell(|| "the lock's lease has expired".to_owned());
            self.wake_watchers();
        }
        self.judge();
    }

    fn servers(&mut self) {
        for n in 0..self.nodes.len() {
            let author = self.judge.authors + 1;
            let now = self.now;
            let node = &mut self.nodes[n];
            let (before, was_writable) = (node.postgres.server, node.postgres.may_write());
            if node.postgres.pass(now, author) {
                self.judge.authors = author;
                self.tell(|| format!("{}: PostgreSQL is promoted", name(n)));
            }
            let node = &mut self.nodes[n];
            if node.postgres.may_write() && !was_writable {
                self.judge_new_primary(n);
            }
            let node = &mut self.nodes[n];
            node.is_woken |= node.postgres.server == Server::Absent && before != Server::Absent;
        }
        self.judge();
    }

    /// Everybody does what can be done without any time going by.
    pub fn settle(&mut self) {
        for _ in 0..MAX_STEPS {
            let mut moved = false;
            for n in 0..self.nodes.len() {
                if self.judge.violation.is_some() {
                    return;
                }
                moved |= self.turn(n);
                self.judge();
            }
            moved |= self.answer_calls();
            if !moved {
                return;
            }
        }
        self.judge.found(Violation::NoRest);
    }

    /// Everything that was hostile is over.
    pub fn heal(&mut self) {
        self.etcd.is_lazy = false;
        (self.rest, self.is_cut_off) = ([[Link::Open; 3]; 3], [false; 3]);
        for n in 0..self.nodes.len() {
            let node = &mut self.nodes[n];
            (node.still, node.still_after, node.postgres.is_slow) = (None, None, false);
            self.set_link(n, Link::Open);
        }
        self.settle();
    }

    fn apply(&mut self, event: &Event) {
        match *event {
            Event::Pass(seconds) => self.pass(seconds * 1000),
            Event::Link(n, link) => self.set_link(n, link),
            Event::Etcd(link) => (0..self.nodes.len()).for_each(|n| self.set_link(n, link)),
            Event::Deliver(n) => drop(self.deliver(n)),
            Event::Rest(from, to, link) => self.rest[from][to] = link,
            Event::CutOff(n, is_cut_off) => self.is_cut_off[n] = is_cut_off,
            Event::Still(n, still, 0) => self.nodes[n].stand_still(still),
            Event::Still(n, still, after) => self.nodes[n].still_after = Some((still, after)),
            Event::GoOn(n) => (self.nodes[n].still, self.nodes[n].still_after) = (None, None),
            Event::Crash(n) => {
                self.nodes[n].postgres.kill();
                self.nodes[n].is_woken = true;
            }
            Event::Slow(n, is_slow) => self.nodes[n].postgres.is_slow = is_slow,
            Event::Lazy(is_lazy) => self.etcd.is_lazy = is_lazy,
            Event::Switchover(to) => {
                let Some(lock) = self.etcd.lock.as_ref() else { return };
                let leader = Some(NAMES[lock.holder].to_owned());
                self.ask_for(leader, to);
            }
            Event::Failover(to) => {
                self.judge.is_at_own_risk = true;
                self.ask_for(None, to);
            }
        }
    }

    fn ask_for(&mut self, leader: Option<String>, to: usize) {
        let candidate = Some(NAMES[to].to_owned());
        self.etcd.ask_for(pgdrill_ha::records::FailoverRecord { leader, candidate, scheduled_at: None });
        self.wake_watchers();
    }
}

impl World {
    pub fn primaries(&self) -> Vec<&'static str> {
        let writable = self.nodes.iter().filter(|node| node.postgres.may_write());
        writable.map(|node| NAMES[node.number]).collect()
    }
}
