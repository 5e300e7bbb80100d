//! Our own record in the DCS, and the state and role that Patroni would show for us.

use pgdrill_ha::{
    records::{MemberRecord, MemberRole, MemberState, ReplicationState},
    view::{DataDir, PostgresRole, PostgresView, Process, TaskKind, TaskProgress, TaskView},
};

use super::shared::{Published, ScheduledRestart};
use crate::AgentConfig;

/// The version told to others: that of the Patroni whose records and API these are. Patroni compares it numerically to
/// decide what its peers understand.
pub const VERSION: &str = "4.1.5";

/// Patroni's word for what PostgreSQL does, with what of it only the past can tell: why a server that is not there is not there
/// (`Postgresql.set_state`).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct StateWord {
    /// What was said of a server that is gone. Holds until it is there again, or something else becomes of it.
    absent: Option<MemberState>,
}

/// How a new cluster is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Making {
    /// `initdb`.
    Initdb,
    /// `bootstrap.method`.
    Custom,
    /// As a copy of the remote primary.
    StandbyCluster,
}

impl Making {
    /// By the configuration.
    pub fn of(config: &AgentConfig) -> Self {
        let Some(bootstrap) = &config.bootstrap else { return Self::Initdb };
        let remote = bootstrap.dcs.get("standby_cluster").and_then(|section| section.as_object());
        match remote.is_some_and(|section| !section.is_empty()) {
            true => Self::StandbyCluster,
            false if bootstrap.method.is_some() => Self::Custom,
            false => Self::Initdb,
        }
    }
}

impl StateWord {
    /// The word for now.
    pub fn tell(
        &mut self,
        postgres: &PostgresView,
        task: Option<&TaskView>,
        making: Making,
        paused: bool,
    ) -> MemberState {
        let state = during(postgres, task, making).unwrap_or_else(|| self.at_rest(postgres, paused));
        let holds = matches!(
            state,
            MemberState::Stopped
                | MemberState::InitdbFailed
                | MemberState::CustomBootstrapFailed
                | MemberState::StartFailed
                | MemberState::RestartFailed
        );
        self.absent = Some(state).filter(|_| holds && postgres.is_absent());
        state
    }

    fn at_rest(self, postgres: &PostgresView, paused: bool) -> MemberState {
        match postgres.process {
            // In pause nobody is to be alarmed: whoever stopped it may have meant to (`Ha._run_cycle`).
            Process::Stopped | Process::Crashed if paused => MemberState::Stopped,
            Process::Stopped => self.absent.unwrap_or(MemberState::Stopped),
            Process::Crashed => self.absent.unwrap_or(MemberState::Crashed),
            Process::Starting { .. } => MemberState::Starting,
            Process::Running => MemberState::Running,
            Process::Stopping => MemberState::Stopping,
        }
    }
}

/// What a task makes of it.
fn during(postgres: &PostgresView, task: Option<&TaskView>, making: Making) -> Option<MemberState> {
    let task = task?;
    let absent = postgres.is_absent();
    let starting = matches!(postgres.process, Process::Starting { .. });
    let word = match (task.kind, &task.progress) {
        (TaskKind::Bootstrap, TaskProgress::Running { .. }) if absent => match making {
            Making::Initdb => MemberState::InitializingNewCluster,
            Making::Custom => MemberState::RunningCustomBootstrapScript,
            Making::StandbyCluster => MemberState::CreatingReplica,
        },
        (TaskKind::Bootstrap, TaskProgress::Running { .. }) if starting && making == Making::Custom => {
            MemberState::StartingAfterCustomBootstrap
        }
        (TaskKind::Clone, TaskProgress::Running { .. }) => MemberState::CreatingReplica,
        (TaskKind::Start, TaskProgress::Running { .. }) if absent => MemberState::Starting,
        (TaskKind::Restart, TaskProgress::Running { .. }) if !starting => MemberState::Restarting,
        (TaskKind::Demote, TaskProgress::Running { .. }) if !absent => MemberState::Stopping,
        (TaskKind::Bootstrap, TaskProgress::Failed { .. }) if absent => match making {
            Making::Initdb => MemberState::InitdbFailed,
            Making::Custom => MemberState::CustomBootstrapFailed,
            Making::StandbyCluster => return None,
        },
        (TaskKind::Start, TaskProgress::Failed { .. }) if absent => MemberState::StartFailed,
        (TaskKind::Restart, TaskProgress::Failed { .. }) if absent => MemberState::RestartFailed,
        (TaskKind::Demote, TaskProgress::Failed { .. }) if !absent => MemberState::StopFailed,
        _ => return None,
    };
    Some(word)
}

/// Patroni's word for what PostgreSQL is. `demoted`: it was the primary and gave that up, or it was the primary of an agent before
/// this one and this one has not seen it run.
pub(crate) fn role(
    postgres: &PostgresView,
    task: Option<&TaskView>,
    leads_standby_cluster: bool,
    demoted: bool,
) -> MemberRole {
    let promoting = task.is_some_and(|task| {
        task.kind == TaskKind::Promote && task.progress == (TaskProgress::Running { past_point_of_no_return: true })
    });
    match postgres.role {
        _ if !matches!(postgres.data_dir, DataDir::Present | DataDir::Unseen) => MemberRole::Uninitialized,
        _ if promoting => MemberRole::Promoted,
        PostgresRole::Replica if leads_standby_cluster => MemberRole::StandbyLeader,
        PostgresRole::Replica => MemberRole::Replica,
        PostgresRole::Primary if postgres.process == Process::Running => MemberRole::Primary,
        PostgresRole::Primary if demoted => MemberRole::Demoted,
        PostgresRole::Primary => MemberRole::Primary,
    }
}

/// The record.
pub(crate) fn record(config: &AgentConfig, published: &Published, checkpoint_pending: bool) -> MemberRecord {
    let postgres = &published.postgres;
    let mut record = MemberRecord {
        conn_url: Some(config.conn_url()),
        api_url: Some(config.api_url()),
        state: published.state,
        role: published.role,
        version: Some(VERSION.into()),
        proxy_url: config.proxy_url(),
        checkpoint_after_promote: checkpoint_pending.then_some(false),
        tags: published.effective_tags(),
        pending_restart: (!published.pending_restart.is_empty()).then_some(true),
        pending_restart_reason: published.pending_restart.clone(),
        scheduled_restart: published.scheduled_restart.as_ref().map(ScheduledRestart::recorded),
        pause: published.config.paused.then_some(true),
        ..MemberRecord::default()
    };
    if postgres.process == Process::Running {
        record.xlog_location = postgres.position();
        record.timeline = postgres.timeline;
        if postgres.role == PostgresRole::Replica {
            record.receive_lsn = postgres.received_lsn;
            record.replay_lsn = postgres.replayed_lsn;
            record.replication_state = replication_state(published);
        }
    }
    record
}

/// How a replica gets its WAL now.
pub(crate) fn replication_state(published: &Published) -> Option<ReplicationState> {
    let postgres = &published.postgres;
    if postgres.process != Process::Running || postgres.role == PostgresRole::Primary {
        return None;
    }
    if postgres.is_streaming {
        return Some(ReplicationState::Streaming);
    }
    // By the server's own setting, wherever that comes from.
    let restores = published.server.as_ref().is_some_and(|server| server.restores);
    restores.then_some(ReplicationState::InArchiveRecovery)
}

#[cfg(test)]
#[path = "member_tests.rs"]
mod tests;
