//! What only several members can show: forwarding, quorum, restarts, changes of leaders.

use std::time::{Duration, Instant};

use etcd_client::{Client, Error, GetOptions, PutOptions};
use tonic::Code;

use super::{TestCluster, refused, revision, soon};

/// The member that leads, as the members themselves see it.
async fn leader(cluster: &impl TestCluster, up: &[usize]) -> usize {
    for _ in 0..100 {
        for member in up {
            let status = cluster.client(*member).await.status().await.expect("status");
            let id = status.header().expect("header").member_id();
            if status.leader() == id && status.leader() != 0 {
                return *member;
            }
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("nobody became leader within ten seconds");
}

/// Puts until it works.
async fn put_soon(client: &mut Client, key: &str, value: &str) -> i64 {
    revision!(soon(async || client.put(key, value, None).await).await)
}

/// Headers, member list and status agree.
pub async fn every_member_answers_with_the_same_cluster_and_its_own_id(cluster: &mut impl TestCluster) {
    let mut clusters = Vec::new();
    let mut ids = Vec::new();
    for member in 0..cluster.members() {
        let mut client = cluster.client(member).await;
        let list = client.member_list().await.expect("member list");
        assert_eq!(list.members().len(), cluster.members());
        let status = client.status().await.expect("status");
        let header = status.header().expect("header");
        assert!(list.members().iter().any(|m| m.id() == header.member_id()));
        assert!(status.raft_term() > 0 && status.version().starts_with("3.5"), "{}", status.version());
        clusters.push(header.cluster_id());
        ids.push(header.member_id());
    }
    clusters.dedup();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!((clusters.len(), ids.len()), (1, cluster.members()));
}

/// Linearizable reads through any member see an acknowledged write.
pub async fn a_write_through_one_member_is_read_through_all(cluster: &mut impl TestCluster) {
    for writer in 0..cluster.members() {
        let value = format!("from {writer}");
        let put = revision!(cluster.client(writer).await.put("k", value.clone(), None).await.expect("put"));
        for reader in 0..cluster.members() {
            let got = cluster.client(reader).await.get("k", None).await.expect("get");
            assert_eq!(got.kvs()[0].value_str().expect("utf-8"), value, "written by {writer}, read by {reader}");
            assert_eq!(revision!(got), put);
        }
    }
}

/// Only the leader keeps the time; the others ask it.
pub async fn a_keepalive_through_a_follower_reaches_the_leader(cluster: &mut impl TestCluster) {
    let all: Vec<_> = (0..cluster.members()).collect();
    let leader = leader(cluster, &all).await;
    let mut follower = cluster.client((leader + 1) % cluster.members()).await;
    let lease = follower.lease_grant(2, None).await.expect("grant").id();
    follower.put("k", "v", Some(PutOptions::new().with_lease(lease))).await.expect("put");
    let (mut keeper, mut kept) = follower.lease_keep_alive(lease).await.expect("keepalive");
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        keeper.keep_alive().await.expect("send");
        assert_eq!(kept.message().await.expect("an answer").expect("open").ttl(), 2);
    }
    let told = follower.lease_time_to_live(lease, None).await.expect("time to live");
    assert_eq!((told.granted_ttl(), told.ttl() <= 2), (2, true));
    let unknown = follower.lease_keep_alive(4711).await;
    assert!(matches!(unknown, Err(Error::LeaseKeepAliveError(_))), "TTL 0 comes through a follower too");
}

/// A lone member of three: stale reads work, the rest fails with etcd's errors, streams that need a leader end.
pub async fn without_a_quorum_only_serializable_reads_are_answered(cluster: &mut impl TestCluster) {
    cluster.client(0).await.put("k", "v", None).await.expect("put");
    cluster.client(2).await.get("k", None).await.expect("member 2 has applied it now");
    let mut left = cluster.client(2).await;
    cluster.stop_member(0).await;
    cluster.stop_member(1).await;
    while left.status().await.expect("status").leader() != 0 {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let status = left.status().await.expect("status");
    assert_eq!(status.errors(), ["etcdserver: no leader"]);
    let stale = left.get("k", Some(GetOptions::new().with_serializable())).await.expect("a stale read");
    assert_eq!(stale.kvs()[0].value(), b"v");
    let mut writer = left.clone();
    let mut renewer = left.clone();
    let (read, write, renewal) =
        tokio::join!(left.get("k", None), writer.put("k", "w", None), renewer.lease_keep_alive(1));
    assert_eq!(refused(read), (Code::Unavailable, "etcdserver: request timed out".to_owned()));
    assert_eq!(refused(write), (Code::DeadlineExceeded, "context deadline exceeded".to_owned()));
    assert_eq!(refused(renewal.map(drop)), (Code::Unavailable, "etcdserver: no leader".to_owned()));
    cluster.start_member(0).await;
    put_soon(&mut left, "k", "again").await;
}

/// A member that was away learns what happened meanwhile, and answers with its own old data at once.
pub async fn a_restarted_member_finds_its_data_and_catches_up(cluster: &mut impl TestCluster) {
    let before = revision!(cluster.client(2).await.put("k", "before", None).await.expect("put"));
    cluster.stop_member(2).await;
    let mut other = cluster.client(0).await;
    let after = put_soon(&mut other, "k", "after").await;
    cluster.start_member(2).await;
    let mut restarted = cluster.client(2).await;
    let started = Instant::now();
    loop {
        let options = Some(GetOptions::new().with_serializable());
        let stale = restarted.get("k", options).await.expect("stale reads need nobody");
        assert!(stale.kvs().is_empty() || revision!(stale) >= before, "nothing but its own past or the present");
        if stale.kvs().first().is_some_and(|kv| kv.mod_revision() == after) {
            break;
        }
        assert!(started.elapsed() < Duration::from_secs(10), "it never caught up");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(restarted.get("k", None).await.expect("get").kvs()[0].value(), b"after");
}

/// A frozen member answers nothing and holds up nobody. Thawed, it may still tell the past to whoever allows it, and never
/// to whoever does not.
pub async fn a_member_that_lags_answers_linearizable_reads_with_the_present(cluster: &mut impl TestCluster) {
    let all: Vec<_> = (0..cluster.members()).collect();
    let leading = leader(cluster, &all).await;
    let lagging = (leading + 1) % cluster.members();
    let mut writer = cluster.client(leading).await;
    let mut reader = cluster.client(lagging).await;
    let mut known = put_soon(&mut writer, "k", "0").await;
    reader.get("k", None).await.expect("it has applied the first write");
    for round in 1..=3 {
        cluster.freeze_member(lagging).await;
        let mut last = known;
        for write in 0..20 {
            last = put_soon(&mut writer, "k", &format!("{round}.{write}")).await;
        }
        let options = || Some(GetOptions::new().with_serializable());
        let mut waiting = reader.clone();
        let frozen = tokio::time::timeout(Duration::from_millis(300), waiting.get("k", options())).await;
        assert!(frozen.is_err(), "a frozen member answers: {frozen:?}");
        cluster.thaw_member(lagging).await;
        let mut other = reader.clone();
        let (stale, present) = tokio::join!(other.get("k", options()), reader.get("k", None));
        let seen = stale.expect("stale reads need nobody").kvs()[0].mod_revision();
        assert!((known..=last).contains(&seen), "its own past or the present, not {seen}");
        // It may be told of a leader that it does not know yet; an answer is right or does not come.
        let present = match present {
            Ok(got) => got,
            Err(_) => soon(async || reader.get("k", None).await).await,
        };
        assert_eq!(present.kvs()[0].mod_revision(), last, "round {round}");
        known = last;
    }
}

/// A new leader does not know how much time was left and gives all of it again.
pub async fn a_new_leader_keeps_leases_alive(cluster: &mut impl TestCluster) {
    let all: Vec<_> = (0..cluster.members()).collect();
    let old = leader(cluster, &all).await;
    let others: Vec<_> = all.into_iter().filter(|m| *m != old).collect();
    let mut client = cluster.client(others[0]).await;
    let lease = client.lease_grant(3, None).await.expect("grant").id();
    client.put("k", "v", Some(PutOptions::new().with_lease(lease))).await.expect("put");
    tokio::time::sleep(Duration::from_millis(1500)).await;
    cluster.stop_member(old).await;
    leader(cluster, &others).await;
    let elected = Instant::now();
    // Stale reads do: the change of leaders must not fail them.
    let count = async |client: &mut Client| {
        client.get("k", Some(GetOptions::new().with_serializable())).await.expect("get").count()
    };
    assert_eq!(count(&mut client).await, 1);
    while count(&mut client).await == 1 {
        assert!(elected.elapsed() < Duration::from_secs(8), "the new leader never expired it");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(elected.elapsed() > Duration::from_millis(2900), "it was cut short: {:?}", elected.elapsed());
}
