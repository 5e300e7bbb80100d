//! What is in an agent's way when it starts: somebody else on its PostgreSQL's port, no etcd.

use std::{fs, net::TcpListener, thread::sleep, time::Duration};

use serde_json::Value;

use crate::cluster::{self, Cluster};

/// More than two `loop_wait` of these clusters.
const SOME_CYCLES: Duration = Duration::from_secs(6);

/// Somebody else on a member's PostgreSQL port.
fn stranger(cluster: &Cluster, number: usize) -> TcpListener {
    TcpListener::bind((cluster.members[number].node.address.as_str(), 5432)).expect("it is free")
}

/// What a member's log must say of it.
fn told(cluster: &Cluster, number: usize) -> bool {
    let node = &cluster.members[number].node;
    let said = format!(
        "postgresql.listen: found {0}:5432, but another program listens on {0}:5432: end that program",
        node.address
    );
    cluster.members[number].log().contains(&said)
}

/// Whether there is anything of a data directory.
fn has_data(cluster: &Cluster, number: usize) -> bool {
    let dir = cluster.members[number].node.data_dir();
    dir.exists() || dir.with_extension("failed").exists()
}

/// A bootstrap ends before `initdb` and leaves the bootstrap to others; a replica waits before it copies; a server that was there
/// waits until it can start.
pub(crate) fn port_taken(bin: &str) {
    let mut cluster = Cluster::silent(bin, 2, |_, member| member);
    cluster.start_etcd();
    let other = stranger(&cluster, 0);
    cluster.start(0);
    let code = cluster.members[0].agent.as_mut().expect("it was started").wait().code();
    assert!(code == Some(1) && told(&cluster, 0), "{code:?} {}", cluster.members[0].log());
    assert!(!has_data(&cluster, 0), "nothing is made");
    drop(other);
    cluster.start(0);
    cluster.until("the claim was given back: it leads", || cluster.members[0].is_primary());

    let other = stranger(&cluster, 1);
    cluster.start(1);
    cluster.until("the replica says so", || told(&cluster, 1));
    sleep(SOME_CYCLES);
    assert!(!has_data(&cluster, 1), "nothing is copied");
    drop(other);
    cluster.until("it streams", || cluster.members[1].is_streaming());

    cluster.members[1].agent.as_ref().expect("it runs").signal(libc::SIGTERM);
    assert!(cluster.members[1].agent.as_mut().expect("it runs").wait().success());
    let before = fs::read(cluster.members[1].node.data_dir().join("global/pg_control")).expect("it is there");
    let other = stranger(&cluster, 1);
    cluster.start(1);
    let starts = |cluster: &Cluster| cluster.members[1].log().matches("(start)").count();
    let before_that = starts(&cluster);
    cluster.until("the start was tried again", || starts(&cluster) > before_that + 2);
    let (status, body) = cluster.members[1].ask("GET", "/replica", &Value::Null).expect("it answers");
    assert!(status == 503 && body.contains("\"role\": \"replica\""), "{status} {body}");
    sleep(SOME_CYCLES);
    assert!(cluster.members[1].agent.as_mut().expect("it was started").is_running(), "{}", cluster.members[1].log());
    let after = fs::read(cluster.members[1].node.data_dir().join("global/pg_control")).expect("it is there");
    assert!(before == after && cluster.members[1].postmaster().is_none(), "its data is as it was");
    drop(other);
    cluster.until("it streams again", || cluster.members[1].is_streaming());
    cluster::shut_down(cluster, 0);
}

pub(crate) fn without_etcd(bin: &str) {
    let mut cluster = Cluster::silent(bin, 1, |_, member| member);
    cluster.start(0);
    let said = format!("etcd cannot be reached: {}:2379", cluster.members[0].node.etcd);
    cluster.until("it says which etcd", || cluster.members[0].log().contains(&said));
    for path in ["/primary", "/replica", "/health", "/cluster"] {
        let (status, body) = cluster.members[0].ask("GET", path, &Value::Null).expect("it answers");
        assert!(status == 503 && !body.is_empty(), "{path}: {status} {body}");
    }
    // Some loops of the default `loop_wait`: `/config` is not known.
    sleep(Duration::from_secs(25));
    assert!(cluster.members[0].agent.as_mut().expect("it was started").is_running(), "{}", cluster.members[0].log());
    let log = cluster.members[0].log();
    assert_eq!(log.matches(&said).count(), 1, "it is said once: {log}");
    assert!(log.lines().count() < 20, "{log}");
    assert!(!has_data(&cluster, 0), "no cluster is made without etcd");
    cluster.start_etcd();
    cluster.until("it leads", || cluster.members[0].is_primary());
    assert!(cluster.members[0].log().contains("etcd answers again"), "{}", cluster.members[0].log());
    cluster::shut_down(cluster, 0);
}
