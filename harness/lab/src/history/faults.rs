//! The events of the scenario's timeline: when each was carried out, had its effect, and ended.

use std::collections::BTreeMap;

use crate::event::{At, Event, FaultPhase};

/// One event of the timeline.
#[derive(Clone, Debug)]
pub struct FaultRecord<'a> {
    /// The line as people read it.
    pub text: &'a str,
    /// When each carrying out was seen, with the ordinal.
    pub applied: Vec<(At, u64)>,
    /// How often its effect was proven.
    pub verified: usize,
    /// When it last ended.
    pub ended: Option<At>,
    /// Why it was vacuous, with time and ordinal.
    pub vacuous: Option<(At, u64, &'a str)>,
    /// Why it was refused, with time and ordinal.
    pub refused: Option<(At, u64, &'a str)>,
    /// The hosts that it ever touched.
    pub targets: Vec<&'a str>,
    /// When anything of it was last seen.
    pub last_seen: At,
}

/// The faults by their position in the timeline.
#[derive(Clone, Debug, Default)]
pub struct Faults<'a> {
    records: BTreeMap<usize, FaultRecord<'a>>,
}

impl<'a> Faults<'a> {
    pub(super) fn take(
        &mut self,
        event: &'a Event,
        index: usize,
        text: &'a str,
        phase: &'a FaultPhase,
        targets: &'a [String],
    ) {
        let record = self.records.entry(index).or_insert_with(|| FaultRecord {
            text,
            applied: Vec::new(),
            verified: 0,
            ended: None,
            vacuous: None,
            refused: None,
            targets: Vec::new(),
            last_seen: event.at,
        });
        for target in targets {
            if !record.targets.contains(&target.as_str()) {
                record.targets.push(target);
            }
        }
        match phase {
            FaultPhase::Applied => record.applied.push((event.at, event.ordinal)),
            FaultPhase::Verified { .. } => record.verified += 1,
            FaultPhase::Ended => record.ended = Some(event.at),
            FaultPhase::Vacuous { why } => record.vacuous = Some((event.at, event.ordinal, why)),
            FaultPhase::Refused { why } => record.refused = Some((event.at, event.ordinal, why)),
        }
        // The proof of an effect may be gathered long after: it does not disturb the cluster any more.
        if !matches!(phase, FaultPhase::Verified { .. } | FaultPhase::Vacuous { .. }) {
            record.last_seen = event.at;
        }
    }

    /// The events of the timeline with their positions, in order.
    pub fn all(&self) -> impl Iterator<Item = (usize, &FaultRecord<'a>)> {
        self.records.iter().map(|(index, record)| (*index, record))
    }

    /// When the last disturbance ended: nothing of the timeline happened later.
    #[must_use]
    pub fn last_disturbance(&self) -> Option<At> {
        self.records.values().filter(|record| !record.applied.is_empty()).map(|record| record.last_seen).max()
    }

    /// Every carrying out, in the order of time, with its ordinal.
    #[must_use]
    pub fn applied(&self) -> Vec<(At, u64)> {
        let mut applied: Vec<_> = self.records.values().flat_map(|record| record.applied.iter().copied()).collect();
        applied.sort_unstable();
        applied
    }
}
