//! What the clients saw: acknowledged writes over time, and where the outages that were measured begin and end.

use std::collections::BTreeSet;

use pgdrill_lab::{
    event::{Action, At, Event, Outcome, What},
    figures::Outage,
};

/// A measured outage with the events that show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) outage: Outage,
    /// Ordinal of the first write that failed in it.
    pub(crate) first_failure: Option<u64>,
    /// Ordinal of the first write acknowledged after it.
    pub(crate) first_acknowledged: Option<u64>,
}

/// The clients of a run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Clients {
    /// Every acknowledged write, ascending: when, and the ordinal of its return.
    acks: Vec<(At, u64)>,
    pub(crate) outages: Vec<Shown>,
    wrote: bool,
}

impl Clients {
    /// Reads the client operations of a run.
    pub(crate) fn of(events: &[Event], outages: &[Outage]) -> Self {
        let mut clients = Self::default();
        let mut writes: BTreeSet<u64> = BTreeSet::new();
        let mut failures: Vec<(At, u64)> = Vec::new();
        for event in events {
            match &event.what {
                What::Invoke { op, action: Action::Write { .. } } => {
                    clients.wrote = true;
                    writes.insert(*op);
                }
                What::Return { op, outcome, .. } if writes.remove(op) => match outcome {
                    Outcome::Acknowledged { .. } => clients.acks.push((event.at, event.ordinal)),
                    Outcome::Refused { .. } | Outcome::Unknown { .. } => failures.push((event.at, event.ordinal)),
                },
                _ => {}
            }
        }
        clients.outages = outages.iter().map(|outage| clients.show(*outage, &failures)).collect();
        clients
    }

    fn show(&self, outage: Outage, failures: &[(At, u64)]) -> Shown {
        let failure = failures.iter().find(|(at, _)| outage.from <= *at && *at <= outage.to);
        let acknowledged = self.acks.iter().find(|(at, _)| outage.over && outage.to <= *at);
        Shown { outage, first_failure: failure.map(|f| f.1), first_acknowledged: acknowledged.map(|a| a.1) }
    }

    /// Whether any client wrote.
    pub(crate) fn any(&self) -> bool {
        self.wrote
    }

    /// Acknowledged writes per second in the time from `from` (inclusive) until `until` (exclusive).
    pub(crate) fn rate(&self, from: At, until: At) -> f64 {
        let below = |at: At| self.acks.partition_point(|ack| ack.0 < at);
        let secs = until.since(from).as_secs_f64();
        if secs > 0.0 { (below(until) - below(from)) as f64 / secs } else { 0.0 }
    }

    /// Whether the moment lies in an outage.
    pub(crate) fn out_at(&self, at: At) -> bool {
        self.outages.iter().any(|o| o.outage.from < at && (at < o.outage.to || !o.outage.over))
    }

    /// Whether the whole time lies in an outage.
    pub(crate) fn out_between(&self, from: At, until: At) -> bool {
        self.outages.iter().any(|o| o.outage.from <= from && (until <= o.outage.to || !o.outage.over))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(writes: &[(u64, bool)]) -> Vec<Event> {
        let mut events = Vec::new();
        for (op, &(ms, acknowledged)) in writes.iter().enumerate() {
            let op = op as u64;
            let outcome = if acknowledged {
                Outcome::Acknowledged { value: None }
            } else {
                Outcome::Refused { why: "25006".into() }
            };
            let invoke = What::Invoke { op, action: Action::Write { id: op, key: 0 } };
            for what in [invoke, What::Return { op, outcome, server: None }] {
                let ordinal = events.len() as u64;
                events.push(Event { at: At::from_ms(ms), ordinal, node: "client1".into(), what });
            }
        }
        events
    }

    #[test]
    fn an_outage_is_shown_by_its_first_failure_and_the_first_acknowledgement_after_it() {
        let events = history(&[(0, true), (500, false), (900, false), (3_000, true), (3_100, true)]);
        let outage = Outage { from: At(0), to: At::from_ms(3_000), over: true };
        let clients = Clients::of(&events, &[outage]);
        assert_eq!(clients.outages, [Shown { outage, first_failure: Some(3), first_acknowledged: Some(7) }]);
        assert!(clients.out_at(At::from_secs(1)) && !clients.out_at(At::from_secs(3)));
    }

    #[test]
    fn an_outage_that_never_ends_has_no_acknowledgement_after_it() {
        let outage = Outage { from: At(0), to: At::from_ms(500), over: false };
        let clients = Clients::of(&history(&[(0, true), (500, false)]), &[outage]);
        assert_eq!(clients.outages[0].first_acknowledged, None);
        assert!(clients.out_at(At::from_secs(9)));
    }

    #[test]
    fn the_rate_counts_only_acknowledged_writes() {
        let clients = Clients::of(&history(&[(0, true), (500, true), (600, false), (1_000, true)]), &[]);
        assert!((clients.rate(At(0), At::from_secs(1)) - 2.0).abs() < f64::EPSILON);
    }
}
