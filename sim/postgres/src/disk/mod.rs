//! The disk: everything a server finds again after its process has ended.
//!
//! [`DataDir`] is a handle that outlives the process. A killed process leaves everything it has written; a power loss
//! takes the WAL that was not fsynced. `pg_control`, slots, history files and configuration are fsynced when written.

pub mod control;
pub mod history;
pub mod record;
pub mod settings;
pub mod slots;
pub mod tables;
pub mod wal;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use crate::Lsn;
use control::{Checkpoint, Control};
use history::Timeline;
use settings::Settings;
use slots::Slot;
use tables::Database;
use wal::Wal;

/// A PostgreSQL data directory. Cheap to clone; all clones are the same directory.
#[derive(Clone, Debug, Default)]
pub struct DataDir(Arc<Mutex<Disk>>);

/// What lies in a data directory and how its disk behaves.
#[derive(Debug, Default)]
pub struct Disk {
    /// `None`: not initialised, or removed.
    pub cluster: Option<Cluster>,
    /// The directory was left half written (by an interrupted `pg_basebackup` or `pg_rewind`).
    pub half_written: bool,
    /// Writes that need new space fail with "No space left on device".
    pub full: bool,
    /// How many writes have failed so.
    pub refused_for_space: u64,
    /// What every fsync takes beyond the calibrated time.
    pub fsync_delay: Duration,
    /// A process has the directory open.
    pub running: bool,
    /// Content of `postmaster.pid`; a killed postmaster leaves it behind.
    pub postmaster_pid: Option<PidFile>,
    /// Counts starts: process ids are drawn from it.
    pub starts: u32,
    /// Shared memory of the running server, for looking at it from outside.
    pub(crate) server: std::sync::Weak<crate::server::state::Server>,
    /// The last lines of the server log, oldest first.
    pub log: VecDeque<String>,
}

/// How many lines of the server log are kept.
const LOG_LINES: usize = 200;

/// What `postmaster.pid` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PidFile {
    /// The postmaster's process id.
    pub pid: i32,
    /// Start time, seconds since the Unix epoch.
    pub started_s: i64,
    /// Last line: `starting`, `standby`, `ready`, `stopping`.
    pub status: &'static str,
}

/// An initialised database cluster.
#[derive(Clone, Debug)]
pub struct Cluster {
    /// `global/pg_control`.
    pub control: Control,
    /// `pg_wal`.
    pub wal: Wal,
    /// History files in `pg_wal`, by timeline.
    pub histories: BTreeMap<u32, Timeline>,
    /// Tables and roles as of the latest checkpoint's redo position.
    pub image: Database,
    /// `pg_replslot`.
    pub slots: BTreeMap<String, Slot>,
    /// `postgresql.conf` with everything it includes: parameter to value, as text.
    pub configuration: BTreeMap<String, String>,
    /// `standby.signal` exists.
    pub standby_signal: bool,
}

