//! Why: a stable code and the numbers, rendered to a sentence in `sentence.rs`.

use std::collections::BTreeSet;
use std::time::Duration;

use super::DemoteMode;
use crate::view::TaskKind;

/// Why a decision was made. [`code`](Reason::code) is stable and made for machines; `Display` is made for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// The lock is ours and PostgreSQL is a running primary.
    LeaderWithLock,
    /// The lock is ours; its renewal is asked for.
    RenewingLock,
    /// The lock is ours and could be renewed while a task runs.
    RenewedDuring(TaskKind),
    /// The lock's renewal failed or is unknown, and we run on until we can no longer be sure.
    RenewalUnknown(String),
    /// The lock is ours and PostgreSQL answers nothing: the lock is not renewed until it does.
    NoSignOfLife,
    /// We hold the lock, and `pre_promote` is to say whether we promote.
    RunningPrePromote,
    /// We hold the lock and promote.
    Promoting,
    /// We hold the lock and keep out of promotion for now.
    PostponingPromotion(String),
    /// Nobody holds the lock, we are the healthiest, and ask for it.
    AcquiringLock,
    /// Somebody else was faster.
    LostRace,
    /// We asked for the lock and do not know whether we got it.
    AcquireUnknown(String),
    /// We must not take part in the race, or not win it.
    NotPromoting(Unfit),
    /// The peers' state is needed.
    AskingPeers(usize),
    /// We stream from the leader, or from whom our tags say; or we are to take our WAL from the archive alone.
    Following(String),
    /// We are configured to follow somebody, and nothing is streamed.
    NotStreaming {
        /// Whom we should stream from.
        from: String,
        /// For how long nothing has been.
        missing: Duration,
        /// WAL comes from the archive meanwhile (`restore_command`).
        restores: bool,
        /// What a comparison with the upstream brought, if there was one: how the histories differ, or why it failed.
        finding: Option<String>,
    },
    /// No leader is known. We stay as we are.
    NoLeaderToFollow,
    /// Changing whom we follow.
    ChangingUpstream(String),
    /// We are demoted.
    Demoting {
        /// How.
        mode: DemoteMode,
        /// Why.
        because: &'static str,
    },
    /// Lock or leadership was given up.
    ReleasingLock(&'static str),
    /// A switchover or failover is on its way.
    HandingOver {
        /// To whom; empty for whoever is best.
        candidates: BTreeSet<String>,
    },
    /// A switchover or failover request cannot be honoured and is cleared.
    RejectingFailover(String),
    /// A switchover is due later.
    SwitchoverLater(Duration),
    /// A task runs.
    TaskRunning(TaskKind),
    /// PostgreSQL is starting.
    Starting(Duration),
    /// PostgreSQL is stopping, and not on our behalf.
    Stopping,
    /// PostgreSQL is being started.
    StartingPostgres(&'static str),
    /// Crash recovery in single-user mode.
    RecoveringFromCrash,
    /// Our data directory is compared with the leader's history.
    CheckingRewind,
    /// Our history has left the leader's.
    Rewinding(String),
    /// Our history has left the leader's and the data directory is copied anew.
    Reinitializing(String),
    /// The leader cannot be used to rewind from yet.
    WaitingForLeaderCheckpoint,
    /// Our data directory must be copied anew, and nobody allowed us to remove it.
    NeedsReinitialize(String),
    /// The data directory cannot be read, or is unusable and not ours to remove.
    DataDirInaccessible,
    /// The machine lacks what a look at the data directory takes.
    MachineLacks,
    /// There is no data directory and the leader's is copied.
    Cloning(String),
    /// There is no data directory and nothing to copy from.
    WaitingForLeader,
    /// Somebody else creates the cluster.
    WaitingForBootstrap,
    /// This node creates the cluster.
    Bootstrapping,
    /// The new cluster is ready.
    Bootstrapped,
    /// The bootstrap failed.
    BootstrapFailed(String),
    /// The data directory belongs to another cluster.
    ForeignSystemIdentifier {
        /// Ours.
        ours: u64,
        /// `/initialize`.
        cluster: u64,
    },
    /// pg_control or `/initialize` cannot be read.
    InvalidSystemIdentifier,
    /// The cluster is paused and so nothing is done.
    Paused(&'static str),
    /// The DCS cannot be reached and we are not a primary.
    DcsUnreachable(String),
    /// The DCS could not be read since the agent started, and PostgreSQL runs as a primary.
    WaitingForDcs {
        /// How long it may go on; `None`: it has nobody to make way for.
        stops_in: Option<Duration>,
    },
    /// The DCS cannot be reached; the members are asked whether we may go on.
    AskingFailsafe(usize),
    /// The DCS cannot be reached and all members agree that we go on.
    FailsafeActive(usize),
    /// The DCS answered with something older than we have seen.
    StaleView {
        /// The revision it answered with.
        revision: i64,
        /// The newest we have seen.
        newest: i64,
    },
    /// Synchronous replication is being changed.
    ChangingSync(String),
    /// An action of this cycle failed.
    ActionFailed {
        /// Which.
        action: String,
        /// The error.
        error: String,
    },
}

/// Why a node does not become the leader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unfit {
    /// `pre_promote` failed less than ttl ago.
    PrePromoteFailed,
    /// PostgreSQL answers nothing.
    NoSignOfLife,
    /// PostgreSQL is still starting.
    Starting,
    /// The cluster is paused.
    Paused,
    /// Tag `nofailover` or `failover_priority: 0`.
    Nofailover,
    /// The watchdog is required and unusable.
    NoWatchdog,
    /// The dead-man process is required and does not run.
    NoFence,
    /// We are not in `/failsafe`.
    NotInFailsafe,
    /// Synchronous mode is on and we are not in `/sync`.
    NotSynchronous,
    /// Our position is unknown.
    UnknownPosition,
    /// Further behind the last known leader position than `maximum_lag_on_failover`.
    Lagging {
        /// How far.
        lag_bytes: u64,
        /// The limit.
        limit_bytes: u64,
    },
    /// Our timeline is older than the cluster's.
    OldTimeline {
        /// Ours; 0 if unknown.
        ours: u32,
        /// The cluster's.
        cluster: u32,
    },
    /// A primary still answers.
    PrimaryAlive {
        /// Who.
        name: String,
    },
    /// Somebody has more WAL.
    PeerAhead {
        /// Who.
        name: String,
        /// How much more.
        bytes: u64,
    },
    /// Somebody has as much WAL and a higher `failover_priority`.
    PeerPreferred {
        /// Who.
        name: String,
    },
    /// Quorum mode: too few voters are known not to be ahead.
    NoQuorum {
        /// How many there are besides us.
        votes: i64,
        /// How many there must be.
        needed: i64,
    },
    /// Another node was asked for.
    OtherCandidate {
        /// Who.
        name: String,
    },
    /// We are the one that was to be switched away from, and others can take over.
    FormerLeader,
    /// Somebody else was in office since we last were.
    Superseded,
    /// A leader without DCS has our word that we do not race.
    FailsafeLeader {
        /// Who.
        name: String,
    },
    /// Nobody says for certain whether this is a standby cluster.
    DisputedStandbyCluster,
}

impl Reason {
    /// A stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Reason::LeaderWithLock => "leader_with_lock",
            Reason::RenewingLock => "renewing_lock",
            Reason::RenewedDuring(_) => "renewed_during_task",
            Reason::RenewalUnknown(_) => "renewal_unknown",
            Reason::NoSignOfLife => "no_sign_of_life",
            Reason::RunningPrePromote => "running_pre_promote",
            Reason::Promoting => "promoting",
            Reason::PostponingPromotion(_) => "postponing_promotion",
            Reason::AcquiringLock => "acquiring_lock",
            Reason::LostRace => "lost_race",
            Reason::AcquireUnknown(_) => "acquire_unknown",
            Reason::NotPromoting(unfit) => unfit.code(),
            Reason::AskingPeers(_) => "asking_peers",
            Reason::Following(_) => "following",
            Reason::NotStreaming { .. } => "not_streaming",
            Reason::NoLeaderToFollow => "no_leader_to_follow",
            Reason::ChangingUpstream(_) => "changing_upstream",
            Reason::Demoting { .. } => "demoting",
            Reason::ReleasingLock(_) => "releasing_lock",
            Reason::HandingOver { .. } => "handing_over",
            Reason::RejectingFailover(_) => "rejecting_failover",
            Reason::SwitchoverLater(_) => "switchover_later",
            Reason::TaskRunning(_) => "task_running",
            Reason::Starting(_) => "starting",
            Reason::Stopping => "stopping",
            Reason::StartingPostgres(_) => "starting_postgres",
            Reason::RecoveringFromCrash => "crash_recovery",
            Reason::CheckingRewind => "checking_rewind",
            Reason::Rewinding(_) => "rewinding",
            Reason::Reinitializing(_) => "reinitializing",
            Reason::WaitingForLeaderCheckpoint => "waiting_for_leader_checkpoint",
            Reason::NeedsReinitialize(_) => "needs_reinitialize",
            Reason::DataDirInaccessible => "data_dir_inaccessible",
            Reason::MachineLacks => "machine_lacks",
            Reason::Cloning(_) => "cloning",
            Reason::WaitingForLeader => "waiting_for_leader",
            Reason::WaitingForBootstrap => "waiting_for_bootstrap",
            Reason::Bootstrapping => "bootstrapping",
            Reason::Bootstrapped => "bootstrapped",
            Reason::BootstrapFailed(_) => "bootstrap_failed",
            Reason::ForeignSystemIdentifier { .. } => "foreign_system_identifier",
            Reason::InvalidSystemIdentifier => "invalid_system_identifier",
            Reason::Paused(_) => "paused",
            Reason::DcsUnreachable(_) => "dcs_unreachable",
            Reason::WaitingForDcs { .. } => "waiting_for_dcs",
            Reason::AskingFailsafe(_) => "asking_failsafe",
            Reason::FailsafeActive(_) => "failsafe_active",
            Reason::StaleView { .. } => "stale_view",
            Reason::ChangingSync(_) => "changing_sync",
            Reason::ActionFailed { .. } => "action_failed",
        }
    }
}

