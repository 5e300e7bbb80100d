//! Lasting faults: what has to be undone, and what shows that they had an effect.

use std::time::Duration;

use super::Line;
use crate::{
    event::At,
    scenario::{ClockRate, Process, Route},
};

/// A lasting fault.
#[derive(Clone, Debug)]
pub struct Standing {
    /// Who began it.
    pub line: Line,
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

/// By how much packets are late.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lateness {
    /// Every packet by so much.
    pub add: Duration,
    /// And by up to so much more.
    pub jitter: Duration,
}

/// Kinds of lasting faults with what undoes them, and how bad they are where that is a matter of degree.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// Cut links.
    Cut(Vec<Route>),
    /// Slow links.
    Delay(Vec<Route>, Lateness),
    /// Lossy links, with the probability that a packet is lost.
    Loss(Vec<Route>, f64),
    /// Narrow links, with the bytes that pass in a second.
    Bandwidth(Vec<Route>, u64),
    /// Processes that were killed or stopped, by host.
    Down(Process, Vec<String>),
    /// Hosts without power.
    Dark(Vec<String>),
    /// Frozen processes (`None`: whole hosts).
    Frozen(Option<Process>, Vec<String>),
    /// Clocks that run wrong.
    Drift(Vec<String>, ClockRate),
    /// Full disks.
    Full(Vec<String>),
    /// Slow disks, with what each fsync takes longer.
    SlowFsync(Vec<String>, Duration),
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
        matches!(self, Self::Cut(_) | Self::Delay(..) | Self::Loss(..) | Self::Bandwidth(..) | Self::NoDns(_))
    }

    /// The links it is about.
    #[must_use]
    pub fn routes(&self) -> &[Route] {
        match self {
            Self::Cut(routes) | Self::Delay(routes, _) | Self::Loss(routes, _) | Self::Bandwidth(routes, _) => routes,
            _ => &[],
        }
    }

    /// The hosts it is about; none for a fault of links or of the whole cluster.
    #[must_use]
    pub fn hosts(&self) -> &[String] {
        match self {
            Self::Down(_, hosts) | Self::Dark(hosts) | Self::Frozen(_, hosts) | Self::Drift(hosts, _) => hosts,
            Self::Full(hosts) | Self::SlowFsync(hosts, _) | Self::ReplayPaused(hosts) | Self::NoDns(hosts) => hosts,
            Self::Cut(_) | Self::Delay(..) | Self::Loss(..) | Self::Bandwidth(..) | Self::Paused => &[],
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

    /// Whether it is over when the machine is reset: down, dark and frozen.
    pub(super) const fn ends_with_a_reset(&self) -> bool {
        matches!(self, Self::Down(..) | Self::Dark(_) | Self::Frozen(..))
    }

    /// The hosts of what can be undone host by host.
    pub(super) const fn hosts_mut(&mut self) -> Option<&mut Vec<String>> {
        match self {
            Self::Down(_, hosts) | Self::Dark(hosts) | Self::Frozen(_, hosts) => Some(hosts),
            Self::Full(hosts) | Self::ReplayPaused(hosts) => Some(hosts),
            _ => None,
        }
    }
}
