//! Patroni's tags of a node.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Tags. What is not given is Patroni's default: no restriction.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Tags {
    /// Never leads. Wins over `failover_priority`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nofailover: Option<bool>,
    /// Among equals the highest leads; 0 or less never leads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failover_priority: Option<i32>,
    /// Never a synchronous standby. Wins over `sync_priority`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nosync: Option<bool>,
    /// Among equals the highest becomes synchronous; 0 or less never does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sync_priority: Option<i32>,
    /// `/replica` answers 503.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub noloadbalance: Option<bool>,
    /// New nodes copy from it rather than from the leader.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clonefrom: Option<bool>,
    /// Streams from this node instead of the leader.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replicatefrom: Option<String>,
    /// Takes WAL from the archive only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nostream: Option<bool>,
    /// Tags that mean nothing to Patroni: `custom: { rack: a }`.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub custom: Map<String, Value>,
}

impl Tags {
    /// These, and where they say nothing the general ones.
    #[must_use]
    pub fn over(&self, general: &Self) -> Self {
        let mut custom = general.custom.clone();
        custom.extend(self.custom.clone());
        Self {
            nofailover: self.nofailover.or(general.nofailover),
            failover_priority: self.failover_priority.or(general.failover_priority),
            nosync: self.nosync.or(general.nosync),
            sync_priority: self.sync_priority.or(general.sync_priority),
            noloadbalance: self.noloadbalance.or(general.noloadbalance),
            clonefrom: self.clonefrom.or(general.clonefrom),
            replicatefrom: self.replicatefrom.clone().or_else(|| general.replicatefrom.clone()),
            nostream: self.nostream.or(general.nostream),
            custom,
        }
    }

    /// As they are written to `patroni.yml` and to the member key; the custom ones among the others.
    #[must_use]
    pub fn to_json(&self) -> Map<String, Value> {
        let mut all = Map::new();
        for (name, flag) in [
            ("nofailover", self.nofailover),
            ("nosync", self.nosync),
            ("noloadbalance", self.noloadbalance),
            ("clonefrom", self.clonefrom),
            ("nostream", self.nostream),
        ] {
            all.extend(flag.map(|flag| (name.to_owned(), flag.into())));
        }
        for (name, number) in [("failover_priority", self.failover_priority), ("sync_priority", self.sync_priority)] {
            all.extend(number.map(|number| (name.to_owned(), number.into())));
        }
        all.extend(self.replicatefrom.clone().map(|node| ("replicatefrom".to_owned(), node.into())));
        all.extend(self.custom.clone());
        all
    }

    /// Whether a node with these tags may ever lead: `nofailover` where it is given, else `failover_priority` above 0.
    #[must_use]
    pub fn may_lead(&self) -> bool {
        match (self.nofailover, self.failover_priority) {
            (Some(nofailover), _) => !nofailover,
            (None, Some(priority)) => priority > 0,
            (None, None) => true,
        }
    }
}
