//! One cycle of the HA loop: observe, decide, act, in as many rounds as the decision asks for.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::Timestamp;
use pgdrill_ha::{
    Action, Config, Decision, Memory, Reason, Then, config as ha_config, decide,
    records::MemberRole,
    view::{
        ClusterView, LocalView, LockOutcome, PostgresRole, PostgresView, Process, Round, TaskKind, TaskProgress,
        WatchdogView,
    },
};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    AgentError,
    act::{Executor, unfenced},
    configure,
    fencing::Guarded,
    member::{self, Making, StateWord},
    namesake::{Name, Verdict},
    observe::Observed,
    parts::{Parts, Ports},
    pending, server_config,
    task::TaskSlot,
};
use crate::ports::{AgentEvent, Observer, Postgres, Watchdog, WatchdogState};

/// More rounds than any sequence of questions has: beyond that the decision goes round in circles.
const MAX_ROUNDS: usize = 24;

/// The loop's own state.
pub(crate) struct HaLoop<T: Ports> {
    pub parts: Arc<Parts<T>>,
    pub task: TaskSlot,
    pub memory: Memory,
    pub config: Config,
    pub observed: Observed,
    pub stopped_on_purpose: bool,
    /// The dynamic configuration in force.
    pub(super) dynamic: Value,
    pub(super) adopted: bool,
    /// In how many more cycles it is looked for what waits for a restart: the server takes its time to read its files.
    pub(super) check_pending_restart: u8,
    /// What the server will have after a restart, by its own word, as far as it was asked since its files were last read.
    pub(super) after_restart: BTreeMap<String, String>,
    /// The dynamic configuration is known: from the DCS or from an earlier life.
    pub(super) dynamic_known: bool,
    /// There has been no `/config` yet: `bootstrap.dcs` counts, which is what it is going to be made of.
    pub(super) before_config: bool,
    /// The dynamic configuration that is kept in the data directory.
    pub(super) kept: Value,
    /// An agent was here before: it has kept a dynamic configuration in the data directory.
    pub(super) was_managed: bool,
    /// The time-out and the `loop_wait` under which the watchdog was armed.
    watchdog_for: Option<(Duration, Duration)>,
    /// A server that was running before us has not yet been given our configuration.
    configure_adopted: bool,
    told: (bool, Option<MemberRole>),
    state_word: StateWord,
    /// Whether another agent runs under our name.
    pub(super) name: Name,
}

/// What comes after a cycle.
pub(crate) enum Next {
    /// Wait; `None`: until the regular time.
    Sleep(Option<Duration>),
    /// End the agent.
    Exit(String),
}

impl<T: Ports> HaLoop<T> {
    pub fn new(parts: Arc<Parts<T>>) -> Self {
        let dynamic = json!({});
        let config = ha_config::resolve(&dynamic, &configure::local_layer(&parts.config()), &Default::default());
        Self {
            task: TaskSlot::new(Arc::clone(&parts.wake)),
            memory: Memory::default(),
            config,
            observed: Observed::default(),
            stopped_on_purpose: true,
            dynamic,
            adopted: false,
            check_pending_restart: 0,
            after_restart: BTreeMap::new(),
            dynamic_known: false,
            before_config: false,
            kept: Value::Null,
            was_managed: false,
            watchdog_for: None,
            configure_adopted: false,
            told: (false, None),
            state_word: StateWord::default(),
            name: Name::default(),
            parts,
        }
    }

