//! What runs beside the loop, in the same process: one task at a time (`daemon::task`, `daemon::lifecycle`).

use pgdrill_ha::Monotonic;
use pgdrill_ha::decision::StopRequest;
use pgdrill_ha::view::{DbState, TaskKind, TaskProgress, TaskView};

use super::node::Node;
use super::postgres::Server;
use super::world::World;
use super::{Ms, NAMES};

/// How long a copy, a rewind or a recovery takes.
const LONG: Ms = 2000;

#[derive(Debug, Clone)]
pub struct Task {
    pub view: TaskView,
    pub work: Work,
    pub outcome: Option<Result<(), String>>,
    /// The cycle that reports its end has begun.
    pub is_shown: bool,
}

#[derive(Debug, Clone)]
pub enum Work {
    Start {
        until: Option<Monotonic>,
        checked: bool,
        ordered: bool,
    },
    Promote {
        until: Monotonic,
        checked: bool,
        ordered: bool,
    },
    Demote {
        request: StopRequest,
        ordered: bool,
    },
    /// `pg_rewind`, or a new copy.
    Copy {
        from: Option<usize>,
        since: Option<Ms>,
        anew: bool,
    },
    Recover {
        since: Option<Ms>,
    },
    Checkpoint,
}

impl Task {
    pub fn view(&self) -> TaskView {
        let past_point_of_no_return = matches!(self.work, Work::Promote { ordered: true, .. });
        let progress = match &self.outcome {
            Some(outcome) if self.is_shown => match outcome {
                Ok(()) => TaskProgress::Done,
                Err(reason) => TaskProgress::Failed { reason: reason.clone() },
            },
            _ => TaskProgress::Running { past_point_of_no_return },
        };
        TaskView { progress, ..self.view.clone() }
    }

    pub fn is_busy(&self) -> bool {
        !self.is_shown && self.view.kind != TaskKind::Checkpoint
    }

    pub fn is_promoting(&self) -> bool {
        self.view.kind == TaskKind::Promote
    }

    /// No task asks etcd for anything.
    pub fn awaits(&self, _: u64) -> bool {
        false
    }
}

/// What came of looking after a task; `None`: nothing now.
type Step = Option<Option<Result<(), String>>>;

const MOVED: Step = Some(None);

fn ends(outcome: Result<(), &str>) -> Step {
    Some(Some(outcome.map_err(str::to_owned)))
}

impl World {
    /// One step of the node's task. Whether there was one to be taken now.
    pub fn work(&mut self, n: usize) -> bool {
        let Some(mut task) = self.nodes[n].task.take_if(|task| task.outcome.is_none()) else { return false };
        let step = match &mut task.work {
            Work::Promote { until, checked, ordered } => self.promote(n, *until, checked, ordered),
            Work::Copy { from, since, anew } => self.copy(n, *from, since, *anew),
            Work::Start { until, checked, ordered } => self.nodes[n].start(self.now, *until, checked, ordered),
            Work::Demote { request, ordered } => self.nodes[n].demote(request, self.now, ordered),
            Work::Recover { since } => self.nodes[n].recover(self.now, since),
            Work::Checkpoint => ends(Ok(())),
        };
        let node = &mut self.nodes[n];
        if let Some(Some(outcome)) = &step {
            task.outcome = Some(outcome.clone());
            let gives_up = task.view.kind == TaskKind::Demote;
            node.is_woken |= outcome.is_ok() || gives_up;
        }
        let kind = task.view.kind;
        node.task = Some(task);
        if let Some(Some(outcome)) = &step {
            self.tell(|| format!("{}: {kind} ends: {outcome:?}", NAMES[n]));
        }
        step.is_some()
    }

    /// Between the look at the deadline and the order the process may be frozen.
    fn promote(&mut self, n: usize, until: Monotonic, checked: &mut bool, ordered: &mut bool) -> Step {
        let now = self.now;
        if !*checked {
            if self.nodes[n].clock(now) >= until {
                return ends(Err("the leader lock ended before the promotion began"));
            }
            self.judge_promotion(n);
            *checked = true;
            return MOVED;
        }
        let node = &mut self.nodes[n];
        if !*ordered {
            *ordered = true;
            return if node.postgres.promote(now) { MOVED } else { ends(Err("nobody to promote")) };
        }
        match node.postgres.server {
            Server::Running if node.postgres.is_primary => ends(Ok(())),
            Server::Absent => ends(Err("PostgreSQL ended during its promotion")),
            _ => None,
        }
    }

    fn copy(&mut self, n: usize, from: Option<usize>, since: &mut Option<Ms>, anew: bool) -> Step {
        let now = self.now;
        let postgres = &mut self.nodes[n].postgres;
        match since {
            None => {
                postgres.stop_fast(now);
                *since = Some(now);
                return MOVED;
            }
            Some(since) if postgres.server != Server::Absent || now < *since + LONG => return None,
            Some(_) => {}
        }
        let reaches = |m: &usize| !self.is_cut_off[n] && !self.is_cut_off[*m];
        let source = from.filter(reaches).map(|from| &self.nodes[from].postgres);
        let Some(wal) = source.filter(|source| source.server == Server::Running).map(|source| source.wal.clone())
        else {
            return ends(Err("the source does not answer"));
        };
        let postgres = &mut self.nodes[n].postgres;
        postgres.copy(&wal);
        postgres.has_backup_label = anew;
        ends(Ok(()))
    }
}

impl Node {
    fn start(&mut self, now: Ms, until: Option<Monotonic>, checked: &mut bool, ordered: &mut bool) -> Step {
        let is_over = until.is_some_and(|until| self.clock(now) >= until);
        if !*checked {
            *checked = true;
            return if is_over { ends(Err("the leader lock ended before the start began")) } else { MOVED };
        }
        if !*ordered {
            *ordered = true;
            self.postgres.start(now);
            if is_over {
                self.postgres.kill();
                return ends(Err("the leader lock ended during the start"));
            }
            return MOVED;
        }
        match self.postgres.server {
            Server::Running => ends(Ok(())),
            Server::Absent => ends(Err("PostgreSQL ended while it was starting")),
            _ => None,
        }
    }

    fn demote(&mut self, request: &StopRequest, now: Ms, ordered: &mut bool) -> Step {
        if !*ordered {
            *ordered = true;
            self.postgres.stop_fast(now);
            return MOVED;
        }
        if self.stopped(request, now) { ends(Ok(())) } else { None }
    }

    fn recover(&mut self, now: Ms, since: &mut Option<Ms>) -> Step {
        match since {
            None => *since = Some(now),
            Some(since) if now < *since + LONG => return None,
            Some(_) => {
                self.postgres.state = DbState::ShutDown;
                return ends(Ok(()));
            }
        }
        MOVED
    }

    pub fn cancel_task(&mut self) {
        let Some(task) = self.task.as_mut().filter(|task| task.outcome.is_none()) else { return };
        task.outcome = Some(Err("cancelled".into()));
        self.is_woken = true;
        if task.view.kind == TaskKind::Start {
            self.stopped_on_purpose = true;
            self.postgres.kill();
            self.claim = None;
        }
    }
}
