//! Who watches what (etcd's `mvcc.watchableStore`).
//!
//! A watcher is *synced* when it has been told everything up to the newest revision: then each transaction notifies it
//! directly. A watcher that starts in the past, or whose client does not read fast enough, is *unsynced* and is fed from the
//! store's history until it has caught up.

use std::collections::BTreeMap;

use etcd_client::proto::PbEvent;
use tokio::sync::mpsc;

use crate::store::{DELETE, PUT, Store, contains};

/// Answers queued for one stream before its watchers count as slow (etcd's `chanBufLen`).
pub const STREAM_BUFFER: usize = 128;

/// Revisions per answer when catching up (etcd's `watchBatchMaxRevs`).
const MAX_REVISIONS_PER_ANSWER: usize = 1000;

/// The id that stands for "all watches of the stream" or for "none".
pub const NO_WATCH: i64 = -1;

/// What a stream is told; the server makes responses of it.
#[derive(Clone, Debug, PartialEq)]
pub enum Told {
    /// Watch `id` exists, at `revision`.
    Created {
        /// The watch.
        id: i64,
        /// Newest revision.
        revision: i64,
    },
    /// The watch could not be created.
    Refused {
        /// Newest revision.
        revision: i64,
        /// Why, for a person.
        reason: &'static str,
    },
    /// The client's cancellation of watch `id` was carried out.
    Canceled {
        /// The watch.
        id: i64,
        /// Newest revision.
        revision: i64,
    },
    /// Events of one or more whole revisions; none: progress, everything up to `revision` has been told.
    Events {
        /// The watch.
        id: i64,
        /// Newest revision the events are from.
        revision: i64,
        /// Oldest first.
        events: Vec<PbEvent>,
    },
    /// The watch asked for history that is gone, and has ended.
    Compacted {
        /// The watch.
        id: i64,
        /// The oldest revision that can be asked for.
        compact_revision: i64,
    },
}

/// A stream's end of the queue of answers.
pub type StreamSender = mpsc::Sender<Told>;

/// What a client asked to watch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WatchSpec {
    /// First key.
    pub key: Vec<u8>,
    /// End in etcd's notation.
    pub range_end: Vec<u8>,
    /// First revision to tell; 0: the next one.
    pub start_revision: i64,
    /// Tell the previous state with each event.
    pub prev_kv: bool,
    /// Do not tell puts.
    pub no_put: bool,
    /// Do not tell deletions.
    pub no_delete: bool,
}

/// A watcher in all streams of the member.
pub type WatcherKey = (u64, i64);

#[derive(Debug)]
struct Watcher {
    spec: WatchSpec,
    to: StreamSender,
    /// Nothing before this revision is told.
    next: i64,
    synced: bool,
}

/// All watchers of a member, by stream and watch id: their order is the order of notification.
#[derive(Debug, Default)]
pub struct WatchHub {
    watchers: BTreeMap<WatcherKey, Watcher>,
    unsynced: usize,
}

impl WatchHub {
    /// Adds watcher `key`; its answers go to `to`.
    pub fn add(&mut self, key: WatcherKey, spec: WatchSpec, to: StreamSender, store: &Store) {
        let start = spec.start_revision;
        let synced = start == 0 || start > store.revision();
        let next = if synced { start.max(store.revision() + 1) } else { start };
        self.unsynced += usize::from(!synced);
        self.watchers.insert(key, Watcher { spec, to, next, synced });
    }

    /// Whether the stream has a watch of this id.
    #[must_use]
    pub fn has(&self, key: WatcherKey) -> bool {
        self.watchers.contains_key(&key)
    }

    /// Removes one watcher; false if there is none.
    pub fn cancel(&mut self, key: WatcherKey) -> bool {
        let found = self.watchers.remove(&key);
        self.unsynced -= usize::from(found.as_ref().is_some_and(|w| !w.synced));
        found.is_some()
    }

    /// Removes all watchers of a stream that has ended.
    pub fn close_stream(&mut self, stream: u64) {
        let ids: Vec<_> = self.watchers.range((stream, i64::MIN)..=(stream, i64::MAX)).map(|(k, _)| *k).collect();
        for key in ids {
            self.cancel(key);
        }
    }

    /// Whether [`WatchHub::sync`] has work to do.
    #[must_use]
    pub fn has_unsynced(&self) -> bool {
        self.unsynced > 0
    }

