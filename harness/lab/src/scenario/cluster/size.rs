//! What a cluster needs of PostgreSQL the more nodes and clients it has. Patroni's defaults suit small ones; where a scenario
//! says nothing, the lab sets what its size needs.

use serde_json::{Map, Value};

use crate::scenario::{Cluster, Scenario};

/// A parameter that grows with the size of the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Need {
    /// Its name.
    pub parameter: &'static str,
    /// With less the cluster never comes up, or its clients are turned away even when nothing is wrong.
    pub least: u64,
    /// With so much, connections and senders that a cut has left behind are no obstacle to new ones.
    pub enough: u64,
    /// Why so many.
    pub why: &'static str,
    /// Patroni's default.
    default: u64,
    /// Patroni's own minimum: it takes the default for less.
    minimum: u64,
}

/// Sessions beside the clients' own: the agent's, the lab's probes, and those reserved for superusers.
const OTHER_SESSIONS: u64 = 15;

impl Need {
    /// What a cluster with so many clients needs.
    #[must_use]
    pub fn of(cluster: &Cluster, clients: usize) -> [Self; 3] {
        let (nodes, clients) = (u64::from(cluster.nodes), clients as u64);
        let slots = if cluster.patroni.postgresql.use_slots { nodes.saturating_sub(1) } else { 0 };
        let slots = slots + cluster.patroni.slots.len() as u64;
        [
            Self {
                parameter: "max_wal_senders",
                // All others stream while the last one is copied, which takes two.
                least: if nodes < 2 { 0 } else { nodes },
                enough: nodes * 2,
                why: "one for each replica that streams, and two while one is copied",
                default: 10,
                minimum: 3,
            },
            Self {
                parameter: "max_replication_slots",
                least: slots,
                enough: slots + nodes,
                why: "one for each replica, and one for each permanent slot",
                default: 10,
                minimum: 4,
            },
            Self {
                parameter: "max_connections",
                least: clients + OTHER_SESSIONS,
                enough: clients * 2 + OTHER_SESSIONS,
                why: "one for each client, and some for agents, probes and superusers",
                default: 100,
                minimum: 25,
            },
        ]
    }

    /// What the settings come to, where they say a number (Patroni's `CMDLINE_OPTIONS`: less than its minimum is replaced).
    #[must_use]
    pub fn given(&self, parameters: &Map<String, Value>) -> Option<u64> {
        let number = match parameters.get(self.parameter)? {
            Value::Number(number) => number.as_u64(),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        }?;
        Some(if number < self.minimum { self.default } else { number })
    }

    /// What the lab sets where nobody says anything; `None` where the default is enough.
    fn set(&self) -> Option<u64> {
        (self.enough > self.default).then_some(self.enough)
    }
}

impl Scenario {
    /// The dynamic configuration of its cluster: [`Patroni::dynamic_config`](crate::scenario::Patroni::dynamic_config), with
    /// what the size of the cluster needs where the settings leave it open.
    #[must_use]
    pub fn dynamic_config(&self) -> Map<String, Value> {
        let mut dynamic = self.cluster.patroni.dynamic_config();
        let parameters = dynamic.get_mut("postgresql").and_then(|postgresql| postgresql.get_mut("parameters"));
        if let Some(Value::Object(parameters)) = parameters {
            for need in Need::of(&self.cluster, self.workload.clients()) {
                if let Some(number) = need.set()
                    && !parameters.contains_key(need.parameter)
                {
                    parameters.insert(need.parameter.to_owned(), number.into());
                }
            }
        }
        dynamic
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::load_text;

    fn text_of(cluster: &str, workload: &str) -> String {
        format!("name: it\nabout: It is.\nduration: 10s\ncluster: {cluster}\nworkload: {workload}\n")
    }

    fn parameters(cluster: &str, workload: &str) -> Value {
        let text = text_of(cluster, workload);
        let scenario = load_text("it.yaml".as_ref(), &text).unwrap_or_else(|e| panic!("{e:?}")).scenario;
        scenario.dynamic_config()["postgresql"]["parameters"].clone()
    }

    #[test]
    fn a_small_cluster_has_patronis_defaults_and_a_large_one_what_it_needs() {
        assert_eq!(parameters("{ nodes: 5 }", "{}"), serde_json::json!({}));
        let large = serde_json::json!({ "max_wal_senders": 40, "max_replication_slots": 39 });
        assert_eq!(parameters("{ nodes: 20 }", "{}"), large);
        let clients = serde_json::json!({ "max_connections": 271 });
        assert_eq!(parameters("{ nodes: 3 }", "{ writers: 64, readers: 64 }"), clients);
    }

    #[test]
    fn what_the_user_has_set_counts() {
        let own =
            "{ nodes: 20, patroni: { postgresql: { parameters: { max_wal_senders: 25, max_connections: 40 } } } }";
        let replaced = text_of("{ patroni: { postgresql: { parameters: { max_wal_senders: 2 } } } }", "{}");
        assert!(load_text("it.yaml".as_ref(), &replaced).is_ok(), "Patroni takes its default for less than 3");
        let expected = serde_json::json!({ "max_wal_senders": 25, "max_connections": 40, "max_replication_slots": 39 });
        assert_eq!(parameters(own, "{}"), expected);
    }
}
