//! Reasons as sentences, with numbers.

use std::fmt::{self, Display, Formatter};

use super::{Reason, Unfit};
use crate::Bytes;
use crate::view::TaskKind;

impl Display for TaskKind {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TaskKind::Bootstrap => "bootstrap",
            TaskKind::Clone => "clone",
            TaskKind::PrePromote => "pre_promote",
            TaskKind::Promote => "promote",
            TaskKind::Demote => "demote",
            TaskKind::Start => "start",
            TaskKind::Restart => "restart",
            TaskKind::Rewind => "pg_rewind",
            TaskKind::CrashRecovery => "crash recovery",
            TaskKind::CopySlots => "copying of logical slots",
            TaskKind::Checkpoint => "checkpoint",
        })
    }
}

impl Display for Reason {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Reason::LeaderWithLock => f.write_str("no action: I am the leader with the lock"),
            Reason::RenewingLock => f.write_str("renewing the leader lock"),
            Reason::RenewedDuring(task) => write!(f, "updated leader lock during {task}"),
            Reason::RenewalUnknown(error) => write!(f, "the leader lock's renewal is unknown: {error}"),
            Reason::NoSignOfLife => f.write_str("not renewing the leader lock: PostgreSQL gives no sign of life"),
            Reason::RunningPrePromote => f.write_str("running pre_promote: it decides whether to promote"),
            Reason::Promoting => f.write_str("promoting: I hold the leader lock"),
            Reason::PostponingPromotion(why) => write!(f, "postponing promotion: {why}"),
            Reason::AcquiringLock => f.write_str("acquiring the leader lock: I am the healthiest node"),
            Reason::LostRace => f.write_str("another node acquired the leader lock first"),
            Reason::AcquireUnknown(error) => write!(f, "whether I acquired the leader lock is unknown: {error}"),
            Reason::NotPromoting(unfit) => write!(f, "not promoting: {unfit}"),
            Reason::AskingPeers(n) => write!(f, "asking {n} members for their state"),
            Reason::Following(name) => write!(f, "no action: I am following {name}"),
            Reason::NotStreaming { from, missing, restores, finding } => {
                write!(f, "not streaming from {from} for {} s", missing.as_secs())?;
                if *restores {
                    f.write_str(", WAL comes from the archive (restore_command)")?;
                }
                match finding {
                    Some(finding) => write!(f, ": {finding}"),
                    None => Ok(()),
                }
            }
            Reason::NoLeaderToFollow => f.write_str("no leader is known: keeping the present upstream"),
            Reason::ChangingUpstream(name) => write!(f, "changing primary_conninfo to follow {name}"),
            Reason::Demoting { mode, because } => write!(f, "demoting ({}): {because}", mode.name()),
            Reason::ReleasingLock(why) => write!(f, "releasing the leader lock: {why}"),
            Reason::HandingOver { candidates } if candidates.is_empty() => {
                f.write_str("demoting (graceful): switchover to the healthiest replica")
            }
            Reason::HandingOver { candidates } => {
                let names: Vec<&str> = candidates.iter().map(String::as_str).collect();
                write!(f, "demoting (graceful): switchover to {}", names.join(" or "))
            }
            Reason::RejectingFailover(why) => write!(f, "clearing the failover request: {why}"),
            Reason::SwitchoverLater(left) => write!(f, "switchover in {} s", left.as_secs()),
            Reason::TaskRunning(task) => write!(f, "{task} in progress"),
            Reason::Starting(for_) => write!(f, "PostgreSQL has been starting for {} s", for_.as_secs()),
            Reason::Stopping => f.write_str("PostgreSQL is stopping"),
            Reason::StartingPostgres(how) => write!(f, "starting PostgreSQL {how}"),
            Reason::RecoveringFromCrash => f.write_str("doing crash recovery in single-user mode"),
            Reason::CheckingRewind => f.write_str("comparing our history with the leader's"),
            Reason::Rewinding(finding) => write!(f, "running pg_rewind: {finding}"),
            Reason::Reinitializing(finding) => write!(f, "reinitializing: {finding}"),
            Reason::WaitingForLeaderCheckpoint => f.write_str("waiting for the leader's checkpoint before pg_rewind"),
            Reason::NeedsReinitialize(finding) => {
                write!(
                    f,
                    "not following: {finding}, and pg_rewind cannot help; reinitialize this member, or allow it with \
                     remove_data_directory_on_diverged_timelines"
                )
            }
            Reason::DataDirInaccessible => f.write_str(
                "the data directory cannot be read, or is unusable and was not left so by this agent (see its log): it is not \
                 started, and nothing is removed or copied",
            ),
            Reason::MachineLacks => f.write_str(
                "the machine lacks descriptors, memory or processes for a look at the data directory (see the log): nothing is \
                 concluded from that, started or given up",
            ),
            Reason::Cloning(from) => write!(f, "creating replica from {from}"),
            Reason::WaitingForLeader => f.write_str("waiting for a leader to copy from"),
            Reason::WaitingForBootstrap => f.write_str("waiting for another node to bootstrap the cluster"),
            Reason::Bootstrapping => f.write_str("bootstrapping a new cluster"),
            Reason::Bootstrapped => f.write_str("the new cluster is initialized"),
            Reason::BootstrapFailed(why) => write!(f, "the bootstrap failed: {why}"),
            Reason::ForeignSystemIdentifier { ours, cluster } => {
                write!(
                    f,
                    "the data directory's system identifier is {ours}, the cluster's (/initialize) is {cluster}: \
                     postgresql.data_dir must name a directory of this cluster or an empty one, or scope the cluster that \
                     it is of"
                )
            }
            Reason::InvalidSystemIdentifier => f.write_str("the system identifier cannot be determined"),
            Reason::Paused(what) => write!(f, "paused: {what}"),
            Reason::DcsUnreachable(error) => write!(f, "no action: the DCS is not accessible ({error})"),
            Reason::WaitingForDcs { stops_in: Some(left) } => write!(
                f,
                "the DCS was never accessible since the agent started: this primary may go on for {} s, as long as a lease \
                 of before may last",
                left.as_secs()
            ),
            Reason::WaitingForDcs { stops_in: None } => f.write_str(
                "the DCS was never accessible since the agent started: this primary was never a cluster's and is left alone",
            ),
            Reason::AskingFailsafe(n) => write!(f, "the DCS is not accessible: asking {n} members to go on as leader"),
            Reason::FailsafeActive(n) => {
                write!(f, "continue to run as leader because failsafe mode is enabled and all {n} other members agree")
            }
            Reason::StaleView { revision, newest } => {
                write!(f, "ignoring a stale view: revision {revision}, but {newest} has been seen")
            }
            Reason::ChangingSync(what) => write!(f, "synchronous replication: {what}"),
            Reason::ActionFailed { action, error } => write!(f, "{action} failed: {error}"),
        }
    }
}

