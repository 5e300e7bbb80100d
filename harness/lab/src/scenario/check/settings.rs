//! Settings that are legal one by one and not together: Patroni would adjust them silently, a scenario must not.

use pgdrill_settings::value::integer;
use serde_json::{Map, Value as Json};

use super::wrong;
use crate::scenario::{
    Action, Patroni, Scenario, SynchronousMode, WatchdogMode,
    patroni::TimingRule,
    quantity::Span,
    read::{Node, Reader},
};

pub(super) fn check(reader: &mut Reader<'_>, root: &Node, scenario: &Scenario) {
    timing(reader, root, scenario);
    synchronous(reader, root, scenario);
    watchdog(reader, root, scenario);
    tags(reader, root, scenario);
}

/// The rule of the three times, from the start and after every `edit_config`.
fn timing(reader: &mut Reader<'_>, root: &Node, scenario: &Scenario) {
    let mut rule = scenario.cluster.patroni.timing();
    broken_rule(reader, root, "cluster.patroni", rule);
    for (n, step) in scenario.timeline.iter().enumerate() {
        if let Action::EditConfig(patch) = &step.action {
            let before = rule;
            rule = patched(rule, patch);
            if rule != before {
                broken_rule(reader, root, &format!("timeline[{n}].edit_config"), rule);
            }
        }
    }
}

fn broken_rule(reader: &mut Reader<'_>, root: &Node, path: &str, rule: TimingRule) {
    if !rule.holds() {
        let sum = u64::from(rule.loop_wait) + 2 * u64::from(rule.retry_timeout);
        let TimingRule { ttl, loop_wait, retry_timeout } = rule;
        let found = format!("loop_wait {loop_wait} + 2 * retry_timeout {retry_timeout} = {sum}, above ttl {ttl}");
        wrong(reader, root, path, found, format!("ttl of at least {sum}, or shorter times")).help =
            "a full wait, a failed read and a failed renewal must fit into one lease (Patroni: loop_wait + 2 * retry_timeout <= ttl)"
                .into();
    }
}

/// The times after a patch; `null` brings back the default.
fn patched(rule: TimingRule, patch: &Map<String, Json>) -> TimingRule {
    let default = Patroni::default().timing();
    let value = |name: &str, now: u32, default: u32| match patch.get(name) {
        None => now,
        Some(Json::Null) => default,
        Some(Json::String(text)) if text.parse::<Span>().is_ok() => {
            text.parse::<Span>().map_or(now, |span| span.0.as_secs() as u32)
        }
        Some(other) => integer(other, None).and_then(|n| u32::try_from(n).ok()).unwrap_or(now),
    };
    TimingRule {
        ttl: value("ttl", rule.ttl, default.ttl),
        loop_wait: value("loop_wait", rule.loop_wait, default.loop_wait),
        retry_timeout: value("retry_timeout", rule.retry_timeout, default.retry_timeout),
    }
}

fn synchronous(reader: &mut Reader<'_>, root: &Node, scenario: &Scenario) {
    let (cluster, patroni) = (&scenario.cluster, &scenario.cluster.patroni);
    if patroni.synchronous_node_count >= u32::from(cluster.nodes) && patroni.synchronous_node_count > 1 {
        let found = format!("{} synchronous standbys", patroni.synchronous_node_count);
        let expected = format!("fewer than the {} nodes", cluster.nodes);
        wrong(reader, root, "cluster.patroni.synchronous_node_count", found, expected);
    }
    let named =
        patroni.postgresql.parameters.keys().find(|name| name.eq_ignore_ascii_case("synchronous_standby_names"));
    if let Some(name) = named.filter(|_| patroni.synchronous_mode != SynchronousMode::Off && patroni.file.is_none()) {
        let path = format!("cluster.patroni.postgresql.parameters.{name}");
        wrong(reader, root, &path, "names of standbys beside synchronous_mode", "one of the two").help =
            "with synchronous_mode Patroni names the standbys by itself, and the parameter does not count".into();
    }
}

fn watchdog(reader: &mut Reader<'_>, root: &Node, scenario: &Scenario) {
    let (cluster, patroni) = (&scenario.cluster, &scenario.cluster.patroni);
    if let Some(watchdog) = &cluster.watchdog
        && patroni.watchdog.mode != WatchdogMode::default()
        && patroni.watchdog.mode != watchdog.mode
        && patroni.file.is_none()
    {
        wrong(reader, root, "cluster.patroni.watchdog.mode", "another mode than cluster.watchdog", "one of the two")
            .help = "cluster.watchdog also says where there is a device".into();
    }
    // Patroni's documentation, "Watchdog support": the time-out must not be shorter than a loop.
    let margin = patroni.watchdog.safety_margin;
    let timeout = if margin < 0 { i64::from(patroni.ttl / 2) } else { i64::from(patroni.ttl) - i64::from(margin) };
    if cluster.watchdog_mode() != WatchdogMode::Off && timeout < i64::from(patroni.loop_wait) {
        let found = format!("a watchdog that fires after {timeout} s");
        let expected = format!("at least loop_wait, {} s", patroni.loop_wait);
        wrong(reader, root, "cluster.patroni.watchdog.safety_margin", found, expected);
    }
}

fn tags(reader: &mut Reader<'_>, root: &Node, scenario: &Scenario) {
    let cluster = &scenario.cluster;
    let nodes = cluster.node_names();
    if !nodes.iter().any(|node| cluster.tags_of(node).may_lead()) {
        wrong(reader, root, "cluster.tags", "tags that let no node lead", "one node at least without nofailover");
    }
    for node in &nodes {
        let from = cluster.tags_of(node).replicatefrom;
        if let Some(from) = from.filter(|from| from == node || !nodes.contains(from)) {
            let path = format!("cluster.tags.{node}.replicatefrom");
            wrong(reader, root, &path, format!("{from:?}"), "another node of the cluster");
        }
    }
}