    /// Runs one cycle.
    pub async fn cycle(&mut self) -> Result<Next, AgentError> {
        let started = Instant::now();
        self.parts.shared.published().cycle_started = self.parts.clock.now();
        self.task.begin_cycle().await.map_err(|error| AgentError::Task(error.to_string()))?;
        if self
            .task
            .view()
            .is_some_and(|task| matches!(task.kind, TaskKind::Start | TaskKind::Restart) && !task.is_running())
        {
            // A standby may have been given higher limits than are configured. Looked at later, the task may be another one.
            self.look_for_pending_restart();
        }
        let mut view = self.read_dcs().await;
        match self.namesake(&view).await {
            Verdict::GoOn => {}
            Verdict::Wait(at_most) => return Ok(Next::Sleep(Some(at_most))),
            Verdict::Taken(why) => return Ok(Next::Exit(why)),
        }
        let mut postgres = self.look().await;
        self.tend_fence(&postgres).await;
        self.carry_out_requests(&view, &postgres).await;
        let mut round = Round::default();
        for _ in 0..MAX_ROUNDS {
            let local = self.local_view(postgres.clone(), round.clone());
            let before = self.memory.clone();
            let decision = decide(&view, &local, &self.config, &mut self.memory, self.parts.clock.now());
            self.publish(&view, &local);
            if self.has_given_its_word_since(&local) {
                // Before the REST API knew of what was decided: it is decided again, with the word that was given.
                self.memory = before;
                continue;
            }
            self.tell(&decision);
            self.extend_fence().await;
            let bootstrapped = decision.reason == Reason::Bootstrapped;
            self.act(decision.actions, &mut round).await;
            if bootstrapped {
                self.parts.callbacks.told().bootstrapping(false);
            }
            match decision.then {
                Then::DecideAgain => {}
                Then::ObserveAgain => {
                    view = self.read_dcs().await;
                    postgres = self.look().await;
                }
                Then::Sleep { at_most } => {
                    self.end_cycle(&view, &postgres, round, started).await;
                    return Ok(Next::Sleep(at_most));
                }
                Then::Exit => return Ok(Next::Exit(decision.reason.to_string())),
            }
        }
        self.parts.trouble("ha", format!("no decision after {MAX_ROUNDS} rounds"));
        Ok(Next::Sleep(None))
    }

    /// Whether a leader without DCS was told that it may go on, after this view was taken and before the decision was published.
    /// From then on the REST API judges by the decision: see `rest::operations`.
    fn has_given_its_word_since(&self, local: &LocalView) -> bool {
        *self.parts.shared.failsafe_ping() != local.failsafe_ping
    }

    /// Looks after the dead-man process, and takes a deadline from it that nobody will replace.
    async fn tend_fence(&mut self, postgres: &PostgresView) {
        let guarded = match (postgres.process, postgres.role) {
            _ if postgres.is_absent() => Guarded::Absent,
            (Process::Running, PostgresRole::Replica) => Guarded::Replica,
            _ => Guarded::MayWrite,
        };
        let settled = !self.task.is_busy() && !self.memory.may_lead(self.parts.clock.now());
        if let Err(error) = self.parts.fencing.tend(guarded, settled, self.config.paused).await {
            self.parts.trouble("fencing", error);
        }
    }

    /// The decision has taken notice of how the lock was renewed: the dead-man process gets the new end of our leadership.
    async fn extend_fence(&mut self) {
        let Some(deadline) = self.memory.leadership_deadline() else { return };
        if let Err(error) = self.parts.fencing.extend(self.parts.clock.instant(deadline)).await {
            self.parts.trouble("fencing", unfenced(&error));
        }
    }

    async fn act(&mut self, actions: Vec<Action>, round: &mut Round) {
        let stopped_on_purpose = &mut self.stopped_on_purpose;
        Executor { parts: &self.parts, task: &mut self.task, stopped_on_purpose }.run(actions, round).await;
        if round.watchdog == Some(true) {
            self.watchdog_for = Some(self.watchdog_timing());
        }
        if let Some(failed) = &round.failed {
            self.parts.trouble("ha", format!("{}: {}", failed.action, failed.reason));
        }
    }

    /// What the timings in force ask of the watchdog: its time-out, and the `loop_wait` that must fit into it.
    fn watchdog_timing(&self) -> (Duration, Duration) {
        (self.parts.config().watchdog.timeout(self.config.ttl), self.config.loop_wait)
    }

    async fn read_dcs(&mut self) -> ClusterView {
        match self.parts.dcs.load().await {
            Ok(cluster) => {
                if std::mem::take(&mut self.parts.shared.published().dcs_unreachable) {
                    let text = "etcd answers again".into();
                    self.parts.observer.event(AgentEvent::Recovered { source: "dcs", text });
                }
                self.parts.shared.published().dcs_read = Some(self.parts.clock.now());
                self.take_dynamic(&cluster).await;
                self.limit_margin();
                self.keep_feedback(&cluster).await;
                ClusterView::Known(cluster)
            }
            Err(error) => {
                self.parts.trouble("dcs", &error);
                ClusterView::Unreachable { reason: error.to_string() }
            }
        }
    }

