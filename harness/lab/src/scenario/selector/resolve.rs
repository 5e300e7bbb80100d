//! From a selector to hosts: one pure function, so that every world picks the same hosts from the same facts.

use std::collections::BTreeMap;

use super::Selector;

/// What is known of the cluster at the moment when a step fires.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Every PostgreSQL node, `pg1` first.
    pub nodes: Vec<String>,
    /// The host of every etcd member, that of `etcd1` first: hosts of their own, or nodes.
    pub etcd: Vec<String>,
    /// Every client.
    pub clients: Vec<String>,
    /// The router, if there is one.
    pub haproxy: Option<String>,
    /// The holder of the leader lock, if there is one.
    pub leader: Option<String>,
    /// Every node that is up and not the leader.
    pub replicas: Vec<String>,
    /// The standbys named in `/sync`.
    pub sync: Vec<String>,
    /// The host of the etcd cluster's leader, if there is one.
    pub etcd_leader: Option<String>,
    /// Hosts by zone.
    pub zones: BTreeMap<String, Vec<String>>,
    /// Hosts by the label that an earlier step gave them.
    pub labels: BTreeMap<String, Vec<String>>,
}

/// Draws a number below the given one (at least 1) from the seed.
pub type Pick<'a> = &'a mut dyn FnMut(usize) -> usize;

impl Facts {
    /// Every host once: nodes, etcd members, router, clients.
    #[must_use]
    pub fn all(&self) -> Vec<String> {
        let own = self.etcd.iter().filter(|host| !self.nodes.contains(host));
        self.nodes.iter().chain(own).chain(&self.haproxy).chain(&self.clients).cloned().collect()
    }

    /// The host of that name, or that of the etcd member of that name.
    fn named(&self, name: &str) -> Option<String> {
        let member = || self.etcd.get(name.strip_prefix("etcd")?.parse::<usize>().ok()?.checked_sub(1)?).cloned();
        self.all().into_iter().find(|host| host == name).or_else(member)
    }

    /// Every host but these.
    #[must_use]
    pub fn all_except(&self, hosts: &[String]) -> Vec<String> {
        let mut all = self.all();
        all.retain(|host| !hosts.contains(host));
        all
    }

    /// Whom a switchover may name: in synchronous mode, when `/sync` names standbys, those of them that are up.
    fn candidates(&self) -> Vec<String> {
        if self.sync.is_empty() {
            return self.replicas.clone();
        }
        self.replicas.iter().filter(|replica| self.sync.contains(replica)).cloned().collect()
    }

    fn minority(&self) -> Vec<String> {
        // The etcd leader is on the small side, so that a cut forces an election.
        let mut members: Vec<String> = self.etcd_leader.iter().cloned().collect();
        members.extend(self.etcd.iter().filter(|member| Some(*member) != self.etcd_leader.as_ref()).cloned());
        members.truncate(self.etcd.len().saturating_sub(1) / 2);
        members
    }

    fn zones_of(&self, hosts: &[String]) -> Vec<String> {
        let mut found = hosts.to_vec();
        for members in self.zones.values().filter(|members| members.iter().any(|host| hosts.contains(host))) {
            found.extend(members.iter().filter(|member| !hosts.contains(member)).cloned());
        }
        found
    }
}

/// One of them, drawn from the seed; nobody where there is nobody.
fn one_of(hosts: &[String], pick: Pick<'_>) -> Vec<String> {
    if hosts.is_empty() { Vec::new() } else { vec![hosts[pick(hosts.len()) % hosts.len()].clone()] }
}

/// The hosts that a selector means now, each once; empty when it matches nobody. `others` alone means everything: see
/// [`Link::resolve_sides`](crate::scenario::Link::resolve_sides) for its two-sided meaning.
pub fn resolve(selector: &Selector, facts: &Facts, pick: Pick<'_>) -> Vec<String> {
    let but = |all: &[String], without: &[String]| {
        all.iter().filter(|host| !without.contains(host)).cloned().collect::<Vec<_>>()
    };
    match selector {
        Selector::Leader => facts.leader.iter().cloned().collect(),
        Selector::Replicas => facts.replicas.clone(),
        Selector::AnyReplica => one_of(&facts.replicas, pick),
        Selector::AnyCandidate => one_of(&facts.candidates(), pick),
        Selector::SyncStandby => facts.sync.clone(),
        Selector::AsyncStandby => but(&facts.replicas, &facts.sync),
        Selector::Nodes => facts.nodes.clone(),
        Selector::Etcd => facts.etcd.clone(),
        Selector::EtcdLeader => facts.etcd_leader.iter().cloned().collect(),
        Selector::EtcdFollowers => but(&facts.etcd, facts.etcd_leader.as_slice()),
        Selector::Minority => facts.minority(),
        Selector::Majority => but(&facts.etcd, &facts.minority()),
        Selector::Clients => facts.clients.clone(),
        Selector::Haproxy => facts.haproxy.iter().cloned().collect(),
        Selector::Everything | Selector::Others => facts.all(),
        Selector::Zone(zone) => facts.zones.get(zone).cloned().unwrap_or_default(),
        Selector::ZoneOf(inner) => facts.zones_of(&resolve(inner, facts, pick)),
        Selector::Host(name) => facts.named(name).into_iter().collect(),
        Selector::Label(label) => facts.labels.get(label).cloned().unwrap_or_default(),
        Selector::Union(parts) => {
            let mut found: Vec<String> = Vec::new();
            for part in parts {
                let more = resolve(part, facts, pick);
                found.extend(but(&more, &found));
            }
            found
        }
    }
}