impl Display for Unfit {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Unfit::NoSignOfLife => f.write_str("PostgreSQL gives no sign of life"),
            Unfit::PrePromoteFailed => f.write_str("pre_promote failed less than ttl ago"),
            Unfit::Starting => f.write_str("PostgreSQL is still starting"),
            Unfit::Paused => f.write_str("the cluster is paused"),
            Unfit::Nofailover => f.write_str("tagged nofailover"),
            Unfit::NoWatchdog => f.write_str("the watchdog is required and cannot be used"),
            Unfit::NoFence => f.write_str("the dead-man process is required and does not run"),
            Unfit::NotInFailsafe => f.write_str("not one of the members in /failsafe"),
            Unfit::NotSynchronous => f.write_str("not a synchronous standby"),
            Unfit::UnknownPosition => f.write_str("the own WAL position is unknown"),
            Unfit::Lagging { lag_bytes, limit_bytes } => {
                write!(f, "{} behind the last known leader position (limit {})", Bytes(*lag_bytes), Bytes(*limit_bytes))
            }
            Unfit::OldTimeline { ours, cluster } => write!(f, "on timeline {ours}, the cluster is on {cluster}"),
            Unfit::PrimaryAlive { name } => write!(f, "primary {name} is still alive"),
            Unfit::PeerAhead { name, bytes } => write!(f, "{name} is {} ahead", Bytes(*bytes)),
            Unfit::PeerPreferred { name } => write!(f, "{name} has as much WAL and a higher failover_priority"),
            Unfit::NoQuorum { votes, needed } => write!(f, "{votes} votes of the needed {needed}"),
            Unfit::OtherCandidate { name } => write!(f, "{name} was asked for"),
            Unfit::FormerLeader => f.write_str("switched away from, and others can take over"),
            Unfit::Superseded => f.write_str("another leader was in office meanwhile"),
            Unfit::FailsafeLeader { name } => write!(f, "{name} leads without the DCS and has our word"),
            Unfit::DisputedStandbyCluster => f.write_str(
                "bootstrap.dcs has standby_cluster, patroni.dynamic.json in the data directory has none, and there is neither \
                 /config nor /initialize: start the agent of the cluster's primary first, or, if this is a copy for a new \
                 standby cluster, remove patroni.dynamic.json and start the agent again",
            ),
        }
    }
}
