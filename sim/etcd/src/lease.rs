//! Leases (etcd's `lease.lessor`).
//!
//! Every member knows every lease and its keys, for they are granted and revoked through the log. Only the leader, the
//! *primary* lessor, counts their time: keepalives do not go through the log. A new leader therefore does not know how much
//! was left and gives every lease its full TTL plus an election time-out.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use tokio::time::Instant;

use crate::error::EtcdError;

/// The longest TTL etcd accepts, in seconds.
pub const MAX_LEASE_TTL: i64 = 9_000_000_000;

/// After this time without success the revocation of an expired lease is tried again.
const EXPIRED_RETRY: Duration = Duration::from_secs(3);

/// At most this many leases are revoked at a time, twice a second.
const REVOKE_LIMIT: usize = 500;

/// One lease.
#[derive(Clone, Debug)]
struct Lease {
    ttl: i64,
    /// When it expires; `None`: never, as far as this member knows, because it is not the primary.
    expiry: Option<Instant>,
    keys: BTreeSet<Vec<u8>>,
}

/// All leases of a member.
#[derive(Clone, Debug)]
pub struct Lessor {
    leases: BTreeMap<i64, Lease>,
    by_key: BTreeMap<Vec<u8>, i64>,
    /// When to look at which lease next: its expiry, or the retry of its revocation.
    queue: BTreeSet<(Instant, i64)>,
    queued: BTreeMap<i64, Instant>,
    primary: bool,
    min_ttl: i64,
}

/// What came of a keepalive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewal {
    /// Renewed: it lives this many seconds from now.
    Renewed(i64),
    /// No such lease.
    NotFound,
    /// It has expired and its revocation is on its way: wait for that, then ask again.
    Expiring,
    /// This member does not keep the time: ask the leader.
    NotPrimary,
}

/// What `LeaseTimeToLive` tells about a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeToLive {
    /// Whole seconds left, 0 when it has expired and is about to be revoked.
    pub remaining: i64,
    /// The TTL it was granted.
    pub granted: i64,
    /// Its keys in order.
    pub keys: Vec<Vec<u8>>,
}

impl Lessor {
    /// A lessor without leases that grants no TTL below `min_ttl` seconds.
    #[must_use]
    pub fn new(min_ttl: i64) -> Self {
        Self {
            leases: BTreeMap::new(),
            by_key: BTreeMap::new(),
            queue: BTreeSet::new(),
            queued: BTreeMap::new(),
            primary: false,
            min_ttl,
        }
    }

    /// Whether the lease is known.
    #[must_use]
    pub fn exists(&self, id: i64) -> bool {
        self.leases.contains_key(&id)
    }

    /// The lease that `key` hangs on, 0 for none.
    #[must_use]
    pub fn lease_of(&self, key: &[u8]) -> i64 {
        self.by_key.get(key).copied().unwrap_or(0)
    }

    /// Grants lease `id`; returns the TTL it really got.
    ///
    /// # Errors
    /// `LeaseNotFound` for id 0, `LeaseTtlTooLarge`, `LeaseExists`.
    pub fn grant(&mut self, id: i64, ttl: i64, now: Instant) -> Result<i64, EtcdError> {
        if id == 0 {
            return Err(EtcdError::LeaseNotFound);
        }
        if ttl > MAX_LEASE_TTL {
            return Err(EtcdError::LeaseTtlTooLarge);
        }
        if self.exists(id) {
            return Err(EtcdError::LeaseExists);
        }
        let ttl = ttl.max(self.min_ttl);
        self.leases.insert(id, Lease { ttl, expiry: None, keys: BTreeSet::new() });
        if self.primary {
            self.refresh(id, now, Duration::ZERO);
        }
        Ok(ttl)
    }

