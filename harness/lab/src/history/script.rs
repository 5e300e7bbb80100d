//! A short way to write histories by hand, for the oracles' tests. Times are seconds, as people count them.

use super::History;
use crate::event::{Action, At, Event, FaultPhase, Outcome, ProcessState, SqlState, What};

/// A history in the making. Events may be given in any order of time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Script {
    pub(crate) events: Vec<Event>,
    pub(crate) next_id: u64,
    pub(crate) next_op: u64,
    pub(crate) next_revision: i64,
}

/// Seconds to a time.
pub(crate) fn at(seconds: f64) -> At {
    At((seconds * 1e9) as u64)
}

/// What a primary says of itself.
pub(crate) fn primary(timeline: u32, lsn: u64) -> SqlState {
    SqlState {
        in_recovery: false,
        timeline,
        lsn,
        replayed_lsn: None,
        streaming_from: None,
        standbys: Vec::new(),
        synchronous_standby_names: String::new(),
        history: (1..timeline).map(|t| (t, u64::from(t) * 1_000)).collect(),
    }
}

/// What a standby says of itself.
pub(crate) fn standby(timeline: u32, lsn: u64, from: &str) -> SqlState {
    SqlState {
        in_recovery: true,
        replayed_lsn: Some(lsn),
        streaming_from: (!from.is_empty()).then(|| from.to_owned()),
        ..primary(timeline, lsn)
    }
}

impl Script {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn history(&self) -> History<'_> {
        History::of(&self.events)
    }

    pub(crate) fn push(mut self, seconds: f64, node: &str, what: What) -> Self {
        let ordinal = self.events.len() as u64;
        self.events.push(Event { at: at(seconds), ordinal, node: node.to_owned(), what });
        self
    }

    /// A key gets a value.
    pub(crate) fn dcs(self, seconds: f64, key: &str, value: &str) -> Self {
        self.key(seconds, key, Some(value))
    }

    /// A key gets a value, or is deleted.
    pub(crate) fn key(mut self, seconds: f64, key: &str, value: Option<&str>) -> Self {
        self.next_revision += 1;
        let (key, value, mod_revision) = (key.to_owned(), value.map(str::to_owned), self.next_revision);
        self.push(seconds, "pg1", What::Dcs { key, value, mod_revision, lease: 0 })
    }

    /// A node takes the leader key.
    pub(crate) fn leader(self, seconds: f64, node: &str) -> Self {
        self.dcs(seconds, "leader", node)
    }

    /// The leader key expires.
    pub(crate) fn no_leader(self, seconds: f64) -> Self {
        self.key(seconds, "leader", None)
    }

    /// One operation that returns.
    pub(crate) fn operation(
        mut self,
        from: f64,
        to: f64,
        action: Action,
        outcome: Outcome,
        server: Option<&str>,
    ) -> Self {
        let op = self.next_op;
        self.next_op += 1;
        self.push(from, "client1", What::Invoke { op, action }).push(
            to,
            "client1",
            What::Return { op, outcome, server: server.map(str::to_owned) },
        )
    }

    /// The id of the next write.
    pub(crate) fn next_id(&self) -> u64 {
        self.next_id
    }

    fn write_action(&mut self) -> Action {
        let id = self.next_id;
        self.next_id += 1;
        Action::Write { id, key: (id % 4) as u32 }
    }

    /// One acknowledged write.
    pub(crate) fn write(mut self, server: &str, from: f64, to: f64) -> Self {
        let action = self.write_action();
        self.operation(from, to, action, Outcome::Acknowledged { value: None }, Some(server))
    }

    /// Acknowledged writes, one each second.
    pub(crate) fn writes(mut self, server: &str, from: f64, to: f64) -> Self {
        let mut now = from;
        while now < to {
            self = self.write(server, now, now + 0.01);
            now += 1.0;
        }
        self
    }

    /// A refused write.
    pub(crate) fn refused(mut self, from: f64, to: f64) -> Self {
        let action = self.write_action();
        self.operation(from, to, action, Outcome::Refused { why: "no".into() }, None)
    }

    /// A write of which nobody can say.
    pub(crate) fn unknown(mut self, from: f64, to: f64) -> Self {
        let action = self.write_action();
        self.operation(from, to, action, Outcome::Unknown { why: "time is up".into() }, None)
    }

    /// A node's tables at the end: the given ids, each under the key that [`Script::write`] gave it.
    pub(crate) fn rows(self, seconds: f64, node: &str, primary: bool, ids: impl IntoIterator<Item = u64>) -> Self {
        let rows = ids.into_iter().map(|id| (id, (id % 4) as u32)).collect();
        self.push(seconds, node, What::Rows { rows, primary })
    }

    /// A SQL probe that was sent a tenth of a second before its answer.
    pub(crate) fn sql(self, seconds: f64, node: &str, state: Option<SqlState>) -> Self {
        self.push(seconds, node, What::Sql { state, asked_at: at(seconds - 0.1), error: None })
    }

    /// A REST probe that was sent a tenth of a second before its answer.
    pub(crate) fn rest(self, seconds: f64, node: &str, path: &str, status: Option<u16>) -> Self {
        let asked_at = at(seconds - 0.1);
        self.push(seconds, node, What::Rest { path: path.to_owned(), status, asked_at, body: None })
    }

    /// Something of the timeline's first event.
    pub(crate) fn fault(self, seconds: f64, phase: FaultPhase) -> Self {
        self.push(seconds, "lab", What::Fault { index: 0, text: "kill pg1".into(), phase, targets: vec!["pg1".into()] })
    }

    /// PostgreSQL or the agent changes its state.
    pub(crate) fn process(self, seconds: f64, node: &str, process: &str, state: ProcessState) -> Self {
        self.push(seconds, node, What::Process { process: process.to_owned(), state, detail: String::new() })
    }
}