impl Unfit {
    /// A stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Unfit::NoSignOfLife => "unfit_no_sign_of_life",
            Unfit::PrePromoteFailed => "unfit_pre_promote_failed",
            Unfit::Starting => "unfit_starting",
            Unfit::Paused => "unfit_paused",
            Unfit::Nofailover => "unfit_nofailover",
            Unfit::NoWatchdog => "unfit_no_watchdog",
            Unfit::NoFence => "unfit_no_fence",
            Unfit::NotInFailsafe => "unfit_not_in_failsafe",
            Unfit::NotSynchronous => "unfit_not_synchronous",
            Unfit::UnknownPosition => "unfit_unknown_position",
            Unfit::Lagging { .. } => "unfit_lagging",
            Unfit::OldTimeline { .. } => "unfit_old_timeline",
            Unfit::PrimaryAlive { .. } => "unfit_primary_alive",
            Unfit::PeerAhead { .. } => "unfit_peer_ahead",
            Unfit::PeerPreferred { .. } => "unfit_peer_preferred",
            Unfit::NoQuorum { .. } => "unfit_no_quorum",
            Unfit::OtherCandidate { .. } => "unfit_other_candidate",
            Unfit::FormerLeader => "unfit_former_leader",
            Unfit::Superseded => "unfit_superseded",
            Unfit::FailsafeLeader { .. } => "unfit_failsafe_leader",
            Unfit::DisputedStandbyCluster => "unfit_disputed_standby_cluster",
        }
    }
}
