//! What is known of a cluster when a line of the timeline fires: from what was observed, so that every world resolves a
//! selector from the same knowledge.

use std::collections::BTreeMap;

use crate::{
    event::{Event, Recorder, What},
    scenario::{Facts, Router, Scenario},
};

/// The facts at this moment. `up` says whether a node's PostgreSQL runs; `etcd_leader` is the world's to find out.
#[must_use]
pub fn facts(
    scenario: &Scenario,
    recorder: &Recorder,
    labels: &BTreeMap<String, Vec<String>>,
    up: impl Fn(&str) -> bool,
    etcd_leader: Option<String>,
) -> Facts {
    let spec = &scenario.cluster;
    let leader = holder(recorder);
    let sync = recorder.last(|e| value_of(e, "sync")).flatten().map(|s| standbys(&s)).unwrap_or_default();
    let nodes = spec.node_names();
    let replicas = nodes.iter().filter(|n| leader.as_ref() != Some(n) && up(n)).cloned().collect();
    Facts {
        nodes,
        etcd: spec.etcd_hosts(),
        clients: (1..=scenario.workload.clients()).map(|n| format!("client{n}")).collect(),
        haproxy: (spec.router == Router::Haproxy).then(|| super::HAPROXY.to_owned()),
        leader,
        replicas,
        sync,
        etcd_leader,
        zones: spec.zones.clone(),
        labels: labels.clone(),
    }
}

/// Who holds the leader lock, as far as the watch on the scope's keys has told.
#[must_use]
pub fn holder(recorder: &Recorder) -> Option<String> {
    recorder.last(|e| value_of(e, "leader")).flatten()
}

/// `Some(None)`: the key is known to be absent.
fn value_of(event: &Event, wanted: &str) -> Option<Option<String>> {
    match &event.what {
        What::Dcs { key, value, .. } if key == wanted => Some(value.clone()),
        _ => None,
    }
}

fn standbys(sync: &str) -> Vec<String> {
    let record: serde_json::Value = serde_json::from_str(sync).unwrap_or_default();
    let names = record.get("sync_standby").and_then(|s| s.as_str()).unwrap_or_default();
    names.split(',').filter(|n| !n.is_empty()).map(str::to_owned).collect()
}
