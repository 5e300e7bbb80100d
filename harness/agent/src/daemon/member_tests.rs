//! Patroni's words for what PostgreSQL does and is.

use pgdrill_ha::{
    Lsn, Monotonic,
    view::{PostgresView, TaskView},
};
use serde_json::json;

use super::*;
use crate::postgres::ServerState;

const NOW: Monotonic = Monotonic::from_secs(100);

fn server(process: Process) -> PostgresView {
    PostgresView { data_dir: DataDir::Present, process, ..PostgresView::default() }
}

fn task(kind: TaskKind, progress: TaskProgress) -> TaskView {
    TaskView { id: 1, kind, started: NOW, progress }
}

fn running(kind: TaskKind) -> Option<TaskView> {
    Some(task(kind, TaskProgress::Running { past_point_of_no_return: false }))
}

fn failed(kind: TaskKind) -> Option<TaskView> {
    Some(task(kind, TaskProgress::Failed { reason: "exit 1".into() }))
}

/// Tells the words for one look after the other.
fn story(looks: &[(Process, Option<TaskView>, bool)]) -> Vec<MemberState> {
    let mut word = StateWord::default();
    let tell = |(process, task, paused): &(Process, Option<TaskView>, bool)| {
        word.tell(&server(*process), task.as_ref(), Making::Initdb, *paused)
    };
    looks.iter().map(tell).collect()
}

const STARTING: Process = Process::Starting { since: NOW };

#[test]
fn a_start_that_failed_is_told_until_something_else_becomes_of_the_server() {
    let told = story(&[
        (Process::Running, None, false),
        (Process::Crashed, None, false),
        (Process::Crashed, running(TaskKind::Start), false),
        (Process::Crashed, failed(TaskKind::Start), false),
        (Process::Crashed, None, false),
        (Process::Stopped, None, false),
        (Process::Crashed, running(TaskKind::Start), false),
        (Process::Crashed, failed(TaskKind::Start), false),
        (Process::Crashed, running(TaskKind::Start), false),
        (STARTING, running(TaskKind::Start), false),
        (Process::Running, None, false),
        (Process::Crashed, None, false),
    ]);
    use MemberState::{Crashed, Running, StartFailed, Starting};
    let expected = [
        Running,
        Crashed,
        Starting,
        StartFailed,
        StartFailed,
        StartFailed,
        Starting,
        StartFailed,
        Starting,
        Starting,
        Running,
        Crashed,
    ];
    assert_eq!(told, expected);
}

#[test]
fn in_pause_a_server_that_is_gone_is_stopped_and_stays_so_afterwards() {
    let told = story(&[
        (Process::Running, None, true),
        (Process::Crashed, None, true),
        (Process::Crashed, None, false),
        (Process::Running, None, false),
        (Process::Crashed, None, false),
    ]);
    use MemberState::{Crashed, Running, Stopped};
    assert_eq!(told, [Running, Stopped, Stopped, Running, Crashed]);
}

#[test]
fn a_restart_is_a_stop_and_a_start() {
    let told = story(&[
        (Process::Running, running(TaskKind::Restart), false),
        (Process::Stopping, running(TaskKind::Restart), false),
        (Process::Stopped, running(TaskKind::Restart), false),
        (STARTING, running(TaskKind::Restart), false),
        (Process::Stopped, failed(TaskKind::Restart), false),
        (Process::Stopped, None, false),
        (Process::Stopped, running(TaskKind::Clone), false),
        (Process::Stopped, None, false),
    ]);
    use MemberState::{CreatingReplica, RestartFailed, Restarting, Starting, Stopped};
    let expected =
        [Restarting, Restarting, Restarting, Starting, RestartFailed, RestartFailed, CreatingReplica, Stopped];
    assert_eq!(told, expected);
}

