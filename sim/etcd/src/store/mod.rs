//! The multi-version key-value store (etcd's `mvcc`): every change ever made since the last compaction, by revision.
//!
//! - `history` is etcd's backend: revision to record;
//! - `index` is etcd's key index: key to its revisions.
//!
//! Writes happen inside a [`Write`], which is one transaction and therefore one revision; its changes are numbered by a
//! sub-revision in the order in which they were made.

mod check;
mod history;
mod range;
#[cfg(test)]
mod tests;
mod txn;

use std::{
    collections::BTreeMap,
    ops::Bound::{self, Excluded, Included, Unbounded},
};

pub use check::{check_delete, check_put, check_range, check_txn};
use etcd_client::proto::{PbEvent, PbKeyValue};
pub use history::{Saved, SavedRecord};
pub(crate) use txn::branch;
pub use txn::{is_readonly, is_serializable};

use crate::error::EtcdError;

/// A revision and the position within its transaction.
pub type Revision = (i64, i64);

/// `EventType` of an event: the generated enum is not public.
pub const PUT: i32 = 0;
/// See [`PUT`].
pub const DELETE: i32 = 1;

/// One change: a value, or the mark that the key was deleted.
#[derive(Clone, Debug, PartialEq)]
struct Record {
    kv: PbKeyValue,
    deleted: bool,
}

/// The store. See the module's description.
#[derive(Clone, Debug)]
pub struct Store {
    revision: i64,
    /// -1 until the first compaction.
    compacted: i64,
    history: BTreeMap<Revision, Record>,
    index: BTreeMap<Vec<u8>, Vec<Revision>>,
    /// Approximate size of `history` on disk, for `Status`.
    bytes: usize,
}

impl Default for Store {
    fn default() -> Self {
        // etcd's empty store is at revision 1.
        Self { revision: 1, compacted: -1, history: BTreeMap::new(), index: BTreeMap::new(), bytes: 0 }
    }
}

/// The keys `[key, range_end)` in etcd's notation: an empty end means the one key, `\0` means "and all after it".
pub type KeyRange<'a> = (&'a [u8], &'a [u8]);

/// Both ends of a range of an ordered map.
type Bounds<'a> = (Bound<&'a [u8]>, Bound<&'a [u8]>);

/// `(key, range_end)` as bounds of an ordered map; `None` when it is empty because the end is before the key.
fn bounds<'a>((key, end): KeyRange<'a>) -> Option<Bounds<'a>> {
    match end {
        b"" => Some((Included(key), Included(key))),
        b"\0" => Some((Included(key), Unbounded)),
        _ if key < end => Some((Included(key), Excluded(end))),
        _ => None,
    }
}

/// Whether `key` is in the range.
#[must_use]
pub fn contains((from, end): KeyRange<'_>, key: &[u8]) -> bool {
    match end {
        b"" => key == from,
        b"\0" => key >= from,
        _ => key >= from && key < end,
    }
}

impl Store {
    /// The newest revision.
    #[must_use]
    pub fn revision(&self) -> i64 {
        self.revision
    }

    /// The revision up to which history was dropped; -1 when it never was.
    #[must_use]
    pub fn compacted(&self) -> i64 {
        self.compacted
    }

