//! Our own record in the DCS, and the state and role that Patroni would show for us.

use pgdrill_ha::{
    records::{MemberRecord, MemberRole, MemberState, ReplicationState},
    view::{DataDir, PostgresRole, PostgresView, Process, TaskKind, TaskProgress, TaskView},
};

use super::shared::Published;
use crate::AgentConfig;

/// The version told to others: that of the Patroni whose records and API these are. Patroni compares it numerically to
/// decide what its peers understand.
pub const VERSION: &str = "4.1.5";

/// Patroni's word for what PostgreSQL does.
pub(crate) fn state(postgres: &PostgresView, task: Option<&TaskView>) -> MemberState {
    if let Some(task) = task {
        match (task.kind, &task.progress) {
            (TaskKind::Bootstrap, TaskProgress::Running { .. }) => return MemberState::InitializingNewCluster,
            (TaskKind::Bootstrap, TaskProgress::Failed { .. }) => return MemberState::InitdbFailed,
            (TaskKind::Clone, TaskProgress::Running { .. }) => return MemberState::CreatingReplica,
            (TaskKind::Restart, TaskProgress::Running { .. }) => return MemberState::Restarting,
            (TaskKind::Demote, TaskProgress::Running { .. }) => return MemberState::Stopping,
            (TaskKind::Start, TaskProgress::Failed { .. }) => return MemberState::StartFailed,
            (TaskKind::Restart, TaskProgress::Failed { .. }) => return MemberState::RestartFailed,
            _ => {}
        }
    }
    match postgres.process {
        Process::Stopped => MemberState::Stopped,
        Process::Crashed => MemberState::Crashed,
        Process::Starting { .. } => MemberState::Starting,
        Process::Running => MemberState::Running,
        Process::Stopping => MemberState::Stopping,
    }
}

/// Patroni's word for what PostgreSQL is.
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
        _ if postgres.data_dir != DataDir::Present => MemberRole::Uninitialized,
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
        checkpoint_after_promote: checkpoint_pending.then_some(false),
        tags: published.effective_tags(),
        pending_restart: (!published.pending_restart.is_empty()).then_some(true),
        pending_restart_reason: published.pending_restart.clone(),
        scheduled_restart: published.scheduled_restart.as_ref().map(|restart| restart.request.clone()),
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
    published.config.restores().then_some(ReplicationState::InArchiveRecovery)
}
