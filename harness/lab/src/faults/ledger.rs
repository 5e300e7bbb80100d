//! What is wrong at present: every fault that lasts, so that it can be ended and its effect can be shown; the labels that
//! steps gave; and the draws from the seed.

use std::collections::BTreeMap;

use super::{Kind, Standing};
use crate::{
    event::At,
    scenario::{Action, Facts, HealSpec, Link, Route, Selector, Step, resolve},
    world::draw,
};

/// The bookkeeping of a run's faults.
#[derive(Debug, Default)]
pub struct Ledger {
    standing: Vec<Standing>,
    labels: BTreeMap<String, Vec<String>>,
    seed: u64,
    draws: u64,
}

/// A line of the timeline as it is carried out.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a> {
    /// Its position in the timeline.
    pub index: usize,
    /// Which repetition of it, from 0.
    pub repetition: u32,
    /// What it says.
    pub step: &'a Step,
}

impl Ledger {
    /// Nothing is wrong yet. The seed decides which replica `any replica` is.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { seed, ..Self::default() }
    }

    /// Hosts by the label that an earlier step gave them, for [`Facts`].
    #[must_use]
    pub const fn labels(&self) -> &BTreeMap<String, Vec<String>> {
        &self.labels
    }

    /// Gives hosts the label of a step, if it has one.
    pub fn bind(&mut self, step: &Step, hosts: &[String]) {
        if let Some(label) = &step.label {
            self.labels.insert(label.clone(), hosts.to_vec());
        }
    }

    /// The hosts that the action's selector means now.
    pub fn targets(&mut self, action: &Action, facts: &Facts) -> Vec<String> {
        action.target().map_or_else(Vec::new, |selector| self.resolve(&selector, facts))
    }

    /// The hosts that a selector means now.
    pub fn resolve(&mut self, selector: &Selector, facts: &Facts) -> Vec<String> {
        resolve(selector, facts, &mut self.picker())
    }

    /// The directed links that a link means now.
    pub fn routes(&mut self, link: &Link, facts: &Facts) -> Vec<Route> {
        link.routes(facts, &mut self.picker())
    }

    /// Draws from the seed; every use of it draws anew.
    fn picker(&mut self) -> impl FnMut(usize) -> usize + use<> {
        self.draws += 1;
        let (seed, purpose) = (self.seed, self.draws << 32);
        move |below| (draw(seed, purpose) % below.max(1) as u64) as usize
    }

    /// Remembers a fault that lasts. `mark` is what its evidence is counted from; `verified` says that its effect has been
    /// seen already.
    pub fn stand(&mut self, line: &Line<'_>, kind: Kind, since: At, mark: u64, verified: bool) {
        let (index, repetition, label) = (line.index, line.repetition, line.step.label.clone());
        self.standing.push(Standing { index, repetition, kind, label, since, verified, mark });
    }

    /// What is wrong at present, the oldest first.
    #[must_use]
    pub fn standing(&self) -> &[Standing] {
        &self.standing
    }

    /// Takes every standing fault that `which` says out of the ledger, for the world to undo.
    pub fn take_where(&mut self, which: impl Fn(&Standing) -> bool) -> Vec<Standing> {
        let (taken, left) = std::mem::take(&mut self.standing).into_iter().partition(which);
        self.standing = left;
        taken
    }

    /// Takes what one repetition of a line began: its `for:` is over.
    pub fn take_of(&mut self, index: usize, repetition: u32) -> Vec<Standing> {
        self.take_where(|s| s.index == index && s.repetition == repetition)
    }

    /// Takes what a `heal` ends.
    pub fn take_healed(&mut self, spec: &HealSpec, facts: &Facts) -> Vec<Standing> {
        match spec {
            HealSpec::Named(all) if all == "all" => self.take_where(|s| s.kind.is_of_the_network()),
            HealSpec::Named(label) => self.take_where(|s| s.label.as_ref() == Some(label)),
            HealSpec::Links(link) => {
                let routes = self.routes(link, facts);
                self.take_where(|s| s.kind.routes().iter().any(|r| routes.contains(r)))
            }
        }
    }

    /// What was undone on these hosts by a line of its own (`start`, `thaw`, `power_on`) no longer stands.
    pub fn forget(&mut self, like: &Kind, hosts: &[String]) {
        for fault in self.standing.iter_mut().filter(|fault| fault.kind.is_like(like)) {
            if let Some(lasting) = fault.kind.lasting_hosts() {
                lasting.retain(|host| !hosts.contains(host));
            }
        }
        self.drop_empty();
    }

    /// Whatever was down, dark or frozen on this host no longer is: the machine was reset.
    pub fn forget_host(&mut self, host: &str) {
        for lasting in self.standing.iter_mut().filter_map(|fault| fault.kind.lasting_hosts()) {
            lasting.retain(|h| h != host);
        }
        self.drop_empty();
    }

    fn drop_empty(&mut self) {
        self.standing.retain_mut(|fault| fault.kind.lasting_hosts().is_none_or(|hosts| !hosts.is_empty()));
    }
}
