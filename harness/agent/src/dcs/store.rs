//! Patroni's keys on top of [`Kv`]: one consistent read, the leader lock, the member key, compare-and-set records.
//!
//! Every write says what came of it: applied, refused or unknown. Writes that compare are safe to repeat, so they are
//! repeated until somebody answers, and an answer "the comparison failed" is checked against what we wrote: a lost
//! acknowledgement is not a conflict (Patroni issue 3035).

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use pgdrill_ha::{
    records::{Key, Keys, MemberRecord},
    view::{Cluster, LockOutcome, WriteOutcome},
};
use tokio::time::Instant;

use super::{
    Compare, Kv, KvError, LeaseId, Op, Tries, Txn,
    lease::{Lease, LeaseState},
    snapshot,
};
use crate::clock::Clock;

/// The DCS of one cluster, seen by one of its members.
pub struct Dcs<K> {
    pub(super) kv: Arc<K>,
    pub(super) keys: Keys,
    pub(super) name: String,
    pub(super) clock: Clock,
    lease: Mutex<LeaseState>,
}

impl<K: Kv> Dcs<K> {
    /// The cluster under `keys`, for the member `name`.
    #[must_use]
    pub fn new(kv: Arc<K>, keys: Keys, name: &str, clock: Clock) -> Self {
        Self { kv, keys, name: name.to_owned(), clock, lease: Mutex::new(LeaseState::default()) }
    }

    /// The store's API below, and where the cluster's keys are.
    #[must_use]
    pub fn kv(&self) -> (&Arc<K>, &Keys) {
        (&self.kv, &self.keys)
    }

    pub(super) fn lease_state(&self) -> MutexGuard<'_, LeaseState> {
        self.lease.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All of the cluster's keys at one revision, linearizable.
    ///
    /// # Errors
    /// When no member of etcd answered within `retry_timeout`.
    pub async fn load(&self) -> Result<Cluster, KvError> {
        let range = self.kv.range(self.keys.prefix()).await?;
        // What is really there counts, not what we remember having written: a member key that an operator deleted, or
        // that vanished with its lease, is written again.
        let member = range.keys.get(&self.keys.path(&Key::Member(self.name.clone())));
        let lock = range.keys.get(&self.keys.path(&Key::Leader)).filter(|kv| kv.value == self.name);
        let mut state = self.lease_state();
        state.member = member.map(|kv| (kv.value.clone(), kv.lease));
        state.lock_revision = lock.map_or(state.lock_revision, |kv| kv.mod_revision);
        drop(state);
        Ok(snapshot::cluster(&self.keys, &range))
    }

    /// The lease that the member key hangs on, as it was last read; `None`: there is no key, or it hangs on none.
    pub fn member_lease(&self) -> Option<LeaseId> {
        self.lease_state().member.as_ref().map(|(_, lease)| *lease).filter(|lease| *lease != 0)
    }

    /// Whether another agent of our name has written the member key after us, as it was last read.
    pub fn is_taken_over(&self) -> bool {
        self.lease_state().is_taken_over()
    }

    /// A lease of `ttl` that was refreshed after `not_before`; granted if there is none or its `ttl` is another.
    /// `fresh` tells that it was granted just now, so that no key hangs on it yet.
    pub(super) async fn ensure_lease(&self, ttl: Duration, not_before: Instant) -> Result<(Lease, bool), KvError> {
        let sent = Instant::now();
        let present = self.lease_state().current;
        if let Some(lease) = present.filter(|lease| lease.ttl == ttl) {
            if lease.refreshed >= not_before {
                return Ok((lease, false));
            }
            if self.kv.lease_keepalive(lease.id).await? {
                let lease = Lease { refreshed: sent, ..lease };
                self.lease_state().current = Some(lease);
                return Ok((lease, false));
            }
            self.lease_state().lost(lease.id);
        }
        let sent = Instant::now();
        let id = self.kv.lease_grant(i64::try_from(ttl.as_secs()).unwrap_or(i64::MAX)).await?;
        let lease = Lease { id, ttl, refreshed: sent };
        let mut state = self.lease_state();
        // Of a lease with another ttl the keys are moved away first; revoking it at once would delete them.
        state.retired = state.current.map(|old| old.id).or(state.retired);
        state.grant(lease);
        Ok((lease, true))
    }

