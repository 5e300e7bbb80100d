//! Reads `cluster`.

use std::collections::BTreeMap;

use super::{At, Reader, Value, not_too_long, one_of};
use crate::scenario::{
    cluster::{
        Cluster, Devices, Etcd, EtcdHosts, Fencing, MEMBERS, Network, PLACES, PostgresqlMajor, Router, Watchdog,
    },
    limits,
    patroni::{self, Tags, WatchdogMode},
    quantity::{Latency, Size},
};

pub(super) fn cluster(reader: &mut Reader<'_>, at: &At<'_>) -> Cluster {
    let mut it = Cluster::default();
    let mut fields = reader.fields(at);
    if let Some(nodes) = fields.take("nodes").and_then(|at| reader.integer(&at, limits::NODES, "nodes")) {
        it.nodes = nodes;
    }
    if let Some(etcd) = fields.take("etcd").and_then(|at| etcd(reader, &at)) {
        it.etcd = etcd;
    }
    let majors = PostgresqlMajor::OLDEST.into()..=PostgresqlMajor::NEWEST.into();
    if let Some(at) = fields.take("postgresql") {
        let major = reader.integer(&at, majors, "PostgreSQL's major version").and_then(PostgresqlMajor::new);
        it.postgresql = major.unwrap_or_default();
    }
    let routers = [("haproxy", Router::Haproxy), ("direct", Router::Direct)];
    if let Some(router) = fields.take("router").and_then(|at| reader.word(&at, &routers)) {
        it.router = router;
    }
    if let Some(at) = fields.take("patroni") {
        it.patroni = patroni::inline(reader, &at);
    }
    if let Some(at) = fields.take("tags") {
        it.tags = tags(reader, &at, &it.node_names());
    }
    if let Some(at) = fields.take("zones") {
        it.zones = zones(reader, &at, &it);
    }
    if let Some(at) = fields.take("network") {
        it.network = network(reader, &at);
    }
    if let Some(at) = fields.take("watchdog") {
        it.watchdog = watchdog(reader, &at, &it.node_names());
    }
    let fencings = [("off", Fencing::Off), ("automatic", Fencing::Automatic), ("required", Fencing::Required)];
    if let Some(fencing) = fields.take("fencing").and_then(|at| reader.word(&at, &fencings)) {
        it.fencing = Some(fencing);
    }
    if let Some(size) =
        fields.take("data_size").and_then(|at| reader.parsed::<Size>(&at, "a size with its unit: 64MiB"))
    {
        it.data_size = size;
    }
    fields.finish(reader);
    it
}

/// `etcd: 3`, or `etcd: { members: 3, on: nodes }`.
fn etcd(reader: &mut Reader<'_>, at: &At<'_>) -> Option<Etcd> {
    match &at.node.value {
        Value::Map(_) => {
            let mut fields = reader.fields(at);
            let count = fields.take("members").map(|at| members(reader, &at));
            let on = fields.take("on").map(|at| reader.word(&at, &PLACES));
            fields.finish(reader);
            Some(Etcd {
                members: count.unwrap_or(Some(Etcd::default().members))?,
                on: on.unwrap_or(Some(EtcdHosts::default()))?,
            })
        }
        _ => members(reader, at).map(|members| Etcd { members, on: EtcdHosts::OwnHosts }),
    }
}

fn members(reader: &mut Reader<'_>, at: &At<'_>) -> Option<u16> {
    let number = match &at.node.value {
        Value::Number(number) => number.as_u64(),
        _ => None,
    };
    let found = MEMBERS.into_iter().find(|members| number == Some(u64::from(*members)));
    if found.is_none() {
        let problem = reader.wrong(at, "1, 3 or 5 members");
        if number.is_some_and(|number| number > 0 && number % 2 == 0) {
            problem.help = "an even number survives no more failures than one member less".into();
        }
    }
    found
}

fn tags(reader: &mut Reader<'_>, at: &At<'_>, nodes: &[String]) -> BTreeMap<String, Tags> {
    let mut it = BTreeMap::new();
    for (name, at) in named(reader, at) {
        if nodes.contains(&name) {
            it.insert(name, patroni::read_tags(reader, &at));
        } else {
            reader.problem(at.node.place, &at.path, format!("the node {name:?}"), one_of(nodes));
        }
    }
    it
}

