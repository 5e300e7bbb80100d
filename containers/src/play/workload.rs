//! The clients: started in their container with a plan, and what they tell is read as it comes.

use std::{collections::BTreeMap, net::IpAddr};

use futures::StreamExt;
use pgdrill_lab::{event::Event, world::HAPROXY};
use tokio::task::JoinHandle;

use super::observers::beside;
use crate::{
    cluster::{Cluster, Kind, addresses},
    docker::{Command, Line},
    inside::clients::Plan,
};

/// Where the plan lies: it holds a password.
const PLAN: &str = "/run/pgdrill/plan.json";

/// The clients at work.
pub(super) struct Clients(Option<JoinHandle<Result<Vec<Event>, String>>>);

impl Clients {
    /// Starts them. Time zero was at `zero_ns` of the monotonic clock.
    pub(super) async fn start(cluster: &Cluster, zero_ns: u64) -> Result<Self, String> {
        let Some(host) = cluster.names(Kind::Client).first().map(|name| cluster.host(name)) else {
            return Ok(Self(None));
        };
        let plan = serde_json::to_string(&plan(cluster, zero_ns)).map_err(|e| e.to_string())?;
        cluster.write(host, PLAN, "root", &plan).await?;
        let command = Command::new(["pgdrill", "internal", "clients", PLAN]);
        let lines = command.lines(&cluster.docker, &host.container).await?;
        Ok(Self(Some(beside(async move {
            let mut lines = Box::pin(lines);
            let mut events = vec![];
            while let Some(line) = lines.next().await {
                let line = match line {
                    Line::Out(line) => line,
                    Line::Complaint(said) | Line::Broken(said) => return Err(format!("the clients said: {said}")),
                };
                let event = serde_json::from_str(&line).map_err(|e| format!("the clients said {line:?}: {e}"))?;
                events.push(event);
            }
            Ok(events)
        }))))
    }

    /// Waits until every operation under way has ended; what all of them did.
    pub(super) async fn end(self) -> Result<Vec<Event>, String> {
        match self.0 {
            None => Ok(vec![]),
            Some(reading) => reading.await.map_err(|e| format!("reading the clients' events: {e}"))?,
        }
    }
}

fn plan(cluster: &Cluster, zero_ns: u64) -> Plan {
    let login = cluster.login();
    let clients: BTreeMap<String, IpAddr> = addresses(cluster, Kind::Client);
    let workload = cluster.scenario.workload.clone();
    Plan {
        zero_ns,
        until_ns: u64::try_from(cluster.scenario.duration.0.as_nanos()).unwrap_or(u64::MAX),
        // By number and not by name: client10 comes after client9.
        clients: (1..=workload.clients())
            .map(|n| format!("client{n}"))
            .filter_map(|name| clients.get(&name).map(|address| (name.clone(), *address)))
            .collect(),
        workload,
        nodes: addresses(cluster, Kind::Node),
        router: addresses(cluster, Kind::Haproxy).remove(HAPROXY).map(|address| (HAPROXY.to_owned(), address)),
        user: login.user,
        password: login.password,
        dbname: login.dbname,
    }
}

/// All that was seen in one order: by time, and of one instant what the lab saw first. The ordinals are given anew.
pub(super) fn merge(mut seen: Vec<Event>, clients: Vec<Event>) -> Vec<Event> {
    seen.extend(clients);
    seen.sort_by_key(|event| event.at);
    for (ordinal, event) in (0..).zip(&mut seen) {
        event.ordinal = ordinal;
    }
    seen
}

#[cfg(test)]
mod tests {
    use pgdrill_lab::event::{At, What};

    use super::*;

    fn event(at: u64, node: &str, ordinal: u64) -> Event {
        Event { at: At(at), ordinal, node: node.to_owned(), what: What::Note { text: String::new() } }
    }

    #[test]
    fn events_of_both_sources_are_in_the_order_of_time_and_numbered_anew() {
        let seen = vec![event(0, "lab", 0), event(5, "lab", 1), event(9, "lab", 2)];
        let clients = vec![event(1, "client1", 0), event(5, "client2", 0), event(12, "client1", 1)];
        let merged = merge(seen, clients);
        let told: Vec<_> = merged.iter().map(|e| (e.at.0, e.node.as_str(), e.ordinal)).collect();
        assert_eq!(
            told,
            [(0, "lab", 0), (1, "client1", 1), (5, "lab", 2), (5, "client2", 3), (9, "lab", 4), (12, "client1", 5)]
        );
    }
}
