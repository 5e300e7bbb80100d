//! The faults in force over time, for the lanes.

use std::collections::BTreeMap;

use pgdrill_lab::event::{At, Event, FaultPhase, What};

/// The faults in force, by the letters of the lanes. Only faults that end somewhere are ever in force: a kill is a moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults {
    /// Index, first applied, last ended.
    spans: Vec<(usize, At, At)>,
}

impl Faults {
    pub(crate) fn of(events: &[Event]) -> Self {
        let mut spans: BTreeMap<usize, (At, Option<At>)> = BTreeMap::new();
        for event in events {
            match &event.what {
                What::Fault { index, phase: FaultPhase::Applied, .. } => {
                    spans.entry(*index).or_insert((event.at, None));
                }
                What::Fault { index, phase: FaultPhase::Ended, .. } => {
                    if let Some(span) = spans.get_mut(index) {
                        span.1 = Some(event.at);
                    }
                }
                _ => {}
            }
        }
        Self { spans: spans.into_iter().filter_map(|(index, (from, until))| Some((index, from, until?))).collect() }
    }

    /// The indices of the faults in force at the moment.
    pub(crate) fn in_force(&self, at: At) -> impl Iterator<Item = usize> {
        self.spans.iter().filter(move |(_, from, until)| *from <= at && at < *until).map(|(index, ..)| *index)
    }

    /// Whether any fault lasts.
    pub(crate) fn any(&self) -> bool {
        !self.spans.is_empty()
    }

    /// When a lasting fault ends.
    pub(crate) fn span(&self, index: usize) -> Option<At> {
        self.spans.iter().find(|span| span.0 == index).map(|span| span.2)
    }
}
