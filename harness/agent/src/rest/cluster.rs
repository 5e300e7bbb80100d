//! `GET /cluster` and `GET /history`: the whole cluster, read from the DCS for each request.

use std::collections::BTreeMap;

use axum::{http::StatusCode, response::Response};
use pgdrill_ha::{Config, Lsn, config as ha_config, records::MemberRecord, view::Cluster};
use serde_json::{Map, Value, json};

use super::{Refusal, json_answer, python, refuse};
use crate::daemon::{Parts, Ports};

/// `GET /cluster`.
pub(super) async fn cluster<T: Ports>(parts: &Parts<T>) -> Result<Response, Refusal> {
    let mut document = document(&load(parts).await?);
    document.insert("scope".into(), parts.config().scope.as_str().into());
    Ok(json_answer(StatusCode::OK, &Value::Object(document)))
}

/// `GET /history`.
pub(super) async fn history<T: Ports>(parts: &Parts<T>) -> Result<Response, Refusal> {
    let history = load(parts).await?.history.unwrap_or_default();
    let lines: Value = serde_json::from_str(&history.to_json()).unwrap_or_else(|_| json!([]));
    Ok(json_answer(StatusCode::OK, &lines))
}

/// The cluster as the DCS has it now.
pub(super) async fn load<T: Ports>(parts: &Parts<T>) -> Result<Cluster, Refusal> {
    parts.dcs.load().await.map_err(|error| refuse(StatusCode::SERVICE_UNAVAILABLE, error.to_string()))
}

/// The dynamic configuration as the DCS has it, without this node's own settings.
#[must_use]
pub fn config_of(cluster: &Cluster) -> Config {
    let dynamic = cluster.config.as_ref().map_or_else(|| json!({}), |config| config.value.clone());
    ha_config::resolve(&dynamic, &json!({}), &BTreeMap::new())
}

/// Members with roles, positions and lags, and what is planned: Patroni's `cluster_as_json`.
#[must_use]
pub fn document(cluster: &Cluster) -> Map<String, Value> {
    let config = config_of(cluster);
    let members = cluster.members.iter().map(|(name, record)| member(name, record, cluster, &config));
    let mut document = Map::from_iter([("members".to_owned(), members.collect::<Value>())]);
    if config.paused {
        document.insert("pause".into(), true.into());
    }
    let scheduled = cluster.failover.as_ref().map(|failover| &failover.value);
    if let Some((failover, at)) = scheduled.and_then(|failover| Some((failover, failover.scheduled_at?))) {
        let mut scheduled = json!({ "at": python::isoformat(at) });
        if let Some(from) = &failover.leader {
            scheduled["from"] = from.as_str().into();
        }
        if let Some(to) = &failover.candidate {
            scheduled["to"] = to.as_str().into();
        }
        document.insert("scheduled_switchover".into(), scheduled);
    }
    document
}

fn member(name: &str, record: &MemberRecord, cluster: &Cluster, config: &Config) -> Value {
    let is_leader = cluster.is_leader(name);
    let role = match () {
        () if is_leader && config.standby_cluster.is_some() => "standby_leader",
        () if is_leader => "leader",
        () if config.is_quorum() && cluster.sync.value.is_standby(name) => "quorum_standby",
        () if config.is_synchronous() && cluster.sync.value.is_standby(name) => "sync_standby",
        () => "replica",
    };
    let replication = record.replication_state.filter(|_| role != "leader");
    let state =
        replication.map_or_else(|| json!(record.state.map_or(json!(""), |state| json!(state))), |state| json!(state));
    let mut document = json!({ "name": name, "role": role, "state": state, "api_url": record.api_url });
    if let Some((host, port)) = record.conn_address() {
        document["host"] = host.into();
        document["port"] = port.into();
    }
    if let Some(timeline) = record.timeline {
        document["timeline"] = timeline.into();
    }
    if record.pending_restart == Some(true) {
        document["pending_restart"] = true.into();
    }
    if !record.pending_restart_reason.is_empty() {
        document["pending_restart_reason"] = json!(record.pending_restart_reason);
    }
    if let Some(restart) = &record.scheduled_restart {
        document["scheduled_restart"] = restart.clone();
    }
    if !record.tags.is_empty() {
        document["tags"] = json!(record.tags);
    }
    if !is_leader {
        positions(&mut document, record, cluster.status.value.optime);
    }
    document
}

/// Where a member that does not lead is, and how far behind the leader's last word. Unknown is a word here, so that nobody
/// takes it for zero.
fn positions(document: &mut Value, record: &MemberRecord, ahead: Option<Lsn>) {
    for (position, behind, lsn) in [
        ("receive_lsn", "receive_lag", record.receive_lsn),
        ("replay_lsn", "replay_lag", record.replay_lsn),
        ("lsn", "lag", record.xlog_location),
    ] {
        // 0 is what Patroni writes when it does not know.
        let lsn = lsn.filter(|lsn| *lsn != Lsn(0));
        document[position] = lsn.map_or_else(|| "unknown".into(), |lsn| lsn.to_string().into());
        document[behind] = match (lsn, ahead) {
            (Some(lsn), Some(ahead)) => lsn.bytes_behind(ahead).into(),
            _ => "unknown".into(),
        };
    }
}