    /// Forgets lease `id`; returns its keys in order, which the caller deletes.
    ///
    /// # Errors
    /// `LeaseNotFound`.
    pub fn revoke(&mut self, id: i64) -> Result<Vec<Vec<u8>>, EtcdError> {
        let lease = self.leases.remove(&id).ok_or(EtcdError::LeaseNotFound)?;
        self.unqueue(id);
        for key in &lease.keys {
            self.by_key.remove(key);
        }
        Ok(lease.keys.into_iter().collect())
    }

    /// Hangs `key` on lease `id`; 0 takes it off whatever lease it was on.
    pub fn attach(&mut self, key: &[u8], id: i64) {
        self.detach(key);
        if let Some(lease) = self.leases.get_mut(&id) {
            lease.keys.insert(key.to_vec());
            self.by_key.insert(key.to_vec(), id);
        }
    }

    /// Takes `key` off its lease, because it was deleted.
    pub fn detach(&mut self, key: &[u8]) {
        if let Some(old) = self.by_key.remove(key)
            && let Some(lease) = self.leases.get_mut(&old)
        {
            lease.keys.remove(key);
        }
    }

    /// A keepalive.
    pub fn renew(&mut self, id: i64, now: Instant) -> Renewal {
        if !self.primary {
            return Renewal::NotPrimary;
        }
        let Some(lease) = self.leases.get(&id) else { return Renewal::NotFound };
        if lease.expiry.is_some_and(|at| at <= now) {
            return Renewal::Expiring;
        }
        let ttl = lease.ttl;
        self.refresh(id, now, Duration::ZERO);
        Renewal::Renewed(ttl)
    }

    /// What is known about lease `id`.
    #[must_use]
    pub fn time_to_live(&self, id: i64, now: Instant) -> Option<TimeToLive> {
        let lease = self.leases.get(&id)?;
        let remaining = match lease.expiry {
            Some(at) => i64::try_from(at.saturating_duration_since(now).as_secs()).unwrap_or(i64::MAX),
            // A follower's lease does not expire: etcd's "forever" is as large as a duration can be.
            None => i64::MAX / 1_000_000_000,
        };
        Some(TimeToLive { remaining, granted: lease.ttl, keys: lease.keys.iter().cloned().collect() })
    }

    /// All lease ids, the next one to expire first.
    #[must_use]
    pub fn leases(&self) -> Vec<i64> {
        let mut ids: Vec<_> = self.leases.iter().map(|(id, l)| (l.expiry.is_none(), l.expiry, *id)).collect();
        ids.sort_unstable();
        ids.into_iter().map(|(_, _, id)| id).collect()
    }

    /// This member became leader: every lease gets its full TTL and `extend`.
    pub fn promote(&mut self, now: Instant, extend: Duration) {
        self.primary = true;
        for id in self.leases.keys().copied().collect::<Vec<_>>() {
            self.refresh(id, now, extend);
        }
    }

    /// This member is not the leader any more: it stops counting.
    pub fn demote(&mut self) {
        self.primary = false;
        self.queue.clear();
        self.queued.clear();
        for lease in self.leases.values_mut() {
            lease.expiry = None;
        }
    }

    /// Whether this member keeps the time.
    #[must_use]
    pub fn is_primary(&self) -> bool {
        self.primary
    }

    /// The leases to revoke now. A lease is named again only after 3 s without success.
    pub fn take_expired(&mut self, now: Instant) -> Vec<i64> {
        let mut expired = Vec::new();
        while let Some((at, id)) = self.queue.first().copied()
            && at <= now
            && expired.len() < REVOKE_LIMIT
        {
            self.enqueue(id, now + EXPIRED_RETRY);
            expired.push(id);
        }
        expired
    }

    fn refresh(&mut self, id: i64, now: Instant, extend: Duration) {
        let Some(lease) = self.leases.get_mut(&id) else { return };
        let ttl = Duration::from_secs(u64::try_from(lease.ttl).unwrap_or(0));
        let at = now + ttl + extend;
        lease.expiry = Some(at);
        self.enqueue(id, at);
    }

