//! The network: which rules and queues stand where, so that links are as they are asked to be, and what they have counted.
//!
//! | part of a link | stands as |
//! |---|---|
//! | cut, loss | a rule of the packet filter |
//! | delay, bandwidth | a rule that leads packets into a queue |
//!
//! A rule that takes another's place stands before that one goes: no packet passes between the two. What a rule has counted
//! stays with its link when the rule goes.

mod links;
pub mod netem;
mod queue;
pub mod rules;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use futures::future::try_join_all;
pub use links::Part;
use netem::Mechanism;
use pgdrill_lab::{
    player::{Lateness, LinkState},
    scenario::Route,
};
use queue::Queue;
use rules::{Effect, End, LIST, Rule, counters};

use crate::{
    docker::Command,
    machine::{Machine, State, Trouble},
};

/// A rule that stands somewhere.
#[derive(Clone, Debug)]
struct Placed {
    /// What is done to which link; `None` where it is no link's: names that nobody answers for.
    breaks: Option<(Route, Part)>,
    rule: Rule,
    /// The host whose packet filter it is in.
    at: String,
    /// What it counted before its container was restarted.
    carried: u64,
}

/// Everything that is done to the network of a run.
#[derive(Debug, Default)]
pub struct Network {
    machines: BTreeMap<String, Machine>,
    placed: Vec<Placed>,
    queues: Vec<Queue>,
    /// How links are that are not as they are by nature.
    links: BTreeMap<Route, LinkState>,
    /// What was counted by rules that are gone.
    counted: BTreeMap<(Route, Part), u64>,
    /// Latency that is always there, by link.
    latency: BTreeMap<Route, Lateness>,
    /// What could not be taken away because the host's container was paused, to be done when it goes on.
    owed: BTreeMap<String, Vec<String>>,
    numbers: u32,
    /// What can hold delayed packets here, once that was tried.
    mechanism: Option<Mechanism>,
}

/// What is to be run on each host.
type Commands = BTreeMap<String, Vec<String>>;

/// What is done in one go.
#[derive(Debug, Default)]
struct Batch {
    todo: Commands,
    /// The numbers of the queues that are opened, each for all links of its host that become equally long.
    opened: BTreeSet<u16>,
}

impl Network {
    /// The network of these hosts, with nothing wrong.
    #[must_use]
    pub fn new(machines: impl IntoIterator<Item = Machine>) -> Self {
        let machines = machines.into_iter().map(|machine| (machine.name.clone(), machine)).collect();
        Self { machines, ..Self::default() }
    }

    /// Makes links as long as the scenario's network says. Links that it does not name are as they are: a fraction of a
    /// millisecond.
    ///
    /// # Errors
    /// When a host cannot do it.
    pub async fn lengthen(&mut self, latency: BTreeMap<Route, Lateness>) -> Result<(), Trouble> {
        self.latency = latency.clone();
        let by = match latency.keys().next() {
            Some(route) => self.mechanism(&route.to).await?,
            None => return Ok(()),
        };
        let mut batch = Batch::default();
        for (route, late) in &latency {
            let at = route.to.clone();
            let number = self.shared_queue(&at, *late, by, &mut batch);
            let rule = self.rule(route, End::Receiver, delayed(by, number));
            batch.todo.entry(at.clone()).or_default().push(rule.append());
            self.placed.push(Placed { breaks: Some((route.clone(), Part::Always)), rule, at, carried: 0 });
        }
        self.carry_out(batch.todo).await
    }

    /// A host is about to be restarted: what its rules have counted is kept.
    ///
    /// # Errors
    /// When the host does not say.
    pub async fn before_restart(&mut self, host: &str) -> Result<(), Trouble> {
        let mine: Vec<Placed> = self.placed.iter().filter(|placed| placed.at == host).cloned().collect();
        let counts = self.count(&mine).await?;
        for placed in &mut self.placed {
            if let Some(count) = counts.get(&placed.rule.number) {
                placed.carried = *count;
            }
        }
        Ok(())
    }