fn zones(reader: &mut Reader<'_>, at: &At<'_>, cluster: &Cluster) -> BTreeMap<String, Vec<String>> {
    let hosts = cluster.hosts();
    let mut it: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (zone, at) in named(reader, at) {
        let mut members = Vec::new();
        for item in reader.items(&at) {
            let Some(host) = reader.text(&item, "a host") else { continue };
            let elsewhere = it.iter().find(|(_, hosts)| hosts.contains(&host)).map(|(zone, _)| zone.clone());
            if let Some(other) = elsewhere {
                reader.wrong(&item, "every host in one zone").help = format!("it is in zone {other} already");
            } else if !hosts.contains(&host) && !is_client(&host) {
                let runs_on = cluster.etcd_host(&host);
                let help =
                    runs_on.map_or_else(String::new, |node| format!("{host} runs on {node}, and is where that is"));
                reader.wrong(&item, one_of(&hosts)).help = help;
            } else if members.contains(&host) {
                reader.wrong(&item, "every host once");
            } else {
                members.push(host);
            }
        }
        it.insert(zone, members);
    }
    it
}

/// Clients belong to the workload, which is read later: the check of all selectors finds those that are too many.
fn is_client(host: &str) -> bool {
    host.strip_prefix("client").is_some_and(|n| n.parse::<u16>().is_ok())
}

fn network(reader: &mut Reader<'_>, at: &At<'_>) -> Network {
    const LATENCY: &str = "a time such as 1ms, or a range such as 0.2ms..1ms";
    let latency = |reader: &mut Reader<'_>, at: At<'_>| {
        let latency: Latency = reader.parsed(&at, LATENCY)?;
        not_too_long(reader, &at, latency.max).then_some(latency)
    };
    let mut it = Network::default();
    let mut fields = reader.fields(at);
    if let Some(found) = fields.take("latency").and_then(|at| latency(reader, at)) {
        it.latency = found;
    }
    it.between_zones = fields.take("between_zones").and_then(|at| latency(reader, at));
    fields.finish(reader);
    it
}

const MODES: [(&str, WatchdogMode); 3] =
    [("off", WatchdogMode::Off), ("automatic", WatchdogMode::Automatic), ("required", WatchdogMode::Required)];

fn watchdog(reader: &mut Reader<'_>, at: &At<'_>, nodes: &[String]) -> Option<Watchdog> {
    if !matches!(at.node.value, Value::Map(_)) {
        let mode = reader.word(at, &MODES)?;
        let device = if mode == WatchdogMode::Off { Devices::OnNone } else { Devices::OnAll };
        return Some(Watchdog { mode, device });
    }
    let mut fields = reader.fields(at);
    let mode = fields.require(reader, "mode", "off, automatic or required").and_then(|at| reader.word(&at, &MODES));
    let device = fields.require(reader, "device", "true, false, or the nodes that have one");
    let device = device.and_then(|at| devices(reader, &at, nodes));
    fields.finish(reader);
    Some(Watchdog { mode: mode?, device: device? })
}

fn devices(reader: &mut Reader<'_>, at: &At<'_>, nodes: &[String]) -> Option<Devices> {
    match &at.node.value {
        Value::Bool(true) => Some(Devices::OnAll),
        Value::Bool(false) => Some(Devices::OnNone),
        Value::List(_) => {
            let mut found = Vec::new();
            for item in reader.items(at) {
                match reader.text(&item, "a node") {
                    Some(node) if nodes.contains(&node) => found.push(node),
                    Some(_) => _ = reader.wrong(&item, one_of(nodes)),
                    None => {}
                }
            }
            Some(Devices::On(found))
        }
        _ => {
            reader.wrong(at, "true, false, or the nodes that have one");
            None
        }
    }
}

/// The entries of a group whose field names are free: zones, nodes.
fn named<'n>(reader: &mut Reader<'_>, at: &At<'n>) -> Vec<(String, At<'n>)> {
    let fields = reader.fields(at);
    fields.rest().iter().map(|(key, node)| (key.name.clone(), At { node, path: at.field(&key.name) })).collect()
}
