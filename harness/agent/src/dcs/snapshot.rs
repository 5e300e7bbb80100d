//! One consistent read of all of a cluster's keys, as Patroni's records.

use pgdrill_ha::{
    records::{
        FailoverRecord, HistoryRecord, Initialize, Key, Keys, MemberRecord, StatusRecord, SyncRecord, parse_failsafe,
    },
    view::{Cluster, Leader, Versioned},
};

use super::{KeyValue, Range};

/// Reads the records out of a range. What cannot be understood counts as absent, as in Patroni.
pub(super) fn cluster(keys: &Keys, range: &Range) -> Cluster {
    let mut cluster = Cluster {
        revision: range.revision,
        raft_term: range.raft_term,
        cluster_id: range.cluster_id,
        ..Cluster::default()
    };
    let mut optime = None;
    for (path, kv) in &range.keys {
        match keys.parse(path) {
            Some(Key::OptimeLeader) => optime = Some(StatusRecord::parse(&kv.value)),
            Some(key) => place(&mut cluster, key, kv),
            None => {}
        }
    }
    // Written by Patroni before 2.1 alone; `status` wins where both are.
    if let (0, Some(legacy)) = (cluster.status.mod_revision, optime) {
        cluster.status.value = legacy;
    }
    cluster
}

fn place(cluster: &mut Cluster, key: Key, kv: &KeyValue) {
    let text = kv.value.as_str();
    match key {
        Key::Leader => {
            cluster.leader = Some(Leader { name: text.to_owned(), mod_revision: kv.mod_revision, lease_id: kv.lease });
        }
        Key::Member(name) => {
            cluster.members.insert(name, MemberRecord::parse(text));
        }
        Key::Initialize => cluster.initialize = Some(Initialize::parse(text)),
        Key::Config => {
            cluster.config = serde_json::from_str(text).ok().map(|value| Versioned::new(value, kv.mod_revision));
        }
        Key::Status => cluster.status = Versioned::new(StatusRecord::parse(text), kv.mod_revision),
        Key::History => cluster.history = Some(HistoryRecord::parse(text)),
        Key::Failover => {
            cluster.failover = FailoverRecord::parse(text).map(|record| Versioned::new(record, kv.mod_revision));
        }
        Key::Sync => cluster.sync = Versioned::new(SyncRecord::parse(text), kv.mod_revision),
        Key::Failsafe => cluster.failsafe = parse_failsafe(text),
        Key::OptimeLeader => {}
    }
}
