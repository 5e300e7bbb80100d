//! What one member is started with: the part of etcd's command line that the model understands.

use std::time::Duration;

/// Another member of the cluster, as `--initial-cluster` names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its member id: unique in the cluster, never 0.
    pub id: u64,
    /// Its `--name`.
    pub name: String,
    /// The host name or address under which the others reach it.
    pub host: String,
    /// The port on which it takes Raft messages (etcd's 2380).
    pub port: u16,
    /// The port on which it serves clients (etcd's 2379); only told to clients in member lists.
    pub client_port: u16,
}

/// How one member runs. Defaults, where there are any, are etcd 3.5's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberConfig {
    /// This member's `--name`.
    pub name: String,
    /// This member's id: must be one of [`MemberConfig::peers`].
    pub id: u64,
    /// Identity of the cluster, the same on all its members. Told in every response header; members of another cluster
    /// are not talked to.
    pub cluster_id: u64,
    /// Address to listen on, for clients and for peers.
    pub listen_host: String,
    /// All members, this one included. One, three or five in practice.
    pub peers: Vec<Peer>,
    /// `--heartbeat-interval`: the length of a Raft tick in milliseconds.
    pub heartbeat_ms: u64,
    /// `--election-timeout` in milliseconds: a whole number of heartbeats, at least two.
    pub election_ms: u64,
    /// `--snapshot-count`: applied entries between two Raft snapshots.
    pub snapshot_count: u64,
    /// Entries kept in the log behind a snapshot for slow followers (etcd's `SnapshotCatchUpEntries`).
    pub catch_up_entries: u64,
    /// `--max-txn-ops`: operations allowed in one transaction.
    pub max_txn_ops: usize,
    /// `--max-request-bytes`: largest accepted write.
    pub max_request_bytes: usize,
    /// `--experimental-watch-progress-notify-interval`: time between progress notifications of an idle watch.
    pub progress_notify_interval: Duration,
    /// What the member's election time-outs are drawn from: another number in every member of a cluster, and better another one
    /// in every start. Its id unless set.
    pub seed: u64,
}

impl MemberConfig {
    /// The member `id` of a cluster of `peers`, with etcd's defaults.
    #[must_use]
    pub fn new(id: u64, peers: Vec<Peer>) -> Self {
        let name = peers.iter().find(|p| p.id == id).map_or_else(String::new, |p| p.name.clone());
        Self {
            name,
            id,
            cluster_id: cluster_id(&peers),
            listen_host: "0.0.0.0".to_owned(),
            peers,
            heartbeat_ms: 100,
            election_ms: 1000,
            snapshot_count: 100_000,
            catch_up_entries: 5_000,
            max_txn_ops: 128,
            max_request_bytes: 1_572_864,
            progress_notify_interval: Duration::from_secs(600),
            seed: id,
        }
    }

    /// This member's own entry among [`MemberConfig::peers`].
    ///
    /// # Errors
    /// A sentence for the person who wrote the configuration.
    pub fn check(&self) -> Result<&Peer, String> {
        if self.id == 0 {
            return Err("member id 0 means `no member` in Raft; use any other number".to_owned());
        }
        if self.heartbeat_ms == 0 || self.election_ticks() < 2 {
            return Err(format!(
                "election_ms ({}) must be at least two heartbeat_ms ({}), which must not be 0",
                self.election_ms, self.heartbeat_ms
            ));
        }
        let me = self.peers.iter().find(|p| p.id == self.id);
        me.ok_or_else(|| format!("member {} ({}) is not in its own list of peers", self.id, self.name))
    }

    /// Length of a Raft tick.
    #[must_use]
    pub fn tick(&self) -> Duration {
        Duration::from_millis(self.heartbeat_ms)
    }

    /// Ticks in an election time-out.
    #[must_use]
    pub fn election_ticks(&self) -> usize {
        usize::try_from(self.election_ms.checked_div(self.heartbeat_ms).unwrap_or(0)).unwrap_or(usize::MAX)
    }

    /// The election time-out.
    #[must_use]
    pub fn election_timeout(&self) -> Duration {
        Duration::from_millis(self.election_ms)
    }

    /// How long a request may take inside the member: 5 s for disk and queueing plus two elections
    /// (`ServerConfig.ReqTimeout`).
    #[must_use]
    pub fn request_timeout(&self) -> Duration {
        Duration::from_secs(5) + 2 * self.election_timeout()
    }

    /// The shortest TTL a lease is given, in seconds: one and a half election time-outs, rounded up, so that a lease
    /// outlives a change of leaders (`NewServer`, `MinLeaseTTL`).
    #[must_use]
    pub fn min_lease_ttl(&self) -> i64 {
        let ticks = 3 * self.election_ticks() as u64 / 2;
        i64::try_from((ticks * self.heartbeat_ms).div_ceil(1000)).unwrap_or(i64::MAX)
    }
}

/// A stable identity from the members' ids and names (FNV-1a), as etcd derives its own from the initial cluster.
fn cluster_id(peers: &[Peer]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut eat = |bytes: &[u8]| {
        for b in bytes {
            hash = (hash ^ u64::from(*b)).wrapping_mul(0x0100_0000_01b3);
        }
    };
    for p in peers {
        eat(&p.id.to_be_bytes());
        eat(p.name.as_bytes());
    }
    hash.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn three() -> Vec<Peer> {
        (1..=3)
            .map(|id| Peer { id, name: format!("etcd{id}"), host: format!("etcd{id}"), port: 2380, client_port: 2379 })
            .collect()
    }

    #[test]
    fn defaults_give_etcds_documented_times() {
        let config = MemberConfig::new(2, three());
        assert_eq!(config.request_timeout(), Duration::from_secs(7));
        assert_eq!(config.min_lease_ttl(), 2);
        assert_eq!(config.check().map(|p| p.name.as_str()), Ok("etcd2"));
    }

    #[test]
    fn a_member_outside_its_own_cluster_is_refused() {
        assert!(MemberConfig::new(4, three()).check().is_err());
        assert!(MemberConfig { election_ms: 100, ..MemberConfig::new(1, three()) }.check().is_err());
    }
}
