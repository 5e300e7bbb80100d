//! What a world can be asked for, and what it says of it: the whole of what one world does otherwise than another.

use std::{collections::BTreeSet, time::Duration};

use serde_json::Value;

use super::{Kind, Lateness, Reply};
use crate::scenario::{ClockRate, Process, Route, Shift};

/// A primitive that a world carries out. Hosts are those of the scenario; where an act cannot be done on one of them (nothing
/// runs there, it is so already), the world leaves that host out of its [`Evidence`].
#[derive(Clone, Debug)]
pub enum Act {
    /// Look at what only the world knows: [`Evidence::Seen`].
    Look,
    /// Links are as said from now on: [`Evidence::Done`].
    Links(Vec<(Route, LinkState)>),
    /// Questions about names are answered on these hosts, or not.
    Dns {
        /// Who asks.
        hosts: Vec<String>,
        /// Whether there are answers.
        answers: bool,
    },
    /// SIGKILL. The process is gone when the act is done.
    Kill {
        /// Which.
        process: Process,
        /// Where.
        hosts: Vec<String>,
    },
    /// As an operator stops the service; the end comes later. Of PostgreSQL a fast shutdown.
    Stop {
        /// Which.
        process: Process,
        /// Where.
        hosts: Vec<String>,
    },
    /// Starts what is down, on hosts with power.
    Start {
        /// Which.
        process: Process,
        /// Where.
        hosts: Vec<String>,
        /// With an empty data directory.
        wipe: bool,
    },
    /// Nothing of it runs any more; packets queue.
    Freeze {
        /// Which; `None`: the whole host.
        process: Option<Process>,
        /// Where.
        hosts: Vec<String>,
    },
    /// It goes on.
    Thaw {
        /// Which; `None`: the whole host.
        process: Option<Process>,
        /// Where.
        hosts: Vec<String>,
    },
    /// Takes the power away.
    PowerOff {
        /// Whose.
        hosts: Vec<String>,
    },
    /// Gives power to hosts that have none: services start; PostgreSQL is its agent's to start.
    PowerOn {
        /// Whose.
        hosts: Vec<String>,
    },
    /// Sets wall clocks.
    StepClocks {
        /// Whose.
        hosts: Vec<String>,
        /// How far.
        by: Shift,
    },
    /// Clocks run at these rates from now on; what they are off by stays.
    RunClocks(Vec<(String, ClockRate)>),
    /// No space is left. With words in the evidence, its effect was seen at once.
    FillDisks {
        /// Whose.
        hosts: Vec<String>,
    },
    /// There is space again.
    FreeDisks {
        /// Whose.
        hosts: Vec<String>,
    },
    /// Each fsync takes so much longer from now on.
    SlowFsyncs(Vec<(String, Duration)>),
    /// Gives an order; the answer comes later: [`Evidence::Done`].
    Order {
        /// To whose agent or PostgreSQL.
        to: String,
        /// What.
        order: Order,
        /// Where the answer goes.
        reply: Reply,
    },
    /// Compacts etcd's history; the answer comes later: [`Evidence::Done`].
    CompactEtcd {
        /// Where the answer goes.
        reply: Reply,
    },
    /// How much a fault of this kind has had an effect on until now: [`Evidence::Count`].
    Count(Kind),
    /// Clients begin no operation any more: [`Evidence::Done`].
    StopClients,
    /// The end of the scenario is read, by who observes: [`Evidence::Done`].
    ReadEnd,
    /// Nobody observes any more: [`Evidence::Done`].
    StopObserving,
    /// The rows of all nodes are read: [`Evidence::Done`].
    ReadRows,
}

/// How a directed link is, where it is not as it is by nature.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LinkState {
    /// Whether nothing passes.
    pub is_cut: bool,
    /// By how much packets are late.
    pub late: Option<Lateness>,
    /// How probable it is that a packet is lost, more than 0 and at most 1.
    pub loss: Option<f64>,
    /// How many bytes pass in a second.
    pub bytes_per_second: Option<u64>,
}

/// What an operator asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Order {
    /// `patronictl switchover`.
    Switchover {
        /// Who leads, as the operator names it.
        leader: String,
        /// Who is to lead.
        candidate: Option<String>,
        /// Scheduled for so much later by the operator's own clock; `None`: now.
        after: Option<Duration>,
    },
    /// `patronictl failover`.
    Failover {
        /// Who is to lead.
        candidate: String,
    },
    /// `patronictl restart`.
    Restart,
    /// `patronictl reinit`.
    Reinitialize,
    /// `patronictl edit-config`, `pause` and `resume`: `null` removes a setting.
    EditConfig(Value),
    /// `SELECT pg_wal_replay_pause()`.
    ReplayPause,
    /// `SELECT pg_wal_replay_resume()`.
    ReplayResume,
}

/// What came of an act.
#[derive(Clone, Debug, PartialEq)]
pub enum Evidence {
    /// It was done, and there is nothing to say of it.
    Done,
    /// It was done on these hosts of those that were named.
    On {
        /// The hosts.
        hosts: Vec<String>,
        /// What the world adds; empty where there is nothing to add.
        words: String,
    },
    /// It was done and cannot have had an effect.
    Nothing {
        /// Why not.
        why: String,
    },
    /// What only the world knows.
    Seen(Seen),
    /// A number that grows with each effect of a fault.
    Count {
        /// The number, in the world's own measure.
        number: u64,
        /// What the world adds; empty where there is nothing to add.
        words: String,
    },
}

impl Evidence {
    /// Done on these hosts.
    #[must_use]
    pub const fn on(hosts: Vec<String>) -> Self {
        Self::On { hosts, words: String::new() }
    }

    /// The hosts that it was done on. An answer to something else names none, and is never taken for an effect.
    pub(super) fn hosts(self) -> Vec<String> {
        self.hosts_and_words().0
    }

    pub(super) fn hosts_and_words(self) -> (Vec<String>, String) {
        match self {
            Self::On { hosts, words } => (hosts, words),
            _ => Default::default(),
        }
    }

    pub(super) fn count(self) -> (u64, String) {
        match self {
            Self::Count { number, words } => (number, words),
            _ => Default::default(),
        }
    }

    pub(super) fn seen(self) -> Seen {
        match self {
            Self::Seen(seen) => seen,
            _ => Seen::default(),
        }
    }
}

/// What only the world knows of the cluster at a moment. Everything else that selectors need was observed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// The nodes whose PostgreSQL runs.
    pub up: BTreeSet<String>,
    /// The host of etcd's leader.
    pub etcd_leader: Option<String>,
}
