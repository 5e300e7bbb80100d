//! Applies what Raft has committed, takes and installs snapshots, and lets leases expire.

use prost::Message as _;
use raft::eraftpb::{Entry, Snapshot, SnapshotMetadata};
use tokio::time::Instant;

use super::node::Node;
use crate::request::{InternalRaftRequest, Op};

impl Node {
    pub(super) fn apply(&mut self, entries: Vec<Entry>) {
        if entries.is_empty() {
            return;
        }
        let now = Instant::now();
        for entry in entries {
            let index = entry.index;
            if entry.data.is_empty() {
                self.first_commit_in_term(now);
            } else {
                self.apply_request(&entry.data, now);
            }
            self.member.machine().applied = index;
        }
        let (applied, revision) = {
            let machine = self.member.machine();
            if machine.watches.has_unsynced() {
                self.member.unsynced_watchers.notify_one();
            }
            (machine.applied, machine.store.revision())
        };
        self.member.peek.set_applied(applied, revision);
        self.reads.applied(applied);
        self.snapshot_if_due(applied);
    }

    fn apply_request(&mut self, data: &[u8], now: Instant) {
        let request = InternalRaftRequest::decode(data).expect("an entry was encoded by a member of the same version");
        let Some(op) = request.op else { return };
        let revoked = matches!(op, Op::LeaseRevoke(_));
        let answer = self.member.machine().apply(op, now);
        if revoked {
            self.member.lessor_changed.notify_waiters();
        }
        self.member.answer(request.id, answer);
    }

    /// The empty entry of a new leader: everything of earlier terms is applied now.
    fn first_commit_in_term(&mut self, now: Instant) {
        if self.member.is_leader() {
            self.member.machine().lessor.promote(now, self.member.config.election_timeout());
        }
        // A leader refuses ReadIndex before this moment. Raft must not be stepped here, so the question is repeated by the
        // next round.
        self.read_again = true;
    }

    /// Proposes the revocation of expired leases, twice a second (`lessor.runLoop`, `EtcdServer.revokeExpiredLeases`).
    pub(super) fn expire_leases(&mut self, now: Instant) {
        if now < self.next_expiry_check {
            return;
        }
        self.next_expiry_check = now + std::time::Duration::from_millis(500);
        let expired = self.member.machine().lessor.take_expired(now);
        if expired.is_empty() {
            return;
        }
        // After a freeze somebody else may lead, and would have to carry out what this member asks for.
        let active = self.member.contact().last_tick + 3 * self.member.config.tick() > now;
        let member = self.member.clone();
        tokio::spawn(async move {
            let leads = active || member.linearizable_read().await.is_ok() && member.is_leader();
            if !leads {
                return;
            }
            let revocations = expired.into_iter().map(|id| {
                let revoke = etcd_client::proto::PbLeaseRevokeRequest { id };
                // A failed revocation is tried again when the lessor next looks at this lease.
                member.propose(Op::LeaseRevoke(revoke))
            });
            futures::future::join_all(revocations).await;
        });
    }

    fn snapshot_if_due(&mut self, applied: u64) {
        let config = &self.member.config;
        if applied < self.snapshot_index + config.snapshot_count {
            return;
        }
        let Ok(term) = raft::Storage::term(self.raft.store(), applied) else { return };
        let mut snapshot = Snapshot::default();
        snapshot.set_metadata(SnapshotMetadata {
            conf_state: Some(self.raft.store().conf_state()).into(),
            index: applied,
            term,
            ..SnapshotMetadata::default()
        });
        snapshot.data = self.member.machine().save().into();
        // Slow followers can still be served from the log for a while.
        self.disk.save_snapshot(snapshot, applied.saturating_sub(config.catch_up_entries));
        self.snapshot_index = applied;
    }

    /// Takes over the leader's state: this member was too far behind for its log.
    pub(super) fn install(&mut self, snapshot: Snapshot) {
        let index = snapshot.get_metadata().index;
        let revision = {
            let mut machine = self.member.machine();
            machine
                .restore(&snapshot.data, index, self.member.config.min_lease_ttl())
                .expect("a snapshot was encoded by a member of the same version");
            machine.store.revision()
        };
        self.disk.install_snapshot(snapshot);
        self.snapshot_index = index;
        self.member.peek.set_applied(index, revision);
        self.member.lessor_changed.notify_waiters();
        self.member.unsynced_watchers.notify_one();
    }
}