    pub(super) async fn look(&mut self) -> PostgresView {
        let mut view = self.observed.look(&self.parts, self.stopped_on_purpose).await;
        view.was_managed = self.was_managed;
        if let (false, Some(server)) = (self.adopted, &self.observed.server) {
            // A server that was running before us keeps its upstream and its standbys until a decision changes them.
            let mut desired = self.parts.shared.desired();
            if self.stopped_on_purpose {
                // We have not started it: what it has was written by somebody else.
                let names = server.synchronous_standby_names.clone();
                desired.standby_names = Some(names).filter(|names| !names.is_empty());
            }
            if server.in_recovery && desired.recovery.is_none() {
                let follow = |follows| server_config::follow(&self.parts.config(), &self.config, follows);
                desired.recovery = Some(server.follows.as_ref().map(follow).unwrap_or_default());
            }
            // What we started ourselves has our configuration.
            self.configure_adopted = self.stopped_on_purpose;
            self.adopted = true;
            self.stopped_on_purpose = false;
        }
        view.manages_standby_names = self.parts.shared.desired().standby_names.is_some();
        view
    }

    fn local_view(&self, postgres: PostgresView, round: Round) -> LocalView {
        let state = self.parts.watchdog.state();
        let timing @ (timeout, loop_wait) = self.watchdog_timing();
        LocalView {
            name: self.parts.config().name.clone(),
            api_url: Some(self.parts.config().api_url()),
            wall: Timestamp::now(),
            postgres,
            task: self.task.view(),
            watchdog: WatchdogView {
                is_active: matches!(state, WatchdogState::Active { .. }),
                is_outdated: self.watchdog_for.is_some_and(|before| before != timing),
                is_usable: (state != WatchdogState::Unavailable && timeout >= loop_wait)
                    || self.config.watchdog != ha_config::WatchdogMode::Required,
            },
            fence: self.parts.fencing.view(),
            failsafe_ping: self.parts.shared.failsafe_ping().clone(),
            round,
        }
    }

    /// What REST answers from now on.
    fn publish(&mut self, view: &ClusterView, local: &LocalView) {
        let leads_standby_cluster =
            self.config.standby_cluster.is_some() && self.memory.may_lead(self.parts.clock.now());
        let never_seen = local.postgres.is_absent() && !self.memory.ever_started;
        let demoted = self.memory.demoted || never_seen;
        let role = member::role(&local.postgres, local.task.as_ref(), leads_standby_cluster, demoted);
        let mut published = self.parts.shared.published();
        if let ClusterView::Known(cluster) = view {
            published.cluster = Some(cluster.clone());
            published.dcs_last_seen = Some(local.wall);
        }
        published.dcs_unreachable = matches!(view, ClusterView::Unreachable { .. });
        published.postgres = local.postgres.clone();
        published.server.clone_from(&self.observed.server);
        published.state =
            Some(self.state_word.tell(&local.postgres, local.task.as_ref(), self.making(), self.config.paused));
        published.role = Some(role);
        published.leadership_deadline = self.memory.claimed_until();
        published.watchdog_failed = !local.watchdog.is_usable || !local.fence.is_usable;
        published.config = self.config.clone();
        published.local = Some(local.clone());
        published.memory = self.memory.clone();
        let now = (published.is_leader(self.parts.clock.now()), Some(role));
        drop(published);
        self.tell_changes(now);
    }

    fn making(&self) -> Making {
        Making::of(&self.parts.config())
    }

    fn tell_changes(&mut self, now: (bool, Option<MemberRole>)) {
        let word = |role: Option<MemberRole>| {
            role.and_then(|role| serde_json::to_value(role).ok()?.as_str().map(str::to_owned)).unwrap_or_default()
        };
        if now.1 != self.told.1 {
            self.parts.observer.event(AgentEvent::Role { from: word(self.told.1), to: word(now.1) });
        }
        if now.0 != self.told.0 {
            let reason = if now.0 { "the lock is ours" } else { "the lock was lost, given up or not renewed in time" };
            self.parts.observer.event(AgentEvent::Lock { held: now.0, reason: reason.into() });
        }
        self.told = now;
    }

