//! The store against a naive model that keeps a full copy of the map for every revision.

use std::collections::BTreeMap;

use etcd_client::proto::{PbKeyValue, PbRangeRequest};
use proptest::prelude::*;

use super::{DELETE, Store, contains};
use crate::error::EtcdError;

/// One change inside a transaction, on a small set of keys.
#[derive(Clone, Debug)]
enum Change {
    Put(u8, u8),
    /// Deletes from the first key to the second (exclusive); the same twice: that key.
    Delete(u8, u8),
}

#[derive(Clone, Debug)]
enum Step {
    Txn(Vec<Change>),
    /// Compacts at this share (of 255) of all revisions.
    Compact(u8),
}

fn changes() -> impl Strategy<Value = Change> {
    prop_oneof![
        3 => (0..6_u8, any::<u8>()).prop_map(|(k, v)| Change::Put(k, v)),
        1 => (0..6_u8, 0..6_u8).prop_map(|(a, b)| Change::Delete(a, b)),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => prop::collection::vec(changes(), 1..4).prop_map(Step::Txn),
        1 => any::<u8>().prop_map(Step::Compact),
    ];
    prop::collection::vec(step, 1..40)
}

type Map = BTreeMap<Vec<u8>, PbKeyValue>;

/// The map as it was after each revision, and what each revision changed.
struct Naive {
    at: BTreeMap<i64, Map>,
    events: Vec<(i64, i32, Vec<u8>)>,
    compacted: i64,
}

fn key(k: u8) -> Vec<u8> {
    vec![b'a' + k]
}

fn range_of(a: u8, b: u8) -> (Vec<u8>, Vec<u8>) {
    (key(a), if a == b { Vec::new() } else { key(b) })
}

impl Naive {
    fn txn(&mut self, changes: &[Change]) {
        let (last, map) = self.at.last_key_value().expect("it begins with revision 1");
        let (revision, mut map) = (last + 1, map.clone());
        let before = self.events.len();
        for change in changes {
            match change {
                Change::Put(k, v) => {
                    let old = map.get(&key(*k));
                    let kv = PbKeyValue {
                        key: key(*k),
                        value: vec![*v],
                        create_revision: old.map_or(revision, |kv| kv.create_revision),
                        mod_revision: revision,
                        version: old.map_or(0, |kv| kv.version) + 1,
                        lease: 0,
                    };
                    map.insert(key(*k), kv);
                    self.events.push((revision, 0, key(*k)));
                }
                Change::Delete(a, b) => {
                    let (from, end) = range_of(*a, *b);
                    let gone: Vec<_> = map.keys().filter(|k| contains((&from, &end), k)).cloned().collect();
                    for k in gone {
                        map.remove(&k);
                        self.events.push((revision, DELETE, k));
                    }
                }
            }
        }
        if self.events.len() > before {
            self.at.insert(revision, map);
        }
    }
}

fn apply(store: &mut Store, changes: &[Change]) -> Vec<(i64, i32, Vec<u8>)> {
    let mut write = store.write();
    for change in changes {
        match change {
            Change::Put(k, v) => {
                write.put(&key(*k), vec![*v], 0);
            }
            Change::Delete(a, b) => {
                let (from, end) = range_of(*a, *b);
                write.delete_range((&from, &end));
            }
        }
    }
    let events = write.end();
    events
        .into_iter()
        .map(|e| (e.kv.as_ref().map_or(0, |kv| kv.mod_revision), e.r#type, e.kv.unwrap_or_default().key))
        .collect()
}

fn all_at(store: &Store, revision: i64) -> Result<Vec<PbKeyValue>, EtcdError> {
    let request = PbRangeRequest { key: vec![0], range_end: vec![0], revision, ..PbRangeRequest::default() };
    store.range(&request).map(|response| response.kvs)
}

fn agree(store: &Store, naive: &Naive) -> Result<(), TestCaseError> {
    let newest = *naive.at.last_key_value().expect("it begins with revision 1").0;
    prop_assert_eq!(store.revision(), newest);
    for (revision, map) in naive.at.range(1..) {
        let found = all_at(store, *revision);
        if *revision < naive.compacted {
            prop_assert_eq!(found, Err(EtcdError::Compacted));
        } else {
            prop_assert_eq!(found, Ok(map.values().cloned().collect()));
        }
    }
    prop_assert_eq!(all_at(store, newest + 1), Err(EtcdError::FutureRev));
    let from = naive.compacted + 1;
    let told: Vec<_> = store.events_since(from, |_| true).collect();
    let told: Vec<_> =
        told.iter().filter_map(|e| e.kv.as_ref().map(|kv| (kv.mod_revision, e.r#type, kv.key.clone()))).collect();
    let happened: Vec<_> = naive.events.iter().filter(|e| e.0 >= from).cloned().collect();
    prop_assert_eq!(told, happened);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_uncompacted_revision_reads_as_the_naive_model_remembers_it(steps in steps()) {
        let mut store = Store::default();
        let mut naive = Naive { at: BTreeMap::from([(1, Map::new())]), events: Vec::new(), compacted: -1 };
        for step in steps {
            match step {
                Step::Txn(changes) => {
                    let before = naive.events.len();
                    naive.txn(&changes);
                    prop_assert_eq!(apply(&mut store, &changes), &naive.events[before..]);
                }
                Step::Compact(share) => {
                    let at = store.revision() * i64::from(share) / 255;
                    let expected = if at <= naive.compacted { Err(EtcdError::Compacted) } else { Ok(()) };
                    prop_assert_eq!(store.compact(at), expected);
                    naive.compacted = naive.compacted.max(at);
                }
            }
        }
        agree(&store, &naive)?;
        let restored = Store::restore(store.save());
        agree(&restored, &naive)?;
        prop_assert_eq!(restored.size_bytes(), store.size_bytes());
    }
}
