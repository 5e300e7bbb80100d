//! When a cluster is up, and what is known of it when the scenario begins.

use std::collections::{BTreeMap, BTreeSet};

use super::{LAB, REMOTE, holder};
use crate::{
    event::{At, Event, Recorder, SqlState, What},
    scenario::{Scenario, SynchronousMode},
};

/// What the cluster still lacks: one leader, every other node streaming, in synchronous mode a standby in `/sync`, and a
/// router that knows. `name_of` is the host with an address; `routed` are the servers that the router takes for up, where
/// there is a router.
pub fn missing(
    scenario: &Scenario,
    recorder: &Recorder,
    name_of: impl Fn(&str) -> Option<String>,
    routed: Option<&[String]>,
) -> Option<String> {
    let Some(leader) = holder(recorder) else { return Some("nobody holds the leader lock".to_owned()) };
    let mut states: BTreeMap<String, SqlState> = BTreeMap::new();
    for node in scenario.cluster.node_names() {
        let newest = recorder.last(|e| match &e.what {
            What::Sql { state, error, .. } if e.node == node => Some(state.clone().ok_or_else(|| error.clone())),
            _ => None,
        });
        match newest {
            Some(Ok(state)) => _ = states.insert(node, state),
            Some(Err(Some(why))) => return Some(format!("{node} does not answer SQL: {why}")),
            _ => return Some(format!("{node} does not answer SQL")),
        }
    }
    for (node, state) in &states {
        let member = |host: &String| name_of(host).or_else(|| (host == REMOTE).then(|| host.clone()));
        let streams = state.streaming_from.as_ref().and_then(member);
        if scenario.cluster.patroni.standby_cluster.is_some() {
            if !state.in_recovery || streams.is_none() {
                return Some(format!("{node} does not stream"));
            }
        } else if *node == leader {
            if state.in_recovery {
                return Some(format!("{node} leads but is in recovery"));
            }
        } else if !state.in_recovery || streams.is_none() {
            return Some(format!("{node} does not stream"));
        }
    }
    if scenario.cluster.patroni.standby_cluster.is_some() {
        // Nothing is synchronous here, and nobody is routed to.
        return None;
    }
    unsynchronised(scenario, recorder).or_else(|| unrouted(routed, &leader))
}

/// Why the workload's table could not be made on a cluster that is up: with the settings that make commits wait, since these may be why.
#[must_use]
pub fn no_table(scenario: &Scenario, why: &str) -> String {
    let parameters = &scenario.cluster.patroni.postgresql.parameters;
    let said = |name: &str| Some(format!("{name} = {}", parameters.get(name)?.as_str()?));
    let names = ["synchronous_standby_names", "synchronous_commit", "recovery_min_apply_delay"];
    let waits = match scenario.cluster.patroni.synchronous_mode {
        SynchronousMode::Off => said(names[0]).is_some(),
        SynchronousMode::On | SynchronousMode::Quorum => said(names[1]).is_some(),
    };
    let settings: Vec<String> = names.iter().filter_map(|name| said(name)).collect();
    let hint = if waits { format!("; commits wait as these say: {}", settings.join(", ")) } else { String::new() };
    format!("cannot create the workload's table: {why}{hint}")
}

/// What the agents said last, where a cluster does not come up: the reason of each one's latest decision, a line each.
#[must_use]
pub fn last_words(scenario: &Scenario, recorder: &Recorder) -> String {
    let said = |node: &String| {
        let reason = recorder.last(|e| match &e.what {
            What::Decision { reason, .. } if e.node == *node => Some(reason.clone()),
            _ => None,
        });
        reason.map(|reason| format!("\nthe agent of {node} said last: {reason}"))
    };
    scenario.cluster.node_names().iter().filter_map(said).collect()
}

/// In synchronous mode `/sync` must name a standby first: before, the mode promises nothing.
fn unsynchronised(scenario: &Scenario, recorder: &Recorder) -> Option<String> {
    let spec = &scenario.cluster;
    if spec.patroni.synchronous_mode == SynchronousMode::Off || spec.nodes < 2 {
        return None;
    }
    let named = recorder.last(|e| match &e.what {
        What::Dcs { key, value: Some(value), .. } if key == "sync" => Some(names_a_standby(value)),
        _ => None,
    });
    (named != Some(true)).then(|| "/sync names no standby".to_owned())
}

/// Whoever wrote it, with spaces after the colons (Patroni) or without.
fn names_a_standby(sync: &str) -> bool {
    let record: serde_json::Value = serde_json::from_str(sync).unwrap_or_default();
    record.get("sync_standby").and_then(|s| s.as_str()).is_some_and(|names| !names.is_empty())
}

fn unrouted(routed: Option<&[String]>, leader: &str) -> Option<String> {
    let routed = routed?;
    (routed != [leader.to_owned()]).then(|| format!("HAProxy routes to {routed:?} and not to {leader}"))
}

/// Begins the event stream with what was known when the scenario began, so that the events tell a whole story. `before` is
/// what was recorded until then.
pub fn remember(scenario: &Scenario, recorder: &Recorder, before: &[Event]) {
    let mut seen = BTreeSet::new();
    let mut first: Vec<&Event> = vec![];
    for event in before.iter().rev() {
        let key = match &event.what {
            What::Dcs { key, .. } => ("dcs", key.clone()),
            What::Sql { state: Some(_), .. } => ("sql", event.node.clone()),
            What::Process { process, .. } => ("process", format!("{}/{process}", event.node)),
            _ => continue,
        };
        if seen.insert(key) {
            first.push(event);
        }
    }
    for event in first.into_iter().rev() {
        let mut what = event.what.clone();
        if let What::Sql { asked_at, .. } = &mut what {
            *asked_at = At(0);
        }
        if !matches!(&what, What::Dcs { value: None, .. }) {
            recorder.record(At(0), event.node.clone(), what);
        }
    }
    let text = format!("{} begins: the cluster is up", scenario.name);
    recorder.record(At(0), LAB, What::Note { text });
}