    /// A host was restarted: its packet filter is empty, and gets its rules again.
    ///
    /// # Errors
    /// When the host cannot do it.
    pub async fn after_restart(&mut self, host: &str) -> Result<(), Trouble> {
        self.owed.remove(host);
        let queues = self.queues.iter().filter(|queue| queue.at == host).map(Queue::open);
        let here = |always| self.placed.iter().filter(move |p| p.at == host && p.is_always() == always);
        let always = here(true).map(|placed| placed.rule.append());
        let faults = here(false).map(|placed| placed.rule.insert());
        let commands: Vec<String> = queues.chain(always).chain(faults).collect();
        self.carry_out(BTreeMap::from([(host.to_owned(), commands)])).await
    }

    /// A host's container is no longer paused: what was owed to it is done.
    ///
    /// # Errors
    /// When the host cannot do it.
    pub async fn after_pause(&mut self, host: &str) -> Result<(), Trouble> {
        match self.owed.remove(host) {
            Some(commands) => self.carry_out(BTreeMap::from([(host.to_owned(), commands)])).await,
            None => Ok(()),
        }
    }

    /// What can hold delayed packets: tried once, on a host that runs. All hosts have one kernel.
    async fn mechanism(&mut self, host: &str) -> Result<Mechanism, Trouble> {
        if let Some(known) = self.mechanism {
            return Ok(known);
        }
        let machine = self.machine(host)?;
        if machine.state().await? != State::Running {
            return Ok(Mechanism::Nfqueue);
        }
        let tried = machine.run(&Command::new(["sh", "-c", netem::TRY])).await?;
        let found = if tried.code == 0 { Mechanism::Netem } else { Mechanism::Nfqueue };
        self.mechanism = Some(found);
        Ok(found)
    }

    /// A queue for links of a host that become equally long in one go: they share it.
    fn shared_queue(&mut self, at: &str, late: Lateness, by: Mechanism, batch: &mut Batch) -> u16 {
        let same = |queue: &&Queue| batch.opened.contains(&queue.number) && queue.at == at && queue.late == late;
        if let Some(queue) = self.queues.iter().find(same) {
            return queue.number;
        }
        let number = self.open_queue(at, late, None, by, &mut batch.todo);
        batch.opened.insert(number);
        number
    }

    fn open_queue(
        &mut self,
        at: &str,
        late: Lateness,
        bytes_per_second: Option<u64>,
        by: Mechanism,
        todo: &mut Commands,
    ) -> u16 {
        self.numbers += 1;
        // Far more than a run ever needs; after 65,535 faults the oldest numbers are free again.
        let number = u16::try_from(self.numbers % 65_536).unwrap_or(0);
        let queue = Queue { number, at: at.to_owned(), late, bytes_per_second, by };
        todo.entry(at.to_owned()).or_default().push(queue.open());
        self.queues.push(queue);
        number
    }

    fn rule(&mut self, route: &Route, end: End, effect: Effect) -> Rule {
        self.numbers += 1;
        let (from, to) = (self.machines[&route.from].address, self.machines[&route.to].address);
        Rule { number: self.numbers, from, to: Some(to), end, effect }
    }

    fn machine(&self, host: &str) -> Result<&Machine, Trouble> {
        let unknown = || Trouble { host: host.to_owned(), what: "there is no such host in this run".into() };
        self.machines.get(host).ok_or_else(unknown)
    }

    /// Runs commands on each host, all hosts at once. What a paused host cannot do is owed to it; a stopped one has no
    /// packet filter, and gets its rules when it is started.
    async fn carry_out(&mut self, todo: Commands) -> Result<(), Trouble> {
        let all = todo.into_iter().map(async |(host, commands)| {
            let machine = self.machine(&host)?;
            match machine.state().await? {
                State::Running => machine.script(&commands.join(" && ")).await.map(|_| None),
                State::Paused => Ok(Some((host, commands))),
                State::Stopped => Ok(None),
            }
        });
        for (host, commands) in try_join_all(all).await?.into_iter().flatten() {
            self.owed.entry(host).or_default().extend(commands);
        }
        Ok(())
    }
}

impl Placed {
    /// Whether it is the latency that is always there.
    fn is_always(&self) -> bool {
        matches!(&self.breaks, Some((_, Part::Always)))
    }
}

const fn delayed(by: Mechanism, queue: u16) -> Effect {
    match by {
        Mechanism::Netem => Effect::Netem(queue),
        Mechanism::Nfqueue => Effect::Delay(queue),
    }
}
