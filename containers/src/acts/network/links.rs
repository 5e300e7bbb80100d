//! Links made so as they are asked to be, and what was done to their packets.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::try_join_all;
use pgdrill_lab::{
    player::{Lateness, LinkState},
    scenario::Route,
};

use super::{
    Batch, Commands, Duration, Effect, End, LIST, Mechanism, Network, Placed, Queue, Rule, State, Trouble, counters,
    delayed,
};

/// What can be done to a link, each by a rule of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The latency that is always there.
    Always,
    /// Nothing passes.
    Cut,
    /// Packets are lost.
    Loss,
    /// Packets are late.
    Delay,
    /// So many bytes pass in a second.
    Bandwidth,
}

impl Part {
    /// Those of a fault.
    const OF_FAULTS: [Self; 4] = [Self::Cut, Self::Loss, Self::Delay, Self::Bandwidth];

    /// Whether it is another in the second.
    fn changes(self, from: &LinkState, to: &LinkState) -> bool {
        match self {
            Self::Always => false,
            Self::Cut => from.is_cut != to.is_cut,
            Self::Loss => from.loss != to.loss,
            Self::Delay => from.late != to.late,
            Self::Bandwidth => from.bytes_per_second != to.bytes_per_second,
        }
    }

    /// Whether it is there at all.
    const fn is_in(self, link: &LinkState) -> bool {
        match self {
            Self::Always => true,
            Self::Cut => link.is_cut,
            Self::Loss => link.loss.is_some(),
            Self::Delay => link.late.is_some(),
            Self::Bandwidth => link.bytes_per_second.is_some(),
        }
    }
}

impl Network {
    /// Makes links so. What a link was before, it no longer is.
    ///
    /// # Errors
    /// When a host cannot do it. What was done of it is undone with everything else.
    pub async fn set(&mut self, links: &[(Route, LinkState)]) -> Result<(), Trouble> {
        let unreachable = self.unreachable(links.iter().map(|(route, _)| route)).await?;
        let mut batch = Batch::default();
        let mut gone: BTreeSet<(Route, Part)> = BTreeSet::new();
        let mut fresh = vec![];
        for (route, wanted) in links {
            let before = self.links.get(route).copied().unwrap_or_default();
            for part in Part::OF_FAULTS {
                if !part.changes(&before, wanted) {
                    continue;
                }
                gone.insert((route.clone(), part));
                if part.is_in(wanted) {
                    fresh.push(self.stand(route, part, wanted, &unreachable, &mut batch).await?);
                }
            }
            self.links.insert(route.clone(), *wanted);
        }
        self.take_away(&gone, &mut batch.todo).await?;
        self.placed.extend(fresh);
        self.carry_out(batch.todo).await
    }

    /// Puts one rule in front of all others.
    async fn stand(
        &mut self,
        route: &Route,
        part: Part,
        wanted: &LinkState,
        unreachable: &BTreeSet<String>,
        batch: &mut Batch,
    ) -> Result<Placed, Trouble> {
        let (end, at) = Self::place(route, unreachable);
        let effect = match part {
            Part::Cut | Part::Always => Effect::Drop,
            Part::Loss => Effect::Lose(wanted.loss.unwrap_or_default()),
            Part::Bandwidth => {
                let (none, rate) = (Lateness::default(), wanted.bytes_per_second);
                Effect::Narrow(self.open_queue(&at, none, rate, Mechanism::Nfqueue, &mut batch.todo))
            }
            Part::Delay => {
                let by = match end {
                    End::Receiver => self.mechanism(&at).await?,
                    End::Sender => Mechanism::Nfqueue,
                };
                let always = self.latency.get(route).copied().unwrap_or_default();
                let fault = wanted.late.unwrap_or_default();
                let late = Lateness { add: always.add + fault.add, jitter: always.jitter + fault.jitter };
                delayed(by, self.shared_queue(&at, late, by, batch))
            }
        };
        let rule = self.rule(route, end, effect);
        batch.todo.entry(at.clone()).or_default().push(rule.insert());
        Ok(Placed { breaks: Some((route.clone(), part)), rule, at, carried: 0 })
    }

