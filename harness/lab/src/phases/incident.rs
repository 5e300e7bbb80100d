//! Finding the incidents of a run, and the times of their phases.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

use crate::{
    event::{At, millis},
    figures::{Measured, Outage},
    history::{History, Term},
};

/// A step on the way from a fault to a whole cluster, in the order in which they usually come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The leader key was gone, or named another node: the lease ran out, or the key was given away.
    LockExpired,
    /// The leader key named somebody again.
    NewLock,
    /// The new holder answered SQL out of recovery.
    Promoted,
    /// The first write was acknowledged by the new holder (or, without a change of leaders, after the outage).
    FirstWrite,
    /// The old holder streamed from somebody, on the new timeline.
    OldStreams,
}

impl Phase {
    /// All of them, in their usual order.
    pub const ALL: [Self; 5] = [Self::LockExpired, Self::NewLock, Self::Promoted, Self::FirstWrite, Self::OldStreams];

    /// Its name for people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::LockExpired => "lock expired",
            Self::NewLock => "new lock",
            Self::Promoted => "promoted",
            Self::FirstWrite => "first acknowledged write",
            Self::OldStreams => "old primary streams",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Which incident of a run: comparable between runs of the same scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct IncidentKey {
    /// Position of the line in the scenario's timeline, from 0; `None`: nothing was carried out before.
    pub line: Option<usize>,
    /// Its place among the incidents of that line, from 0.
    pub nth: usize,
}

/// One loss of the leader, or one interruption of writes without it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incident {
    /// Which.
    pub key: IncidentKey,
    /// When the line was carried out ("fault on"); without one, when the lock was lost.
    pub fault_on: At,
    /// The line as people read it, with the hosts that it was resolved to; empty without one.
    pub fault: String,
    /// Who led before.
    pub old: Option<String>,
    /// Who led afterwards.
    pub new: Option<String>,
    /// The phases that were reached, in milliseconds since [`Self::fault_on`].
    pub reached_ms: BTreeMap<Phase, u64>,
}

/// The incidents of a run, in the order of time.
#[must_use]
pub fn incidents(history: &History<'_>) -> Vec<Incident> {
    let terms = history.keys.terms();
    let mut found: Vec<Incident> = Vec::new();
    for (i, term) in terms.iter().enumerate() {
        if let Some((lost_at, _)) = term.until {
            found.push(change(history, term, lost_at, terms.get(i + 1)));
        }
    }
    let measured = Measured::of(history);
    let interruptions = measured.outages.iter().filter(|outage| outage.over && !meets_a_change(&found, outage));
    let interruptions: Vec<Incident> = interruptions.map(|outage| interruption(history, *outage)).collect();
    found.extend(interruptions);
    found.sort_by_key(|incident| incident.fault_on.0.saturating_add(first_ms(incident) * 1_000_000));
    number(&mut found);
    found
}

fn first_ms(incident: &Incident) -> u64 {
    incident.reached_ms.values().min().copied().unwrap_or_default()
}

/// The holder lost the lock at `lost_at`; `next` is whoever got it.
fn change(history: &History<'_>, term: &Term<'_>, lost_at: At, next: Option<&Term<'_>>) -> Incident {
    let mut incident = begun(history, lost_at);
    incident.old = Some(term.holder.to_owned());
    let from = incident.fault_on;
    let mut reach = |phase, at: Option<At>| {
        if let Some(at) = at {
            incident.reached_ms.insert(phase, millis(at.since(from)));
        }
    };
    reach(Phase::LockExpired, Some(lost_at));
    let Some(next) = next else { return incident };
    // Whatever happens after the next loss belongs to the next incident.
    let end = next.until.map_or(history.end, |(at, _)| at);
    reach(Phase::NewLock, Some(next.from));
    let promoted = promoted(history, next.holder, next.from, end);
    reach(Phase::Promoted, promoted.map(|(at, _)| at));
    reach(Phase::FirstWrite, first_write(history, next.holder, next.from, end));
    if next.holder != term.holder {
        let timeline = promoted.map_or(0, |(_, timeline)| timeline);
        reach(Phase::OldStreams, old_streams(history, term.holder, next.from, timeline));
    }
    incident.new = Some(next.holder.to_owned());
    incident
}