    /// Approximate size in bytes.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        self.bytes
    }

    /// The state of `key` just at `revision`, if it existed then.
    #[must_use]
    pub fn get_at(&self, key: &[u8], revision: i64) -> Option<&PbKeyValue> {
        self.visible(self.index.get(key)?, revision)
    }

    fn visible(&self, revisions: &[Revision], at: i64) -> Option<&PbKeyValue> {
        let older = revisions.partition_point(|r| r.0 <= at);
        let newest = revisions[..older].last()?;
        let record = &self.history[newest];
        (!record.deleted).then_some(&record.kv)
    }

    /// All keys of a range as they were at `revision`, in key order.
    fn scan<'a>(&'a self, range: KeyRange<'a>, revision: i64) -> impl Iterator<Item = &'a PbKeyValue> + 'a {
        let bounds = bounds(range);
        bounds
            .into_iter()
            .flat_map(|b| self.index.range::<[u8], _>(b))
            .filter_map(move |(_, revisions)| self.visible(revisions, revision))
    }

    /// Starts a transaction. Nothing is visible to watches until its [`Write::end`].
    pub fn write(&mut self) -> Write<'_> {
        Write { begin: self.revision, store: self, changes: Vec::new() }
    }

    /// Drops what nobody can ask for after a compaction at `revision`: of every key only the state at that revision stays.
    ///
    /// # Errors
    /// `Compacted` when that was done already, `FutureRev` beyond the newest revision.
    pub fn compact(&mut self, revision: i64) -> Result<(), EtcdError> {
        if revision <= self.compacted {
            return Err(EtcdError::Compacted);
        }
        if revision > self.revision {
            return Err(EtcdError::FutureRev);
        }
        self.compacted = revision;
        let (history, bytes) = (&mut self.history, &mut self.bytes);
        self.index.retain(|_, revisions| {
            let old = revisions.partition_point(|r| r.0 <= revision);
            // The newest old state stays, unless it is a deletion: then the key was simply not there.
            let keep_last = revisions[..old].last().is_some_and(|r| !history[r].deleted);
            let drop = if keep_last { old - 1 } else { old };
            for gone in revisions.drain(..drop) {
                if let Some(record) = history.remove(&gone) {
                    *bytes -= record.size();
                }
            }
            !revisions.is_empty()
        });
        Ok(())
    }

    /// Everything that happened from `revision` on to keys for which `wanted` holds, oldest first.
    pub fn events_since<'a>(
        &'a self,
        revision: i64,
        wanted: impl Fn(&[u8]) -> bool + 'a,
    ) -> impl Iterator<Item = PbEvent> + 'a {
        self.history.range((revision, 0)..).filter(move |(_, r)| wanted(&r.kv.key)).map(|(_, record)| record.event())
    }

    /// The keys that hang on a lease, with its id.
    pub(crate) fn leased_keys(&self) -> Vec<(Vec<u8>, i64)> {
        let kvs = self.scan((b"", b"\0"), self.revision);
        kvs.filter(|kv| kv.lease != 0).map(|kv| (kv.key.clone(), kv.lease)).collect()
    }

    fn insert(&mut self, revision: Revision, record: Record) {
        self.bytes += record.size();
        self.index.entry(record.kv.key.clone()).or_default().push(revision);
        self.history.insert(revision, record);
    }
}

impl Record {
    fn event(&self) -> PbEvent {
        PbEvent { r#type: if self.deleted { DELETE } else { PUT }, kv: Some(self.kv.clone()), prev_kv: None }
    }

    fn size(&self) -> usize {
        // 17 bytes of revision key and about 24 of varints and tags, as in etcd's backend.
        self.kv.key.len() + self.kv.value.len() + 41
    }
}

/// A transaction being applied.
pub struct Write<'a> {
    store: &'a mut Store,
    begin: i64,
    changes: Vec<Revision>,
}

impl Write<'_> {
    /// The revision that reads inside this transaction see.
    #[must_use]
    pub fn revision(&self) -> i64 {
        self.begin + i64::from(!self.changes.is_empty())
    }

    /// The current state of `key`, this transaction's own changes included.
    #[must_use]
    pub fn get(&self, key: &[u8]) -> Option<&PbKeyValue> {
        self.store.get_at(key, self.revision())
    }

    /// The current state of a range's keys, this transaction's own changes included.
    #[must_use]
    pub fn kvs(&self, range: KeyRange<'_>) -> Vec<PbKeyValue> {
        self.store.scan(range, self.revision()).cloned().collect()
    }

    /// Sets `key`; `lease` 0 is none. Returns the transaction's revision.
    pub fn put(&mut self, key: &[u8], value: Vec<u8>, lease: i64) -> i64 {
        let revision = self.next();
        let (create_revision, version) =
            self.store.get_at(key, revision.0).map_or((revision.0, 0), |kv| (kv.create_revision, kv.version));
        let kv = PbKeyValue {
            key: key.to_vec(),
            value,
            create_revision,
            mod_revision: revision.0,
            version: version + 1,
            lease,
        };
        self.change(revision, Record { kv, deleted: false });
        revision.0
    }

    /// Deletes the keys of a range; returns them.
    pub fn delete_range(&mut self, range: KeyRange<'_>) -> Vec<Vec<u8>> {
        let keys: Vec<_> = self.store.scan(range, self.revision()).map(|kv| kv.key.clone()).collect();
        for key in &keys {
            let revision = self.next();
            // A deletion's event carries the key and its revision, nothing else.
            let kv = PbKeyValue { key: key.clone(), mod_revision: revision.0, ..PbKeyValue::default() };
            self.change(revision, Record { kv, deleted: true });
        }
        keys
    }

    /// Ends the transaction: its events in order, empty if it changed nothing (then it took no revision either).
    #[must_use]
    pub fn end(self) -> Vec<PbEvent> {
        if !self.changes.is_empty() {
            self.store.revision = self.begin + 1;
        }
        self.changes.iter().map(|r| self.store.history[r].event()).collect()
    }

    fn next(&self) -> Revision {
        (self.begin + 1, i64::try_from(self.changes.len()).expect("a transaction has few changes"))
    }

    fn change(&mut self, revision: Revision, record: Record) {
        self.store.insert(revision, record);
        self.changes.push(revision);
    }
}
