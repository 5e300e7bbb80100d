//! The leader lock: take it, renew it, give it back.
//!
//! The key holds the node's bare name and hangs on the node's lease. We hold the lock exactly if both are ours, and only
//! until `ttl` after the moment before the request was *sent*. Patroni counts from the answer and re-creates a lock that
//! expired; both let a leader outlive its lock, so neither is done here.
//!
//! A release is for one revision of the key. Patroni's compares the name alone, and so may free, arriving late, a lock that its
//! sender has taken up again. After a release whose outcome is unknown the next renewal therefore puts the key anew.

use std::time::Duration;

use pgdrill_ha::{
    Monotonic,
    records::{Key, StatusRecord},
    view::{LockOutcome, WriteOutcome},
};
use tokio::time::Instant;

use super::{
    Compare, Kv, KvError, LeaseId, Op, Tries, Txn, TxnOutcome,
    lease::Lease,
    store::{Dcs, unknown},
};

/// So often a release is sent for the revision that the one before has found.
const RELEASES: u32 = 3;

impl<K: Kv> Dcs<K> {
    /// Takes the lock if nobody holds it, and with it writes `status`, so that a former holder sees that another was in
    /// office.
    pub async fn acquire_lock(&self, ttl: Duration, status: &StatusRecord) -> LockOutcome {
        let requested_at = self.clock.now();
        let lease = match self.ensure_lease(ttl, Instant::now()).await {
            Ok((lease, _)) => lease,
            Err(error) => return unknown(error),
        };
        let path = self.leader_path();
        let txn = Txn {
            compare: vec![Compare::Absent(path.clone())],
            success: vec![
                Op::Put(path.clone(), self.name.clone(), lease.id),
                Op::Put(self.keys.path(&Key::Status), status.to_json(), 0),
            ],
            failure: vec![Op::Get(path), Op::Get(self.keys.path(&Key::Status))],
        };
        match self.kv.txn(txn, Tries::Repeat).await {
            // The key can be ours already: by a first try whose answer was lost.
            Ok(done) if done.succeeded => {
                self.lease_state().lock_revision = done.revision;
                held(requested_at, ttl, Some(done.revision))
            }
            // Who has sent a release since cannot tell whether that may still arrive: the next renewal puts the key anew.
            Ok(done) if self.is_mine(&done, lease.id) && !self.lease_state().may_be_released() => {
                let status = done.found.get(&self.keys.path(&Key::Status));
                held(requested_at, ttl, status.map(|kv| kv.mod_revision))
            }
            Ok(_) => LockOutcome::Lost,
            Err(error) => self.failed(error, lease),
        }
    }

    /// Renews the lock: keeps the lease alive, then verifies in one transaction that the key is still ours and on that
    /// lease, and only then writes `records` (`status`, `failsafe`), so that nobody but the lock holder ever writes them.
    pub async fn renew_lock(&self, ttl: Duration, records: &[(Key, String)]) -> LockOutcome {
        let requested_at = self.clock.now();
        let lease = match self.ensure_lease(ttl, Instant::now()).await {
            Ok((lease, false)) => lease,
            // A new lease: the agent was restarted, `ttl` changed, or the old lease ended. In the last case the key ended
            // with it and the comparison below fails.
            Ok((lease, true)) => return self.rebind_lock(requested_at, lease, records).await,
            Err(error) => return unknown(error),
        };
        if self.lease_state().may_be_released() {
            return self.rebind_lock(requested_at, lease, records).await;
        }
        let path = self.leader_path();
        let txn = Txn {
            compare: vec![Compare::Value(path.clone(), self.name.clone()), Compare::Lease(path.clone(), lease.id)],
            success: self.puts(records),
            failure: vec![Op::Get(path.clone())],
        };
        match self.kv.txn(txn, Tries::Repeat).await {
            Ok(done) if done.succeeded => held(requested_at, ttl, status_revision(records, &done)),
            // Still ours, on the lease of an earlier life.
            Ok(done) if done.found.get(&path).is_some_and(|kv| kv.value == self.name) => {
                self.rebind_lock(requested_at, lease, records).await
            }
            Ok(_) => LockOutcome::Lost,
            Err(error) => self.failed(error, lease),
        }
    }

