//! Selectors that can match nobody, whatever happens: `pg7` of three nodes, a zone that is not defined, a label that is bound
//! later; and actions on hosts that have no such process.

use std::collections::BTreeSet;

use super::wrong;
use crate::scenario::{
    Action, HealSpec, Link, Process, Router, Scenario, Selector, SynchronousMode,
    read::{Node, Reader, did_you_mean, one_of, words},
};

/// What a host is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HostKind {
    /// PostgreSQL and its agent.
    Node,
    /// An etcd member.
    Etcd,
    /// The router.
    Haproxy,
    /// A client of the workload.
    Client,
}

impl Scenario {
    /// What the hosts can be that a line of the timeline is about; empty when it is about none.
    #[must_use]
    pub fn kinds_of_targets(&self, line: usize) -> BTreeSet<HostKind> {
        let target = self.timeline[line].action.target();
        target.map_or_else(BTreeSet::new, |on| Sight { scenario: self, before: line }.kinds(&on))
    }
}

pub(super) fn check(reader: &mut Reader<'_>, root: &Node, scenario: &Scenario) {
    zones(reader, root, scenario);
    for (n, step) in scenario.timeline.iter().enumerate() {
        let base = format!("timeline[{n}].{}", step.action.keyword());
        let sight = Sight { scenario, before: n };
        for (field, selector) in selectors_of(&step.action) {
            let path = if field.is_empty() { base.clone() } else { format!("{base}.{field}") };
            if let Some((expected, help)) = sight.matches_nobody(&selector) {
                wrong(reader, root, &path, format!("{:?}", selector.to_string()), expected).help = help;
            } else {
                sight.right_kind(reader, root, &path, &step.action, &selector);
            }
        }
        if let Some(link) = link_of(&step.action) {
            two_sides(reader, root, &base, link);
        }
    }
}

/// Clients in zones: the workload says how many there are.
fn zones(reader: &mut Reader<'_>, root: &Node, scenario: &Scenario) {
    for (zone, hosts) in &scenario.cluster.zones {
        for (n, host) in hosts.iter().enumerate() {
            let number = host.strip_prefix("client").and_then(|n| n.parse::<usize>().ok());
            if number.is_some_and(|number| number == 0 || number > scenario.workload.clients()) {
                let path = format!("cluster.zones.{zone}[{n}]");
                let expected = format!("client1 to client{}", scenario.workload.clients());
                wrong(reader, root, &path, format!("{host:?}"), expected);
            }
        }
    }
}

/// A link with the same hosts on both sides touches nothing.
fn two_sides(reader: &mut Reader<'_>, root: &Node, path: &str, link: &Link) {
    let (a, b) = link.sides();
    if a == b {
        wrong(reader, root, path, format!("{a} on both sides"), "two different sides").help =
            "inside one side nothing is touched".into();
    }
}

fn link_of(action: &Action) -> Option<&Link> {
    match action {
        Action::Cut(link) | Action::Heal(HealSpec::Links(link)) => Some(link),
        Action::Delay(delay) => Some(&delay.link),
        Action::Loss(loss) => Some(&loss.link),
        Action::Bandwidth(narrow) => Some(&narrow.link),
        _ => None,
    }
}

/// Every selector of an action with the field it is in.
fn selectors_of(action: &Action) -> Vec<(&'static str, Selector)> {
    if let Some(link) = link_of(action) {
        return match link {
            Link::Between { between: [a, b] } => vec![("between[0]", a.clone()), ("between[1]", b.clone())],
            Link::OneWay { from, to } => vec![("from", from.clone()), ("to", to.clone())],
            Link::Isolate { isolate, .. } => vec![("isolate", isolate.clone())],
        };
    }
    match action {
        Action::Switchover(spec) => {
            let named = [("leader", &spec.leader), ("candidate", &spec.candidate)];
            named.into_iter().filter_map(|(field, selector)| Some((field, selector.clone()?))).collect()
        }
        Action::Failover { candidate } => vec![("candidate", candidate.clone())],
        Action::PowerOff(on) | Action::PowerOn(on) => vec![("", on.clone())],
        other => other.target().map(|on| ("on", on)).into_iter().collect(),
    }
}

/// What is known at a line: the cluster, and the labels of the lines before.
struct Sight<'s> {
    scenario: &'s Scenario,
    before: usize,
}

