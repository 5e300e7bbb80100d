//! The WAL of one data directory: records in order, and how far they are written and flushed.

use std::{collections::VecDeque, sync::Arc};

use super::record::{Body, Record};
use crate::{Lsn, lsn::SEGMENT_BYTES};

/// The WAL files of one data directory, along the path of timelines it is on.
///
/// Records before `flushed` survive a power loss; the others only the end of the process (they are in the page cache).
#[derive(Clone, Debug, Default)]
pub struct Wal {
    records: VecDeque<Arc<Record>>,
    /// Beginning of the oldest segment that is still there.
    oldest: Lsn,
    end: Lsn,
    flushed: Lsn,
}

impl Wal {
    /// An empty WAL that begins at `start`.
    #[must_use]
    pub fn starting_at(start: Lsn) -> Self {
        Self { records: VecDeque::new(), oldest: start, end: start, flushed: start }
    }

    /// End of what was written (to the page cache).
    #[must_use]
    pub fn end(&self) -> Lsn {
        self.end
    }

    /// End of what is on stable storage.
    #[must_use]
    pub fn flushed(&self) -> Lsn {
        self.flushed
    }

    /// Oldest position that can still be read.
    #[must_use]
    pub fn oldest(&self) -> Lsn {
        self.oldest
    }

    /// Whether a record of `bytes` written now would need a new segment file.
    #[must_use]
    pub fn needs_segment_for(&self, bytes: u64) -> bool {
        (self.end + bytes).segment() != self.end.segment()
    }

    /// Appends a record on timeline `tli` and returns it.
    pub fn append(&mut self, tli: u32, body: Body) -> Arc<Record> {
        let start = self.end;
        let mut end = start + body.bytes();
        if matches!(body, Body::Switch) {
            end = Lsn((end.segment() + 1) * SEGMENT_BYTES);
        }
        let record = Arc::new(Record { start, end, tli, body });
        self.end = end;
        self.records.push_back(Arc::clone(&record));
        record
    }

    /// Writes a record received from elsewhere.
    ///
    /// # Errors
    /// PostgreSQL's words when the record does not continue this WAL: the two logs differ before this point.
    pub fn receive(&mut self, record: Arc<Record>) -> Result<(), String> {
        if record.start != self.end {
            return Err(format!("invalid record length at {}: expected at least 24, got 0", self.end));
        }
        self.end = record.end;
        self.records.push_back(record);
        Ok(())
    }

    /// fsync up to `lsn`.
    pub fn flush(&mut self, lsn: Lsn) {
        self.flushed = self.flushed.max(lsn.min(self.end));
    }

    /// The machine lost power: what was not flushed is gone.
    pub fn lose_unflushed(&mut self) {
        self.truncate(self.flushed);
    }

    /// Forgets everything from `lsn` on (another timeline continues there).
    pub fn truncate(&mut self, lsn: Lsn) {
        while self.records.back().is_some_and(|record| record.end > lsn) {
            self.records.pop_back();
        }
        // The end of the last whole record: a torn one reads as the end of the log.
        self.end = self.records.back().map_or(self.oldest.max(lsn.min(self.end)), |record| record.end);
        self.flushed = self.flushed.min(self.end);
    }

    /// Removes whole segments before the one that holds `keep`.
    pub fn remove_before(&mut self, keep: Lsn) {
        let boundary = Lsn(keep.segment() * SEGMENT_BYTES);
        if boundary <= self.oldest {
            return;
        }
        while self.records.front().is_some_and(|record| record.end <= boundary) {
            self.records.pop_front();
        }
        self.oldest = boundary;
    }

    /// Index of the first record that begins at or after `lsn`.
    #[must_use]
    pub fn position(&self, lsn: Lsn) -> usize {
        self.records.partition_point(|record| record.start < lsn)
    }

    /// The first record at or after `lsn`.
    #[must_use]
    pub fn next_after(&self, lsn: Lsn) -> Option<&Arc<Record>> {
        self.records.get(self.position(lsn))
    }

    /// Records from `from` on, oldest first.
    pub fn from(&self, from: Lsn) -> impl DoubleEndedIterator<Item = &Arc<Record>> {
        self.records.range(self.position(from)..)
    }

    /// All records, oldest first.
    pub fn records(&self) -> impl DoubleEndedIterator<Item = &Arc<Record>> {
        self.records.iter()
    }

    /// Replaces the records from `from` on by `records` (what `pg_rewind` does to `pg_wal`), all on stable storage.
    pub fn replace_from(&mut self, from: Lsn, records: impl IntoIterator<Item = Arc<Record>>) {
        self.truncate(from);
        for record in records {
            if record.start == self.end {
                self.end = record.end;
                self.records.push_back(record);
            }
        }
        self.flushed = self.end;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn switch_at(wal: &mut Wal) -> Arc<Record> {
        wal.append(1, Body::Switch)
    }

    #[test]
    fn only_flushed_records_survive_a_power_loss() {
        let mut wal = Wal::starting_at(Lsn(SEGMENT_BYTES));
        let kept = wal.append(1, Body::CheckpointShutdown);
        wal.flush(kept.end);
        wal.append(1, Body::CheckpointShutdown);
        wal.lose_unflushed();
        assert_eq!((wal.end(), wal.records().count()), (kept.end, 1));
    }

    #[test]
    fn a_switch_fills_the_segment_and_old_segments_are_removed_whole() {
        let mut wal = Wal::starting_at(Lsn(SEGMENT_BYTES));
        wal.append(1, Body::CheckpointShutdown);
        let switch = switch_at(&mut wal);
        assert_eq!(switch.end, Lsn(2 * SEGMENT_BYTES));
        let last = wal.append(1, Body::CheckpointShutdown);
        wal.remove_before(Lsn(2 * SEGMENT_BYTES - 1));
        assert_eq!(wal.records().count(), 3, "the segment in use stays");
        wal.remove_before(last.end);
        assert_eq!((wal.records().count(), wal.oldest()), (1, Lsn(2 * SEGMENT_BYTES)));
    }

    #[test]
    fn a_record_that_does_not_continue_the_log_is_refused() {
        let mut wal = Wal::starting_at(Lsn(SEGMENT_BYTES));
        let mut other = wal.clone();
        wal.append(1, Body::CheckpointShutdown);
        other.append(1, Body::Switch);
        let foreign = other.append(1, Body::CheckpointShutdown);
        assert!(wal.receive(foreign).is_err());
    }
}
