//! What was read when the run was over: tables, slots and keys.

use std::collections::BTreeMap;

use crate::event::{At, Event, Slot};

/// What a node's tables held.
#[derive(Clone, Copy, Debug)]
pub struct NodeRows<'a> {
    /// When they were read.
    pub at: At,
    /// Ordinal of the event.
    pub ordinal: u64,
    /// Every write found, as (id, key), with repetitions.
    pub rows: &'a [(u64, u32)],
    /// Whether the node was out of recovery.
    pub primary: bool,
}

/// The keys and slots that were read at the end.
#[derive(Clone, Copy, Debug)]
pub struct Settled<'a> {
    /// When they were read.
    pub at: At,
    /// Ordinal of the event.
    pub ordinal: u64,
    /// Everything in the DCS below the scope.
    pub dcs: &'a BTreeMap<String, String>,
    /// Replication slots by node.
    pub slots: &'a BTreeMap<String, Vec<Slot>>,
}

/// The end of a run.
#[derive(Clone, Debug, Default)]
pub struct Ending<'a> {
    /// The tables by node; the last reading where there were several.
    pub rows: BTreeMap<&'a str, NodeRows<'a>>,
    /// Keys and slots, where they were read.
    pub settled: Option<Settled<'a>>,
}

impl<'a> Ending<'a> {
    pub(super) fn take_rows(&mut self, event: &'a Event, rows: &'a [(u64, u32)], primary: bool) {
        let read = NodeRows { at: event.at, ordinal: event.ordinal, rows, primary };
        self.rows.insert(event.node.as_str(), read);
    }

    pub(super) fn take_end(
        &mut self,
        event: &'a Event,
        dcs: &'a BTreeMap<String, String>,
        slots: &'a BTreeMap<String, Vec<Slot>>,
    ) {
        self.settled = Some(Settled { at: event.at, ordinal: event.ordinal, dcs, slots });
    }

    /// The node whose tables count: the primary, or of several the one that holds the leader key.
    #[must_use]
    pub fn authority(&self, holder: Option<&str>) -> Option<(&'a str, NodeRows<'a>)> {
        let mut primaries = self.rows.iter().filter(|(_, read)| read.primary).map(|(node, read)| (*node, *read));
        match primaries.clone().count() {
            0 => None,
            1 => primaries.next(),
            _ => primaries.find(|(node, _)| Some(*node) == holder),
        }
    }
}
