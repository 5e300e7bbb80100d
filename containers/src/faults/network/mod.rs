//! Faults of the network: which rules and queues stand where, put there, counted and taken away.
//!
//! Of several delays of a link the longest counts, of several bandwidths the narrowest: its rule stands in front, and when it
//! ends, the next worst is in front. Losses add up by themselves, since a packet that one rule leaves meets the next.

pub mod netem;
mod overlap;
mod queue;
pub mod rules;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use futures::future::try_join_all;
use netem::Mechanism;
use pgdrill_lab::{faults::Lateness, scenario::Route};
use queue::Queue;
use rules::{Effect, End, LIST, Rule, counters};

use super::machine::{Machine, State, Trouble};
use crate::docker::Command;

/// What a fault does to a link.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Breakage {
    /// Nothing passes.
    Cut,
    /// Each packet is lost with this probability.
    Loss(f64),
    /// Packets take so much longer.
    Delay(Lateness),
    /// So many bytes per second pass.
    Bandwidth(u64),
}

/// What identifies the rules of one fault.
pub type FaultId = u32;

/// A rule that stands somewhere.
#[derive(Clone, Debug)]
struct Placed {
    fault: FaultId,
    /// What is done to which link; `None` where it is no fault of a link.
    broken: Option<(Route, Breakage)>,
    rule: Rule,
    /// The host whose packet filter it is in.
    at: String,
    /// Whether it is the latency that is always there.
    always: bool,
    /// What it counted before its container was restarted, or before it was put in front of others anew.
    carried: u64,
}

/// Everything that is done to the network of a run.
#[derive(Debug, Default)]
pub struct Network {
    machines: BTreeMap<String, Machine>,
    placed: Vec<Placed>,
    queues: Vec<Queue>,
    /// What was counted for faults that stood behind worse ones, or had such behind them.
    overlaps: overlap::Counts,
    /// Latency that is always there, by link.
    latency: BTreeMap<Route, (Duration, Duration)>,
    /// What could not be taken away because the host's container was paused, to be done when it goes on.
    owed: BTreeMap<String, Vec<String>>,
    numbers: u32,
    /// What can hold delayed packets here, once that was tried.
    mechanism: Option<Mechanism>,
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
    pub async fn lengthen(&mut self, latency: BTreeMap<Route, (Duration, Duration)>) -> Result<(), Trouble> {
        self.latency = latency.clone();
        let by = match latency.keys().next() {
            Some(route) => self.mechanism(&route.to).await?,
            None => return Ok(()),
        };
        let mut todo: BTreeMap<String, Vec<String>> = BTreeMap::new();
        // One queue for all links of a host that are equally long.
        let mut shared: BTreeMap<(String, Duration, Duration), u16> = BTreeMap::new();
        for (route, (delay, jitter)) in &latency {
            let at = route.to.clone();
            let number = match shared.get(&(at.clone(), *delay, *jitter)) {
                Some(number) => *number,
                None => {
                    let number = self.open_queue((0, &at), *delay, *jitter, (None, by), &mut todo);
                    shared.insert((at.clone(), *delay, *jitter), number);
                    number
                }
            };
            let rule = self.rule(route, End::Receiver, delayed(by, number));
            todo.entry(at.clone()).or_default().push(rule.append());
            self.placed.push(Placed { fault: 0, broken: None, rule, at, always: true, carried: 0 });
        }
        self.carry_out(todo).await
    }

