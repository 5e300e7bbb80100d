//! The HA daemon: the loop around the state machine, its background tasks, and what REST shares with them.
//!
//! | file | what |
//! |---|---|
//! | `cycle` | one cycle: observe, decide, act |
//! | `observe` | PostgreSQL as it is |
//! | `act`, `demote`, `slots`, `copy_slots` | carrying out decisions |
//! | `fencing` | the dead-man process |
//! | `adopt`, `pending` | a server that was there before; what waits for a restart |
//! | `task`, `lifecycle`, `bootstrap`, `copy` | what runs in the background |
//! | `configure` | the configuration: dynamic, own, read again |
//! | `callbacks`, `scripts` | what an operator wants to be run |
//! | `peers`, `namesake` | asking other members; another one of our name |
//! | `patience` | a machine that lacks descriptors, memory or processes |
//! | `member` | our own record |
//! | `requests`, `shared` | between REST and the loop |
//! | `server_config`, `parameters` | PostgreSQL's configuration; the parameters that the agent owns |
//! | `shutdown` | the graceful end |
//! | `nosync` | a synchronous standby that is about to go |

mod act;
mod adopt;
mod bootstrap;
mod callbacks;
mod configure;
mod copy;
mod copy_slots;
mod cycle;
mod demote;
mod fencing;
mod lifecycle;
pub(crate) mod member;
mod namesake;
mod nosync;
mod observe;
mod parameters;
mod parts;
mod patience;
pub(crate) mod peers;
mod pending;
mod requests;
mod scripts;
mod server_config;
pub(crate) mod shared;
mod shutdown;
mod slots;
mod task;

use std::{io, sync::Arc, time::Duration};

use pgdrill_ha::Config;
use pgdrill_net::Net;
use tokio::{
    sync::Notify,
    task::JoinSet,
    time::{Instant, sleep_until},
};

use self::cycle::{HaLoop, Next};
pub use self::{
    configure::remarks,
    parameters::ON_COMMAND_LINE,
    parts::{Parts, PortTypes, Ports},
    shared::{Published, Request, ScheduledRestart},
    shutdown::Shutdown,
};
use crate::{
    AgentConfig,
    dcs::{Etcd, EtcdTiming, wake_on_change},
    ports::{AgentEvent, ConfigSource, Fence, NoFence, NoPrograms, NoSource, Observer, Postgres, Programs, Watchdog},
    rest,
};

/// However often the loop is woken, cycles are at least this far apart.
const SHORTEST_CYCLE: Duration = Duration::from_millis(100);
/// As often in a row the loop may be woken before it is told, and slowed down to [`SLOWED_CYCLE`]: no sequence of changes that
/// somebody waits for is so long.
const MOST_WAKES: u32 = 50;
/// How far cycles are apart that wake each other.
const SLOWED_CYCLE: Duration = Duration::from_secs(1);
/// Patroni: a non-leader sleeps a little longer than the leader, so that it sees what the leader wrote.
const FOLLOWER_EXTRA: Duration = Duration::from_millis(500);

/// Why an agent ended although nobody asked it to.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// A background task panicked.
    #[error("a background task died: {0}")]
    Task(String),
    /// The REST API cannot listen or stopped serving.
    #[error("REST API: {0}")]
    Rest(#[from] io::Error),
    /// The state machine says that the agent must not go on (another cluster's data directory, a failed bootstrap).
    #[error("{0}")]
    MustExit(String),
}

/// The HA agent of one node.
pub struct Agent<N, P, W, O, F = NoFence> {
    config: AgentConfig,
    net: N,
    postgres: P,
    watchdog: W,
    fence: F,
    observer: O,
    reload: Arc<Notify>,
    programs: Arc<dyn Programs>,
    source: Arc<dyn ConfigSource>,
}

impl<N: Net, P: Postgres, W: Watchdog, O: Observer> Agent<N, P, W, O> {
    /// An agent on its ports, without a dead-man process. Nothing happens before [`Agent::run`].
    pub fn new(config: AgentConfig, net: N, postgres: P, watchdog: W, observer: O) -> Self {
        let (programs, source) = (Arc::new(NoPrograms), Arc::new(NoSource));
        Self { config, net, postgres, watchdog, fence: NoFence, observer, reload: Arc::default(), programs, source }
    }
}

impl<N: Net, P: Postgres, W: Watchdog, O: Observer, F: Fence> Agent<N, P, W, O, F> {
    /// The same agent with a dead-man process, used as `pgdrill.fencing` says.
    pub fn with_fence<G: Fence>(self, fence: G) -> Agent<N, P, W, O, G> {
        let Self { config, net, postgres, watchdog, observer, reload, programs, source, .. } = self;
        Agent { config, net, postgres, watchdog, fence, observer, reload, programs, source }
    }

    /// With somebody who may ask for what REST's `/reload` does: SIGHUP.
    #[must_use]
    pub fn with_reload(mut self, reload: Arc<Notify>) -> Self {
        self.reload = reload;
        self
    }

    /// With something that runs the configured scripts. Without it each of them fails, loudly.
    #[must_use]
    pub fn with_programs(mut self, programs: impl Programs) -> Self {
        self.programs = Arc::new(programs);
        self
    }

    /// With something that the agent's own configuration can be read from again. Without it a reload applies what the agent
    /// was told at its start.
    #[must_use]
    pub fn with_source(mut self, source: impl ConfigSource) -> Self {
        self.source = Arc::new(source);
        self
    }

