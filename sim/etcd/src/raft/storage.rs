//! Raft's view of a member's [`Disk`].

use raft::{
    Error, GetEntriesContext, RaftState, Result, Storage, StorageError,
    eraftpb::{ConfState, Entry, Snapshot},
    util::limit_size,
};

use crate::disk::Disk;

/// The log on a [`Disk`], for the given voters. The membership is fixed by the configuration, so it is not stored.
pub(crate) struct DiskStorage {
    pub disk: Disk,
    pub voters: Vec<u64>,
}

impl DiskStorage {
    pub(crate) fn conf_state(&self) -> ConfState {
        ConfState { voters: self.voters.clone(), ..ConfState::default() }
    }
}

impl Storage for DiskStorage {
    fn initial_state(&self) -> Result<RaftState> {
        Ok(RaftState::new(self.disk.files().hard_state.clone(), self.conf_state()))
    }

    fn entries(&self, low: u64, high: u64, max: impl Into<Option<u64>>, _: GetEntriesContext) -> Result<Vec<Entry>> {
        let files = self.disk.files();
        let offset = files.compacted.0 + 1;
        if low < offset {
            return Err(Error::Store(StorageError::Compacted));
        }
        let (from, to) = ((low - offset) as usize, (high - offset) as usize);
        let Some(found) = files.entries.get(from..to) else {
            return Err(Error::Store(StorageError::Unavailable));
        };
        let mut found = found.to_vec();
        limit_size(&mut found, max.into());
        Ok(found)
    }

    fn term(&self, index: u64) -> Result<u64> {
        let files = self.disk.files();
        let (compacted, term) = files.compacted;
        if index == compacted {
            return Ok(term);
        }
        let meta = files.snapshot.get_metadata();
        if index == meta.index {
            return Ok(meta.term);
        }
        if index < compacted {
            return Err(Error::Store(StorageError::Compacted));
        }
        let entry = files.entries.get((index - compacted - 1) as usize);
        entry.map(|e| e.term).ok_or(Error::Store(StorageError::Unavailable))
    }

    fn first_index(&self) -> Result<u64> {
        Ok(self.disk.files().compacted.0 + 1)
    }

    fn last_index(&self) -> Result<u64> {
        let files = self.disk.files();
        Ok(files.compacted.0 + files.entries.len() as u64)
    }

    fn snapshot(&self, request_index: u64, _to: u64) -> Result<Snapshot> {
        let snapshot = self.disk.files().snapshot.clone();
        if snapshot.get_metadata().index == 0 || snapshot.get_metadata().index < request_index {
            return Err(Error::Store(StorageError::SnapshotTemporarilyUnavailable));
        }
        Ok(snapshot)
    }
}