#[test]
fn a_new_cluster_is_told_by_how_it_is_made() {
    use MemberState::{
        CreatingReplica, CustomBootstrapFailed, InitdbFailed, InitializingNewCluster, Running,
        RunningCustomBootstrapScript, Starting, StartingAfterCustomBootstrap, Stopped,
    };
    for (making, expected) in [
        (Making::Initdb, [InitializingNewCluster, Starting, Running, InitdbFailed]),
        (Making::Custom, [RunningCustomBootstrapScript, StartingAfterCustomBootstrap, Running, CustomBootstrapFailed]),
        (Making::StandbyCluster, [CreatingReplica, Starting, Running, Stopped]),
    ] {
        let mut word = StateWord::default();
        let (runs, failed) = (running(TaskKind::Bootstrap), failed(TaskKind::Bootstrap));
        let looks =
            [(Process::Stopped, &runs), (STARTING, &runs), (Process::Running, &runs), (Process::Stopped, &failed)];
        let told = looks.map(|(process, task)| word.tell(&server(process), task.as_ref(), making, false));
        assert_eq!(told, expected, "{making:?}");
    }
}

#[test]
fn a_role_is_not_lost_with_the_means_to_look_at_the_directory() {
    let role = |data_dir, process, demoted| {
        let postgres = PostgresView { data_dir, role: PostgresRole::Primary, ..server(process) };
        super::role(&postgres, None, false, demoted)
    };
    assert_eq!(role(DataDir::Unseen, Process::Running, false), MemberRole::Primary);
    assert_eq!(role(DataDir::Inaccessible, Process::Running, false), MemberRole::Uninitialized);
    assert_eq!(role(DataDir::Present, Process::Crashed, false), MemberRole::Primary);
    assert_eq!(role(DataDir::Present, Process::Stopped, true), MemberRole::Demoted, "found stopped");
}

#[test]
fn the_record_has_every_field_of_patronis_in_its_order() {
    let mut config = AgentConfig::new("demo", "pg1", "10.0.0.1", vec![]);
    config.postgresql.proxy_address = Some(crate::config::HostPort::new("10.0.0.1", 6432));
    let mut published = Published { state: Some(MemberState::Running), ..Published::default() };
    published.role = Some(MemberRole::Replica);
    published.config.paused = true;
    published.config.tags.0.insert("zone".into(), "a".into());
    published.pending_restart.insert("max_connections".into(), json!({"old_value": "100", "new_value": "200"}));
    published.postgres = PostgresView {
        received_lsn: Some(Lsn(2000)),
        replayed_lsn: Some(Lsn(1000)),
        timeline: Some(2),
        ..server(Process::Running)
    };
    published.server = Some(ServerState { restores: true, ..ServerState::default() });
    published.scheduled_restart = Some(ScheduledRestart {
        at: jiff::Timestamp::UNIX_EPOCH,
        request: json!({"schedule": "1970-01-01T00:00:00+00:00", "role": "replica"}),
        postmaster_start_time: "2026-11-24 15:06:43.12+00".into(),
    });
    let expected = concat!(
        r#"{"conn_url":"postgres://10.0.0.1:5432/postgres","api_url":"http://10.0.0.1:8008/patroni","state":"running","#,
        r#""role":"replica","version":"4.1.5","proxy_url":"postgres://10.0.0.1:6432/postgres","#,
        r#""checkpoint_after_promote":false,"tags":{"zone":"a"},"pending_restart":true,"#,
        r#""pending_restart_reason":{"max_connections":{"old_value":"100","new_value":"200"}},"xlog_location":2000,"#,
        r#""replay_lsn":1000,"receive_lsn":2000,"replication_state":"in archive recovery","timeline":2,"#,
        r#""scheduled_restart":{"schedule":"1970-01-01T00:00:00+00:00","role":"replica","#,
        r#""postmaster_start_time":"2026-11-24 15:06:43.120000+00:00"},"pause":true}"#,
    );
    assert_eq!(record(&config, &published, true).to_json(), expected);
}