    fn tell(&self, decision: &Decision) {
        let routine = |action: &Action| {
            matches!(action, Action::RenewLock { .. } | Action::WatchdogKeepalive { .. } | Action::SyncSlots(_))
        };
        // The renewal's question comes every cycle; what follows from its answer is what matters.
        if decision.then == Then::DecideAgain && decision.actions.iter().all(routine) {
            return;
        }
        let actions = decision.actions.iter().filter(|action| !routine(action));
        self.parts.observer.event(AgentEvent::Decision {
            reason: decision.reason.to_string(),
            actions: actions.map(|action| action.name().to_owned()).collect(),
        });
    }

    /// Writes the member key, unless the DCS could not be read.
    async fn end_cycle(&mut self, view: &ClusterView, postgres: &PostgresView, round: Round, started: Instant) {
        // With the first `/config` come limits and slots that a server had before us: without them it is not to be touched.
        if self.configure_adopted && self.dynamic_known && !self.before_config && !self.task.is_busy() {
            self.configure_adopted = false;
            self.reload().await;
        }
        self.keep_dynamic(postgres).await;
        // The round's last outcome counts for REST too: a renewal in the last round extends what we may claim.
        if self.check_pending_restart > 0 {
            self.read_pending_restart(postgres).await;
        }
        self.tell_callbacks(postgres);
        let ClusterView::Known(cluster) = view else { return };
        let renewed = matches!(round.lock, Some(LockOutcome::Held { .. }));
        let keep_alive = renewed || round.released || !cluster.is_leader(&self.parts.config().name);
        let record = {
            let (making, paused) = (self.making(), self.config.paused);
            let mut published = self.parts.shared.published();
            let task = self.task.view();
            published.state = Some(self.state_word.tell(&published.postgres, task.as_ref(), making, paused));
            let record = member::record(&self.parts.config(), &published, self.memory.checkpoint_pending);
            published.member = record.clone();
            record
        };
        if let Err(error) = self.parts.dcs.touch_member(&record, self.config.ttl, started, keep_alive).await {
            self.parts.trouble("dcs", format!("writing the member key: {error}"));
        }
    }

    /// What is to be told about a server that runs, or that could not be started although we lead.
    fn tell_callbacks(&mut self, postgres: &PostgresView) {
        let task = self.task.view();
        let start_failed = task
            .as_ref()
            .is_some_and(|task| task.kind == TaskKind::Start && matches!(task.progress, TaskProgress::Failed { .. }));
        let due = if postgres.process == Process::Running && !self.task.is_busy() {
            let role = self.parts.shared.published().role;
            role.and_then(|role| self.parts.callbacks.told().runs(role))
        } else if start_failed && postgres.is_absent() && !self.memory.may_lead(self.parts.clock.now()) {
            self.parts.callbacks.told().failed_in_office()
        } else {
            None
        };
        self.parts.call_back(due);
    }

    /// The server reads its files, or has been started with them.
    pub(super) fn look_for_pending_restart(&mut self) {
        self.check_pending_restart = 2;
        self.after_restart.clear();
    }

    async fn read_pending_restart(&mut self, postgres: &PostgresView) {
        if postgres.process != Process::Running {
            self.parts.shared.published().pending_restart.clear();
            return;
        }
        let Ok(parameters) = pending::parameters(&self.parts.sql).await else { return };
        for parameter in pending::flagged(&parameters) {
            if !self.after_restart.contains_key(&parameter.name)
                && let Ok(Some(value)) = self.parts.postgres.configured(&parameter.name).await
            {
                self.after_restart.insert(parameter.name.clone(), value);
            }
        }
        let reasons = pending::reasons(&parameters, &self.parts.shared.desired(), &self.after_restart);
        // Until the restart has happened it must be looked for again.
        self.check_pending_restart = if reasons.is_empty() { self.check_pending_restart - 1 } else { 1 };
        self.parts.shared.published().pending_restart = reasons;
    }
}

#[cfg(test)]
#[path = "watchdog_tests.rs"]
mod watchdog_tests;