impl Sight<'_> {
    /// Why a selector can match nobody: what would be right, and a hint.
    fn matches_nobody(&self, selector: &Selector) -> Option<(String, String)> {
        let cluster = &self.scenario.cluster;
        let nothing = |expected: &str| Some((expected.to_owned(), String::new()));
        match selector {
            Selector::Union(parts) => parts.iter().find_map(|part| self.matches_nobody(part)),
            Selector::ZoneOf(inner) if cluster.zones.is_empty() => {
                self.matches_nobody(inner).or_else(|| nothing("cluster.zones, which is not given"))
            }
            Selector::ZoneOf(inner) => self.matches_nobody(inner),
            Selector::Replicas | Selector::AnyReplica | Selector::AnyCandidate if cluster.nodes < 2 => {
                nothing("two nodes or more to have a replica")
            }
            Selector::SyncStandby if !self.may_be_synchronous() => {
                nothing("patroni.synchronous_mode on or quorum to have a synchronous standby")
            }
            Selector::AsyncStandby if cluster.nodes < 2 => nothing("two nodes or more to have a standby"),
            Selector::EtcdFollowers | Selector::Minority if cluster.etcd.members < 2 => nothing("3 or 5 etcd members"),
            Selector::Clients if self.scenario.workload.clients() == 0 => nothing("writers or readers in the workload"),
            Selector::Haproxy if cluster.router != Router::Haproxy => nothing("router: haproxy in the cluster"),
            Selector::Zone(zone) if !cluster.zones.contains_key(zone) => {
                let zones: Vec<&str> = cluster.zones.keys().map(String::as_str).collect();
                let expected =
                    if zones.is_empty() { "cluster.zones, which is not given".into() } else { one_of(&zones) };
                Some((expected, did_you_mean(zone, zones.into_iter())))
            }
            Selector::Zone(zone) if cluster.zones[zone].is_empty() => nothing("a zone that has hosts"),
            Selector::Host(name) if !self.hosts().contains(name) => Some((self.host_range(), String::new())),
            Selector::Label(label) => self.unbound(label),
            _ => None,
        }
    }

    fn may_be_synchronous(&self) -> bool {
        let edited =
            |action: &Action| matches!(action, Action::EditConfig(patch) if patch.contains_key("synchronous_mode"));
        self.scenario.cluster.patroni.synchronous_mode != SynchronousMode::Off
            || self.scenario.timeline[..self.before].iter().any(|step| edited(&step.action))
    }

    fn hosts(&self) -> BTreeSet<String> {
        let clients = (1..=self.scenario.workload.clients()).map(|n| format!("client{n}"));
        // A member keeps its number as a name wherever it runs.
        let members = (1..=self.scenario.cluster.etcd.members).map(|n| format!("etcd{n}"));
        self.scenario.cluster.node_names().into_iter().chain(members).chain(clients).collect()
    }

    fn host_range(&self) -> String {
        let (cluster, clients) = (&self.scenario.cluster, self.scenario.workload.clients());
        format!("pg1 to pg{}, etcd1 to etcd{} or client1 to client{clients}", cluster.nodes, cluster.etcd.members)
    }

    fn unbound(&self, label: &str) -> Option<(String, String)> {
        let bound = |steps: &[crate::scenario::Step]| steps.iter().any(|step| step.label.as_deref() == Some(label));
        if bound(&self.scenario.timeline[..self.before]) {
            return None;
        }
        let help = if bound(&self.scenario.timeline[self.before..]) {
            "the label is bound only in this line or a later one".to_owned()
        } else {
            let labels = self.scenario.timeline[..self.before].iter().filter_map(|step| step.label.as_deref());
            let mut names: Vec<&str> = Selector::phrases().collect();
            names.extend(labels);
            words::selector(label).unwrap_or_else(|| did_you_mean(label, names.into_iter()))
        };
        Some(("a selector, or a label that an earlier line gives with `as`".into(), help))
    }

    /// Whether some of the hosts have what the action is done to.
    fn right_kind(&self, reader: &mut Reader<'_>, root: &Node, path: &str, action: &Action, selector: &Selector) {
        let (wanted, what): (&[HostKind], &str) = match action {
            Action::Kill(spec) | Action::Stop(spec) => process_kind(spec.process),
            Action::Start(spec) => process_kind(spec.process),
            Action::Freeze(spec) | Action::Thaw(spec) if spec.process.is_some() => {
                process_kind(spec.process.expect("the guard has looked"))
            }
            Action::ReplayPause { .. } | Action::ReplayResume { .. } => process_kind(Process::Postgres),
            Action::Restart { .. } | Action::Reinitialize { .. } => process_kind(Process::Agent),
            Action::Switchover(_) | Action::Failover { .. } => process_kind(Process::Agent),
            Action::DiskFull { .. } | Action::DiskFree { .. } | Action::SlowFsync { .. } => {
                (&[HostKind::Node, HostKind::Etcd], "hosts that keep data: nodes or etcd members")
            }
            _ => return,
        };
        let found = self.kinds(selector);
        if !found.is_empty() && !wanted.iter().any(|kind| found.contains(kind)) {
            let help = match action {
                Action::Restart { .. } => {
                    "it is patronictl's restart, of PostgreSQL; a process is ended and started again by \
                     kill: { process: etcd, on: etcd1 } with `for: 5s` in the same line"
                }
                _ => "",
            };
            wrong(reader, root, path, format!("{:?}", selector.to_string()), what).help = help.into();
        }
    }

    /// What the hosts of a selector can be.
    fn kinds(&self, selector: &Selector) -> BTreeSet<HostKind> {
        let all = [HostKind::Node, HostKind::Etcd, HostKind::Haproxy, HostKind::Client];
        match selector {
            Selector::Leader | Selector::Replicas | Selector::AnyReplica | Selector::Nodes => self.kinds_of_nodes(),
            Selector::AnyCandidate | Selector::SyncStandby | Selector::AsyncStandby => self.kinds_of_nodes(),
            Selector::Etcd | Selector::EtcdLeader | Selector::EtcdFollowers => self.kinds_of_members(),
            Selector::Majority | Selector::Minority => self.kinds_of_members(),
            Selector::Haproxy => [HostKind::Haproxy].into(),
            Selector::Clients => [HostKind::Client].into(),
            Selector::Everything | Selector::Others => all.into(),
            Selector::Host(name) => self.kinds_of(name),
            Selector::Zone(zone) => {
                self.scenario.cluster.zones[zone].iter().flat_map(|host| self.kinds_of(host)).collect()
            }
            // Of whichever zone; a host that is in none comes alone.
            Selector::ZoneOf(inner) => {
                let zoned = self.scenario.cluster.zones.values().flatten().flat_map(|host| self.kinds_of(host));
                zoned.chain(self.kinds(inner)).collect()
            }
            Selector::Union(parts) => parts.iter().flat_map(|part| self.kinds(part)).collect(),
            Selector::Label(label) => {
                let earlier = &self.scenario.timeline[..self.before];
                let bound = earlier.iter().rposition(|step| step.label.as_deref() == Some(label));
                // A label is bound before it is used, so this looks at ever earlier lines and ends.
                let target = bound.and_then(|n| Some((n, earlier[n].action.target()?)));
                target.map_or_else(BTreeSet::new, |(n, target)| Sight { before: n, ..*self }.kinds(&target))
            }
        }
    }

    fn kinds_of_nodes(&self) -> BTreeSet<HostKind> {
        self.scenario.cluster.node_names().iter().flat_map(|node| self.kinds_of(node)).collect()
    }

    fn kinds_of_members(&self) -> BTreeSet<HostKind> {
        self.scenario.cluster.etcd_hosts().iter().flat_map(|host| self.kinds_of(host)).collect()
    }

    /// What a host is, by its name or by that of the etcd member on it.
    fn kinds_of(&self, name: &str) -> BTreeSet<HostKind> {
        let cluster = &self.scenario.cluster;
        let members = cluster.etcd_hosts();
        let host = cluster.etcd_host(name).unwrap_or_else(|| name.to_owned());
        let mut kinds = BTreeSet::new();
        if cluster.node_names().contains(&host) {
            kinds.insert(HostKind::Node);
        }
        if members.contains(&host) {
            kinds.insert(HostKind::Etcd);
        }
        if kinds.is_empty() {
            kinds.insert(if host == "haproxy" { HostKind::Haproxy } else { HostKind::Client });
        }
        kinds
    }
}

fn process_kind(process: Process) -> (&'static [HostKind], &'static str) {
    match process {
        Process::Agent | Process::Deadman | Process::Postgres => {
            (&[HostKind::Node], "PostgreSQL nodes: leader, any replica, pg1, ...")
        }
        Process::Etcd => (&[HostKind::Etcd], "etcd members: etcd leader, etcd, etcd1, ..."),
        Process::Haproxy => (&[HostKind::Haproxy], "haproxy"),
    }
}
