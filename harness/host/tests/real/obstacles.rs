//! What is in an agent's way when it starts: no etcd.

use std::{thread::sleep, time::Duration};

use serde_json::Value;

use crate::cluster::{self, Cluster};

/// Whether there is anything of a data directory.
fn has_data(cluster: &Cluster, number: usize) -> bool {
    let dir = cluster.members[number].node.data_dir();
    dir.exists() || dir.with_extension("failed").exists()
}

pub(crate) fn without_etcd(bin: &str) {
    let mut cluster = Cluster::silent(bin, 1);
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
