//! What survives the end of a server, and how it ends.

use std::time::Duration;

use super::operations::{Operations, Stop, cluster, error_code, value};

/// Commits survive a kill, an immediate and a fast shutdown; no timeline is begun by recovery.
pub async fn crash_keeps_commits<O: Operations>(pg: &O) {
    let primary = cluster(pg, 0).await;
    primary.simple_query("INSERT INTO t VALUES (1)").await.expect("inserted");
    for (count, how) in [(1, Stop::Kill), (2, Stop::Immediate), (3, Stop::Fast)] {
        pg.stop(0, how).await;
        pg.start(0).await;
        let again = pg.connect(0).await.expect("accepts");
        assert_eq!(value(&again, "SELECT count(*) FROM t").await, count.to_string(), "after {how:?}");
        assert_eq!(value(&again, "SELECT timeline_id FROM pg_control_checkpoint()").await, "1");
        again.simple_query(&format!("INSERT INTO t VALUES ({})", count + 1)).await.expect("inserted");
    }
}

/// A table's first row needs a page, and there is no space for one.
pub async fn disk_full<O: Operations>(pg: &O) {
    let primary = cluster(pg, 0).await;
    pg.fill_disk(0, true).await;
    assert_eq!(error_code(&primary, "INSERT INTO t VALUES (1)").await, "53100");
    pg.fill_disk(0, false).await;
    primary.simple_query("INSERT INTO t VALUES (1)").await.expect("inserted");
    assert_eq!(value(&primary, "SELECT count(*) FROM t").await, "1");
}

/// From `initdb` over production, recovery and a kill to a clean end; a promotion ends in production.
pub async fn control_states<O: Operations>(pg: &O) {
    let state = |node| pg.controldata(node, "Database cluster state");
    pg.initdb(0).await;
    assert_eq!(state(0).await, "shut down");
    pg.start(0).await;
    assert_eq!(state(0).await, "in production");
    pg.basebackup(0, 1).await.expect("copied");
    pg.follow(1, 0, "").await;
    pg.start(1).await;
    assert_eq!(state(1).await, "in archive recovery");
    pg.stop(1, Stop::Fast).await;
    assert_eq!(state(1).await, "shut down in recovery");
    assert_ne!(pg.controldata(1, "Minimum recovery ending location").await, "0/0");
    assert_eq!(pg.controldata(0, "Minimum recovery ending location").await, "0/0");
    pg.start(1).await;
    pg.stop(1, Stop::Kill).await;
    assert_eq!(state(1).await, "in archive recovery", "a kill changes nothing");
    pg.stop(0, Stop::Kill).await;
    assert_eq!(state(0).await, "in production");
    pg.start(0).await;
    pg.stop(0, Stop::Fast).await;
    assert_eq!(state(0).await, "shut down");
    let location = pg.controldata(0, "Latest checkpoint location").await;
    assert_eq!(location, pg.controldata(0, "Latest checkpoint's REDO location").await);
}

/// Sessions end with 57P01 in a fast shutdown, and nobody is let in after it.
pub async fn shutdown_refuses<O: Operations>(pg: &O) {
    let client = cluster(pg, 0).await;
    let waiting = async {
        loop {
            if let Err(error) = client.simple_query("SELECT 1").await {
                return error.code().map(|code| code.code().to_owned());
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let (code, ()) = tokio::join!(waiting, pg.stop(0, Stop::Fast));
    assert!(code.is_none_or(|code| code == "57P01"), "the connection is closed, at best with a reason");
    assert!(pg.connect(0).await.is_err());
}

/// An immediate shutdown and a kill end sessions too; whoever waits for an answer learns nothing.
pub async fn immediate_drops<O: Operations>(pg: &O) {
    cluster(pg, 0).await;
    for how in [Stop::Immediate, Stop::Kill] {
        let client = pg.connect(0).await.expect("accepts");
        client.simple_query("BEGIN; INSERT INTO t VALUES (1)").await.expect("open");
        pg.stop(0, how).await;
        let error = client.simple_query("COMMIT").await.expect_err("the connection is gone");
        assert!(error.code().is_none_or(|code| code.code() == "57P01"), "{how:?}: {error:?}");
        assert!(pg.connect(0).await.is_err(), "{how:?}");
        pg.start(0).await;
        let again = pg.connect(0).await.expect("accepts");
        assert_eq!(value(&again, "SELECT count(*) FROM t").await, "0", "an open transaction leaves nothing: {how:?}");
    }
}
