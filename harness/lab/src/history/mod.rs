//! An index over the events of a run, built once and read by every oracle.
//!
//! The oracles ask questions ("who held the leader key at 41 s?", "which writes did pg2 acknowledge?"); this module answers
//! them from the event stream alone, in O(n log n), and never panics on odd histories: returns without an invocation,
//! repeated reports of one DCS change, nodes that nobody named. What cannot be known stays unknown.
//!
//! | module | what it indexes |
//! |---|---|
//! | [`operations`] | client operations, invocation and return paired |
//! | [`keys`] | DCS keys and the terms of the leader key |
//! | [`probes`] | SQL and REST probes by node |
//! | [`faults`] | the timeline's faults, when they began, had effect and ended |
//! | [`processes`] | process states by host |
//! | [`ending`] | tables, slots and keys at the end of the run |

pub mod ending;
pub mod faults;
pub mod keys;
pub mod operations;
pub mod probes;
pub mod processes;
#[cfg(test)]
pub(crate) mod script;

use crate::event::{At, Event, What};

pub use ending::{Ending, NodeRows};
pub use faults::{FaultRecord, Faults};
pub use keys::{Keys, Term, Version};
pub use operations::{Answer, Operation, Operations};
pub use probes::{Probes, RestProbe, SqlProbe};
pub use processes::Processes;

/// The index over one run's events.
#[derive(Clone, Debug, Default)]
pub struct History<'a> {
    /// Client operations.
    pub operations: Operations<'a>,
    /// DCS keys.
    pub keys: Keys<'a>,
    /// SQL and REST probes.
    pub probes: Probes<'a>,
    /// Faults of the timeline.
    pub faults: Faults<'a>,
    /// Process states.
    pub processes: Processes<'a>,
    /// What was read when the run was over.
    pub ending: Ending<'a>,
    /// When the first event was seen.
    pub begin: At,
    /// When the run was over: the settled state was read, or, where it was not, the last event that is not a node's tables.
    pub end: At,
}

impl<'a> History<'a> {
    /// Indexes the events. Their order is taken from [`Event::at`] and [`Event::ordinal`], not from the slice: a file of
    /// events may have been filtered or merged by hand.
    #[must_use]
    pub fn of(events: &'a [Event]) -> Self {
        let mut ordered: Vec<&Event> = events.iter().collect();
        // Nearly always they are in order already, and a look is cheaper than a sort.
        if !ordered.is_sorted_by_key(|event| (event.at, event.ordinal)) {
            ordered.sort_by_key(|event| (event.at, event.ordinal));
        }
        let mut history = Self { begin: ordered.first().map_or(At(0), |event| event.at), ..Self::default() };
        for event in ordered {
            // What a world does afterwards, so that every node's tables can be read, is not the cluster's doing: a host that
            // is switched on then has not recovered.
            let counts_afterwards = matches!(event.what, What::Rows { .. });
            if history.ending.settled.is_some() && !counts_afterwards {
                continue;
            }
            if !counts_afterwards {
                history.end = event.at;
            }
            history.take(event);
        }
        history.keys.finish();
        history
    }

    fn take(&mut self, event: &'a Event) {
        match &event.what {
            What::Fault { index, text, phase, targets } => self.faults.take(event, *index, text, phase, targets),
            What::Process { process, state, .. } => self.processes.take(event, process, *state),
            What::Dcs { key, value, mod_revision, lease } => {
                self.keys.take(event, key, value.as_deref(), *mod_revision, *lease);
            }
            What::Rest { path, status, asked_at, .. } => self.probes.take_rest(event, path, *status, *asked_at),
            What::Sql { state, asked_at, .. } => self.probes.take_sql(event, state.as_ref(), *asked_at),
            What::Invoke { op, action } => self.operations.invoke(event, *op, action),
            What::Return { op, outcome, server } => self.operations.end(event, *op, outcome, server.as_deref()),
            What::Rows { rows, primary } => self.ending.take_rows(event, rows, *primary),
            What::End { dcs, slots } => self.ending.take_end(event, dcs, slots),
            // The agent's own words and remarks are for the reader: an oracle that believed them would not judge.
            What::Decision { .. } | What::Note { .. } => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::script::{Script, standby};
    use crate::event::{At, FaultPhase, ProcessState, What};

    #[test]
    fn what_happens_after_the_settled_state_was_read_is_not_part_of_the_run_but_for_the_tables() {
        let script = Script::new()
            .fault(10.0, FaultPhase::Applied)
            .process(10.0, "pg1", "agent", ProcessState::Killed)
            .push(60.0, "lab", What::End { dcs: [].into(), slots: [].into() })
            .fault(61.0, FaultPhase::Ended)
            .process(62.0, "pg1", "agent", ProcessState::Started)
            .sql(63.0, "pg1", Some(standby(1, 1, "pg2")))
            .rows(90.0, "pg1", false, 0..3);
        let history = script.history();
        assert_eq!(history.end, At::from_secs(60));
        assert_eq!(history.faults.last_disturbance(), Some(At::from_secs(10)));
        assert!(!history.processes.runs_at_end("pg1", "agent"));
        assert!(history.probes.sql("pg1").is_empty());
        assert_eq!(history.ending.rows["pg1"].rows.len(), 3);
    }
}
