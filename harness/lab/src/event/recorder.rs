//! Collects the events of a run in one order, from wherever they are seen.

use std::sync::{Arc, Mutex, PoisonError};

use super::{At, Event, What};

/// A shared, growing event stream. Cheap to clone; every clone writes to the same stream.
#[derive(Clone, Debug, Default)]
pub struct Recorder {
    events: Arc<Mutex<Vec<Event>>>,
}

impl Recorder {
    /// An empty stream.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends an event. The caller gives the time: only the world knows the true one.
    pub fn record(&self, at: At, node: impl Into<String>, what: What) {
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        let ordinal = events.len() as u64;
        debug_assert!(events.last().is_none_or(|e| e.at <= at), "events must be recorded in the order of time");
        events.push(Event { at, ordinal, node: node.into(), what });
    }

    /// Appends an event that happens now. The clock is read while nobody else can append, so that events of several threads
    /// are in the order of time.
    pub fn record_now(&self, now: impl FnOnce() -> At, node: impl Into<String>, what: What) {
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, ordinal) = (now(), events.len() as u64);
        events.push(Event { at, ordinal, node: node.into(), what });
    }

    /// The newest event of which `pick` makes something.
    pub fn last<T>(&self, pick: impl Fn(&Event) -> Option<T>) -> Option<T> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).iter().rev().find_map(pick)
    }

    /// Everything so far, leaving the stream empty.
    #[must_use]
    pub fn take(&self) -> Vec<Event> {
        std::mem::take(&mut *self.events.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