    /// Tells the synced watchers the events of one transaction, which is already in the store.
    pub fn notify(&mut self, store: &Store, revision: i64, events: &[PbEvent]) {
        for ((_, id), watcher) in self.watchers.iter_mut().filter(|(_, w)| w.synced && w.next <= revision) {
            let mine = watcher.pick(store, events);
            if mine.is_empty() {
                continue;
            }
            if watcher.to.try_send(Told::Events { id: *id, revision, events: mine }).is_ok() {
                watcher.next = revision + 1;
            } else {
                // The client is slow: it will be fed from history, beginning with this revision.
                watcher.next = revision;
                watcher.synced = false;
                self.unsynced += 1;
            }
        }
    }

    /// Feeds unsynced watchers from history as far as their queues take it.
    pub fn sync(&mut self, store: &Store) {
        let mut ended = Vec::new();
        for (key, watcher) in self.watchers.iter_mut().filter(|(_, w)| !w.synced) {
            if watcher.next < store.compacted() {
                let told = Told::Compacted { id: key.1, compact_revision: store.compacted() };
                if watcher.to.try_send(told).is_ok() {
                    ended.push(*key);
                }
            } else if watcher.catch_up(store, key.1) {
                watcher.synced = true;
                self.unsynced -= 1;
            }
        }
        for key in ended {
            self.cancel(key);
        }
    }

    /// After a snapshot from the leader replaced the store: all watchers may have missed events.
    pub fn restart(&mut self, store: &Store) {
        for watcher in self.watchers.values_mut() {
            watcher.synced = watcher.next > store.revision();
        }
        self.unsynced = self.watchers.values().filter(|w| !w.synced).count();
    }

    /// Tells watch `id` of `stream`, or the whole stream for [`NO_WATCH`], how far it has got; nothing while one of
    /// them is unsynced.
    pub fn progress(&self, stream: u64, id: i64, revision: i64) {
        let range = if id == NO_WATCH { (stream, i64::MIN)..=(stream, i64::MAX) } else { (stream, id)..=(stream, id) };
        let watchers: Vec<_> = self.watchers.range(range).map(|(_, w)| w).collect();
        if watchers.iter().any(|w| !w.synced || revision < w.spec.start_revision) {
            return;
        }
        if let Some(watcher) = watchers.first() {
            // A full queue means that events are on their way; they say more than this would.
            let _ = watcher.to.try_send(Told::Events { id, revision, events: Vec::new() });
        }
    }
}

impl Watcher {
    /// The events of one transaction that this watcher wants, as it wants them.
    fn pick(&self, store: &Store, events: &[PbEvent]) -> Vec<PbEvent> {
        let range = (self.spec.key.as_slice(), self.spec.range_end.as_slice());
        let wanted = events.iter().filter(|e| e.kv.as_ref().is_some_and(|kv| contains(range, &kv.key)));
        wanted.filter(|e| self.passes(e)).map(|e| self.with_prev(store, e.clone())).collect()
    }

    fn passes(&self, event: &PbEvent) -> bool {
        !(event.r#type == PUT && self.spec.no_put || event.r#type == DELETE && self.spec.no_delete)
    }

    fn with_prev(&self, store: &Store, mut event: PbEvent) -> PbEvent {
        if let (true, Some(kv)) = (self.spec.prev_kv, &event.kv) {
            // A creation has no previous state; what is compacted cannot be told.
            let created = event.r#type == PUT && kv.create_revision == kv.mod_revision;
            if !created && kv.mod_revision > store.compacted() {
                event.prev_kv = store.get_at(&kv.key, kv.mod_revision - 1).cloned();
            }
        }
        event
    }

    /// Sends history in answers of whole revisions. True when everything was sent.
    fn catch_up(&mut self, store: &Store, id: i64) -> bool {
        while self.next <= store.revision() {
            let range = (self.spec.key.as_slice(), self.spec.range_end.as_slice());
            let mut batch: Vec<PbEvent> = Vec::new();
            let (mut revisions, mut last, mut next) = (0, 0, store.revision() + 1);
            for event in store.events_since(self.next, |key| contains(range, key)) {
                let revision = event.kv.as_ref().map_or(0, |kv| kv.mod_revision);
                if revision != last && revisions == MAX_REVISIONS_PER_ANSWER {
                    next = revision;
                    break;
                }
                revisions += usize::from(revision != last);
                last = revision;
                if self.passes(&event) {
                    batch.push(self.with_prev(store, event));
                }
            }
            let told = Told::Events { id, revision: store.revision(), events: batch };
            if !matches!(&told, Told::Events { events, .. } if events.is_empty()) && self.to.try_send(told).is_err() {
                return false;
            }
            self.next = next;
        }
        true
    }
}
