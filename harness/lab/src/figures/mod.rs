//! The figures of a run, for budgets and reports: what was measured, whatever the rules are.

mod lost;
mod needless;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{
    event::{At, millis},
    history::{Answer, History, Operation},
};

pub use lost::{Lost, lost};
pub use needless::needless_leader_changes;

/// Shorter gaps between acknowledgements are the workload's own rhythm, not an outage worth listing.
const SHORTEST_LISTED_OUTAGE_MS: u64 = 1_000;

/// A time during which writers tried and no write was acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outage {
    /// When writing stopped working: the last acknowledgement before, or the first try after it.
    pub from: At,
    /// The first acknowledgement after, or the end of the tries.
    pub to: At,
    /// Whether writes worked again.
    pub over: bool,
}

impl Outage {
    /// Its length in milliseconds.
    #[must_use]
    pub fn millis(&self) -> u64 {
        millis(self.to.since(self.from))
    }
}

/// The figures of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measured {
    /// The longest time without an acknowledged write while writers were trying, in milliseconds; `None` without writes.
    pub outage_ms: Option<u64>,
    /// Every outage of a second or more.
    pub outages: Vec<Outage>,
    /// From the fault before the longest outage until writes worked again, in milliseconds; `None` when there was no fault
    /// or they never did. The recovery time objective (RTO) is about this figure.
    pub rto_ms: Option<u64>,
    /// Acknowledged writes missing at the end, in rows; `None` when the tables of a primary were not read.
    pub lost_rows: Option<u64>,
    /// WAL seen on timelines beyond the points where their successors left them, in bytes: everything that was written
    /// there, acknowledged or not. Probes see it only so far.
    pub lost_wal_bytes: u64,
    /// How often the leader key passed to another node.
    pub leader_changes: u64,
    /// Writes that a server acknowledged.
    pub acknowledged_writes: u64,
    /// Writes that certainly did not happen.
    pub refused_writes: u64,
    /// Writes of which nobody can say.
    pub unknown_writes: u64,
}

impl Measured {
    /// Measures a run.
    #[must_use]
    pub fn of(history: &History<'_>) -> Self {
        let outages = outages(history);
        let longest = outages.iter().copied().max_by_key(Outage::millis);
        let count = |wanted: fn(&Answer) -> bool| {
            history.operations.writes().filter(|operation| wanted(&operation.answer)).count() as u64
        };
        Self {
            outage_ms: history.operations.writes().next().map(|_| longest.map_or(0, |outage| outage.millis())),
            rto_ms: longest.and_then(|outage| rto_ms(history, outage)),
            outages: outages.into_iter().filter(|outage| outage.millis() >= SHORTEST_LISTED_OUTAGE_MS).collect(),
            lost_rows: lost(history).map(|lost| lost.writes.len() as u64),
            lost_wal_bytes: lost_wal_bytes(history),
            leader_changes: history.keys.leader_changes().count() as u64,
            acknowledged_writes: count(|answer| matches!(answer, Answer::Acknowledged(_))),
            refused_writes: count(|answer| matches!(answer, Answer::Refused)),
            unknown_writes: count(|answer| matches!(answer, Answer::Unknown)),
        }
    }
}

/// The gaps between acknowledgements during which writers were trying.
///
/// A gap begins with the acknowledgement before it if a write was under way then, else with the next try: idle writers
/// notice no outage. Tries before the first acknowledgement belong to the start-up and do not count unless nothing was ever
/// acknowledged.
fn outages(history: &History<'_>) -> Vec<Outage> {
    let tries = Tries::of(history);
    let mut acknowledged: Vec<At> = tries.writes.iter().filter_map(|write| write.acknowledged_at()).collect();
    acknowledged.sort_unstable();
    let Some(first_try) = tries.writes.first().map(|write| write.invoked_at) else { return Vec::new() };
    let ends = tries.writes.iter().map(|write| write.returned.map_or(history.end, |(at, _)| at));
    let end_of_tries = ends.max().unwrap_or(history.end);

    let Some(last) = acknowledged.last().copied() else {
        return vec![Outage { from: first_try, to: end_of_tries, over: false }];
    };
    let mut outages = Vec::new();
    for pair in acknowledged.windows(2) {
        if let Some(from) = tries.since(pair[0], pair[1]) {
            outages.push(Outage { from, to: pair[1], over: true });
        }
    }
    if let Some(from) = tries.since(last, end_of_tries).filter(|from| *from < end_of_tries) {
        outages.push(Outage { from, to: end_of_tries, over: false });
    }
    outages
}

/// The writes by invocation, and for each the latest return among it and all before it: `None` once one never returned.
struct Tries<'h, 'a> {
    writes: Vec<&'h Operation<'a>>,
    latest_return: Vec<Option<At>>,
}

impl<'h, 'a> Tries<'h, 'a> {
    fn of(history: &'h History<'a>) -> Self {
        let writes: Vec<_> = history.operations.writes().collect();
        let mut latest = Some(At(0));
        let latest_return = writes
            .iter()
            .map(|write| {
                latest = latest.zip(write.returned).map(|(latest, (at, _))| latest.max(at));
                latest
            })
            .collect();
        Self { writes, latest_return }
    }

    /// From when writers were trying within a gap: its beginning if a write was under way, else the next invocation.
    fn since(&self, gap_from: At, gap_to: At) -> Option<At> {
        let next = self.writes.partition_point(|write| write.invoked_at <= gap_from);
        let under_way = next > 0 && self.latest_return[next - 1].is_none_or(|latest| latest > gap_from);
        if under_way {
            return Some(gap_from);
        }
        self.writes.get(next).map(|write| write.invoked_at).filter(|at| *at <= gap_to)
    }
}

/// From the last fault that was carried out before the outage, or the first one inside it, until the outage's end.
fn rto_ms(history: &History<'_>, outage: Outage) -> Option<u64> {
    if !outage.over || outage.millis() < SHORTEST_LISTED_OUTAGE_MS {
        return None;
    }
    let applied = history.faults.applied();
    let before = applied.iter().rev().find(|(at, _)| *at <= outage.from);
    let inside = applied.iter().find(|(at, _)| *at <= outage.to);
    before.or(inside).map(|(at, _)| millis(outage.to.since(*at)))
}

/// WAL seen on timelines beyond their switch points.
fn lost_wal_bytes(history: &History<'_>) -> u64 {
    let mut switches = BTreeSet::new();
    let mut furthest = std::collections::BTreeMap::<u32, u64>::new();
    for node in history.probes.sql_nodes() {
        for state in history.probes.sql(node).iter().filter_map(|probe| probe.state) {
            switches.extend(state.history.iter().copied());
            let seen = furthest.entry(state.timeline).or_default();
            *seen = (*seen).max(state.lsn);
        }
    }
    switches
        .into_iter()
        .map(|(timeline, switch_lsn)| furthest.get(&timeline).map_or(0, |seen| seen.saturating_sub(switch_lsn)))
        .sum()
}
