//! Which processes run: what the watchers inside the containers have told last.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use pgdrill_lab::scenario::Process;

type Key = (String, Process);

/// Processes by host. Clones are the same table.
#[derive(Clone, Debug, Default)]
pub struct Running(Arc<Mutex<Table>>);

#[derive(Debug, Default)]
struct Table {
    pids: BTreeMap<Key, u32>,
    doomed: BTreeSet<Key>,
}

impl Running {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its main process, if it runs.
    #[must_use]
    pub fn pid(&self, host: &str, process: Process) -> Option<u32> {
        self.table().pids.get(&(host.to_owned(), process)).copied()
    }

    /// It was seen to run as this process.
    pub(crate) fn started(&self, host: &str, process: Process, pid: u32) {
        self.table().pids.insert((host.to_owned(), process), pid);
    }

    /// It was seen to be gone; whether somebody had said that it would be killed.
    pub(crate) fn gone(&self, host: &str, process: Process) -> bool {
        let key = (host.to_owned(), process);
        let mut table = self.table();
        table.pids.remove(&key);
        table.doomed.remove(&key)
    }

    /// See [`super::Cluster::about_to_kill`].
    pub(crate) fn about_to_kill(&self, host: &str, process: Process) {
        self.table().doomed.insert((host.to_owned(), process));
    }

    /// See [`super::Cluster::spared`].
    pub(crate) fn spared(&self, host: &str, process: Process) {
        self.table().doomed.remove(&(host.to_owned(), process));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_kill_that_was_announced_is_told_as_one_and_only_once() {
        let running = Running::default();
        running.started("pg1", Process::Agent, 7);
        running.about_to_kill("pg1", Process::Agent);
        assert!(running.gone("pg1", Process::Agent));
        running.started("pg1", Process::Agent, 9);
        assert_eq!(running.pid("pg1", Process::Agent), Some(9));
        assert!(!running.gone("pg1", Process::Agent));
        assert_eq!(running.pid("pg1", Process::Agent), None);
    }
}
