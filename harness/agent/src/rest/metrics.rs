//! `GET /metrics`: this node in Prometheus' text format, under Patroni's names and labels (`do_GET_metrics`).

use std::fmt::{Display, Write as _};

use pgdrill_ha::{
    records::{MemberRole, MemberState, ReplicationState},
    view::{Cluster, PostgresRole},
};

use super::{document, python};
use crate::daemon::{
    Parts, Ports, Published,
    member::{VERSION, replication_state},
};

/// Every state, at its index (`PostgresqlState`).
const STATES: [(MemberState, &str); 15] = [
    (MemberState::InitializingNewCluster, "initdb"),
    (MemberState::InitdbFailed, "initdb_failed"),
    (MemberState::RunningCustomBootstrapScript, "custom_bootstrap"),
    (MemberState::CustomBootstrapFailed, "custom_bootstrap_failed"),
    (MemberState::CreatingReplica, "creating_replica"),
    (MemberState::Running, "running"),
    (MemberState::Starting, "starting"),
    (MemberState::StartingAfterCustomBootstrap, "bootstrap_starting"),
    (MemberState::StartFailed, "start_failed"),
    (MemberState::Restarting, "restarting"),
    (MemberState::RestartFailed, "restart_failed"),
    (MemberState::Stopping, "stopping"),
    (MemberState::Stopped, "stopped"),
    (MemberState::StopFailed, "stop_failed"),
    (MemberState::Crashed, "crashed"),
];

/// The page.
pub(super) fn page<T: Ports>(parts: &Parts<T>, published: &Published) -> String {
    let config = parts.config();
    let labels = format!("{{scope=\"{}\",name=\"{}\"}}", label(&config.scope), label(&config.name));
    let mut page = Page { text: String::new(), labels };
    let version: String = VERSION.split('.').map(|part| format!("{part:0>2}")).collect();
    page.gauge("version", "Patroni semver without periods.", version);
    server(&mut page, parts, published);
    cluster(&mut page, parts, published);
    page.text
}

/// A label's value as the text format has it.
fn label(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

struct Page {
    text: String,
    labels: String,
}

impl Page {
    fn gauge(&mut self, name: &str, help: &str, value: impl Display) {
        self.metric(name, help, "gauge", value);
    }

    fn flag(&mut self, name: &str, help: &str, value: bool) {
        self.metric(name, help, "gauge", u8::from(value));
    }

    fn counter(&mut self, name: &str, help: &str, value: impl Display) {
        self.metric(name, help, "counter", value);
    }

    fn metric(&mut self, name: &str, help: &str, kind: &str, value: impl Display) {
        let Self { text, labels } = self;
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "# HELP patroni_{name} {help}\n# TYPE patroni_{name} {kind}\npatroni_{name}{labels} {value}"
        );
    }
}

