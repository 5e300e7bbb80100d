//! A node: its clock, its PostgreSQL, what guards it, and the agent's state between two steps.

use std::collections::VecDeque;
use std::time::Duration;

use pgdrill_ha::decision::{Action, Then};
use pgdrill_ha::view::{
    ClusterView, FailsafePing, FenceView, LocalView, PostgresView, Round, TaskKind, TaskProgress, TaskView,
    WatchdogView,
};
use pgdrill_ha::{Config, Memory, Monotonic};

use super::act::Doing;
use super::postgres::Postgres;
use super::task::Task;
use super::{Guard, Ms, NAMES, TTL};
use crate::fixture::scene;

/// Where the loop stands in its cycle. Each change of it is a step, after which the node can be frozen.
#[derive(Debug, Clone)]
pub enum Place {
    Asleep {
        until: Ms,
    },
    Reading {
        id: u64,
        until: Ms,
    },
    Looking,
    /// PostgreSQL was looked at; the view of the rest comes next.
    Viewing,
    Deciding(Box<LocalView>),
    Acting {
        left: VecDeque<Action>,
        then: Then,
        doing: Option<Doing>,
    },
    /// Writing the member key; without a lease, one is granted first.
    Ending {
        id: u64,
        until: Ms,
        lease: Option<i64>,
        keep: bool,
    },
}

/// How a node stands still.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Still {
    /// The process gets no time: neither the loop, its tasks nor the REST API.
    Frozen,
    /// The loop waits for something; tasks and the REST API go on.
    Stalled,
}

/// What the agent's REST API knows: the latest decision's views and memory.
#[derive(Debug, Clone)]
pub struct Published {
    pub local: LocalView,
    pub memory: Memory,
}

#[derive(Debug, Clone)]
pub struct Node {
    pub number: usize,
    /// Parts in a million by which its clock is fast.
    pub drift: i64,
    pub config: Config,
    pub memory: Memory,
    pub postgres: Postgres,
    pub place: Place,
    pub view: ClusterView,
    pub seen: PostgresView,
    pub round: Round,
    pub rounds: u32,
    pub task: Option<Task>,
    pub tasks: u64,
    pub stopped_on_purpose: bool,
    pub starting_since: Monotonic,
    pub lease: Option<i64>,
    /// When the lock was last seen to be ours, or put by us, and for which of these revisions a release was sent.
    pub lock_revision: i64,
    pub release_sent: i64,
    pub ping: Option<FailsafePing>,
    pub published: Option<Published>,
    /// Until when it calls itself leader, by its own clock.
    pub claim: Option<Monotonic>,
    /// What the dead-man process holds, and whether it has acted upon it.
    pub fence: Option<Monotonic>,
    pub fence_is_spent: bool,
    /// When the watchdog fires.
    pub watchdog: Option<Monotonic>,
    pub still: Option<Still>,
    /// Stands still after so many steps of its loop and its tasks.
    pub still_after: Option<(Still, u32)>,
    pub is_woken: bool,
    pub cycle_began: Ms,
    pub next_run: Ms,
    pub wakes_at: Ms,
    /// It stood still, or waited for an answer, when the end of its leadership passed, and has not come to a decision and to its
    /// end since.
    pub is_late: bool,
    /// It has come to a decision since it last stood still.
    pub has_decided: bool,
    /// After a reset of the machine, the agent is started then.
    pub boots_at: Option<Ms>,
}

impl Node {
    pub fn new(number: usize, config: Config, drift: i64) -> Self {
        Node {
            number,
            drift,
            config,
            memory: Memory::default(),
            postgres: Postgres::new(number == 0),
            place: Place::Asleep { until: 0 },
            view: ClusterView::Unreachable { reason: "never read".into() },
            seen: PostgresView::default(),
            round: Round::default(),
            rounds: 0,
            task: None,
            tasks: 0,
            stopped_on_purpose: true,
            starting_since: Monotonic::default(),
            lease: None,
            lock_revision: 0,
            release_sent: 0,
            ping: None,
            published: None,
            claim: None,
            fence: None,
            fence_is_spent: false,
            watchdog: None,
            still: None,
            still_after: None,
            is_woken: false,
            cycle_began: 0,
            next_run: 0,
            wakes_at: 0,
            is_late: false,
            has_decided: true,
            boots_at: None,
        }
    }

    /// The machine was reset: the agent begins anew, PostgreSQL is down. Its word of before is forgotten.
    pub fn reset(&mut self, now: Ms) {
        self.postgres.kill();
        let postgres = self.postgres.clone();
        *self =
            Node { postgres, boots_at: Some(now + 5000), ..Node::new(self.number, self.config.clone(), self.drift) };
        self.place = Place::Asleep { until: now + 5000 };
        self.next_run = now + 5000;
    }

    /// Whether a release that was sent for the lock as it is now may still arrive.
    pub fn may_be_released(&self) -> bool {
        self.release_sent != 0 && self.release_sent >= self.lock_revision
    }

