//! Stopping PostgreSQL hard: SIGQUIT to the postmaster, and SIGKILL to it and all its children if they are not gone at once.

use std::{io, path::Path, thread::sleep, time::Duration};

use super::{
    clock::monotonic,
    found::{Found, Processes},
};

/// How long PostgreSQL has after SIGQUIT. It needs some ten milliseconds; meanwhile another node may already take writes.
const GONE_WITHIN: Duration = Duration::from_millis(500);
/// How long the kernel may take to end what was killed, before this is given up.
const KILLED_WITHIN: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(10);

/// How it went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// Nothing ran there.
    Nothing,
    /// SIGQUIT was enough.
    Quit,
    /// It took SIGKILL.
    Killed,
    /// Something is left: the kernel does not let go of it (a disk that hangs). It gets no further than its system call.
    Stuck,
}

/// Stops the PostgreSQL of one data directory.
pub(super) struct Guard {
    processes: Processes,
    /// Those that ran at the moment of firing and their children: no other is ever signalled.
    targets: Vec<Found>,
}

impl Guard {
    pub fn new(data_dir: &Path) -> io::Result<Self> {
        let processes = Processes::new(data_dir)?;
        let targets = Vec::with_capacity(processes.found.capacity());
        Ok(Self { processes, targets })
    }

    /// Gets ready while all is well: looks up the directory, and goes once through what will be needed, so that it is in memory.
    pub fn rehearse(&mut self) -> bool {
        let resolved = self.processes.resolve();
        self.processes.scan();
        resolved
    }

    /// Stops what runs now. What is started later is not touched.
    pub fn stop(&mut self) -> Ended {
        self.processes.scan();
        self.targets.clear();
        self.targets.extend_from_slice(&self.processes.found);
        if self.targets.is_empty() {
            return Ended::Nothing;
        }
        let mut frozen = false;
        for process in self.postmasters() {
            // A stopped one does not react to SIGQUIT, and its backends go on.
            frozen |= process.is_stopped();
            self.processes.signal(process, libc::SIGQUIT);
        }
        if !frozen && self.all_gone_within(GONE_WITHIN) {
            return Ended::Quit;
        }
        self.complete_targets();
        for process in &self.targets {
            self.processes.signal(process, libc::SIGKILL);
        }
        if self.all_gone_within(KILLED_WITHIN) { Ended::Killed } else { Ended::Stuck }
    }

    /// Whoever has no parent among them: the postmaster, and backends that have lost theirs.
    fn postmasters(&self) -> impl Iterator<Item = &Found> {
        self.targets.iter().filter(|process| !self.targets.iter().any(|other| other.pid == process.parent))
    }

    /// Stops the postmasters, so that they fork no more, and adds the children that were forked since the first look.
    fn complete_targets(&mut self) {
        for process in self.postmasters() {
            self.processes.signal(process, libc::SIGSTOP);
        }
        sleep(POLL);
        self.processes.scan();
        for process in &self.processes.found {
            let is_ours = self.targets.iter().any(|known| known.pid == process.parent);
            let is_known = self.targets.iter().any(|known| known.pid == process.pid && known.start == process.start);
            if is_ours && !is_known && self.targets.len() < self.targets.capacity() {
                self.targets.push(*process);
            }
        }
    }

    fn all_gone_within(&self, limit: Duration) -> bool {
        let end = monotonic() + limit;
        loop {
            if !self.targets.iter().any(|process| self.processes.lives(process)) {
                return true;
            }
            if monotonic() >= end {
                return false;
            }
            sleep(POLL);
        }
    }
}
