//! What the lab does to members and real etcd cannot be asked for in a test: wiped disks, power loss, slow disks.

use std::time::Duration;

use etcd_client::{Client, ConnectOptions, GetOptions, PutOptions};
use pgdrill_sim_etcd::conformance::TestCluster;
use tonic::Code;

use crate::{cluster::LoopbackCluster, run};

async fn serializable(client: &mut Client, key: &str) -> Option<Vec<u8>> {
    let options = Some(GetOptions::new().with_serializable());
    let got = client.get(key, options).await.expect("stale reads always work");
    got.kvs().first().map(|kv| kv.value().to_vec())
}

async fn until_it_has(client: &mut Client, key: &str, value: &[u8]) {
    for _ in 0..200 {
        if serializable(client, key).await.as_deref() == Some(value) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{key} did not arrive within ten seconds");
}

#[test]
fn a_wiped_member_gets_everything_back_by_log() {
    run(3, async |cluster| {
        cluster.client(0).await.put("k", "v", None).await.expect("put");
        let wiped = (cluster.leader().await + 1) % 3;
        cluster.stop_member(wiped).await;
        cluster.disks[wiped].wipe();
        cluster.start_member(wiped).await;
        let mut client = cluster.client(wiped).await;
        until_it_has(&mut client, "k", b"v").await;
        client.put("k", "w", None).await.expect("it takes part again");
        assert!(!cluster.disks[wiped].is_rejoining());
    });
}

#[test]
fn a_wiped_member_gets_a_snapshot_when_the_log_is_gone() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime starts");
    runtime.block_on(async {
        let mut cluster = LoopbackCluster::start_with(3, |c| {
            c.snapshot_count = 10;
            c.catch_up_entries = 2;
        })
        .await;
        let mut client = cluster.client(cluster.leader().await).await;
        let lease = client.lease_grant(100, None).await.expect("grant").id();
        let on = Some(PutOptions::new().with_lease(lease));
        for i in 0..30 {
            client.put(format!("k{i}"), "v", on.clone()).await.expect("put");
        }
        let wiped = (cluster.leader().await + 1) % 3;
        cluster.stop_member(wiped).await;
        cluster.disks[wiped].wipe();
        cluster.start_member(wiped).await;
        let mut back = cluster.client(wiped).await;
        until_it_has(&mut back, "k29", b"v").await;
        let told = back.lease_time_to_live(lease, None).await.expect("time to live");
        assert_eq!(told.granted_ttl(), 100);
        back.lease_revoke(lease).await.expect("revoke");
        assert_eq!(serializable(&mut back, "k29").await, None, "the keys came back attached to their lease");
        // A restart from the installed snapshot works too.
        cluster.stop_member(wiped).await;
        cluster.start_member(wiped).await;
        back = cluster.client(wiped).await;
        back.put("k", "w", None).await.expect("put");
    });
}

#[test]
fn power_loss_of_all_members_loses_nothing_acknowledged() {
    run(3, async |cluster| {
        for i in 0..20 {
            cluster.client(i % 3).await.put(format!("k{i}"), "v", None).await.expect("put");
        }
        for member in 0..3 {
            cluster.stop_member(member).await;
            cluster.disks[member].power_loss();
        }
        for member in 0..3 {
            cluster.start_member(member).await;
        }
        cluster.leader().await;
        let got = cluster.client(1).await.get("k", Some(GetOptions::new().with_prefix())).await.expect("get");
        assert_eq!(got.count(), 20);
    });
}

#[test]
fn a_slow_disk_delays_acknowledgements() {
    run(1, async |cluster| {
        let mut client = cluster.client(0).await;
        client.put("k", "v", None).await.expect("put");
        cluster.disks[0].set_fsync_delay(Duration::from_millis(300));
        let started = std::time::Instant::now();
        client.put("k", "w", None).await.expect("put");
        assert!(started.elapsed() >= Duration::from_millis(300));
    });
}

#[test]
fn a_stream_that_requires_a_leader_ends_when_there_is_none() {
    run(3, async |cluster| {
        let leader = cluster.leader().await;
        let left = (leader + 1) % 3;
        let port = cluster.client_port(left);
        let options = ConnectOptions::new().with_require_leader(true);
        let mut strict = Client::connect([format!("http://127.0.0.1:{port}")], Some(options)).await.expect("connect");
        let mut watch = strict.watch("k", None).await.expect("watch");
        assert!(watch.message().await.expect("created").expect("open").created());
        cluster.stop_member(leader).await;
        cluster.stop_member((leader + 2) % 3).await;
        let ended = tokio::time::timeout(Duration::from_secs(8), watch.message()).await.expect("it ends soon");
        let Err(etcd_client::Error::GRpcStatus(status)) = ended else { panic!("an error, not {ended:?}") };
        assert_eq!((status.code(), status.message()), (Code::Unavailable, "etcdserver: no leader"));
        let Err(etcd_client::Error::GRpcStatus(status)) = strict.get("k", None).await else { panic!("an error") };
        assert_eq!((status.code(), status.message()), (Code::Unavailable, "etcdserver: no leader"));
    });
}
