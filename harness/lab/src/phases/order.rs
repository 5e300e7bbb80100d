//! In which order the phases of an incident were reached.

use serde::{Deserialize, Serialize};

use super::{Incident, Phase};

/// The phases that were reached, earliest first; those of one millisecond in their usual order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Order(pub Vec<Phase>);

impl std::fmt::Display for Order {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&str> = self.0.iter().map(|phase| phase.name()).collect();
        f.write_str(&names.join(", "))
    }
}

impl Order {
    /// The same without the phases that `other` has not reached: only what both have can be out of order.
    #[must_use]
    pub fn shared_with(&self, other: &Self) -> Self {
        Self(self.0.iter().copied().filter(|phase| other.0.contains(phase)).collect())
    }
}

/// The order in which an incident's phases were reached.
///
/// When a node was promoted is seen by probes only, so late by up to a probe's period: a write that it acknowledges proves
/// the promotion as well, and earlier. So the promotion is never later than the first write.
#[must_use]
pub fn order_of(incident: &Incident) -> Order {
    let reached = &incident.reached_ms;
    let at = |phase: Phase| {
        let at = reached.get(&phase).copied()?;
        let first_write = reached.get(&Phase::FirstWrite).filter(|_| phase == Phase::Promoted);
        Some(first_write.map_or(at, |write| at.min(*write)))
    };
    let mut phases: Vec<(u64, Phase)> = Phase::ALL.into_iter().filter_map(|phase| Some((at(phase)?, phase))).collect();
    phases.sort_unstable();
    Order(phases.into_iter().map(|(_, phase)| phase).collect())
}
