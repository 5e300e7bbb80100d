//! The order in which a scenario's timeline is carried out.

use crate::scenario::{Scenario, Span};

/// One moment of a scenario's timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment {
    /// When.
    pub at: Span,
    /// Ends come before beginnings at the same moment: `for: 10s` every 10 s leaves no overlap.
    pub begins: bool,
    /// The line, from 0.
    pub index: usize,
    /// Which repetition of it, from 0.
    pub repetition: u32,
}

/// Every moment of the timeline, in order.
pub(super) fn moments(scenario: &Scenario) -> Vec<Moment> {
    let mut moments = vec![];
    for (index, step) in scenario.timeline.iter().enumerate() {
        for (repetition, at) in (0..).zip(step.starts()) {
            moments.push(Moment { at, begins: true, index, repetition });
            if let Some(lasts) = step.duration {
                moments.push(Moment { at: Span(at.0 + lasts.0), begins: false, index, repetition });
            }
        }
    }
    // Lines of one moment keep the order of the file.
    moments.sort_by_key(|m| (m.at, m.begins, m.index));
    moments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_ends_before_the_next_one_begins_at_the_same_moment() {
        let at = Span::from_secs(10);
        let end = Moment { at, begins: false, index: 1, repetition: 0 };
        let begin = Moment { at, begins: true, index: 0, repetition: 0 };
        assert!(end < begin);
    }
}