impl DataDir {
    /// An empty directory on a healthy disk.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Locks the disk for reading or editing it from outside (fault injection, tests).
    pub fn lock(&self) -> MutexGuard<'_, Disk> {
        self.0.lock().expect("nothing panics while it holds the disk")
    }

    /// Power is cut: WAL that was not fsynced is gone. Also ends the claim of the process that was running.
    pub fn power_loss(&self) {
        let mut disk = self.lock();
        disk.running = false;
        if let Some(cluster) = &mut disk.cluster {
            cluster.wal.lose_unflushed();
        }
    }

    /// Fills the disk, or frees space.
    pub fn set_full(&self, full: bool) {
        self.lock().full = full;
    }

    /// Whether no space is left.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.lock().full
    }

    /// Makes every fsync take `delay` longer.
    pub fn set_fsync_delay(&self, delay: Duration) {
        self.lock().fsync_delay = delay;
    }

    /// Sets parameters in `postgresql.conf` (`None` removes one). A running server sees them when it reloads.
    ///
    /// # Errors
    /// The directory is not initialised.
    pub fn configure<'a>(&self, values: impl IntoIterator<Item = (&'a str, Option<&'a str>)>) -> Result<(), String> {
        let mut disk = self.lock();
        let cluster = disk.cluster.as_mut().ok_or("the data directory is not initialised")?;
        for (name, value) in values {
            match value {
                Some(value) => cluster.configuration.insert(name.to_ascii_lowercase(), value.to_owned()),
                None => cluster.configuration.remove(&name.to_ascii_lowercase()),
            };
        }
        Ok(())
    }

    /// Creates or removes `standby.signal`.
    ///
    /// # Errors
    /// The directory is not initialised.
    pub fn set_standby_signal(&self, present: bool) -> Result<(), String> {
        let mut disk = self.lock();
        disk.cluster.as_mut().ok_or("the data directory is not initialised")?.standby_signal = present;
        Ok(())
    }

    /// Removes the directory's content, as `rm -rf` does.
    pub fn remove(&self) {
        let mut disk = self.lock();
        disk.cluster = None;
        disk.half_written = false;
        disk.postmaster_pid = None;
    }

    /// Writes the last line of `postmaster.pid`.
    pub(crate) fn set_pid_status(&self, status: &'static str) {
        if let Some(pid_file) = &mut self.lock().postmaster_pid {
            pid_file.status = status;
        }
    }

    /// Writes a line to the server log.
    pub(crate) fn log(&self, line: String) {
        let mut disk = self.lock();
        if disk.log.len() == LOG_LINES {
            disk.log.pop_front();
        }
        disk.log.push_back(line);
    }

    /// Works on the cluster of a server that runs.
    pub(crate) fn with<T>(&self, work: impl FnOnce(&mut Cluster) -> T) -> T {
        let mut disk = self.lock();
        work(disk.cluster.as_mut().expect("a running server's data directory stays initialised"))
    }
}

impl Cluster {
    /// The history of timeline `tli` as far as this directory knows it.
    #[must_use]
    pub fn timeline(&self, tli: u32) -> Timeline {
        self.histories.get(&tli).cloned().unwrap_or_else(|| Timeline::root(tli))
    }

    /// Highest timeline for which a history file is there, at least `from` (`findNewestTimeLine`).
    #[must_use]
    pub fn newest_timeline(&self, from: u32) -> u32 {
        self.histories.keys().next_back().copied().unwrap_or(from).max(from)
    }

    /// Records a checkpoint: the tables at its redo position become the image recovery starts from, and WAL that nothing
    /// needs any more is removed.
    pub fn checkpointed(&mut self, checkpoint: Checkpoint, settings: &Settings) {
        let old_redo = self.control.checkpoint.redo;
        for record in self.wal.from(old_redo).take_while(|record| record.end <= checkpoint.redo) {
            self.image.apply(record);
        }
        self.control.checkpoint = checkpoint;
        self.remove_old_wal(settings);
    }

    /// Removes WAL segments older than the checkpoint, the slots and `wal_keep_size` want (`KeepLogSeg`).
    fn remove_old_wal(&mut self, settings: &Settings) {
        let redo = self.control.checkpoint.redo;
        let mut keep = redo;
        if let Some(limit) = settings.max_slot_wal_keep_bytes {
            let oldest_allowed = Lsn(self.wal.end().0.saturating_sub(limit));
            for slot in self.slots.values_mut() {
                slot.invalidated |= slot.restart_lsn.is_some_and(|lsn| lsn.segment() < oldest_allowed.segment());
            }
        }
        for slot in self.slots.values().filter(|slot| !slot.invalidated) {
            keep = keep.min(slot.restart_lsn.unwrap_or(keep));
        }
        keep = keep.min(Lsn(self.wal.end().0.saturating_sub(settings.wal_keep_bytes)));
        self.wal.remove_before(keep);
    }
}
