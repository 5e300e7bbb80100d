//! What hostile things happen in a walk.

use std::fmt::{self, Display, Formatter};

use super::NAMES;
use super::link::Link;
use super::node::Still;

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Event {
    /// So many seconds go by.
    Pass(u64),
    /// The way from a node to etcd.
    Link(usize, Link),
    /// The way from every node to etcd.
    Etcd(Link),
    /// A node's oldest request that waits on its way arrives, or the oldest answer.
    Deliver(usize),
    /// The way from a node to another's REST API.
    Rest(usize, usize, Link),
    /// Whether WAL goes to and from a node.
    CutOff(usize, bool),
    /// A node stands still, after so many further steps of its loop.
    Still(usize, Still, u32),
    /// A node goes on where it stood still.
    GoOn(usize),
    /// A node's PostgreSQL crashes.
    Crash(usize),
    /// A node's PostgreSQL takes its time to start, stop and promote.
    Slow(usize, bool),
    /// etcd's leader does not look for expired leases.
    Lazy(bool),
    /// An operator asks for a switchover from whoever leads.
    Switchover(usize),
    /// An operator asks for a failover, whoever leads, and if nobody does. What that loses is the operator's own risk.
    Failover(usize),
}

impl Display for Event {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let way = |link: Link| match link {
            Link::Open => "is open",
            Link::Cut => "is cut",
            Link::Held => "holds requests up",
            Link::Mute => "swallows answers",
        };
        match *self {
            Event::Pass(seconds) => write!(f, "{seconds} s go by"),
            Event::Link(n, link) => write!(f, "the way from {} to etcd {}", NAMES[n], way(link)),
            Event::Etcd(link) => write!(f, "the way from everybody to etcd {}", way(link)),
            Event::Deliver(n) => write!(f, "one request of {} to etcd arrives, or one answer", NAMES[n]),
            Event::Rest(from, to, link) => write!(f, "the way from {} to {} {}", NAMES[from], NAMES[to], way(link)),
            Event::CutOff(n, true) => write!(f, "no WAL goes to and from {}", NAMES[n]),
            Event::CutOff(n, false) => write!(f, "WAL goes to and from {} again", NAMES[n]),
            Event::Still(n, still, after) => {
                let what = if still == Still::Frozen { "is frozen" } else { "has a loop that stands still" };
                write!(f, "{} {what} after {after} steps", NAMES[n])
            }
            Event::GoOn(n) => write!(f, "{} goes on where it stood still", NAMES[n]),
            Event::Crash(n) => write!(f, "PostgreSQL on {} crashes", NAMES[n]),
            Event::Slow(n, true) => write!(f, "PostgreSQL on {} becomes slow", NAMES[n]),
            Event::Slow(n, false) => write!(f, "PostgreSQL on {} is slow no more", NAMES[n]),
            Event::Lazy(true) => f.write_str("etcd looks for no expired leases"),
            Event::Lazy(false) => f.write_str("etcd looks for expired leases again"),
            Event::Failover(to) => write!(f, "an operator asks for a failover to {}", NAMES[to]),
            Event::Switchover(to) => write!(f, "an operator asks for a switchover to {}", NAMES[to]),
        }
    }
}
