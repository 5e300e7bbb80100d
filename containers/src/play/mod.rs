//! One run: the cluster is brought up, then the player is asked what to do.

mod filling;
mod logs;
mod observers;
mod watchdogs;
mod workload;

use std::{sync::Arc, time::Duration};

use pgdrill_lab::{
    event::{At, What},
    player::{Act, Do, Evidence, Player},
    scenario::{Process, Scenario},
    world::{PlayError, Recording, draw, holder, missing, no_table, phase_at_most, phase_of_loop, remember},
};
use pgdrill_net::TokioNet;
use pgdrill_probe::{
    Endpoint,
    observe::{read_all_rows, read_end},
    workload::create_table,
};
use tokio::time::{Instant, sleep, timeout};

use self::{
    observers::Observers,
    watchdogs::Watchdogs,
    workload::{Clients, merge},
};
use crate::{
    acts::Acts,
    clock::Clock,
    cluster::{Cluster, Kind, Order},
};

/// A cluster that is not up by then never will be.
const READY_LIMIT: Duration = Duration::from_secs(120);

/// For what takes no time worth mentioning: carrying out faults, reading the end, removing.
const SPARE: Duration = Duration::from_secs(900);

/// A slow disk copies so much in a second, in bytes.
const COPIED_PER_SECOND: u64 = 5 << 20;

/// How long a cluster whose faults have all been ended may take until every node can be read.
const ROWS_LIMIT: Duration = Duration::from_secs(240);

/// Plays a scenario on containers that `order` starts. Whoever calls removes them.
pub(crate) async fn play(order: &Order<'_>, clock: &Clock) -> Result<Recording, PlayError> {
    let unplayed = |message: String| PlayError { message, events: vec![] };
    let began = Instant::now();
    let cluster = order.bring_up().await.map_err(unplayed)?;
    let (observers, watchdogs) = (Observers::start(&cluster), Watchdogs::start(&cluster, order.boot));
    let mut run = Run { began, observers, watchdogs, cluster, tell: order.tell };
    let limit = longest(order.scenario);
    let played = match timeout(limit, run.scenario(order.seed, clock)).await {
        Ok(played) => played,
        Err(_) => Err(run.stuck(limit)),
    };
    if let Some(folder) = order.logs {
        let name = format!("{}.{}.seed-{}", order.scenario.name, order.agent.world(), order.seed);
        match logs::keep(&run.cluster, folder, &name).await {
            Ok(folder) => (order.tell)(&format!("logs are in {}", folder.display())),
            Err(why) => (order.tell)(&format!("not all logs could be kept: {why}")),
        }
    }
    match played {
        Ok(recording) => Ok(recording),
        Err(message) => Err(PlayError { message, events: run.cluster.recorder.take() }),
    }
}

/// How long a run may take from its first container on: the scenario's own time, and for everything else far more than it needs.
/// What comes later than this is waited for in vain.
fn longest(scenario: &Scenario) -> Duration {
    let copying = Duration::from_secs(scenario.cluster.data_size.bytes / COPIED_PER_SECOND);
    scenario.until_all_is_answered().0 + READY_LIMIT + ROWS_LIMIT + SPARE + copying + phase_at_most(scenario)
}

struct Run<'a> {
    /// Before the first container was started.
    began: Instant,
    cluster: Cluster,
    observers: Observers,
    watchdogs: Watchdogs,
    tell: &'a (dyn Fn(&str) + Send + Sync),
}

