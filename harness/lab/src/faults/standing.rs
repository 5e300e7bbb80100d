//! Lasting faults: what has to be undone, and what shows that they had an effect.

use crate::{
    event::At,
    scenario::{Process, Route},
};

/// A lasting fault.
#[derive(Clone, Debug)]
pub struct Standing {
    /// Its line in the timeline.
    pub index: usize,
    /// Which repetition of it, from 0.
    pub repetition: u32,
    /// What to undo.
    pub kind: Kind,
    /// The label of the step.
    pub label: Option<String>,
    /// When it began.
    pub since: At,
    /// Whether its effect has been seen and recorded already.
    pub verified: bool,
    /// What the evidence is counted from, in the world's own measure.
    pub mark: u64,
}

/// Kinds of lasting faults with what undoes them.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// Cut links.
    Cut(Vec<Route>),
    /// Slow links.
    Delay(Vec<Route>),
    /// Lossy links.
    Loss(Vec<Route>),
    /// Narrow links.
    Bandwidth(Vec<Route>),
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
    #[must_use]
    pub const fn is_of_the_network(&self) -> bool {
        matches!(self, Self::Cut(_) | Self::Delay(_) | Self::Loss(_) | Self::Bandwidth(_) | Self::NoDns(_))
    }

    /// The links it is about.
    #[must_use]
    pub fn routes(&self) -> &[Route] {
        match self {
            Self::Cut(routes) | Self::Delay(routes) | Self::Loss(routes) | Self::Bandwidth(routes) => routes,
            _ => &[],
        }
    }

    /// Of the same kind; of processes also of the same process.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Down(a, _), Self::Down(b, _)) => a == b,
            (Self::Frozen(a, _), Self::Frozen(b, _)) => a == b,
            _ => std::mem::discriminant(self) == std::mem::discriminant(other),
        }
    }

    /// The hosts of what can be undone host by host: down, dark and frozen.
    pub(super) const fn lasting_hosts(&mut self) -> Option<&mut Vec<String>> {
        match self {
            Self::Down(_, hosts) | Self::Dark(hosts) | Self::Frozen(_, hosts) => Some(hosts),
            _ => None,
        }
    }
}