    /// Breaks links; the number by which the fault is counted and ended.
    ///
    /// # Errors
    /// When a host cannot do it. What was done of it is ended with everything else.
    pub async fn break_links(&mut self, routes: &[Route], breakage: Breakage) -> Result<FaultId, Trouble> {
        self.numbers += 1;
        let fault = self.numbers;
        let unreachable = self.unreachable(routes).await?;
        self.begin_count(fault, routes, breakage).await?;
        let mut todo: BTreeMap<String, Vec<String>> = BTreeMap::new();
        // One queue for all links of a host that become equally long.
        let mut shared: BTreeMap<(String, Duration, Duration), u16> = BTreeMap::new();
        for route in routes {
            let (end, at) = Self::place(route, &unreachable);
            let by = match (breakage, end) {
                (Breakage::Delay(_), End::Receiver) => self.mechanism(&at).await?,
                _ => Mechanism::Nfqueue,
            };
            let effect = match breakage {
                Breakage::Cut => Effect::Drop,
                Breakage::Loss(probability) => Effect::Lose(probability),
                Breakage::Bandwidth(rate) => {
                    let none = Duration::ZERO;
                    Effect::Narrow(self.open_queue((fault, &at), none, none, (Some(rate), by), &mut todo))
                }
                Breakage::Delay(late) => {
                    let (base, spread) = self.latency.get(route).copied().unwrap_or_default();
                    let key = (at.clone(), base + late.add, spread + late.jitter);
                    let number = match shared.get(&key) {
                        Some(number) => *number,
                        None => self.open_queue((fault, &at), key.1, key.2, (None, by), &mut todo),
                    };
                    shared.insert(key, number);
                    delayed(by, number)
                }
            };
            let rule = self.rule(route, end, effect);
            todo.entry(at.clone()).or_default().push(rule.insert());
            let broken = Some((route.clone(), breakage));
            self.placed.push(Placed { fault, broken, rule, at, always: false, carried: 0 });
            self.put_worse_in_front(route, breakage, &mut todo).await?;
        }
        self.carry_out(todo).await.map(|()| fault)
    }

    /// Leaves questions about names unanswered on these hosts; the number by which the fault is counted and ended.
    ///
    /// # Errors
    /// When a host cannot do it.
    pub async fn silence_dns(&mut self, hosts: &[String]) -> Result<FaultId, Trouble> {
        self.numbers += 1;
        let fault = self.numbers;
        let mut todo: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for host in hosts {
            let listed = self.machine(host)?.script("awk '/^nameserver/ { print $2 }' /etc/resolv.conf").await?;
            for server in listed.lines().filter_map(|line| line.trim().parse().ok()) {
                self.numbers += 1;
                let (number, end, effect) = (self.numbers, End::Receiver, Effect::Unanswered);
                let rule = Rule { number, from: server, to: None, end, effect };
                todo.entry(host.clone()).or_default().push(rule.insert());
                self.placed.push(Placed { fault, broken: None, rule, at: host.clone(), always: false, carried: 0 });
            }
        }
        self.carry_out(todo).await.map(|()| fault)
    }

    /// How many packets a fault has had an effect on until now.
    ///
    /// # Errors
    /// When a host does not say.
    pub async fn effect(&self, fault: FaultId) -> Result<u64, Trouble> {
        let mine: Vec<&Placed> = self.placed.iter().filter(|placed| placed.fault == fault).collect();
        let own = self.count(&mine).await?;
        Ok(own + self.counted_by_others(fault).await?)
    }

    /// What these rules have counted until now.
    async fn count(&self, rules: &[&Placed]) -> Result<u64, Trouble> {
        let hosts: BTreeSet<&String> = rules.iter().map(|placed| &placed.at).collect();
        let counted = try_join_all(hosts.into_iter().map(|host| self.counted(host))).await?;
        let live: BTreeMap<u32, u64> = counted.into_iter().flatten().collect();
        let mut sum = 0;
        for placed in rules {
            sum += match placed.rule.effect {
                // Every packet passes the queue; only those that had to wait were affected.
                Effect::Narrow(number) => self.waited(number).await?,
                _ => placed.carried + live.get(&placed.rule.number).copied().unwrap_or(0),
            };
        }
        Ok(sum)
    }

    /// How many packets had to wait in a narrow link's queue.
    async fn waited(&self, number: u16) -> Result<u64, Trouble> {
        let Some(queue) = self.queues.iter().find(|queue| queue.number == number) else { return Ok(0) };
        let counts = queue.counts(self.machine(&queue.at)?).await?;
        Ok(counts.waited + counts.dropped)
    }

    /// What holds the packets of a delay; `None` when nothing does.
    #[must_use]
    pub fn held_by(&self, fault: FaultId) -> Option<Mechanism> {
        self.queues.iter().find(|queue| queue.fault == fault).map(|queue| queue.by)
    }

