//! The store as it travels inside a Raft snapshot.

use etcd_client::proto::PbKeyValue;

use super::{Record, Store};

/// A whole store, encoded.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Saved {
    /// Newest revision.
    #[prost(int64, tag = "1")]
    pub revision: i64,
    /// Compacted revision, -1 for none.
    #[prost(sint64, tag = "2")]
    pub compacted: i64,
    /// All records, oldest first.
    #[prost(message, repeated, tag = "3")]
    pub records: Vec<SavedRecord>,
}

/// One change.
#[derive(Clone, PartialEq, prost::Message)]
pub struct SavedRecord {
    /// Position within its transaction.
    #[prost(int64, tag = "1")]
    pub sub: i64,
    /// Whether the key was deleted.
    #[prost(bool, tag = "2")]
    pub deleted: bool,
    /// The key's new state; of a deletion only key and revision.
    #[prost(message, optional, tag = "3")]
    pub kv: Option<PbKeyValue>,
}

impl Store {
    /// Everything a fresh member needs to continue from here.
    #[must_use]
    pub fn save(&self) -> Saved {
        let records = self
            .history
            .iter()
            .map(|((_, sub), r)| SavedRecord { sub: *sub, deleted: r.deleted, kv: Some(r.kv.clone()) })
            .collect();
        Saved { revision: self.revision, compacted: self.compacted, records }
    }

    /// The store that was saved.
    #[must_use]
    pub fn restore(saved: Saved) -> Self {
        let mut store = Self { revision: saved.revision, compacted: saved.compacted, ..Self::default() };
        for SavedRecord { sub, deleted, kv } in saved.records {
            if let Some(kv) = kv {
                store.insert((kv.mod_revision, sub), Record { kv, deleted });
            }
        }
        store
    }
}