    /// Writes the member key if it or its lease changed; keeps the lease alive if `keep_alive`.
    ///
    /// A leader whose lock was not renewed in this cycle must not keep the lease alive: the lock hangs on it, and would
    /// outlive the leader's own belief in it, blocking everybody else.
    ///
    /// # Errors
    /// When etcd did not answer or refused; the key may then be old or gone.
    pub async fn touch_member(
        &self,
        record: &MemberRecord,
        ttl: Duration,
        cycle_start: Instant,
        keep_alive: bool,
    ) -> Result<(), KvError> {
        let known = self.lease_state().current;
        let lease = match known {
            Some(lease) if !keep_alive => lease,
            _ => self.ensure_lease(ttl, cycle_start).await?.0,
        };
        let value = record.to_json();
        let wanted = Some((value.clone(), lease.id));
        if self.lease_state().member != wanted {
            let path = self.keys.path(&Key::Member(self.name.clone()));
            match self.kv.put(&path, &value, lease.id, Tries::Once).await {
                Ok(_) => {
                    let mut state = self.lease_state();
                    state.member = wanted;
                    state.has_written = true;
                }
                Err(error) => {
                    if matches!(error, KvError::Refused(_)) {
                        self.lease_state().lost(lease.id);
                    }
                    return Err(error);
                }
            }
        }
        if keep_alive {
            self.revoke_retired().await;
        }
        Ok(())
    }

    /// Ends the lease from before a change of `ttl`, now that lock and member key hang on the new one. Not before the lock
    /// was renewed there: revoked under a lock of unknown state, it would set the lock free while its holder still leads.
    async fn revoke_retired(&self) {
        let retired = self.lease_state().retired.take();
        if let Some(id) = retired {
            // If this fails the lease ends by itself.
            let _ = self.kv.lease_revoke(id).await;
        }
    }

    /// Writes a key only if it was last changed at `expected` (0: only if it is absent).
    pub async fn compare_and_set(&self, key: &Key, expected: i64, value: &str) -> WriteOutcome {
        let path = self.keys.path(key);
        let txn = Txn {
            compare: vec![unchanged(&path, expected)],
            success: vec![Op::Put(path.clone(), value.to_owned(), 0)],
            failure: vec![Op::Get(path.clone())],
        };
        match self.kv.txn(txn, Tries::Repeat).await {
            Ok(done) if done.succeeded => WriteOutcome::Written { mod_revision: done.revision },
            // Ours, of a try whose answer was lost, or the same from somebody else: in both cases what we wanted.
            Ok(done) => match done.found.get(&path).filter(|kv| kv.value == value) {
                Some(kv) => WriteOutcome::Written { mod_revision: kv.mod_revision },
                None => WriteOutcome::Conflict,
            },
            Err(error) => unwritten(error),
        }
    }

    /// Creates a key that must be ours alone although its value does not say whose it is (`initialize` while a bootstrap
    /// runs): an unknown outcome stays unknown, since what is found afterwards may be somebody else's.
    pub async fn create_once(&self, key: &Key, value: &str) -> WriteOutcome {
        let path = self.keys.path(key);
        let txn = Txn {
            compare: vec![Compare::Absent(path.clone())],
            success: vec![Op::Put(path, value.to_owned(), 0)],
            failure: vec![],
        };
        match self.kv.txn(txn, Tries::Once).await {
            Ok(done) if done.succeeded => WriteOutcome::Written { mod_revision: done.revision },
            Ok(_) => WriteOutcome::Conflict,
            Err(error) => unwritten(error),
        }
    }

    /// Deletes a key only if it was last changed at `expected`.
    pub async fn compare_and_delete(&self, key: &Key, expected: i64) -> WriteOutcome {
        let path = self.keys.path(key);
        let txn = Txn {
            compare: vec![unchanged(&path, expected)],
            success: vec![Op::Delete(path.clone())],
            failure: vec![Op::Get(path.clone())],
        };
        match self.kv.txn(txn, Tries::Repeat).await {
            Ok(done) if done.succeeded || !done.found.contains_key(&path) => WriteOutcome::Written { mod_revision: 0 },
            Ok(_) => WriteOutcome::Conflict,
            Err(error) => unwritten(error),
        }
    }

    /// Writes a key whatever it holds.
    pub async fn put(&self, key: &Key, value: &str) -> WriteOutcome {
        match self.kv.put(&self.keys.path(key), value, 0, Tries::Once).await {
            Ok(mod_revision) => WriteOutcome::Written { mod_revision },
            Err(error) => unwritten(error),
        }
    }

    /// Deletes a key whatever it holds.
    pub async fn delete(&self, key: &Key) -> WriteOutcome {
        match self.kv.delete(&self.keys.path(key), Tries::Repeat).await {
            Ok(_) => WriteOutcome::Written { mod_revision: 0 },
            Err(error) => unwritten(error),
        }
    }
}

fn unchanged(path: &str, expected: i64) -> Compare {
    match expected {
        0 => Compare::Absent(path.to_owned()),
        revision => Compare::ModRevision(path.to_owned(), revision),
    }
}

/// A refusal or an unreachable etcd is "unknown" too for who waits for a record: whatever the reason, it must be read
/// again before anything is built on it.
fn unwritten(error: KvError) -> WriteOutcome {
    WriteOutcome::Unknown { reason: error.to_string() }
}

pub(super) fn unknown(error: KvError) -> LockOutcome {
    LockOutcome::Unknown { reason: error.to_string() }
}
