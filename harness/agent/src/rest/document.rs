//! `GET /patroni`: everything about this node. Other members read it in a leader race, people and monitoring always. Fields,
//! their order and formats are those of `get_postgresql_status` and `_write_status_response`.

use pgdrill_ha::{
    records::{MemberRole, MemberState},
    view::{Cluster, PostgresRole, Process},
};
use serde_json::{Map, Value, json};

use super::python;
use crate::{
    daemon::{
        Parts, Ports, Published,
        member::{VERSION, replication_state},
    },
    postgres::{ServerState, StandbyRow},
};

/// The document.
pub(super) fn document<T: Ports>(parts: &Parts<T>, published: &Published) -> Value {
    let mut document = Map::new();
    match running(published) {
        Some(server) => running_server(&mut document, parts, published, server),
        None => {
            document.insert("state".into(), state(published).map_or(json!("unknown"), |state| json!(state)));
            document.insert("role".into(), json!(published.role));
        }
    }
    cluster(&mut document, parts, published);
    node(&mut document, parts, published);
    Value::Object(document)
}

/// What SQL told of the server, if it runs and still tells anything.
pub(super) fn running(published: &Published) -> Option<&ServerState> {
    let postgres = &published.postgres;
    published.server.as_ref().filter(|_| postgres.process == Process::Running && !postgres.is_silent)
}

/// What PostgreSQL does; `None` for a server that runs and does not answer: nobody knows what that does.
pub(super) fn state(published: &Published) -> Option<MemberState> {
    let answers = running(published).is_some();
    published.state.filter(|_| answers || published.postgres.process != Process::Running)
}

/// Whether failsafe mode is at work here.
pub(super) fn failsafe_is_active<T: Ports>(parts: &Parts<T>, published: &Published) -> bool {
    let ping = parts.shared.failsafe_ping().clone();
    published.failsafe_is_active(ping.as_ref(), parts.clock.now())
}

fn running_server<T: Ports>(
    document: &mut Map<String, Value>,
    parts: &Parts<T>,
    published: &Published,
    server: &ServerState,
) {
    let mut put = |name: &str, value: Value| {
        document.insert(name.to_owned(), value);
    };
    put("state", json!(published.state));
    put("postmaster_start_time", python::datetime(&server.postmaster_start_time).into());
    put("role", json!(role(published)));
    put("server_version", server.server_version.into());
    put("xlog", xlog(published, server));
    if let Some(standby) = sync_role(parts, published) {
        put(standby, true.into());
    }
    put("timeline", json!(published.postgres.timeline));
    if let Some(state) = replication_state(published) {
        put("replication_state", json!(state));
    }
    if !server.standbys.is_empty() {
        put("replication", server.standbys.iter().map(standby).collect());
    }
}

/// What a running server is: one that is being promoted is a replica until it is through.
pub(super) fn role(published: &Published) -> Option<MemberRole> {
    match published.postgres.role {
        PostgresRole::Primary => Some(MemberRole::Primary),
        PostgresRole::Replica if published.config.standby_cluster.is_some() => published.role,
        PostgresRole::Replica => Some(MemberRole::Replica),
    }
}

/// The field that says that `/sync` names us.
pub(super) fn sync_role<T: Ports>(parts: &Parts<T>, published: &Published) -> Option<&'static str> {
    let is_named = published.known_cluster(parts.clock.now())?.sync.value.is_standby(&parts.config().name);
    let counts = published.config.is_synchronous() && role(published) == Some(MemberRole::Replica);
    let field = if published.config.is_quorum() { "quorum_standby" } else { "sync_standby" };
    (is_named && counts).then_some(field)
}

fn cluster<T: Ports>(document: &mut Map<String, Value>, parts: &Parts<T>, published: &Published) {
    let mut put = |name: &str, value: Value| {
        document.insert(name.to_owned(), value);
    };
    if published.config.paused {
        put("pause", true.into());
    }
    if published.known_cluster(parts.clock.now()).is_none_or(Cluster::is_unlocked) {
        put("cluster_unlocked", true.into());
    }
    if failsafe_is_active(parts, published) {
        put("failsafe_mode_is_active", true.into());
    }
    put("dcs_last_seen", json!(published.dcs_last_seen.map_or(0, |seen| seen.as_second())));
}

fn node<T: Ports>(document: &mut Map<String, Value>, parts: &Parts<T>, published: &Published) {
    let mut put = |name: &str, value: Value| {
        document.insert(name.to_owned(), value);
    };
    let tags = published.effective_tags();
    if !tags.is_empty() {
        put("tags", json!(tags));
    }
    if let Some(id) = published.postgres.system_identifier {
        put("database_system_identifier", id.to_string().into());
    }
    if !published.pending_restart.is_empty() {
        put("pending_restart", true.into());
        put("pending_restart_reason", json!(published.pending_restart));
    }
    put("patroni", json!({ "version": VERSION, "scope": parts.config().scope, "name": parts.config().name }));
    if let Some(restart) = &published.scheduled_restart {
        put("scheduled_restart", restart.request.clone());
    }
    if published.watchdog_failed {
        put("watchdog_failed", true.into());
    }
}

fn xlog(published: &Published, server: &ServerState) -> Value {
    let postgres = &published.postgres;
    match postgres.role {
        PostgresRole::Primary => json!({ "location": postgres.current_lsn.unwrap_or_default() }),
        PostgresRole::Replica => json!({
            "received_location": postgres.received_lsn.or(postgres.replayed_lsn).unwrap_or_default(),
            "replayed_location": postgres.replayed_lsn.unwrap_or_default(),
            "replayed_timestamp": server.replayed_timestamp.as_deref().map(python::datetime),
            "paused": postgres.replay_paused,
        }),
    }
}

fn standby(row: &StandbyRow) -> Value {
    json!({
        "usename": row.usename,
        "application_name": row.view.application_name,
        "client_addr": row.client_addr,
        "state": row.state,
        "sync_state": row.sync_state,
        "sync_priority": row.sync_priority,
    })
}
