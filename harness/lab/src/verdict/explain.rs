//! The events that lead to a violation, for people to read.

use crate::{
    event::{At, Event, FaultPhase, What},
    oracle::Violation,
};

/// How many changes of each sort around the violation are shown besides the events that it rests on.
const CHANGES_OF_EACH_SORT: usize = 3;

/// The events that a violation rests on, with the nearest faults, leader key changes and process changes before it, in order.
#[must_use]
pub fn explain<'a>(violation: &Violation, events: &'a [Event]) -> Vec<&'a Event> {
    let mut chosen: Vec<&Event> = events.iter().filter(|event| violation.ordinals.contains(&event.ordinal)).collect();
    // Causes lie before the first event that shows the violation, or between that and the last.
    let last = chosen.iter().map(|event| event.at).max().unwrap_or(violation.at).max(violation.at);
    for sort in [Sort::Fault, Sort::Dcs, Sort::Process] {
        chosen.extend(nearest(events, last, sort));
    }
    chosen.sort_by_key(|event| (event.at, event.ordinal));
    chosen.dedup_by_key(|event| event.ordinal);
    chosen
}

/// The sorts of changes that explain violations.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sort {
    Fault,
    Dcs,
    Process,
}

fn sort_of(event: &Event) -> Option<Sort> {
    match &event.what {
        What::Fault { phase, .. } if !matches!(phase, FaultPhase::Verified { .. }) => Some(Sort::Fault),
        // The other keys change with every turn of every agent's loop: they would drown the picture.
        What::Dcs { key, .. } if matches!(key.as_str(), "leader" | "sync" | "failover") => Some(Sort::Dcs),
        What::Process { .. } => Some(Sort::Process),
        _ => None,
    }
}

fn nearest(events: &[Event], until: At, sort: Sort) -> impl Iterator<Item = &Event> {
    events
        .iter()
        .rev()
        .filter(move |event| event.at <= until && sort_of(event) == Some(sort))
        .take(CHANGES_OF_EACH_SORT)
}
