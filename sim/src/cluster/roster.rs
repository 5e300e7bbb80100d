//! Which simulated process is what: so that its end can be told by the names people use.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use pgdrill_lab::event::{ProcessState, What};
use pgdrill_probe::Journal;
use pgdrill_sim_engine::{Engine, ExitReason, ProcessId};

/// Processes of the cluster under their names. Clones are the same roster.
#[derive(Clone, Default)]
pub(crate) struct Roster(Arc<Mutex<BTreeMap<ProcessId, (String, String)>>>);

impl Roster {
    /// `process` of `host` is this one.
    pub(crate) fn enter(&self, id: ProcessId, host: &str, process: &str) {
        self.entries().insert(id, (host.to_owned(), process.to_owned()));
    }

    fn entries(&self) -> MutexGuard<'_, BTreeMap<ProcessId, (String, String)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records the end of every process on the roster as it happens.
    pub(crate) fn record_exits(&self, engine: &mut Engine, journal: &Journal) {
        let (roster, journal) = (self.clone(), journal.clone());
        engine.on_exit(move |exit| {
            let Some((host, process)) = roster.entries().get(&exit.process).cloned() else { return };
            let state = match exit.reason {
                ExitReason::Killed | ExitReason::PowerLost => ProcessState::Killed,
                _ => ProcessState::Exited,
            };
            journal.record(&host, What::Process { process, state, detail: exit.reason.to_string() });
        });
    }
}