    /// Takes rules away, with the queues into which none leads any more; what they have counted stays with their links.
    async fn take_away(&mut self, gone: &BTreeSet<(Route, Part)>, todo: &mut Commands) -> Result<(), Trouble> {
        let goes = |placed: &Placed| placed.breaks.as_ref().is_some_and(|breaks| gone.contains(breaks));
        let (going, left): (Vec<Placed>, _) = std::mem::take(&mut self.placed).into_iter().partition(goes);
        self.placed = left;
        let counts = self.count(&going).await?;
        for placed in going {
            let count = counts.get(&placed.rule.number).copied().unwrap_or(0);
            if let Some(breaks) = placed.breaks {
                *self.counted.entry(breaks).or_default() += count;
            }
            todo.entry(placed.at).or_default().push(placed.rule.delete());
            if let Some(number) = placed.rule.effect.queue() {
                self.close_unless_used(number, todo);
            }
        }
        Ok(())
    }

    fn close_unless_used(&mut self, number: u16, todo: &mut Commands) {
        if self.placed.iter().any(|placed| placed.rule.effect.queue() == Some(number)) {
            return;
        }
        if let Some(index) = self.queues.iter().position(|queue| queue.number == number) {
            let queue = self.queues.swap_remove(index);
            todo.entry(queue.at.clone()).or_default().push(queue.close());
        }
    }

    /// Leaves questions about names unanswered on these hosts, or no longer.
    ///
    /// # Errors
    /// When a host cannot do it.
    pub async fn answer_names(&mut self, hosts: &[String], answers: bool) -> Result<(), Trouble> {
        let mut todo = Commands::new();
        let silenced = |placed: &Placed| placed.breaks.is_none() && hosts.contains(&placed.at);
        if answers {
            let (mine, left): (Vec<Placed>, _) = std::mem::take(&mut self.placed).into_iter().partition(silenced);
            self.placed = left;
            for placed in mine {
                todo.entry(placed.at).or_default().push(placed.rule.delete());
            }
            return self.carry_out(todo).await;
        }
        for host in hosts {
            if self.placed.iter().any(|placed| placed.breaks.is_none() && placed.at == *host) {
                continue;
            }
            let listed = self.machine(host)?.script("awk '/^nameserver/ { print $2 }' /etc/resolv.conf").await?;
            for server in listed.lines().filter_map(|line| line.trim().parse().ok()) {
                self.numbers += 1;
                let (number, end, effect) = (self.numbers, End::Receiver, Effect::Unanswered);
                let rule = Rule { number, from: server, to: None, end, effect };
                todo.entry(host.clone()).or_default().push(rule.insert());
                self.placed.push(Placed { breaks: None, rule, at: host.clone(), carried: 0 });
            }
        }
        self.carry_out(todo).await
    }

    /// How many packets of these links one part has had an effect on until now, ever.
    ///
    /// # Errors
    /// When a host does not say.
    pub async fn affected(&self, routes: &[Route], part: Part) -> Result<u64, Trouble> {
        let mine: Vec<Placed> = self.standing(routes, part).cloned().collect();
        let live: u64 = self.count(&mine).await?.values().sum();
        let gone: u64 = routes.iter().filter_map(|route| self.counted.get(&(route.clone(), part))).sum();
        Ok(live + gone)
    }

    /// How many questions about names were left unanswered on these hosts; of those that are answered again, none.
    ///
    /// # Errors
    /// When a host does not say.
    pub async fn unanswered(&self, hosts: &[String]) -> Result<u64, Trouble> {
        let silenced = |placed: &&Placed| placed.breaks.is_none() && hosts.contains(&placed.at);
        let mine: Vec<Placed> = self.placed.iter().filter(silenced).cloned().collect();
        Ok(self.count(&mine).await?.values().sum())
    }

    /// What holds the packets of a delay; `None` when nothing does.
    #[must_use]
    pub fn held_by(&self, routes: &[Route]) -> Option<Mechanism> {
        self.delaying(routes).next().map(|queue| queue.by)
    }