impl Run<'_> {
    /// What is said of a run that did not end.
    fn stuck(&self, limit: Duration) -> String {
        let last = self.cluster.recorder.last(|event| match &event.what {
            What::Fault { text, .. } => Some(format!("{text} at {}", event.at)),
            _ => None,
        });
        let last = last.map_or_else(String::new, |last| format!("; what was done last: {last}"));
        format!("no progress: it did not end within {} s{last}", limit.as_secs())
    }

    async fn scenario(&mut self, seed: u64, clock: &Clock) -> Result<Recording, String> {
        let scenario: Arc<Scenario> = self.cluster.scenario.clone();
        let mut acts = Acts::new(&self.cluster);
        acts.lengthen(&scenario).await?;
        self.ready(seed).await?;
        let known = self.cluster.recorder.take();
        let zero_ns = clock.begin();
        remember(&scenario, &self.cluster.recorder, &known);
        let clients = Clients::start(&self.cluster, zero_ns).await?;

        let mut player =
            Player::new(scenario, self.cluster.recorder.clone(), draw(seed, u64::MAX), self.watchdogs.boot);
        let mut told = None;
        loop {
            match player.poll(self.cluster.journal.now()) {
                Do::Act(act) => {
                    let doing = player.doing().map(str::to_owned);
                    if doing != told {
                        told = doing;
                        self.tell_line(told.as_deref());
                    }
                    let evidence = self.carry_out(act, &mut acts).await.map_err(|why| match &told {
                        Some(line) => format!("{line}: {why}"),
                        None => why,
                    })?;
                    player.done(self.cluster.journal.now(), evidence);
                }
                Do::Until(moment) => {
                    for node in self.run_until(moment).await? {
                        player.watchdog_went_off(self.cluster.journal.now(), &node);
                    }
                }
                Do::Over => break,
            }
        }
        self.end(clients).await
    }

    fn tell_line(&self, line: Option<&str>) {
        if let Some(line) = line {
            (self.tell)(&format!("{}: {line}", self.cluster.journal.now()));
        }
    }

    async fn carry_out(&mut self, act: Act, acts: &mut Acts) -> Result<Evidence, String> {
        let (journal, login) = (&self.cluster.journal, self.cluster.login());
        match act {
            Act::StopClients => (self.tell)("the scenario is over: settling"),
            Act::ReadEnd => {
                read_end(&TokioNet, &self.nodes(), &login, &self.cluster.dcs(), journal).await;
                self.observers.check()?;
            }
            Act::StopObserving => self.observers.stop(),
            Act::ReadRows => {
                (self.tell)("reading every node's rows");
                read_all_rows(&TokioNet, &self.nodes(), &login, journal, ROWS_LIMIT).await;
            }
            act => return acts.carry_out(&self.cluster, act).await.map_err(|trouble| trouble.to_string()),
        }
        Ok(Evidence::Done)
    }

    fn nodes(&self) -> Vec<Endpoint> {
        self.cluster.names(Kind::Node).iter().map(|node| self.cluster.sql_endpoint(node)).collect()
    }

    /// Waits until the cluster is up, creates the workload's table, fills the database, and lets a part of a loop go by that
    /// depends on the seed, so that faults meet every phase of it.
    async fn ready(&mut self, seed: u64) -> Result<(), String> {
        let began = Instant::now();
        let (mut told_at, mut told) = (Instant::now(), String::new());
        while let Some(what) = self.lacks() {
            self.observers.check()?;
            if began.elapsed() > READY_LIMIT {
                return Err(self.not_up(&what).await);
            }
            if told != what && told_at.elapsed() > Duration::from_secs(2) {
                (self.tell)(&format!("waiting: {what}"));
                (told_at, told) = (Instant::now(), what);
            }
            sleep(Duration::from_millis(200)).await;
        }
        (self.tell)(&format!("the cluster is up after {:.1} s", self.began.elapsed().as_secs_f64()));
        let leader = holder(&self.cluster.recorder).unwrap_or_default();
        let primary = self.cluster.sql_endpoint(&leader);
        let made = create_table(&TokioNet, &primary, &self.cluster.login()).await;
        made.map_err(|why| no_table(&self.cluster.scenario, &why))?;
        self.fill(&primary).await?;
        sleep(Duration::from_secs(1) + phase_of_loop(&self.cluster.scenario, seed)).await;
        Ok(())
    }

    async fn fill(&self, primary: &Endpoint) -> Result<(), String> {
        let wanted = self.cluster.scenario.cluster.data_size;
        (self.tell)(&format!("filling the database up to {wanted}"));
        let filled = filling::fill(&self.nodes(), primary, &self.cluster.login(), wanted.bytes).await;
        filled.map_err(|why| format!("the database cannot be filled up to {wanted} (`cluster.data_size`): {why}"))
    }

    fn lacks(&self) -> Option<String> {
        let name_of = |address: &str| self.cluster.name_of(address);
        missing(&self.cluster.scenario, &self.cluster.recorder, name_of, self.observers.routed().as_deref())
    }

    async fn not_up(&self, what: &str) -> String {
        let mut message = format!("the cluster did not come up within {} s: {what}", READY_LIMIT.as_secs());
        for node in self.cluster.names(Kind::Node) {
            let said = self.cluster.last_words(Process::Agent, &node).await;
            message += &format!("\nthe agent of {node} said last:\n{}", said.trim_end());
        }
        message
    }

    /// Waits until a moment of the scenario, or until watchdog devices go off; the nodes whose did.
    async fn run_until(&mut self, moment: At) -> Result<Vec<String>, String> {
        self.observers.check()?;
        let left = moment.since(self.cluster.journal.now());
        let expired = self.watchdogs.until(Instant::now() + left).await?;
        self.observers.check()?;
        Ok(expired)
    }

    /// Clients that were frozen go on now; those that were not have long ended.
    async fn end(&mut self, clients: Clients) -> Result<Recording, String> {
        let workload = &self.cluster.scenario.workload;
        let late = workload.connect_timeout.0 * 2 + workload.statement_timeout.0 + Duration::from_secs(30);
        let told = timeout(late, clients.end()).await.map_err(|_| "the clients did not end".to_owned())??;
        let played = self.cluster.journal.now();
        let events = merge(self.cluster.recorder.take(), told);
        Ok(Recording { events, played_ns: played.0, trace_hash: None })
    }
}