    /// Moves a lock that carries our name to the present lease, in one step: it is never free in between.
    async fn rebind_lock(&self, requested_at: Monotonic, lease: Lease, records: &[(Key, String)]) -> LockOutcome {
        let path = self.leader_path();
        let mut success = vec![Op::Put(path.clone(), self.name.clone(), lease.id)];
        success.extend(self.puts(records));
        let txn = Txn {
            compare: vec![Compare::Value(path.clone(), self.name.clone())],
            success,
            failure: vec![Op::Get(path)],
        };
        match self.kv.txn(txn, Tries::Repeat).await {
            Ok(done) if done.succeeded => {
                self.lease_state().lock_revision = done.revision;
                held(requested_at, lease.ttl, status_revision(records, &done))
            }
            Ok(_) => LockOutcome::Lost,
            Err(error) => self.failed(error, lease),
        }
    }

    /// Gives the lock back if it is ours, after writing a last `status`. Not holding it is as good as done.
    pub async fn release_lock(&self, status: Option<String>) -> WriteOutcome {
        let path = self.leader_path();
        let mut success: Vec<Op> =
            status.map(|value| Op::Put(self.keys.path(&Key::Status), value, 0)).into_iter().collect();
        success.push(Op::Delete(path.clone()));
        let mut revision = self.lease_state().lock_revision;
        // The key can have been put since we last saw it: by a try of ours whose answer was lost, or by a restarted agent.
        for _ in 0..RELEASES {
            self.lease_state().release_sent = revision;
            let ours = Compare::Value(path.clone(), self.name.clone());
            let compare = vec![ours, Compare::ModRevision(path.clone(), revision)];
            let txn = Txn { compare, success: success.clone(), failure: vec![Op::Get(path.clone())] };
            let done = match self.kv.txn(txn, Tries::Repeat).await {
                Ok(done) => done,
                Err(error) => return WriteOutcome::Unknown { reason: error.to_string() },
            };
            match done.found.get(&path).filter(|kv| !done.succeeded && kv.value == self.name) {
                Some(kv) => revision = kv.mod_revision,
                None => return WriteOutcome::Written { mod_revision: done.revision },
            }
        }
        WriteOutcome::Unknown { reason: "the lock was put anew each time it was to be released".into() }
    }

    /// Writes a key as long as the lock is ours. What arrives late, when another leads, changes nothing.
    pub async fn put_as_holder(&self, key: &Key, value: &str) -> WriteOutcome {
        let txn = Txn {
            compare: vec![Compare::Value(self.leader_path(), self.name.clone())],
            success: vec![Op::Put(self.keys.path(key), value.to_owned(), 0)],
            failure: vec![],
        };
        match self.kv.txn(txn, Tries::Once).await {
            Ok(done) if done.succeeded => WriteOutcome::Written { mod_revision: done.revision },
            Ok(_) => WriteOutcome::Conflict,
            Err(error) => WriteOutcome::Unknown { reason: error.to_string() },
        }
    }

    fn leader_path(&self) -> String {
        self.keys.path(&Key::Leader)
    }

    fn puts(&self, records: &[(Key, String)]) -> Vec<Op> {
        records.iter().map(|(key, value)| Op::Put(self.keys.path(key), value.clone(), 0)).collect()
    }

    fn is_mine(&self, done: &TxnOutcome, lease: LeaseId) -> bool {
        done.found.get(&self.leader_path()).is_some_and(|kv| kv.value == self.name && kv.lease == lease)
    }

    /// etcd refuses a put on a lease that has ended: then so has the lock.
    fn failed(&self, error: KvError, lease: Lease) -> LockOutcome {
        if let KvError::Refused(_) = error {
            self.lease_state().lost(lease.id);
            return LockOutcome::Lost;
        }
        unknown(error)
    }
}

fn held(requested_at: Monotonic, ttl: Duration, status_revision: Option<i64>) -> LockOutcome {
    LockOutcome::Held { requested_at, ttl, status_revision }
}

fn status_revision(records: &[(Key, String)], done: &TxnOutcome) -> Option<i64> {
    records.iter().any(|(key, _)| *key == Key::Status).then_some(done.revision)
}

#[cfg(test)]
#[path = "lock_tests.rs"]
mod tests;
