//! What survives the end of a server, and how it ends.

use std::time::Duration;

use super::operations::{Operations, Stop, cluster, error_code, value};

pub async fn crash_keeps_commits<O: Operations>(pg: &O) {
    let primary = cluster(pg, 0).await;
    primary.simple_query("INSERT INTO t VALUES (1)").await.expect("inserted");
    for (count, how) in [(1, Stop::Kill), (2, Stop::Immediate), (3, Stop::Fast)] {
        pg.stop(0, how).await;
        pg.start(0).await;
        let again = pg.connect(0).await.expect("accepts");
        assert_eq!(value(&again, "SELECT count(*) FROM t").await, count.to_string(), "after {how:?}");
        // No timeline is begun by crash recovery.
        assert_eq!(value(&again, "SELECT timeline_id FROM pg_control_checkpoint()").await, "1");
        again.simple_query(&format!("INSERT INTO t VALUES ({})", count + 1)).await.expect("inserted");
    }
}

pub async fn power_loss<O: Operations>(pg: &O, cut: impl Fn(usize), slow_fsync: impl Fn(usize, Duration)) {
    let primary = cluster(pg, 0).await;
    primary.simple_query("INSERT INTO t VALUES (1)").await.expect("acknowledged");
    slow_fsync(0, Duration::from_secs(60));
    let unacknowledged = primary.simple_query("INSERT INTO t VALUES (2)");
    assert!(tokio::time::timeout(Duration::from_millis(200), unacknowledged).await.is_err(), "it waits for its fsync");
    cut(0);
    pg.stop(0, Stop::Kill).await;
    slow_fsync(0, Duration::ZERO);
    pg.start(0).await;
    let again = pg.connect(0).await.expect("accepts");
    assert_eq!(value(&again, "SELECT count(*) FROM t").await, "1");
}

pub async fn disk_full<O: Operations>(pg: &O, fill: impl Fn(usize, bool)) {
    let primary = cluster(pg, 0).await;
    fill(0, true);
    assert_eq!(error_code(&primary, "INSERT INTO t VALUES (1)").await, "53100");
    fill(0, false);
    primary.simple_query("INSERT INTO t VALUES (1)").await.expect("inserted");
    assert_eq!(value(&primary, "SELECT count(*) FROM t").await, "1");
}

pub async fn control_states<O: Operations>(pg: &O) {
    let state = |node| pg.controldata(node, "Database cluster state");
    pg.initdb(0).await;
    assert_eq!(state(0), "shut down");
    pg.start(0).await;
    assert_eq!(state(0), "in production");
    pg.basebackup(0, 1).await.expect("copied");
    pg.follow(1, 0, "");
    pg.start(1).await;
    assert_eq!(state(1), "in archive recovery");
    pg.stop(1, Stop::Fast).await;
    assert_eq!(state(1), "shut down in recovery");
    pg.stop(0, Stop::Kill).await;
    assert_eq!(state(0), "in production");
    pg.start(0).await;
    pg.stop(0, Stop::Fast).await;
    assert_eq!(state(0), "shut down");
    assert_eq!(pg.controldata(0, "Latest checkpoint location"), pg.controldata(0, "Latest checkpoint's REDO location"));
}

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
