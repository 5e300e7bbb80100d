//! What will happen when.

use std::{
    cmp::{Ordering, Reverse},
    collections::BinaryHeap,
};

use crate::{
    id::ProcessId,
    network::{FlowKey, InFlight},
};

/// Something that happens at an instant.
pub(super) enum Event {
    Packet(Box<InFlight>),
    /// Held packets of a flow arrive; the time must match the flow's, or the release was superseded.
    Release(FlowKey),
    /// A process's timer, if its generation is still the same.
    Timer(ProcessId, u64),
    /// The process begins, if its generation is still the same.
    Start(ProcessId, u64),
    /// Is anything in this flow unacknowledged for too long?
    GiveUp(FlowKey),
    /// The next keepalive probe.
    Probe(FlowKey),
    /// Something from outside is done, by its number.
    Call(u64),
}

struct Entry {
    at_ns: u64,
    /// Events of one instant happen in the order in which they were scheduled.
    ordinal: u64,
    event: Event,
}

impl Entry {
    /// Time first, then ordinal, as one number: the heap compares entries more often than the engine does anything else.
    const fn place(&self) -> u128 {
        (self.at_ns as u128) << 64 | self.ordinal as u128
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.place() == other.place()
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }

    fn le(&self, other: &Self) -> bool {
        self.place() <= other.place()
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        self.place().cmp(&other.place())
    }
}

/// The queue of events.
#[derive(Default)]
pub(super) struct Schedule {
    heap: BinaryHeap<Reverse<Entry>>,
    ordinal: u64,
}

impl Schedule {
    pub(super) fn push(&mut self, at_ns: u64, event: Event) {
        self.ordinal += 1;
        self.heap.push(Reverse(Entry { at_ns, ordinal: self.ordinal, event }));
    }

    /// When the next event is due.
    pub(super) fn next_ns(&self) -> Option<u64> {
        self.heap.peek().map(|Reverse(entry)| entry.at_ns)
    }

    /// The next event due at or before `now_ns`.
    pub(super) fn pop_due(&mut self, now_ns: u64) -> Option<Event> {
        if self.next_ns()? > now_ns {
            return None;
        }
        self.heap.pop().map(|Reverse(entry)| entry.event)
    }
}