    /// How long packets were really held by the delays of these links, on average; `None` when none was, or the kernel has held
    /// them, which does not say.
    ///
    /// # Errors
    /// When a host does not say.
    pub async fn mean_delay(&self, routes: &[Route]) -> Result<Option<Duration>, Trouble> {
        let counts = try_join_all(self.delaying(routes).map(|queue| queue.counts(&self.machines[&queue.at]))).await?;
        let packets: u64 = counts.iter().map(|counts| counts.packets).sum();
        let held: u64 = counts.iter().map(|counts| counts.held_us).sum();
        Ok(held.checked_div(packets).map(Duration::from_micros))
    }

    /// The queues of these links' delays, each once.
    fn delaying(&self, routes: &[Route]) -> impl Iterator<Item = &Queue> {
        let numbers: BTreeSet<u16> =
            self.standing(routes, Part::Delay).filter_map(|placed| placed.rule.effect.queue()).collect();
        self.queues.iter().filter(move |queue| numbers.contains(&queue.number))
    }

    fn standing(&self, routes: &[Route], part: Part) -> impl Iterator<Item = &Placed> {
        let breaks = move |placed: &&Placed| {
            placed.breaks.as_ref().is_some_and(|(route, is)| *is == part && routes.contains(route))
        };
        self.placed.iter().filter(breaks)
    }

    /// What these rules have counted until now, by their numbers.
    pub(super) async fn count(&self, rules: &[Placed]) -> Result<BTreeMap<u32, u64>, Trouble> {
        let hosts: BTreeSet<&String> = rules.iter().map(|placed| &placed.at).collect();
        let listed = try_join_all(hosts.into_iter().map(|host| self.listed(host))).await?;
        let live: BTreeMap<u32, u64> = listed.into_iter().flatten().collect();
        let mut counts = BTreeMap::new();
        for placed in rules {
            let now = match placed.rule.effect {
                // Every packet passes the queue; only those that had to wait were affected.
                Effect::Narrow(number) => self.waited(number).await?,
                _ => live.get(&placed.rule.number).copied().unwrap_or(0),
            };
            counts.insert(placed.rule.number, placed.carried + now);
        }
        Ok(counts)
    }

    async fn listed(&self, host: &str) -> Result<BTreeMap<u32, u64>, Trouble> {
        let machine = self.machine(host)?;
        match machine.state().await? {
            State::Running => Ok(counters(&machine.script(LIST).await?)),
            // A paused container's counters are read when it goes on, a stopped one's were kept before it stopped.
            State::Paused | State::Stopped => Ok(BTreeMap::new()),
        }
    }

    /// How many packets had to wait in a narrow link's queue.
    async fn waited(&self, number: u16) -> Result<u64, Trouble> {
        let Some(queue) = self.queues.iter().find(|queue| queue.number == number) else { return Ok(0) };
        let counts = queue.counts(self.machine(&queue.at)?).await?;
        Ok(counts.waited + counts.dropped)
    }

    /// The hosts of these links in which no command can be run now.
    async fn unreachable(&self, routes: impl Iterator<Item = &Route>) -> Result<BTreeSet<String>, Trouble> {
        let hosts: BTreeSet<&String> = routes.flat_map(|route| [&route.from, &route.to]).collect();
        let states = try_join_all(hosts.into_iter().map(async |host| {
            let state = self.machine(host)?.state().await?;
            Ok::<_, Trouble>((host.clone(), state))
        }));
        Ok(states.await?.into_iter().filter(|(_, state)| *state != State::Running).map(|(host, _)| host).collect())
    }

    /// Where a rule for a link stands: see [`rules`](super::rules).
    fn place(route: &Route, unreachable: &BTreeSet<String>) -> (End, String) {
        if unreachable.contains(&route.to) && !unreachable.contains(&route.from) {
            return (End::Sender, route.from.clone());
        }
        (End::Receiver, route.to.clone())
    }
}