    /// Runs until `shutdown` is requested and carried out. May be dropped at any time: that is a killed agent, whose
    /// PostgreSQL goes on and is adopted by its successor.
    ///
    /// # Errors
    /// See [`AgentError`]. PostgreSQL is then left as it is.
    pub async fn run(self, shutdown: Shutdown) -> Result<(), AgentError> {
        let defaults = Config::default();
        let members = self.config.etcd.hosts.len();
        let timing = EtcdTiming::new(defaults.ttl, defaults.loop_wait, defaults.retry_timeout, members);
        let etcd = Etcd::new(self.net.clone(), &self.config.etcd, timing);
        let parts = Parts::<PortTypes<Etcd<N>, N, P, W, O, F>>::new(
            self.config,
            etcd,
            self.net,
            self.postgres,
            self.watchdog,
            self.fence,
            self.observer,
        )
        .with_programs(self.programs)
        .with_source(self.source);
        let parts = Arc::new(parts);
        let reloads = async {
            loop {
                self.reload.notified().await;
                parts.shared.ask(Request::Reload);
                parts.wake.notify_one();
            }
        };
        tokio::select! {
            biased;
            ended = run(Arc::clone(&parts), shutdown) => ended,
            never = reloads => never,
        }
    }
}

/// Runs the loop, the REST API and the watch; the first of them that fails ends the agent.
pub(crate) async fn run<T: Ports>(parts: Arc<Parts<T>>, shutdown: Shutdown) -> Result<(), AgentError> {
    let server = rest::Server::bind(&parts).await?;
    let adopted = parts.postgres.postmaster().await.is_ok_and(|postmaster| postmaster.is_some());
    if adopted && let Some(why) = objection(&parts).await {
        parts.observer.event(AgentEvent::Stopped { reason: why.clone() });
        return Err(AgentError::MustExit(why));
    }
    parts.observer.event(AgentEvent::Started { name: parts.config().name.clone(), adopted });
    if let Err(error) = parts.fencing.start().await {
        parts.trouble("fencing", error);
    }
    let (mut rest, mut watch) = (JoinSet::new(), JoinSet::new());
    rest.spawn(server.serve(Arc::clone(&parts)));
    let (kv, keys) = parts.dcs.kv();
    watch.spawn(wake_on_change(Arc::clone(kv), keys.clone(), Arc::clone(&parts.wake)));
    let mut ha = HaLoop::new(Arc::clone(&parts));
    ha.recall().await;
    let ended = tokio::select! {
        biased;
        ended = run_loop(&mut ha, &shutdown) => ended,
        died = rest.join_next() => Err(a_service_ended(died)),
        died = watch.join_next() => Err(a_service_ended(died)),
    };
    match &ended {
        Ok(()) => {
            // First of all, as Patroni does (`Patroni._shutdown`): others who race for the lock that is given away ask this
            // node, and one that still answers as the primary keeps them from taking it until their next loop.
            rest.shutdown().await;
            ha.shut_down().await;
        }
        Err(error) => parts.observer.event(AgentEvent::Stopped { reason: error.to_string() }),
    }
    ended
}

fn a_service_ended(died: Option<Result<(), tokio::task::JoinError>>) -> AgentError {
    match died {
        Some(Err(error)) => AgentError::Task(error.to_string()),
        _ => AgentError::Task("a service of the agent ended".into()),
    }
}

/// Why the server that runs must not be taken over by this agent.
async fn objection<T: Ports>(parts: &Parts<T>) -> Option<String> {
    let origin = match parts.postgres.origin().await {
        Ok(origin) => origin,
        Err(error) => {
            parts.trouble("postgres", format!("where the running server comes from is not known: {error}"));
            None
        }
    };
    if let Some(why) = origin.and_then(|origin| adopt::objection(&origin, &parts.config().postgresql.data_dir)) {
        return Some(why);
    }
    adopt::login_objection(&parts.sql, &parts.config()).await
}

/// Turns until a shutdown is requested.
async fn run_loop<T: Ports>(ha: &mut HaLoop<T>, shutdown: &Shutdown) -> Result<(), AgentError> {
    let parts = Arc::clone(&ha.parts);
    let mut next_run = Instant::now();
    let mut wakes = 0;
    loop {
        let began = Instant::now();
        let at_most = match ha.cycle().await? {
            Next::Sleep(at_most) => at_most,
            Next::Exit(reason) => return Err(AgentError::MustExit(reason)),
        };
        parts.observer.turned();
        next_run += ha.config.loop_wait;
        // An overrun runs at once and does not try to make up for lost cycles.
        next_run = next_run.max(Instant::now());
        let leads = ha.memory.may_lead(parts.clock.now());
        let mut until = if leads { next_run } else { next_run + FOLLOWER_EXTRA };
        if let Some(at_most) = at_most {
            until = until.min(Instant::now() + at_most);
        }
        let shortest = if wakes < MOST_WAKES { SHORTEST_CYCLE } else { SLOWED_CYCLE };
        let until = until.max(began + shortest);
        // A server that does not come up has not crashed: starting it again at once would not help.
        let may_crash = !ha.task.is_starting_postgres();
        let woken = tokio::select! {
            biased;
            () = shutdown.requested() => return Ok(()),
            () = parts.wake.notified() => true,
            () = parts.postgres.exited(), if may_crash => true,
            () = parts.fencing.exited() => true,
            () = sleep_until(until) => false,
        };
        wakes = if woken { wakes + 1 } else { 0 };
        if wakes == MOST_WAKES {
            parts.trouble("ha", format!("the loop was woken {wakes} times in a row: something goes round in circles"));
        }
        if woken || at_most.is_some() {
            sleep_until(began + shortest).await;
            next_run = Instant::now();
        }
    }
}

#[cfg(test)]
mod fencing_tests;
#[cfg(test)]
mod tests;
