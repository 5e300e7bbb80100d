//! Process states by host and process.

use std::collections::BTreeMap;

use crate::event::{At, Event, ProcessState};

/// A process's states, in order.
type States = Vec<(At, ProcessState)>;

/// Every process's states over time.
#[derive(Clone, Debug, Default)]
pub struct Processes<'a> {
    states: BTreeMap<&'a str, BTreeMap<&'a str, States>>,
}

impl<'a> Processes<'a> {
    pub(super) fn take(&mut self, event: &'a Event, process: &'a str, state: ProcessState) {
        self.states.entry(event.node.as_str()).or_default().entry(process).or_default().push((event.at, state));
    }

    /// The states of a process, in order; empty when nothing was ever reported of it.
    #[must_use]
    pub fn of(&self, node: &str, process: &str) -> &[(At, ProcessState)] {
        self.states.get(node).and_then(|processes| processes.get(process)).map_or(&[], Vec::as_slice)
    }

    /// Whether a process is running at the end. One of which nothing was reported is taken to run: it was never disturbed.
    #[must_use]
    pub fn runs_at_end(&self, node: &str, process: &str) -> bool {
        self.of(node, process)
            .last()
            .is_none_or(|(_, state)| matches!(state, ProcessState::Started | ProcessState::Thawed))
    }

    /// Whether a process may have been started anew within `[from, until]`: it was, or nothing is reported of it at all.
    #[must_use]
    pub fn may_have_restarted(&self, node: &str, process: &str, from: At, until: At) -> bool {
        let states = self.of(node, process);
        states.is_empty()
            || states.iter().any(|(at, state)| {
                *at >= from
                    && *at <= until
                    && matches!(state, ProcessState::Started | ProcessState::Exited | ProcessState::Killed)
            })
    }
}
