//! Selectors: hosts by what they are at the moment (`leader`, `any replica`), by name (`pg2`) or by label.

mod parse;
mod resolve;

pub use resolve::{Facts, Pick, resolve};

use super::text::text_value;

/// Whom an action is about. Resolved when the action fires, not when the file is read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Selector {
    /// `leader`: the node that holds the leader lock.
    Leader,
    /// `replicas`: every node that is up and is not the leader.
    Replicas,
    /// `any replica`: one of them, drawn from the seed.
    AnyReplica,
    /// `any candidate`: a replica that an operator may name as the next leader: with `synchronous_mode` one of those in `/sync`, else
    /// any; drawn from the seed.
    AnyCandidate,
    /// `sync standby`: every standby named in `/sync`.
    SyncStandby,
    /// `async standby`: every replica that is not named there.
    AsyncStandby,
    /// `nodes`: every PostgreSQL node.
    Nodes,
    /// `etcd`: every etcd member.
    Etcd,
    /// `etcd leader`: the leader of the etcd cluster.
    EtcdLeader,
    /// `etcd followers`: the other members.
    EtcdFollowers,
    /// `minority`: as many etcd members as can be lost without losing quorum (1 of 3, 2 of 5): the etcd leader first, then by
    /// name. Cut off, they force an election on the other side.
    Minority,
    /// `majority`: the other etcd members.
    Majority,
    /// `clients`: every client.
    Clients,
    /// `haproxy`: the router.
    Haproxy,
    /// `everything`: every host.
    Everything,
    /// `others`: on one side of a link, everything that is not on the other side.
    Others,
    /// `zone a`: every host of the zone.
    Zone(String),
    /// `zone of leader`: every host of the zones that the selected hosts are in, themselves included.
    ZoneOf(Box<Selector>),
    /// `pg2`, `etcd1`, `client3`: a host by its name.
    Host(String),
    /// What an earlier step's `as` named.
    Label(String),
    /// `replicas + etcd`: all of these.
    Union(Vec<Selector>),
}

text_value!(
    Selector,
    "Selector",
    [parse::pattern()],
    "Hosts: leader, replicas, any replica, any candidate, sync standby, async standby, nodes, pg2, etcd, etcd leader, \
     etcd followers, etcd2, majority, minority, clients, client1, haproxy, zone a, zone of leader, everything, others, a label, or several \
     joined by +"
);

impl Selector {
    /// The parts of a union, or itself.
    #[must_use]
    pub fn parts(&self) -> &[Selector] {
        match self {
            Self::Union(parts) => parts,
            single => std::slice::from_ref(single),
        }
    }
}