    /// A moment on its own clock.
    pub fn clock(&self, now: Ms) -> Monotonic {
        let fast = i64::try_from(now).expect("walks are short") * self.drift / 1_000_000;
        Monotonic(Duration::from_millis(now.saturating_add_signed(fast)))
    }

    pub fn is_frozen(&self) -> bool {
        self.still == Some(Still::Frozen) || self.boots_at.is_some()
    }

    /// The end of its leadership has passed while it does something else, or nothing.
    pub fn notice_end(&mut self, now: Ms) {
        let over = self.memory.leadership_deadline().is_none_or(|until| self.clock(now) >= until);
        let occupied = self.still.is_some() || !matches!(self.place, Place::Asleep { .. });
        self.is_late &= over;
        if over && occupied && !self.is_late {
            (self.is_late, self.has_decided) = (true, false);
        }
    }

    pub fn stand_still(&mut self, still: Still) {
        (self.still, self.has_decided) = (Some(still), false);
    }

    /// Whether it calls itself leader.
    pub fn claims(&self, now: Ms) -> bool {
        self.claim.is_some_and(|until| self.clock(now) < until)
    }

    /// A copy of PostgreSQL as the agent sees it; what its standbys have is the world's to add.
    pub fn look(&mut self, now: Ms) -> PostgresView {
        let view = self.postgres.view(self.stopped_on_purpose, self.starting_since);
        if !matches!(view.process, pgdrill_ha::view::Process::Starting { .. }) {
            self.starting_since = self.clock(now);
        }
        if !view.is_absent() {
            self.stopped_on_purpose = false;
        }
        view
    }

    pub fn local_view(&self) -> LocalView {
        let base = scene(NAMES[self.number]).local;
        LocalView {
            postgres: self.seen.clone(),
            task: self.task.as_ref().map(Task::view),
            watchdog: WatchdogView { is_active: self.watchdog.is_some(), is_outdated: false, is_usable: true },
            fence: FenceView { is_armed: self.fence.is_some(), is_usable: true },
            failsafe_ping: self.ping.clone(),
            round: self.round.clone(),
            ..base
        }
    }

    /// Starts a task in place of the one before.
    pub fn start_task(&mut self, kind: TaskKind, now: Ms, work: super::task::Work) {
        self.tasks += 1;
        let progress = TaskProgress::Running { past_point_of_no_return: false };
        let view = TaskView { id: self.tasks, kind, started: self.clock(now), progress };
        self.task = Some(Task { view, work, outcome: None, is_shown: false });
    }

    /// Keeps the watchdog alive for its full time-out, ttl less the `safety_margin`, or until the end of the leadership if that is
    /// earlier; in whole seconds.
    pub fn feed(&mut self, until: Option<Monotonic>, now: Ms) {
        let clock = self.clock(now);
        let left = until.map_or(0, |until| until.since(clock).as_secs());
        if left > 0 {
            self.watchdog = Some(clock + Duration::from_millis(TTL - 5000).min(Duration::from_secs(left)));
        }
    }

    /// Neither the dead-man process nor the watchdog may act any more.
    pub fn disarm(&mut self) {
        (self.fence, self.watchdog) = (None, None);
    }

    /// Hands the dead-man process a later end of the leadership (`Fencing::extend`).
    pub fn extend_fence(&mut self) {
        let deadline = self.memory.leadership_deadline();
        if let (Some(held), Some(deadline)) = (self.fence, deadline)
            && deadline > held
        {
            self.hold(deadline);
        }
    }

    pub fn hold(&mut self, until: Monotonic) {
        (self.fence, self.fence_is_spent) = (Some(until), false);
    }

    /// What guards it acts: the dead-man process stops PostgreSQL, the watchdog resets the machine. What it has done.
    pub fn guard(&mut self, guard: Guard, now: Ms) -> Option<&'static str> {
        let clock = self.clock(now);
        match guard {
            Guard::Fence if !self.fence_is_spent && self.fence.is_some_and(|until| clock >= until) => {
                self.fence_is_spent = true;
                let ran = self.postgres.server != super::postgres::Server::Absent;
                self.postgres.kill();
                ran.then_some("the dead-man process stops PostgreSQL")
            }
            Guard::Watchdog => {
                let fires = self.watchdog.is_some_and(|at| clock >= at);
                if fires {
                    self.reset(now);
                }
                fires.then_some("the watchdog resets the machine")
            }
            _ => None,
        }
    }

    /// Takes a deadline from the dead-man process that nobody would replace any more (`Fencing::tend`).
    pub fn tend_fence(&mut self, now: Ms) {
        use pgdrill_ha::view::{PostgresRole::Replica, Process::Running};
        let harmless = self.seen.is_absent() || (self.seen.process == Running && self.seen.role == Replica);
        let busy = self.task.as_ref().is_some_and(Task::is_busy);
        if harmless && !busy && !self.memory.may_lead(self.clock(now)) {
            self.fence = None;
        }
    }
}
