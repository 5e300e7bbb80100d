//! Synchronous replication.

use std::time::Duration;

use super::operations::{Operations, Stop, cluster, rows, value, wait_for};

async fn set_names<O: Operations>(pg: &O, names: &str) {
    pg.configure(0, &[("synchronous_standby_names", names)]).await;
    pg.reload(0).await;
    let client = pg.connect(0).await.expect("accepts");
    wait_for(&client, "SHOW synchronous_standby_names", names).await;
}

/// A commit waits for its synchronous standby, and is invisible meanwhile.
pub async fn commit_waits<O: Operations>(pg: &O) {
    let primary = cluster(pg, 1).await;
    set_names(pg, "n1").await;
    primary.simple_query("INSERT INTO t VALUES (1)").await.expect("the standby confirms");
    pg.stop(1, Stop::Fast).await;
    let insert = primary.simple_query("INSERT INTO t VALUES (2)");
    tokio::pin!(insert);
    assert!(tokio::time::timeout(Duration::from_millis(300), &mut insert).await.is_err(), "nobody confirms");
    let other = pg.connect(0).await.expect("accepts");
    assert_eq!(value(&other, "SELECT count(*) FROM t").await, "1", "a waiting commit is not visible");
    pg.start(1).await;
    insert.await.expect("released when the standby is back");
    assert_eq!(value(&other, "SELECT count(*) FROM t").await, "2");
}

/// `sync_state` and `sync_priority` follow the configured names.
pub async fn states<O: Operations>(pg: &O) {
    let primary = cluster(pg, 3).await;
    let sql = "SELECT application_name, sync_state, sync_priority FROM pg_stat_replication ORDER BY application_name";
    assert_eq!(rows(&primary, sql).await, [["n1", "async", "0"], ["n2", "async", "0"], ["n3", "async", "0"]]);
    set_names(pg, "FIRST 1 (n2, n1)").await;
    assert_eq!(rows(&primary, sql).await, [["n1", "potential", "2"], ["n2", "sync", "1"], ["n3", "async", "0"]]);
    set_names(pg, "ANY 1 (n2, n1)").await;
    assert_eq!(rows(&primary, sql).await, [["n1", "quorum", "1"], ["n2", "quorum", "1"], ["n3", "async", "0"]]);
    set_names(pg, "2 (n2, n1)").await;
    assert_eq!(rows(&primary, sql).await, [["n1", "sync", "2"], ["n2", "sync", "1"], ["n3", "async", "0"]]);
    set_names(pg, "FIRST 1 (n2, n1)").await;
    pg.stop(2, Stop::Fast).await;
    wait_for(&primary, "SELECT sync_state FROM pg_stat_replication WHERE application_name = 'n1'", "sync").await;
}

/// `ANY n` needs any n of the names.
pub async fn quorum<O: Operations>(pg: &O) {
    let primary = cluster(pg, 2).await;
    set_names(pg, "ANY 1 (n1, n2)").await;
    pg.stop(1, Stop::Fast).await;
    primary.simple_query("INSERT INTO t VALUES (1)").await.expect("one is enough");
    set_names(pg, "ANY 2 (n1, n2)").await;
    let insert = primary.simple_query("INSERT INTO t VALUES (2)");
    tokio::pin!(insert);
    assert!(tokio::time::timeout(Duration::from_millis(300), &mut insert).await.is_err(), "two are wanted");
    set_names(pg, "").await;
    insert.await.expect("emptying the names releases everybody");
}

/// A waiting commit is not acknowledged by a shutdown; it is committed all the same.
pub async fn shutdown_while_waiting<O: Operations>(pg: &O) {
    let primary = cluster(pg, 0).await;
    set_names(pg, "nobody").await;
    let insert = primary.simple_query("INSERT INTO t VALUES (1)");
    let stop = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        pg.stop(0, Stop::Fast).await;
    };
    let (inserted, ()) = tokio::join!(insert, stop);
    assert!(inserted.is_err(), "not acknowledged");
    set_names_on_disk(pg).await;
    pg.start(0).await;
    let again = pg.connect(0).await.expect("accepts");
    assert_eq!(value(&again, "SELECT count(*) FROM t").await, "1", "and committed all the same");
}

async fn set_names_on_disk<O: Operations>(pg: &O) {
    pg.configure(0, &[("synchronous_standby_names", "")]).await;
}
