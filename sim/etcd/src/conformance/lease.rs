//! Leases on one member.

use std::time::Duration;

use etcd_client::{Error, EventType, LeaseGrantOptions, LeaseTimeToLiveOptions, PutOptions, WatchOptions};
use tonic::Code;

use super::{TestCluster, refused, revision};

fn on(lease: i64) -> Option<PutOptions> {
    Some(PutOptions::new().with_lease(lease))
}

/// One and a half election time-outs, rounded up: 2 s with etcd's defaults.
pub async fn a_short_ttl_is_raised_to_the_minimum(cluster: &mut impl TestCluster) {
    let mut client = cluster.client(0).await;
    let granted = client.lease_grant(1, Some(LeaseGrantOptions::new().with_id(77))).await.expect("grant");
    assert_eq!((granted.id(), granted.ttl()), (77, 2));
    let again = client.lease_grant(5, Some(LeaseGrantOptions::new().with_id(77))).await;
    assert_eq!(refused(again), (Code::FailedPrecondition, "etcdserver: lease already exists".to_owned()));
    let chosen = client.lease_grant(60, None).await.expect("grant");
    assert!(chosen.id() > 0 && chosen.id() != 77);
    assert_eq!(chosen.ttl(), 60);
    let huge = refused(client.lease_grant(9_000_000_001, None).await);
    assert_eq!(huge, (Code::OutOfRange, "etcdserver: too large lease TTL".to_owned()));
    let ids: Vec<_> = client.leases().await.expect("leases").leases().iter().map(|l| l.id()).collect();
    assert_eq!(ids, [77, chosen.id()], "the next to expire comes first");
}

/// The keys go in key order, all in one revision; a second revocation finds nothing.
pub async fn revoking_a_lease_deletes_its_keys_in_one_revision(cluster: &mut impl TestCluster) {
    let mut client = cluster.client(0).await;
    let lease = client.lease_grant(60, None).await.expect("grant").id();
    client.put("l/b", "1", on(lease)).await.expect("put");
    client.put("l/a", "1", on(lease)).await.expect("put");
    client.put("l/c", "1", on(lease)).await.expect("put");
    let before = revision!(client.put("l/c", "2", None).await.expect("a put without lease takes the key off it"));
    let keys = Some(LeaseTimeToLiveOptions::new().with_keys());
    let told = client.lease_time_to_live(lease, keys.clone()).await.expect("time to live");
    // A member tells them in the order of its hash table, which is another one each time.
    let mut attached = told.keys().to_vec();
    attached.sort();
    assert_eq!(attached, [b"l/a", b"l/b"]);
    assert_eq!(told.granted_ttl(), 60);
    assert!((55..=60).contains(&told.ttl()), "{}", told.ttl());

    let mut watch = client.watch("l/", Some(WatchOptions::new().with_prefix())).await.expect("watch");
    assert!(watch.message().await.expect("created").expect("open").created());
    let revoked = client.lease_revoke(lease).await.expect("revoke");
    assert_eq!(revision!(revoked), before + 1);
    let told = watch.message().await.expect("events").expect("open");
    let deleted: Vec<_> = told.events().iter().map(|e| (e.event_type(), e.kv().expect("kv").key().to_vec())).collect();
    assert_eq!(deleted, [(EventType::Delete, b"l/a".to_vec()), (EventType::Delete, b"l/b".to_vec())]);
    let unknown = (Code::NotFound, "etcdserver: requested lease not found".to_owned());
    assert_eq!(refused(client.lease_revoke(lease).await), unknown);
    let gone = client.lease_time_to_live(lease, keys).await.expect("time to live");
    assert_eq!((gone.ttl(), gone.granted_ttl()), (-1, 0));
}

/// A keepalive for a lease that is gone is answered with TTL 0, not with an error.
pub async fn an_expired_lease_takes_its_keys_along_and_a_keepalive_answers_ttl_zero(cluster: &mut impl TestCluster) {
    let mut client = cluster.client(0).await;
    let lease = client.lease_grant(2, None).await.expect("grant").id();
    client.put("e", "1", on(lease)).await.expect("put");
    let (mut keeper, mut kept) = client.lease_keep_alive(lease).await.expect("keepalive");
    let started = std::time::Instant::now();
    let mut watch = client.watch("e", None).await.expect("watch");
    assert!(watch.message().await.expect("created").expect("open").created());
    let told = watch.message().await.expect("events").expect("open");
    assert_eq!(told.events()[0].event_type(), EventType::Delete);
    let lived = started.elapsed();
    assert!(lived > Duration::from_millis(1900) && lived < Duration::from_millis(4000), "{lived:?}");
    keeper.keep_alive().await.expect("send");
    let answer = kept.message().await.expect("an answer").expect("open");
    assert_eq!((answer.id(), answer.ttl()), (lease, 0));
    let fresh = client.lease_keep_alive(lease).await;
    assert!(matches!(fresh, Err(Error::LeaseKeepAliveError(_))), "the client reads TTL 0 as `lease not found`");
    assert_eq!(client.get("e", None).await.expect("get").count(), 0);
}

/// A lease of 2 s that is renewed every second is alive after 3 s, and ends when it is not renewed any more.
pub async fn a_keepalive_prolongs_a_lease(cluster: &mut impl TestCluster) {
    let mut client = cluster.client(0).await;
    let lease = client.lease_grant(2, None).await.expect("grant").id();
    client.put("k", "1", on(lease)).await.expect("put");
    let (mut keeper, mut kept) = client.lease_keep_alive(lease).await.expect("keepalive");
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        keeper.keep_alive().await.expect("send");
        assert_eq!(kept.message().await.expect("an answer").expect("open").ttl(), 2);
    }
    assert_eq!(client.get("k", None).await.expect("get").count(), 1);
}

/// Everything that was acknowledged is there after a kill: revisions, and leases with all of their time.
pub async fn a_restarted_member_knows_its_revisions_and_leases(cluster: &mut impl TestCluster) {
    let mut client = cluster.client(0).await;
    let lease = client.lease_grant(30, None).await.expect("grant").id();
    let first = revision!(client.put("k", "1", on(lease)).await.expect("put"));
    let last = revision!(client.put("k", "2", on(lease)).await.expect("put"));
    cluster.stop_member(0).await;
    cluster.start_member(0).await;
    let mut client = cluster.client(0).await;
    let got = super::soon(async || client.clone().get("k", None).await).await;
    let kv = &got.kvs()[0];
    assert_eq!((revision!(got), kv.create_revision(), kv.mod_revision(), kv.lease()), (last, first, last, lease));
    let past = Some(etcd_client::GetOptions::new().with_revision(first));
    assert_eq!(client.get("k", past).await.expect("history").kvs()[0].value(), b"1");
    let told = client.lease_time_to_live(lease, None).await.expect("time to live");
    assert!(told.granted_ttl() == 30 && told.ttl() > 20, "{} of {}", told.ttl(), told.granted_ttl());
    assert_eq!(revision!(client.put("k", "3", None).await.expect("put")), last + 1);
}
