//! A member's data directory: what a restarted process finds again.
//!
//! etcd's write-ahead log is the source of truth and its key-value file is rebuilt from it, so the disk holds the Raft log,
//! the hard state and the last Raft snapshot. Entries, votes and snapshots are always synced before Raft lets a message
//! out; a commit index alone is written without a sync (`MustSync`), and is what [`Disk::power_loss`] can take away.

use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use raft::eraftpb::{Entry, HardState, Snapshot};

/// A handle to one member's data directory. Clones share it; it outlives the member's process.
#[derive(Clone, Default)]
pub struct Disk(Arc<Mutex<Files>>);

impl std::fmt::Debug for Disk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let files = self.files();
        f.debug_struct("Disk")
            .field("entries", &files.entries.len())
            .field("commit", &files.hard_state.commit)
            .field("incarnation", &files.incarnation)
            .finish()
    }
}

#[derive(Default)]
pub(crate) struct Files {
    /// Entries after `snapshot`'s trail: contiguous, the first one at `compacted.0 + 1`.
    pub entries: Vec<Entry>,
    /// Index and term of the last entry that was dropped from the log.
    pub compacted: (u64, u64),
    pub hard_state: HardState,
    /// The commit index that is surely on the platters.
    synced_commit: u64,
    pub snapshot: Snapshot,
    incarnation: u64,
    rejoining: bool,
    fsync_delay: Duration,
}

impl Disk {
    /// An empty data directory.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    pub(crate) fn files(&self) -> MutexGuard<'_, Files> {
        self.0.lock().expect("nobody panics while holding the files: methods below only move data")
    }

    /// Removes everything, as `rm -r` of the data directory. Only while the member's process is down.
    ///
    /// Real etcd refuses to start such a member with `--initial-cluster-state new` ("has already been bootstrapped"); an
    /// operator removes it from the cluster and adds it again. Here the next start stands for that procedure: the
    /// member rejoins under its old id, neither votes nor campaigns until it has heard from a leader, and gets the data back
    /// by log or snapshot. So a wipe never makes the cluster forget what it acknowledged.
    pub fn wipe(&self) {
        let mut files = self.files();
        let (incarnation, fsync_delay) = (files.incarnation + 1, files.fsync_delay);
        // Adding a member goes through the present leader, so a real one comes back into the present term too.
        let hard_state = HardState { commit: 0, ..files.hard_state.clone() };
        *files = Files { incarnation, rejoining: true, fsync_delay, hard_state, ..Files::default() };
    }

    /// Keeps only what was synced. Call it when the host loses power, after the process has gone.
    pub fn power_loss(&self) {
        let mut files = self.files();
        files.hard_state.commit = files.synced_commit.max(files.compacted.0);
    }

    /// Makes every sync take `delay` from now on (a slow or saturated device); the member's Raft loop stands still meanwhile.
    pub fn set_fsync_delay(&self, delay: Duration) {
        self.files().fsync_delay = delay;
    }

    /// How long a sync takes at present.
    #[must_use]
    pub fn fsync_delay(&self) -> Duration {
        self.files().fsync_delay
    }

    /// How often this directory was wiped; peers learn from it that a member has forgotten its log.
    #[must_use]
    pub fn incarnation(&self) -> u64 {
        self.files().incarnation
    }

    /// Whether this directory was wiped and no leader has brought it up to date since.
    #[must_use]
    pub fn is_rejoining(&self) -> bool {
        self.files().rejoining
    }

    pub(crate) fn rejoined(&self) {
        self.files().rejoining = false;
    }

    /// Writes `entries` over whatever the log has from the first one's index on, and syncs.
    pub(crate) fn append(&self, entries: Vec<Entry>) {
        let mut files = self.files();
        let Some(first) = entries.first().map(|e| e.index) else { return };
        assert!(first > files.compacted.0, "raft rewrites entry {first}, which was compacted at {}", files.compacted.0);
        let keep = usize::try_from(first - files.compacted.0 - 1).expect("a log in memory is indexed by usize");
        assert!(keep <= files.entries.len(), "raft leaves a gap in the log before entry {first}");
        files.entries.truncate(keep);
        files.entries.extend(entries);
        files.synced_commit = files.hard_state.commit;
    }

    /// Writes the hard state; `sync`: also to the platters.
    pub(crate) fn save_hard_state(&self, hard_state: HardState, sync: bool) {
        let mut files = self.files();
        files.hard_state = hard_state;
        if sync {
            files.synced_commit = files.hard_state.commit;
        }
    }

    pub(crate) fn save_commit(&self, commit: u64) {
        self.files().hard_state.commit = commit;
    }

    /// Takes a snapshot received from the leader: it replaces the whole log.
    pub(crate) fn install_snapshot(&self, snapshot: Snapshot) {
        let mut files = self.files();
        let meta = snapshot.get_metadata();
        files.entries.clear();
        files.compacted = (meta.index, meta.term);
        files.hard_state.commit = files.hard_state.commit.max(meta.index);
        files.hard_state.term = files.hard_state.term.max(meta.term);
        files.synced_commit = files.hard_state.commit;
        files.snapshot = snapshot;
    }

    /// Saves a snapshot of this member's own state and drops the log up to `compact_to`, which is not after it.
    pub(crate) fn save_snapshot(&self, snapshot: Snapshot, compact_to: u64) {
        let mut files = self.files();
        files.snapshot = snapshot;
        if compact_to > files.compacted.0 {
            let n = usize::try_from(compact_to - files.compacted.0).expect("a log in memory is indexed by usize");
            let term = files.entries[n - 1].term;
            files.entries.drain(..n);
            files.compacted = (compact_to, term);
        }
        files.synced_commit = files.hard_state.commit;
    }
}