/// Writes were interrupted although the leader stayed.
fn interruption(history: &History<'_>, outage: Outage) -> Incident {
    let mut incident = begun(history, outage.from);
    let holder = history.keys.terms().iter().rev().find(|term| term.from <= outage.from).map(|term| term.holder);
    incident.old = holder.map(str::to_owned);
    incident.new.clone_from(&incident.old);
    incident.reached_ms.insert(Phase::FirstWrite, millis(outage.to.since(incident.fault_on)));
    incident
}

/// An incident that began with the last line carried out by then.
fn begun(history: &History<'_>, at: At) -> Incident {
    let carried_out = |(index, record): (usize, &crate::history::faults::FaultRecord<'_>)| {
        let last = record.applied.iter().map(|(at, _)| *at).rfind(|applied| *applied <= at)?;
        Some((last, index, record.text.to_owned()))
    };
    let line = history.faults.all().filter_map(carried_out).max_by_key(|(at, index, _)| (*at, *index));
    let (fault_on, index, fault) = match line {
        Some((at, index, text)) => (at, Some(index), text),
        None => (at, None, String::new()),
    };
    let key = IncidentKey { line: index, nth: 0 };
    Incident { key, fault_on, fault, old: None, new: None, reached_ms: BTreeMap::new() }
}

/// When a node first answered out of recovery, and on which timeline.
fn promoted(history: &History<'_>, node: &str, from: At, end: At) -> Option<(At, u32)> {
    let mut probes = history.probes.sql_after(node, from).iter().take_while(|probe| probe.at <= end);
    probes.find_map(|probe| Some((probe.at, probe.state.filter(|state| !state.in_recovery)?.timeline)))
}

/// The first acknowledgement by a node: by its name where the client learnt it, else by anybody after the lock was taken.
fn first_write(history: &History<'_>, node: &str, from: At, end: At) -> Option<At> {
    let by_node = |server: Option<&str>| server.is_none_or(|server| server == node);
    let acknowledged = history.operations.acknowledged_writes().filter(|write| by_node(write.server));
    acknowledged.filter_map(|write| write.acknowledged_at()).filter(|at| *at > from && *at <= end).min()
}

/// When the old holder streamed on the new timeline.
fn old_streams(history: &History<'_>, node: &str, from: At, timeline: u32) -> Option<At> {
    let streams = |state: &&crate::event::SqlState| {
        state.in_recovery && state.streaming_from.is_some() && state.timeline >= timeline
    };
    let probes = history.probes.sql_after(node, from).iter();
    probes.filter(|probe| probe.state.as_ref().is_some_and(streams)).map(|probe| probe.at).next()
}

/// Whether an outage is part of a change that was found already.
fn meets_a_change(found: &[Incident], outage: &Outage) -> bool {
    found.iter().any(|incident| {
        let last = incident.reached_ms.get(&Phase::FirstWrite).or_else(|| incident.reached_ms.get(&Phase::NewLock));
        let lost = incident.reached_ms.get(&Phase::LockExpired).copied().unwrap_or_default();
        let begin = incident.fault_on.0;
        let end = begin + last.copied().unwrap_or(lost) * 1_000_000;
        outage.from.0 <= end + 1_000_000 && outage.to.0 >= begin
    })
}

fn number(found: &mut [Incident]) {
    let mut seen: BTreeMap<Option<usize>, usize> = BTreeMap::new();
    for incident in found {
        let nth = seen.entry(incident.key.line).or_default();
        incident.key.nth = *nth;
        *nth += 1;
    }
}