fn server<T: Ports>(page: &mut Page, parts: &Parts<T>, published: &Published) {
    let server = document::running(published);
    let role = if server.is_some() { document::role(published) } else { published.role };
    let is = |wanted: MemberRole| role == Some(wanted);
    let sync = server.and_then(|_| document::sync_role(parts, published));
    let running = document::state(published) == Some(MemberState::Running);
    page.flag("postgres_running", "Value is 1 if Postgres is running, 0 otherwise.", running);
    let started = server.and_then(|server| python::epoch_seconds(&server.postmaster_start_time));
    page.gauge("postmaster_start_time", "Epoch seconds since Postgres started.", or_zero(started));
    page.flag("primary", "Value is 1 if this node is the leader, 0 otherwise.", is(MemberRole::Primary));
    let (location, received, replayed) = locations(published);
    let help = "Current location of the Postgres transaction log, 0 if this node is not the leader.";
    page.counter("xlog_location", help, location);
    let help = "Value is 1 if this node is the standby_leader, 0 otherwise.";
    page.flag("standby_leader", help, is(MemberRole::StandbyLeader));
    page.flag("replica", "Value is 1 if this node is a replica, 0 otherwise.", is(MemberRole::Replica));
    let help = "Value is 1 if this node is a sync standby, 0 otherwise.";
    page.flag("sync_standby", help, sync == Some("sync_standby"));
    let help = "Value is 1 if this node is a quorum standby, 0 otherwise.";
    page.flag("quorum_standby", help, sync == Some("quorum_standby"));
    let help = "Current location of the received Postgres transaction log, 0 if this node is not a replica.";
    page.counter("xlog_received_location", help, received);
    let help = "Current location of the replayed Postgres transaction log, 0 if this node is not a replica.";
    page.counter("xlog_replayed_location", help, replayed);
    // A primary that was promoted still knows when it last replayed something, and does not tell (`xlog` of its document).
    let replica = server.filter(|_| published.postgres.role == PostgresRole::Replica);
    let replayed = replica.and_then(|server| python::epoch_seconds(server.replayed_timestamp.as_deref()?));
    let help = "Current timestamp of the replayed Postgres transaction log, 0 if null.";
    page.gauge("xlog_replayed_timestamp", help, or_zero(replayed));
    let paused = replica.is_some() && published.postgres.replay_paused;
    page.flag("xlog_paused", "Value is 1 if the Postgres xlog is paused, 0 otherwise.", paused);
    if server.is_some() {
        let state = replication_state(published);
        let streaming = state == Some(ReplicationState::Streaming);
        page.flag("postgres_streaming", "Value is 1 if Postgres is streaming, 0 otherwise.", streaming);
        let archive = state == Some(ReplicationState::InArchiveRecovery);
        let help = "Value is 1 if Postgres is replicating from archive, 0 otherwise.";
        page.flag("postgres_in_archive_recovery", help, archive);
    }
    let version = server.map_or(0, |server| server.server_version);
    page.gauge("postgres_server_version", "Version of Postgres (if running), 0 otherwise.", version);
}

fn cluster<T: Ports>(page: &mut Page, parts: &Parts<T>, published: &Published) {
    let unlocked = published.known_cluster(parts.clock.now()).is_none_or(Cluster::is_unlocked);
    page.flag("cluster_unlocked", "Value is 1 if the cluster is unlocked, 0 if locked.", unlocked);
    let help = "Value is 1 if failsafe mode is active, 0 if inactive.";
    page.flag("failsafe_mode_is_active", help, document::failsafe_is_active(parts, published));
    let timeline = document::running(published).and(published.postgres.timeline).unwrap_or(0);
    page.gauge("postgres_timeline", "Postgres timeline of this node (if running), 0 otherwise.", timeline);
    let seen = published.dcs_last_seen.map_or(0, |seen| seen.as_second());
    let help = "Epoch timestamp when DCS was last contacted successfully by Patroni.";
    page.gauge("dcs_last_seen", help, seen);
    let pending = !published.pending_restart.is_empty();
    page.flag("pending_restart", "Value is 1 if the node needs a restart, 0 otherwise.", pending);
    page.flag("is_paused", "Value is 1 if auto failover is disabled, 0 otherwise.", published.config.paused);
    let known = document::state(published).and_then(|state| STATES.iter().position(|(known, _)| *known == state));
    let values: Vec<_> = STATES.iter().enumerate().map(|(index, (_, name))| format!("{index}={name}")).collect();
    // Patroni's own page has the values between help and type.
    let help = format!("Numeric representation of Postgres state.\n# Values: {}", values.join(", "));
    page.gauge("postgres_state", &help, known.map_or_else(|| "-1".to_owned(), |index| index.to_string()));
}

/// Primary: its position. Replica: what it has received and replayed.
fn locations(published: &Published) -> (u64, u64, u64) {
    let postgres = &published.postgres;
    if document::running(published).is_none() {
        return (0, 0, 0);
    }
    let replayed = postgres.replayed_lsn.unwrap_or_default().0;
    match document::role(published) {
        Some(MemberRole::Primary) => (postgres.current_lsn.unwrap_or_default().0, 0, 0),
        _ => (0, postgres.received_lsn.map_or(replayed, |lsn| lsn.0), replayed),
    }
}

fn or_zero(value: Option<String>) -> String {
    value.unwrap_or_else(|| "0".into())
}
