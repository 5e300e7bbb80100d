//! The event stream: everything that was seen from outside during a run, in one order.
//!
//! Every world writes the same events; as JSON Lines they are what `--events FILE` saves and what the reports draw.

mod recorder;

pub use recorder::Recorder;
use serde::{Deserialize, Serialize};

/// Time since the start of the scenario, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct At(pub u64);

impl At {
    /// From whole milliseconds.
    #[must_use]
    pub const fn from_ms(ms: u64) -> Self {
        Self(ms * 1_000_000)
    }
    /// From whole seconds.
    #[must_use]
    pub const fn from_secs(s: u64) -> Self {
        Self(s * 1_000_000_000)
    }
    /// In seconds.
    #[must_use]
    pub fn secs(self) -> f64 {
        self.0 as f64 / 1e9
    }
    /// The time from `earlier` until this; zero when it is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> std::time::Duration {
        std::time::Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl std::fmt::Display for At {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.3}s", self.secs())
    }
}

/// One thing that was seen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// When, in true time since the start (not by any host's own clock).
    pub at: At,
    /// Position in the stream: breaks ties in time, and names an event in reports.
    pub ordinal: u64,
    /// Who it is about: `pg1`, `etcd2`, `haproxy`, `client3`, or `lab`.
    pub node: String,
    /// What was seen.
    #[serde(flatten)]
    pub what: What,
}

/// What was seen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum What {
    /// An event of the scenario's timeline was carried out (or could not be).
    Fault {
        /// Position in the scenario's timeline, from 0; repetitions and the end of a `for:` share it.
        index: usize,
        /// The line as people read it: `cut pg1 <-> etcd1, etcd2, etcd3`.
        text: String,
        /// What became of it.
        phase: FaultPhase,
        /// The hosts that it was resolved to.
        targets: Vec<String>,
    },
    /// A process of a host changed its state.
    Process {
        /// `agent`, `postgres`, `etcd`, `haproxy`, ...
        process: String,
        /// Its new state.
        state: ProcessState,
        /// Why, or how it ended.
        detail: String,
    },
    /// A key of the scope changed in the DCS (node: the member whose watch reported it).
    Dcs {
        /// The key below the scope: `leader`, `members/pg1`, `sync`.
        key: String,
        /// Its new value, `None` when deleted or expired.
        value: Option<String>,
        /// etcd's modification revision.
        mod_revision: i64,
        /// The lease it hangs on, 0 for none.
        lease: i64,
    },
    /// A REST probe of a node's agent.
    Rest {
        /// `/primary`, `/replica`, `/patroni`.
        path: String,
        /// HTTP status, `None` when there was no answer in time.
        status: Option<u16>,
        /// When the probe was sent: the answer was true at some moment from then until [`Event::at`].
        asked_at: At,
        /// The JSON body where the path has one worth keeping.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        body: Option<serde_json::Value>,
    },
    /// A SQL probe of a node's PostgreSQL.
    Sql {
        /// What it answered; `None` when it did not.
        state: Option<SqlState>,
        /// When the probe was sent.
        asked_at: At,
        /// The error where it did not answer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    },
    /// A client sent an operation.
    Invoke {
        /// Unique in the run.
        op: u64,
        /// What it asked for.
        action: Action,
    },
    /// A client's operation ended.
    Return {
        /// The operation.
        op: u64,
        /// How.
        outcome: Outcome,
        /// The node that answered (as it named itself on the connection), where known.
        server: Option<String>,
    },
    /// What a node's tables held when the run was over, read after everything healed.
    Rows {
        /// Every write found, as (id, key), ascending, with repetitions.
        rows: Vec<(u64, u32)>,
        /// Whether the node was out of recovery.
        primary: bool,
    },
    /// The settled state of the cluster was read at the end of the run.
    End {
        /// Everything in the DCS below the scope.
        dcs: std::collections::BTreeMap<String, String>,
        /// Replication slots by node.
        slots: std::collections::BTreeMap<String, Vec<Slot>>,
    },
    /// The agent's own words: drawn in the timeline, never judged.
    Decision {
        /// The reason in words.
        reason: String,
        /// The ordered actions in words, empty when nothing was done.
        actions: Vec<String>,
    },
    /// Remarks of the lab or the agent for the reader; never judged.
    Note {
        /// The remark.
        text: String,
    },
}

/// What became of an event of the timeline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum FaultPhase {
    /// It was carried out.
    Applied,
    /// It has had its effect, with the evidence (`17 packets held`).
    Verified {
        /// The evidence.
        evidence: String,
    },
    /// It ended (healed, thawed, `for:` over).
    Ended,
    /// It had no effect; the run proves nothing.
    Vacuous {
        /// Why.
        why: String,
    },
    /// An operator action was refused or failed.
    Refused {
        /// The answer.
        why: String,
    },
}

/// The state of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProcessState {
    /// Started.
    Started,
    /// Ended by itself or by request.
    Exited,
    /// Killed without warning, or lost with its host's power.
    Killed,
    /// Stopped from running (SIGSTOP).
    Frozen,
    /// Running again.
    Thawed,
}

/// What PostgreSQL says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SqlState {
    /// `pg_is_in_recovery()`.
    pub in_recovery: bool,
    /// The timeline it writes, or receives and replays; 0 when unknown.
    pub timeline: u32,
    /// Primary: current WAL flush position; standby: the furthest received or replayed. Bytes.
    pub lsn: u64,
    /// Standby: replayed position.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replayed_lsn: Option<u64>,
    /// Standby: the host it streams from while its WAL receiver is streaming.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub streaming_from: Option<String>,
    /// Primary: `application_name` and `sync_state` of every standby that streams from it, in that order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub standbys: Vec<(String, String)>,
    /// `synchronous_standby_names`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub synchronous_standby_names: String,
    /// The history file of its timeline, as (timeline, switch LSN) from the oldest; empty on timeline 1.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<(u32, u64)>,
}

/// A replication slot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    /// `slot_name`.
    pub name: String,
    /// Whether somebody streams from it.
    pub active: bool,
    /// `restart_lsn` in bytes, `None` when it reserves nothing.
    pub restart_lsn: Option<u64>,
}

/// What a client asks for. Writes insert one row `(id, key)`; ids grow over the run, so that the largest id of a key is a
/// register whose histories can be checked for linearizability.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Insert the row.
    Write {
        /// Unique and growing in the order of invocation.
        id: u64,
        /// The key.
        key: u32,
    },
    /// Read the largest id of a key from the primary.
    Read {
        /// The key.
        key: u32,
    },
}

/// How an operation ended. An error after sending is never read as "did not happen".
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "result")]
pub enum Outcome {
    /// The server said yes.
    Acknowledged {
        /// Reads: the largest id found, `None` when the key has no row. Writes: absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        value: Option<u64>,
    },
    /// It certainly did not happen: no connection, or the server said no before doing it.
    Refused {
        /// The error, with its SQLSTATE where there is one.
        why: String,
    },
    /// Nobody can say: the connection broke or the time was up after it was sent.
    Unknown {
        /// The error.
        why: String,
    },
}

/// Whole milliseconds of a duration, as reports give them.
pub(crate) fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
