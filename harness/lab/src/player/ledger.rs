//! What is wrong at present: every fault that lasts, so that it can be ended and its effect can be shown; the labels that
//! steps gave; and the draws from the seed.

use std::collections::{BTreeMap, BTreeSet};

use super::{Kind, Standing, pick::Picks};
use crate::scenario::{Facts, HealSpec, Link, Route, Selector, Step, resolve};

/// The bookkeeping of a run's faults.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    standing: Vec<Standing>,
    labels: BTreeMap<String, Vec<String>>,
    /// Machines whose fault was ended by their watchdog, until the next one.
    reset: BTreeSet<String>,
    picks: Picks,
}

/// Which line of the timeline, and which repetition of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// Its position in the timeline, from 0.
    pub index: usize,
    /// Which repetition of it, from 0.
    pub repetition: u32,
}

impl Ledger {
    /// Nothing is wrong yet. The seed decides which replica `any replica` is.
    pub(super) fn new(seed: u64) -> Self {
        Self { picks: Picks::new(seed), ..Self::default() }
    }

    /// Hosts by the label that an earlier step gave them, for [`Facts`].
    pub(super) const fn labels(&self) -> &BTreeMap<String, Vec<String>> {
        &self.labels
    }

    /// Gives hosts the label of a step, if it has one.
    pub(super) fn bind(&mut self, step: &Step, hosts: &[String]) {
        if let Some(label) = &step.label {
            self.labels.insert(label.clone(), hosts.to_vec());
        }
    }

    /// The hosts that a step's selector means now.
    pub(super) fn targets(&self, step: &Step, line: Line, facts: &Facts) -> Vec<String> {
        step.action.target().map_or_else(Vec::new, |selector| self.resolve(&selector, step, line, facts))
    }

    /// The hosts that a selector of a step means now.
    pub(super) fn resolve(&self, selector: &Selector, step: &Step, line: Line, facts: &Facts) -> Vec<String> {
        resolve(selector, facts, &mut self.picks.of(step, line.repetition))
    }

    /// The directed links that a link of a step means now.
    pub(super) fn routes(&self, link: &Link, step: &Step, line: Line, facts: &Facts) -> Vec<Route> {
        link.routes(facts, &mut self.picks.of(step, line.repetition))
    }

    /// Remembers a fault that lasts.
    pub(super) fn stand(&mut self, fault: Standing) {
        self.reset.retain(|host| !fault.kind.hosts().contains(host));
        self.standing.push(fault);
    }

    /// The effect of what a line began has been seen and recorded.
    pub(super) fn verify(&mut self, line: Line) {
        self.of(line).for_each(|fault| fault.verified = true);
    }

    /// The evidence of what a line began is counted from this on.
    pub(super) fn mark(&mut self, line: Line, mark: u64) {
        self.of(line).for_each(|fault| fault.mark = mark);
    }

    fn of(&mut self, line: Line) -> impl Iterator<Item = &mut Standing> {
        self.standing.iter_mut().filter(move |fault| fault.line == line)
    }

    /// What is wrong at present, the oldest first.
    pub(super) fn standing(&self) -> &[Standing] {
        &self.standing
    }

    /// Takes every standing fault that `which` says out of the ledger, for the world to undo.
    pub(super) fn take_where(&mut self, which: impl Fn(&Standing) -> bool) -> Vec<Standing> {
        let (taken, left) = std::mem::take(&mut self.standing).into_iter().partition(which);
        self.standing = left;
        taken
    }

    /// Takes what one repetition of a line began: its `for:` is over.
    pub(super) fn take_of(&mut self, line: Line) -> Vec<Standing> {
        self.take_where(|fault| fault.line == line)
    }

    /// Takes what a `heal` ends.
    pub(super) fn take_healed(&mut self, spec: &HealSpec, step: &Step, line: Line, facts: &Facts) -> Vec<Standing> {
        match spec {
            HealSpec::Named(all) if all == "all" => self.take_where(|s| s.kind.is_of_the_network()),
            HealSpec::Named(label) => self.take_where(|s| s.label.as_ref() == Some(label)),
            HealSpec::Links(link) => {
                let routes = self.routes(link, step, line, facts);
                self.take_where(|s| s.kind.routes().iter().any(|r| routes.contains(r)))
            }
        }
    }

    /// What was undone on these hosts by a line of its own (`start`, `thaw`, `power_on`, `disk_free`, `replay_resume`) no longer
    /// stands there. The faults of which nothing stands any more.
    pub(super) fn forget(&mut self, like: &Kind, hosts: &[String]) -> Vec<Standing> {
        self.leave(hosts, |kind| kind.is_like(like))
    }

    /// Whatever was down, dark or frozen on this host no longer is: its watchdog has reset the machine.
    pub(super) fn was_reset(&mut self, host: &str) {
        let ends = |fault: &Standing| fault.kind.ends_with_a_reset() && fault.kind.hosts().iter().any(|h| h == host);
        if self.standing.iter().any(ends) {
            self.reset.insert(host.to_owned());
        }
        self.leave(&[host.to_owned()], Kind::ends_with_a_reset);
    }

    /// Those of these hosts whose last fault was ended by their watchdog.
    pub(super) fn reset_among(&self, hosts: &[String]) -> Vec<String> {
        hosts.iter().filter(|host| self.reset.contains(*host)).cloned().collect()
    }

    fn leave(&mut self, hosts: &[String], which: impl Fn(&Kind) -> bool) -> Vec<Standing> {
        let mut over = vec![];
        self.standing.retain_mut(|fault| {
            let whole = fault.clone();
            let Some(lasting) = fault.kind.hosts_mut().filter(|_| which(&whole.kind)) else { return true };
            lasting.retain(|host| !hosts.contains(host));
            let any = !lasting.is_empty();
            if !any {
                over.push(whole);
            }
            any
        });
        over
    }
}
