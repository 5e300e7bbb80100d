//! SQL and REST probes by node, in order of time.
//!
//! A probe's answer was true at some moment between the question and the answer. Oracles use both ends, so that only what is
//! certain counts.

use std::collections::BTreeMap;

use crate::event::{At, Event, SqlState};

/// A SQL probe.
#[derive(Clone, Copy, Debug)]
pub struct SqlProbe<'a> {
    /// When it was sent.
    pub asked_at: At,
    /// When it was answered, or given up.
    pub at: At,
    /// Ordinal of the event.
    pub ordinal: u64,
    /// What PostgreSQL said; `None` when it did not answer.
    pub state: Option<&'a SqlState>,
}

/// A REST probe.
#[derive(Clone, Copy, Debug)]
pub struct RestProbe<'a> {
    /// The node asked.
    pub node: &'a str,
    /// The path.
    pub path: &'a str,
    /// When it was sent.
    pub asked_at: At,
    /// When it was answered, or given up.
    pub at: At,
    /// Ordinal of the event.
    pub ordinal: u64,
    /// HTTP status; `None` without an answer.
    pub status: Option<u16>,
}

/// All probes.
#[derive(Clone, Debug, Default)]
pub struct Probes<'a> {
    sql: BTreeMap<&'a str, Vec<SqlProbe<'a>>>,
    rest: Vec<RestProbe<'a>>,
}

impl<'a> Probes<'a> {
    pub(super) fn take_sql(&mut self, event: &'a Event, state: Option<&'a SqlState>, asked_at: At) {
        // A question later than its answer is a recorder's slip; the answer's time is the safe reading.
        let asked_at = asked_at.min(event.at);
        let probe = SqlProbe { asked_at, at: event.at, ordinal: event.ordinal, state };
        self.sql.entry(event.node.as_str()).or_default().push(probe);
    }

    pub(super) fn take_rest(&mut self, event: &'a Event, path: &'a str, status: Option<u16>, asked_at: At) {
        self.rest.push(RestProbe {
            node: &event.node,
            path,
            asked_at: asked_at.min(event.at),
            at: event.at,
            ordinal: event.ordinal,
            status,
        });
    }

    /// The nodes that were ever asked by SQL.
    pub fn sql_nodes(&self) -> impl Iterator<Item = &'a str> {
        self.sql.keys().copied()
    }

    /// A node's SQL probes, in the order of their answers.
    #[must_use]
    pub fn sql(&self, node: &str) -> &[SqlProbe<'a>] {
        self.sql.get(node).map_or(&[], Vec::as_slice)
    }

    /// Every REST probe, in the order of their answers.
    #[must_use]
    pub fn rest(&self) -> &[RestProbe<'a>] {
        &self.rest
    }

    /// A node's last SQL probe that was answered not later than `at`.
    #[must_use]
    pub fn sql_before(&self, node: &str, at: At) -> Option<&SqlProbe<'a>> {
        let probes = self.sql(node);
        let n = probes.partition_point(|probe| probe.at <= at);
        probes[..n].last()
    }

    /// A node's SQL probes that were answered after `at`, in order.
    #[must_use]
    pub fn sql_after(&self, node: &str, at: At) -> &[SqlProbe<'a>] {
        let probes = self.sql(node);
        &probes[probes.partition_point(|probe| probe.at <= at)..]
    }
}
