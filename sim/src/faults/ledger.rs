//! What is wrong at present: every fault that lasts, so that it can be ended and its effect can be shown.

use std::{collections::BTreeMap, time::Duration};

use pgdrill_lab::scenario::{Process, Route};

/// A lasting fault.
#[derive(Clone, Debug)]
pub(crate) struct Standing {
    /// Its line in the timeline, and which repetition.
    pub(crate) index: usize,
    pub(crate) repetition: u32,
    /// What to undo.
    pub(crate) kind: Kind,
    /// The label of the step.
    pub(crate) label: Option<String>,
    /// When it began, in the engine's time.
    pub(crate) since: Duration,
    /// Whether its effect has been seen and recorded already.
    pub(crate) verified: bool,
    /// What the evidence is counted from.
    pub(crate) mark: u64,
}

/// Kinds of lasting faults with what undoes them.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    /// Cut links.
    Cut(Vec<Route>),
    /// Slow links.
    Delay(Vec<Route>),
    /// Lossy links.
    Loss(Vec<Route>),
    /// Processes that were killed or stopped, by host.
    Down(Process, Vec<String>),
    /// Hosts without power.
    Dark(Vec<String>),
    /// Frozen processes (`None`: whole hosts).
    Frozen(Option<Process>, Vec<String>),
    /// Clocks that run wrong.
    Drift(Vec<String>),
    /// Full disks.
    Full(Vec<String>),
    /// Slow disks.
    SlowFsync(Vec<String>),
    /// Paused replay.
    ReplayPaused(Vec<String>),
    /// Hosts without DNS.
    NoDns(Vec<String>),
    /// Maintenance mode.
    Paused,
}

impl Kind {
    /// Whether `heal: all` ends it: faults of the network.
    pub(crate) const fn is_of_the_network(&self) -> bool {
        matches!(self, Self::Cut(_) | Self::Delay(_) | Self::Loss(_) | Self::NoDns(_))
    }

    /// The links it is about.
    pub(crate) fn routes(&self) -> &[Route] {
        match self {
            Self::Cut(routes) | Self::Delay(routes) | Self::Loss(routes) => routes,
            _ => &[],
        }
    }
}

/// How often each link is cut: two cuts of one link need two heals.
#[derive(Debug, Default)]
pub(crate) struct Cuts(BTreeMap<Route, u32>);

impl Cuts {
    /// Whether this was the first cut of the link.
    pub(crate) fn add(&mut self, route: &Route) -> bool {
        let count = self.0.entry(route.clone()).or_default();
        *count += 1;
        *count == 1
    }

    /// Whether this was the last.
    pub(crate) fn remove(&mut self, route: &Route) -> bool {
        let Some(count) = self.0.get_mut(route) else { return false };
        *count -= 1;
        let gone = *count == 0;
        if gone {
            self.0.remove(route);
        }
        gone
    }
}