    fn enqueue(&mut self, id: i64, at: Instant) {
        self.unqueue(id);
        self.queue.insert((at, id));
        self.queued.insert(id, at);
    }

    fn unqueue(&mut self, id: i64) {
        if let Some(at) = self.queued.remove(&id) {
            self.queue.remove(&(at, id));
        }
    }

    /// Ids and TTLs, for a snapshot; the keys are known from the store.
    pub fn save(&self) -> impl Iterator<Item = (i64, i64)> + '_ {
        self.leases.iter().map(|(id, l)| (*id, l.ttl))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn primary(now: Instant) -> Lessor {
        let mut lessor = Lessor::new(2);
        lessor.promote(now, SECOND);
        lessor
    }

    #[test]
    fn a_short_ttl_is_raised_to_the_minimum_and_a_huge_one_refused() {
        let now = Instant::now();
        let mut lessor = primary(now);
        assert_eq!(lessor.grant(7, 1, now), Ok(2));
        assert_eq!(lessor.grant(7, 5, now), Err(EtcdError::LeaseExists));
        assert_eq!(lessor.grant(8, MAX_LEASE_TTL + 1, now), Err(EtcdError::LeaseTtlTooLarge));
        assert_eq!(lessor.grant(0, 5, now), Err(EtcdError::LeaseNotFound));
    }

    #[test]
    fn an_unrenewed_lease_expires_after_its_ttl_and_is_named_again_only_after_three_seconds() {
        let now = Instant::now();
        let mut lessor = primary(now);
        lessor.grant(7, 5, now).expect("granted");
        assert!(lessor.take_expired(now + 4 * SECOND).is_empty());
        assert_eq!(lessor.renew(7, now + 4 * SECOND), Renewal::Renewed(5));
        assert!(lessor.take_expired(now + 8 * SECOND).is_empty());
        assert_eq!(lessor.take_expired(now + 9 * SECOND), [7]);
        assert_eq!(lessor.renew(7, now + 9 * SECOND), Renewal::Expiring);
        assert!(lessor.take_expired(now + 11 * SECOND).is_empty());
        assert_eq!(lessor.take_expired(now + 12 * SECOND), [7]);
        assert_eq!(lessor.revoke(7), Ok(vec![]));
        assert_eq!(lessor.renew(7, now + 12 * SECOND), Renewal::NotFound);
        assert!(lessor.take_expired(now + 99 * SECOND).is_empty());
    }

    #[test]
    fn a_new_leader_gives_every_lease_its_full_ttl_and_an_election_timeout() {
        let now = Instant::now();
        let mut lessor = Lessor::new(2);
        lessor.grant(7, 5, now).expect("granted");
        assert_eq!(lessor.renew(7, now), Renewal::NotPrimary);
        assert!(lessor.take_expired(now + 99 * SECOND).is_empty(), "a follower expires nothing");
        lessor.promote(now + 100 * SECOND, SECOND);
        assert!(lessor.take_expired(now + 105 * SECOND).is_empty());
        assert_eq!(lessor.take_expired(now + 106 * SECOND), [7]);
        lessor.demote();
        assert!(lessor.take_expired(now + 200 * SECOND).is_empty());
    }

    #[test]
    fn a_key_hangs_on_the_last_lease_it_was_put_with() {
        let now = Instant::now();
        let mut lessor = primary(now);
        lessor.grant(1, 5, now).expect("granted");
        lessor.grant(2, 5, now).expect("granted");
        lessor.attach(b"a", 1);
        lessor.attach(b"b", 1);
        lessor.attach(b"a", 2);
        assert_eq!((lessor.lease_of(b"a"), lessor.lease_of(b"b")), (2, 1));
        lessor.attach(b"b", 0);
        assert_eq!(lessor.revoke(1), Ok(vec![]));
        assert_eq!(lessor.revoke(2), Ok(vec![b"a".to_vec()]));
        assert_eq!(lessor.lease_of(b"a"), 0);
    }
}
