//! `GET /cluster` and `GET /history`: the whole cluster, read from the DCS for each request.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use pgdrill_ha::{
    Config, Lsn,
    records::{HistoryRecord, MemberRecord, MemberRole},
    view::Cluster,
};
use serde_json::{Map, Value, json};

use super::answer;
use crate::daemon::{Parts, Ports};

/// `GET /cluster`.
pub(super) async fn cluster<T: Ports>(State(parts): State<Arc<Parts<T>>>) -> Response {
    match parts.dcs.load().await {
        Ok(cluster) => {
            let config = parts.shared.published().config.clone();
            Json(document(&parts.config.scope, &cluster, &config)).into_response()
        }
        Err(error) => answer(StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
    }
}

/// `GET /history`.
pub(super) async fn history<T: Ports>(State(parts): State<Arc<Parts<T>>>) -> Response {
    match parts.dcs.load().await {
        Ok(cluster) => {
            let history: HistoryRecord = cluster.history.unwrap_or_default();
            ([("content-type", "application/json")], history.to_json()).into_response()
        }
        Err(error) => answer(StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
    }
}

fn document(scope: &str, cluster: &Cluster, config: &Config) -> Value {
    let leader = cluster.leader_record();
    // The leader's own record is newer than `status`, unless it has just died.
    let ahead = leader.and_then(|leader| leader.xlog_location).max(cluster.status.value.optime);
    let members = cluster.members.iter().map(|(name, record)| member(name, record, cluster, config, ahead));
    let mut document =
        Map::from_iter([("members".to_owned(), members.collect::<Value>()), ("scope".to_owned(), scope.into())]);
    if config.paused {
        document.insert("pause".into(), true.into());
    }
    if let Some(failover) = cluster.failover.as_ref().filter(|failover| failover.value.scheduled_at.is_some()) {
        let mut scheduled = json!({ "at": failover.value.scheduled_at });
        if let Some(from) = &failover.value.leader {
            scheduled["from"] = from.as_str().into();
        }
        if let Some(to) = &failover.value.candidate {
            scheduled["to"] = to.as_str().into();
        }
        document.insert("scheduled_switchover".into(), scheduled);
    }
    Value::Object(document)
}

fn member(name: &str, record: &MemberRecord, cluster: &Cluster, config: &Config, ahead: Option<Lsn>) -> Value {
    let is_leader = cluster.is_leader(name);
    let role = match record.role {
        Some(MemberRole::StandbyLeader) if is_leader => "standby_leader",
        _ if is_leader && config.standby_cluster.is_some() => "standby_leader",
        _ if is_leader => "leader",
        _ if cluster.sync.value.is_standby(name) && config.is_quorum() => "quorum_standby",
        _ if cluster.sync.value.is_standby(name) => "sync_standby",
        _ => "replica",
    };
    let state = record.replication_state.map(|state| json!(state)).unwrap_or_else(|| json!(record.state));
    let mut document = json!({ "name": name, "role": role, "state": state, "api_url": record.api_url });
    if let Some((host, port)) = record.conn_address() {
        document["host"] = host.into();
        document["port"] = port.into();
    }
    if let Some(timeline) = record.timeline {
        document["timeline"] = timeline.into();
    }
    if !is_leader {
        for (position, behind, lsn) in [
            ("lsn", "lag", record.xlog_location),
            ("receive_lsn", "receive_lag", record.receive_lsn),
            ("replay_lsn", "replay_lag", record.replay_lsn),
        ] {
            if let Some(lsn) = lsn {
                document[position] = lsn.to_string().into();
            }
            // Unknown is a word here, so that nobody takes it for zero.
            document[behind] = match (lsn, ahead) {
                (Some(lsn), Some(ahead)) => lsn.bytes_behind(ahead).into(),
                _ => "unknown".into(),
            };
        }
    }
    if !record.tags.is_empty() {
        document["tags"] = json!(record.tags);
    }
    if record.pending_restart == Some(true) {
        document["pending_restart"] = true.into();
    }
    if let Some(restart) = &record.scheduled_restart {
        document["scheduled_restart"] = restart.clone();
    }
    document
}
