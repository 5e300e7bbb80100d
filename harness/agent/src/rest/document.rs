//! `GET /patroni`: everything about this node. Other members read it in a leader race, people and monitoring always.

use std::sync::Arc;

use axum::{Json, extract::State};
use pgdrill_ha::{
    config::WatchdogMode,
    view::{PostgresRole, Process},
};
use serde_json::{Map, Value, json};

use crate::{
    daemon::{
        Parts, Ports, Published,
        member::{VERSION, replication_state},
    },
    postgres::StandbyRow,
};

/// `GET /patroni`.
pub(super) async fn patroni<T: Ports>(State(parts): State<Arc<Parts<T>>>) -> Json<Value> {
    let published = parts.shared.published();
    Json(document(&parts, &published))
}

/// The document.
pub(super) fn document<T: Ports>(parts: &Parts<T>, published: &Published) -> Value {
    let mut document = Map::new();
    let mut put = |name: &str, value: Value| {
        document.insert(name.to_owned(), value);
    };
    put("state", json!(published.state));
    put("role", json!(published.role));
    if let Some(server) = published.server.as_ref().filter(|_| published.postgres.process == Process::Running) {
        put("postmaster_start_time", json!(server.postmaster_start_time));
        put("server_version", json!(server.server_version));
        put("xlog", xlog(published));
        put("timeline", json!(published.postgres.timeline));
        if let Some(state) = replication_state(published) {
            put("replication_state", json!(state));
        }
        if !server.standbys.is_empty() {
            put("replication", server.standbys.iter().map(standby).collect());
        }
    }
    if let Some(cluster) = &published.cluster {
        if cluster.is_unlocked() {
            put("cluster_unlocked", true.into());
        }
        if cluster.sync.value.is_standby(&parts.config.name) {
            put(if published.config.is_quorum() { "quorum_standby" } else { "sync_standby" }, true.into());
        }
    }
    if published.failsafe_active {
        put("failsafe_mode_is_active", true.into());
    }
    if published.config.paused {
        put("pause", true.into());
    }
    put("dcs_last_seen", json!(published.dcs_last_seen.map_or(0, |seen| seen.as_second())));
    if !published.config.tags.is_empty() {
        put("tags", json!(published.config.tags));
    }
    if !published.pending_restart.is_empty() {
        put("pending_restart", true.into());
        put("pending_restart_reason", json!(published.member.pending_restart_reason));
    }
    if let Some(restart) = &published.scheduled_restart {
        put("scheduled_restart", restart.request.clone());
    }
    if published.watchdog_failed && published.config.watchdog == WatchdogMode::Required {
        put("watchdog_failed", true.into());
    }
    if let Some(id) = published.postgres.system_identifier {
        put("database_system_identifier", id.to_string().into());
    }
    put("patroni", json!({ "version": VERSION, "scope": parts.config.scope, "name": parts.config.name }));
    Value::Object(document)
}

fn xlog(published: &Published) -> Value {
    let postgres = &published.postgres;
    match postgres.role {
        PostgresRole::Primary => json!({ "location": postgres.current_lsn.unwrap_or_default() }),
        PostgresRole::Replica => json!({
            "received_location": postgres.received_lsn.unwrap_or_default(),
            "replayed_location": postgres.replayed_lsn.unwrap_or_default(),
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
