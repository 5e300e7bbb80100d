//! The worlds `containers` and `patroni` behind the lab's [`World`] port.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use pgdrill_lab::{
    scenario::Scenario,
    world::{PlayError, Recording, World},
};
use tokio::sync::OnceCell;

use crate::{
    acts,
    clock::Clock,
    cluster::{Agent, BINARY, Order, check_images},
    docker::{Docker, Owner, Swept, connect, remove_run, sweep},
    images::{self, Held},
    interrupt::{Under, given_up},
    play::play,
    runtime::block_on,
};

/// How often, and after how long each time, what a broken-off run has made is looked for again: a request that nobody waits for
/// any more is carried out by the daemon all the same.
const STRAGGLERS: u32 = 3;
const STRAGGLER: Duration = Duration::from_millis(700);

/// Hears what a run is doing: one line each, some seconds apart.
pub type Tell = Arc<dyn Fn(&str) + Send + Sync>;

/// Real etcd, real PostgreSQL 16 and real HAProxy in containers on this machine, run by pgdrill's agent or by the real Patroni.
#[derive(Clone)]
pub struct RealWorld {
    agent: Agent,
    boot: Duration,
    tell: Tell,
    logs: Option<PathBuf>,
    pgdrill: Option<PathBuf>,
}

impl RealWorld {
    /// The world with this agent. `boot`: how long a machine that its watchdog device resets takes until its services are
    /// started, which no container can tell; the simulator's calibration has it.
    #[must_use]
    pub fn new(agent: Agent, boot: Duration) -> Self {
        Self { agent, boot, tell: Arc::new(|_| {}), logs: None, pgdrill: None }
    }

    /// Says what it is doing.
    #[must_use]
    pub fn telling(mut self, tell: Tell) -> Self {
        self.tell = tell;
        self
    }

    /// Plays with this `pgdrill` program: images that hold another one get it before the first run. Otherwise the images are
    /// taken as they are.
    #[must_use]
    pub fn with_pgdrill(mut self, program: impl Into<PathBuf>) -> Self {
        self.pgdrill = Some(program.into());
        self
    }

    /// Keeps what agents, PostgreSQL, etcd and HAProxy have written: a folder for each run, in this one.
    #[must_use]
    pub fn keeping_logs(mut self, folder: impl Into<PathBuf>) -> Self {
        self.logs = Some(folder.into());
        self
    }
}

impl World for RealWorld {
    fn name(&self) -> &'static str {
        self.agent.world()
    }

    fn cannot(&self, scenario: &Scenario) -> Vec<String> {
        let mut cannot = acts::cannot(scenario, self.agent);
        let spec = &scenario.cluster;
        if spec.patroni.standby_cluster.is_some() {
            cannot.push("standby_cluster: there is no second cluster to follow".to_owned());
        }
        cannot
    }

    fn ready(&self) -> Result<(), String> {
        let agent = self.agent;
        block_on(move || async move {
            let docker = connect().await.map_err(|e| e.to_string())?;
            check_images(&docker, agent).await.map_err(|e| e.to_string())
        })
    }

    fn play(&self, scenario: &Scenario, seed: u64) -> Result<Recording, PlayError> {
        let (world, scenario) = (self.clone(), Arc::new(scenario.clone()));
        block_on(move || run(world, scenario, seed))
    }
}

/// A run from first to last: nothing of it is left when this comes back, however it ended.
async fn run(world: RealWorld, scenario: Arc<Scenario>, seed: u64) -> Result<Recording, PlayError> {
    let RealWorld { agent, boot, tell, logs, pgdrill } = world;
    let failed = |message: String| PlayError { message, events: vec![] };
    let _under_way = Under::way();
    let docker = connect().await.map_err(|e| failed(e.to_string()))?;
    sweep_once(&docker, &tell).await;
    if let Some(program) = &pgdrill {
        refresh_once(program, &tell).await.map_err(failed)?;
    }
    let owner = Owner::this_process().map_err(|e| failed(e.to_string()))?;
    let name = name_of_run();
    let clock = Clock::new();
    let order = Order {
        docker: &docker,
        scenario: &scenario,
        agent,
        seed,
        run: &name,
        owner: &owner,
        clock: &clock,
        boot,
        logs: logs.as_deref(),
        tell: &*tell,
    };
    let playing = async {
        tokio::select! {
            biased;
            () = given_up() => Err(failed("it was given up".to_owned())),
            played = play(&order, &clock) => played,
        }
    };
    // A panic ends the run like anything else; it goes on once nothing is left.
    let played = futures::FutureExt::catch_unwind(std::panic::AssertUnwindSafe(playing)).await;
    let mut removed = remove_run(&docker, &name).await;
    if !matches!(played, Ok(Ok(_))) {
        // A run that broke off may have asked for a container that the daemon has not made yet.
        for _ in 0..STRAGGLERS {
            tokio::time::sleep(STRAGGLER).await;
            removed = remove_run(&docker, &name).await;
        }
    }
    if let Err(why) = removed {
        // What was seen is no less true.
        tell(&format!("not everything of the run could be removed; the next run tries again: {why}"));
    }
    played.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Unique on this machine, and short: Docker makes names of it.
fn name_of_run() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    format!("pgdrill-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Removes what killed runs of before left behind. What cannot be removed is said and no reason not to play.
async fn sweep_once(docker: &Docker, tell: &Tell) {
    static SWEPT: OnceCell<()> = OnceCell::const_new();
    let sweeping = async || {
        let swept = sweep(docker).await.unwrap_or_else(|why| Swept { runs: 0, failed: vec![why] });
        if swept.runs > 0 {
            tell(&format!("removed what {} killed runs had left behind", swept.runs));
        }
        for why in swept.failed {
            tell(&format!("leftovers of a killed run could not be removed: {why}"));
        }
    };
    SWEPT.get_or_init(sweeping).await;
}

/// Sees to it that the images hold this `pgdrill`, unless [`BINARY`] names one that is used in its place.
async fn refresh_once(program: &Path, tell: &Tell) -> Result<(), String> {
    static FRESH: OnceCell<Result<(), String>> = OnceCell::const_new();
    let refreshing = async || {
        if std::env::var_os(BINARY).is_some() {
            return Ok(());
        }
        let engine = images::Engine::connect().await.map_err(|e| e.to_string())?;
        match images::refresh(&engine, program, &|_| {}).await.map_err(|e| e.to_string())? {
            Held::Same => {}
            Held::Renewed => tell("the images held another pgdrill: this one was put into them"),
            Held::Chosen => tell(
                "the images hold the pgdrill that was given to `pgdrill images build --binary`, and not this one: after a \
                 change build both anew",
            ),
        }
        Ok(())
    };
    FRESH.get_or_init(refreshing).await.clone()
}