    /// How long packets were really held by a delay, on average; `None` when none was, or the kernel has held them, which does not say.
    ///
    /// # Errors
    /// When a host does not say.
    pub async fn mean_delay(&self, fault: FaultId) -> Result<Option<Duration>, Trouble> {
        let queues = self.queues.iter().filter(|queue| queue.fault == fault);
        let counts = try_join_all(queues.map(|queue| queue.counts(&self.machines[&queue.at]))).await?;
        let packets: u64 = counts.iter().map(|counts| counts.packets).sum();
        let held: u64 = counts.iter().map(|counts| counts.held_us).sum();
        Ok(held.checked_div(packets).map(Duration::from_micros))
    }

    /// Ends a fault: its rules are gone, packets that are still held arrive.
    ///
    /// # Errors
    /// When a host cannot do it.
    pub async fn mend(&mut self, fault: FaultId) -> Result<(), Trouble> {
        self.end_count(fault).await?;
        let (mine, left) = std::mem::take(&mut self.placed).into_iter().partition(|p| p.fault == fault && !p.always);
        self.placed = left;
        let mine: Vec<Placed> = mine;
        let mut todo: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for placed in mine {
            todo.entry(placed.at).or_default().push(placed.rule.delete());
        }
        let (queues, left) =
            std::mem::take(&mut self.queues).into_iter().partition(|queue| queue.fault == fault && fault != 0);
        self.queues = left;
        let queues: Vec<Queue> = queues;
        for queue in queues {
            todo.entry(queue.at.clone()).or_default().push(queue.close());
        }
        self.carry_out(todo).await
    }

    /// A host is about to be restarted: what its rules have counted is kept.
    ///
    /// # Errors
    /// When the host does not say.
    pub async fn before_restart(&mut self, host: &str) -> Result<(), Trouble> {
        let counted = self.counted(host).await?;
        for placed in self.placed.iter_mut().filter(|placed| placed.at == host) {
            placed.carried += counted.get(&placed.rule.number).copied().unwrap_or(0);
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
        let always = self.placed.iter().filter(|p| p.at == host && p.always).map(|p| p.rule.append());
        let faults = self.placed.iter().filter(|p| p.at == host && !p.always).map(|p| p.rule.insert());
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

    async fn counted(&self, host: &str) -> Result<BTreeMap<u32, u64>, Trouble> {
        let machine = self.machine(host)?;
        match machine.state().await? {
            State::Running => Ok(counters(&machine.script(LIST).await?)),
            // A paused container's counters are read when it goes on, a stopped one's were kept before it stopped.
            State::Paused | State::Stopped => Ok(BTreeMap::new()),
        }
    }

    /// Where a rule for a link stands: see [`rules`].
    fn place(route: &Route, unreachable: &BTreeSet<String>) -> (End, String) {
        if unreachable.contains(&route.to) && !unreachable.contains(&route.from) {
            return (End::Sender, route.from.clone());
        }
        (End::Receiver, route.to.clone())
    }

    /// The hosts of these links in which no command can be run now.
    async fn unreachable(&self, routes: &[Route]) -> Result<BTreeSet<String>, Trouble> {
        let hosts: BTreeSet<&String> = routes.iter().flat_map(|route| [&route.from, &route.to]).collect();
        let states = try_join_all(hosts.into_iter().map(async |host| {
            let state = self.machine(host)?.state().await?;
            Ok::<_, Trouble>((host.clone(), state))
        }));
        Ok(states.await?.into_iter().filter(|(_, state)| *state != State::Running).map(|(host, _)| host).collect())
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

    fn open_queue(
        &mut self,
        (fault, at): (FaultId, &str),
        delay: Duration,
        jitter: Duration,
        (bytes_per_second, by): (Option<u64>, Mechanism),
        todo: &mut BTreeMap<String, Vec<String>>,
    ) -> u16 {
        self.numbers += 1;
        // Far more than a run ever needs; after 65,535 faults the oldest numbers are free again.
        let number = u16::try_from(self.numbers % 65_536).unwrap_or(0);
        let queue = Queue { fault, number, at: at.to_owned(), delay, jitter, bytes_per_second, by };
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
    async fn carry_out(&mut self, todo: BTreeMap<String, Vec<String>>) -> Result<(), Trouble> {
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

const fn delayed(by: Mechanism, queue: u16) -> Effect {
    match by {
        Mechanism::Netem => Effect::Netem(queue),
        Mechanism::Nfqueue => Effect::Delay(queue),
    }
}
