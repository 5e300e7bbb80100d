//! What a node must remember from one cycle to the next. `decide` alone writes it; the agent only keeps it.

use std::collections::BTreeMap;

use crate::records::{FailsafeRecord, MemberRecord, StatusRecord};
use crate::view::SynchronousStandbyNames;
use crate::{Lsn, Monotonic};

/// The state machine's memory. `Memory::default()` is that of an agent that has just been started.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Memory {
    /// Until when we may act as the leader: the moment before the last successful request for the lock was sent, plus the
    /// lease's ttl. `None` if we never held the lock or gave it up.
    pub lock_deadline: Option<Monotonic>,
    /// The newest view of the DCS: older ones are refused.
    pub newest: Freshness,
    /// Since when a primary that ran before this agent has been seen without the DCS having been read even once.
    pub found_without_dcs: Option<Monotonic>,
    /// The last cluster that had a leader (`Ha.old_cluster`).
    pub last_led: Option<LedCluster>,
    /// The `mod_revision` of `status` when we last wrote it. If somebody else has written it since, another leader was
    /// in office (Patroni issue 2779), and we must not go on as if nothing had happened.
    pub own_status_revision: Option<i64>,
    /// Failsafe mode.
    pub failsafe: FailsafeMemory,
    /// The `mod_revision` of `/sync` in the view that our latest attempt at the lock was decided upon.
    pub raced_on_sync: Option<i64>,
    /// The question whether our data directory fits the leader's history.
    pub rewind: RewindMemory,
    /// Whether the upstream that we are configured to follow sends us anything.
    pub streaming: StreamingMemory,
    /// Synchronous replication.
    pub sync: SyncMemory,
    /// Since when we have been the lock holder with a PostgreSQL that is not yet running (for `primary_start_timeout`).
    pub start_began: Option<Monotonic>,
    /// We are trying to start PostgreSQL after it was found dead (`Ha.recovering`).
    pub recovering: bool,
    /// Single-user crash recovery has been tried for the present crash.
    pub crash_recovery_tried: bool,
    /// When `pre_promote` last failed: we keep out of the race for ttl.
    pub pre_promote_failed: Option<Monotonic>,
    /// The CHECKPOINT after our promotion has not ended; others wait with their rewind (`checkpoint_after_promote`).
    pub checkpoint_pending: bool,
    /// The previous cycle was a paused one.
    pub was_paused: bool,
    /// A bootstrap of ours is on its way.
    pub bootstrapping: bool,
    /// PostgreSQL has been started or found running by us at least once, on the present data directory.
    pub ever_started: bool,
    /// The last time each member's key was seen (for `member_slots_ttl`).
    pub members_seen: BTreeMap<String, Monotonic>,
    /// The task whose outcome was last taken notice of.
    pub task_seen: u64,
    /// When PostgreSQL was last seen running as primary by us, to tell a crashed primary from a stopped replica.
    pub was_primary: bool,
    /// We were the leader and demoted ourselves; cleared when somebody else becomes leader.
    pub demoted: bool,
    /// The end of the leadership that we gave up by demoting ourselves.
    pub given_up: Option<Monotonic>,
}

/// How new a view is. Only views of one store can be compared, by term, then revision.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Freshness {
    /// Which store: the id of the etcd cluster.
    pub cluster_id: u64,
    /// The Raft term.
    pub raft_term: u64,
    /// The store's revision.
    pub revision: i64,
}

impl Freshness {
    /// Whether `self` is of the same store as `other` and older.
    pub fn is_older_than(&self, other: &Freshness) -> bool {
        self.cluster_id == other.cluster_id && (self.raft_term, self.revision) < (other.raft_term, other.revision)
    }
}

/// What is kept of the last cluster that had a leader.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LedCluster {
    /// Who led.
    pub leader: String,
    /// Who was there: those are to be asked in a race, even if their keys are gone by now.
    pub members: BTreeMap<String, MemberRecord>,
    /// The last known `/status`.
    pub status: StatusRecord,
}

/// Failsafe mode's memory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FailsafeMemory {
    /// Until when all members have agreed to have us as leader without DCS. Replaces the lock's deadline meanwhile.
    pub agreed_until: Option<Monotonic>,
    /// The last known `/failsafe`.
    pub record: FailsafeRecord,
    /// Until when a leader without DCS has our word that we do not race, and its name. Survives the ping's owner.
    pub promised: Option<(String, Monotonic)>,
}

/// How far the check of our data directory against the leader's history is (`REWIND_STATUS` in Patroni).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RewindState {
    /// No reason to check.
    #[default]
    Initial,
    /// Wait for the leader's checkpoint, then check.
    Checkpoint,
    /// Check as soon as there is a leader to compare with.
    Check,
    /// The histories have diverged.
    Need,
    /// They have not.
    NotNeed,
    /// `pg_rewind` ended well.
    Success,
    /// `pg_rewind` failed for good.
    Failed,
}

/// The rewind state machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RewindMemory {
    /// Where it is.
    pub state: RewindState,
    /// A human-readable account of the last comparison.
    pub finding: Option<String>,
    /// Our timeline has the leader's number and another history: `pg_rewind` looks at the number and does nothing.
    pub beyond_rewind: bool,
}

/// What is known of a replica that has an upstream and no walreceiver that streams.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StreamingMemory {
    /// Since when it runs and does not stream; `None` while it does.
    pub missing_since: Option<Monotonic>,
    /// When its history was last compared with its upstream's for that reason.
    pub looked_at: Option<Monotonic>,
    /// The comparison took place, and the histories fit unless [`RewindMemory::finding`] says otherwise.
    pub compared: bool,
    /// Its recovery settings have been written anew for that reason.
    pub settings_renewed: bool,
    /// Why the upstream could not be compared with, for people; `None`: it answered, or was not asked.
    pub trouble: Option<String>,
}

/// Synchronous replication's memory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SyncMemory {
    /// The setting last seen in force, with our position when it was first seen: a standby that has flushed that
    /// position has every commit that was acknowledged under the setting before.
    pub in_force: Option<(SynchronousStandbyNames, Lsn)>,
    /// The `mod_revision` of `/sync` after our last write of it, if that is known to have been done. At any other revision a write
    /// of ours, of before a restart perhaps, may still arrive.
    pub written: Option<i64>,
    /// When we became primary: quorum membership is not narrowed before `loop_wait` has passed.
    pub promoted_at: Option<Monotonic>,
}

impl Memory {
    /// Whether this agent has neither read the DCS nor led: it knows nothing of any lease.
    pub fn is_blank(&self) -> bool {
        self.newest == Freshness::default() && self.leadership_deadline().is_none() && self.last_led.is_none()
    }

    /// Until when we may act as leader: by the lock, or by the members' word in failsafe mode.
    pub fn leadership_deadline(&self) -> Option<Monotonic> {
        self.lock_deadline.max(self.failsafe.agreed_until)
    }

    /// Until when we call ourselves leader: not for the rest of a lease after a demotion, and again once it was renewed or
    /// acquired anew (`set_is_leader` in Patroni).
    pub fn claimed_until(&self) -> Option<Monotonic> {
        self.leadership_deadline().filter(|deadline| self.given_up != Some(*deadline))
    }

    /// Whether we may act as the leader at `now`: what decisions ask. REST asks [`Self::claimed_until`].
    pub fn may_lead(&self, now: Monotonic) -> bool {
        self.leadership_deadline().is_some_and(|deadline| now < deadline)
    }
}
